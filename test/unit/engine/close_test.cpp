// How an engine, its logs, readers and views end: in order, in the face of a device that stands
// still, and when handles go away at inconvenient moments.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <utility>

namespace caisson::test {
namespace {

using sim::fault;
using sim::operation_kind;

/// The device takes everything from the `nth` operation on and answers none of it.
fault freezes_at(std::uint64_t nth) {
    return fault(operation_kind::any, nth).does(fault::effect::stuck).from_then_on();
}

/// Small enough that a few appends fill segments, so that every kind of work is under way.
log_options small_segments() {
    log_options options;
    options.segment_size_bytes = 64 << 10;
    return options;
}

const std::string large_record(20 << 10, 'x');

}  // namespace

TEST_CASE("closing ends at the deadline wherever the device freezes", "[engine][close]") {
    // Freezes at each operation from the call of close on, one after the other, until close has no
    // operation left to freeze at. Each round: appends in flight, a rotation, a reader.
    bool was_hit = true;
    int rounds = 0;
    for (std::uint64_t nth = 1; was_hit; ++nth, ++rounds) {
        INFO("frozen at operation " << nth);
        engine_world machine(nth);
        log target = machine.open(small_segments());
        REQUIRE(machine.append(target, "first"));
        log_reader reader = target.reader(log_offset{0});
        std::vector<answer<append_receipt>> appends;
        for (int k = 0; k < 5; ++k) {
            appends.push_back(machine.start_append(target, large_record));
        }
        const std::uint64_t faults_before = machine.world.counters().faults;
        machine.world.inject(freezes_at(nth));
        const auto read = machine.start_read(reader);
        const std::uint64_t begin_ns = machine.world.now_ns();
        const auto closed = machine.start_close(target);
        REQUIRE(machine.finish(closed));
        was_hit = machine.world.counters().faults > faults_before;
        for (const auto& each : appends) {
            REQUIRE(each->has_value());
            if (!each->value()) {
                // admitted, or still waiting for room
                CHECK((each->value().error() == errc::outcome_unknown ||
                       each->value().error() == errc::poisoned));
                CHECK(was_hit);
            }
        }
        CHECK(read->has_value());
        if (!closed->value()) {
            CHECK(was_hit);
            CHECK(closed->value().error() == errc::outcome_unknown);
            CHECK(target.failure_cause());
            CHECK(machine.is_locked());
        } else {
            CHECK_FALSE(machine.is_locked());
        }
        const auto ended = machine.start_close();
        REQUIRE(machine.finish(ended));
        CHECK(machine.world.now_ns() - begin_ns <= 31 * second_ns);
        CHECK(ended->value().has_value() == closed->value().has_value());
        machine.destroy_engine();
        machine.world.run();
        CHECK(machine.completed_inline == 0);
    }
    CHECK(rounds > 20);
}

TEST_CASE("an engine whose log opens on a frozen device closes at the deadline",
          "[engine][close]") {
    for (const std::uint64_t nth : {1u, 3u, 6u, 9u}) {
        engine_world machine;
        machine.world.inject(freezes_at(nth));
        open_report report;
        log_options options;
        options.report = &report;
        const auto opened = machine.start_open(options);
        machine.world.run_for(second_ns);
        REQUIRE_FALSE(opened->has_value());
        const auto ended = machine.start_close();
        const std::uint64_t begin_ns = machine.world.now_ns();
        REQUIRE(machine.finish(ended));
        CHECK(ended->value().error() == errc::outcome_unknown);
        CHECK(machine.world.now_ns() - begin_ns <= 31 * second_ns);
        REQUIRE(opened->has_value());
        CHECK(opened->value().error() == errc::closed);
        machine.destroy_engine();
    }
}

TEST_CASE("what a frozen device answers after the deadline meets living memory",
          "[engine][close]") {
    // Slow instead of stuck: everything completes, long after log and engine have given up and
    // their handles are gone. The sanitizers watch.
    for (std::uint64_t nth = 1; nth <= 24; ++nth) {
        sim::world_options options = calm();
        options.stall_ns_max = 100 * second_ns;
        engine_world machine(nth, options);
        {
            log target = machine.open(small_segments());
            REQUIRE(machine.append(target, "first"));
            log_reader reader = target.reader(log_offset{0});
            std::vector<answer<append_receipt>> appends;
            for (int k = 0; k < 5; ++k) {
                appends.push_back(machine.start_append(target, large_record));
            }
            machine.world.inject(
                fault(operation_kind::any, nth).does(fault::effect::slow).from_then_on());
            (void)machine.start_read(reader);
            const auto ended = machine.start_close();
            REQUIRE(machine.finish(ended));
            CHECK(ended->value().error() == errc::outcome_unknown);
            machine.destroy_engine();
        }
        machine.world.run();
    }
}

TEST_CASE("one log on a frozen device does not keep the others from their work",
          "[engine][close]") {
    engine_world machine;
    log stuck = machine.open();
    REQUIRE(machine.append(stuck, "a"));
    machine.world.inject(fault(operation_kind::any)
                             .on("00000000000000000000.stdb.log")
                             .does(fault::effect::stuck)
                             .from_then_on());
    const auto lost = machine.start_append(stuck, "b");
    const auto closed = machine.start_close(stuck);
    REQUIRE(machine.finish(closed));
    CHECK(closed->value().error() == errc::outcome_unknown);
    CHECK(lost->value().error() == errc::outcome_unknown);
    machine.world.clear_faults();
    auto opened = machine.start<log>([&](auto token) {
        machine.server().async_open("/other", log_options(), std::move(token));
    });
    REQUIRE(machine.finish(opened));
    log other = std::move(opened->value()).value();
    CHECK(machine.append(other, "c"));
    const auto other_closed = machine.start_close(other);
    REQUIRE(machine.finish(other_closed));
    CHECK(other_closed->value());
    // The disk as a whole could not be closed, and that is said at once.
    const std::uint64_t begin_ns = machine.world.now_ns();
    const auto ended = machine.start_close();
    REQUIRE(machine.finish(ended));
    CHECK(ended->value().error() == errc::outcome_unknown);
    CHECK(machine.world.now_ns() - begin_ns < second_ns);
}

TEST_CASE("a process that stood still does not take a healthy device for a frozen one",
          "[engine][close]") {
    // The device needs 1 s for each operation; in between the process is stopped for an hour: the
    // clock jumps, and whatever became due is ready at once.
    sim::world_options options = calm();
    options.latency_ns_min = options.latency_ns_max = second_ns;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        engine_world machine(seed, options);
        log target = machine.open();
        REQUIRE(machine.append(target, "first"));
        const auto appended = machine.start_append(target, "second");
        const auto closed = machine.start_close(target);
        machine.world.run_for(second_ns / 2);
        REQUIRE_FALSE(appended->has_value());
        machine.world.stand_still(3600 * second_ns);
        REQUIRE(machine.finish(closed));
        REQUIRE(appended->has_value());
        CHECK(appended->value());
        CHECK(closed->value());
    }
}

TEST_CASE("every call to close is answered, also beside each other and afterwards",
          "[engine][close]") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        engine_world machine(seed);
        log target = machine.open();
        REQUIRE(machine.append(target, "first"));
        const auto first = machine.start_close(target);
        const auto ended = machine.start_close();
        const auto second = machine.start_close(target);
        const auto ended_again = machine.start_close();
        REQUIRE(machine.finish(ended));
        REQUIRE(machine.finish(ended_again));
        REQUIRE(first->has_value());
        REQUIRE(second->has_value());
        CHECK(first->value());
        CHECK(second->value());
        CHECK(ended->value());
        const auto late_log = machine.start_close(target);
        const auto late_engine = machine.start_close();
        REQUIRE(machine.finish(late_log));
        REQUIRE(machine.finish(late_engine));
        CHECK(late_log->value());
        CHECK(late_engine->value());
        CHECK(machine.completed_inline == 0);
        CHECK_FALSE(machine.is_locked());
    }
}

TEST_CASE("an engine may be destroyed in the answer to its close, or in its log's",
          "[engine][close]") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        for (const bool in_the_logs_answer : {false, true}) {
            engine_world machine(seed);
            log target = machine.open();
            REQUIRE(machine.append(target, "first"));
            int answers = 0;
            const auto destroy = [&](result<void> outcome) {
                ++answers;
                CHECK(outcome);
                machine.destroy_engine();
            };
            const auto count = [&](result<void> outcome) {
                ++answers;
                CHECK(outcome);
            };
            if (in_the_logs_answer) {
                target.async_close(destroy);
                target.async_close(count);
                machine.server().async_close(count);
            } else {
                target.async_close(count);
                machine.server().async_close(destroy);
                machine.server().async_close(count);
            }
            machine.world.run();
            CHECK(answers == 3);
            CHECK_FALSE(machine.is_locked());
        }
    }
}

TEST_CASE("an engine destroyed without close finishes what was accepted and gives up the lock",
          "[engine][close]") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        for (const std::uint64_t steps : {0u, 3u, 40u}) {
            engine_world machine(seed);
            log target = machine.open();
            REQUIRE(machine.append(target, "first"));
            const auto appended = machine.start_append(target, "second");
            const auto opening = machine.start<log>([&](auto token) {
                machine.server().async_open("/other", log_options(), std::move(token));
            });
            for (std::uint64_t k = 0; k < steps; ++k) {
                machine.world.step();
            }
            machine.destroy_engine();
            machine.world.run();
            REQUIRE(appended->has_value());
            CHECK(appended->value());
            CHECK(opening->has_value());
            CHECK_FALSE(target.is_open());
            CHECK_FALSE(machine.is_locked());
            machine.start_engine();
            open_report report;
            log_options options;
            options.report = &report;
            log again = machine.open(options);
            CHECK(report.was_closed_cleanly);
            CHECK(again.durable_end() == log_offset{2});
        }
    }
}

TEST_CASE("an engine that was never used may be destroyed", "[engine][close]") {
    engine_world machine;
    machine.destroy_engine();
    machine.world.run();
    machine.start_engine();
    machine.destroy_engine();
}

TEST_CASE("a log whose handle goes away while it closes is closed all the same",
          "[engine][close]") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        for (std::uint64_t steps = 0; steps < 60; steps += 7) {
            engine_world machine(seed);
            answer<void> closed;
            {
                log target = machine.open();
                REQUIRE(machine.append(target, "first"));
                closed = machine.start_close(target);
                for (std::uint64_t k = 0; k < steps; ++k) {
                    machine.world.step();
                }
            }
            REQUIRE(machine.finish(closed));
            CHECK(closed->value());
            machine.world.run();
            CHECK_FALSE(machine.is_locked());
        }
    }
}

TEST_CASE("a power cut at any moment of closing leaves nothing behind", "[engine][close]") {
    for (std::uint64_t steps = 0; steps < 150; ++steps) {
        engine_world machine(steps);
        log target = machine.open(small_segments());
        REQUIRE(machine.append(target, "first"));
        (void)machine.start_append(target, large_record);
        const auto view = machine.start_open_view();
        (void)machine.start_close();
        for (std::uint64_t k = 0; k < steps; ++k) {
            machine.world.step();
        }
        machine.world.crash();
        machine.destroy_engine();
        target = log();
        machine.world.power_on();
        machine.start_engine();
        CHECK(machine.open().durable_end() >= log_offset{1});
    }
}

TEST_CASE("a closing engine refuses what comes later, and nothing completes inside a call",
          "[engine][close]") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        engine_world machine(seed);
        log target = machine.open();
        REQUIRE(machine.append(target, "first"));
        log_reader reader = target.reader(log_offset{0});
        log_reader late_reader = target.reader(log_offset{0});
        const auto read = machine.start_read(reader);
        const auto ended = machine.start_close();
        CHECK_FALSE(read->has_value());
        const auto opened = machine.start_open();
        const auto view = machine.start_open_view();
        const auto late_read = machine.start_read(late_reader);
        const auto appended = machine.start_append(target, "second");
        CHECK(machine.completed_inline == 0);
        REQUIRE(machine.finish(ended));
        REQUIRE(machine.finish(opened));
        REQUIRE(machine.finish(view));
        REQUIRE(machine.finish(late_read));
        REQUIRE(machine.finish(appended));
        REQUIRE(machine.finish(read));
        CHECK(read->value().error() == errc::closed);
        CHECK(opened->value().error() == errc::closed);
        CHECK(view->value().error() == errc::closed);
        CHECK(late_read->value().error() == errc::closed);
        CHECK(appended->value().error() == errc::closed);
        // The same on an engine that has closed.
        const auto opened_late = machine.start_open();
        const auto view_late = machine.start_open_view();
        CHECK(machine.completed_inline == 0);
        REQUIRE(machine.finish(opened_late));
        REQUIRE(machine.finish(view_late));
        CHECK(opened_late->value().error() == errc::closed);
        CHECK(view_late->value().error() == errc::closed);
    }
}

TEST_CASE("an engine's close ends its views and all that runs on them", "[engine][close][view]") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        for (std::uint64_t steps = 0; steps < 60; steps += 4) {
            engine_world machine(seed);
            log target = machine.open();
            for (int k = 0; k < 4; ++k) {
                REQUIRE(machine.append(target, large_record));
            }
            auto opened = machine.start_open_view();
            REQUIRE(machine.finish(opened));
            log_view view = std::move(opened->value()).value();
            log_reader reader = view.reader(log_offset{0});
            bool has_closed = false;
            int visited_late = 0;
            const auto walked = machine.start<void>([&](auto token) {
                view.async_walk(
                    [&](const walk_item&) {
                        visited_late += has_closed ? 1 : 0;
                        return true;
                    },
                    std::move(token));
            });
            const auto verified = machine.start<verify_report>(
                [&](auto token) { view.async_verify(verify_options(), std::move(token)); });
            const auto read = machine.start_read(reader);
            for (std::uint64_t k = 0; k < steps; ++k) {
                machine.world.step();
            }
            const auto ended = machine.start_close();
            has_closed = true;
            REQUIRE(machine.finish(ended));
            CHECK(ended->value());
            REQUIRE(machine.finish(walked));
            REQUIRE(machine.finish(verified));
            REQUIRE(machine.finish(read));
            CHECK((walked->value() || walked->value().error() == errc::closed));
            CHECK((verified->value() || verified->value().error() == errc::closed));
            CHECK((read->value() || read->value().error() == errc::closed));
            CHECK(visited_late == 0);
            // Views and readers that outlive the close, and then the engine.
            log_reader fresh = view.reader(log_offset{0});
            const auto late = machine.start_read(fresh);
            const auto late_walk = machine.start<void>([&](auto token) {
                view.async_walk([](const walk_item&) { return true; }, std::move(token));
            });
            REQUIRE(machine.finish(late));
            REQUIRE(machine.finish(late_walk));
            CHECK(late->value().error() == errc::closed);
            CHECK(late_walk->value().error() == errc::closed);
            CHECK(machine.completed_inline == 0);
            machine.destroy_engine();
            machine.world.run();
            CHECK(view.end() >= log_offset{1});
        }
    }
}

TEST_CASE("a view on a frozen device ends with its engine at the deadline",
          "[engine][close][view]") {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
        engine_world machine(nth);
        log target = machine.open();
        for (int k = 0; k < 8; ++k) {
            REQUIRE(machine.append(target, large_record));
        }
        const auto closed = machine.start_close(target);
        REQUIRE(machine.finish(closed));
        auto opened = machine.start_open_view();
        REQUIRE(machine.finish(opened));
        log_view view = std::move(opened->value()).value();
        const std::uint64_t faults_before = machine.world.counters().faults;
        machine.world.inject(freezes_at(nth));
        log_reader reader = view.reader(log_offset{0});
        const auto read = machine.start_read(reader);
        const auto walked = machine.start<void>([&](auto token) {
            view.async_walk([](const walk_item&) { return true; }, std::move(token));
        });
        const auto other_view = machine.start_open_view();
        machine.world.run_for(second_ns);
        if (machine.world.counters().faults == faults_before) {
            break;
        }
        const std::uint64_t begin_ns = machine.world.now_ns();
        const auto ended = machine.start_close();
        REQUIRE(machine.finish(ended));
        CHECK(ended->value().error() == errc::outcome_unknown);
        CHECK(machine.world.now_ns() - begin_ns <= 31 * second_ns);
        CHECK(read->has_value());
        CHECK(walked->has_value());
        CHECK(other_view->has_value());
        machine.destroy_engine();
    }
}

TEST_CASE("a power cut destroys calls whose handlers own what the calls belong to",
          "[engine][close]") {
    // The reader of a call that is under way, and a reader that keeps the log of a call that waits.
    for (int steps = 0; steps < 40; ++steps) {
        engine_world machine;
        log target = machine.open();
        REQUIRE(machine.append(target, "record"));
        auto reading = std::make_shared<log_reader>(target.reader(log_offset{}));
        auto waiting = std::make_shared<log_reader>(target.reader(log_offset{}));
        const std::weak_ptr<log_reader> read_left = reading;
        const std::weak_ptr<log_reader> wait_left = waiting;
        reading->async_next([reading](result<commit_batch>) {});
        target.async_wait_durable(log_offset{1'000}, durability::local, [waiting](result<void>) {});
        reading.reset();
        waiting.reset();
        for (int k = 0; k < steps; ++k) {
            machine.world.step();
        }
        machine.world.crash();
        target = log();
        machine.destroy_engine();
        machine.world.power_on();
        CHECK(read_left.expired());
        CHECK(wait_left.expired());
    }
}

TEST_CASE("closing an engine ends an open that waits for the lock", "[engine][close]") {
    engine_world machine;
    {
        log target = machine.open();
        REQUIRE(machine.append(target, "record"));
        const auto closed = machine.start_close(target);
        REQUIRE(machine.finish(closed));
    }
    REQUIRE(machine.world.lock_from_outside(log_path + "/LOCK"));
    log_options options;
    options.lock_wait = std::chrono::minutes{5};
    const auto opened = machine.start_open(options);
    machine.world.run_for(second_ns);
    CHECK_FALSE(opened->has_value());
    const std::uint64_t begin_ns = machine.world.now_ns();
    const auto ended = machine.start_close();
    REQUIRE(machine.finish(ended));
    CHECK(ended->value().has_value());
    CHECK(machine.world.now_ns() - begin_ns < second_ns);
    REQUIRE(opened->has_value());
    CHECK(opened->value().error() == errc::closed);
}

}  // namespace caisson::test
