#pragma once
// The seams for time and randomness in the simulated world: virtual time, a wall clock that tests
// may move, seeded bits.

#include "base/prng.hpp"
#include "io/clock.hpp"
#include "sim/executor.hpp"
#include "sim/scheduler.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace caisson::sim {

/// A sleep under way; destroyed without running it abandons its operation.
class sleep_task final : public task {
public:
    sleep_task(std::uint64_t life, io::operation& op) noexcept : task(life), operation_(&op) {}
    ~sleep_task() override { finish(io::operation::abandoned); }
    void run() override { finish(is_cancelled ? -ECANCELED : 0); }

    bool is_cancelled = false;

private:
    void finish(std::int64_t outcome) noexcept;

    io::operation* operation_;
};

class simulated_clock final : public io::clock {
public:
    simulated_clock(scheduler& on, const life_state& life, std::uint64_t wall_us_at_start,
                    const std::int64_t& wall_jump_us) noexcept
        : scheduler_(on),
          life_(life),
          wall_us_at_start_(wall_us_at_start),
          wall_jump_us_(wall_jump_us) {}

    [[nodiscard]] std::uint64_t monotonic_ns() const noexcept override {
        return scheduler_.now_ns();
    }
    [[nodiscard]] std::uint64_t wall_us() const noexcept override {
        return wall_us_at_start_ + scheduler_.now_ns() / 1000 +
               static_cast<std::uint64_t>(wall_jump_us_);
    }
    void start_sleep(io::operation& op, std::uint64_t duration_ns) override;
    void cancel_sleep(io::operation& op) override;

private:
    scheduler& scheduler_;
    const life_state& life_;
    std::uint64_t wall_us_at_start_;
    const std::int64_t& wall_jump_us_;  // of the world: outlives this life
};

class simulated_random final : public io::random {
public:
    explicit simulated_random(std::uint64_t seed) noexcept : random_(seed) {}
    void fill(std::span<std::byte> into) noexcept override {
        for (std::byte& each : into) {
            each = static_cast<std::byte>(random_.next() >> 56U);
        }
    }

private:
    prng random_;
};

}  // namespace caisson::sim
