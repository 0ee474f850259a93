// write(2) with everything it may do: short counts, EINTR, a reader that is gone.

#include "tools/output.hpp"

#include <poll.h>
#include <unistd.h>

#include <boost/system/error_code.hpp>

#include <cerrno>
#include <charconv>

namespace caisson::tools {
namespace {

// Large enough that a terminal or a pipe is fed in few calls, small enough to stay in the cache.
constexpr std::size_t flush_threshold_bytes = std::size_t{256} << 10;

}  // namespace

void output::put(std::string_view text) {
    if (is_failed()) {
        return;
    }
    if (text.size() >= flush_threshold_bytes) {
        flush();
        write_all(text);
        return;
    }
    pending_.append(text);
    if (pending_.size() >= flush_threshold_bytes) {
        flush();
    }
}

void output::put(std::span<const std::byte> bytes) {
    put(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void output::put_number(std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    put(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

error_code output::flush() {
    write_all(pending_);
    pending_.clear();
    return error_;
}

void output::write_all(std::string_view text) {
    while (!text.empty() && !is_failed()) {
        const ssize_t written = ::write(descriptor_, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        if (errno == EAGAIN) {
            // Somebody made the terminal or pipe non-blocking; it is not ours to change back.
            pollfd ready{descriptor_, POLLOUT, 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            error_.assign(errno, boost::system::system_category());
        }
    }
}

}  // namespace caisson::tools
