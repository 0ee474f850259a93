// How long operations of the simulated disk take: between the bounds of the world's options, which
// every seed draws anew.

#include "unit/sim/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace caisson::sim {
namespace {

/// How long each of some operations took, one after the other: every kind that a log starts.
std::vector<std::uint64_t> measure(machine& on) {
    std::vector<std::uint64_t> lasted_ns;
    const auto timed = [&](auto&& operate) {
        const std::uint64_t before_ns = on.world.now_ns();
        auto result = operate();
        lasted_ns.push_back(on.world.now_ns() - before_ns);
        return result;
    };
    const auto root = timed([&] { return on.root(); });
    const auto spare = timed([&] { return on.below(*root, "spare"); });
    const auto lock = timed([&] { return on.lock(*root); });
    const auto file = timed([&] { return on.create(*root, "file"); });
    timed([&] { return on.allocate(*file, 0, 16 * block_bytes); });
    for (std::uint64_t block = 0; block < 50; ++block) {
        timed([&] { return on.fill(*file, 1, block * block_bytes); });
        timed([&] { return on.fill(*file, 2, block * block_bytes, 1, io::write_mode::dsync); });
        timed([&] { return on.read(*file, block * block_bytes, block_bytes); });
        timed([&] { return on.sync(*file); });
    }
    timed([&] { return on.truncate(*file, block_bytes); });
    timed([&] { return on.status(*file).length_bytes; });
    timed([&] { return on.rename(*root, "file", *spare, "file"); });
    timed([&] { return on.sync(*root); });
    timed([&] { return on.list(*spare); });
    timed([&] { return on.unlink(*spare, "file"); });
    return lasted_ns;
}

world_options lasting(std::uint64_t min_ns, std::uint64_t max_ns) {
    world_options options = quiet();
    options.latency_ns_min = min_ns;
    options.latency_ns_max = max_ns;
    return options;
}

}  // namespace

TEST_CASE("an operation takes between the shortest and the longest latency", "[sim][latency]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        machine here(seed, lasting(7'000, 90'000));
        const auto [shortest, longest] = std::ranges::minmax(measure(here));
        CHECK(shortest >= 7'000);
        CHECK(longest <= 90'000);
        // Of 200 draws some come near to either bound.
        CHECK(shortest < 12'000);
        CHECK(longest > 85'000);
    }
}

TEST_CASE("both bounds of the latency are drawn, and equal ones are exact", "[sim][latency]") {
    machine narrow(1, lasting(500, 502));
    const std::vector<std::uint64_t> drawn = measure(narrow);
    CHECK(std::set<std::uint64_t>(drawn.begin(), drawn.end()) ==
          std::set<std::uint64_t>{500, 501, 502});
    machine exact(1, lasting(123, 123));
    CHECK(std::ranges::all_of(measure(exact), [](std::uint64_t each) { return each == 123; }));
}

TEST_CASE("a stall comes on top of the latency, up to its bound", "[sim][latency]") {
    world_options options = lasting(1'000, 2'000);
    options.stalls_per_million = 1'000'000;
    options.stall_ns_max = 1'000'000;
    machine here(1, options);
    const auto [shortest, longest] = std::ranges::minmax(measure(here));
    CHECK(shortest >= 1'000);
    CHECK(longest <= 1'002'000);
    CHECK(longest > 900'000);

    options.stalls_per_million = 100'000;
    machine seldom(1, options);
    const std::vector<std::uint64_t> lasted_ns = measure(seldom);
    const auto stalled =
        std::ranges::count_if(lasted_ns, [](std::uint64_t each) { return each > 2'000; });
    CHECK(stalled > 0);
    CHECK(stalled < 60);  // one in ten of 211
}

TEST_CASE("the seed draws the latencies of its world, and the world keeps to them",
          "[sim][latency]") {
    std::set<std::pair<std::uint64_t, std::uint64_t>> bounds;
    std::set<std::uint32_t> stalls;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        world_options options = world_options::from_seed(seed);
        bounds.emplace(options.latency_ns_min, options.latency_ns_max);
        stalls.insert(options.stalls_per_million);
        REQUIRE(options.latency_ns_min <= options.latency_ns_max);
        options.stalls_per_million = 0;
        machine here(seed, options);
        const auto [shortest, longest] = std::ranges::minmax(measure(here));
        CHECK(shortest >= options.latency_ns_min);
        CHECK(longest <= options.latency_ns_max);
    }
    CHECK(bounds == std::set<std::pair<std::uint64_t, std::uint64_t>>{
                        {0, 1}, {1'000, 5'000'000}, {10'000, 200'000}, {50'000, 50'000}});
    CHECK(stalls.size() == 2);
}

TEST_CASE("another seed gives other latencies, the same seed the same", "[sim][latency]") {
    machine first(1);
    machine again(1);
    machine other(2);
    const std::vector<std::uint64_t> lasted_ns = measure(first);
    CHECK(measure(again) == lasted_ns);
    CHECK(measure(other) != lasted_ns);
}

}  // namespace caisson::sim
