// The generator: one seed, one sequence, on every compiler; even draws.

#include "base/prng.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>

namespace caisson {
namespace {

TEST_CASE("a seed gives the same sequence on every compiler", "[base][prng]") {
    prng random(42);
    // xoshiro256** from the SplitMix64 stream of 42, as the authors' C code prints it.
    CHECK(random.next() == 0x15780b2e0c2ec716);
    CHECK(random.next() == 0x6104d9866d113a7e);
    CHECK(random.next() == 0xae17533239e499a1);
    STATIC_REQUIRE(prng(1).next() != prng(2).next());
}

TEST_CASE("draws below a bound stay below it and reach every value about equally", "[base][prng]") {
    prng random(7);
    std::array<int, 10> drawn{};
    for (int n = 0; n < 100'000; ++n) {
        ++drawn[random.below(drawn.size())];
    }
    for (const int count : drawn) {
        CHECK(count > 9'500);  // 5 standard deviations are 474
        CHECK(count < 10'500);
    }
    CHECK(random.below(1) == 0);
}

TEST_CASE("a bound just above half of the range is not drawn unevenly", "[base][prng]") {
    // Without the second draw, results below 2^62 would come up half as often again.
    prng random(8);
    constexpr std::uint64_t bound = 3ULL << 62;
    int low_third = 0;
    for (int n = 0; n < 30'000; ++n) {
        low_third += random.below(bound) < bound / 3 ? 1 : 0;
    }
    CHECK(low_third > 9'500);
    CHECK(low_third < 10'500);
}

TEST_CASE("chances come true as often as asked", "[base][prng]") {
    prng random(9);
    int hits = 0;
    for (int n = 0; n < 100'000; ++n) {
        hits += random.chance(1, 8) ? 1 : 0;
        REQUIRE(random.chance(8, 8));
        REQUIRE_FALSE(random.chance(0, 8));
    }
    CHECK(hits > 12'000);
    CHECK(hits < 13'000);
}

}  // namespace
}  // namespace caisson
