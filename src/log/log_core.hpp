#pragma once
// log_core: one open log behind its handles: where operations arrive, who waits for which offset,
// how it closes. It joins the appender, the readers' source and the health; it has no policy of its
// own. At home only, but for the snapshots. Read docs/architecture.md, also "Closing".

#include <caisson/detail/append_operation.hpp>
#include <caisson/failure.hpp>
#include <caisson/stats.hpp>
#include <caisson/types.hpp>

#include "async/home_gate.hpp"
#include "async/task_group.hpp"
#include "io/deadline.hpp"
#include "log/appender.hpp"
#include "log/gate_entry.hpp"
#include "log/log_shared.hpp"
#include "log/read_source.hpp"
#include "log/recovered_log.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace caisson::log_detail {

class log_core;

/// Who opened a log and hears of its end.
class log_owner {
public:
    /// On home, after the log has answered all but the calls that asked it to close. Its last call
    /// of the owner.
    virtual void on_log_closed(log_core& closed) noexcept = 0;

protected:
    ~log_owner() = default;
};

class log_core final : public read_source, public std::enable_shared_from_this<log_core> {
public:
    /// `owner` keeps the log until on_log_closed. World, buffers and owner live until then; longer,
    /// if has_given_up().
    log_core(std::shared_ptr<async::home_gate> gate, std::shared_ptr<home_entry> entry,
             io::environment& world, buffer_pool& buffers, const log_options& options,
             std::string path, recovered_log recovered, log_owner& owner,
             std::chrono::nanoseconds close_deadline);
    ~log_core() override;

    // ---- from any thread
    /// The simulated machine lost power: nothing here will ever run again.
    [[nodiscard]] bool is_dead() const noexcept { return shared_.world.disk.powered_off(); }
    [[nodiscard]] const net::any_io_executor& home() const noexcept { return gate_->home(); }
    [[nodiscard]] async::home_gate& gate() const noexcept { return *gate_; }
    /// For what has to be done at home even when a second thread runs it.
    [[nodiscard]] const net::any_io_executor& guarded_home() const noexcept {
        return shared_.world.home;
    }
    [[nodiscard]] const std::shared_ptr<home_entry>& entry() const noexcept { return entry_; }
    [[nodiscard]] log_stats stats() const noexcept;
    [[nodiscard]] std::optional<failure> failure_cause() const { return shared_.health.cause(); }
    [[nodiscard]] std::uint64_t next_ticket() noexcept {
        return 1 + tickets_.fetch_add(1, std::memory_order_relaxed);
    }

    /// Once, right after construction: posted turns keep the log alive through it.
    void adopt_owner() noexcept { shared_.owner = weak_from_this(); }

    // ---- arriving at home
    void append(detail::append_operation& operation);
    void wait(detail::wait_operation& operation);
    void close(detail::close_operation& operation);
    void cancel(std::uint64_t ticket);
    /// A handle went away without async_close.
    void handle_lost();
    /// Starts closing if nobody has. Done when is_closed().
    void begin_close();
    /// The time is over: closes with errc::outcome_unknown. What the kernel may still use (buffers,
    /// files, the lock, this object) is kept for ever. Without effect unless the log is closing.
    void give_up();
    /// The simulated machine lost power: destroys the handlers of all calls without calling them.
    /// They may own readers, which own this log, and would keep each other for ever.
    void abandon_calls() noexcept;
    [[nodiscard]] bool is_closed() const noexcept {
        return is_closed_.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool has_given_up() const noexcept { return has_given_up_; }
    [[nodiscard]] const result<void>& close_outcome() const noexcept { return close_outcome_; }

    // ---- read_source
    [[nodiscard]] io::environment& world() noexcept override { return shared_.world; }
    [[nodiscard]] io::directory& directory() noexcept override {
        return *recovered_.directory.root;
    }
    [[nodiscard]] log_offset begin() const noexcept override { return recovered_.begin; }
    [[nodiscard]] std::optional<log_offset> durable_end() const noexcept override;
    [[nodiscard]] std::optional<segment_place> locate(log_offset offset) const noexcept override;
    [[nodiscard]] log_lineage lineage() const noexcept override;
    [[nodiscard]] std::optional<std::uint32_t> crc_before(
        log_offset segment) const noexcept override;
    io::task<void> refresh() override;
    io::task<bool> state_contradicts(segment_end end) override;

private:
    /// Only forwards. See "Closing" in log_core.cpp.
    enum class phase : std::uint8_t {
        open,
        closing,  ///< intake has stopped; a coroutine finishes, settles and gives up the lock
        ended,    ///< the outcome is known, nothing of ours runs any more; answers are on their way
        closed,   ///< answered; nothing is left but the calls that come too late
    };

    static void on_durable(void* self);
    static void on_poisoned(void* self);
    static void on_deadline(void* self);
    void on_idle() noexcept override;
    void complete_waits();
    void finish_later(detail::wait_operation& operation, error_code why);
    void deliver_later();
    void deliver() noexcept;
    net::awaitable<void> close_log();
    net::awaitable<void> drain();
    net::awaitable<detailed<void>> settle();
    void release() noexcept;
    void end_close(result<void> outcome);

    std::shared_ptr<async::home_gate> gate_;
    std::shared_ptr<home_entry> entry_;
    log_shared shared_;
    /// directories, lock and STATE; the tail has moved on to the appender
    recovered_log recovered_;
    std::unique_ptr<appender> appender_;
    log_owner& owner_;
    async::task_group tasks_;  ///< the coroutine that closes the log
    io::deadline deadline_;
    std::chrono::nanoseconds close_deadline_;
    std::atomic<std::uint64_t> tickets_{0};

    struct settled_wait {
        detail::wait_operation* operation;
        error_code why;
    };
    std::vector<detail::wait_operation*> waits_;  ///< in order of arrival
    std::vector<settled_wait> settled_;           ///< to be completed in the next turn
    std::vector<detail::close_operation*> closers_;
    log_offset native_from_;
    bool delivery_is_scheduled_ = false;
    phase phase_ = phase::open;
    std::atomic<bool> is_closed_{false};  ///< read by handles on any thread
    bool has_given_up_ = false;
    bool readers_are_gone_ = false;
    result<void> close_outcome_ = success();
};

}  // namespace caisson::log_detail
