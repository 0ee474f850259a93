// Preparation of space: the plan alone. A small driver applies each action and moves the frontiers,
// as the segment chain does; the invariants are checked after every step.

#include "base/prng.hpp"
#include "log/space_plan.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace caisson;
using namespace caisson::log_detail;
using kind = space_action::kind;

namespace {

segment_space segment_of(std::uint64_t limit_bytes, std::uint64_t begin_bytes = 4096) {
    segment_space space;
    space.limit_bytes = limit_bytes;
    space.submitted_end = begin_bytes;
    space.allocated_end = space.zeroed_end = space.prepared_end = begin_bytes - 4096;
    return space;
}

void apply(const space_action& action, segment_space& space) {
    switch (action.what) {
    case kind::allocate:
        REQUIRE(action.begin_bytes == space.allocated_end);
        REQUIRE(action.end_bytes > action.begin_bytes);
        space.allocated_end = action.end_bytes;
        break;
    case kind::zero:
        REQUIRE(action.begin_bytes >= space.submitted_end);
        REQUIRE(action.end_bytes <= space.allocated_end);
        REQUIRE(action.end_bytes > action.begin_bytes);
        REQUIRE(action.end_bytes - action.begin_bytes <= zero_chunk_bytes);
        space.zeroed_end = action.end_bytes;
        break;
    case kind::sync:
        REQUIRE(action.end_bytes == space.zeroed_end);
        space.prepared_end = action.end_bytes;
        break;
    case kind::create_spare:
    case kind::idle: break;
    }
}

/// Runs until the plan is idle; says whether it asked for a spare.
bool settle(space_plan& plan, segment_space& target) {
    for (int k = 0; k < 10'000; ++k) {
        const space_action action = plan.next(target, nullptr, false);
        if (action.what == kind::idle) {
            return false;
        }
        if (action.what == kind::create_spare) {
            return true;
        }
        apply(action, target);
    }
    FAIL("the plan never comes to rest");
    return false;
}

}  // namespace

TEST_CASE("a quiet log owns one small step of prepared space and no spare", "[log][space_plan]") {
    space_plan plan(false);
    segment_space target = segment_of(64_MiB);
    CHECK_FALSE(settle(plan, target));
    CHECK(target.prepared_end - target.submitted_end == prepare_step_bytes_min);
    CHECK(target.allocated_end <= 2 * prepare_step_bytes_min);
}

TEST_CASE("room that an append waits for comes before everything else", "[log][space_plan]") {
    space_plan plan(false);
    segment_space target = segment_of(64_MiB);
    target.wanted_end = 20 * 4096;
    const space_action first = plan.next(target, nullptr, false);
    CHECK(first.what == kind::allocate);
    CHECK(first.end_bytes >= target.wanted_end);
}

TEST_CASE("a record beyond the segment's limit is given room", "[log][space_plan]") {
    space_plan plan(false);
    segment_space target = segment_of(64_KiB);
    target.wanted_end = 1_MiB;
    const space_action first = plan.next(target, nullptr, false);
    CHECK(first.what == kind::allocate);
    CHECK(first.end_bytes >= 1_MiB);
}

TEST_CASE("steps double while the log consumes them, up to their bound", "[log][space_plan]") {
    space_plan plan(false);
    segment_space target = segment_of(1_GiB);
    settle(plan, target);
    for (int k = 0; k < 12; ++k) {
        target.submitted_end = target.prepared_end;
        settle(plan, target);
    }
    CHECK(plan.step_bytes() == prepare_step_bytes_max);
    CHECK(target.prepared_end - target.submitted_end <= prepare_step_bytes_max);
}

TEST_CASE("the spare is made when the end of the segment is in sight, then prepared",
          "[log][space_plan]") {
    space_plan plan(false);
    segment_space target = segment_of(8_MiB);
    CHECK_FALSE(settle(plan, target));
    target.submitted_end = 8_MiB - 64_KiB;
    CHECK(settle(plan, target));
    segment_space spare = segment_of(8_MiB);
    for (int k = 0; k < 1000; ++k) {
        const space_action action = plan.next(target, &spare, false);
        if (action.what == kind::idle) {
            break;
        }
        apply(action, action.of_spare ? spare : target);
    }
    CHECK(spare.prepared_end > spare.submitted_end);
}

TEST_CASE("a spare is reserved with its file: a step of it, much of it under large groups",
          "[log][space_plan]") {
    const auto reserved = [](space_plan& plan, std::uint64_t limit_bytes) {
        segment_space target = segment_of(limit_bytes);
        const space_action action = plan.next(target, nullptr, true);
        CHECK(action.what == kind::create_spare);
        CHECK(action.begin_bytes == 0);
        return action.end_bytes;
    };
    space_plan plan(false);
    CHECK(reserved(plan, 64_MiB) == prepare_step_bytes_min);
    CHECK(reserved(plan, 256_KiB) == 256_KiB);
    segment_space target = segment_of(1_GiB);
    while (plan.step_bytes() < prepare_step_bytes_max) {
        settle(plan, target);
        target.submitted_end = target.prepared_end;
    }
    CHECK(reserved(plan, 64_MiB) == prepare_step_bytes_max);
    plan.set_zeroes_ahead(false);
    CHECK(reserved(plan, 48_MiB) == 48_MiB);
    segment_space full = segment_of(64_MiB);
    full.submitted_end = full.allocated_end = full.limit_bytes;
    segment_space spare = segment_of(64_MiB);
    spare.allocated_end = plan.step_bytes();  // as it was made: nothing more until it is used
    CHECK(plan.next(full, &spare, false).what == kind::idle);
    CHECK(reserved(plan, 1_GiB) == spare_reserve_bytes_max);
}

TEST_CASE("a segment is reserved to its end before the next one takes space", "[log][space_plan]") {
    for (const bool zeroes_ahead : {true, false}) {
        space_plan plan(false);
        plan.set_zeroes_ahead(zeroes_ahead);
        segment_space target = segment_of(64_MiB);
        for (bool has_spare = false; !has_spare;) {
            has_spare = settle(plan, target);
            if (has_spare) {
                CHECK(target.allocated_end == target.limit_bytes);
            }
            target.submitted_end = std::min(target.submitted_end + 100_KiB, target.allocated_end);
        }
    }
}

TEST_CASE("with large groups space is reserved ahead in growing steps and nothing is zeroed",
          "[log][space_plan]") {
    space_plan plan(false);
    plan.set_zeroes_ahead(false);
    segment_space target = segment_of(1_GiB);
    for (int k = 0; k < 12; ++k) {
        settle(plan, target);
        CHECK(target.allocated_end >= target.submitted_end + plan.step_bytes() / 2);
        CHECK(target.zeroed_end < target.submitted_end);
        target.submitted_end = target.allocated_end;
    }
    CHECK(plan.step_bytes() == prepare_step_bytes_max);
    plan.set_zeroes_ahead(true);  // small groups again: zeroing goes on beyond what was written
    settle(plan, target);
    CHECK(target.prepared_end > target.submitted_end);
}

TEST_CASE("with large groups the next segment has room before it is needed", "[log][space_plan]") {
    space_plan plan(false);
    plan.set_zeroes_ahead(false);
    segment_space target = segment_of(8_MiB);
    settle(plan, target);
    target.submitted_end = target.allocated_end = 8_MiB;
    segment_space spare = segment_of(8_MiB);
    const space_action action = plan.next(target, &spare, false);
    CHECK(action.what == kind::allocate);
    CHECK(action.of_spare);
    apply(action, spare);
    CHECK(plan.next(target, &spare, false).what == kind::idle);
}

TEST_CASE("on a copy-on-write file system nothing is prepared but the spare", "[log][space_plan]") {
    space_plan plan(true);
    segment_space target = segment_of(1_MiB);
    CHECK(plan.next(target, nullptr, false).what == kind::idle);
    target.submitted_end = 600_KiB;
    const space_action create = plan.next(target, nullptr, false);
    CHECK(create.what == kind::create_spare);
    CHECK(create.end_bytes == 0);
    segment_space spare = segment_of(1_MiB);
    CHECK(plan.next(target, &spare, false).what == kind::idle);
}

TEST_CASE("whatever the log does, no zero-write begins below the submitted frontier",
          "[log][space_plan][property]") {
    // Random walk: commits run ahead by random amounts, also beyond the prepared space, between
    // random actions.
    prng random(20'261'121);
    for (int walk = 0; walk < 200; ++walk) {
        space_plan plan(false);
        segment_space target = segment_of(32_MiB);
        for (int k = 0; k < 400; ++k) {
            if (random.below(3) == 0 && target.submitted_end < target.allocated_end) {
                const std::uint64_t blocks = (target.allocated_end - target.submitted_end) / 4096;
                target.submitted_end += 4096 * (1 + random.below(blocks));
            }
            const space_action action = plan.next(target, nullptr, false);
            if (action.what == kind::create_spare) {
                break;
            }
            apply(action, target);
            REQUIRE(target.zeroed_end >= target.prepared_end);
        }
    }
}
