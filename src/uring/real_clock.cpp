// One Asio timer a sleep, kept and used again. A timer's handler may be queued while the clock is
// destroyed: it holds its sleep alive and finds no operation in it.

#include "uring/real_clock.hpp"

#include "base/assert.hpp"
#include "io/guarded_executor.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include <sys/random.h>

namespace caisson::uring {

namespace {
/// Longer than any process runs, and far from the overflow of a time point.
constexpr std::uint64_t sleep_ns_max = std::uint64_t{100} * 365 * 24 * 3600 * 1'000'000'000;

std::uint64_t read_clock_ns(clockid_t which) noexcept {
    timespec now{};
    ::clock_gettime(which, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}
}  // namespace

struct real_clock::sleep : std::enable_shared_from_this<real_clock::sleep> {
    explicit sleep(net::io_context& home) : timer(home) {}

    net::steady_timer timer;
    io::operation* op = nullptr;  // null: free, or the clock is gone
    real_clock* owner = nullptr;
};

real_clock::real_clock(net::io_context& home, std::shared_ptr<async::home_thread> thread)
    : home_(home), thread_(std::move(thread)) {}

real_clock::~real_clock() {
    for (const auto& each : all_) {
        each->op = nullptr;
        each->timer.cancel();
    }
}

void real_clock::abandon() {
    is_abandoned_ = true;
    for (const auto& each : all_) {
        each->timer.cancel();
    }
}

std::uint64_t real_clock::monotonic_ns() const noexcept { return read_clock_ns(CLOCK_MONOTONIC); }
std::uint64_t real_clock::wall_us() const noexcept { return read_clock_ns(CLOCK_REALTIME) / 1000; }

void real_clock::start_sleep(io::operation& op, std::uint64_t duration_ns) {
    if (free_.empty()) {
        all_.push_back(std::make_shared<sleep>(home_));
        all_.back()->owner = this;
        free_.reserve(all_.size());
        free_.push_back(all_.back().get());
    }
    sleep* const taken = free_.back();
    free_.pop_back();
    taken->op = &op;
    op.slot.object = taken;
    if (is_abandoned_) {
        return;
    }
    taken->timer.expires_after(std::chrono::nanoseconds(std::min(duration_ns, sleep_ns_max)));
    taken->timer.async_wait([self = taken->shared_from_this(), home = home_.get_executor(),
                             thread = thread_](boost::system::error_code cancelled) {
        io::at_home(thread, home,
                    [self, outcome = cancelled ? -ECANCELED : 0] { end_sleep(*self, outcome); });
    });
}

void real_clock::end_sleep(sleep& ended, std::int64_t outcome) {
    if (ended.op == nullptr || ended.owner->is_abandoned_) {
        return;
    }
    io::operation& done = *std::exchange(ended.op, nullptr);
    ended.owner->free_.push_back(&ended);
    done.complete(outcome);
}

void real_clock::cancel_sleep(io::operation& op) {
    auto* const target = static_cast<sleep*>(op.slot.object);
    if (target != nullptr && target->op == &op) {
        target->timer.cancel();
    }
}

void real_random::fill(std::span<std::byte> into) noexcept {
    while (!into.empty()) {
        const ssize_t got = ::getrandom(into.data(), into.size(), 0);
        if (got < 0) {
            // Nothing else can go wrong with valid memory; without randomness log ids would not be
            // unique.
            CAISSON_ASSERT(errno == EINTR);
            continue;
        }
        into = into.subspan(static_cast<std::size_t>(got));
    }
}

}  // namespace caisson::uring
