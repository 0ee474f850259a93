// Many threads and one engine on the caller's io_context: run by one thread, as it must be, and by
// two, which it refuses.

#include "support/temp_directory.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace caisson;

namespace {

/// An io_context that goes on running, on as many threads as the test starts.
class running_context {
public:
    explicit running_context(int concurrency_hint = BOOST_ASIO_CONCURRENCY_HINT_SAFE)
        : context(concurrency_hint) {}
    ~running_context() { stop(); }
    void add_thread() {
        threads_.emplace_back([this] { context.run(); });
    }
    /// Returns when nothing is pending any more.
    void stop() {
        guard_.reset();
        for (std::thread& each : threads_) {
            each.join();
        }
        threads_.clear();
    }
    net::io_context context;

private:
    std::optional<net::executor_work_guard<net::io_context::executor_type>> guard_{
        net::make_work_guard(context)};
    std::vector<std::thread> threads_;
};

log_options small_segments() {
    log_options options;
    options.segment_size_bytes = 64 << 10;
    return options;
}

log open_small(engine& in, const test::temp_directory& where) {
    auto opened = in.async_open(where.log(), small_segments(), net::use_future).get();
    REQUIRE(opened);
    return std::move(opened).value();
}

std::string record_of(std::uint64_t thread, std::uint64_t number) {
    return std::to_string(thread) + ":" + std::to_string(number) + ":" +
           std::string(number % 300, 'x');
}

std::vector<std::string> read_all(log_reader reader) {
    std::vector<std::string> records;
    for (;;) {
        const auto next = reader.async_next(net::use_future).get();
        REQUIRE(next);
        if (next.value().empty()) {
            return records;
        }
        for (const auto each : next.value()) {
            records.emplace_back(reinterpret_cast<const char*>(each.data()), each.size());
        }
    }
}

/// The records that another engine sees.
std::vector<std::string> read_through_view(const test::temp_directory& where) {
    engine other = std::move(engine::on_own_thread()).value();
    auto opened = other.async_open_view(where.log(), nullptr, net::use_future).get();
    REQUIRE(opened);
    log_view view = std::move(opened).value();
    return read_all(view.reader(view.begin()));
}

/// How often the records of each thread appear, and whether in the order of its calls.
template <std::size_t Threads>
std::array<std::uint64_t, Threads> count_in_order(const std::vector<std::string>& records) {
    std::array<std::uint64_t, Threads> counts{};
    for (const std::string& each : records) {
        const std::uint64_t thread = std::stoull(each);
        REQUIRE(thread < Threads);
        REQUIRE(each == record_of(thread, counts[thread]));
        ++counts[thread];
    }
    return counts;
}

}  // namespace

TEST_CASE("threads that append into an engine on a running io_context are all acknowledged",
          "[engine][uring][threads]") {
    constexpr std::uint64_t threads = 4;
    constexpr std::uint64_t rounds = 40;
    constexpr std::uint64_t in_flight = 8;
    const test::temp_directory where;
    running_context home;
    engine mine = std::move(engine::on(home.context)).value();
    home.add_thread();
    log shared = open_small(mine, where);

    // Checks of the test framework are made on this thread only.
    std::array<std::uint64_t, threads> acknowledged{};
    std::array<std::uint64_t, threads> wrong{};
    std::vector<std::thread> writers;
    for (std::uint64_t mine_is = 0; mine_is < threads; ++mine_is) {
        writers.emplace_back([&, mine_is] {
            for (std::uint64_t round = 0; round < rounds; ++round) {
                std::array<std::string, in_flight> records;
                std::vector<std::future<result<append_receipt>>> answers;
                for (std::uint64_t k = 0; k < in_flight; ++k) {
                    records[k] = record_of(mine_is, round * in_flight + k);
                    answers.push_back(
                        shared.async_append(net::buffer(records[k]), net::use_future));
                }
                for (auto& each : answers) {
                    const auto appended = each.get();
                    acknowledged[mine_is] += appended ? 1u : 0u;
                    if (!appended || shared.durable_end() < appended.value().end) {
                        ++wrong[mine_is];
                    }
                }
                const auto waited = shared
                                        .async_wait_durable(shared.appended_end(),
                                                            durability::local, net::use_future)
                                        .get();
                if (!waited || shared.stats().poisoned || shared.failure_cause() ||
                    mine.describe().empty()) {
                    ++wrong[mine_is];
                }
            }
        });
    }
    for (std::thread& each : writers) {
        each.join();
    }
    std::array<std::uint64_t, threads> expected{};
    expected.fill(rounds * in_flight);
    CHECK(acknowledged == expected);
    CHECK(wrong == std::array<std::uint64_t, threads>{});
    CHECK(count_in_order<threads>(read_all(shared.reader(shared.begin()))) == expected);
    REQUIRE(shared.async_close(net::use_future).get());
    REQUIRE(mine.async_close(net::use_future).get());
}

TEST_CASE("with two threads inside run() at once every operation ends, refused by name",
          "[engine][uring][threads]") {
    // The home thread is held in a handler, so the other one takes whatever is started.
    const test::temp_directory where;
    std::promise<void> is_released;
    running_context home;
    engine mine = std::move(engine::on(home.context)).value();
    home.add_thread();
    log target = open_small(mine, where);
    auto viewed = std::promise<result<log_view>>();
    mine.async_open_view(where.log(), nullptr,
                         [&](result<log_view> view) { viewed.set_value(std::move(view)); });
    auto view = viewed.get_future().get();
    REQUIRE(view);
    const std::string record = record_of(0, 200);
    log_reader reader = target.reader(log_offset{});
    REQUIRE(reader.async_next(net::use_future).get());

    std::promise<void> is_held;
    net::post(home.context, [&] {
        is_held.set_value();
        is_released.get_future().wait();
    });
    is_held.get_future().wait();
    home.add_thread();
    const auto error_of = [](auto future) {
        const auto outcome = future.get();
        return outcome ? error_code() : outcome.error();
    };
    const error_code why = errc::home_on_two_threads;
    for (int round = 0; round < 2; ++round) {
        const log_offset end = target.durable_end();
        const std::vector<net::const_buffer> batch(3, net::buffer(record));
        log_reader fresh = view.value().reader(log_offset{});
        CHECK(error_of(target.async_append(net::buffer(record), net::use_future)) == why);
        CHECK(error_of(target.async_append_batch(batch, net::use_future)) == why);
        CHECK(error_of(target.async_wait_durable(end, durability::local, net::use_future)) == why);
        CHECK(error_of(reader.async_next(net::use_future)) == why);
        CHECK(error_of(fresh.async_next(net::use_future)) == why);
        CHECK(error_of(view.value().async_verify(verify_options(), net::use_future)) == why);
        CHECK(error_of(mine.async_open(where.path() + "/b", log_options(), net::use_future)) ==
              why);
        CHECK(error_of(target.async_close(net::use_future)) == why);
        CHECK(error_of(mine.async_close(net::use_future)) == why);
        if (round == 0) {
            is_released.set_value();  // and from now on also on the home thread
        }
    }
    CHECK(target.durable_end() == log_offset{0});
    // What the engine holds is kept for ever, not freed.
}

TEST_CASE("what is under way when a second thread joins run() stays on the home thread",
          "[engine][uring][threads]") {
    // ThreadSanitizer is the judge of that; here, that everything ends and by which name.
    constexpr std::size_t in_flight = 64;
    for (int round = 0; round < 20; ++round) {
        const test::temp_directory where;
        // As the documents advise, and as most servers have it.
        running_context home(round % 2 == 0 ? 1 : BOOST_ASIO_CONCURRENCY_HINT_SAFE);
        engine mine = std::move(engine::on(home.context)).value();
        home.add_thread();
        log target = open_small(mine, where);
        const std::string record = record_of(0, 200);
        net::cancellation_signal give_up_waiting;
        std::promise<result<void>> wait_ended;
        target.async_wait_durable(
            log_offset{1'000'000}, durability::local,
            net::bind_cancellation_slot(give_up_waiting.slot(), [&](result<void> outcome) {
                wait_ended.set_value(outcome);
            }));
        const auto append_all = [&] {
            std::vector<std::future<result<append_receipt>>> answers;
            for (std::size_t k = 0; k < in_flight; ++k) {
                answers.push_back(target.async_append(net::buffer(record), net::use_future));
            }
            return answers;
        };
        for (int k = 0; k < round; ++k) {  // another moment of writing and preparing each time
            for (auto& each : append_all()) {
                REQUIRE(each.get());
            }
        }
        // Calls arrive in order: what has arrived before the second thread is accepted, the wait
        // too.
        REQUIRE(target.async_append(net::buffer(record), net::use_future).get());
        std::uint64_t acknowledged = 1 + static_cast<std::uint64_t>(round) * in_flight;
        auto pending = append_all();
        home.add_thread();
        error_code refused;
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!refused && std::chrono::steady_clock::now() < deadline) {
            for (auto& each : pending) {
                const auto outcome = each.get();
                acknowledged += outcome ? 1u : 0u;
                refused = outcome ? refused : outcome.error();
            }
            pending = append_all();
        }
        for (auto& each : pending) {
            const auto outcome = each.get();
            acknowledged += outcome ? 1u : 0u;
        }
        CHECK(refused == errc::home_on_two_threads);
        // Nothing new is begun, and what was acknowledged is in the log.
        const auto late = target.async_append(net::buffer(record), net::use_future).get();
        REQUIRE_FALSE(late);
        CHECK(late.error() == errc::home_on_two_threads);
        CHECK(target.durable_end().value() == acknowledged);
        give_up_waiting.emit(net::cancellation_type::total);
        const auto waited = wait_ended.get_future().get();
        REQUIRE_FALSE(waited);
        CHECK(waited.error() == net::error::operation_aborted);
        const auto closed = mine.async_close(net::use_future).get();
        REQUIRE_FALSE(closed);
        CHECK(closed.error() == errc::home_on_two_threads);
        CHECK(read_through_view(where) == std::vector<std::string>(acknowledged, record));
    }
}
