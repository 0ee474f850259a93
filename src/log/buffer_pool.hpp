#pragma once
// buffer_pool: the aligned memory of groups, shared by all logs of an engine. Few size classes, a
// bounded cache that is registered with the device; an idle log holds none of it. Knows nothing
// about what is in the buffers.

#include "base/aligned_buffer.hpp"
#include "base/units.hpp"
#include "io/disk.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace caisson::log_detail {

using namespace caisson::literals;

/// Single-threaded (home). Outlives the disk: what was registered with it is freed here only, and
/// never before.
class buffer_pool {
public:
    /// Two pages more than a power of two: a full group begins somewhere inside its first block and
    /// is a record larger than its limit. The last is a huge page: a group of 512 KiB would be 128
    /// pieces otherwise, and two of them more than the queue of a virtual disk takes
    /// (docs/benchmarks.md, "Bars").
    static constexpr std::array<std::uint64_t, 3> class_bytes = {64_KiB + 8_KiB, 256_KiB + 8_KiB,
                                                                 aligned_buffer::huge_page_bytes};
    /// Buffers of each class that are kept: 4 groups in flight and one gathering of one busy log,
    /// twice; of large ones what 8 MiB in flight take, too. What RLIMIT_MEMLOCK does not allow to
    /// register is kept unregistered.
    static constexpr std::array<std::size_t, class_bytes.size()> kept_max = {10, 10, 20};

    /// A buffer of at least `size_bytes`, page-aligned; empty when there is no memory. A new one
    /// that will be kept is registered with `disk`.
    [[nodiscard]] aligned_buffer take(io::disk& disk, std::uint64_t size_bytes);
    void give_back(aligned_buffer buffer) noexcept;

private:
    struct size_class {
        std::vector<aligned_buffer> idle;
        std::vector<const std::byte*> kept;  ///< addresses of all that are kept, idle or not
    };
    std::array<size_class, class_bytes.size()> classes_;
};

}  // namespace caisson::log_detail
