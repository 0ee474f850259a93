#pragma once
// real_world: the real disk, clock and randomness for one engine, on one io_context. The
// counterpart of sim's world. Read docs/architecture.md, "The ring".

#include "io/environment.hpp"
#include "uring/facts.hpp"

#include <caisson/config.hpp>
#include <caisson/failure.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace caisson::uring {

class ring_port;

class real_world_options {
public:
    real_world_options() noexcept {}

    /// submission queue; the completion queue has four times as many
    unsigned ring_entries = 256;
    /// for calls without a ring opcode; started when first needed
    unsigned pool_threads = 2;
    bool register_buffers = true;              ///< as far as RLIMIT_MEMLOCK allows
    std::shared_ptr<spdlog::logger> logger{};  ///< null: silent
    /// How long the destructor waits for operations that nobody drained.
    std::chrono::nanoseconds destructor_deadline = std::chrono::seconds(1);
};

/// Owner of ring, pool, clock and random.
///
/// Home:     the thread that first runs something of this world, and no other, for good
///           (`environment().thread`). With nothing pending `home.run()` returns.
/// Lifetime: `home` outlives the world; the world outlives every handle opened through it and every
///           operation started, and is not destroyed by a completion.
/// Signals:  a host that sets RLIMIT_FSIZE must ignore SIGXFSZ: a write through the ring beyond the
///           limit raises it, which kills the process; ignored, the write completes with -EFBIG.
/// Fork:     descriptors are close-on-exec; a child must not touch a world of its parent.
class real_world {
public:
    /// Errors: errc::uring_unavailable, with the cause (seccomp, sysctl, limits, kernel) and the
    ///         cure.
    static detailed<std::unique_ptr<real_world>> create(net::io_context& home,
                                                        const real_world_options& options = {});
    /// With a ring of the caller's, for tests.
    static std::unique_ptr<real_world> create_on(net::io_context& home,
                                                 std::unique_ptr<ring_port> port,
                                                 const real_world_options& options = {});

    real_world(const real_world&) = delete;
    real_world& operator=(const real_world&) = delete;
    /// As `drain` with the short deadline of the options if something is in flight, which is
    /// logged.
    ~real_world();

    [[nodiscard]] io::environment& environment() noexcept;

    /// Runs ring and pool, not the io_context, until nothing is in flight or `deadline` has passed;
    /// completions run inside. False after the deadline: the kernel may still own buffers, so the
    /// ring, its files and its locks now belong to the end of the process, and the caller must
    /// never free memory that was given to an operation.
    ///
    /// Executor: the home thread; on any other nothing can be reaped, and what is in flight is
    ///           given up at once.
    bool drain(std::chrono::nanoseconds deadline);

    /// Gives up what is in flight: nothing completes any more, not even a timer, nothing is started
    /// any more, and the home context has no work of this world left. The caller must keep the
    /// world and all memory given to operations for ever, never destroy it.
    ///
    /// Executor: home.
    void abandon();

    [[nodiscard]] bool is_on_home_thread() const noexcept;

    /// Executor: home.
    [[nodiscard]] ring_facts facts() const;
    /// What was agreed with the kernel and where it falls back, in one line.
    ///
    /// Executor: any thread.
    [[nodiscard]] std::string describe() const;

private:
    class impl;
    explicit real_world(std::unique_ptr<impl> inside);

    std::unique_ptr<impl> impl_;
};

}  // namespace caisson::uring
