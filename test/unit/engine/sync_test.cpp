// Syncs of one segment: never two beside each other, and nothing is acknowledged after one failed.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <functional>
#include <utility>

namespace caisson::test {
namespace {

/// Through the page cache every commit is synced, and so is the space that is prepared meanwhile.
sim::world_options page_cached() {
    sim::world_options options = calm();
    options.supports_direct = false;
    return options;
}

log_options small_segments() {
    log_options options;
    options.segment_size_bytes = 256 << 10;
    return options;
}

/// Appends in bursts that outrun preparation and cross segments; how many were acknowledged before
/// the first that was not, and that none was afterwards.
std::uint64_t append_much(engine_world& machine, log& target) {
    std::uint64_t acknowledged = 0;
    bool has_failed = false;
    for (int burst = 0; burst < 12; ++burst) {
        const std::string record(static_cast<std::size_t>(burst % 4) * 9'000 + 100, 'x');
        std::vector<answer<append_receipt>> answers;
        for (int k = 0; k < 6; ++k) {
            answers.push_back(machine.start_append(target, record));
        }
        for (const auto& each : answers) {
            REQUIRE(machine.finish(each));
            has_failed = has_failed || !each->value();
            CHECK_FALSE((has_failed && each->value()));
            acknowledged += has_failed ? 0 : 1;
        }
    }
    return acknowledged;
}

struct failed_sync {
    std::uint64_t acknowledged = 0;
    bool was_hit = false;  ///< there were that many syncs
};

failed_sync append_with_failing_sync(engine_world& machine, log& target, std::uint64_t nth) {
    const std::uint64_t faults_before = machine.world.counters().faults;
    machine.world.inject(sim::fault(sim::operation_kind::sync, nth).fails_with(EIO));
    failed_sync outcome;
    outcome.acknowledged = append_much(machine, target);
    machine.world.run();
    outcome.was_hit = machine.world.counters().faults > faults_before;
    return outcome;
}

/// A machine for every call that can fail, with and without direct I/O: `run` appends while the
/// `nth` fails, and returns whether there were that many.
void for_every_nth(const std::function<bool(engine_world&, log&, std::uint64_t)>& run) {
    for (const bool is_cached : {true, false}) {
        bool was_hit = true;
        for (std::uint64_t nth = 1; was_hit; ++nth) {
            INFO("call " << nth << (is_cached ? " through the page cache" : ""));
            engine_world machine(nth, is_cached ? page_cached() : calm());
            log target = machine.open(small_segments());
            was_hit = run(machine, target, nth);
        }
    }
}

}  // namespace

TEST_CASE("two syncs of one file are never in flight beside each other", "[engine][sync]") {
    for (const bool is_cached : {true, false}) {
        for (std::uint64_t seed = 1; seed <= 30; ++seed) {
            engine_world machine(seed, is_cached ? page_cached() : calm());
            log target = machine.open(small_segments());
            CHECK(append_much(machine, target) == 72);
            const auto closed = machine.start_close(target);
            REQUIRE(machine.finish(closed));
            CHECK(closed->value());
            CHECK(machine.world.counters().overlapping_syncs == 0);
        }
    }
}

TEST_CASE("a write that fails beside one that waits for its sync leaves neither waiting",
          "[engine][sync]") {
    // The n-th write fails while others are on their way, for every n: each append is answered, and
    // the close ends.
    const std::string record(30'000, 'w');
    for_every_nth([&record](engine_world& machine, log& target, std::uint64_t nth) {
        machine.world.inject(sim::fault(sim::operation_kind::write, nth).fails_with(EIO));
        std::vector<answer<append_receipt>> answers;
        for (int k = 0; k < 24; ++k) {
            answers.push_back(machine.start_append(target, record));
        }
        for (const auto& each : answers) {
            REQUIRE(machine.finish(each));
        }
        const auto closed = machine.start_close(target);
        REQUIRE(machine.finish(closed));
        return machine.world.counters().faults > 0;
    });
}

TEST_CASE("D2, D27: whichever sync fails, nothing is acknowledged that a power cut takes",
          "[engine][sync]") {
    for_every_nth([](engine_world& machine, log& target, std::uint64_t nth) {
        const auto [acknowledged, was_hit] = append_with_failing_sync(machine, target, nth);
        CHECK(target.failure_cause().has_value() == was_hit);
        machine.world.crash(sim::survival::nothing, sim::name_survival::nothing);
        machine.destroy_engine();
        target = log();
        machine.world.clear_faults();
        machine.world.power_on();
        machine.start_engine();
        CHECK(machine.open(small_segments()).durable_end() >= log_offset{acknowledged});
        return was_hit;
    });
}

TEST_CASE("what a reopened log shows after a failed sync stays", "[engine][sync]") {
    // Through the page cache a reopened log reads what the failed sync has dropped, and the next
    // sync succeeds without it.
    for_every_nth([](engine_world& machine, log& target, std::uint64_t nth) {
        const bool was_hit = append_with_failing_sync(machine, target, nth).was_hit;
        machine.world.kill();
        machine.destroy_engine();
        machine.world.clear_faults();
        machine.world.power_on();
        machine.start_engine();
        target = machine.open(small_segments());
        const log_offset shown = target.durable_end();
        machine.world.crash(sim::survival::nothing, sim::name_survival::nothing);
        machine.destroy_engine();
        target = log();
        machine.world.power_on();
        machine.start_engine();
        target = machine.open(small_segments());
        CHECK(target.durable_end() >= shown);
        return was_hit;
    });
}

TEST_CASE("a short read through the page cache is no end of the file", "[engine][short]") {
    // Every read of an open in turn comes short: nothing may be taken for the end of a segment, nor
    // may the next group rewrite the last block with what was not read.
    for (unsigned nth = 1; nth <= 12; ++nth) {
        engine_world machine(nth, page_cached());
        const std::string record(700, 'r');
        {
            log target = machine.open();
            for (int k = 0; k < 20; ++k) {
                REQUIRE(machine.append(target, record));
            }
        }
        machine.world.crash();
        machine.destroy_engine();
        machine.world.power_on();
        machine.start_engine();
        machine.world.inject(
            sim::fault(sim::operation_kind::read, nth).does(sim::fault::effect::short_count));
        log target = machine.open();
        CHECK(target.durable_end() == log_offset{20});
        REQUIRE(machine.append(target, record));
        log_reader reader = target.reader(log_offset{});
        std::uint64_t records = 0;
        for (bool has_more = true; has_more;) {
            const auto next = machine.start_read(reader);
            REQUIRE(machine.finish(next));
            REQUIRE(next->value());
            for (const auto each : next->value().value()) {
                CHECK(each.size() == record.size());
                ++records;
            }
            has_more = !next->value().value().empty();
        }
        CHECK(records == 21);
    }
}

}  // namespace caisson::test
