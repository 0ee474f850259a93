#pragma once
// gate_entry: the home gate as readers see it. Readers may outlive their engine; this object says
// so.

#include "async/home_gate.hpp"
#include "log/read_source.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace caisson::log_detail {

class gate_entry final : public home_entry {
public:
    explicit gate_entry(std::shared_ptr<async::home_gate> gate)
        : gate_(std::move(gate)), home_(gate_->home()) {}

    [[nodiscard]] const net::any_io_executor& executor() const noexcept override { return home_; }
    void enter(home_task& task) noexcept override;

    /// The engine has ended. Called on home (or when nothing runs there any more).
    void end() noexcept { ended_.store(true, std::memory_order_release); }

private:
    std::shared_ptr<async::home_gate> gate_;
    net::any_io_executor home_;
    std::atomic<bool> ended_{false};
};

}  // namespace caisson::log_detail
