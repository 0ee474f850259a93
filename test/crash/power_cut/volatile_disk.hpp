#pragma once
// A disk with a volatile write cache over a backing file: what was not flushed may vanish, sector
// by sector, when the power is cut. It also fails, delays and lies on demand. Knows nothing about
// FUSE, file systems or logs. Read docs/reliability.md, "Power cuts on real file systems".

#include "base/prng.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <span>

namespace caisson::power_cut {

/// What a real disk keeps or loses as a whole; larger writes may be torn between sectors.
constexpr std::size_t sector_bytes = 512;

enum class disk_operation : std::uint8_t { read, write, flush };
constexpr std::size_t disk_operation_count = 3;

/// Sectors [begin, end); a default range is the whole disk.
struct sector_range {
    std::uint64_t begin = 0;
    std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
};

struct disk_statistics {
    std::array<std::uint64_t, disk_operation_count>
        operations{};                      ///< by disk_operation, failed ones too
    std::uint64_t operations_waiting = 0;  ///< now, for a delay to pass
    std::uint64_t power_cuts = 0;
    std::uint64_t sectors_kept = 0;     ///< unflushed sectors that survived a power cut
    std::uint64_t sectors_dropped = 0;  ///< unflushed sectors that did not
    std::uint64_t sectors_evicted =
        0;  ///< overwritten unflushed versions that had reached the medium
    std::uint64_t sectors_unflushed = 0;
    std::uint64_t errors_injected = 0;
    bool is_powered = true;
};

/// Thread-safe. Every operation returns 0 or a negative errno value, as FUSE wants it.
class volatile_disk {
public:
    /// `backing_file` is the medium; the caller's, open for reading and writing, until the disk is
    /// gone.
    volatile_disk(int backing_file, std::uint64_t capacity_bytes, std::uint64_t seed);

    /// Reads what was last written, flushed or not. The range must lie on the disk.
    int read(std::uint64_t position_bytes, std::span<std::byte> into);
    /// Puts whole sectors into the cache only.
    int write(std::uint64_t position_bytes, std::span<const std::byte> from);
    /// Everything written by operations that have returned is on the medium afterwards, unless the
    /// disk lies.
    int flush();

    /// Writes are torn only between blocks of `sectors` (> 0): those of one aligned block are kept,
    /// dropped and evicted together. 1, as in the beginning: between any two sectors. Stays until
    /// changed.
    void tear_between_blocks_of(std::uint64_t sectors);
    /// Each unflushed sector survives with `keep_percent`, drawn from `seed`; from now on
    /// everything fails.
    int cut_power(std::uint64_t seed, std::uint64_t keep_percent);
    /// Works again, with an empty cache and without any fault set before.
    void restore_power();

    /// The next `count` operations of the kind that touch `range` fail; a flush touches every
    /// range.
    void fail_next(disk_operation kind, std::uint64_t count, sector_range range);
    void delay(disk_operation kind, std::chrono::microseconds duration);
    /// A lying disk acknowledges a flush and does not do it.
    void lie(bool is_lying);
    /// An unflushed sector that is overwritten leaves its older version on the medium this often:
    /// caches write back whenever they like, so after a power cut a version between the flushed and
    /// the newest one may be there.
    void evict(std::uint64_t percent);

    std::uint64_t capacity_bytes() const noexcept { return capacity_bytes_; }
    disk_statistics statistics() const;

private:
    using sector = std::array<std::byte, sector_bytes>;
    using sector_map = std::map<std::uint64_t, sector>;

    struct fault {
        std::uint64_t failures_left = 0;
        sector_range range;
        std::chrono::microseconds delay{0};
    };

    struct admission {
        std::unique_lock<std::mutex> lock;
        int error = 0;
    };

    admission admit(disk_operation kind, sector_range touched);
    int write_back();
    int write_run(sector_map::const_iterator first, std::size_t sectors) const;
    int write_sector(std::uint64_t number, const sector& content) const;

    const int backing_file_;
    const std::uint64_t capacity_bytes_;
    mutable std::mutex mutex_;  // guards everything below
    sector_map unflushed_;
    std::array<fault, disk_operation_count> faults_{};
    prng evictions_;
    std::uint64_t evict_percent_ = 0;
    std::uint64_t sectors_per_block_ = 1;
    bool is_lying_ = false;
    disk_statistics statistics_;
};

}  // namespace caisson::power_cut
