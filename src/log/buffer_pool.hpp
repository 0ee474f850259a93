#pragma once
// buffer_pool: the aligned memory of groups, shared by all logs of an engine. Few size classes, a
// bounded cache; an idle log holds none of it. Knows nothing about what is in the buffers.

#include "base/aligned_buffer.hpp"
#include "base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace caisson::log_detail {

using namespace caisson::literals;

/// Single-threaded (home).
class buffer_pool {
public:
    /// A page more than a power of two: a full group begins somewhere inside its first block.
    static constexpr std::array<std::uint64_t, 3> class_bytes = {64_KiB + 4_KiB, 256_KiB + 4_KiB,
                                                                 1_MiB + 4_KiB};
    /// Buffers kept for reuse, of each class. 4 groups in flight and one gathering of one busy log,
    /// twice.
    static constexpr std::size_t cached_per_class_max = 10;

    /// A buffer of at least `size_bytes`, page-aligned; empty when there is no memory.
    [[nodiscard]] aligned_buffer take(std::uint64_t size_bytes);
    void give_back(aligned_buffer buffer) noexcept;

private:
    std::array<std::vector<aligned_buffer>, class_bytes.size()> cached_;
};

}  // namespace caisson::log_detail
