// The histogram against a sorted list of the same values.

#include "tools/bench/bench_histogram.hpp"

#include "base/prng.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

using caisson::tools::latency_histogram;

TEST_CASE("an empty histogram has no values", "[tools]") {
    const latency_histogram empty;
    CHECK(empty.count() == 0);
    CHECK(empty.min_ns() == 0);
    CHECK(empty.max_ns() == 0);
    CHECK(empty.mean_ns() == 0);
    CHECK(empty.stddev_ns() == 0);
    CHECK(empty.percentile_ns(50) == 0);
}

TEST_CASE("one value is every percentile", "[tools]") {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64}, std::uint64_t{1000},
          std::uint64_t{123'456'789}, ~std::uint64_t{0}}) {
        INFO(value);
        latency_histogram one;
        one.record(value);
        CHECK(one.percentile_ns(0.01) == value);
        CHECK(one.percentile_ns(50) == value);
        CHECK(one.percentile_ns(100) == value);
        CHECK(one.min_ns() == value);
        CHECK(one.max_ns() == value);
    }
}

TEST_CASE("percentiles are within one step of the exact ones", "[tools]") {
    // Latencies over six decades, as a device with a long tail gives them.
    caisson::prng random(20'240'131);
    latency_histogram histogram;
    std::vector<std::uint64_t> exact;
    double sum = 0;
    for (int i = 0; i < 100'000; ++i) {
        const double exponent = static_cast<double>(random.next() % 6'000) / 1'000;
        const auto value = static_cast<std::uint64_t>(50 * std::pow(10.0, exponent));
        histogram.record(value);
        exact.push_back(value);
        sum += static_cast<double>(value);
    }
    std::sort(exact.begin(), exact.end());
    for (const double percent : {0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
        const auto rank =
            static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(exact.size()))) -
            1;
        INFO(percent);
        CHECK(static_cast<double>(histogram.percentile_ns(percent)) ==
              Catch::Approx(static_cast<double>(exact[rank])).epsilon(1.0 / 64));
    }
    CHECK(histogram.min_ns() == exact.front());
    CHECK(histogram.max_ns() == exact.back());
    CHECK(histogram.mean_ns() == Catch::Approx(sum / static_cast<double>(exact.size())));
}

TEST_CASE("merging two histograms is recording into one", "[tools]") {
    latency_histogram both;
    latency_histogram first;
    latency_histogram second;
    for (std::uint64_t value = 1; value < 100'000; value += 7) {
        both.record(value);
        (value % 3 == 0 ? first : second).record(value);
    }
    first.merge(second);
    CHECK(first.count() == both.count());
    CHECK(first.min_ns() == both.min_ns());
    CHECK(first.max_ns() == both.max_ns());
    CHECK(first.mean_ns() == Catch::Approx(both.mean_ns()));
    CHECK(first.stddev_ns() == Catch::Approx(both.stddev_ns()));
    CHECK(first.percentile_ns(50) == both.percentile_ns(50));
    CHECK(first.percentile_ns(99.9) == both.percentile_ns(99.9));
}
