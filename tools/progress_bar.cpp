// One line, drawn over itself.

#include "tools/progress_bar.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

namespace caisson::tools {
namespace {

constexpr std::size_t width_columns = 40;
constexpr std::chrono::milliseconds redraw_interval{100};

}  // namespace

void progress_bar::show(std::uint64_t bytes_done, std::uint64_t bytes_total) {
    const auto now = std::chrono::steady_clock::now();
    if (!is_visible_ || now < next_) {
        return;
    }
    next_ = now + redraw_interval;
    // Beside a live writer more is read than was there at the start.
    const double share =
        bytes_total == 0
            ? 1.0
            : std::min(1.0, static_cast<double>(bytes_done) / static_cast<double>(bytes_total));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(width_columns));
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    const double mebibytes = static_cast<double>(bytes_done) / (1 << 20);
    const std::string bar = std::string(filled, '#') + std::string(width_columns - filled, '.');
    std::fprintf(stderr, "\r[%s] %3.0f%%  %.0f MiB, %.0f MiB/s ", bar.c_str(), share * 100,
                 mebibytes, seconds > 0 ? mebibytes / seconds : 0.0);
    std::fflush(stderr);
    is_drawn_ = true;
}

void progress_bar::clear() {
    if (is_drawn_) {
        std::fputs("\r\x1b[K", stderr);
        std::fflush(stderr);
        is_drawn_ = false;
    }
}

}  // namespace caisson::tools
