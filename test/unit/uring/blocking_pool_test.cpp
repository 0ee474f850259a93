// The pool for calls without a ring opcode: order of halves, threads, cancelling, and closing
// without a running home.

#include "io/blocking_pool.hpp"

#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

using namespace caisson;

namespace {

struct pool_operation final : io::operation {
    pool_operation() : io::operation(&finish) {}
    static void finish(io::operation& self, std::int64_t outcome) noexcept {
        auto& mine = static_cast<pool_operation&>(self);
        mine.outcome = outcome;
        mine.completed_on = std::this_thread::get_id();
        ++mine.completions;
    }
    std::int64_t outcome = INT64_MAX;
    std::thread::id completed_on;
    int completions = 0;
};

}  // namespace

TEST_CASE("work runs on a named thread with signals blocked, its end at home", "[uring][pool]") {
    net::io_context home{1};
    io::blocking_pool pool(home.get_executor());
    struct observing_task {
        std::array<char, 16>& name;
        bool& blocks_signals;
        std::thread::id& finished_on;

        std::int64_t work() const noexcept {
            ::pthread_getname_np(::pthread_self(), name.data(), name.size());
            sigset_t mask;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
            blocks_signals = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGXFSZ) == 1;
            return 41;
        }
        std::int64_t finish(std::int64_t outcome) const noexcept {
            finished_on = std::this_thread::get_id();
            return outcome + 1;
        }
    };
    std::array<char, 16> name{};
    bool blocks_signals = false;
    std::thread::id finished_on;
    pool_operation op;
    pool.start(op, observing_task{name, blocks_signals, finished_on});
    CHECK(op.completions == 0);
    CHECK(pool.jobs_in_flight() == 1);
    home.run();  // would return at once if the pool did not count as work
    CHECK(op.completions == 1);
    CHECK(op.outcome == 42);
    CHECK(op.completed_on == std::this_thread::get_id());
    CHECK(finished_on == std::this_thread::get_id());
    CHECK(std::string(name.data()) == "caisson-io");
    CHECK(blocks_signals);
    CHECK(pool.jobs_in_flight() == 0);

    sigset_t mine;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
    CHECK(sigismember(&mine, SIGTERM) == 0);  // the caller's own mask is as before
}

TEST_CASE("many jobs use no more threads than allowed and all complete once",
          "[uring][pool][threads]") {
    net::io_context home{1};
    io::blocking_pool pool(home.get_executor(), 2);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    std::vector<std::unique_ptr<pool_operation>> ops;
    for (int i = 0; i < 500; ++i) {
        ops.push_back(std::make_unique<pool_operation>());
        pool.start(*ops.back(), [&, i]() noexcept -> std::int64_t {
            const std::lock_guard lock(mutex);
            seen.insert(std::this_thread::get_id());
            return i;
        });
    }
    home.run();
    for (std::size_t i = 0; i < ops.size(); ++i) {
        REQUIRE(ops[i]->completions == 1);
        REQUIRE(ops[i]->outcome == static_cast<std::int64_t>(i));
    }
    CHECK(seen.size() <= 2);
}

TEST_CASE("a job is cancelled while it waits and not once it runs", "[uring][pool]") {
    net::io_context home{1};
    io::blocking_pool pool(home.get_executor(), 1);
    std::promise<void> running;
    std::promise<void> release;
    pool_operation first;
    pool_operation second;
    pool_operation third;
    pool.start(first, [&]() noexcept -> std::int64_t {
        running.set_value();
        release.get_future().wait();
        return 1;
    });
    running.get_future().wait();
    pool.start(second, []() noexcept -> std::int64_t { return 2; });
    pool.start(third, []() noexcept -> std::int64_t { return 3; });
    CHECK(pool.cancel(second));
    CHECK_FALSE(pool.cancel(second));
    CHECK_FALSE(pool.cancel(first));
    CHECK(second.completions == 0);  // never inside the call
    release.set_value();
    home.run();
    CHECK(first.outcome == 1);
    CHECK(second.outcome == -ECANCELED);
    CHECK(third.outcome == 3);
    CHECK(second.completions == 1);
}

TEST_CASE("waiting completes what has finished although home does not run", "[uring][pool]") {
    net::io_context home{1};
    io::blocking_pool pool(home.get_executor());
    pool_operation op;
    pool.start(op, []() noexcept -> std::int64_t { return 7; });
    while (pool.jobs_in_flight() > 0) {
        pool.wait(std::chrono::seconds(10));
    }
    CHECK(op.outcome == 7);
    home.run();  // the handler that was posted finds nothing to do
    CHECK(op.completions == 1);
}

TEST_CASE("a pool destroyed before its results came home leaves nothing behind", "[uring][pool]") {
    net::io_context home{1};
    pool_operation op;
    {
        io::blocking_pool pool(home.get_executor());
        std::promise<void> done;
        pool.start(op, [&]() noexcept -> std::int64_t {
            done.set_value();
            return 7;
        });
        done.get_future().wait();
    }
    home.run();
    CHECK(op.completions == 0);
}

TEST_CASE("an abandoned pool does not wait for a thread that is stuck", "[uring][pool][threads]") {
    net::io_context home{1};
    pool_operation op;
    auto release = std::make_shared<std::promise<void>>();
    auto left = std::make_shared<std::promise<void>>();
    auto entered = std::make_shared<std::promise<void>>();
    std::future<void> has_left = left->get_future();
    {
        io::blocking_pool pool(home.get_executor());
        pool.start(op,
                   [release, left, entered,
                    held = release->get_future().share()]() noexcept -> std::int64_t {
                       entered->set_value();
                       held.wait();
                       left->set_value();
                       return 7;
                   });
        entered->get_future().wait();  // a job that has not begun is dropped instead
        pool.wait(std::chrono::milliseconds(1));
        pool.abandon();
    }
    CHECK(op.completions == 0);
    release->set_value();
    has_left.wait();
    home.run();
    CHECK(op.completions == 0);
}
