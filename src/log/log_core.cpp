// Arrival, waiting and closing. Completions of waits are delivered in a turn of their own, never
// inside the call that settled them.

#include "log/log_core.hpp"

#include "base/assert.hpp"
#include "base/keep.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace caisson::log_detail {

log_core::log_core(std::shared_ptr<async::home_gate> gate, std::shared_ptr<home_entry> entry,
                   io::environment& world, buffer_pool& buffers, const log_options& options,
                   std::string path, recovered_log recovered, log_owner& owner,
                   std::chrono::nanoseconds close_deadline)
    : gate_(std::move(gate)),
      entry_(std::move(entry)),
      shared_(world, options, std::move(path), buffers),
      recovered_(std::move(recovered)),
      owner_(owner),
      tasks_(shared_.world.home),
      deadline_(shared_.world.clock, &log_core::on_deadline, this),
      close_deadline_(close_deadline) {
    native_from_ = recovered_.state->current().native_from;
    shared_.counters.begin = recovered_.begin.value();
    shared_.counters.segments = recovered_.segments.size();
    shared_.counters.clock_ahead_us = recovered_.report.clock_ahead_us;
    if (recovered_.report.clock_ahead_us > 0 && shared_.world.logger) {
        shared_.world.logger->warn("{}: the timestamp of the last commit lies {:.6f} s ahead of "
                                   "the wall clock: new commits "
                                   "keep it until the clock has caught up",
                                   shared_.path,
                                   static_cast<double>(recovered_.report.clock_ahead_us) / 1e6);
    }
    shared_.options.report = nullptr;  // the caller's, and his again once open has completed
    appender_ = std::make_unique<appender>(shared_, recovered_, &log_core::on_durable, this);
    shared_.health.set_listener(&log_core::on_poisoned, this);
}

log_core::~log_core() {
    // Closed, a log may outlive its engine in somebody's handle: then the world is not asked.
    if (!is_closed()) {
        CAISSON_ASSERT(shared_.world.disk.powered_off());
        tasks_.abandon();
    }
    abandon_calls();
}

void log_core::abandon_calls() noexcept {
    appender_->abandon_calls();
    for (detail::wait_operation* left : std::exchange(waits_, {})) {
        left->abandon();
    }
    for (const settled_wait& left : std::exchange(settled_, {})) {
        left.operation->abandon();
    }
    for (detail::close_operation* left : std::exchange(closers_, {})) {
        left->abandon();
    }
}

log_stats log_core::stats() const noexcept {
    const log_counters& from = shared_.counters;
    log_stats now;
    now.begin = log_offset{from.begin};
    now.durable_end = log_offset{from.durable_end};
    now.appended_end = log_offset{from.appended_end};
    now.records_appended = from.records_appended;
    now.payload_bytes_appended = from.payload_bytes_appended;
    now.commits_written = from.commits_written;
    now.bytes_written = from.bytes_written;
    now.padding_bytes_written = from.padding_bytes_written;
    now.zero_bytes_written = from.zero_bytes_written;
    now.syncs_issued = from.syncs_issued;
    now.groups_in_flight = from.groups_in_flight;
    now.group_threshold_bytes = from.group_threshold_bytes;
    now.pending_bytes = from.pending_bytes;
    now.appends_waiting = from.appends_waiting;
    now.appends_waited = from.appends_waited;
    now.appends_outran_preparation = from.appends_outran_preparation;
    now.segments = from.segments;
    now.rotations = from.rotations;
    now.clock_ahead_us = from.clock_ahead_us;
    now.poisoned = from.poisoned != 0;
    now.out_of_space = from.out_of_space != 0;
    return now;
}

// ---- operations

void log_core::append(detail::append_operation& operation) { appender_->admit(operation); }

void log_core::wait(detail::wait_operation& operation) {
    if (phase_ != phase::open) {
        finish_later(operation, errc::closed);
    } else if (operation.target_end <= appender_->durable_end()) {
        finish_later(operation, {});
    } else if (shared_.health.is_poisoned()) {
        finish_later(operation, errc::poisoned);
    } else {
        // What is appended is always on its way: at level local a waiter has nothing to set in
        // motion.
        waits_.push_back(&operation);
    }
}

void log_core::cancel(std::uint64_t ticket) {
    appender_->withdraw(ticket);
    const auto found =
        std::find_if(waits_.begin(), waits_.end(), [ticket](const detail::wait_operation* each) {
            return each->ticket == ticket;
        });
    if (found != waits_.end()) {
        detail::wait_operation& cancelled = **found;
        waits_.erase(found);
        finish_later(cancelled, net::error::operation_aborted);
    }
}

void log_core::on_durable(void* self) {
    auto& mine = *static_cast<log_core*>(self);
    if (!mine.waits_.empty()) {
        mine.complete_waits();
    }
}

void log_core::complete_waits() {
    const log_offset durable = appender_->durable_end();
    const bool is_poisoned = shared_.health.is_poisoned();
    std::erase_if(waits_, [&](detail::wait_operation* each) {
        if (each->target_end <= durable) {
            finish_later(*each, {});
        } else if (is_poisoned) {
            finish_later(*each, errc::poisoned);
        } else {
            return false;
        }
        return true;
    });
}

void log_core::finish_later(detail::wait_operation& operation, error_code why) {
    settled_.push_back({&operation, why});
    deliver_later();
}

void log_core::deliver_later() {
    if (!std::exchange(delivery_is_scheduled_, true)) {
        net::post(shared_.world.home, [self = shared_from_this()] { self->deliver(); });
    }
}

void log_core::deliver() noexcept {
    delivery_is_scheduled_ = false;
    const bool ends = phase_ == phase::ended;
    if (ends && !has_given_up_ && tasks_.running() > 0) {
        deliver_later();  // the frame of the coroutine that closed is not quite gone
        return;
    }
    // Every call is answered before the log counts as closed. From here on an answer may do
    // anything: append again, drop the last handle (this turn keeps the log), destroy the engine.
    if (ends) {
        appender_->deliver_refusals();
    }
    for (const settled_wait& each : std::exchange(settled_, {})) {
        if (each.why) {
            each.operation->complete(each.why);
        } else {
            each.operation->complete(success());
        }
    }
    if (ends) {
        phase_ = phase::closed;
        is_closed_.store(true, std::memory_order_release);
        owner_.on_log_closed(*this);
    }
    if (phase_ == phase::closed) {
        for (detail::close_operation* each : std::exchange(closers_, {})) {
            each->complete(close_outcome_);
        }
    }
}

void log_core::on_poisoned(void* self) {
    auto& mine = *static_cast<log_core*>(self);
    mine.shared_.counters.poisoned = 1;
    if (mine.shared_.world.logger) {
        mine.shared_.world.logger->error("{}", mine.shared_.health.cause()->message());
    }
    mine.appender_->fail_all();
    mine.shared_.changed.notify_all();
}

// ---- closing
//
//   open ------> closing ------> ended ------> closed
//        begin_close     |             deliver, in a turn of its own
//                        +- the coroutine close_log: drained, settled, files and lock given up
//                        +- give_up: the deadline has passed, the log's own or the engine's
//
// The coroutine may hang at any step on a device that does not answer; nothing waits for it but the
// deadline. Whichever comes first decides, the other one changes nothing any more.

void log_core::close(detail::close_operation& operation) {
    closers_.push_back(&operation);
    if (phase_ == phase::closed) {
        deliver_later();
    } else {
        begin_close();
    }
}

void log_core::handle_lost() {
    if (phase_ == phase::open) {
        if (shared_.world.logger) {
            shared_.world.logger->warn(
                "{}: the log's handle was destroyed without async_close; closing", shared_.path);
        }
        begin_close();
    }
}

void log_core::begin_close() {
    if (phase_ != phase::open) {
        return;
    }
    phase_ = phase::closing;
    deadline_.start(close_deadline_);
    appender_->stop_intake();
    const log_offset promised_end = appender_->accepted_end();
    for (detail::wait_operation* each : std::exchange(waits_, {})) {
        if (each->target_end <= promised_end && !shared_.health.is_poisoned()) {
            // Accepted appends are finished, so this wait ends by itself; or with the close, if
            // what waits for room is refused.
            waits_.push_back(each);
        } else {
            finish_later(*each, errc::closed);
        }
    }
    close_clients();
    tasks_.spawn(close_log());
}

void log_core::on_idle() noexcept {
    readers_are_gone_ = true;
    shared_.changed.notify_all();
}

net::awaitable<void> log_core::close_log() {
    co_await drain();
    detailed<void> outcome = success();
    if (!has_given_up_) {
        outcome = co_await settle();
    }
    deadline_.stop();
    while (deadline_.is_running()) {
        co_await shared_.changed.wait();
    }
    if (has_given_up_) {
        co_return;  // too late: everything stays as it is
    }
    release();
    if (outcome) {
        end_close(success());
    } else {
        shared_.health.poison(outcome.error());
        end_close(outcome.error().code());
    }
}

net::awaitable<void> log_core::drain() {
    while ((!appender_->is_drained() || !readers_are_gone_) && !has_given_up_) {
        co_await shared_.changed.wait();
    }
}

net::awaitable<detailed<void>> log_core::settle() {
    co_await appender_->chain().stop();
    if (const auto cause = shared_.health.cause()) {
        co_return *cause;  // nothing is cut or marked: recovery shall look at what the disk holds
    }
    co_return co_await appender_->chain().finish();
}

void log_core::release() noexcept {
    // The files and STATE first, the lock last: a successor must not meet our writes. Nothing is in
    // flight any more.
    appender_->chain().release_files();
    recovered_.state.reset();
    recovered_.directory.spare.reset();
    recovered_.directory.lock.reset();
    recovered_.directory.root.reset();
}

void log_core::on_deadline(void* self) {
    auto& mine = *static_cast<log_core*>(self);
    if (mine.deadline_.has_passed()) {
        mine.give_up();
    }
    mine.shared_.changed.notify_all();
}

void log_core::give_up() {
    if (phase_ != phase::closing || has_given_up_) {
        return;
    }
    has_given_up_ = true;
    keep(shared_from_this());
    deadline_.stop();
    // Answers what was admitted, unless a failure has already.
    shared_.health.poison(
        failure(errc::outcome_unknown, "the device did not answer before the close deadline")
            .in_file(shared_.path)
            .advise("the directory stays locked until this process ends"));
    shared_.changed.notify_all();
    end_close(errc::outcome_unknown);
}

void log_core::end_close(result<void> outcome) {
    CAISSON_ASSERT(phase_ == phase::closing);
    close_outcome_ = std::move(outcome);
    phase_ = phase::ended;
    complete_waits();
    for (detail::wait_operation* each : std::exchange(waits_, {})) {
        finish_later(*each, errc::closed);
    }
    deliver_later();
}

// ---- read_source

std::optional<log_offset> log_core::durable_end() const noexcept {
    return appender_->durable_end();
}

std::optional<segment_place> log_core::locate(log_offset offset) const noexcept {
    const std::vector<log_offset>& named = appender_->chain().named_segments();
    const auto after = std::upper_bound(named.begin(), named.end(), offset);
    if (after == named.begin()) {
        return std::nullopt;
    }
    segment_place place{*std::prev(after), std::nullopt};
    if (after != named.end()) {
        place.next = *after;
    }
    return place;
}

log_lineage log_core::lineage() const noexcept {
    log_lineage mine;
    mine.log_id = recovered_.log_id;
    mine.native_from = native_from_;
    return mine;
}

std::optional<std::uint32_t> log_core::crc_before(log_offset segment) const noexcept {
    return format::crc_before(recovered_.state->current(), segment);
}

io::task<void> log_core::refresh() { co_return success(); }

io::task<bool> log_core::state_contradicts(segment_end) { co_return false; }

}  // namespace caisson::log_detail
