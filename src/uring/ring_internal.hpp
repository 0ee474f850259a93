#pragma once
// What the parts of `ring` share and nobody else sees: the record of an operation in flight, the
// state that handlers hold on to, and what ThreadSanitizer has to be told.

#include "async/handler_memory.hpp"
#include "io/guarded_executor.hpp"
#include "uring/ring.hpp"

#include <spdlog/logger.h>

#include <utility>

// The ring is invisible to ThreadSanitizer: it would take an operation that went through the kernel
// for a race.
#if defined(__SANITIZE_THREAD__)
#define CAISSON_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAISSON_TSAN 1
#endif
#endif
#if defined(CAISSON_TSAN)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace caisson::uring {

inline constexpr std::size_t requests_per_chunk = 256;
/// When the kernel has no memory and nothing is in flight whose completion would wake us.
inline constexpr auto retry_delay = std::chrono::milliseconds(1);
/// In an id: the completion of a cancel, not of the operation.
inline constexpr std::uint64_t cancel_mark = 1;

inline void pass_to_kernel([[maybe_unused]] void* what) noexcept {
#if defined(CAISSON_TSAN)
    __tsan_release(what);
#endif
}
inline void take_from_kernel([[maybe_unused]] void* what) noexcept {
#if defined(CAISSON_TSAN)
    __tsan_acquire(what);
#endif
}

struct ring::request {
    enum class state : std::uint8_t { free, waiting, in_kernel, finished };

    io::operation* op = nullptr;
    request* next = nullptr;
    submission what;
    std::int64_t outcome = 0;
    std::uint32_t index = 0;
    // changes with each use: a late cancel must not meet the next operation
    std::uint32_t generation = 0;
    state now = state::free;
    bool is_cancelled = false;

    /// generation (31 bits) | index (32 bits) | cancel mark (1 bit)
    [[nodiscard]] std::uint64_t id() const noexcept {
        return (std::uint64_t{generation} << 33) | (std::uint64_t{index} << 1);
    }
};

/// Outlives the ring in handlers that are still queued. `owner` belongs to the home thread.
struct ring::shared_state {
    ring* owner = nullptr;
    std::uint64_t event_count = 0;  // where Asio reads the eventfd to
    // Every group of appends has a turn and a wake-up.
    async::handler_memory turn_memory;
    async::handler_memory read_memory;
    const net::io_context::executor_type executor;
    const std::shared_ptr<async::home_thread> thread;
    const std::shared_ptr<spdlog::logger> logger;

    shared_state(net::io_context::executor_type home, std::shared_ptr<async::home_thread> of,
                 std::shared_ptr<spdlog::logger> log)
        : executor(home), thread(std::move(of)), logger(std::move(log)) {}
};

/// Runs `what` on the ring if it still exists, on its home thread.
template <class What>
void ring::on_home(const std::shared_ptr<shared_state>& state, What what) {
    io::at_home(state->thread, state->executor, [state, what] {
        if (state->owner != nullptr) {
            what(*state->owner);
        }
    });
}

}  // namespace caisson::uring
