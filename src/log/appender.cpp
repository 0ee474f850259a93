// The driver of group_plan. Everything runs on home; completing an append may call back into this
// class, so every function leaves the object consistent before it completes anything.

#include "log/appender.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace caisson::log_detail {

appender::appender(log_shared& shared, recovered_log& recovered, void (*on_durable)(void*),
                   void* durable_listener)
    : shared_(shared),
      on_durable_(on_durable),
      durable_listener_(durable_listener),
      encoder_(shared, recovered),
      next_offset_(recovered.end),
      durable_end_(recovered.end),
      chain_(shared, *this, recovered.directory, *recovered.state, std::move(recovered.tail),
             encoder_.last(), std::move(recovered.segments), &appender::on_room_changed, this) {
    rules_.block_bytes = chain_.target().file->block_size_bytes();
    rules_.segment_size_bytes = round_down(shared.options.segment_size_bytes, rules_.block_bytes);
    rules_.alignment = shared.options.alignment;
    shared_.counters.appended_end = next_offset_.value();
    shared_.counters.durable_end = durable_end_.value();
}

appender::~appender() {
    // Left only after a simulated power cut or past the close deadline: nobody is to be called any
    // more.
    abandon_calls();
    closed_.take(left_);
    while (group* const each = closed_.pop()) {
        delete each;
    }
    delete gathering_;
}

void appender::abandon_calls() noexcept {
    append_queue left;
    left.take(waiting_);
    left.take(refused_);
    take_admitted(left);
    while (detail::append_operation* each = left.pop()) {
        each->abandon();
    }
}

bool appender::is_drained() const noexcept {
    return waiting_.is_empty() && refused_.is_empty() && left_.is_empty() && closed_.is_empty() &&
           gathering_ == nullptr;
}

log_offset appender::accepted_end() const noexcept {
    log_offset end = next_offset_;
    for (const detail::append_operation* each = waiting_.front(); each != nullptr;
         each = append_queue::after(*each)) {
        end += each->records;
    }
    return end;
}

// ---- admission

error_code appender::reason_of(admission refused) noexcept {
    CAISSON_ASSERT(refused != admission::done);
    CAISSON_ASSERT(refused != admission::wait);
    return refused == admission::no_space
               ? make_error_code(errc::no_space)
               : boost::system::errc::make_error_code(boost::system::errc::not_enough_memory);
}

error_code appender::refusal_of(const detail::append_operation& append) const noexcept {
    if (is_closed_) {
        return errc::closed;
    }
    if (shared_.health.is_poisoned()) {
        return errc::poisoned;
    }
    if (append.record_bytes_max > shared_.options.record_size_bytes_max) {
        return errc::record_too_large;
    }
    if (append.records > format::layout::commit_records_max ||
        append.framed_bytes > shared_.options.max_pending_bytes) {
        return errc::batch_too_large;
    }
    return {};
}

void appender::admit(detail::append_operation& append) {
    if (const error_code why = refusal_of(append)) {
        refuse(append, why);
        return;
    }
    if (append.records == 0) {
        append.begin = next_offset_;
        refuse(append, {});  // an empty batch: done, with an empty range
        return;
    }
    // Nobody overtakes those who wait.
    const admission outcome = waiting_.is_empty() ? try_admit(append) : admission::wait;
    if (outcome == admission::wait) {
        waiting_.push(append);
        shared_.counters.appends_waiting += 1;
        shared_.counters.appends_waited += 1;
    } else if (outcome != admission::done) {
        refuse(append, reason_of(outcome));
    }
    if (!closed_.is_empty()) {
        let_groups_leave();  // it is full: waiting for the end of the turn would win nothing
    }
    schedule_turn();
}

appender::admission appender::try_admit(detail::append_operation& append) {
    // A call larger than what is free waits, and is admitted alone once nothing is pending.
    if (pending_bytes_ > 0 &&
        pending_bytes_ + append.framed_bytes > shared_.options.max_pending_bytes) {
        return admission::wait;
    }
    gathering_facts gathering;
    if (gathering_ != nullptr) {
        gathering = {gathering_->position_bytes, gathering_->framed_bytes, gathering_->records};
    }
    segment_file& target = chain_.target();
    const append_facts wish{append.framed_bytes, append.records};
    const placement where = rules_.place(gathering, {target.end_bytes, target.has_commits}, wish);
    if (where == placement::new_segment) {
        if (!chain_.can_begin_next()) {
            return chain_.want_next() ? admission::wait : admission::no_space;
        }
        segment_file& next = *chain_.spare();
        const std::uint64_t end = next.end_bytes + group_rules::commit_bytes(append.framed_bytes);
        if (const admission room = ensure_room(next, end); room != admission::done) {
            return room;
        }
        close_gathering();
        if (!begin_group(chain_.begin_next(next_offset_), append.framed_bytes)) {
            return admission::no_memory;
        }
    } else {
        const std::uint64_t framed =
            (where == placement::join ? gathering.framed_bytes : 0) + append.framed_bytes;
        std::uint64_t begin =
            where == placement::join ? gathering.position_bytes : target.end_bytes;
        if (where == placement::new_group && gathering_ != nullptr) {
            const std::uint64_t closed = group_rules::commit_bytes(gathering.framed_bytes);
            begin = gathering.position_bytes + closed +
                    rules_.padding_bytes(gathering.position_bytes, closed);
        }
        // One block more than the commit: padding ends it on a boundary at most.
        if (const admission room = ensure_room(target, begin + group_rules::commit_bytes(framed));
            room != admission::done) {
            return room;
        }
        if (where == placement::new_group) {
            close_gathering();
            if (!begin_group(target, append.framed_bytes)) {
                return admission::no_memory;
            }
        } else if (!encoder_.reserve(*gathering_, framed, rules_.group_bytes_max)) {
            return admission::no_memory;
        }
    }
    gather(append);
    return admission::done;
}

appender::admission appender::ensure_room(segment_file& segment, std::uint64_t end_bytes) {
    if (chain_.is_active() && segment.has_room_until(end_bytes)) {
        return admission::done;
    }
    return chain_.want_room(segment, end_bytes) ? admission::wait : admission::no_space;
}

void appender::on_room_changed(void* self) {
    auto& mine = *static_cast<appender*>(self);
    mine.admit_waiting();
    mine.advance();
    mine.schedule_turn();
}

void appender::admit_waiting() {
    // Taken out before it is tried: admission links it into its group.
    while (detail::append_operation* first = waiting_.pop()) {
        const admission outcome = try_admit(*first);
        if (outcome == admission::wait) {
            waiting_.push_front(*first);
            return;
        }
        shared_.counters.appends_waiting -= 1;
        if (outcome != admission::done) {
            refuse(*first, reason_of(outcome));
        }
    }
}

void appender::withdraw(std::uint64_t ticket) {
    const auto is_it = [ticket](const detail::append_operation& each) {
        return each.ticket == ticket;
    };
    if (detail::append_operation* found = waiting_.remove_if(is_it)) {
        shared_.counters.appends_waiting -= 1;
        chain_.forget_wish();  // the turn asks anew for who waits first then
        refuse(*found, net::error::operation_aborted);
    }
}

void appender::refuse(detail::append_operation& append, error_code why) {
    refused_.push(append);
    refusals_.push_back(why);
    schedule_turn();
}

void appender::deliver_refusals() noexcept {
    // Completing may refuse more; those wait for the next turn.
    if (refused_.is_empty()) {
        return;
    }
    append_queue ready = std::exchange(refused_, {});
    std::vector<error_code> reasons = std::exchange(refusals_, {});
    for (std::size_t k = 0; detail::append_operation* each = ready.pop(); ++k) {
        if (reasons[k]) {
            each->complete(reasons[k]);
        } else {
            each->complete(append_receipt{each->begin, each->begin});
        }
    }
}

// ---- gathering

bool appender::begin_group(segment_file& segment, std::uint64_t framed_bytes) {
    CAISSON_ASSERT(gathering_ == nullptr);
    std::unique_ptr<group> fresh;
    if (free_groups_.empty()) {
        fresh = std::make_unique<group>();
    } else {
        fresh = std::move(free_groups_.back());
        free_groups_.pop_back();
    }
    fresh->segment = &segment;
    fresh->position_bytes = segment.end_bytes;
    fresh->framed_bytes = fresh->records = fresh->padding_bytes = fresh->commit_bytes = 0;
    fresh->begin = next_offset_;
    fresh->phase = group_phase::gathering;
    fresh->next = nullptr;
    if (!encoder_.reserve(*fresh, framed_bytes, rules_.group_bytes_max)) {
        free_groups_.push_back(std::move(fresh));
        return false;
    }
    gathering_ = fresh.release();
    ++segment.groups_unfinished;
    return true;
}

void appender::gather(detail::append_operation& append) {
    append.begin = next_offset_;
    encoder_.add(*gathering_, append);
    gathering_->appends.push(append);
    next_offset_ += append.records;
    pending_bytes_ += append.framed_bytes;
    ++admitted_appends_;
    shared_.counters.records_appended += append.records;
    shared_.counters.payload_bytes_appended +=
        append.framed_bytes - append.records * detail::record_frame_bytes;
    shared_.counters.appended_end = next_offset_.value();
    shared_.counters.pending_bytes = pending_bytes_;
}

void appender::close_gathering() {
    if (gathering_ == nullptr) {
        return;
    }
    group& closing = *std::exchange(gathering_, nullptr);
    const std::uint64_t unpadded = group_rules::commit_bytes(closing.framed_bytes);
    closing.padding_bytes = rules_.padding_bytes(closing.position_bytes, unpadded);
    closing.commit_bytes = unpadded + closing.padding_bytes;
    closing.phase = group_phase::closed;
    closing.segment->end_bytes = closing.position_bytes + closing.commit_bytes;
    closing.segment->has_commits = true;
    closed_.push(closing);
}

// ---- leaving

void appender::schedule_turn() {
    if (turn_is_scheduled_) {
        return;
    }
    // At the end of the loop's turn, after every handler that is ready now: what they append leaves
    // together.
    turn_is_scheduled_ = true;
    // The turn keeps the log alive: a completion in it may drop the last handle.
    net::post(shared_.world.home, [this, log = shared_.owner.lock()] {
        if (log != nullptr) {
            end_of_turn();
        }
    });
}

void appender::end_of_turn() noexcept {
    turn_is_scheduled_ = false;
    deliver_refusals();
    admit_waiting();
    let_groups_leave();
    if (is_closed_) {
        shared_.changed.notify_all();  // close waits until everything was delivered
    }
}

void appender::adapt_to_load() noexcept {
    threshold_.observe(pending_bytes_);
    shared_.counters.group_threshold_bytes = threshold_.bytes();
    rules_.group_bytes_max =
        std::max(threshold_.bytes(), padded_blocks_min * std::uint64_t{rules_.block_bytes});
    chain_.expect_groups_of(threshold_.bytes());
}

bool appender::may_leave(const group& oldest) const noexcept {
    const std::uint64_t size = oldest.phase == group_phase::closed
                                   ? oldest.commit_bytes
                                   : group_rules::commit_bytes(oldest.framed_bytes);
    const bool shares_block = last_left_ != nullptr && last_left_->segment == oldest.segment &&
                              oldest.position_bytes % rules_.block_bytes != 0;
    return group_rules::may_leave(in_flight_, shares_block, oldest.phase == group_phase::closed,
                                  size, threshold_.bytes());
}

void appender::let_groups_leave() {
    bool has_submitted = false;
    while (!shared_.health.is_poisoned()) {
        group* const oldest = closed_.is_empty() ? gathering_ : closed_.front();
        if (oldest == nullptr || !may_leave(*oldest)) {
            break;
        }
        if (oldest == gathering_) {
            close_gathering();
        }
        if (oldest->segment->is_being_zeroed(*oldest)) {
            break;  // the end of the zero-write schedules another turn
        }
        closed_.pop();
        encoder_.finish(*oldest, durable_end_);
        left_.push(*oldest);
        last_left_ = oldest;
        ++in_flight_;
        adapt_to_load();
        oldest->segment->start(*oldest);
        has_submitted = true;
    }
    if (has_submitted) {
        shared_.counters.groups_in_flight = in_flight_;
        shared_.world.disk.submit();
        chain_.on_progress();
    }
}

// ---- completion

void appender::on_group_ended(group& done) noexcept {
    CAISSON_ASSERT(in_flight_ > 0);
    --in_flight_;
    shared_.counters.groups_in_flight = in_flight_;
    if (last_left_ == &done) {
        last_left_ = nullptr;
    }
    if (!done.is_prepared && !done.segment->is_always_synced()) {
        shared_.counters.appends_outran_preparation += done.records;
    }
    advance();
    shared_.changed.notify_all();
    schedule_turn();
    chain_.on_progress();
}

void appender::advance() noexcept {
    if (shared_.health.is_poisoned()) {
        fail_all();
        return;
    }
    std::uint64_t acknowledged = 0;
    const std::uint64_t admitted_before = admitted_appends_;
    while (!left_.is_empty() && left_.front()->phase == group_phase::durable &&
           left_.front()->segment->is_named) {
        acknowledged += acknowledge(*left_.pop());
    }
    if (acknowledged == 0) {
        return;
    }
    on_durable_(durable_listener_);
    if (admitted_appends_ - admitted_before >= acknowledged) {
        // Everybody who was resumed has appended again: the end of the turn would bring nobody.
        let_groups_leave();
    }
}

std::uint64_t appender::acknowledge(group& durable) noexcept {
    CAISSON_ASSERT(durable.begin == durable_end_);
    durable_end_ = durable.end();
    pending_bytes_ -= durable.framed_bytes;
    shared_.counters.durable_end = durable_end_.value();
    shared_.counters.pending_bytes = pending_bytes_;
    append_queue ready = std::exchange(durable.appends, {});
    release(durable);
    // From here on nothing of this object is assumed: each completion may append, close or
    // withdraw.
    std::uint64_t completed = 0;
    while (detail::append_operation* each = ready.pop()) {
        const append_receipt receipt{each->begin, each->begin + each->records};
        each->complete(receipt);
        ++completed;
    }
    return completed;
}

void appender::release(group& done) noexcept {
    shared_.buffers.give_back(std::move(done.buffer));
    done.segment = nullptr;
    free_groups_.emplace_back(&done);
}

void appender::drop(group& unsent) noexcept {
    --unsent.segment->groups_unfinished;
    release(unsent);
}

// In the order of their offsets.
void appender::take_admitted(append_queue& into) noexcept {
    for (const group_queue& each : {left_, closed_}) {
        for (group* from = each.front(); from != nullptr; from = group_queue::after(*from)) {
            into.take(from->appends);
        }
    }
    if (gathering_ != nullptr) {
        into.take(gathering_->appends);
    }
}

void appender::fail_all() {
    append_queue unknown;
    take_admitted(unknown);
    while (detail::append_operation* each = unknown.pop()) {
        refuse(*each, errc::outcome_unknown);
    }
    while (detail::append_operation* each = waiting_.pop()) {
        shared_.counters.appends_waiting -= 1;
        refuse(*each, errc::poisoned);
    }
    // Groups the kernel has stay: their buffers are not ours until their completion. The others go.
    while (group* const each = closed_.pop()) {
        drop(*each);
    }
    if (gathering_ != nullptr) {
        drop(*std::exchange(gathering_, nullptr));
    }
    group_queue kept;
    while (group* const each = left_.pop()) {
        if (each->phase == group_phase::writing || each->phase == group_phase::written) {
            kept.push(*each);
        } else {
            release(*each);
        }
    }
    left_ = kept;
    on_durable_(durable_listener_);
    schedule_turn();
}

}  // namespace caisson::log_detail
