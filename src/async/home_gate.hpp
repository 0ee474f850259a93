#pragma once
// home_gate: how operations of any thread reach the home thread: one push, and one post for a whole
// batch of them. Knows nothing about what the operations do. Read docs/architecture.md.

#include <caisson/config.hpp>
#include <caisson/detail/completion.hpp>

#include "async/home_thread.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <memory>

namespace caisson::async {

/// Shared by everything that lives on one home executor. `enter` may be called from any thread.
class home_gate : public std::enable_shared_from_this<home_gate> {
public:
    /// `home` as its owner gave it, not guarded: what arrives on a wrong thread is to be refused
    /// there.
    home_gate(net::any_io_executor home, std::shared_ptr<home_thread> thread)
        : home_(std::move(home)), thread_(std::move(thread)) {}
    home_gate(const home_gate&) = delete;
    home_gate& operator=(const home_gate&) = delete;
    ~home_gate();

    [[nodiscard]] const net::any_io_executor& home() const noexcept { return home_; }

    /// Runs `node.arrive(node, target)` on the home thread: at once when the caller is on it, else
    /// in the next batch. Order between the calls of one thread is kept. Where `is_violated`, it
    /// may run on a wrong thread: then it refuses and touches nothing.
    void enter(detail::operation_node& node);

    /// Runs `node.arrive` if the caller is at home and nobody waits in front of it. False: enter
    /// it, with what keeps its target alive until the batch runs.
    bool arrive_now(detail::operation_node& node);

    /// True on the thread that runs the home executor (known once anything has run there).
    [[nodiscard]] bool is_home() const noexcept { return thread_->is_this(); }

    /// True when a second thread was found running the home executor. Sticky; nothing new is begun
    /// there.
    [[nodiscard]] bool is_violated() const noexcept { return thread_->is_violated(); }

    /// Claims the calling thread as home, or checks that it is. False: another thread is.
    bool claim_home() noexcept { return thread_->claim(); }

private:
    class drain;
    void arrive_all() noexcept;
    void discard_all() noexcept;

    net::any_io_executor home_;
    std::shared_ptr<home_thread> thread_;
    std::atomic<detail::operation_node*> inbox_{nullptr};  ///< newest first
};

}  // namespace caisson::async
