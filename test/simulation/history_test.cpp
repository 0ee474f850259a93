// A short run of whole histories in the suite; `simulate` runs the long ones. CAISSON_HISTORIES:
// how many; sanitized builds take several times as long for each.

#include "simulation/history.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>
#include <set>
#include <string>
#include <tuple>

using namespace caisson::sim;

TEST_CASE("histories of appends, crashes, kills and faults keep the promise", "[simulation]") {
    std::uint64_t acknowledged = 0;
    for (std::uint64_t seed = 1; seed <= CAISSON_HISTORIES; ++seed) {
        const history_report report = run_history(seed);
        INFO("seed " << seed);
        REQUIRE(report.complaint == "");
        REQUIRE(shortcoming(report) == "");
        acknowledged += report.acknowledged;
    }
    CHECK(acknowledged > 100 * CAISSON_HISTORIES);
}

TEST_CASE(
    "whoever looks at a log beside its writers, its crashes and its recoveries finds no damage",
    "[simulation]") {
    for (std::uint64_t seed = 1; seed <= CAISSON_HISTORIES / 8; ++seed) {
        const history_report report = run_history(seed, {.inspects = inspection::always});
        INFO("seed " << seed);
        REQUIRE(report.complaint == "");
    }
}

TEST_CASE("seeds that once broke the promise keep it", "[simulation]") {
    std::ifstream list(CAISSON_SOURCE_DIR "/test/regressions/seeds.txt");
    std::uint64_t seeds = 0;
    for (std::string line; std::getline(list, line);) {
        if (line.starts_with('#')) {
            continue;
        }
        ++seeds;
        INFO(line);
        CHECK(run_history(std::stoull(line)).complaint == "");
    }
    CHECK(seeds > 0);
}

TEST_CASE("one seed is one history", "[simulation]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        CHECK(run_history_twice(seed).complaint == "");
    }
}

TEST_CASE("what a history is and on what device are drawn independently", "[simulation]") {
    std::set<std::tuple<std::uint32_t, bool, bool>> met;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        const world_options device = world_for(seed);
        caisson::prng random(seed);
        const swarm chosen = swarm_for(random, inspection::by_seed);
        met.emplace(device.sector_size_bytes, chosen.has_inspectors, chosen.ends_in_damage);
    }
    CHECK(met.size() == 8);
}

TEST_CASE("histories open again what an open left, and open with a rotten slot of STATE",
          "[simulation]") {
    std::uint64_t second_opens = 0;
    std::uint64_t rotten_slots = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const history_report report = run_history(seed);
        second_opens += report.second_opens;
        rotten_slots += report.rotten_slots;
    }
    CHECK(second_opens >= 50);
    CHECK(rotten_slots >= 50);
}

TEST_CASE("a history with too few appends or crashes shows less than it claims", "[simulation]") {
    history_report report;
    report.appends = appends_per_history;
    report.crashes = crashes_per_history;
    CHECK(shortcoming(report) == "");
    --report.appends;
    CHECK(shortcoming(report) != "");
    ++report.appends;
    --report.crashes;
    CHECK(shortcoming(report) != "");
}
