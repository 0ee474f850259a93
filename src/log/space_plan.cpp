// Urgency first: room somebody waits for, then room ahead, then the fast path ahead, then the next
// segment.

#include "log/space_plan.hpp"

#include "base/assert.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace caisson::log_detail {

namespace {
using kind = space_action::kind;
constexpr space_action idle{};

std::uint64_t zero_begin(const segment_space& segment) noexcept {
    if (planted(planted_bug::zero_write_over_commit)) {
        return segment.zeroed_end;
    }
    // Never below what commits were submitted to: a zero-write that meets a commit destroys it.
    return std::max(segment.zeroed_end, segment.submitted_end);
}
}  // namespace

space_action space_plan::create(const segment_space& target) const noexcept {
    if (copies_on_write_) {
        return {kind::create_spare, true, 0, 0};
    }
    // Where groups are large and many: a reservation later waits for the writes in flight to the
    // file, and holds up those that follow. There are none yet.
    const bool at_once = !zeroes_ahead_ && step_bytes_ == prepare_step_bytes_max;
    const std::uint64_t wish = at_once ? spare_reserve_bytes_max : step_bytes_;
    return {kind::create_spare, true, 0, std::min(wish, target.limit_bytes)};
}

space_action space_plan::allocate(const segment_space& segment, bool of_spare,
                                  std::uint64_t ahead_bytes) const noexcept {
    const std::uint64_t limit = std::max(segment.limit_bytes, segment.wanted_end);
    const std::uint64_t wish = std::max(segment.wanted_end, segment.submitted_end + ahead_bytes);
    const std::uint64_t end = std::min(limit, wish);
    if (end <= segment.allocated_end) {
        return idle;
    }
    // Whole steps, so that a busy log does not come back for every group.
    const std::uint64_t step_end =
        std::min(limit, std::max(end, segment.allocated_end + step_bytes_));
    return {kind::allocate, of_spare, segment.allocated_end, step_end};
}

space_action space_plan::prepare(segment_space& segment, bool of_spare) noexcept {
    CAISSON_ASSERT(segment.prepared_end <= segment.zeroed_end);
    const std::uint64_t begin = zero_begin(segment);
    if (begin < segment.goal_end && begin < segment.allocated_end) {
        const std::uint64_t end =
            std::min({begin + zero_chunk_bytes, segment.goal_end, segment.allocated_end});
        return {kind::zero, of_spare, begin, end};
    }
    if (segment.zeroed_end > segment.prepared_end) {
        return {kind::sync, of_spare, segment.prepared_end, segment.zeroed_end};
    }
    // The present step is done. Begin the next when half of it is used up.
    const std::uint64_t ready =
        segment.prepared_end - std::min(segment.prepared_end, segment.submitted_end);
    const std::uint64_t goal = std::min(begin + step_bytes_, segment.limit_bytes);
    if (ready >= step_bytes_ / 2 || goal <= begin || goal <= segment.goal_end) {
        return idle;
    }
    const bool is_first = segment.goal_end == 0;
    segment.goal_end = goal;
    if (!is_first) {
        step_bytes_ = std::min(2 * step_bytes_, prepare_step_bytes_max);
    }
    return begin < segment.allocated_end
               ? prepare(segment, of_spare)
               : space_action{kind::allocate, of_spare, segment.allocated_end, goal};
}

space_action space_plan::next(segment_space& target, segment_space* spare,
                              bool spare_is_wanted) noexcept {
    if (spare == nullptr && spare_is_wanted) {
        return create(target);
    }
    if (copies_on_write_) {
        const bool is_half_full = target.submitted_end >= target.limit_bytes / 2;
        return spare == nullptr && is_half_full ? create(target) : idle;
    }
    if (target.wanted_end > target.allocated_end) {
        return allocate(target, false, 0);
    }
    if (spare != nullptr && spare->wanted_end > spare->allocated_end) {
        return allocate(*spare, true, 0);
    }
    // Room for as much as can be consumed while the next reservation is made.
    if (const space_action ahead = allocate(target, false, step_bytes_);
        ahead.what != kind::idle && target.submitted_end + step_bytes_ / 2 > target.allocated_end) {
        if (!zeroes_ahead_) {
            step_bytes_ = std::min(2 * step_bytes_, prepare_step_bytes_max);
        }
        return ahead;
    }
    if (zeroes_ahead_) {
        if (const space_action step = prepare(target, false); step.what != kind::idle) {
            return step;
        }
    }
    // The next segment once the end of this one is in sight; a log that stays small never makes it.
    if (target.submitted_end + step_bytes_ < target.limit_bytes) {
        return idle;
    }
    if (spare == nullptr) {
        // First the rest of this one: space that the next one has taken is no room here.
        if (target.allocated_end < target.limit_bytes) {
            return {kind::allocate, false, target.allocated_end, target.limit_bytes};
        }
        return create(target);
    }
    return zeroes_ahead_ ? prepare(*spare, true) : allocate(*spare, true, step_bytes_ / 2);
}

}  // namespace caisson::log_detail
