// The ring's home and its operations: who may start what, where it waits, and how a later turn is
// asked for. What goes on with the kernel in a turn stands in ring_exchange.cpp.

#include "uring/ring.hpp"

#include "uring/ring_internal.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <cerrno>
#include <mutex>
#include <new>

namespace caisson::uring {

static_assert(wrong_thread_outcome == -ENOTUNIQ);

namespace {

/// Rings that the kernel may still write to: reachable to the end of the process, freed by nobody.
void keep_for_ever(std::unique_ptr<ring_port> port) {
    static std::mutex mutex;
    static auto* const kept = new std::vector<std::unique_ptr<ring_port>>;
    const std::lock_guard lock(mutex);
    kept->push_back(std::move(port));
}

}  // namespace

ring::ring(net::io_context& home, std::unique_ptr<ring_port> port,
           std::shared_ptr<async::home_thread> thread, std::shared_ptr<spdlog::logger> logger)
    : state_(std::make_shared<shared_state>(home.get_executor(), std::move(thread),
                                            std::move(logger))),
      executor_(home.get_executor()),
      port_(std::move(port)),
      event_(home),
      retry_timer_(home) {
    state_->owner = this;
    boost::system::error_code failed;
    event_.assign(port_->event_descriptor(), failed);
    broken_errno_ = failed.value();
    const ring_port::agreement& agreed = port_->agreed();
    facts_.flags = agreed.flags;
    facts_.features = agreed.features;
    facts_.sq_entries = agreed.sq_entries;
    facts_.cq_entries = agreed.cq_entries;
    facts_.file_slots = agreed.file_slots;
    facts_.why_no_files = agreed.why_no_files;
    facts_.why_no_buffers = agreed.why_no_buffers;
    publish_description();
}

ring::~ring() {
    leave_home();
    if (is_abandoned_ || !is_idle()) {
        keep_for_ever(std::move(port_));
    }
}

/// No turn runs any more, and the home context has nothing of this ring to wait for.
void ring::leave_home() noexcept {
    state_->owner = nullptr;
    if (event_.is_open()) {
        event_.release();  // the port closes it
    }
    retry_timer_.cancel();
}

void ring::abandon() noexcept {
    is_abandoned_ = true;
    leave_home();
}

bool ring::is_on_home_thread() const noexcept { return state_->thread->is_this() && is_bound_; }

bool ring::claim_home() {
    if (!state_->thread->claim()) {
        return false;
    }
    if (!std::exchange(is_bound_, true)) {
        if (const int enabled = port_->enable(); enabled < 0) {
            break_down(-enabled);
        }
    }
    return true;
}

bool ring::admit(io::operation& op) {
    if (claim_home()) {
        return true;
    }
    post_outcome(op, wrong_thread_outcome);
    return false;
}

void ring::post_outcome(io::operation& op, std::int64_t outcome) {
    net::post(executor_, [state = state_, &op, outcome] {
        io::at_home(state->thread, state->executor, [&op, outcome] { op.complete(outcome); });
    });
}

void ring::post_turn() {
    if (is_turn_posted_) {
        return;
    }
    is_turn_posted_ = true;
    auto turn = [state = state_] {
        on_home(state, [](ring& self) {
            self.is_turn_posted_ = false;
            self.service();
        });
    };
    net::post(executor_, net::bind_allocator(async::handler_allocator<void>(state_->turn_memory),
                                             std::move(turn)));
}

void ring::retry_later() {
    if (is_retry_pending_) {
        return;
    }
    is_retry_pending_ = true;
    retry_timer_.expires_after(retry_delay);
    retry_timer_.async_wait([state = state_](boost::system::error_code) {
        on_home(state, [](ring& self) {
            self.is_retry_pending_ = false;
            self.service();
        });
    });
}

void ring::arm() {
    if (is_armed_ || kernel_owns_ == 0 || is_broken()) {
        return;
    }
    is_armed_ = true;
    // Reading beats waiting for readability: Asio tries a read at once, which costs one failing
    // system call, where a wait modifies the epoll set and leaves the counter to be reset by us.
    // Measured: the wait alone, without the reset, fires for ever.
    auto woken = [state = state_](boost::system::error_code cancelled, std::size_t) {
        on_home(state, [cancelled](ring& self) {
            self.is_armed_ = false;
            if (cancelled) {
                self.arm();  // something was started since; a signal is still in the counter
                return;
            }
            ++self.facts_.wakeups;
            self.service();
        });
    };
    event_.async_read_some(
        net::buffer(&state_->event_count, sizeof state_->event_count),
        net::bind_allocator(async::handler_allocator<void>(state_->read_memory), std::move(woken)));
}

/// Without this a read armed for completions that a posted turn has taken would keep the home
/// context running.
void ring::disarm() {
    if (is_armed_ && (kernel_owns_ == 0 || is_broken()) && !is_turn_posted_) {
        event_.cancel();
    }
}

ring::request* ring::allocate_request() {
    if (free_.is_empty()) {
        std::unique_ptr<request[]> chunk(new (std::nothrow) request[requests_per_chunk]);
        if (!chunk) {
            return nullptr;
        }
        const auto first_index =
            static_cast<std::uint32_t>(request_chunks_.size() * requests_per_chunk);
        for (std::uint32_t i = 0; i < requests_per_chunk; ++i) {
            chunk[i].index = first_index + i;
            free_.push(chunk[i]);
        }
        request_chunks_.push_back(std::move(chunk));
    }
    return free_.pop();
}

void ring::free_request(request* freed) noexcept {
    freed->generation = (freed->generation + 1) & 0x7fff'ffffU;
    freed->now = request::state::free;
    freed->is_cancelled = false;
    freed->op = nullptr;
    // Last freed, first used: the hottest in the cache.
    free_.push_front(*freed);
}

void ring::finish(request* done, std::int64_t outcome) noexcept {
    done->now = request::state::finished;
    done->outcome = outcome;
    finished_.push(*done);
}

/// A request for `op`; null: it ends with an error, in a turn of its own.
ring::request* ring::begin(io::operation& op) {
    if (!admit(op)) {
        return nullptr;
    }
    request* const added = allocate_request();
    if (added == nullptr) {
        post_outcome(op, -ENOMEM);
        return nullptr;
    }
    ++operations_in_flight_;
    added->op = &op;
    op.slot.object = added;
    return added;
}

void ring::start(io::operation& op, submission what) {
    request* const added = begin(op);
    if (added == nullptr) {
        return;
    }
    added->what = what;
    added->what.id = added->id();
    if (is_abandoned_) {
        added->now = request::state::waiting;
        waiting_.push(*added);
        return;
    }
    post_turn();
    if (!is_broken() && waiting_.is_empty()) {
        if (try_prepare(added->what)) {
            added->now = request::state::in_kernel;
            pass_to_kernel(added);
            return;
        }
        if (kernel_owns_ >= facts_.cq_entries) {
            ++facts_.cq_full;
        }
    }
    if (is_broken()) {
        finish(added, -broken_errno_);
        return;
    }
    added->now = request::state::waiting;
    waiting_.push(*added);
}

void ring::fail(io::operation& op, std::int64_t outcome) {
    request* const added = begin(op);
    if (added == nullptr) {
        return;
    }
    finish(added, outcome);
    if (!is_abandoned_) {
        post_turn();
    }
}

/// False when the kernel's queues have no room now.
bool ring::try_prepare(const submission& what) {
    if (kernel_owns_ >= facts_.cq_entries) {
        return false;
    }
    if (!port_->prepare(what)) {
        ++facts_.sq_full;
        // Submitting makes room; what goes wrong with it shows itself in the next turn.
        arm();
        if (enter(false) != entered::well || !port_->prepare(what)) {
            return false;
        }
    }
    ++kernel_owns_;
    ++unsubmitted_;
    return true;
}

void ring::prepare_waiting() {
    while (!waiting_.is_empty() && !is_broken() && try_prepare(waiting_.front()->what)) {
        request* const moved = waiting_.pop();
        moved->now = request::state::in_kernel;
        pass_to_kernel(moved);
    }
}

void ring::request_cancel(request& target) {
    submission what;
    what.code = opcode::cancel;
    what.id = target.what.id | cancel_mark;
    what.cancel_id = target.what.id;
    // Without room the wish is dropped: it is a hint, and the operation ends by itself.
    try_prepare(what);
}

void ring::cancel(io::operation& op) {
    if (!is_on_home_thread() || is_abandoned_) {
        return;
    }
    request* const target = static_cast<request*>(op.slot.object);
    if (target == nullptr || target->op != &op) {
        return;  // it has just completed
    }
    switch (target->now) {
    case request::state::waiting:
        waiting_.remove_if([target](const request& each) { return &each == target; });
        finish(target, -ECANCELED);
        post_turn();
        break;
    case request::state::in_kernel:
        if (!std::exchange(target->is_cancelled, true)) {
            request_cancel(*target);
            post_turn();
        }
        break;
    case request::state::finished:
    case request::state::free: break;
    }
}

}  // namespace caisson::uring
