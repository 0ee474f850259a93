#pragma once
// engine_world: an engine in a simulated world, driven by plain calls. For the tests of what an
// engine does as a whole: opening, closing, ending. Knows nothing of how it does it.

#include <caisson/engine.hpp>
#include <caisson/sim.hpp>

#include <boost/asio/buffer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caisson::test {

inline const std::string log_path = "/log";
inline constexpr std::uint64_t second_ns = 1'000'000'000;

/// What became of one call. Shared, so that it may outlive the test's scope or never come.
template <class T>
using answer = std::shared_ptr<std::optional<result<T>>>;

inline sim::world_options calm() {
    sim::world_options options;
    options.stalls_per_million = 0;
    options.early_events_per_million = 0;
    return options;
}

class engine_world {
public:
    explicit engine_world(std::uint64_t seed = 1, const sim::world_options& options = calm())
        : world(seed, options), engine_(engine::on(world)) {}

    /// Starts a call; its outcome appears in the answer. A call that completes inside the
    /// initiating function is counted.
    template <class T, class Start>
    answer<T> start(Start call) {
        auto given = std::make_shared<std::optional<result<T>>>();
        call([given](result<T> outcome) { given->emplace(std::move(outcome)); });
        completed_inline += given->has_value() ? 1 : 0;
        return given;
    }
    /// Runs the world until the call is answered; nothing when the world came to rest before.
    template <class T>
    bool finish(const answer<T>& given) {
        while (!given->has_value() && world.step()) {
        }
        return given->has_value();
    }

    log open(const log_options& options = {}) {
        auto given = start_open(options);
        finish(given);
        return std::move(given->value()).value();
    }
    answer<log> start_open(const log_options& options = {}) {
        return start<log>(
            [&](auto token) { engine_->async_open(log_path, options, std::move(token)); });
    }
    answer<log_view> start_open_view() {
        return start<log_view>(
            [&](auto token) { engine_->async_open_view(log_path, nullptr, std::move(token)); });
    }
    answer<append_receipt> start_append(log& to, const std::string& record) {
        return start<append_receipt>(
            [&](auto token) { to.async_append(net::buffer(record), std::move(token)); });
    }
    bool append(log& to, const std::string& record) {
        const auto given = start_append(to, record);
        return finish(given) && given->value().has_value();
    }
    answer<void> start_wait(log& of, log_offset end) {
        return start<void>(
            [&](auto token) { of.async_wait_durable(end, durability::local, std::move(token)); });
    }
    answer<void> start_close(log& which) {
        return start<void>([&](auto token) { which.async_close(std::move(token)); });
    }
    answer<void> start_close() {
        return start<void>([&](auto token) { engine_->async_close(std::move(token)); });
    }
    answer<commit_batch> start_read(log_reader& with) {
        return start<commit_batch>([&](auto token) { with.async_next(std::move(token)); });
    }

    /// Every record of the log that is durable now.
    std::vector<std::string> read_all(log& from) {
        std::vector<std::string> records;
        log_reader reader = from.reader(from.begin());
        for (;;) {
            const auto next = start_read(reader);
            if (!finish(next) || !next->value() || next->value().value().empty()) {
                return records;
            }
            for (const auto each : next->value().value()) {
                records.emplace_back(reinterpret_cast<const char*>(each.data()), each.size());
            }
        }
    }

    /// Every commit of the log that is durable now.
    std::vector<commit_facts> read_commits(log& from) {
        std::vector<commit_facts> commits;
        log_reader reader = from.reader(from.begin());
        for (;;) {
            const auto next = start_read(reader);
            if (!finish(next) || !next->value() || next->value().value().empty()) {
                return commits;
            }
            commits.push_back(next->value().value().facts());
        }
    }

    [[nodiscard]] engine& server() { return *engine_; }
    void destroy_engine() { engine_.reset(); }
    void start_engine(const engine_options& options = {}) {
        engine_.emplace(engine::on(world, options));
    }
    /// Whether somebody has the log's directory. Only at rest.
    [[nodiscard]] bool is_locked() {
        if (!world.lock_from_outside(log_path + "/LOCK")) {
            return true;
        }
        world.unlock_from_outside(log_path + "/LOCK");
        return false;
    }

    sim::world world;
    int completed_inline = 0;

private:
    std::optional<engine> engine_;
};

}  // namespace caisson::test
