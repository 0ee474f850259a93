#pragma once
// group: appends that become one commit: the buffer they are encoded into, where it goes, and who
// waits for it. Plain data with one I/O operation; the appender fills it, segment_file writes it.

#include <caisson/detail/append_operation.hpp>
#include <caisson/types.hpp>

#include "base/aligned_buffer.hpp"
#include "base/intrusive_queue.hpp"
#include "base/units.hpp"
#include "io/disk.hpp"
#include "io/transfer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::log_detail {

class segment_file;

using append_queue = intrusive_queue<detail::append_operation>;

enum class group_phase : std::uint8_t {
    gathering,  ///< takes appends
    closed,     ///< its content and place are fixed; waits to leave
    writing,    ///< the kernel has it
    written,    ///< completed without DSYNC: a sync must follow
    durable,    ///< on stable storage; acknowledged once everything before it is
    failed,     ///< the log was poisoned; its I/O has ended
};

class group final : public io::operation {
public:
    group() noexcept : operation(&group::write_ended) {}

    /// Position of the first block that the buffer covers.
    [[nodiscard]] std::uint64_t first_block_bytes(std::uint64_t block_bytes) const noexcept {
        return round_down(position_bytes, block_bytes);
    }
    [[nodiscard]] std::uint64_t last_block_end_bytes(std::uint64_t block_bytes) const noexcept {
        return round_up(position_bytes + commit_bytes, block_bytes);
    }
    [[nodiscard]] log_offset end() const noexcept { return begin + records; }

    group* next = nullptr;  ///< in the appender's queues
    segment_file* segment = nullptr;
    aligned_buffer buffer;
    /// of the commit in its segment; the buffer begins at the block before it
    std::uint64_t position_bytes = 0;
    std::uint64_t framed_bytes = 0;  ///< encoded so far, after the commit header
    std::uint64_t records = 0;
    std::uint64_t padding_bytes = 0;  ///< fixed when closed, as is commit_bytes
    std::uint64_t commit_bytes = 0;
    log_offset begin;
    append_queue appends;
    group_phase phase = group_phase::gathering;
    io::write_mode mode = io::write_mode::dsync;
    bool is_prepared = false;  ///< all its blocks were written and synced before
    io::transfer_progress transfer;

private:
    static void write_ended(io::operation& self, std::int64_t outcome) noexcept;
};

using group_queue = intrusive_queue<group>;

}  // namespace caisson::log_detail
