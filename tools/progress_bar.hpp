#pragma once
// A progress bar on standard error, redrawn at most ten times a second. Knows nothing about what
// progresses.

#include <chrono>
#include <cstdint>

namespace caisson::tools {

class progress_bar {
public:
    /// Draws nothing unless `is_visible`.
    explicit progress_bar(bool is_visible) noexcept : is_visible_(is_visible) {}

    void show(std::uint64_t bytes_done, std::uint64_t bytes_total);
    /// Removes the bar, so that what is printed next stands alone.
    void clear();

private:
    bool is_visible_;
    bool is_drawn_ = false;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point next_ = begun_;
};

}  // namespace caisson::tools
