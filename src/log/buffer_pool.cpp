// Reuse by size class; what is larger than the largest class comes from and goes back to the
// system.

#include "log/buffer_pool.hpp"

#include <algorithm>
#include <utility>

namespace caisson::log_detail {

namespace {
constexpr std::size_t page_bytes = 4096;
}

aligned_buffer buffer_pool::take(std::uint64_t size_bytes) {
    for (std::size_t k = 0; k < class_bytes.size(); ++k) {
        if (size_bytes > class_bytes[k]) {
            continue;
        }
        if (!cached_[k].empty()) {
            aligned_buffer reused = std::move(cached_[k].back());
            cached_[k].pop_back();
            return reused;
        }
        return aligned_buffer::allocate(class_bytes[k], page_bytes);
    }
    return aligned_buffer::allocate(round_up(size_bytes, page_bytes), page_bytes);
}

void buffer_pool::give_back(aligned_buffer buffer) noexcept {
    const auto found = std::find(class_bytes.begin(), class_bytes.end(), buffer.size_bytes());
    if (!buffer || found == class_bytes.end()) {
        return;
    }
    auto& cache = cached_[static_cast<std::size_t>(found - class_bytes.begin())];
    if (cache.capacity() == 0) {
        cache.reserve(cached_per_class_max);  // once: giving back never allocates afterwards
    }
    if (cache.size() < cached_per_class_max) {
        cache.push_back(std::move(buffer));
    }
}

}  // namespace caisson::log_detail
