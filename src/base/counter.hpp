#pragma once
// counter: a number that one thread changes and any thread may read. A plain load and store on the
// hot path, no lock prefix. Knows nothing about what it counts.

#include <atomic>
#include <cstdint>

namespace caisson {

class counter {
public:
    counter() noexcept = default;
    explicit counter(std::uint64_t value) noexcept : value_(value) {}
    counter(const counter&) = delete;

    counter& operator=(const counter&) = delete;
    counter& operator=(std::uint64_t value) noexcept {
        value_.store(value, std::memory_order_relaxed);
        return *this;
    }
    counter& operator+=(std::uint64_t more) noexcept { return *this = load() + more; }
    counter& operator-=(std::uint64_t less) noexcept { return *this = load() - less; }

    [[nodiscard]] std::uint64_t load() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }
    operator std::uint64_t() const noexcept { return load(); }

private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace caisson
