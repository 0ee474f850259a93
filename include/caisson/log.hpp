#pragma once
// log: one durable, append-only sequence of records in one directory. Obtained from
// engine::async_open. The header holds only what initiations need; the engine behind it is compiled
// once. Read docs/architecture.md.

#include <caisson/config.hpp>
#include <caisson/detail/append_operation.hpp>
#include <caisson/detail/completion.hpp>
#include <caisson/failure.hpp>
#include <caisson/options.hpp>
#include <caisson/reader.hpp>
#include <caisson/result.hpp>
#include <caisson/stats.hpp>
#include <caisson/types.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace caisson {

namespace log_detail {
class log_core;
}
namespace engine_detail {
class engine_core;
}

/// An open log. Movable handle; all handles and operations end before its engine does.
///
/// Thread safety: every member function may be called from any thread, concurrently. Operations hop
///     to the engine's home thread and complete on the handler's associated executor, never inside
///     the initiating function.
/// Ordering:      offsets follow the order of calls made on one thread; calls on different threads
///                race.
/// Durability:    an append completes when it, and every record before it, is on stable storage
///                (durability::local).
/// Failure:       the first failed write or sync poisons the log: appends in flight fail with
///     errc::outcome_unknown, every later one with errc::poisoned; reads go on; only reopening
///     (which recovers) clears it.
class log {
public:
    using executor_type = net::any_io_executor;
    using default_token = net::deferred_t;

    log() noexcept = default;
    log(log&&) noexcept = default;
    log& operator=(log&&) noexcept;
    log(const log&) = delete;
    log& operator=(const log&) = delete;
    /// Without async_close: intake stops, what was accepted is finished by the engine, which logs a
    /// warning.
    ~log();

    [[nodiscard]] executor_type get_executor() const noexcept;
    /// True from async_open until close has ended, also while the log is poisoned. A default or
    /// moved-from handle is not open; nothing else may be asked of it.
    [[nodiscard]] bool is_open() const noexcept;

    /// Appends one record: the bytes of all buffers in order (gather).
    ///
    /// Shape:        0 ..= record_size_bytes_max bytes in total. The memory is the caller's until
    ///               completion; the buffer sequence itself is copied.
    /// Errors:       errc::{closed, poisoned, outcome_unknown, record_too_large, batch_too_large,
    ///               no_space, home_on_two_threads}; operation_aborted when withdrawn.
    /// Cancellation: total, while it waits for room (max_pending_bytes); once admitted it is
    ///               ignored.
    template <class ConstBufferSequence,
              net::completion_token_for<void(result<append_receipt>)> Token = default_token>
        requires net::is_const_buffer_sequence<ConstBufferSequence>::value
    auto async_append(const ConstBufferSequence& record, Token&& token = Token()) {
        return net::async_initiate<Token, void(result<append_receipt>)>(
            initiate_append{core_.get()}, token,
            detail::gathered_record<ConstBufferSequence>(record));
    }

    /// Appends 1 ..= 65,535 records as one atomic unit: after any crash all of them are in the log
    /// or none is.
    ///
    /// Shape:        one buffer a record; the span's array and the memory are the caller's until
    ///               completion.
    /// Errors:       as async_append; errc::batch_too_large for too many records or more bytes than
    ///               max_pending_bytes. An empty batch completes at once with an empty range.
    /// Cancellation: as async_append.
    template <net::completion_token_for<void(result<append_receipt>)> Token = default_token>
    auto async_append_batch(std::span<const net::const_buffer> records, Token&& token = Token()) {
        return net::async_initiate<Token, void(result<append_receipt>)>(
            initiate_append{core_.get()}, token, detail::record_batch(records));
    }

    /// Completes when every record below `end` is durable. `end` may lie beyond what was appended:
    /// then it waits for the appends too. Waiting makes progress happen; it never just parks.
    ///
    /// Errors:       errc::{closed, poisoned, home_on_two_threads}; operation_aborted when
    ///               cancelled.
    /// Cancellation: total; stops waiting only.
    template <net::completion_token_for<void(result<void>)> Token = default_token>
    auto async_wait_durable(log_offset end, durability level = durability::local,
                            Token&& token = Token()) {
        return net::async_initiate<Token, void(result<void>)>(initiate_wait{core_.get()}, token,
                                                              end, level);
    }

    /// Stops intake, finishes every accepted append, ends waits and readers with errc::closed, cuts
    /// the last segment to its exact length, writes the clean mark and gives up the lock.
    /// Idempotent; later calls complete with the first's outcome.
    ///
    /// Errors:       the failure that poisoned the log; errc::outcome_unknown past the engine's
    ///               close deadline.
    /// Cancellation: none.
    template <net::completion_token_for<void(result<void>)> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return net::async_initiate<Token, void(result<void>)>(initiate_close{core_.get()}, token);
    }

    /// A reader from `from` (below `begin` or above `durable_end` its first operation fails with
    /// offset_out_of_range). Independent of the writer and of other readers; sees what is durable.
    [[nodiscard]] log_reader reader(log_offset from) const;

    /// First offset the log holds.
    [[nodiscard]] log_offset begin() const noexcept;
    /// End of what was accepted, in memory. appended_end >= durable_end, both only grow.
    [[nodiscard]] log_offset appended_end() const noexcept;
    /// End of what is on stable storage.
    [[nodiscard]] log_offset durable_end(durability level = durability::local) const noexcept;

    /// The log's counters as they are now; no operation, no wait.
    [[nodiscard]] log_stats stats() const;
    /// What poisoned the log, without another operation; empty while it is healthy.
    [[nodiscard]] std::optional<failure> failure_cause() const;

private:
    friend class engine_detail::engine_core;
    explicit log(std::shared_ptr<log_detail::log_core> core) noexcept;

    /// What a cancellation slot holds: the operation by name, since the object may be gone when the
    /// signal comes.
    struct canceller {
        std::shared_ptr<log_detail::log_core> core;
        std::uint64_t ticket;
        void operator()(net::cancellation_type what) const {
            if (what != net::cancellation_type::none) {
                cancel(core, ticket);
            }
        }
    };
    template <class Slot>
    static void make_cancellable(Slot slot, log_detail::log_core& core,
                                 detail::operation_node& operation) {
        if (slot.is_connected()) {
            operation.ticket = ticket_of(core);
            slot.template emplace<canceller>(canceller{share(core), operation.ticket});
        }
    }

    struct initiate_append {
        using executor_type = net::any_io_executor;
        log_detail::log_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler, class Records>
        void operator()(Handler&& handler, Records&& records) const {
            using operation = typename std::decay_t<Records>::operation;
            const auto slot = net::get_associated_cancellation_slot(handler);
            auto* append =
                detail::pending<append_receipt, operation, std::decay_t<Handler>>::create(
                    std::forward<Handler>(handler), home_of(*core), std::forward<Records>(records));
            make_cancellable(slot, *core, *append);
            start(*core, append);
        }
    };
    struct initiate_wait {
        using executor_type = net::any_io_executor;
        log_detail::log_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler, log_offset end, durability level) const {
            const auto slot = net::get_associated_cancellation_slot(handler);
            auto* wait =
                detail::pending<void, detail::wait_operation, std::decay_t<Handler>>::create(
                    std::forward<Handler>(handler), home_of(*core), end, level);
            make_cancellable(slot, *core, *wait);
            start(*core, wait);
        }
    };
    struct initiate_close {
        using executor_type = net::any_io_executor;
        log_detail::log_core* core;
        [[nodiscard]] executor_type get_executor() const noexcept { return home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler) const {
            start(*core,
                  detail::pending<void, detail::close_operation, std::decay_t<Handler>>::create(
                      std::forward<Handler>(handler), home_of(*core)));
        }
    };

    static const net::any_io_executor& home_of(const log_detail::log_core& core) noexcept;
    static std::uint64_t ticket_of(log_detail::log_core& core) noexcept;
    static std::shared_ptr<log_detail::log_core> share(log_detail::log_core& core) noexcept;
    static void cancel(const std::shared_ptr<log_detail::log_core>& core, std::uint64_t ticket);
    static void start(log_detail::log_core& core, detail::append_operation* operation);
    static void start(log_detail::log_core& core, detail::wait_operation* operation);
    static void start(log_detail::log_core& core, detail::close_operation* operation);

    std::shared_ptr<log_detail::log_core> core_;
};

}  // namespace caisson
