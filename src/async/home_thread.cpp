#include "async/home_thread.hpp"

namespace caisson::async {

namespace {

/// Identity of a thread that no later thread inherits, as std::thread::id may be.
std::uint64_t this_thread() noexcept {
    static std::atomic<std::uint64_t> last{0};
    static constinit thread_local std::uint64_t mine = 0;
    if (mine == 0) {
        mine = last.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    return mine;
}

}  // namespace

bool home_thread::is_this() const noexcept {
    return owner_.load(std::memory_order_relaxed) == this_thread();
}

bool home_thread::claim() noexcept {
    std::uint64_t owner = owner_.load(std::memory_order_relaxed);
    if (owner == this_thread() ||
        (owner == 0 &&
         owner_.compare_exchange_strong(owner, this_thread(), std::memory_order_relaxed))) {
        return true;
    }
    report_violation();
    return false;
}

void home_thread::report_violation() noexcept {
    if (!is_violated_.exchange(true, std::memory_order_relaxed) && report_) {
        report_();
    }
}

}  // namespace caisson::async
