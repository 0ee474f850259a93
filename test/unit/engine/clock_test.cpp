// A wall clock that jumps: what a log does with its timestamps and what it says about them.

#include "engine_world.hpp"

#include "io/environment.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace caisson::test {
namespace {

constexpr std::int64_t hour_us = 3'600'000'000;

/// Outlives the world that says it.
struct spoken {
    [[nodiscard]] engine_options options() {
        engine_options with;
        with.logger = std::make_shared<spdlog::logger>(
            "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
        return with;
    }
    [[nodiscard]] std::size_t count(const std::string& part) const {
        std::size_t found = 0;
        const std::string all = text.str();
        for (std::size_t at = 0; (at = all.find(part, at)) != std::string::npos;
             at += part.size()) {
            ++found;
        }
        return found;
    }
    std::ostringstream text;
};

std::uint64_t wall_us(engine_world& machine) { return machine.world.environment().clock.wall_us(); }

void close_and_restart(engine_world& machine, log& closed, const engine_options& options) {
    REQUIRE(machine.finish(machine.start_close(closed)));
    REQUIRE(machine.finish(machine.start_close()));
    machine.destroy_engine();
    machine.start_engine(options);
}

}  // namespace

TEST_CASE("timestamps of commits never decrease when the wall clock jumps back",
          "[engine][clock]") {
    engine_world machine;
    log target = machine.open();
    const auto append_three = [&] {
        for (int k = 0; k < 3; ++k) {
            REQUIRE(machine.append(target, "record"));
        }
    };
    append_three();
    CHECK(target.stats().clock_ahead_us == 0);
    machine.world.jump_wall_clock(-hour_us);
    append_three();
    const std::uint64_t now_us = wall_us(machine);
    const std::uint64_t ahead_us = target.stats().clock_ahead_us;
    machine.world.jump_wall_clock(2 * hour_us);
    append_three();
    CHECK(target.stats().clock_ahead_us == 0);

    const std::vector<commit_facts> commits = machine.read_commits(target);
    REQUIRE(commits.size() == 9);
    for (std::size_t k = 1; k < commits.size(); ++k) {
        CAPTURE(k);
        CHECK(commits[k].timestamp_us >= commits[k - 1].timestamp_us);
    }
    const std::uint64_t last_before_us = commits[2].timestamp_us;
    for (std::size_t k = 3; k < 6; ++k) {
        CHECK(commits[k].timestamp_us == last_before_us);
    }
    // As the last of the three left, which was not long ago.
    CHECK(ahead_us >= last_before_us - now_us);
    CHECK(ahead_us < static_cast<std::uint64_t>(hour_us));
    CHECK(commits[6].timestamp_us > last_before_us + hour_us / 2);
}

TEST_CASE("a log whose last timestamp lies ahead of the wall clock is opened with a warning",
          "[engine][clock]") {
    const auto is_closed_cleanly = {true, false};
    for (const bool closes : is_closed_cleanly) {
        CAPTURE(closes);
        spoken heard;
        engine_world machine;
        log target = machine.open();
        REQUIRE(machine.append(target, "record"));
        const std::uint64_t last_us = machine.read_commits(target).back().timestamp_us;
        if (closes) {
            close_and_restart(machine, target, heard.options());
        } else {
            machine.world.crash();
            target = log();
            machine.destroy_engine();
            machine.world.power_on();
            machine.start_engine(heard.options());
        }
        machine.world.jump_wall_clock(-hour_us);

        open_report report;
        log_options options;
        options.report = &report;
        const std::uint64_t before_us = wall_us(machine);
        log again = machine.open(options);
        CHECK(report.clock_ahead_us <= last_us - before_us);
        CHECK(report.clock_ahead_us >= last_us - wall_us(machine));
        CHECK(again.stats().clock_ahead_us == report.clock_ahead_us);
        CHECK(heard.count("warning") == 1);
        CHECK(heard.count(log_path + ": the timestamp of the last commit lies ") == 1);
        const std::string seconds =
            std::to_string(static_cast<double>(report.clock_ahead_us) / 1e6);
        CHECK(heard.count(seconds + " s ahead of the wall clock") == 1);

        REQUIRE(machine.append(again, "record"));
        CHECK(machine.read_commits(again).back().timestamp_us == last_us);
    }
}

TEST_CASE("a log whose last timestamp lies behind the wall clock is opened in silence",
          "[engine][clock]") {
    spoken heard;
    engine_world machine;
    log target = machine.open();
    REQUIRE(machine.append(target, "record"));
    close_and_restart(machine, target, heard.options());
    log again = machine.open();
    CHECK(again.stats().clock_ahead_us == 0);
    CHECK(heard.count("warning") == 0);
}

}  // namespace caisson::test
