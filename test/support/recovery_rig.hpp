#pragma once
// recovery_rig: a simulated machine with a log directory to damage, open, crash and look at. Verbs
// for the tests of recovery; knows the simulated world and open_log, nothing of how either works.

#include <caisson/options.hpp>
#include <caisson/sim.hpp>

#include "log/recovery.hpp"
#include "support/log_builder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caisson::test {

inline constexpr const char* log_path = "/log";

inline sim::world_options calm() {
    sim::world_options options;
    options.early_events_per_million = 0;
    options.stalls_per_million = 0;
    return options;
}

template <class T>
net::awaitable<void> keep_value(net::awaitable<T> what, std::shared_ptr<std::optional<T>> into) {
    into->emplace(co_await std::move(what));
}

/// Starts `what`; its value appears behind the pointer when it ends, and never if the life ends
/// before.
template <class T>
std::shared_ptr<std::optional<T>> start_in(sim::world& world, net::awaitable<T> what) {
    auto value = std::make_shared<std::optional<T>>();
    net::co_spawn(world.executor(), keep_value(std::move(what), value), net::detached);
    return value;
}

/// Runs `what` on the world until it ends; absent when the world ran dry first.
template <class T>
std::optional<T> run_in(sim::world& world, net::awaitable<T> what) {
    const auto value = start_in(world, std::move(what));
    while (!value->has_value() && world.step()) {
    }
    return std::move(*value);
}

/// What one open gave.
struct open_outcome {
    std::optional<log_detail::recovered_log> log;
    std::optional<failure> refused;
    open_report report;

    [[nodiscard]] bool is_open() const { return log.has_value(); }
    [[nodiscard]] error_code code() const { return refused ? refused->code() : error_code(); }
    [[nodiscard]] std::string message() const {
        return refused ? refused->message() : std::string("opened");
    }
};

using directory_image = std::map<std::string, std::vector<std::byte>>;

class recovery_rig {
public:
    explicit recovery_rig(std::uint64_t seed = 1, const sim::world_options& options = calm())
        : world(seed, options) {}

    [[nodiscard]] sim::disk_image& disk() { return world.disk(); }

    /// A log that stopped without closing; its bytes are durable.
    void put(const log_builder& log) { log.write_to(disk(), log_path, log.running_state()); }
    void put_closed(const log_builder& log) { log.write_to(disk(), log_path, log.closed_state()); }
    void put(const log_builder& log, const format::log_state& state) {
        log.write_to(disk(), log_path, state);
    }

    /// Opens and hands over; while the outcome lives, the log is locked.
    open_outcome open(log_options options = {}) {
        open_outcome outcome;
        options.report = &outcome.report;
        auto done =
            run_in(world, log_detail::open_log(world.environment(), log_path, std::move(options)));
        if (!done) {
            return outcome;  // neither open nor refused: the world stood still
        }
        if (*done) {
            outcome.log.emplace(std::move(*done).value());
        } else {
            outcome.refused = std::move(*done).error();
        }
        return outcome;
    }

    /// Starts to open and stops the world after `operations` calls of the disk; true if the open
    /// ended before.
    bool open_until(std::uint64_t operations, log_options options = {}) {
        const auto ended = start_in(
            world, log_detail::open_log(world.environment(), log_path, std::move(options)));
        const std::uint64_t stop_at = world.counters().operations + operations;
        while (!ended->has_value() && world.counters().operations < stop_at && world.step()) {
        }
        return ended->has_value();
    }

    void power_cut(sim::survival data = sim::survival::by_seed,
                   sim::name_survival names = sim::name_survival::by_seed) {
        world.crash(data, names);
        world.power_on();
    }

    /// Every file below the log's directory, as direct reads see it.
    [[nodiscard]] directory_image files() {
        directory_image image;
        collect(log_path, "", image);
        return image;
    }
    [[nodiscard]] std::vector<std::byte> file(const std::string& name) {
        return disk()
            .read_file(std::string(log_path) + "/" + name)
            .value_or(std::vector<std::byte>{});
    }
    [[nodiscard]] std::vector<std::byte> segment(log_offset begin) {
        return disk().read_file(segment_path(log_path, begin)).value_or(std::vector<std::byte>{});
    }
    [[nodiscard]] std::vector<std::string> names(const std::string& below = {}) {
        const std::string path =
            below.empty() ? std::string(log_path) : std::string(log_path) + "/" + below;
        return disk().list(path).value_or(std::vector<std::string>{});
    }
    [[nodiscard]] bool has(const std::string& name) {
        return disk().exists(std::string(log_path) + "/" + name);
    }

    sim::world world;

private:
    void collect(const std::string& path, const std::string& prefix, directory_image& image) {
        for (const std::string& name : disk().list(path).value_or(std::vector<std::string>{})) {
            if (auto bytes = disk().read_file(path + "/" + name)) {
                image.emplace(prefix + name, std::move(*bytes));
            } else {
                image.emplace(prefix + name + "/", std::vector<std::byte>{});
                collect(path + "/" + name, prefix + name + "/", image);
            }
        }
    }
};

/// The first `size` bytes.
inline std::vector<std::byte> head(const std::vector<std::byte>& bytes, std::uint64_t size) {
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

inline void flip(std::vector<std::byte>& bytes, std::uint64_t position,
                 std::byte mask = std::byte{0x10}) {
    bytes.at(static_cast<std::size_t>(position)) ^= mask;
}

inline void append(std::vector<std::byte>& bytes, std::uint64_t count, std::byte value) {
    bytes.insert(bytes.end(), static_cast<std::size_t>(count), value);
}

}  // namespace caisson::test
