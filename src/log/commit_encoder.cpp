// The bytes of commits. The only copy of a record is made here.

#include "log/commit_encoder.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/native_codec.hpp"
#include "log/group_plan.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace caisson::log_detail {

commit_encoder::commit_encoder(log_shared& shared, const recovered_log& recovered)
    : shared_(shared),
      block_bytes_(recovered.tail.file->block_size_bytes()),
      log_id_(recovered.log_id),
      epoch_(recovered.epoch),
      last_{recovered.last_checksum, recovered.last_timestamp_us} {}

bool commit_encoder::reserve(group& gathering, std::uint64_t framed_bytes,
                             std::uint64_t expected_bytes) {
    const std::uint64_t in_block = gathering.position_bytes % block_bytes_;
    // The commit with padding, in whole blocks from the one it begins in.
    const std::uint64_t needed =
        round_up(in_block + group_rules::commit_bytes(framed_bytes), block_bytes_);
    if (gathering.buffer.size_bytes() >= needed) {
        return true;
    }
    aligned_buffer larger =
        shared_.buffers.take(shared_.world.disk, std::max(needed, expected_bytes));
    if (!larger) {
        return false;
    }
    if (gathering.buffer) {
        const std::uint64_t used = in_block + format::native_records_at + gathering.framed_bytes;
        std::memcpy(larger.data(), gathering.buffer.data(), used);
        shared_.buffers.give_back(std::move(gathering.buffer));
    }
    gathering.buffer = std::move(larger);
    return true;
}

void commit_encoder::add(group& gathering, const detail::append_operation& append) {
    const std::uint64_t in_block = gathering.position_bytes % block_bytes_;
    append.encode(gathering.buffer.data() + in_block + format::native_records_at +
                  gathering.framed_bytes);
    gathering.framed_bytes += append.framed_bytes;
    gathering.records += append.records;
}

void commit_encoder::finish(group& leaving, log_offset durable_end) {
    segment_file& segment = *leaving.segment;
    const std::uint64_t in_block = leaving.position_bytes % block_bytes_;
    CAISSON_ASSERT(segment.tail.size() == in_block);
    CAISSON_ASSERT(leaving.records <= format::layout::commit_records_max);
    std::byte* const first = leaving.buffer.data();
    std::copy(segment.tail.begin(), segment.tail.end(), first);

    // The clock may jump back; the log's time does not.
    const std::uint64_t now_us = shared_.world.clock.wall_us();
    shared_.counters.clock_ahead_us = last_.timestamp_us > now_us ? last_.timestamp_us - now_us : 0;
    last_.timestamp_us = std::max(last_.timestamp_us, now_us);

    format::native_commit commit;
    commit.begin = leaving.begin;
    commit.epoch = epoch_;
    commit.record_count = static_cast<std::uint16_t>(leaving.records);
    commit.framed_bytes = leaving.framed_bytes;
    commit.trailer = {log_id_, durable_end, last_.timestamp_us, last_.checksum};
    last_.checksum = format::finish_commit({first + in_block, leaving.commit_bytes}, commit);

    // What follows the commit in its last block is zero: a reader of the block meets a clean end.
    const std::uint64_t end_in_buffer = in_block + leaving.commit_bytes;
    const std::uint64_t blocks_end = round_up(end_in_buffer, block_bytes_);
    std::memset(first + end_in_buffer, 0, blocks_end - end_in_buffer);
    const std::uint64_t tail_begin = round_down(end_in_buffer, block_bytes_);
    segment.tail.assign(first + tail_begin, first + end_in_buffer);
    segment.last = last_;
    segment.last_commit_position_bytes = leaving.position_bytes;
    segment.index.add_commit(leaving.begin, leaving.position_bytes, leaving.commit_bytes);
    shared_.counters.commits_written += 1;
    shared_.counters.padding_bytes_written += leaving.padding_bytes;
}

}  // namespace caisson::log_detail
