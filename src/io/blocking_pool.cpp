// The pool's queue, its threads and the way back home. One mutex guards all shared state; it is
// never held while work or a completion runs. The state is shared with the threads and with the
// handler posted home, so that a pool that was destroyed, or abandoned with a thread stuck in the
// kernel, leaves nothing dangling.

#include "io/blocking_pool.hpp"

#include "base/assert.hpp"

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <pthread.h>

namespace caisson::io {

namespace {

/// First in, first out.
struct job_queue {
    std::unique_ptr<blocking_pool::job> first;
    blocking_pool::job* last = nullptr;

    void push(std::unique_ptr<blocking_pool::job> what) noexcept {
        blocking_pool::job* const added = what.get();
        (last == nullptr ? first : last->next) = std::move(what);
        last = added;
    }
    std::unique_ptr<blocking_pool::job> pop() noexcept {
        std::unique_ptr<blocking_pool::job> taken = std::move(first);
        if (taken) {
            first = std::move(taken->next);
        }
        if (!first) {
            last = nullptr;
        }
        return taken;
    }
    std::unique_ptr<blocking_pool::job> take(const operation& op) noexcept {
        blocking_pool::job* previous = nullptr;
        for (auto* link = &first; *link; link = &(*link)->next) {
            if ((*link)->op == &op) {
                std::unique_ptr<blocking_pool::job> taken = std::move(*link);
                *link = std::move(taken->next);
                if (last == taken.get()) {
                    last = previous;
                }
                return taken;
            }
            previous = link->get();
        }
        return nullptr;
    }
    /// Not by the chain of destructors, which would recurse once a job.
    ~job_queue() {
        while (pop()) {
        }
    }
};

}  // namespace

struct blocking_pool::state {
    state(net::any_io_executor executor, unsigned limit)
        : home(std::move(executor)), threads_max(limit) {}

    const net::any_io_executor home;
    const unsigned threads_max;

    std::mutex mutex;
    std::condition_variable wake;  // a job was queued, or `stopping` was set
    std::condition_variable finished_one;
    job_queue queued;           // guarded by mutex
    job_queue finished;         // guarded by mutex
    unsigned threads_idle = 0;  // guarded by mutex
    bool stopping = false;      // guarded by mutex
    // guarded by mutex: a handler that empties `finished` is on its way home
    bool post_pending = false;

    // Home only.
    std::uint64_t jobs_in_flight = 0;
    net::any_io_executor tracked;  // holds outstanding work while jobs are in flight
    std::vector<std::thread> threads;
    bool is_destroyed = false;
    bool is_abandoned = false;

    /// Called with the mutex held.
    [[nodiscard]] bool must_post() noexcept { return !std::exchange(post_pending, true); }
};

blocking_pool::blocking_pool(net::any_io_executor home, unsigned threads_max)
    : state_(std::make_shared<state>(std::move(home), threads_max)) {
    CAISSON_ASSERT(threads_max > 0);
}

blocking_pool::~blocking_pool() {
    tell_threads_to_end();
    for (std::thread& thread : state_->threads) {
        thread.join();
    }
    state_->threads.clear();
    state_->is_destroyed = true;
    state_->tracked = {};
}

int blocking_pool::start_first_thread() noexcept {
    return state_->threads.empty() ? add_thread() : 0;
}

int blocking_pool::add_thread() noexcept {
    // A thread inherits the mask of its creator: signals belong to the host's threads, never to
    // these.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int error_number = 0;
    try {
        state_->threads.emplace_back(run_thread, state_);
    } catch (const std::system_error& problem) {
        error_number = problem.code().value();
    } catch (const std::bad_alloc&) {
        error_number = ENOMEM;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error_number;
}

void blocking_pool::tell_threads_to_end() noexcept {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_all();
}

void blocking_pool::run_thread(std::shared_ptr<state> shared) {
    ::pthread_setname_np(::pthread_self(), "caisson-io");
    std::unique_lock lock(shared->mutex);
    while (true) {
        ++shared->threads_idle;
        shared->wake.wait(lock, [&] { return shared->stopping || shared->queued.first; });
        --shared->threads_idle;
        if (shared->stopping) {
            return;
        }
        std::unique_ptr<job> taken = shared->queued.pop();
        lock.unlock();
        taken->worked = taken->work();
        lock.lock();
        shared->finished.push(std::move(taken));
        // Once the pool is being destroyed its home may be gone as well. Under the mutex, which
        // finish_jobs takes first: the post is over before home can let go of its context.
        if (!shared->stopping && shared->must_post()) {
            net::post(shared->home, [shared] { finish_jobs(shared); });
        }
        shared->finished_one.notify_all();
    }
}

void blocking_pool::finish_jobs(const std::shared_ptr<state>& shared) {
    // One at a time from the shared list: a completion may wait for the others.
    while (!shared->is_abandoned) {
        std::unique_lock lock(shared->mutex);
        std::unique_ptr<job> done = shared->finished.pop();
        shared->post_pending = done != nullptr && shared->post_pending;
        lock.unlock();
        if (!done) {
            return;
        }
        if (shared->is_destroyed) {
            continue;  // its owner has gone as well
        }
        operation& op = *done->op;
        const std::int64_t outcome = done->finish(done->worked);
        done.reset();
        if (--shared->jobs_in_flight == 0) {
            shared->tracked = {};
        }
        op.complete(outcome);
    }
}

void blocking_pool::enqueue(operation& op, std::unique_ptr<job> what) {
    if (!what) {
        // The completion still must not run inside start: it takes the way home, without a job.
        net::post(state_->home, [&op] { op.complete(-ENOMEM); });
        return;
    }
    what->op = &op;
    if (state_->is_abandoned) {
        const std::lock_guard lock(state_->mutex);
        state_->finished.push(std::move(what));
        return;
    }
    if (state_->jobs_in_flight++ == 0) {
        state_->tracked = net::prefer(state_->home, net::execution::outstanding_work.tracked);
    }

    bool wants_thread = false;
    {
        const std::lock_guard lock(state_->mutex);
        wants_thread = state_->threads_idle == 0 || state_->queued.first;
    }
    if (wants_thread && state_->threads.size() < state_->threads_max) {
        (void)add_thread();  // with at least one thread the job waits for it instead
    }

    bool post = false;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->threads.empty()) {
            what->worked = -EAGAIN;
            state_->finished.push(std::move(what));
            post = state_->must_post();
        } else {
            state_->queued.push(std::move(what));
        }
    }
    if (post) {
        net::post(state_->home, [shared = state_] { finish_jobs(shared); });
    } else {
        state_->wake.notify_one();
    }
}

bool blocking_pool::cancel(operation& op) {
    bool post = false;
    {
        const std::lock_guard lock(state_->mutex);
        std::unique_ptr<job> taken = state_->queued.take(op);
        if (!taken) {
            return false;
        }
        taken->worked = -ECANCELED;
        state_->finished.push(std::move(taken));
        post = state_->must_post();
    }
    if (post) {
        net::post(state_->home, [shared = state_] { finish_jobs(shared); });
    }
    return true;
}

std::uint64_t blocking_pool::jobs_in_flight() const noexcept { return state_->jobs_in_flight; }

void blocking_pool::wait(std::chrono::nanoseconds timeout) {
    {
        std::unique_lock lock(state_->mutex);
        state_->finished_one.wait_for(lock, timeout,
                                      [&] { return state_->finished.first != nullptr; });
    }
    finish_jobs(state_);
}

void blocking_pool::abandon() noexcept {
    state_->is_abandoned = true;
    state_->tracked = {};
    tell_threads_to_end();
    for (std::thread& thread : state_->threads) {
        thread.detach();
    }
    state_->threads.clear();
}

}  // namespace caisson::io
