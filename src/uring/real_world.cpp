// Construction, draining and leaking of the real world.

#include "uring/real_world.hpp"

#include "async/home_thread.hpp"
#include "io/blocking_pool.hpp"
#include "io/guarded_executor.hpp"
#include "uring/disk.hpp"
#include "uring/kernel_port.hpp"
#include "uring/real_clock.hpp"
#include "uring/ring.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace caisson::uring {

namespace {

// What any_io_executor holds in place; a larger one would be allocated whenever it is copied.
static_assert(sizeof(io::guarded_executor<net::io_context::executor_type>) <= 3 * sizeof(void*));

std::shared_ptr<async::home_thread> reporting_thread(std::shared_ptr<spdlog::logger> logger) {
    return std::make_shared<async::home_thread>([logger = std::move(logger)] {
        if (logger) {
            logger->error(
                "the home io_context is run by more than one thread: io_uring belongs to one. "
                "Every further operation fails; run the io_context on one thread, or let the "
                "engine own its thread (engine::on_own_thread)");
        }
    });
}

}  // namespace

class real_world::impl {
public:
    impl(net::io_context& home, std::unique_ptr<ring_port> port, const real_world_options& options)
        : destructor_deadline(options.destructor_deadline),
          thread(reporting_thread(options.logger)),
          guarded_home(io::guarded_executor(home.get_executor(), thread)),
          pool(guarded_home, options.pool_threads),
          kernel_ring(home, std::move(port), thread, options.logger),
          storage(kernel_ring, pool),
          time(home, thread),
          environment{guarded_home, home.get_executor(), thread, storage, time,
                      chance,       options.logger} {}

    [[nodiscard]] bool is_idle() const noexcept {
        return kernel_ring.is_idle() && pool.jobs_in_flight() == 0;
    }
    bool drain(std::chrono::nanoseconds deadline);
    void abandon();

    const std::chrono::nanoseconds destructor_deadline;
    const std::shared_ptr<async::home_thread> thread;
    const net::any_io_executor guarded_home;
    io::blocking_pool pool;
    ring kernel_ring;
    disk storage;
    real_clock time;
    real_random chance;
    io::environment environment;
};

bool real_world::impl::drain(std::chrono::nanoseconds deadline) {
    using steady = std::chrono::steady_clock;
    // While both are busy neither can be waited for alone.
    constexpr std::chrono::nanoseconds slice = std::chrono::milliseconds(1);
    const steady::time_point end = steady::now() + deadline;
    // A ring with nothing in flight need not be at home on this thread.
    const bool can_reap = kernel_ring.is_idle() || kernel_ring.is_on_home_thread();
    while (can_reap && !is_idle()) {
        const std::chrono::nanoseconds left = end - steady::now();
        if (left <= std::chrono::nanoseconds::zero()) {
            break;
        }
        const bool pool_is_busy = pool.jobs_in_flight() > 0;
        if (!kernel_ring.is_idle()) {
            if (kernel_ring.error_number() != 0 && kernel_ring.operations_in_flight() == 0 &&
                !pool_is_busy) {
                break;  // broken: what the kernel still owns will never be reported
            }
            kernel_ring.wait(pool_is_busy ? std::min(slice, left) : left);
        }
        if (pool_is_busy) {
            pool.wait(kernel_ring.is_idle() ? left : std::min(slice, left));
        }
    }
    if (is_idle()) {
        return true;
    }
    abandon();
    return false;
}

void real_world::impl::abandon() {
    if (environment.logger && !kernel_ring.is_abandoned()) {
        environment.logger->error(
            "{} disk operations did not end in time; their buffers, files and locks stay with the "
            "kernel until the process ends",
            storage.operations_in_flight());
    }
    kernel_ring.abandon();
    pool.abandon();
    time.abandon();
}

detailed<std::unique_ptr<real_world>> real_world::create(net::io_context& home,
                                                         const real_world_options& options) {
    kernel_port_options wanted;
    wanted.entries = options.ring_entries;
    wanted.buffer_slots = options.register_buffers ? wanted.buffer_slots : 0;
    BOOST_OUTCOME_TRY(auto port, make_kernel_port(wanted));
    auto inside = std::make_unique<impl>(home, std::move(port), options);
    if (const int failed = inside->kernel_ring.error_number(); failed != 0) {
        return explain_unavailable(failed, "epoll_ctl");
    }
    // Now, when it can be said what is missing: later every operation would fail with a bare
    // EAGAIN.
    if (const int failed = inside->pool.start_first_thread(); failed != 0) {
        const error_code why(failed, boost::system::system_category());
        return failure(why,
                       "no thread can be started, which file operations need: " + why.message())
            .advise("raise the limit of processes (ulimit -u, TasksMax= in systemd, pids.max of "
                    "the container)");
    }
    if (options.logger) {
        options.logger->info("{}", inside->kernel_ring.describe());
    }
    return std::unique_ptr<real_world>(new real_world(std::move(inside)));
}

std::unique_ptr<real_world> real_world::create_on(net::io_context& home,
                                                  std::unique_ptr<ring_port> port,
                                                  const real_world_options& options) {
    return std::unique_ptr<real_world>(
        new real_world(std::make_unique<impl>(home, std::move(port), options)));
}

real_world::real_world(std::unique_ptr<impl> inside) : impl_(std::move(inside)) {}

real_world::~real_world() {
    if (!impl_->is_idle() && !impl_->kernel_ring.is_abandoned()) {
        if (impl_->environment.logger) {
            impl_->environment.logger->warn(
                "destroyed with {} disk operations in flight: waiting for them",
                impl_->storage.operations_in_flight());
        }
        impl_->drain(impl_->destructor_deadline);
    }
}

io::environment& real_world::environment() noexcept { return impl_->environment; }
bool real_world::drain(std::chrono::nanoseconds deadline) { return impl_->drain(deadline); }
void real_world::abandon() { impl_->abandon(); }
bool real_world::is_on_home_thread() const noexcept {
    return impl_->kernel_ring.is_on_home_thread();
}
ring_facts real_world::facts() const { return impl_->kernel_ring.facts(); }
std::string real_world::describe() const { return impl_->kernel_ring.describe(); }

}  // namespace caisson::uring
