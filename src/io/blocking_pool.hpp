#pragma once
// blocking_pool: the few threads on which system calls without a ring opcode run (open, ftruncate,
// readdir, flock, fallocate, fsync of a directory). Knows nothing about what the calls are. Read
// docs/architecture.md, "The seams".

#include "io/operation.hpp"

#include <caisson/config.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace caisson::io {

/// Runs blocking work on at most `threads_max` threads, which are started when they are first
/// needed, are called `caisson-io` and have every signal blocked. Results come back to the home
/// executor, in the order of finishing.
///
/// A job has two halves: `work()` runs on a thread of the pool and returns the outcome;
/// `finish(outcome)`, which a job may lack, runs at home afterwards and returns the outcome that
/// the operation completes with (it builds the objects that belong to home). While jobs are
/// unfinished the pool keeps the home executor's context from running out of work.
///
/// Executor: all member functions at home, except where said otherwise.
class blocking_pool {
public:
    /// One piece of work in the queue; `start` wraps the caller's.
    class job {
    public:
        virtual ~job() = default;
        virtual std::int64_t work() noexcept = 0;
        virtual std::int64_t finish(std::int64_t outcome) noexcept = 0;

        operation* op = nullptr;
        std::unique_ptr<job> next;
        std::int64_t worked = 0;  ///< what `work` returned
    };

    static constexpr unsigned threads_default = 2;

    explicit blocking_pool(net::any_io_executor home, unsigned threads_max = threads_default);
    blocking_pool(const blocking_pool&) = delete;
    blocking_pool& operator=(const blocking_pool&) = delete;
    /// Joins the threads once they have finished what they are running; what was still queued never
    /// completes. After `abandon` nothing is waited for.
    ~blocking_pool();

    /// Starts a thread when there is none yet: with one, every job is done in the end. Returns 0 or
    /// an errno. Also before home runs.
    int start_first_thread() noexcept;

    /// `task` has `std::int64_t work() noexcept` and perhaps `std::int64_t finish(std::int64_t)
    /// noexcept`, or is a callable that stands for `work`. Completes `op` with -EAGAIN when not a
    /// single thread can be started.
    template <class Task>
    void start(operation& op, Task task) {
        enqueue(op, std::unique_ptr<job>(new (std::nothrow) task_job<Task>(std::move(task))));
    }

    /// Takes a job back that no thread has begun; it then completes with -ECANCELED. False when it
    /// was too late.
    bool cancel(operation& op);

    /// Jobs started whose operation has not been completed.
    [[nodiscard]] std::uint64_t jobs_in_flight() const noexcept;

    /// Waits until a job has finished or the time is over, then completes what has finished, here
    /// and now. For closing, when the home executor no longer runs.
    void wait(std::chrono::nanoseconds timeout);

    /// The threads are stuck in the kernel: leave them and their memory to the end of the process.
    /// No operation completes any more, and no job begins.
    void abandon() noexcept;

private:
    struct state;

    template <class Task>
    class task_job;

    void enqueue(operation& op, std::unique_ptr<job> what);
    int add_thread() noexcept;
    void tell_threads_to_end() noexcept;
    static void run_thread(std::shared_ptr<state> shared);
    static void finish_jobs(const std::shared_ptr<state>& shared);

    std::shared_ptr<state> state_;
};

template <class Task>
class blocking_pool::task_job final : public job {
public:
    static_assert(std::is_nothrow_move_constructible_v<Task>);

    explicit task_job(Task task) noexcept : task_(std::move(task)) {}
    std::int64_t work() noexcept override {
        if constexpr (requires { task_.work(); }) {
            return task_.work();
        } else {
            return task_();
        }
    }
    std::int64_t finish(std::int64_t outcome) noexcept override {
        if constexpr (requires { task_.finish(outcome); }) {
            return task_.finish(outcome);
        } else {
            return outcome;
        }
    }

private:
    Task task_;
};

}  // namespace caisson::io
