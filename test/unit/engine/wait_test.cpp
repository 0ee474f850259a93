// Waiting for the watermark: when it ends, when it does not, and with what.

#include "engine_world.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <string>
#include <vector>

namespace caisson::test {
namespace {

const std::string record(700, 'w');

/// A wait that can be cancelled.
struct cancellable_wait {
    cancellable_wait(engine_world& machine, log& of, log_offset end)
        : given(machine.start<void>([&](auto token) {
              of.async_wait_durable(end, durability::local,
                                    net::bind_cancellation_slot(signal.slot(), std::move(token)));
          })) {}
    net::cancellation_signal signal;
    answer<void> given;
};

void check_ended_with(engine_world& machine, const answer<void>& wait, error_code why) {
    REQUIRE(machine.finish(wait));
    REQUIRE_FALSE(wait->value());
    CHECK(wait->value().error() == why);
}

}  // namespace

TEST_CASE("a wait completes when the watermark reaches its end, not before", "[engine][wait]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        engine_world machine(seed);
        log target = machine.open();
        std::vector<answer<append_receipt>> appends;
        std::vector<answer<void>> waits;
        // The later end is waited for first, and each end before and after its append was started.
        for (std::uint64_t k = 0; k < 8; ++k) {
            waits.push_back(machine.start_wait(target, log_offset{8 - k}));
            appends.push_back(machine.start_append(target, record));
        }
        const auto end_of = [](std::size_t index) {
            return log_offset{8 - index};
        };
        bool has_work = true;
        while (has_work) {
            has_work = machine.world.step();
            for (std::size_t k = 0; k < waits.size(); ++k) {
                CHECK((!waits[k]->has_value() || end_of(k) <= target.durable_end()));
            }
        }
        for (const auto& each : waits) {
            REQUIRE(each->has_value());
            CHECK(each->value());
        }
        CHECK(target.durable_end() == log_offset{8});
        CHECK(machine.completed_inline == 0);
    }
}

TEST_CASE("a wait for what is durable completes at once and asks nothing of the disk",
          "[engine][wait]") {
    engine_world machine;
    log target = machine.open();
    REQUIRE(machine.append(target, record));
    REQUIRE(machine.append(target, record));
    machine.world.run();
    const std::uint64_t operations = machine.world.counters().operations;
    const std::uint64_t now_ns = machine.world.now_ns();
    for (std::uint64_t end = 0; end <= 2; ++end) {
        const auto waits = machine.start_wait(target, log_offset{end});
        REQUIRE(machine.finish(waits));
        CHECK(waits->value());
    }
    CHECK(machine.world.now_ns() == now_ns);
    CHECK(machine.world.counters().operations == operations);
    CHECK(machine.completed_inline == 0);
}

TEST_CASE("a wait beyond what was appended waits for the append", "[engine][wait]") {
    engine_world machine;
    log target = machine.open();
    const auto waits = machine.start_wait(target, log_offset{2});
    machine.world.run();
    CHECK_FALSE(waits->has_value());
    REQUIRE(machine.append(target, record));
    machine.world.run();
    CHECK_FALSE(waits->has_value());
    REQUIRE(machine.append(target, record));
    REQUIRE(machine.finish(waits));
    CHECK(waits->value());
}

TEST_CASE("a cancelled wait ends with operation_aborted and takes nothing with it",
          "[engine][wait]") {
    engine_world machine;
    log target = machine.open();
    cancellable_wait cancelled(machine, target, log_offset{1});
    cancellable_wait kept(machine, target, log_offset{1});
    machine.world.run();
    cancelled.signal.emit(net::cancellation_type::total);
    check_ended_with(machine, cancelled.given, net::error::operation_aborted);
    CHECK_FALSE(kept.given->has_value());
    // Its append may already be on its way: only the waiting stops.
    const auto appended = machine.start_append(target, record);
    cancellable_wait in_flight(machine, target, log_offset{1});
    in_flight.signal.emit(net::cancellation_type::terminal);
    check_ended_with(machine, in_flight.given, net::error::operation_aborted);
    REQUIRE(machine.finish(appended));
    CHECK(appended->value());
    REQUIRE(machine.finish(kept.given));
    CHECK(kept.given->value());
    // Too late: it has ended.
    kept.signal.emit(net::cancellation_type::total);
    machine.world.run();
    CHECK(machine.append(target, record));
    CHECK(machine.completed_inline == 0);
}

TEST_CASE("a wait ends with poisoned when the log is", "[engine][wait]") {
    engine_world machine;
    log target = machine.open();
    REQUIRE(machine.append(target, record));
    const auto next = machine.start_wait(target, log_offset{2});
    const auto beyond = machine.start_wait(target, log_offset{100});
    machine.world.inject(sim::fault(sim::operation_kind::write).fails_with(EIO).from_then_on());
    CHECK_FALSE(machine.append(target, record));
    check_ended_with(machine, next, errc::poisoned);
    check_ended_with(machine, beyond, errc::poisoned);
    check_ended_with(machine, machine.start_wait(target, log_offset{2}), errc::poisoned);
}

TEST_CASE("closing finishes the waits for what was accepted and ends the others with closed",
          "[engine][wait]") {
    engine_world machine;
    log target = machine.open();
    const auto accepted = machine.start_wait(target, log_offset{1});
    const auto beyond = machine.start_wait(target, log_offset{2});
    const auto appended = machine.start_append(target, record);
    const auto closed = machine.start_close(target);
    const auto too_late = machine.start_wait(target, log_offset{1});
    check_ended_with(machine, beyond, errc::closed);
    check_ended_with(machine, too_late, errc::closed);
    REQUIRE(machine.finish(closed));
    CHECK(closed->value());
    REQUIRE(appended->has_value());
    CHECK(appended->value());
    REQUIRE(accepted->has_value());
    CHECK(accepted->value());
    check_ended_with(machine, machine.start_wait(target, log_offset{0}), errc::closed);
}

}  // namespace caisson::test
