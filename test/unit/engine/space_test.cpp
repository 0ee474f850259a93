// What a log does when the device has no space left: what fits commits, what does not is refused,
// nothing that was acknowledged is lost, and space that returns is used.

#include "engine_world.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <utility>

namespace caisson::test {
namespace {

constexpr std::uint64_t kib = 1024;

const std::string small_record(8 * kib, 's');
const std::string large_record(2'000 * kib, 'l');

/// A log that has one record, and so much space left.
log open_with_space(engine_world& machine, std::uint64_t free_bytes) {
    log opened = machine.open();
    machine.world.set_capacity(machine.world.used_bytes() + free_bytes);
    REQUIRE(machine.append(opened, "first"));
    return opened;
}

/// Appends small records until one is refused; how many fitted.
std::uint64_t fill(engine_world& machine, log& target) {
    std::uint64_t fitted = 0;
    for (;;) {
        const auto given = machine.start_append(target, small_record);
        REQUIRE(machine.finish(given));
        if (!given->value()) {
            CHECK(given->value().error() == errc::no_space);
            return fitted;
        }
        ++fitted;
    }
}

/// After the device was full: so much space returns, and the log has got over the refusal.
void free_some(engine_world& machine, std::uint64_t bytes) {
    machine.world.set_capacity(machine.world.used_bytes() + bytes);
    machine.world.run_for(second_ns);
}

void check_reopens(engine_world& machine, log& target, std::uint64_t records) {
    const auto closed = machine.start_close(target);
    REQUIRE(machine.finish(closed));
    CHECK(closed->value());
    log again = machine.open();
    CHECK(again.durable_end() == log_offset{records});
}

}  // namespace

TEST_CASE("a large append that does not fit leaves the space to smaller ones", "[engine][space]") {
    for (const std::uint64_t pause_ms : {0u, 50u, 150u, 10'000u}) {
        engine_world machine;
        log target = open_with_space(machine, 400 * kib);
        std::uint64_t records = 1 + fill(machine, target);
        CHECK(records >= 380 / 8);
        free_some(machine, 100 * kib);
        const auto large = machine.start_append(target, large_record);
        REQUIRE(machine.finish(large));
        CHECK(large->value().error() == errc::no_space);
        machine.world.run_for(pause_ms * 1'000'000);
        const std::uint64_t fitted = fill(machine, target);
        CHECK(fitted >= 80 / 8);
        CHECK_FALSE(target.failure_cause());
        check_reopens(machine, target, records + fitted);
    }
}

TEST_CASE("small appends behind a large one that does not fit are not refused with it",
          "[engine][space]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        engine_world machine(seed);
        log target = open_with_space(machine, 400 * kib);
        fill(machine, target);
        free_some(machine, 100 * kib);
        const auto large = machine.start_append(target, large_record);
        const auto first = machine.start_append(target, small_record);
        const auto large_again = machine.start_append(target, large_record);
        const auto second = machine.start_append(target, small_record);
        REQUIRE(machine.finish(second));
        CHECK(large->value().error() == errc::no_space);
        CHECK(large_again->value().error() == errc::no_space);
        CHECK(first->value());
        CHECK(second->value());
    }
}

TEST_CASE("an append withdrawn while it waits for space takes its wish with it",
          "[engine][space]") {
    for (std::uint64_t steps = 0; steps < 12; ++steps) {
        engine_world machine(steps);
        log target = open_with_space(machine, 400 * kib);
        fill(machine, target);
        free_some(machine, 100 * kib);
        net::cancellation_signal signal;
        std::optional<result<append_receipt>> large;
        target.async_append(
            net::buffer(large_record),
            net::bind_cancellation_slot(signal.slot(), [&](result<append_receipt> outcome) {
                large.emplace(std::move(outcome));
            }));
        for (std::uint64_t k = 0; k < steps && !large; ++k) {
            machine.world.step();
        }
        signal.emit(net::cancellation_type::total);
        CHECK(machine.append(target, small_record));
        machine.world.run();
        REQUIRE(large);
        CHECK(
            (large->error() == net::error::operation_aborted || large->error() == errc::no_space));
    }
}

TEST_CASE("D25: a full device stops no log from opening, and appends go on when space returns",
          "[engine][space]") {
    engine_world machine;
    log target = open_with_space(machine, 400 * kib);
    const std::uint64_t records = 1 + fill(machine, target);
    check_reopens(machine, target, records);
    target = machine.open();
    const auto refused = machine.start_append(target, large_record);
    REQUIRE(machine.finish(refused));
    CHECK(refused->value().error() == errc::no_space);
    machine.world.set_capacity(0);
    machine.world.run_for(second_ns);
    REQUIRE(machine.append(target, large_record));
    check_reopens(machine, target, records + 1);
}

TEST_CASE(
    "D31, D25: without room for the next segment appends are refused, and none of them comes back",
    "[engine][space]") {
    for (const int error_number : {24 /* EMFILE */, 28 /* ENOSPC */}) {
        engine_world machine;
        log_options options;
        options.segment_size_bytes = 64 * kib;
        log target = machine.open(options);
        REQUIRE(machine.append(target, "first"));
        machine.world.inject(
            sim::fault(sim::operation_kind::create).fails_with(error_number).from_then_on());
        const std::uint64_t fitted = fill(machine, target);
        CHECK(fitted >= 5);
        CHECK_FALSE(target.failure_cause());
        machine.world.clear_faults();
        machine.world.run_for(second_ns);
        for (int k = 0; k < 20; ++k) {
            REQUIRE(machine.append(target, small_record));
        }
        check_reopens(machine, target, 1 + fitted + 20);
    }
}

TEST_CASE("whichever reservation fails, what was acknowledged stays", "[engine][space]") {
    // Also that of the next segment, which nobody waits for: what it could not get is asked for
    // again.
    log_options options;
    options.segment_size_bytes = 256 * kib;
    for (const int problem : {ENOSPC, EOPNOTSUPP, EIO}) {
        bool was_hit = true;
        std::uint64_t reservations = 0;
        for (std::uint64_t nth = 1; was_hit; ++nth) {
            CAPTURE(problem, nth);
            engine_world machine(nth);
            log target = machine.open(options);
            machine.world.inject(
                sim::fault(sim::operation_kind::allocate, nth).fails_with(problem));
            std::uint64_t acknowledged = 0;
            for (int k = 0; k < 100; ++k) {
                acknowledged += machine.append(target, small_record) ? 1u : 0u;
                machine.world.run_for(second_ns);
            }
            was_hit = machine.world.counters().faults > 0;
            reservations += was_hit ? 1u : 0u;
            if (problem != EIO) {
                CHECK_FALSE(target.failure_cause());
                CHECK(acknowledged >= 99);
            }
            machine.world.crash();
            machine.destroy_engine();
            target = log();
            machine.world.clear_faults();
            machine.world.power_on();
            machine.start_engine();
            CHECK(machine.open(options).durable_end() >= log_offset{acknowledged});
        }
        CHECK(reservations >= 4);
    }
}

}  // namespace caisson::test
