// One turn of the ring: give the kernel what was prepared, take what arrived, arm the wake-up, then
// run completions. The wake-up is armed only while the kernel owns something, so that the home
// context can run out of work.

#include "base/aligned_buffer.hpp"
#include "base/assert.hpp"
#include "uring/ring_internal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <poll.h>
#include <unistd.h>

namespace caisson::uring {

namespace {

/// How often one turn goes back to the kernel before it lets other handlers run.
constexpr int rounds_per_turn_max = 8;

void empty_event(int descriptor) noexcept {
    std::uint64_t count = 0;
    while (::read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

/// Between "signal me" and "is there something already": neither may be seen before the other.
void full_fence() noexcept {
#if defined(CAISSON_TSAN)
    static std::atomic<int> stand_in;  // the sanitizer does not know fences
    stand_in.fetch_add(1, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace

ring::entered ring::enter(bool get_events) {
    constexpr int interruptions_max = 16;
    for (int attempt = 0; attempt < interruptions_max; ++attempt) {
        ++facts_.enters;
        const int taken = get_events ? port_->submit_and_get_events() : port_->submit();
        if (taken >= 0) {
            // With get_events the value counts submissions only.
            const unsigned submitted = std::min(static_cast<unsigned>(taken), unsubmitted_);
            unsubmitted_ -= submitted;
            facts_.submissions += submitted;
            if (unsubmitted_ == 0 || submitted == 0) {
                return unsubmitted_ == 0 ? entered::well : entered::again;
            }
            continue;  // it stopped in the middle: the rest is still queued
        }
        if (taken == -EINTR) {
            ++facts_.enter_retries;
            continue;
        }
        if (taken == -EAGAIN || taken == -EBUSY) {
            ++facts_.enter_retries;
            return entered::again;
        }
        break_down(-taken);
        return entered::broken;
    }
    return entered::again;
}

void ring::collect() {
    std::array<arrival, 64> batch;
    while (true) {
        const std::size_t count = port_->take(batch);
        for (std::size_t i = 0; i < count; ++i) {
            const arrival& came = batch[i];
            ++facts_.arrivals;
            CAISSON_ASSERT(kernel_owns_ > 0);
            --kernel_owns_;
            if ((came.id & cancel_mark) != 0) {
                // found, not found, too late: the operation's own completion is what counts
                continue;
            }
            const std::size_t index = (came.id >> 1) & 0xffff'ffffU;
            CAISSON_ASSERT(index < request_chunks_.size() * requests_per_chunk);
            request& done = request_chunks_[index / requests_per_chunk][index % requests_per_chunk];
            take_from_kernel(&done);
            CAISSON_ASSERT(done.id() == came.id);
            finish(&done, came.outcome);
        }
        if (count < batch.size()) {
            return;
        }
    }
}

void ring::exchange_with_kernel() {
    for (int round = 0; round < rounds_per_turn_max && !is_broken(); ++round) {
        prepare_waiting();
        if (port_->has_overflow()) {
            ++facts_.cq_overflow;
        }
        const bool must_enter = unsubmitted_ > 0 || port_->needs_enter();
        const entered result = must_enter ? enter(true) : entered::well;
        if (result == entered::broken) {
            return;
        }
        const std::uint64_t before = facts_.arrivals;
        collect();
        const bool progressed = facts_.arrivals != before;
        if (result == entered::again && !progressed) {
            retry_later();
            return;
        }
        if (!progressed && unsubmitted_ == 0) {
            return;
        }
    }
    if (!is_broken() && (unsubmitted_ > 0 || port_->needs_enter())) {
        post_turn();
    }
}

void ring::service() {
    if (!is_broken()) {
        // Our own enter would signal each completion that it brings.
        port_->notify(false);
        exchange_with_kernel();
        arm();
        port_->notify(true);
        full_fence();
        if (kernel_owns_ > 0 && (port_->needs_enter() || port_->has_arrivals())) {
            post_turn();
        }
    }
    run_finished();
    disarm();
}

void ring::run_finished() {
    // What is finished now and no more: a broken ring whose operations are started again must not
    // hold the loop. One at a time from the shared list, because a completion may drain the ring.
    const request* const last = finished_.back();
    for (bool is_last = false; !is_last && !finished_.is_empty();) {
        request* const done = finished_.pop();
        is_last = done == last;
        io::operation& op = *done->op;
        const std::int64_t outcome = done->outcome;
        free_request(done);
        --operations_in_flight_;
        op.complete(outcome);
    }
}

void ring::submit() {
    if (!is_on_home_thread() || is_broken() || is_abandoned_) {
        return;
    }
    prepare_waiting();
    if (unsubmitted_ == 0) {
        return;
    }
    arm();  // first: the signal of a completion that comes before would be lost
    if (enter(false) == entered::again) {
        post_turn();
    }
}

/// Ends everything. The kernel may go on with what it has taken, but this process will not hear of
/// it: the callers' operations end, and the ring says that it is not idle, so that memory is leaked
/// and not reused after closing.
void ring::break_down(int error_number) {
    broken_errno_ = error_number;
    if (state_->logger) {
        state_->logger->error("io_uring failed for good: {}; every operation in flight fails",
                              std::generic_category().message(error_number));
    }
    collect();
    kernel_owns_ -= unsubmitted_;
    unsubmitted_ = 0;
    if (kernel_owns_ > 0) {
        aligned_buffer::keep_all();
    }
    while (request* const waiting = waiting_.pop()) {
        finish(waiting, -error_number);
    }
    for (const auto& chunk : request_chunks_) {
        for (std::size_t i = 0; i < requests_per_chunk; ++i) {
            if (chunk[i].now == request::state::in_kernel) {
                finish(&chunk[i], -error_number);
            }
        }
    }
    post_turn();
}

void ring::wait(std::chrono::nanoseconds timeout) {
    if (!is_on_home_thread()) {
        return;
    }
    empty_event(port_->event_descriptor());
    const std::uint64_t before = facts_.arrivals;
    service();
    if (facts_.arrivals != before || kernel_owns_ == 0 || is_broken() || port_->needs_enter()) {
        return;
    }
    pollfd event{port_->event_descriptor(), POLLIN, 0};
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    ::poll(&event, 1, static_cast<int>(std::clamp<std::int64_t>(milliseconds, 1, 1000)));
    service();
}

}  // namespace caisson::uring
