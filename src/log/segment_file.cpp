// The I/O of groups. Every write and sync has its reason here; nothing is retried that failed,
// because a failed sync is reported once and a second one lies (reliability E4).

#include "log/segment_file.hpp"

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "io/await.hpp"
#include "log/index_file.hpp"

#include <algorithm>
#include <utility>

namespace caisson::log_detail {

segment_file::segment_file(log_shared& shared, group_listener& listener,
                           std::unique_ptr<io::file> opened, log_offset first,
                           std::uint64_t length_bytes, const io::file_system_traits& on)
    : file(std::move(opened)),
      begin(first),
      end_bytes(length_bytes),
      index(new_index(shared.options.segment_size_bytes)),
      shared_(shared),
      listener_(listener),
      block_bytes_(file->block_size_bytes()),
      copies_on_write_(on.copies_on_write),
      is_cached_(!file->is_direct()) {
    space.limit_bytes = round_up(shared.options.segment_size_bytes, block_bytes_);
    // The block in which the file ends is rewritten by the next group. It is not reserved beyond
    // the file's length.
    space.submitted_end = round_up(length_bytes, block_bytes_);
    space.allocated_end = space.zeroed_end = space.prepared_end =
        round_down(length_bytes, block_bytes_);
}

segment_file::~segment_file() {
    if (!is_quiet()) {
        CAISSON_ASSERT(shared_.world.disk.powered_off());
    }
}

std::string segment_file::name() const {
    return shared_.path + "/" + (is_named ? format::segment_name(begin) : "spare/" + spare_name);
}

bool segment_file::is_being_zeroed(const group& waiting) const noexcept {
    return waiting.first_block_bytes(block_bytes_) < zeroing_end &&
           zeroing_begin < waiting.last_block_end_bytes(block_bytes_);
}

void segment_file::start(group& leaving) {
    CAISSON_ASSERT(leaving.phase == group_phase::closed);
    if (!planted(planted_bug::zero_write_over_commit)) {
        CAISSON_ASSERT(!is_being_zeroed(leaving));
    }
    const std::uint64_t first = leaving.first_block_bytes(block_bytes_);
    const std::uint64_t last_end = leaving.last_block_end_bytes(block_bytes_);
    if (!copies_on_write_) {
        CAISSON_ASSERT(last_end <= space.allocated_end);
    }
    // A plain write where the blocks are not yet written and synced: DSYNC there would commit the
    // file system's journal once a group; one fdatasync behind several groups does it once for all
    // of them. Through the page cache two DSYNC writes are two syncs beside each other.
    leaving.is_prepared = !is_always_synced() && last_end <= space.prepared_end;
    leaving.mode = leaving.is_prepared ? io::write_mode::dsync : io::write_mode::plain;
    if (planted(planted_bug::ack_before_sync)) {
        leaving.mode = io::write_mode::plain;
    }
    leaving.phase = group_phase::writing;
    leaving.transfer = io::transfer_progress(last_end - first, block_bytes_);
    space.submitted_end = std::max(space.submitted_end, last_end);
    ++groups_in_flight_;
    plain_writes_in_flight_ += leaving.mode == io::write_mode::plain ? 1 : 0;
    start_transfer(leaving);
    if (planted(planted_bug::sync_beside_write) && leaving.mode == io::write_mode::plain &&
        !sync_.is_running) {
        start_sync();
    }
}

void segment_file::start_transfer(group& writing) {
    const std::uint64_t first = writing.first_block_bytes(block_bytes_);
    const std::uint64_t total = writing.last_block_end_bytes(block_bytes_) - first;
    const std::uint64_t done = writing.transfer.next_bytes();
    file->start_write(writing, writing.buffer.bytes().subspan(done, total - done), first + done,
                      writing.mode);
}

void group::write_ended(io::operation& self, std::int64_t outcome) noexcept {
    auto& written = static_cast<group&>(self);
    if (outcome != io::operation::abandoned) {
        written.segment->on_write_ended(written, outcome);
    }
}

void segment_file::on_write_ended(group& written, std::int64_t outcome) noexcept {
    const int problem = written.transfer.advance(outcome);
    if (problem == 0 && !written.transfer.is_complete()) {
        start_transfer(written);
        return;
    }
    const bool is_plain = written.mode == io::write_mode::plain;
    if (is_plain) {
        CAISSON_ASSERT(plain_writes_in_flight_ > 0);
        --plain_writes_in_flight_;
    }
    if (problem != 0) {
        fail("write failed", problem, written.position_bytes, written.begin);
    } else {
        shared_.counters.bytes_written +=
            written.last_block_end_bytes(block_bytes_) - written.first_block_bytes(block_bytes_);
    }
    const bool is_good = !shared_.health.is_poisoned();
    const bool is_believed = planted(planted_bug::ack_before_sync) ||
                             (planted(planted_bug::sync_beside_write) && !sync_.is_running);
    if (is_good && is_plain && !is_believed) {
        written.phase = group_phase::written;
        CAISSON_ASSERT(awaiting_sync_count_ < awaiting_sync_.size());
        awaiting_sync_[awaiting_sync_count_++] = &written;
        sync_what_is_written();
        return;
    }
    // A DSYNC write covers its own bytes only. Earlier plain writes wait for their own sync;
    // acknowledgement is in order.
    written.phase = is_good ? group_phase::durable : group_phase::failed;
    sync_what_is_written();
    finish(written);
}

void segment_file::sync_what_is_written() {
    // One sync for all that is on its way: it costs the device as much as 100 KiB of data (measured
    // with 64 x 16 KiB), and those that are under way are bounded (groups_in_flight_max).
    if (awaiting_sync_count_ > 0 && plain_writes_in_flight_ == 0 && !sync_.is_running) {
        start_sync();
    }
}

std::uint64_t segment_file::request_sync() {
    if (sync_.is_running) {
        is_sync_requested_ = true;
        return syncs_started_ + 1;
    }
    start_sync();
    return syncs_started_;
}

void segment_file::start_sync() {
    CAISSON_ASSERT(!sync_.is_running);
    // Only what had completed when the sync is submitted is covered: never the group whose write is
    // still in flight.
    covered_by_sync_ =
        planted(planted_bug::sync_beside_write) ? groups_in_flight_ : awaiting_sync_count_;
    sync_.is_running = true;
    is_sync_requested_ = false;
    ++syncs_started_;
    shared_.counters.syncs_issued += 1;
    if (planted(planted_bug::dsync_taken_for_flush) && awaiting_sync_count_ > 0) {
        // Writes the last block of the last group again with DSYNC, as if that flushed what was
        // written before it.
        const group& newest = *awaiting_sync_[awaiting_sync_count_ - 1];
        const std::uint64_t end = newest.last_block_end_bytes(block_bytes_);
        const std::uint64_t in_buffer = end - newest.first_block_bytes(block_bytes_) - block_bytes_;
        file->start_write(sync_, newest.buffer.bytes().subspan(in_buffer, block_bytes_),
                          end - block_bytes_, io::write_mode::dsync);
        return;
    }
    file->start_sync(sync_);
}

void segment_file::sync_operation::ended(io::operation& self, std::int64_t outcome) noexcept {
    if (outcome != io::operation::abandoned) {
        static_cast<sync_operation&>(self).segment_->on_sync_ended(outcome);
    }
}

void segment_file::on_sync_ended(std::int64_t outcome) noexcept {
    sync_.is_running = false;
    ++syncs_ended_;
    if (outcome < 0) {
        fail("fdatasync failed", static_cast<int>(-outcome), end_bytes, begin);
    }
    const bool is_good = !shared_.health.is_poisoned();
    const std::uint32_t covered =
        is_good ? std::min(covered_by_sync_, awaiting_sync_count_) : awaiting_sync_count_;
    const auto waiting = awaiting_sync_;
    std::copy(awaiting_sync_.begin() + covered, awaiting_sync_.begin() + awaiting_sync_count_,
              awaiting_sync_.begin());
    awaiting_sync_count_ -= covered;
    covered_by_sync_ = 0;
    // Before anything is acknowledged: the device must not wait for those who hear of it.
    if (is_good && is_sync_requested_) {
        start_sync();
    } else {
        sync_what_is_written();
    }
    shared_.world.disk.submit();
    for (std::uint32_t k = 0; k < covered; ++k) {
        if (is_good) {
            waiting[k]->phase = group_phase::durable;
        }
        finish(*waiting[k]);
    }
    shared_.changed.notify_all();
}

void segment_file::finish(group& done) noexcept {
    CAISSON_ASSERT(groups_in_flight_ > 0);
    CAISSON_ASSERT(groups_unfinished > 0);
    --groups_in_flight_;
    --groups_unfinished;
    if (done.phase != group_phase::durable) {
        done.phase = group_phase::failed;
    }
    listener_.on_group_ended(done);
}

void segment_file::fail(const char* what, int problem, std::uint64_t position_bytes,
                        log_offset offset) noexcept {
    const error_code code = io::error_of(-problem);
    shared_.health.poison(failure(code, std::string(what) + ": " + code.message())
                              .in_file(name())
                              .at_byte(position_bytes)
                              .at_offset(offset)
                              .advise(advice_after(code)));
}

}  // namespace caisson::log_detail
