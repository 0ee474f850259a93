// The world: lives that follow each other on one machine. Order of destruction is the point of this
// file.

#include <caisson/sim.hpp>

#include "base/assert.hpp"
#include "io/environment.hpp"
#include "sim/clock.hpp"
#include "sim/device.hpp"
#include "sim/executor.hpp"
#include "sim/handles.hpp"
#include "sim/mix.hpp"
#include "sim/scheduler.hpp"
#include "sim/storage.hpp"

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

namespace caisson::sim {

namespace {

/// One process with its view of the machine. Kept until the world ends, so that late destructors
/// find it.
struct life {
    life(std::uint64_t number, scheduler& on, execution_host& host, device& disk_device,
         std::uint64_t seed, const std::int64_t& wall_jump_us)
        : state{number, false},
          disk(disk_device, state),
          clock(on, state, disk_device.options().wall_us_at_start, wall_jump_us),
          random(mix(seed, number)),
          environment{executor(on, host, state),
                      executor(on, host, state),
                      std::make_shared<async::home_thread>(),
                      disk,
                      clock,
                      random,
                      nullptr} {}

    life_state state;
    disk_handle disk;
    simulated_clock clock;
    simulated_random random;
    io::environment environment;
};

}  // namespace

class world::impl {
public:
    impl(std::uint64_t seed, const world_options& options)
        : schedule(mix(seed, 2), options),
          image(options),
          disk(schedule, image.internals(), counters, options, mix(seed, 3)),
          seed_(seed),
          choices_(mix(seed, 1)),
          host_(std::make_unique<execution_host>()) {
        begin_life();
    }

    ~impl() {
        // Like a power cut, but the content no longer matters.
        for (const auto& each : lives_) {
            each->state.is_over = true;
        }
        end_tasks();
        // Asio's services may own handlers too; what those post while they die is destroyed last.
        host_.reset();
        end_tasks();
    }

    [[nodiscard]] life& present() noexcept { return *lives_.back(); }
    [[nodiscard]] const life& present() const noexcept { return *lives_.back(); }

    void cut_power(survival data, name_survival names) {
        CAISSON_ASSERT(!schedule.is_running());
        CAISSON_ASSERT(has_power_);
        has_power_ = false;
        present().state.is_over = true;
        ++counters.power_cuts;
        disk.power_cut(choices_.next(), data, names);
        schedule.trace(image.durable_hash());
        schedule.end_life(0);
        schedule.end_life(present().state.number);
    }

    void kill() {
        CAISSON_ASSERT(!schedule.is_running());
        CAISSON_ASSERT(!present().state.is_over);
        present().state.is_over = true;
        ++counters.kills;
        disk.kill_process(present().state);
        schedule.end_life(present().state.number);
    }

    void power_on() {
        CAISSON_ASSERT(present().state.is_over);
        // What the dead life's objects left behind while they were destroyed.
        schedule.end_life(present().state.number);
        // A machine takes its time; a killed server is back at once, before its last writes have
        // landed.
        const std::uint64_t pause_ns_max = has_power_ ? 100'000 : 1'000'000'000;
        schedule.advance_to(schedule.now_ns() + choices_.below(pause_ns_max));
        has_power_ = true;
        begin_life();
    }

    world_counters counters;
    std::int64_t wall_jump_us = 0;
    scheduler schedule;
    disk_image image;
    device disk;

private:
    void begin_life() {
        const std::uint64_t number = lives_.size() + 1;
        lives_.push_back(
            std::make_unique<life>(number, schedule, *host_, disk, mix(seed_, 4), wall_jump_us));
    }

    void end_tasks() {
        for (const auto& each : lives_) {
            schedule.end_life(each->state.number);
        }
        schedule.end_life(0);
    }

    std::uint64_t seed_;
    prng choices_;
    bool has_power_ = true;
    std::unique_ptr<execution_host> host_;
    std::vector<std::unique_ptr<life>> lives_;
};

world::world(std::uint64_t seed, const world_options& options)
    : impl_(std::make_unique<impl>(seed, options)) {}
world::~world() = default;

net::any_io_executor world::executor() const { return impl_->present().environment.home; }
io::environment& world::environment() noexcept { return impl_->present().environment; }

bool world::step() { return impl_->schedule.step(); }

void world::run() {
    while (step()) {
    }
}

void world::run_for(std::uint64_t duration_ns) {
    const std::uint64_t deadline = impl_->schedule.now_ns() + duration_ns;
    while (impl_->schedule.step(deadline)) {
    }
    impl_->schedule.advance_to(deadline);
}

void world::stand_still(std::uint64_t duration_ns) {
    CAISSON_ASSERT(!impl_->schedule.is_running());
    impl_->schedule.advance_to(impl_->schedule.now_ns() + duration_ns);
}

bool world::idle() const noexcept { return impl_->schedule.next_ns() == scheduler::never; }
std::uint64_t world::now_ns() const noexcept { return impl_->schedule.now_ns(); }
void world::jump_wall_clock(std::int64_t microseconds) { impl_->wall_jump_us += microseconds; }

void world::crash() { impl_->cut_power(impl_->disk.options().data, impl_->disk.options().names); }
void world::crash(survival mode, name_survival names) { impl_->cut_power(mode, names); }
void world::kill() { impl_->kill(); }
void world::power_on() { impl_->power_on(); }
bool world::powered_off() const noexcept { return impl_->present().state.is_over; }

void world::inject(fault what) { impl_->disk.faults().inject(std::move(what)); }
void world::clear_faults() { impl_->disk.faults().clear(); }
void world::set_fault_rates(const fault_rates& rates) noexcept {
    impl_->disk.faults().set_rates(rates);
}
void world::set_capacity(std::uint64_t bytes, int error_number) {
    impl_->disk.set_capacity(bytes, error_number);
}
std::uint64_t world::used_bytes() const noexcept { return impl_->image.internals().used_bytes(); }
void world::set_read_only(bool read_only) noexcept { impl_->disk.set_read_only(read_only); }

bool world::lock_from_outside(std::string_view path) {
    const node_id file = impl_->image.internals().resolve(path);
    return file != 0 && impl_->disk.lock_from_outside(file);
}

void world::unlock_from_outside(std::string_view path) {
    impl_->disk.unlock_from_outside(impl_->image.internals().resolve(path));
}

disk_image& world::disk() noexcept { return impl_->image; }

disk_image world::snapshot() const {
    disk_image copy = impl_->image;
    impl_->disk.absorb_into(copy.internals());
    return copy;
}

void world::replace_disk(disk_image content) {
    CAISSON_ASSERT(powered_off());
    const world_options& options = impl_->disk.options();
    CAISSON_ASSERT(content.internals().options().sector_size_bytes == options.sector_size_bytes);
    CAISSON_ASSERT(content.internals().options().block_size_bytes == options.block_size_bytes);
    impl_->image = std::move(content);
    impl_->image.internals().adopt(options);
    impl_->image.internals().forget_handles();
}

std::uint64_t world::trace_hash() const noexcept { return impl_->schedule.trace_hash(); }

const world_counters& world::counters() const noexcept {
    impl_->counters.steps = impl_->schedule.steps();
    return impl_->counters;
}

}  // namespace caisson::sim
