#pragma once
// Standard input for a coroutine, whatever it is: pipe, file, terminal. A thread reads, because
// epoll refuses regular files and a blocking read of one would stop the loop. Knows nothing about
// lines.

#include <caisson/config.hpp>
#include <caisson/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>

#include <memory>
#include <string>
#include <thread>

namespace caisson::tools {

/// Some bytes of the input; shared by the records that lie in it. Empty pointer: no more.
using input_chunk = std::shared_ptr<const std::string>;

/// Reads a descriptor on a thread of its own, at most a few chunks ahead of who takes them.
class input_reader {
public:
    input_reader(net::any_io_executor home, int descriptor);
    input_reader(const input_reader&) = delete;
    input_reader& operator=(const input_reader&) = delete;
    /// Stops and joins.
    ~input_reader();

    /// The next bytes, or a null pointer at the end of the input, after `stop` and after an error
    /// of read(2).
    net::awaitable<input_chunk> next();

    /// What was not yet taken is dropped; a waiting `next` ends. Home thread only.
    void stop() noexcept;
    [[nodiscard]] bool is_stopped() const noexcept { return stopped_; }

    /// The error of read(2) that ended the input, if one did. Meaningful after `next` gave null.
    [[nodiscard]] const error_code& error() const noexcept { return error_; }

private:
    using channel = net::experimental::concurrent_channel<void(error_code, input_chunk)>;

    void read_all();
    [[nodiscard]] bool wait_readable() const noexcept;

    channel chunks_;
    int descriptor_;
    int stop_event_;        ///< eventfd: wakes the thread's poll
    bool stopped_ = false;  ///< home thread only
    error_code error_;
    std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace caisson::tools
