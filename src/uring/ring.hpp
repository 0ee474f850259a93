#pragma once
// ring: operations on one kernel ring, woken by an eventfd that Asio watches on the home context.
// Submits once a turn of the loop, collects completions first and runs them afterwards. Knows
// nothing about directories or logs. Read docs/architecture.md, "The ring".

#include "async/home_thread.hpp"
#include "base/intrusive_queue.hpp"
#include "io/operation.hpp"
#include "uring/facts.hpp"
#include "uring/ring_port.hpp"

#include <caisson/config.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace spdlog {
class logger;
}

namespace caisson::uring {

/// The outcome of an operation that was started on another thread than the ring's home. No file
/// system returns it. The engine reports it as errc::home_on_two_threads.
inline constexpr std::int64_t wrong_thread_outcome = -76;  // -ENOTUNIQ; asserted in ring.cpp

/// One ring and the operations on it.
///
/// Home:      one thread, which the first operation claims if nothing has before. The ring is
///            enabled there and bound to it for good: what any other thread starts completes with
///            `wrong_thread_outcome`. Completions come on the home thread, whatever thread runs the
///            home context.
/// In flight: at most as many as the completion queue holds; further operations wait, in order, in
/// a queue here. A full
///            submission queue makes the ring submit, never fail.
/// Broken:    an enter that fails for good (EPERM from a late filter, EBADR: the kernel dropped a
///            completion) ends every operation with that error, and all later ones. What the kernel
///            still owns is then unknown: unless nothing was in the kernel, `is_idle` stays false,
///            and ring and buffers have to be leaked. EBADR cannot happen while operations in
///            flight are bounded as above and the kernel keeps its promises.
class ring {
public:
    ring(net::io_context& home, std::unique_ptr<ring_port> port,
         std::shared_ptr<async::home_thread> thread, std::shared_ptr<spdlog::logger> logger);
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;
    /// Frees the kernel's ring when nothing is in flight, otherwise leaks it.
    ~ring();

    /// `what` without its id. Completes with the kernel's outcome.
    void start(io::operation& op, submission what);
    /// Completes `op` with `outcome` on a later turn.
    void fail(io::operation& op, std::int64_t outcome);
    void submit();
    /// Asks the kernel to end `op`, which this ring is running.
    void cancel(io::operation& op);

    /// What a file is registered for. Data files may take half of the table: a log without a
    /// registered lock is worse off than one whose writes cost a little more.
    enum class file_use : std::uint8_t { data, lock };
    /// A slot of the file table that now holds `descriptor`, or nothing: then the plain descriptor
    /// is used.
    std::optional<unsigned> register_file(int descriptor, file_use use);
    void release_file(unsigned slot);

    void register_memory(std::span<std::byte> memory);
    /// The slot of the registered buffer that holds all of `memory`.
    [[nodiscard]] std::optional<std::uint16_t> registered_buffer(
        std::span<const std::byte> memory) const noexcept;

    /// Whether `op` may go on here. Otherwise it was refused: it completes with
    /// `wrong_thread_outcome`. For operations that do not go through the ring but belong to its
    /// home all the same.
    bool admit(io::operation& op);
    /// Binds the ring to this thread if no thread has it yet.
    bool claim_home();
    /// False until the ring is bound.
    [[nodiscard]] bool is_on_home_thread() const noexcept;

    [[nodiscard]] std::uint64_t operations_in_flight() const noexcept {
        return operations_in_flight_;
    }

    /// Waits up to `timeout` for the kernel and completes what is finished, here and now. For
    /// closing, on the home thread, when the home context no longer runs.
    void wait(std::chrono::nanoseconds timeout);
    /// False when the kernel may still own buffers.
    [[nodiscard]] bool is_idle() const noexcept {
        return operations_in_flight_ == 0 && kernel_owns_ == 0;
    }
    /// From now on the kernel's ring, its files and its memory belong to the end of the process. No
    /// operation completes any more, and what is started is not given to the kernel.
    ///
    /// Executor: home.
    void abandon() noexcept;
    [[nodiscard]] bool is_abandoned() const noexcept { return is_abandoned_; }

    /// The kernel may still use files and memory of operations that have ended here, or never will:
    /// the ring was abandoned, or broke while the kernel had some.
    [[nodiscard]] bool has_lost_track() const noexcept {
        return is_abandoned_ || (broken_errno_ != 0 && kernel_owns_ > 0);
    }
    /// 0, or the errno that ended the ring for good.
    [[nodiscard]] int error_number() const noexcept { return broken_errno_; }
    [[nodiscard]] ring_facts facts() const;
    /// What was agreed with the kernel and where it falls back, in one line.
    ///
    /// Executor: any thread.
    [[nodiscard]] std::string describe() const;

private:
    struct request;
    struct shared_state;
    using list = intrusive_queue<request>;

    [[nodiscard]] bool is_broken() const noexcept { return broken_errno_ != 0; }
    request* allocate_request();
    request* begin(io::operation& op);
    void free_request(request* freed) noexcept;
    void finish(request* done, std::int64_t outcome) noexcept;

    bool try_prepare(const submission& what);
    void prepare_waiting();
    void request_cancel(request& target);

    enum class entered { well, again, broken };
    entered enter(bool get_events);
    void collect();
    void exchange_with_kernel();
    void service();
    void run_finished();
    void break_down(int error_number);

    void arm();
    void disarm();
    void leave_home() noexcept;
    void note_unregistered_lock(int refused);
    void publish_description();
    void post_turn();
    void post_outcome(io::operation& op, std::int64_t outcome);
    void retry_later();
    template <class What>
    static void on_home(const std::shared_ptr<shared_state>& state, What what);

    std::shared_ptr<shared_state> state_;
    net::io_context::executor_type executor_;
    std::unique_ptr<ring_port> port_;
    net::posix::stream_descriptor event_;
    net::steady_timer retry_timer_;

    std::vector<std::unique_ptr<request[]>> request_chunks_;
    list free_;
    list waiting_;   // started, not yet given to the submission queue
    list finished_;  // outcome known, completion not yet run
    std::uint64_t operations_in_flight_ = 0;
    // submission queue entries prepared whose completion was not taken, cancels included
    unsigned kernel_owns_ = 0;
    unsigned unsubmitted_ = 0;  // of these, not yet taken by the kernel
    int broken_errno_ = 0;
    bool is_bound_ = false;  ///< home only
    bool is_armed_ = false;
    bool is_turn_posted_ = false;
    bool is_retry_pending_ = false;
    bool is_abandoned_ = false;

    struct buffer_range {
        const std::byte* begin;
        const std::byte* end;
    };
    std::vector<buffer_range> buffers_;  // index = slot
    std::vector<unsigned> free_file_slots_;
    unsigned file_slots_fresh_ = 0;  // slots never used yet begin here
    ring_facts facts_;
    mutable std::mutex description_mutex_;
    std::string description_;  ///< of the facts that seldom change, for other threads
};

}  // namespace caisson::uring
