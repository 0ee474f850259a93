#pragma once
// task_group: owns coroutines that nobody awaits and joins them. Nothing in the library is
// detached.

#include <caisson/config.hpp>

#include "async/event.hpp"
#include "async/untracked_executor.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>

namespace caisson::async {

/// Single-threaded: every call is made on `home`.
class task_group {
public:
    explicit task_group(const net::any_io_executor& home)
        : executor_(untracked(home)), ended_(home) {}
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;
    /// Every task has ended and was joined, or the world was abandoned (simulated power cut).
    ~task_group();

    /// Starts `task`, never inside the call. It reports errors by its own means; an exception out
    /// of it is a bug and terminates.
    void spawn(net::awaitable<void> task);

    /// Completes when no task is running. New tasks may be spawned meanwhile; they are waited for
    /// too.
    net::awaitable<void> join();

    [[nodiscard]] std::size_t running() const noexcept { return running_; }

    /// Notified when the last task has ended. Owners may notify it too, to wait for the tasks and
    /// for something else at once.
    [[nodiscard]] event& changed() noexcept { return ended_; }

    /// The tasks' frames have been destroyed from outside; stop expecting them.
    void abandon() noexcept { running_ = 0; }

private:
    struct on_end;

    net::any_io_executor executor_;
    event ended_;
    std::size_t running_ = 0;
};

}  // namespace caisson::async
