#pragma once
// home_gate: how operations of any thread reach the home thread: one push, and one post for a whole
// batch of them. Also the guard of "home is one thread". Knows nothing about what the operations
// do. Read docs/architecture.md.

#include <caisson/config.hpp>
#include <caisson/detail/completion.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <memory>

namespace caisson::async {

/// Shared by everything that lives on one home executor. `enter` may be called from any thread.
class home_gate : public std::enable_shared_from_this<home_gate> {
public:
    explicit home_gate(net::any_io_executor home) : home_(std::move(home)) {}
    home_gate(const home_gate&) = delete;
    home_gate& operator=(const home_gate&) = delete;
    ~home_gate();

    [[nodiscard]] const net::any_io_executor& home() const noexcept { return home_; }

    /// Runs `node.arrive(node, target)` on the home thread: at once when the caller is on it, else
    /// in the next batch. Order between the calls of one thread is kept.
    void enter(detail::operation_node& node);

    /// Runs `node.arrive` if the caller is at home and nobody waits in front of it. False: enter
    /// it, with what keeps its target alive until the batch runs.
    bool arrive_now(detail::operation_node& node);

    /// True on the thread that runs the home executor (known once anything has run there).
    [[nodiscard]] bool is_home() const noexcept;

    /// True when a second thread was found running the home executor. Sticky; nothing more is done
    /// there.
    [[nodiscard]] bool is_violated() const noexcept {
        return violated_.load(std::memory_order_relaxed);
    }

    /// Claims the calling thread as home, or checks that it is. False: another thread is.
    bool claim_home() noexcept;

private:
    class drain;
    void arrive_all() noexcept;
    void discard_all() noexcept;

    net::any_io_executor home_;
    std::atomic<detail::operation_node*> inbox_{nullptr};  ///< newest first
    std::atomic<const void*> home_thread_{nullptr};
    std::atomic<bool> violated_{false};
};

}  // namespace caisson::async
