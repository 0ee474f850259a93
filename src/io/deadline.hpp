#pragma once
// deadline: a time limit for closing that a process which stood still does not miss. Knows nothing
// about what it limits.

#include "io/clock.hpp"

#include <chrono>

namespace caisson::io {

/// Counts down in slices, one sleep after the other: while the process is stopped (SIGSTOP, a
/// paused virtual machine, a handler that blocks) at most one slice passes, whatever the clock
/// says. So the time that is over when it passes is time in which the device could have been heard.
///
/// Executor: home. The object stays until is_running() is false.
class deadline final : public operation {
public:
    static constexpr unsigned slices = 8;

    /// `ended` is called once for each `start`, never inside a call: when the time is over, or when
    /// `stop` has taken effect.
    deadline(clock& by, void (*ended)(void*), void* listener) noexcept
        : operation(&deadline::slice_ended), clock_(by), ended_(ended), listener_(listener) {}

    void start(std::chrono::nanoseconds duration);
    /// It will not pass any more. Idempotent.
    void stop();

    [[nodiscard]] bool is_running() const noexcept { return is_running_; }
    [[nodiscard]] bool has_passed() const noexcept { return has_passed_; }

private:
    static void slice_ended(operation& self, std::int64_t outcome) noexcept;
    void start_slice();

    clock& clock_;
    void (*ended_)(void*);
    void* listener_;
    std::uint64_t slice_ns_ = 0;
    unsigned slices_left_ = 0;
    bool is_running_ = false;
    bool is_stopped_ = false;
    bool has_passed_ = false;
};

}  // namespace caisson::io
