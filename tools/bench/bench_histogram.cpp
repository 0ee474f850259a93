// Worked example: 1000 = 0b11'1110'1000 has its highest bit at 9, so its step is 2^(9-6) = 8 wide;
// it lies in step (9 - 5) * 64 + 0b111101 = 256 + 61, which begins at (64 + 61) * 8 = 1000.

#include "tools/bench/bench_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace caisson::tools {

std::size_t latency_histogram::index_of(std::uint64_t value_ns) noexcept {
    if (value_ns < steps) {
        return static_cast<std::size_t>(value_ns);
    }
    const unsigned top = static_cast<unsigned>(std::bit_width(value_ns)) - 1;
    const std::uint64_t sub = (value_ns >> (top - sub_bits)) & (steps - 1);
    return (top - sub_bits + 1) * steps + static_cast<std::size_t>(sub);
}

std::uint64_t latency_histogram::width_of(std::size_t index) noexcept {
    return index < steps ? 1 : std::uint64_t{1} << (index / steps - 1);
}

std::uint64_t latency_histogram::low_of(std::size_t index) noexcept {
    return index < steps ? index : (steps + index % steps) * width_of(index);
}

void latency_histogram::record(std::uint64_t value_ns) noexcept {
    ++counts_[index_of(value_ns)];
    ++count_;
    min_ns_ = std::min(min_ns_, value_ns);
    max_ns_ = std::max(max_ns_, value_ns);
    const auto value = static_cast<double>(value_ns);
    sum_ns_ += value;
    sum_of_squares_ += value * value;
}

void latency_histogram::merge(const latency_histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets; ++i) {
        counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    min_ns_ = std::min(min_ns_, other.min_ns_);
    max_ns_ = std::max(max_ns_, other.max_ns_);
    sum_ns_ += other.sum_ns_;
    sum_of_squares_ += other.sum_of_squares_;
}

double latency_histogram::mean_ns() const noexcept {
    return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

double latency_histogram::stddev_ns() const noexcept {
    if (count_ < 2) {
        return 0;
    }
    const double mean = mean_ns();
    return std::sqrt(std::max(0.0, sum_of_squares_ / static_cast<double>(count_) - mean * mean));
}

std::uint64_t latency_histogram::percentile_ns(double percent) const noexcept {
    const double wanted = percent / 100 * static_cast<double>(count_);
    double below = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        const auto here = static_cast<double>(counts_[i]);
        if (here > 0 && below + here >= wanted) {
            const double share = (wanted - below) / here;
            const double value =
                static_cast<double>(low_of(i)) + share * static_cast<double>(width_of(i) - 1);
            return std::clamp(static_cast<std::uint64_t>(value), min_ns(), max_ns());
        }
        below += here;
    }
    return max_ns();
}

}  // namespace caisson::tools
