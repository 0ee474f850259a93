// The real engine on the kernel's ring, before a device that stops answering: completions of the
// ring are held back from some moment on. Closing ends at the deadline, the home comes to rest, and
// nothing that the kernel may still write to is freed (which the sanitizers watch).

#include <caisson/engine.hpp>

#include "engine/engine_core.hpp"
#include "integration/engine/forwarding_port.hpp"
#include "support/temp_directory.hpp"
#include "uring/kernel_port.hpp"
#include "uring/real_world.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace caisson;
using namespace std::chrono_literals;

namespace {

/// The kernel's ring until it freezes.
class freezing_port final : public test::forwarding_port {
public:
    freezing_port(std::unique_ptr<uring::ring_port> kernel,
                  std::shared_ptr<std::atomic<bool>> is_frozen)
        : forwarding_port(std::move(kernel)), is_frozen_(std::move(is_frozen)) {}

    std::size_t take(std::span<uring::arrival> into) noexcept override {
        return *is_frozen_ ? 0 : forwarding_port::take(into);
    }
    bool needs_enter() const noexcept override {
        return !*is_frozen_ && forwarding_port::needs_enter();
    }
    bool has_overflow() const noexcept override {
        return !*is_frozen_ && forwarding_port::has_overflow();
    }
    bool has_arrivals() const noexcept override {
        return !*is_frozen_ && forwarding_port::has_arrivals();
    }

private:
    std::shared_ptr<std::atomic<bool>> is_frozen_;
};

engine_detail::world_maker freezing_world(std::shared_ptr<std::atomic<bool>> is_frozen) {
    return [is_frozen](net::io_context& home) -> detailed<std::unique_ptr<uring::real_world>> {
        BOOST_OUTCOME_TRY(auto kernel, uring::make_kernel_port(uring::kernel_port_options()));
        return uring::real_world::create_on(
            home, std::make_unique<freezing_port>(std::move(kernel), is_frozen), {});
    };
}

engine_options short_deadline() {
    engine_options options;
    options.close_deadline = 200ms;
    return options;
}

template <class T>
class answer {
public:
    void operator()(result<T> outcome) { value->emplace(std::move(outcome)); }
    [[nodiscard]] error_code error() const { return (*value)->error(); }
    std::shared_ptr<std::optional<result<T>>> value = std::make_shared<std::optional<result<T>>>();
};

const std::string record(1000, 'x');

}  // namespace

TEST_CASE("a frozen device on the caller's io_context: close ends and run returns",
          "[engine][uring][close]") {
    const test::temp_directory where;
    for (const bool closes_the_log_first : {true, false}) {
        for (const bool closes_the_engine : {true, false}) {
            const std::string path =
                where.log() + (closes_the_log_first ? "a" : "b") + (closes_the_engine ? "c" : "d");
            const auto is_frozen = std::make_shared<std::atomic<bool>>(false);
            net::io_context context(1);
            auto home = engine_detail::make_context_home(context, freezing_world(is_frozen));
            REQUIRE(home);
            std::optional<engine> mine(
                engine_detail::engine_core::make(std::move(home).value(), short_deadline()));
            answer<log> opened;
            mine->async_open(path, log_options(), opened);
            context.run();
            log target = std::move(opened.value->value()).value();
            answer<append_receipt> first;
            target.async_append(net::buffer(record), first);
            context.restart();
            context.run();
            REQUIRE(first.value->value());
            log_reader reader = target.reader(log_offset{0});

            *is_frozen = true;
            std::vector<answer<append_receipt>> lost(3);
            for (auto& each : lost) {
                target.async_append(net::buffer(record), each);
            }
            answer<commit_batch> read;
            reader.async_next(read);
            answer<void> log_closed;
            if (closes_the_log_first) {
                target.async_close(log_closed);
            }
            answer<void> engine_closed;
            if (closes_the_engine) {
                mine->async_close(engine_closed);
            } else {
                mine.reset();
            }
            context.restart();
            context.run();  // returns although the kernel owes completions
            for (const auto& each : lost) {
                REQUIRE(each.value->has_value());
                CHECK(each.error() == errc::outcome_unknown);
            }
            REQUIRE(read.value->has_value());
            CHECK(read.error() == errc::closed);
            if (closes_the_log_first) {
                REQUIRE(log_closed.value->has_value());
                CHECK(log_closed.error() == errc::outcome_unknown);
            }
            if (closes_the_engine) {
                REQUIRE(engine_closed.value->has_value());
                CHECK(engine_closed.error() == errc::outcome_unknown);
            }
            mine.reset();
            // Whatever arrives from now on meets memory that is still there.
            *is_frozen = false;
            context.restart();
            context.run();
        }
    }
}

TEST_CASE("a frozen device under an engine with a thread of its own: close ends, the thread too",
          "[engine][uring][close][threads]") {
    const test::temp_directory where;
    for (const bool closes_the_engine : {true, false}) {
        const auto is_frozen = std::make_shared<std::atomic<bool>>(false);
        auto home = engine_detail::make_thread_home(freezing_world(is_frozen));
        REQUIRE(home);
        const auto thread_ended = home.value()->thread_ended();
        std::optional<engine> mine(
            engine_detail::engine_core::make(std::move(home).value(), short_deadline()));
        auto opened = mine->async_open(where.log() + (closes_the_engine ? "a" : "b"), log_options(),
                                       net::use_future);
        log target = std::move(opened.get()).value();
        REQUIRE(target.async_append(net::buffer(record), net::use_future).get());
        *is_frozen = true;
        auto lost = target.async_append(net::buffer(record), net::use_future);
        if (closes_the_engine) {
            CHECK(mine->async_close(net::use_future).get().error() == errc::outcome_unknown);
        }
        mine.reset();
        CHECK(lost.get().error() == errc::outcome_unknown);
        CHECK(thread_ended.wait_for(10s) == std::future_status::ready);
    }
}

TEST_CASE("an engine with a thread of its own may be destroyed in the answer to its close",
          "[engine][uring][close][threads]") {
    const test::temp_directory where;
    auto mine = std::make_shared<std::optional<engine>>(std::move(engine::on_own_thread()).value());
    log target = (*mine)->async_open(where.log(), log_options(), net::use_future).get().value();
    REQUIRE(target.async_append(net::buffer(record), net::use_future).get());
    std::promise<bool> destroyed;
    (*mine)->async_close([mine, &destroyed](result<void> outcome) {
        mine->reset();
        destroyed.set_value(outcome.has_value());
    });
    CHECK(destroyed.get_future().get());
    // The directory is free again.
    engine other = std::move(engine::on_own_thread()).value();
    log again = other.async_open(where.log(), log_options(), net::use_future).get().value();
    CHECK(again.durable_end() == log_offset{1});
    CHECK(other.async_close(net::use_future).get());
}

TEST_CASE("an engine with a thread of its own, destroyed without close, finishes what it accepted",
          "[engine][uring][close][threads]") {
    const test::temp_directory where;
    std::optional<engine> mine(std::move(engine::on_own_thread()).value());
    log target = mine->async_open(where.log(), log_options(), net::use_future).get().value();
    auto appended = target.async_append(net::buffer(record), net::use_future);
    mine.reset();
    CHECK(appended.get());
    CHECK_FALSE(target.is_open());
    engine other = std::move(engine::on_own_thread()).value();
    log again = other.async_open(where.log(), log_options(), net::use_future).get().value();
    CHECK(again.durable_end() == log_offset{1});
    CHECK(other.async_close(net::use_future).get());
}

TEST_CASE("an engine destroyed on another thread than its home ends at home",
          "[engine][uring][close][threads]") {
    const test::temp_directory where;
    for (const bool runs_afterwards : {true, false}) {
        net::io_context context(1);
        std::optional<engine> mine(std::move(engine::on(context)).value());
        bool has_closed = false;
        std::thread home([&] {
            mine->async_open(where.log(), log_options(), [&](result<log> opened) {
                REQUIRE(opened);
                mine->async_close([&](result<void> closed) { has_closed = closed.has_value(); });
            });
            context.run();
        });
        home.join();
        REQUIRE(has_closed);
        mine.reset();
        if (runs_afterwards) {
            context.restart();
            std::thread([&] { context.poll(); }).join();
        }
    }
}

TEST_CASE("nothing of a closing engine completes inside the call that starts it",
          "[engine][uring][close]") {
    // In a handler at home, where calls arrive at once and a coroutine could run at once.
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    int completed = 0;
    const auto count = [&](const auto&) {
        ++completed;
    };
    mine.async_open(where.log(), log_options(), [&](result<log> opened) {
        REQUIRE(opened);
        log target = std::move(opened).value();
        log_reader reader = target.reader(log_offset{0});
        reader.async_next(count);
        log_options impossible;
        impossible.segment_size_bytes = 1;
        mine.async_open(where.log() + "2", impossible, count);
        CHECK(completed == 0);
        mine.async_close(count);
        CHECK(completed == 0);
        mine.async_open(where.log(), log_options(), count);
        CHECK(completed == 0);
        mine.async_open_view(where.log(), nullptr, count);
        CHECK(completed == 0);
        target.async_close(count);
        CHECK(completed == 0);
    });
    context.run();
    CHECK(completed == 6);
}
