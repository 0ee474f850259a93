// The thread sleeps in poll(2), on the input and on an eventfd, or waits for room in the queue; a
// stop wakes it from both. It never waits for the loop, so the loop may wait for it.

#include "tools/input_reader.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

namespace caisson::tools {
namespace {

// A pipe holds 64 KiB by default: one read empties it.
constexpr std::size_t chunk_bytes_max = std::size_t{64} << 10;
// Read ahead: enough that the thread's wake-ups do not stall the loop.
constexpr std::size_t chunks_ahead = 16;

}  // namespace

struct input_reader::shared_queue : std::enable_shared_from_this<shared_queue> {
    shared_queue(const net::any_io_executor& home, int input)
        : descriptor(input), stop_event(::eventfd(0, EFD_CLOEXEC)), arrived(home) {
        if (stop_event < 0) {
            throw std::system_error(errno, std::generic_category(), "eventfd");
        }
        arrived.expires_at(net::steady_timer::time_point::max());
    }
    ~shared_queue() { ::close(stop_event); }
    shared_queue(const shared_queue&) = delete;
    shared_queue& operator=(const shared_queue&) = delete;

    void read_all() {
        error_code problem;
        while (!problem && wait_readable()) {
            std::string bytes(chunk_bytes_max, '\0');
            const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
            if (count == 0) {
                break;
            }
            if (count > 0) {
                bytes.resize(static_cast<std::size_t>(count));
                push(std::make_shared<const std::string>(std::move(bytes)));
            } else if (errno != EINTR && errno != EAGAIN) {
                problem.assign(errno, boost::system::system_category());
            }
        }
        const std::lock_guard lock(mutex);
        error = problem;
        has_ended = true;
        wake_loop();
    }

    bool wait_readable() const noexcept {
        std::array<pollfd, 2> events = {{{descriptor, POLLIN, 0}, {stop_event, POLLIN, 0}}};
        while (::poll(events.data(), events.size(), -1) < 0 && errno == EINTR) {
        }
        return (events[1].revents & POLLIN) == 0;
    }

    void push(input_chunk chunk) {
        std::unique_lock lock(mutex);
        room.wait(lock, [this] { return chunks.size() < chunks_ahead || is_stopped; });
        if (is_stopped) {
            return;
        }
        chunks.push_back(std::move(chunk));
        if (chunks.size() == 1) {
            wake_loop();
        }
    }

    void wake_loop() {
        net::post(arrived.get_executor(), [self = shared_from_this()] { self->arrived.cancel(); });
    }

    int descriptor;
    int stop_event;             ///< wakes the thread's poll
    net::steady_timer arrived;  ///< home thread only; never expires, cancelled when there is news
    std::mutex mutex;           ///< guards what follows
    std::condition_variable room;
    std::deque<input_chunk> chunks;
    bool has_ended = false;
    bool is_stopped = false;
    error_code error;
};

input_reader::input_reader(const net::any_io_executor& home, int descriptor)
    : queue_(std::make_shared<shared_queue>(home, descriptor)),
      thread_([queue = queue_] { queue->read_all(); }) {}

input_reader::~input_reader() {
    stop();
    thread_.join();
}

net::awaitable<input_chunk> input_reader::next() {
    for (;;) {
        {
            const std::lock_guard lock(queue_->mutex);
            if (queue_->is_stopped) {
                co_return nullptr;
            }
            if (!queue_->chunks.empty()) {
                input_chunk chunk = std::move(queue_->chunks.front());
                queue_->chunks.pop_front();
                queue_->room.notify_one();
                co_return chunk;
            }
            if (queue_->has_ended) {
                co_return nullptr;
            }
        }
        // News that came after the lock was given up are a handler behind this coroutine in the
        // loop's queue: the wait has begun when it runs.
        error_code woken;
        co_await queue_->arrived.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
}

void input_reader::stop() noexcept {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->is_stopped = true;
        queue_->chunks.clear();
    }
    queue_->room.notify_one();
    queue_->arrived.cancel();
    const std::uint64_t one = 1;
    // Cannot fail: the counter would have to be at its maximum.
    [[maybe_unused]] const ssize_t written = ::write(queue_->stop_event, &one, sizeof one);
}

bool input_reader::is_stopped() const noexcept {
    const std::lock_guard lock(queue_->mutex);
    return queue_->is_stopped;
}

error_code input_reader::error() const {
    const std::lock_guard lock(queue_->mutex);
    return queue_->error;
}

}  // namespace caisson::tools
