#pragma once
// guarded_executor: a home executor whose handlers run on the home thread or not at all. Read
// docs/architecture.md, "One home".

#include <caisson/config.hpp>

#include "async/home_thread.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace caisson::io {

template <class Executor, class Function>
void at_home(const std::shared_ptr<async::home_thread>& thread, const Executor& home,
             Function what);

/// Posts `what` for the home thread, from a wrong one. Two things are needed for that thread to get
/// it. The post comes from outside run(): a context made for one thread (concurrency hint 1) keeps
/// posts of its own threads to them, and wakes nobody. And this thread stays here meanwhile, or it
/// would be the one to be woken.
template <class Executor, class Function>
void send_round(const std::shared_ptr<async::home_thread>& thread, const Executor& home,
                Function what) {
    constexpr auto stay_max = std::chrono::milliseconds(1);
    std::promise<void> taken;
    const std::future<void> is_taken = taken.get_future();
    auto again = [thread, home, what = std::move(what), taken = std::move(taken)]() mutable {
        taken.set_value();
        at_home(thread, home, std::move(what));
    };
    try {
        std::thread([&] { net::post(home, std::move(again)); }).join();
    } catch (const std::system_error&) {
        net::post(home, std::move(again));  // no thread to be had: slower, if it arrives
    }
    is_taken.wait_for(stay_max);
}

/// Runs `what` here and now on the home thread. On another one, which proves that two threads run
/// the home executor, `what` goes round until the home thread gets it: what is under way there may
/// touch the same things. If that thread has left for good, `what` never runs, and run() of the
/// others does not return.
template <class Executor, class Function>
void at_home(const std::shared_ptr<async::home_thread>& thread, const Executor& home,
             Function what) {
    if (thread->claim()) {
        std::move(what)();
    } else {
        send_round(thread, home, std::move(what));
    }
}

/// Never runs anything inside the call. In this size Asio's any_io_executor needs no allocation
/// for it.
template <class Executor>
class guarded_executor {
public:
    guarded_executor(Executor home, std::shared_ptr<async::home_thread> thread) noexcept
        : home_(net::require(std::move(home), net::execution::blocking.never)),
          thread_(std::move(thread)) {}

    net::execution_context& query(net::execution::context_t) const noexcept {
        return net::query(home_, net::execution::context);
    }
    static constexpr net::execution::blocking_t query(net::execution::blocking_t) noexcept {
        return net::execution::blocking.never;
    }
    /// Keeps the home context running while a copy of the result is alive.
    auto require(net::execution::outstanding_work_t::tracked_t tracked) const {
        auto home = net::require(home_, tracked);
        return guarded_executor<decltype(home)>(std::move(home), thread_);
    }
    template <class Function>
    void execute(Function function) const {
        home_.execute([home = home_, thread = thread_, what = std::move(function)]() mutable {
            at_home(thread, home, std::move(what));
        });
    }

    friend bool operator==(const guarded_executor& a, const guarded_executor& b) noexcept {
        return a.home_ == b.home_ && a.thread_ == b.thread_;
    }
    friend bool operator!=(const guarded_executor& a, const guarded_executor& b) noexcept {
        return !(a == b);
    }

private:
    Executor home_;
    std::shared_ptr<async::home_thread> thread_;
};

}  // namespace caisson::io
