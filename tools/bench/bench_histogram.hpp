#pragma once
// A log-linear histogram of latencies: 64 steps a power of two, so that no value is off by more
// than 1/64, in 30 KiB. Sixty lines of our own instead of a package (Debian has libhdr-histogram)
// that every build would have to install.

#include <array>
#include <cstdint>

namespace caisson::tools {

class latency_histogram {
public:
    void record(std::uint64_t value_ns) noexcept;
    void merge(const latency_histogram& other) noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t min_ns() const noexcept { return count_ == 0 ? 0 : min_ns_; }
    [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }
    [[nodiscard]] double mean_ns() const noexcept;
    [[nodiscard]] double stddev_ns() const noexcept;

    /// The value that `percent` (0 < percent <= 100) of all values do not exceed, interpolated
    /// within its step.
    [[nodiscard]] std::uint64_t percentile_ns(double percent) const noexcept;

private:
    static constexpr unsigned sub_bits = 6;
    static constexpr std::size_t steps = std::size_t{1} << sub_bits;
    // Values below 64 have a step each; every power of two from 2^6 to 2^63 has 64.
    static constexpr std::size_t buckets = steps * (64 - sub_bits + 1);

    static std::size_t index_of(std::uint64_t value_ns) noexcept;
    static std::uint64_t low_of(std::size_t index) noexcept;
    static std::uint64_t width_of(std::size_t index) noexcept;

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t min_ns_ = ~std::uint64_t{0};
    std::uint64_t max_ns_ = 0;
    double sum_ns_ = 0;
    double sum_of_squares_ = 0;
};

}  // namespace caisson::tools
