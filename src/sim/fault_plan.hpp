#pragma once
// fault_plan: which operation is hit by which fault. Pure: an operation's description in, a verdict
// out; seeded.

#include <caisson/sim.hpp>

#include "base/prng.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace caisson::sim {

/// What happens to one operation.
struct verdict {
    bool is_hit = false;
    fault::effect what = fault::effect::error;
    int error_number = 0;
    /// The error came before the operation did anything (interruptions).
    bool is_clean = false;
};

class fault_plan {
public:
    explicit fault_plan(std::uint64_t seed) noexcept : random_(seed) {}

    void inject(fault what) { pending_.push_back({std::move(what), 0}); }
    void clear() noexcept { pending_.clear(); }
    void set_rates(const fault_rates& rates) noexcept { rates_ = rates; }

    /// Called once for every operation that starts.
    [[nodiscard]] verdict decide(operation_kind kind, std::string_view name);

private:
    struct pending_fault {
        fault what;
        std::uint64_t seen = 0;  // operations that matched so far
    };
    [[nodiscard]] verdict decide_by_rates(operation_kind kind);

    prng random_;
    std::vector<pending_fault> pending_;
    fault_rates rates_;
};

}  // namespace caisson::sim
