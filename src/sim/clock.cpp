#include "sim/clock.hpp"

#include <algorithm>
#include <memory>

namespace caisson::sim {

void sleep_task::finish(std::int64_t outcome) noexcept {
    if (operation_ != nullptr) {
        operation_->slot.object = nullptr;
        std::exchange(operation_, nullptr)->complete(outcome);
    }
}

void simulated_clock::start_sleep(io::operation& op, std::uint64_t duration_ns) {
    auto started = std::make_unique<sleep_task>(life_.number, op);
    op.slot.object = started.get();
    // A sleep of centuries is legal and must not overflow.
    const std::uint64_t now = scheduler_.now_ns();
    const std::uint64_t end = now + std::min(duration_ns, scheduler::never - 1 - now);
    scheduler_.schedule(life_.is_over ? scheduler::never : end, std::move(started));
}

void simulated_clock::cancel_sleep(io::operation& op) {
    auto* sleeping = static_cast<sleep_task*>(op.slot.object);
    if (sleeping == nullptr || life_.is_over) {
        return;
    }
    sleeping->is_cancelled = true;
    scheduler_.hasten(*sleeping);
}

}  // namespace caisson::sim
