#pragma once
// home_thread: the one thread that may run a home executor, and the guard of that rule. Knows
// nothing about what runs there. Read docs/architecture.md, "One home".

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace caisson::async {

/// Shared by everything that lives on one home executor.
///
/// Executor: any thread.
class home_thread {
public:
    /// `report` is called once, on whatever thread finds out, when a second thread was seen to run
    /// the home executor; it does not throw.
    explicit home_thread(std::function<void()> report = {}) : report_(std::move(report)) {}
    home_thread(const home_thread&) = delete;
    home_thread& operator=(const home_thread&) = delete;

    /// The first thread that asks is home, for good. False: another one is, and that is a
    /// violation.
    bool claim() noexcept;
    /// True on the home thread.
    [[nodiscard]] bool is_this() const noexcept;

    /// A second thread runs the home executor: nothing new is begun there.
    [[nodiscard]] bool is_violated() const noexcept {
        return is_violated_.load(std::memory_order_relaxed);
    }

private:
    void report_violation() noexcept;

    const std::function<void()> report_;
    std::atomic<std::uint64_t> owner_{0};  ///< 0: nobody
    std::atomic<bool> is_violated_{false};
};

}  // namespace caisson::async
