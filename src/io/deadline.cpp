#include "io/deadline.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace caisson::io {

void deadline::start(std::chrono::nanoseconds duration) {
    CAISSON_ASSERT(!is_running_);
    const auto whole_ns = std::max<std::int64_t>(duration.count(), 0);
    slice_ns_ = (static_cast<std::uint64_t>(whole_ns) + slices - 1) / slices;
    slices_left_ = slices;
    is_stopped_ = has_passed_ = false;
    is_running_ = true;
    start_slice();
}

void deadline::start_slice() { clock_.start_sleep(*this, slice_ns_); }

void deadline::stop() {
    if (is_running_ && !is_stopped_) {
        is_stopped_ = true;
        clock_.cancel_sleep(*this);
    }
}

void deadline::slice_ended(operation& self, std::int64_t outcome) noexcept {
    auto& mine = static_cast<deadline&>(self);
    if (outcome == abandoned) {
        mine.is_running_ = false;
        return;
    }
    if (!mine.is_stopped_ && --mine.slices_left_ > 0) {
        mine.start_slice();
        return;
    }
    mine.is_running_ = false;
    mine.has_passed_ = !mine.is_stopped_;
    mine.ended_(mine.listener_);
}

}  // namespace caisson::io
