#pragma once
// real_clock and real_random: the machine's time and randomness behind the seams.

#include "async/home_thread.hpp"
#include "io/clock.hpp"

#include <caisson/config.hpp>

#include <boost/asio/io_context.hpp>

#include <memory>
#include <vector>

namespace caisson::uring {

/// Executor: home. Sleeps that are pending when the clock goes never complete.
class real_clock final : public io::clock {
public:
    real_clock(net::io_context& home, std::shared_ptr<async::home_thread> thread);
    real_clock(const real_clock&) = delete;
    real_clock& operator=(const real_clock&) = delete;
    ~real_clock() override;

    std::uint64_t monotonic_ns() const noexcept override;
    std::uint64_t wall_us() const noexcept override;
    void start_sleep(io::operation& op, std::uint64_t duration_ns) override;
    void cancel_sleep(io::operation& op) override;

    /// No sleep ends any more, and none keeps the home context running.
    void abandon();

private:
    struct sleep;
    static void end_sleep(sleep& ended, std::int64_t outcome);

    net::io_context& home_;
    std::shared_ptr<async::home_thread> thread_;
    std::vector<std::shared_ptr<sleep>> all_;
    std::vector<sleep*> free_;
    bool is_abandoned_ = false;
};

class real_random final : public io::random {
public:
    void fill(std::span<std::byte> into) noexcept override;
};

}  // namespace caisson::uring
