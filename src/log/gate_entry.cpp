// Posts each task by itself: readers make one call a commit or less, not one a record.

#include "log/gate_entry.hpp"

#include <boost/asio/post.hpp>

namespace caisson::log_detail {

namespace {

/// Owns the duty to run a task once: if the home executor is destroyed first, the task learns that
/// the engine is gone.
class duty {
public:
    duty(home_task& task, std::shared_ptr<async::home_gate> gate)
        : task_(&task), gate_(std::move(gate)) {}
    duty(duty&& other) noexcept
        : task_(std::exchange(other.task_, nullptr)), gate_(std::move(other.gate_)) {}
    duty& operator=(duty&&) = delete;
    ~duty() {
        if (task_ != nullptr) {
            task_->run(home_task::arrival::engine_gone);
        }
    }
    void operator()() noexcept {
        const bool is_home = gate_->claim_home() && !gate_->is_violated();
        std::exchange(task_, nullptr)
            ->run(is_home ? home_task::arrival::at_home : home_task::arrival::wrong_thread);
    }

private:
    home_task* task_;
    std::shared_ptr<async::home_gate> gate_;
};

}  // namespace

void gate_entry::enter(home_task& task) noexcept {
    if (ended_.load(std::memory_order_acquire)) {
        task.run(home_task::arrival::engine_gone);
        return;
    }
    net::post(home_, duty(task, gate_));
}

}  // namespace caisson::log_detail
