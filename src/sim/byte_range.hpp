#pragma once
// Half-open ranges of bytes or sectors, and sets of them kept as short vectors. Knows nothing about
// files.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace caisson::sim {

struct byte_range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] constexpr bool is_empty() const noexcept { return begin >= end; }
    [[nodiscard]] constexpr bool overlaps(byte_range other) const noexcept {
        return begin < other.end && other.begin < end;
    }
    [[nodiscard]] constexpr byte_range intersection(byte_range other) const noexcept {
        return {std::max(begin, other.begin), std::min(end, other.end)};
    }
};

/// Removes `hole` from every range of `set`.
inline void subtract(std::vector<byte_range>& set, byte_range hole) {
    std::vector<byte_range> left;
    for (const byte_range& range : set) {
        if (!range.overlaps(hole)) {
            left.push_back(range);
            continue;
        }
        if (range.begin < hole.begin) {
            left.push_back({range.begin, hole.begin});
        }
        if (hole.end < range.end) {
            left.push_back({hole.end, range.end});
        }
    }
    set = std::move(left);
}

}  // namespace caisson::sim
