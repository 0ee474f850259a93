#pragma once
// scheduler: what runs next in the simulated world, and at what virtual time. One seed, one order.
// Knows tasks only; what they do is the business of executor, clock and device. Read
// docs/simulation.md.

#include <caisson/sim.hpp>

#include "base/prng.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace caisson::sim {

/// Something that runs once, or is destroyed without running when its life ends.
class task {
public:
    /// `life`: the process it belongs to; the kernel's own work has life 0 and ends with a power
    /// cut only.
    explicit task(std::uint64_t life) noexcept : life_(life) {}
    task(const task&) = delete;
    task& operator=(const task&) = delete;
    virtual ~task() = default;
    virtual void run() = 0;

    [[nodiscard]] std::uint64_t life() const noexcept { return life_; }

private:
    std::uint64_t life_;
};

class scheduler {
public:
    static constexpr std::uint64_t never = UINT64_MAX;

    scheduler(std::uint64_t seed, const world_options& options) noexcept;
    ~scheduler();

    void make_ready(std::unique_ptr<task> what);
    /// `at_ns` may be `never`: kept until its life ends.
    void schedule(std::uint64_t at_ns, std::unique_ptr<task> what);
    /// Makes a scheduled task ready now; one that is ready already stays so.
    void hasten(const task& what);

    /// Runs one task; never goes on in time beyond `limit_ns`. False: nothing to do until then.
    bool step(std::uint64_t limit_ns = never - 1);
    /// Time of the next event, `never` when there is none; the present when something is ready.
    [[nodiscard]] std::uint64_t next_ns() const noexcept;
    [[nodiscard]] bool is_running() const noexcept { return is_running_; }
    [[nodiscard]] std::uint64_t now_ns() const noexcept { return now_ns_; }
    void advance_to(std::uint64_t at_ns) noexcept;

    /// Destroys every task of `life` without running it, and what those destructors add.
    void end_life(std::uint64_t life);

    void trace(std::uint64_t value) noexcept;
    [[nodiscard]] std::uint64_t trace_hash() const noexcept { return trace_; }
    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
    struct event {
        std::uint64_t at_ns = 0;
        std::uint64_t order = 0;  // of two events at one time; makes the order of the heap total
        std::unique_ptr<task> what;
    };
    static bool is_later(const event& a, const event& b) noexcept;
    void move_due_events();

    prng random_;
    std::uint32_t early_events_per_million_;
    std::vector<std::unique_ptr<task>> ready_;
    std::vector<event> events_;  // heap, earliest first
    std::uint64_t now_ns_ = 0;
    std::uint64_t orders_ = 0;
    std::uint64_t steps_ = 0;
    std::uint64_t trace_ = 1;
    bool is_running_ = false;
};

}  // namespace caisson::sim
