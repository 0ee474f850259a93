#pragma once
// untracked_executor: the home executor for the library's own coroutines. Never runs anything
// inside the call, and a coroutine on it that only waits does not keep the home context running:
// what it waits for does (I/O in flight, a timer), or nothing will ever come.

#include <caisson/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <utility>

namespace caisson::async {

/// Asio's own executors count a suspended coroutine as outstanding work. Then an engine that left a
/// coroutine with a frozen device (past the close deadline) would keep io_context::run from
/// returning for ever. And co_spawn on them may run the coroutine, and what it completes, inside
/// the initiating function.
class untracked_executor {
public:
    /// Not the executor itself: asking whether a copy can be made from one would ask whether this
    /// is an executor, for ever.
    struct on {
        const net::any_io_executor& home;
    };
    explicit untracked_executor(on where)
        : home_(net::require(where.home, net::execution::blocking.never)) {}

    net::execution_context& query(net::execution::context_t) const noexcept {
        return net::query(home_, net::execution::context);
    }
    static constexpr net::execution::blocking_t query(net::execution::blocking_t) noexcept {
        return net::execution::blocking.never;
    }
    template <class Function>
    void execute(Function function) const {
        home_.execute(std::move(function));
    }

    friend bool operator==(const untracked_executor& a, const untracked_executor& b) noexcept {
        return a.home_ == b.home_;
    }
    friend bool operator!=(const untracked_executor& a, const untracked_executor& b) noexcept {
        return !(a == b);
    }

private:
    net::any_io_executor home_;
};

/// What the library's own coroutines are spawned on.
inline net::any_io_executor untracked(const net::any_io_executor& home) {
    return untracked_executor(untracked_executor::on{home});
}

}  // namespace caisson::async
