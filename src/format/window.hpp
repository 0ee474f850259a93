#pragma once
// How bytes of a file too large for memory reach the scanners: the caller reads a window, the
// scanner takes what it can and says what it needs next. Knows nothing about who reads.

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::format {

/// Some bytes of a file, [position_bytes, end_bytes()).
struct byte_window {
    std::span<const std::byte> bytes;
    std::uint64_t position_bytes = 0;
    bool is_last = false;  ///< the file ends where the window ends

    [[nodiscard]] std::uint64_t end_bytes() const noexcept { return position_bytes + bytes.size(); }
    [[nodiscard]] bool covers(std::uint64_t position) const noexcept {
        return position_bytes <= position && position <= end_bytes();
    }
    /// The window's bytes from `position` on; `covers(position)` holds.
    [[nodiscard]] std::span<const std::byte> from(std::uint64_t position) const noexcept {
        return bytes.subspan(static_cast<std::size_t>(position - position_bytes));
    }
};

/// The window to bring next: it covers `position_bytes` and holds at least `size_bytes_min` bytes
/// from there on, or all that the file has (and then says `is_last`). More is welcome.
struct byte_need {
    std::uint64_t position_bytes = 0;
    std::uint64_t size_bytes_min = 0;
};

}  // namespace caisson::format
