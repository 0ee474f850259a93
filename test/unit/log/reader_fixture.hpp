#pragma once
// reading_world: crafted logs on a simulated disk, read through the public classes with plain
// calls. For the tests of readers, views and verification. Knows nothing about writing.

#include <caisson/log_view.hpp>
#include <caisson/reader.hpp>
#include <caisson/sim.hpp>

#include "async/home_gate.hpp"
#include "io/environment.hpp"
#include "log/gate_entry.hpp"
#include "log/view.hpp"
#include "support/log_builder.hpp"

#include <boost/asio/co_spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace caisson::test {

inline const std::string log_path = "/log";

inline sim::world_options quiet_options() {
    sim::world_options options;
    options.stalls_per_million = 0;
    return options;
}

inline std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte each : bytes) {
        text.push_back(static_cast<char>(each));
    }
    return text;
}

/// What a reader gave until it stopped.
struct read_outcome {
    std::vector<std::string> payloads;
    std::vector<commit_facts> commits;
    log_offset first;  ///< of the first batch
    log_offset end;
    error_code error;  ///< none: the readable end was reached
    std::optional<failure> cause;
};

/// Every name and byte, on the medium and on its way there.
struct disk_state {
    explicit disk_state(const sim::disk_image& of)
        : durable_hash(of.durable_hash()), changes_unsynced(of.changes_unsynced()) {}
    bool operator==(const disk_state&) const = default;
    std::uint64_t durable_hash;
    std::uint64_t changes_unsynced;
};

class reading_world {
public:
    explicit reading_world(std::uint64_t seed = 1,
                           const sim::world_options& options = quiet_options())
        : world(seed, options),
          gate(std::make_shared<async::home_gate>(world.executor(),
                                                  std::make_shared<async::home_thread>())),
          entry(std::make_shared<log_detail::gate_entry>(gate)) {}

    sim::disk_image& disk() { return world.disk(); }

    /// Starts an operation with a callback and runs the world until it has completed.
    template <class T, class Start>
    std::optional<result<T>> finish(Start start) {
        std::optional<result<T>> outcome;
        start([&outcome](result<T> got) { outcome.emplace(std::move(got)); });
        while (!outcome && world.step()) {
        }
        return outcome;
    }

    /// Opens a view while the caller steps the world; `opened` then holds it.
    void start_opening(std::optional<detailed<std::shared_ptr<log_detail::view_core>>>& opened,
                       const std::string& path = log_path) {
        net::co_spawn(world.executor(),
                      keep(log_detail::open_view(world.environment(), entry, path), opened),
                      [](const std::exception_ptr& thrown) {
                          if (thrown) {
                              std::terminate();
                          }
                      });
    }
    detailed<std::shared_ptr<log_detail::view_core>> open_core(const std::string& path = log_path) {
        std::optional<detailed<std::shared_ptr<log_detail::view_core>>> opened;
        start_opening(opened, path);
        while (!opened && world.step()) {
        }
        return std::move(*opened);
    }
    log_view open(const std::string& path = log_path) {
        auto opened = open_core(path);
        return log_view(std::move(opened).value());
    }

    result<commit_batch> next(log_reader& reader) {
        return *finish<commit_batch>([&](auto token) { reader.async_next(std::move(token)); });
    }

    read_outcome read_on(log_reader& reader) {
        read_outcome outcome;
        for (;;) {
            auto got = next(reader);
            if (!got) {
                outcome.error = got.error();
                outcome.cause = reader.failure_cause();
                return outcome;
            }
            const commit_batch& batch = got.value();
            if (outcome.commits.empty()) {
                outcome.first = batch.first_offset();
            }
            outcome.end = batch.end_offset();
            if (batch.empty()) {
                return outcome;
            }
            outcome.commits.push_back(batch.facts());
            for (const auto payload : batch) {
                outcome.payloads.push_back(text_of(payload));
            }
        }
    }
    /// Changes nothing on the disk, whatever it finds.
    read_outcome read_from(const log_view& view, log_offset from,
                           const reader_options& options = {}) {
        const disk_state before(disk());
        log_reader reader = view.reader(from, options);
        read_outcome outcome = read_on(reader);
        CHECK(disk_state(disk()) == before);
        return outcome;
    }

    /// Changes nothing on the disk, whatever it finds.
    verify_report verify(const verify_options& options = {}, const std::string& path = log_path) {
        const disk_state before(disk());
        log_view view = open(path);
        auto report = finish<verify_report>(
            [&](auto token) { view.async_verify(options, std::move(token)); });
        CHECK(disk_state(disk()) == before);
        return std::move(*report).value();
    }

    sim::world world;
    std::shared_ptr<async::home_gate> gate;
    std::shared_ptr<log_detail::gate_entry> entry;

private:
    template <class T>
    static net::awaitable<void> keep(net::awaitable<T> work, std::optional<T>& into) {
        into.emplace(co_await std::move(work));
    }
};

/// `segments` segments of `commits` commits each; commit k holds 1 + k % 3 records.
inline log_builder many_commits(std::uint64_t segments, std::uint64_t commits) {
    log_builder log;
    for (std::uint64_t segment = 0; segment < segments; ++segment) {
        if (segment > 0) {
            log.rotate();
        }
        for (std::uint64_t k = 0; k < commits; ++k) {
            std::vector<std::string> records;
            for (std::uint64_t i = 0; i <= k % 3; ++i) {
                records.push_back("record " + std::to_string(log.next().value() + i) +
                                  std::string(k % 40, '.'));
            }
            log.commit(records);
        }
    }
    return log;
}

inline std::vector<std::string> from(const std::vector<std::string>& all, std::uint64_t first) {
    return {all.begin() + static_cast<std::ptrdiff_t>(first), all.end()};
}

}  // namespace caisson::test
