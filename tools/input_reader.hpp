#pragma once
// Standard input for a coroutine, whatever it is: pipe, file, terminal. A thread reads, because
// epoll refuses regular files and a blocking read of one would stop the loop. Knows nothing about
// lines.

#include <caisson/config.hpp>
#include <caisson/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <thread>

namespace caisson::tools {

/// Some bytes of the input; shared by the records that lie in it. Empty pointer: no more.
using input_chunk = std::shared_ptr<const std::string>;

/// Reads a descriptor on a thread of its own, at most a few chunks ahead of who takes them. Home
/// thread only.
class input_reader {
public:
    input_reader(const net::any_io_executor& home, int descriptor);
    input_reader(const input_reader&) = delete;
    input_reader& operator=(const input_reader&) = delete;
    /// Stops and joins; never waits for input nor for the loop.
    ~input_reader();

    /// The next bytes, or a null pointer at the end of the input, after `stop` and after an error
    /// of read(2). One call at a time.
    net::awaitable<input_chunk> next();

    /// What was not yet taken is dropped; a waiting `next` ends.
    void stop() noexcept;
    [[nodiscard]] bool is_stopped() const noexcept;

    /// The error of read(2) that ended the input, if one did. Meaningful after `next` gave null.
    [[nodiscard]] error_code error() const;

private:
    struct shared_queue;

    /// Shared with the thread and with what it posts to the loop, which may run after this object
    /// ended.
    std::shared_ptr<shared_queue> queue_;
    std::thread thread_;
};

}  // namespace caisson::tools
