#pragma once
// read_ahead: a file's bytes in order, in windows that are read while earlier ones are consumed,
// contiguous where a commit spans two of them, in bounded memory. Knows nothing about commits. Read
// docs/architecture.md, "Reading".
//
// Three windows, each with room for as much in front: what is left of one window is copied before
// the next one, so that the caller sees one span. The first window is small (point reads, tails),
// the next ones grow to full size, and only then two are in flight. A need that exceeds a window is
// read by itself.

#include <caisson/result.hpp>

#include "base/aligned_buffer.hpp"
#include "format/window.hpp"
#include "io/await.hpp"
#include "io/environment.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace caisson::log_detail {

class read_ahead {
public:
    static constexpr std::uint64_t first_read_bytes = 64 * 1024;
    static constexpr std::size_t windows_max = 3;
    /// A reader that has asked for so many windows in a row will ask for more.
    static constexpr std::uint64_t windows_before_read_ahead = 2;

    /// Shape: `window_size_bytes` is a multiple of first_read_bytes.
    read_ahead(io::environment& world, std::uint64_t window_size_bytes) noexcept;
    read_ahead(const read_ahead&) = delete;
    read_ahead& operator=(const read_ahead&) = delete;
    /// Reads still in flight keep their memory and the file until they end.
    ~read_ahead();

    /// Goes on at `position_bytes` of `file` with nothing read. Reads in flight are given up as the
    /// destructor does; await settle() first to stay within the memory bound.
    void start(std::shared_ptr<io::file> file, std::uint64_t position_bytes);

    /// What is at hand. Changed by `start` and `bring` only.
    [[nodiscard]] const format::byte_window& window() const noexcept { return window_; }

    /// Makes `window()` meet `need`; drops what lies before `need.position_bytes`, which lies in or
    /// right behind the window, or anywhere behind it.
    ///
    /// Errors: operation_aborted after stop(); of the system, with the place in unreadable():
    ///         repeating the call tries again. Memory that cannot be had is not_enough_memory.
    io::task<void> bring(format::byte_need need);

    /// The block whose read failed last.
    [[nodiscard]] format::byte_need unreadable() const noexcept { return unreadable_; }

    /// Ends `bring`, also later ones, with operation_aborted; asks the device to end what is in
    /// flight.
    void stop() noexcept;
    /// Completes when nothing is in flight. What was read ahead is dropped.
    net::awaitable<void> settle();
    [[nodiscard]] bool is_in_flight() const noexcept;

    [[nodiscard]] std::uint64_t memory_bytes() const noexcept;

private:
    class read_window;
    struct window_release {
        void operator()(read_window* window) const noexcept;
    };
    using window_pointer = std::unique_ptr<read_window, window_release>;
    using waiter = typename net::async_result<net::use_awaitable_t<>, void()>::handler_type;
    struct initiate_wait;

    void reset(std::uint64_t position_bytes) noexcept;
    bool submit_reads();
    io::task<void> next_window(format::byte_need need);
    io::task<void> bring_large(format::byte_need need);
    io::task<std::uint64_t> read_carefully(std::span<std::byte> into, std::uint64_t position_bytes);
    void on_window_done() noexcept;
    net::awaitable<void> wait();
    [[nodiscard]] read_window& queued(std::size_t index) noexcept;
    void drop_front() noexcept;
    [[nodiscard]] bool is_sequential() const noexcept;

    io::environment& world_;
    std::uint64_t window_size_bytes_;
    std::shared_ptr<io::file> file_;
    std::array<window_pointer, windows_max> windows_;
    std::size_t front_ = 0;  // index of the oldest queued window
    // windows that are in flight, ready, or being looked at; in order of position
    std::size_t queued_ = 0;
    bool is_front_in_view_ = false;
    aligned_buffer large_;  // the need that exceeded a window
    format::byte_window window_;
    // where the next window begins; a multiple of the block
    std::uint64_t next_read_bytes_ = 0;
    std::uint64_t next_size_bytes_ = 0;
    // below it reads are one block each: a larger one failed
    std::uint64_t careful_until_bytes_ = 0;
    std::uint64_t windows_taken_ = 0;  // since the position was set
    bool is_end_known_ = false;        // a queued window met the end of the file
    bool is_stopped_ = false;
    format::byte_need unreadable_;
    std::optional<waiter> waiter_;
};

}  // namespace caisson::log_detail
