// The reading thread sleeps in poll(2), on the input and on an eventfd, never in read(2) alone: so
// it can be stopped.

#include "tools/input_reader.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

namespace caisson::tools {
namespace {

// A pipe holds 64 KiB by default: one read empties it.
constexpr std::size_t chunk_bytes_max = std::size_t{64} << 10;
// Read ahead: enough that the thread's wake-ups do not stall the loop.
constexpr std::size_t chunks_ahead = 16;

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

int make_event() {
    const int event = ::eventfd(0, EFD_CLOEXEC);
    if (event < 0) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    return event;
}

}  // namespace

input_reader::input_reader(net::any_io_executor home, int descriptor)
    : chunks_(std::move(home), chunks_ahead),
      descriptor_(descriptor),
      stop_event_(make_event()),
      thread_([this] { read_all(); }) {}

input_reader::~input_reader() {
    stop();
    thread_.join();
    ::close(stop_event_);
}

net::awaitable<input_chunk> input_reader::next() {
    if (stopped_) {
        co_return nullptr;
    }
    // Moved out of a named tuple: no structured binding of a co_await (docs/STYLE.md).
    std::tuple<error_code, input_chunk> got =
        co_await chunks_.async_receive(net::as_tuple(net::use_awaitable));
    const error_code& ended = std::get<0>(got);
    input_chunk chunk = std::move(std::get<1>(got));
    if (ended && !stopped_) {
        error_ = ended;
    }
    co_return ended || stopped_ ? nullptr : chunk;
}

void input_reader::stop() noexcept {
    stopped_ = true;
    const std::uint64_t one = 1;
    // Cannot fail: the counter would have to be at its maximum.
    [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
    chunks_.close();
}

bool input_reader::wait_readable() const noexcept {
    std::array<pollfd, 2> events = {{{descriptor_, POLLIN, 0}, {stop_event_, POLLIN, 0}}};
    while (::poll(events.data(), events.size(), -1) < 0 && errno == EINTR) {
    }
    return (events[1].revents & POLLIN) == 0;
}

void input_reader::read_all() {
    error_code ended;
    try {
        while (!ended && wait_readable()) {
            std::string bytes(chunk_bytes_max, '\0');
            const ssize_t count = ::read(descriptor_, bytes.data(), bytes.size());
            if (count < 0 && errno != EINTR && errno != EAGAIN) {
                ended = last_error();
            }
            if (count < 0) {
                continue;
            }
            bytes.resize(static_cast<std::size_t>(count));
            const bool is_end = bytes.empty();
            input_chunk chunk =
                is_end ? nullptr : std::make_shared<const std::string>(std::move(bytes));
            chunks_.async_send(error_code(), std::move(chunk), net::use_future)
                .get();  // waits while the loop is behind
            if (is_end) {
                return;
            }
        }
        if (ended) {
            chunks_.async_send(ended, input_chunk(), net::use_future).get();
        }
    } catch (const boost::system::system_error&) {
        // The channel was closed: stop() was called.
    }
}

}  // namespace caisson::tools
