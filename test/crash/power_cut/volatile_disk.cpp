// The volatile cache: a map of sectors over the backing file, emptied by a flush and decimated by a
// power cut. Knows nothing about FUSE, file systems or logs. Read docs/reliability.md, "Power cuts
// on real file systems".

#include "volatile_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <limits>
#include <thread>
#include <vector>

#include <sys/uio.h>
#include <unistd.h>

namespace caisson::power_cut {
namespace {

constexpr std::size_t sectors_a_write_max = 256;  // well below IOV_MAX (1024)

off_t file_position(std::uint64_t sector_number) {
    return static_cast<off_t>(sector_number * sector_bytes);
}

sector_range sectors_of(std::uint64_t position_bytes, std::size_t bytes) {
    return {position_bytes / sector_bytes,
            (position_bytes + bytes + sector_bytes - 1) / sector_bytes};
}

bool overlaps(sector_range left, sector_range right) {
    return left.begin < right.end && right.begin < left.end;
}

/// One draw for all sectors of a block; they are asked for in ascending order.
class block_draw {
public:
    block_draw(prng& from, std::uint64_t percent, std::uint64_t sectors_per_block)
        : from_(from), percent_(percent), sectors_per_block_(sectors_per_block) {}

    bool operator()(std::uint64_t sector) {
        if (const std::uint64_t block = sector / sectors_per_block_; block_ != block) {
            block_ = block;
            drawn_ = from_.chance(percent_, 100);
        }
        return drawn_;
    }

private:
    prng& from_;
    const std::uint64_t percent_;
    const std::uint64_t sectors_per_block_;
    std::uint64_t block_ = std::numeric_limits<std::uint64_t>::max();  // none
    bool drawn_ = false;
};

}  // namespace

volatile_disk::volatile_disk(int backing_file, std::uint64_t capacity_bytes, std::uint64_t seed)
    : backing_file_(backing_file), capacity_bytes_(capacity_bytes), evictions_(seed) {}

// An operation still waiting out its delay when the power goes is lost with it: it must not land on
// the restored disk.
volatile_disk::admission volatile_disk::admit(disk_operation kind, sector_range touched) {
    admission admitted{std::unique_lock(mutex_)};
    fault& injected = faults_[static_cast<std::size_t>(kind)];
    const auto power_cuts_before = statistics_.power_cuts;
    if (const auto duration = injected.delay; duration.count() > 0) {
        ++statistics_.operations_waiting;
        admitted.lock.unlock();
        std::this_thread::sleep_for(duration);
        admitted.lock.lock();
        --statistics_.operations_waiting;
    }
    ++statistics_.operations[static_cast<std::size_t>(kind)];
    if (!statistics_.is_powered || statistics_.power_cuts != power_cuts_before) {
        admitted.error = -EIO;
    } else if (injected.failures_left > 0 && overlaps(injected.range, touched)) {
        --injected.failures_left;
        ++statistics_.errors_injected;
        admitted.error = -EIO;
    }
    return admitted;
}

int volatile_disk::read(std::uint64_t position_bytes, std::span<std::byte> into) {
    const sector_range touched = sectors_of(position_bytes, into.size());
    const admission admitted = admit(disk_operation::read, touched);
    if (admitted.error != 0) {
        return admitted.error;
    }
    const ssize_t got =
        ::pread(backing_file_, into.data(), into.size(), static_cast<off_t>(position_bytes));
    if (got < 0) {
        return -errno;
    }
    std::ranges::fill(into.subspan(static_cast<std::size_t>(got)), std::byte{0});
    for (auto it = unflushed_.lower_bound(touched.begin);
         it != unflushed_.end() && it->first < touched.end; ++it) {
        const std::uint64_t sector_begin = it->first * sector_bytes;
        const std::uint64_t begin = std::max(sector_begin, position_bytes);
        const std::uint64_t end =
            std::min(sector_begin + sector_bytes, position_bytes + into.size());
        std::memcpy(into.data() + (begin - position_bytes),
                    it->second.data() + (begin - sector_begin), end - begin);
    }
    return 0;
}

int volatile_disk::write(std::uint64_t position_bytes, std::span<const std::byte> from) {
    if (position_bytes % sector_bytes != 0 || from.size() % sector_bytes != 0) {
        return -EINVAL;
    }
    const sector_range touched = sectors_of(position_bytes, from.size());
    const admission admitted = admit(disk_operation::write, touched);
    if (admitted.error != 0) {
        return admitted.error;
    }
    block_draw evicts(evictions_, evict_percent_, sectors_per_block_);
    for (std::uint64_t number = touched.begin; number < touched.end; ++number) {
        auto [entry, is_new] = unflushed_.try_emplace(number);
        if (evicts(number) && !is_new) {
            ++statistics_.sectors_evicted;
            if (const int error = write_sector(number, entry->second); error != 0) {
                return error;
            }
        }
        std::memcpy(entry->second.data(), from.data() + (number - touched.begin) * sector_bytes,
                    sector_bytes);
    }
    return 0;
}

int volatile_disk::flush() {
    const admission admitted = admit(disk_operation::flush, sector_range{});
    if (admitted.error != 0) {
        return admitted.error;
    }
    return is_lying_ ? 0 : write_back();
}

void volatile_disk::tear_between_blocks_of(std::uint64_t sectors) {
    const std::lock_guard guard(mutex_);
    sectors_per_block_ = sectors;
}

int volatile_disk::cut_power(std::uint64_t seed, std::uint64_t keep_percent) {
    const std::lock_guard guard(mutex_);
    prng survivors(seed);
    block_draw survives(survivors, keep_percent, sectors_per_block_);
    statistics_.sectors_dropped +=
        std::erase_if(unflushed_, [&](const auto& entry) { return !survives(entry.first); });
    statistics_.sectors_kept += unflushed_.size();
    const int error = write_back();
    statistics_.is_powered = false;
    ++statistics_.power_cuts;
    return error;
}

void volatile_disk::restore_power() {
    const std::lock_guard guard(mutex_);
    unflushed_.clear();
    faults_ = {};
    is_lying_ = false;
    evict_percent_ = 0;
    statistics_.is_powered = true;
}

void volatile_disk::fail_next(disk_operation kind, std::uint64_t count, sector_range range) {
    const std::lock_guard guard(mutex_);
    faults_[static_cast<std::size_t>(kind)].failures_left = count;
    faults_[static_cast<std::size_t>(kind)].range = range;
}

void volatile_disk::delay(disk_operation kind, std::chrono::microseconds duration) {
    const std::lock_guard guard(mutex_);
    faults_[static_cast<std::size_t>(kind)].delay = duration;
}

void volatile_disk::lie(bool is_lying) {
    const std::lock_guard guard(mutex_);
    is_lying_ = is_lying;
}

void volatile_disk::evict(std::uint64_t percent) {
    const std::lock_guard guard(mutex_);
    evict_percent_ = percent;
}

disk_statistics volatile_disk::statistics() const {
    const std::lock_guard guard(mutex_);
    disk_statistics copy = statistics_;
    copy.sectors_unflushed = unflushed_.size();
    return copy;
}

// One system call for each run of neighbours: a sector at a time would dominate the cost of a
// flush.
int volatile_disk::write_back() {
    for (auto first = unflushed_.cbegin(); first != unflushed_.cend();) {
        std::size_t sectors = 1;
        auto next = std::next(first);
        while (next != unflushed_.cend() && next->first == first->first + sectors &&
               sectors < sectors_a_write_max) {
            ++sectors;
            ++next;
        }
        if (const int error = write_run(first, sectors); error != 0) {
            return error;
        }
        first = next;
    }
    unflushed_.clear();
    return 0;
}

int volatile_disk::write_run(sector_map::const_iterator first, std::size_t sectors) const {
    const off_t position = file_position(first->first);
    std::vector<iovec> pieces(sectors);
    for (iovec& piece : pieces) {
        piece = {const_cast<std::byte*>(first->second.data()),
                 sector_bytes};  // iovec has no const form
        ++first;
    }
    const ssize_t written =
        ::pwritev(backing_file_, pieces.data(), static_cast<int>(sectors), position);
    if (written < 0) {
        return -errno;
    }
    return static_cast<std::size_t>(written) == sectors * sector_bytes ? 0 : -EIO;
}

int volatile_disk::write_sector(std::uint64_t number, const sector& content) const {
    const ssize_t written =
        ::pwrite(backing_file_, content.data(), content.size(), file_position(number));
    if (written < 0) {
        return -errno;
    }
    return static_cast<std::size_t>(written) == content.size() ? 0 : -EIO;
}

}  // namespace caisson::power_cut
