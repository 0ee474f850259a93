// The guard of "home is one thread", on a stock io_context.

#include "io/guarded_executor.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/steady_timer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

using namespace caisson;

TEST_CASE("what comes out on a wrong thread goes round to the home thread", "[io][threads]") {
    for (const int hint : {1, BOOST_ASIO_CONCURRENCY_HINT_SAFE}) {
        net::io_context context(hint);
        int reports = 0;
        const auto thread = std::make_shared<async::home_thread>([&] { ++reports; });
        const net::any_io_executor home = io::guarded_executor(context.get_executor(), thread);
        std::vector<std::thread::id> ran_on;
        const auto note = [&] {
            ran_on.push_back(std::this_thread::get_id());
        };
        net::post(home, note);
        CHECK(context.poll() > 0);
        REQUIRE(ran_on == std::vector<std::thread::id>{std::this_thread::get_id()});
        CHECK_FALSE(thread->is_violated());

        net::post(home, note);
        std::thread([&] {
            context.restart();
            context.run_for(std::chrono::milliseconds(10));
        }).join();
        CHECK(ran_on.size() == 1);
        CHECK(thread->is_violated());
        CHECK(reports == 1);
        context.restart();
        context.run();  // ends: what goes round keeps the context running until it has run
        CHECK(ran_on == std::vector<std::thread::id>(2, std::this_thread::get_id()));
    }
}

TEST_CASE("a home thread that sleeps in run() is woken for what comes out on another one",
          "[io][threads]") {
    // Whichever of the two waits for the reactor: timers come out there, on both in turn.
    for (const int hint : {1, BOOST_ASIO_CONCURRENCY_HINT_SAFE}) {
        net::io_context context(hint);
        const auto guard = net::make_work_guard(context);
        const auto thread = std::make_shared<async::home_thread>();
        std::promise<void> is_claimed;
        net::post(context, [&] {
            thread->claim();
            is_claimed.set_value();
        });
        std::thread owner([&] { context.run(); });
        is_claimed.get_future().wait();
        std::thread other([&] { context.run(); });
        for (int round = 0; round < 50; ++round) {
            std::promise<bool> has_run;
            net::steady_timer timer(context, std::chrono::microseconds(200));
            timer.async_wait([&](boost::system::error_code) {
                io::at_home(thread, context.get_executor(),
                            [&] { has_run.set_value(thread->is_this()); });
            });
            auto outcome = has_run.get_future();
            REQUIRE(outcome.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
            CHECK(outcome.get());
        }
        context.stop();
        owner.join();
        other.join();
    }
}

TEST_CASE("a guarded executor is what any executor asks for", "[io]") {
    net::io_context context;
    net::io_context elsewhere;
    const auto thread = std::make_shared<async::home_thread>();
    const net::any_io_executor home = io::guarded_executor(context.get_executor(), thread);
    CHECK(home == io::guarded_executor(context.get_executor(), thread));
    CHECK(home != io::guarded_executor(elsewhere.get_executor(), thread));
    CHECK(&home.context() == &context);
    bool has_run = false;
    net::dispatch(context, [&] {
        net::dispatch(home, [&] { has_run = true; });
        CHECK_FALSE(has_run);  // never inside the call
    });
    context.poll();
    CHECK(has_run);
    auto tracked = net::prefer(home, net::execution::outstanding_work.tracked);
    context.restart();
    context.poll();
    CHECK_FALSE(context.stopped());
    tracked = {};
    context.poll();
    CHECK(context.stopped());
}
