// The engine through io_uring on the temporary directory's file system: both homes, from one thread
// and from many.

#include "engine/engine_core.hpp"
#include "engine/home.hpp"
#include "support/granting_kernel.hpp"
#include "support/temp_directory.hpp"
#include "uring/real_world.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <exception>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace caisson;

namespace {

void rethrow(std::exception_ptr problem) {
    if (problem != nullptr) {
        std::rethrow_exception(problem);
    }
}

std::string record_of(std::uint64_t number) {
    return "record " + std::to_string(number) + std::string(number % 300, 'x');
}

net::awaitable<void> append_some(log& into, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t k = first; k < first + count; ++k) {
        const std::string record = record_of(k);
        const auto appended = co_await into.async_append(net::buffer(record));
        REQUIRE(appended);
    }
}

net::awaitable<std::uint64_t> count_records(log& from) {
    log_reader reader = from.reader(from.begin());
    std::uint64_t count = 0;
    for (;;) {
        const auto batch = co_await reader.async_next();
        REQUIRE(batch);
        if (batch.value().empty()) {
            co_return count;
        }
        count += batch.value().record_count();
    }
}

net::awaitable<void> whole_life(engine& with, std::string path, std::uint64_t already_there) {
    log_options options;
    options.segment_size_bytes = 64 << 10;
    auto opened = co_await with.async_open(path, options);
    REQUIRE(opened);
    log mine = std::move(opened).value();
    REQUIRE(mine.durable_end() == log_offset{already_there});
    co_await append_some(mine, already_there, 500);
    REQUIRE(mine.durable_end() == log_offset{already_there + 500});
    REQUIRE(co_await count_records(mine) == already_there + 500);
    REQUIRE(co_await mine.async_close());
}

}  // namespace

TEST_CASE("a log written on the caller's io_context is there after reopening", "[engine][uring]") {
    const test::temp_directory where;
    for (std::uint64_t round = 0; round < 3; ++round) {
        net::io_context context(1);
        auto made = engine::on(context);
        REQUIRE(made);
        engine mine = std::move(made).value();
        net::co_spawn(context, whole_life(mine, where.log(), round * 500), rethrow);
        context.run();
        net::co_spawn(
            context, [&]() -> net::awaitable<void> { REQUIRE(co_await mine.async_close()); },
            rethrow);
        context.restart();
        context.run();
    }
}

TEST_CASE("an engine lives on the ring of every kernel, on its own thread", "[engine][uring]") {
    const auto kernel = GENERATE(from_range(test::every_kernel()));
    CAPTURE(kernel);
    const test::temp_directory where;
    for (std::uint64_t round = 0; round < 2; ++round) {
        auto home = engine_detail::make_thread_home(
            [&](net::io_context& context) -> detailed<std::unique_ptr<uring::real_world>> {
                return uring::real_world::create_on(context, test::make_port_of(kernel));
            });
        REQUIRE(home);
        engine mine = engine_detail::engine_core::make(std::move(home).value(), engine_options());
        net::io_context context(1);
        net::co_spawn(context, whole_life(mine, where.log(), round * 500), rethrow);
        context.run();
        REQUIRE(mine.async_close(net::use_future).get());
    }
}

TEST_CASE("io_context::run returns when no operation is pending although a log is open",
          "[engine][uring]") {
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    log opened;
    mine.async_open(where.log(), log_options(),
                    [&](result<log> outcome) { opened = std::move(outcome).value(); });
    context.run();
    REQUIRE(opened.is_open());
    bool is_closed = false;
    mine.async_close([&](result<void> outcome) { is_closed = outcome.has_value(); });
    context.restart();
    context.run();
    CHECK(is_closed);
}

TEST_CASE("run may return with nothing in flight and the same thread run the home again, and again",
          "[engine][uring][threads]") {
    // As a host does that pauses its loop. Idle, the log is no work of the io_context; the ring
    // stays enabled for the thread. Meanwhile other threads may start things: they wait.
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    const auto run_home = [&] {
        context.restart();
        context.run();
    };
    auto opening = mine.async_open(where.log(), log_options(), net::use_future);
    run_home();
    log target = opening.get().value();
    constexpr std::uint64_t rounds = 20;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::string record = record_of(round);
        std::future<result<append_receipt>> elsewhere;
        std::thread([&] {
            elsewhere = target.async_append(net::buffer(record), net::use_future);
        }).join();
        auto here = target.async_append(net::buffer(record), net::use_future);
        CHECK(context.stopped());
        run_home();
        REQUIRE(elsewhere.get());
        REQUIRE(here.get());
        CHECK(target.durable_end() == log_offset{2 * (round + 1)});
    }
    auto counting = net::co_spawn(context, count_records(target), net::use_future);
    run_home();
    CHECK(counting.get() == 2 * rounds);
    auto closing = mine.async_close(net::use_future);
    run_home();
    CHECK(closing.get());
}

TEST_CASE("a home whose thread has ended is not taken over by the next one",
          "[engine][uring][threads]") {
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    log target;
    std::thread([&] {
        auto opening = mine.async_open(where.log(), log_options(), net::use_future);
        context.run();
        target = opening.get().value();
    }).join();
    const std::string record = "a record";
    auto refused = target.async_append(net::buffer(record), net::use_future);
    context.restart();
    context.run();  // returns: a refused operation is no work
    CHECK(refused.get().error() == errc::home_on_two_threads);
}

TEST_CASE("an engine with a thread of its own serves appends of many threads",
          "[engine][uring][threads]") {
    const test::temp_directory where;
    constexpr std::uint64_t threads = 4;
    constexpr std::uint64_t appends = 300;
    engine mine = std::move(engine::on_own_thread()).value();
    log_options options;
    options.segment_size_bytes = 64 << 10;
    auto opened = mine.async_open(where.log(), options, net::use_future).get();
    REQUIRE(opened);
    log shared = std::move(opened).value();

    net::thread_pool pool(threads);
    std::atomic<std::uint64_t> acknowledged{0};
    for (std::uint64_t k = 0; k < 4 * threads; ++k) {
        net::co_spawn(
            pool,
            [&, k]() -> net::awaitable<void> {
                for (std::uint64_t n = 0; n < appends; ++n) {
                    const std::string record = record_of(k * appends + n);
                    const auto appended = co_await shared.async_append(net::buffer(record));
                    if (appended) {
                        acknowledged.fetch_add(1);
                    }
                    // Snapshots are taken while the home thread changes the counters.
                    if (shared.durable_end() < appended.value().end || shared.stats().poisoned) {
                        acknowledged.fetch_add(1'000'000);
                    }
                }
            },
            rethrow);
    }
    pool.join();
    CHECK(acknowledged.load() == 4 * threads * appends);
    CHECK(shared.durable_end() == log_offset{4 * threads * appends});
    REQUIRE(shared.async_close(net::use_future).get());
    REQUIRE(mine.async_close(net::use_future).get());
}

TEST_CASE("an io_context that two threads run is refused", "[engine][uring]") {
    const test::temp_directory where;
    net::io_context context;
    engine mine = std::move(engine::on(context)).value();
    log opened;
    mine.async_open(where.log(), log_options(),
                    [&](result<log> outcome) { opened = std::move(outcome).value(); });
    context.run();
    REQUIRE(opened.is_open());
    // A second thread runs the context and initiates there: it arrives on the wrong thread.
    const std::string record = "a record";
    result<append_receipt> outcome = errc::closed;
    opened.async_append(net::buffer(record),
                        [&](result<append_receipt> given) { outcome = given; });
    context.restart();
    context.run();
    REQUIRE(outcome);
    outcome = errc::closed;
    std::thread second([&] {
        opened.async_append(net::buffer(record),
                            [&](result<append_receipt> given) { outcome = given; });
        context.restart();
        context.run();
    });
    second.join();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == errc::home_on_two_threads);
    // The home is not to be trusted any more. What the engine holds is kept for ever, not freed.
}

TEST_CASE("D18: an append that waits for room blocks no thread and can be withdrawn",
          "[engine][uring]") {
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            log_options options;
            options.record_size_bytes_max = 1 << 20;
            options.max_pending_bytes = (1 << 20) + 4;
            auto opened = co_await mine.async_open(where.log(), options);
            REQUIRE(opened);
            log target = std::move(opened).value();
            const std::string large(1 << 20, 'x');
            result<append_receipt> first = errc::closed;
            result<append_receipt> second = errc::closed;
            net::cancellation_signal signal;
            target.async_append(net::buffer(large),
                                [&](result<append_receipt> given) { first = given; });
            target.async_append(
                net::buffer(large),
                net::bind_cancellation_slot(signal.slot(),
                                            [&](result<append_receipt> given) { second = given; }));
            signal.emit(net::cancellation_type::total);
            REQUIRE(co_await target.async_close());
            CHECK(first);
            REQUIRE_FALSE(second);
            CHECK(second.error() == net::error::operation_aborted);
            REQUIRE(co_await mine.async_close());
        },
        rethrow);
    context.run();
}

TEST_CASE("D30: limits of one call are refused by name, take no offset, and affect nothing else",
          "[engine][uring]") {
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            log_options options;
            options.record_size_bytes_max = 1000;
            options.max_pending_bytes = 2000;
            auto opened = co_await mine.async_open(where.log(), options);
            REQUIRE(opened);
            log target = std::move(opened).value();
            const std::string large(1001, 'x');
            const auto too_large = co_await target.async_append(net::buffer(large));
            REQUIRE_FALSE(too_large);
            CHECK(too_large.error() == errc::record_too_large);
            const std::string half(900, 'y');
            const std::vector<net::const_buffer> three(3, net::buffer(half));
            const auto too_many_bytes = co_await target.async_append_batch(three);
            REQUIRE_FALSE(too_many_bytes);
            CHECK(too_many_bytes.error() == errc::batch_too_large);
            const std::vector<net::const_buffer> none;
            const auto empty = co_await target.async_append_batch(none);
            REQUIRE(empty);
            CHECK(empty.value().begin == empty.value().end);
            const auto gathered = co_await target.async_append(
                std::array{net::buffer("ab", 2), net::buffer("cd", 2)});
            REQUIRE(gathered);
            const auto nothing = co_await target.async_append(net::const_buffer());
            REQUIRE(nothing);
            CHECK(nothing.value().begin == log_offset{1});
            REQUIRE(co_await target.async_close());
            const auto late = co_await target.async_append(net::buffer("z", 1));
            REQUIRE_FALSE(late);
            CHECK(late.error() == errc::closed);
            REQUIRE(co_await mine.async_close());
        },
        rethrow);
    context.run();
}
