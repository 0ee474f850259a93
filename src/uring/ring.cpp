// How operations go through the ring. One turn: give the kernel what was prepared, take what arrived, arm the wake-up,
// then run completions. The wake-up is armed only while the kernel owns something, so that the home context can run out
// of work.

#include "uring/ring.hpp"

#include "base/assert.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <spdlog/logger.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <system_error>

#include <poll.h>
#include <unistd.h>

// The ring is invisible to ThreadSanitizer: it would take an operation that went through the kernel for a race.
#if defined(__SANITIZE_THREAD__)
#define CAISSON_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAISSON_TSAN 1
#endif
#endif
#if defined(CAISSON_TSAN)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace caisson::uring {

static_assert(wrong_thread_outcome == -ENOTUNIQ);

namespace {

constexpr std::size_t requests_per_chunk = 256;
/// Longest single transfer: the kernel's MAX_RW_COUNT for 4 KiB pages. Longer ones come back short.
constexpr std::size_t transfer_bytes_max = 0x7ffff000;
/// How often one turn goes back to the kernel before it lets other handlers run.
constexpr int rounds_per_turn_max = 8;
/// The kernel had no memory and nothing is in flight whose completion would wake us.
constexpr auto retry_delay = std::chrono::milliseconds(1);

constexpr std::uint64_t cancel_mark = 1;

void empty_event(int descriptor) noexcept {
    std::uint64_t count = 0;
    while (::read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

void pass_to_kernel([[maybe_unused]] void* what) noexcept {
#if defined(CAISSON_TSAN)
    __tsan_release(what);
#endif
}
void take_from_kernel([[maybe_unused]] void* what) noexcept {
#if defined(CAISSON_TSAN)
    __tsan_acquire(what);
#endif
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

/// Identity of a thread that no later thread inherits, as std::thread::id may be.
std::uint64_t this_thread() noexcept {
    static std::atomic<std::uint64_t> last{0};
    thread_local const std::uint64_t mine = last.fetch_add(1, std::memory_order_relaxed) + 1;
    return mine;
}

/// Rings that the kernel may still write to: reachable to the end of the process, freed by nobody.
void keep_for_ever(std::unique_ptr<ring_port> port) {
    static std::mutex mutex;
    static auto* const kept = new std::vector<std::unique_ptr<ring_port>>;
    const std::lock_guard lock(mutex);
    kept->push_back(std::move(port));
}

}  // namespace

struct ring::request {
    enum class state : std::uint8_t { free, waiting, in_kernel, finished };

    io::operation* op = nullptr;
    request* next = nullptr;
    submission what;
    std::int64_t outcome = 0;
    std::uint32_t index = 0;
    std::uint32_t generation = 0; // changes with each use: a late cancel must not meet the next operation
    state now = state::free;
    bool cancel_wanted = false;

    /// generation (31 bits) | index (32 bits) | cancel mark (1 bit)
    [[nodiscard]] std::uint64_t id() const noexcept {
        return (std::uint64_t{generation} << 33) | (std::uint64_t{index} << 1);
    }
};

/// Outlives the ring in handlers that are still queued. `owner` belongs to the home thread.
struct ring::shared_state {
    ring* owner = nullptr;
    std::atomic<std::uint64_t> home_thread{0};
    std::atomic<bool> is_violated{false};
    std::uint64_t event_count = 0; // where Asio reads the eventfd to
    const net::io_context::executor_type executor;
    const std::shared_ptr<spdlog::logger> logger;

    shared_state(net::io_context::executor_type home, std::shared_ptr<spdlog::logger> log)
        : executor(home), logger(std::move(log)) {}

    void report_violation() {
        if (!is_violated.exchange(true) && logger) {
            logger->error("the home io_context is run by more than one thread: io_uring belongs to one. Every further "
                          "operation fails; run the io_context on one thread, or let the engine own its thread");
        }
    }
};

void ring::list::push(request* added) noexcept {
    added->next = nullptr;
    (last == nullptr ? first : last->next) = added;
    last = added;
}

ring::request* ring::list::pop() noexcept {
    request* const taken = first;
    if (taken != nullptr) {
        first = taken->next;
        if (first == nullptr) {
            last = nullptr;
        }
    }
    return taken;
}

void ring::list::remove(request* removed) noexcept {
    list kept;
    while (request* const taken = pop()) {
        if (taken != removed) {
            kept.push(taken);
        }
    }
    *this = kept;
}

ring::ring(net::io_context& home, std::unique_ptr<ring_port> port, std::shared_ptr<spdlog::logger> logger)
    : state_(std::make_shared<shared_state>(home.get_executor(), std::move(logger))), executor_(home.get_executor()),
      port_(std::move(port)), event_(home), retry_timer_(home) {
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
}

ring::~ring() {
    state_->owner = nullptr;
    if (event_.is_open()) {
        event_.release();  // the port closes it
    }
    retry_timer_.cancel();
    if (is_abandoned_ || !is_idle()) {
        keep_for_ever(std::move(port_));
    }
}

// --- home ------------------------------------------------------------------------------------------------------------

bool ring::is_on_home_thread() const noexcept {
    return state_->home_thread.load(std::memory_order_relaxed) == this_thread();
}

bool ring::is_home_violated() const noexcept { return state_->is_violated.load(std::memory_order_relaxed); }

bool ring::claim_home() {
    std::uint64_t nobody = 0;
    if (state_->home_thread.compare_exchange_strong(nobody, this_thread())) {
        if (const int enabled = port_->enable(); enabled < 0) {
            break_down(-enabled);
        }
        return true;
    }
    return nobody == this_thread();
}

bool ring::admit(io::operation& op) {
    if (is_on_home_thread() && !is_home_violated()) {
        return true;
    }
    if (!is_home_violated() && claim_home()) {
        return true;
    }
    state_->report_violation();
    net::post(executor_, [&op] { op.complete(wrong_thread_outcome); });
    return false;
}

/// Runs `what` on the ring if it still exists, on its home thread. A handler that comes out on another thread proves
/// that two threads run the home context: it goes round until the home thread gets it, without touching the ring.
template <class What>
void ring::on_home(const std::shared_ptr<shared_state>& state, What what) {
    if (state->home_thread.load(std::memory_order_relaxed) != this_thread()) {
        state->report_violation();
        auto pause = std::make_shared<net::steady_timer>(state->executor, retry_delay);
        pause->async_wait([state, what, pause](boost::system::error_code) { on_home(state, what); });
        return;
    }
    if (state->owner != nullptr) {
        what(*state->owner);
    }
}

void ring::post_turn() {
    if (is_turn_posted_) {
        return;
    }
    is_turn_posted_ = true;
    net::post(executor_, [state = state_] {
        on_home(state, [](ring& self) {
            self.is_turn_posted_ = false;
            self.service();
        });
    });
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
    // Reading beats waiting for readability: Asio tries a read at once, which costs one failing system call, where a
    // wait modifies the epoll set and leaves the counter to be reset by us. Measured: the wait alone, without the reset,
    // fires for ever.
    event_.async_read_some(net::buffer(&state_->event_count, sizeof state_->event_count),
                           [state = state_](boost::system::error_code cancelled, std::size_t) {
                               on_home(state, [cancelled](ring& self) {
                                   self.is_armed_ = false;
                                   if (cancelled) {
                                       self.arm();  // something was started since; a signal is still in the counter
                                       return;
                                   }
                                   ++self.facts_.wakeups;
                                   self.service();
                               });
                           });
}

/// Without this a read armed for completions that a posted turn has taken would keep the home context running.
void ring::disarm() {
    if (is_armed_ && (kernel_owns_ == 0 || is_broken()) && !is_turn_posted_) {
        event_.cancel();
    }
}

// --- requests --------------------------------------------------------------------------------------------------------

ring::request* ring::allocate_request() {
    if (free_.first == nullptr) {
        std::unique_ptr<request[]> chunk(new (std::nothrow) request[requests_per_chunk]);
        if (!chunk) {
            return nullptr;
        }
        const auto first_index = static_cast<std::uint32_t>(request_chunks_.size() * requests_per_chunk);
        for (std::uint32_t i = 0; i < requests_per_chunk; ++i) {
            chunk[i].index = first_index + i;
            free_.push(&chunk[i]);
        }
        request_chunks_.push_back(std::move(chunk));
    }
    return free_.pop();
}

void ring::free_request(request* freed) noexcept {
    freed->generation = (freed->generation + 1) & 0x7fff'ffffU;
    freed->now = request::state::free;
    freed->cancel_wanted = false;
    freed->op = nullptr;
    // Last freed, first used: the hottest in the cache.
    freed->next = free_.first;
    free_.first = freed;
    if (free_.last == nullptr) {
        free_.last = freed;
    }
}

void ring::finish(request* done, std::int64_t outcome) noexcept {
    done->now = request::state::finished;
    done->outcome = outcome;
    finished_.push(done);
}

void ring::start(io::operation& op, submission what) {
    if (!admit(op)) {
        return;
    }
    request* const added = allocate_request();
    if (added == nullptr) {
        net::post(executor_, [&op] { op.complete(-ENOMEM); });
        return;
    }
    ++operations_in_flight_;
    added->op = &op;
    op.slot.object = added;
    what.length_bytes = static_cast<std::uint32_t>(std::min<std::size_t>(what.length_bytes, transfer_bytes_max));
    added->what = what;
    added->what.id = added->id();
    post_turn();
    if (!is_broken() && waiting_.first == nullptr) {
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
    waiting_.push(added);
}

void ring::fail(io::operation& op, std::int64_t outcome) {
    if (!admit(op)) {
        return;
    }
    request* const added = allocate_request();
    if (added == nullptr) {
        net::post(executor_, [&op] { op.complete(-ENOMEM); });
        return;
    }
    ++operations_in_flight_;
    added->op = &op;
    op.slot.object = added;
    finish(added, outcome);
    post_turn();
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
    while (waiting_.first != nullptr && !is_broken() && try_prepare(waiting_.first->what)) {
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
    if (!is_on_home_thread() || is_home_violated()) {
        return;
    }
    request* const target = static_cast<request*>(op.slot.object);
    if (target == nullptr || target->op != &op) {
        return;  // it has just completed
    }
    switch (target->now) {
    case request::state::waiting:
        waiting_.remove(target);
        finish(target, -ECANCELED);
        post_turn();
        break;
    case request::state::in_kernel:
        if (!std::exchange(target->cancel_wanted, true)) {
            request_cancel(*target);
            post_turn();
        }
        break;
    case request::state::finished:
    case request::state::free:
        break;
    }
}

// --- the kernel ------------------------------------------------------------------------------------------------------

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
                continue;  // found, not found, too late: the operation's own completion is what counts
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
    // What is finished now and no more: a broken ring whose operations are started again must not hold the loop. One at
    // a time from the shared list, because a completion may drain the ring.
    const request* const last = finished_.last;
    for (bool is_last = false; !is_last && finished_.first != nullptr;) {
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
    if (!is_on_home_thread() || is_home_violated() || is_broken()) {
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

/// Ends everything. The kernel may go on with what it has taken, but this process will not hear of it: the callers'
/// operations end, and the ring says that it is not idle, so that memory is leaked and not reused after closing.
void ring::break_down(int error_number) {
    broken_errno_ = error_number;
    if (state_->logger) {
        state_->logger->error("io_uring failed for good: {}; every operation in flight fails",
                       std::generic_category().message(error_number));
    }
    collect();
    kernel_owns_ -= unsubmitted_;
    unsubmitted_ = 0;
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
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    ::poll(&event, 1, static_cast<int>(std::clamp<std::int64_t>(milliseconds, 1, 1000)));
    service();
}

}  // namespace caisson::uring
