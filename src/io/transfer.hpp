#pragma once
// transfer_progress: what to do after each outcome of a write that must be whole: done, go on, or
// give up.
// Pure: shared by the coroutines (io/await) and the append path (log/segment_writer). Source of the
// rules: reliability faults 51 and 53 (short writes happen under quota, file size limits and on
// btrfs; EAGAIN from XFS).

#include "base/planted.hpp"
#include "base/units.hpp"

#include <cerrno>
#include <cstdint>

namespace caisson::io {

/// How often a transfer that makes no progress (EINTR, EAGAIN) is tried before it counts as failed.
inline constexpr int transfer_attempts_max = 16;

class transfer_progress {
public:
    transfer_progress() noexcept = default;
    transfer_progress(std::uint64_t total_bytes, std::uint32_t block_size_bytes) noexcept
        : total_bytes_(total_bytes), block_size_bytes_(block_size_bytes) {}

    [[nodiscard]] bool is_complete() const noexcept { return done_bytes_ == total_bytes_; }
    /// Where the next attempt starts, relative to the transfer; a block boundary.
    [[nodiscard]] std::uint64_t next_bytes() const noexcept { return done_bytes_; }

    /// Takes one outcome. 0: go on (or done); otherwise the errno with which the transfer has
    /// failed.
    [[nodiscard]] int advance(std::int64_t outcome) noexcept {
        if (outcome == -EINTR || outcome == -EAGAIN) {
            return ++idle_attempts_ < transfer_attempts_max ? 0 : static_cast<int>(-outcome);
        }
        if (outcome < 0) {
            return static_cast<int>(-outcome);
        }
        if (done_bytes_ + static_cast<std::uint64_t>(outcome) >= total_bytes_ ||
            planted(planted_bug::short_write_taken_as_full)) {
            done_bytes_ = total_bytes_;
            return 0;
        }
        // Short: continued once, from the last whole block, so that direct I/O stays aligned. A
        // second short count means that the device or a limit refuses, and only an error says so.
        if (was_short_) {
            return EIO;
        }
        was_short_ = true;
        done_bytes_ += round_down(static_cast<std::uint64_t>(outcome), block_size_bytes_);
        return 0;
    }

private:
    std::uint64_t total_bytes_ = 0;
    std::uint64_t done_bytes_ = 0;
    std::uint32_t block_size_bytes_ = 4096;
    int idle_attempts_ = 0;
    bool was_short_ = false;
};

}  // namespace caisson::io
