#pragma once
// engine: one home thread, one ring, many logs. The only object that knows which disk is
// underneath.

#include <caisson/config.hpp>
#include <caisson/detail/completion.hpp>
#include <caisson/failure.hpp>
#include <caisson/log.hpp>
#include <caisson/log_view.hpp>
#include <caisson/options.hpp>
#include <caisson/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <memory>
#include <string>
#include <utility>

namespace boost::asio {
class io_context;
}

namespace caisson {

namespace sim {
class world;
}

namespace engine_detail {
class engine_core;

class open_operation : public detail::completion<log> {
public:
    std::string path;
    log_options options;

protected:
    open_operation(end_function end, std::string directory, const log_options& chosen)
        : completion(end), path(std::move(directory)), options(chosen) {}
    ~open_operation() = default;
};

class view_operation : public detail::completion<log_view> {
public:
    std::string path;
    open_report* report;

protected:
    view_operation(end_function end, std::string directory, open_report* out)
        : completion(end), path(std::move(directory)), report(out) {}
    ~view_operation() = default;
};

class shutdown_operation : public detail::completion<void> {
protected:
    explicit shutdown_operation(end_function end) noexcept : completion(end) {}
    ~shutdown_operation() = default;
};
}  // namespace engine_detail

/// Owns the ring, the buffers and every log opened through it.
///
/// Home: either the caller's io_context, which exactly one thread runs (fastest: no hop), or a
///     thread of the engine's own, for servers whose io_context runs on many. State is touched only
///     there. The first thread that runs something of the engine is its home, for good: run() may
///     return on it and be called there again (after restart()) any number of times; a thread that
///     has ended has no heir. When another one is found running the io_context, operations that
///     arrive from then on fail with errc::home_on_two_threads, also async_close; what was accepted
///     before ends on the home thread or can be cancelled, as long as that thread runs the
///     io_context (if it has left, run() of the others returns after stop() only). The logs stay
///     locked until the process ends.
/// Lifetime: async_close first; the io_context outlives the engine. Destroyed without async_close
///     the engine closes in the background, which needs the io_context to run on (with a thread of
///     its own the destructor waits for it a short while), and logs it. What the kernel still owns
///     at close_deadline is leaked rather than freed. Any thread, any handler may destroy it, that
///     of async_close too.
/// Thread safety: every member may be called from any thread.
/// Exceptions: operations report failures as results. An exception out of a handler that completes
///     on the home executor, or out of a callback of log_view, ends the process (std::terminate);
///     out of a handler on another executor it leaves that executor's run(), as everywhere in Asio.
/// Fork: a child of fork must not use or destroy the engine or anything opened through it: ring and
///     lock are shared with the parent, and destroying them would give the parent's lock up.
///     Descriptors are close-on-exec, so exec and _exit are safe; a child that does neither keeps
///     the log locked after its parent was killed.
class engine {
public:
    using executor_type = net::any_io_executor;
    using default_token = net::deferred_t;

    /// An engine whose home is `home`.
    /// Errors: errc::uring_unavailable, with cause and cure in the failure's text.
    [[nodiscard]] static detailed<engine> on(net::io_context& home,
                                             const engine_options& options = {});
    /// An engine with a home thread of its own.
    [[nodiscard]] static detailed<engine> on_own_thread(const engine_options& options = {});
    /// An engine in a simulated world (caisson/sim.hpp).
    [[nodiscard]] static engine on(sim::world& world, const engine_options& options = {});

    engine(engine&&) noexcept;
    engine& operator=(engine&&) = delete;
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;
    ~engine();

    /// The home executor.
    [[nodiscard]] executor_type get_executor() const noexcept;

    /// Opens the log in `directory`, recovering it if its last owner did not close it.
    ///
    /// Effects:      locks the file LOCK in the directory (flock) until the log has closed: one
    ///               owner at a time. Whoever deletes or replaces that file defeats the lock: a
    ///               second owner gets in, and the two destroy the log.
    /// Errors:       errc::{closed, home_on_two_threads, invalid_options, locked, log_not_found,
    ///               log_exists, not_a_directory, unsupported_filesystem, foreign_log,
    ///               foreign_file}; what is on the disk: errc::{unsupported_version,
    ///               unsupported_algorithm, torn_tail, damaged, unreadable, wrong_log,
    ///               chain_broken, epoch_backwards, segment_missing, segment_gap, segment_overlap,
    ///               state_missing, state_damaged}; errors of the system (a full disk is
    ///               condition::no_space). The whole story is in options.report, but for
    ///               home_on_two_threads and an engine closed before.
    /// Cancellation: none.
    template <net::completion_token_for<void(result<log>)> Token = default_token>
    auto async_open(std::string directory, const log_options& options = {},
                    Token&& token = Token()) {
        return net::async_initiate<Token, void(result<log>)>(initiate_open{core_.get()}, token,
                                                             std::move(directory), options);
    }

    /// Opens a directory for reading only: changes nothing, takes no lock, works beside a live
    /// writer.
    ///
    /// Errors:       errc::{closed, home_on_two_threads, log_not_found, not_a_directory}; errors of
    ///               the system. Damage, a bad STATE and newer versions do not keep a view from
    ///               opening: facts(), readers and async_verify name them. `report`, if given, must
    ///               live until completion; only `refused` is filled.
    /// Cancellation: none.
    template <net::completion_token_for<void(result<log_view>)> Token = default_token>
    auto async_open_view(std::string directory, open_report* report = nullptr,
                         Token&& token = Token()) {
        return net::async_initiate<Token, void(result<log_view>)>(initiate_view{core_.get()}, token,
                                                                  std::move(directory), report);
    }

    /// Closes every log and view, then the disk. Idempotent. Opens under way, and what is started
    /// later, complete with errc::closed, as do the operations of views.
    ///
    /// Errors:       the first failure of a log's close; errc::outcome_unknown past
    ///               options.close_deadline, or when a log was given up before.
    /// Cancellation: none.
    template <net::completion_token_for<void(result<void>)> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return net::async_initiate<Token, void(result<void>)>(initiate_close{core_.get()}, token);
    }

    /// One line that says which mechanism is in use: ring flags, registered files and buffers, and
    /// how many locks are not registered, so that they end with a killed process instead of with
    /// its last write.
    [[nodiscard]] std::string describe() const;

private:
    friend class engine_detail::engine_core;
    explicit engine(std::shared_ptr<engine_detail::engine_core> core) noexcept;

    struct initiate_open {
        using executor_type = net::any_io_executor;
        engine_detail::engine_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler, std::string directory,
                        const log_options& options) const {
            start(
                *core,
                detail::pending<log, engine_detail::open_operation, std::decay_t<Handler>>::create(
                    std::forward<Handler>(handler), home_of(*core), std::move(directory), options));
        }
    };
    struct initiate_view {
        using executor_type = net::any_io_executor;
        engine_detail::engine_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler, std::string directory, open_report* report) const {
            start(*core,
                  detail::pending<log_view, engine_detail::view_operation,
                                  std::decay_t<Handler>>::create(std::forward<Handler>(handler),
                                                                 home_of(*core),
                                                                 std::move(directory), report));
        }
    };
    struct initiate_close {
        using executor_type = net::any_io_executor;
        engine_detail::engine_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler) const {
            start(*core,
                  detail::pending<void, engine_detail::shutdown_operation,
                                  std::decay_t<Handler>>::create(std::forward<Handler>(handler),
                                                                 home_of(*core)));
        }
    };

    static const net::any_io_executor& home_of(const engine_detail::engine_core& core) noexcept;
    static void start(engine_detail::engine_core& core, engine_detail::open_operation* operation);
    static void start(engine_detail::engine_core& core, engine_detail::view_operation* operation);
    static void start(engine_detail::engine_core& core,
                      engine_detail::shutdown_operation* operation);

    std::shared_ptr<engine_detail::engine_core> core_;
};

}  // namespace caisson
