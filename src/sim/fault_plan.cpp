#include "sim/fault_plan.hpp"

#include <cerrno>
#include <utility>

namespace caisson::sim {

namespace {

bool matches(const fault& what, operation_kind kind, std::string_view name) {
    const bool kind_fits = what.kind() == operation_kind::any || what.kind() == kind;
    return kind_fits && (what.name().empty() || what.name() == name);
}

}  // namespace

verdict fault_plan::decide(operation_kind kind, std::string_view name) {
    verdict decided;
    for (std::size_t i = 0; i < pending_.size();) {
        pending_fault& each = pending_[i];
        if (!matches(each.what, kind, name)) {
            ++i;
            continue;
        }
        ++each.seen;
        const bool hits =
            each.seen == each.what.nth() || (each.what.lasts() && each.seen > each.what.nth());
        if (hits && !decided.is_hit) {
            decided = {true, each.what.what(), each.what.error_number(), false};
        }
        if (hits && !each.what.lasts()) {
            pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            ++i;
        }
    }
    return decided.is_hit ? decided : decide_by_rates(kind);
}

verdict fault_plan::decide_by_rates(operation_kind kind) {
    constexpr std::uint32_t million = 1'000'000;
    // Drawn only when the rate is not zero: switching faults off leaves no trace in the random
    // numbers.
    const auto happens = [this](std::uint32_t rate) {
        return rate > 0 && random_.chance(rate, million);
    };
    std::uint32_t error_rate = 0;
    bool is_transfer = false;
    switch (kind) {
    case operation_kind::read:
        error_rate = rates_.read_errors;
        is_transfer = true;
        break;
    case operation_kind::write:
        error_rate = rates_.write_errors;
        is_transfer = true;
        break;
    case operation_kind::sync: error_rate = rates_.sync_errors; break;
    case operation_kind::create:
    case operation_kind::rename:
    case operation_kind::unlink:
    case operation_kind::directory_sync: error_rate = rates_.name_errors; break;
    default: break;
    }
    if (happens(error_rate)) {
        return {true, fault::effect::error, EIO, false};
    }
    if (is_transfer && happens(rates_.interruptions)) {
        const int number = random_.chance(1, 2) ? EINTR : EAGAIN;
        return {true, fault::effect::error, number, true};
    }
    if (is_transfer && happens(rates_.short_transfers)) {
        return {true, fault::effect::short_count, 0, false};
    }
    return {};
}

}  // namespace caisson::sim
