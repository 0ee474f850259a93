// Reuse by size class. Registered memory must stay where it is as long as the disk lives, so the
// first buffers of a class are kept for good; what a burst needs beyond them goes back to the
// system.

#include "log/buffer_pool.hpp"

#include <algorithm>
#include <utility>

namespace caisson::log_detail {

namespace {
constexpr std::size_t page_bytes = 4096;

std::size_t alignment_of(std::uint64_t size_bytes) noexcept {
    return size_bytes % aligned_buffer::huge_page_bytes == 0 ? aligned_buffer::huge_page_bytes
                                                             : page_bytes;
}
}  // namespace

aligned_buffer buffer_pool::take(io::disk& disk, std::uint64_t size_bytes) {
    for (std::size_t k = 0; k < class_bytes.size(); ++k) {
        if (size_bytes > class_bytes[k]) {
            continue;
        }
        size_class& chosen = classes_[k];
        if (!chosen.idle.empty()) {
            aligned_buffer reused = std::move(chosen.idle.back());
            chosen.idle.pop_back();
            return reused;
        }
        if (chosen.kept.size() == kept_max[k]) {
            // Of a burst: about what it asks for, and room for the record that makes a group full.
            size_bytes = std::min(size_bytes + size_bytes / 8, class_bytes[k]);
            break;
        }
        aligned_buffer made =
            aligned_buffer::allocate(class_bytes[k], alignment_of(class_bytes[k]));
        if (made) {
            chosen.idle.reserve(kept_max[k]);  // giving back never allocates
            chosen.kept.push_back(made.data());
            disk.register_memory(made.bytes());
        }
        return made;
    }
    return aligned_buffer::allocate(round_up(size_bytes, page_bytes), page_bytes);
}

void buffer_pool::give_back(aligned_buffer buffer) noexcept {
    if (!buffer) {
        return;
    }
    const auto found = std::find(class_bytes.begin(), class_bytes.end(), buffer.size_bytes());
    if (found == class_bytes.end()) {
        return;
    }
    size_class& home = classes_[static_cast<std::size_t>(found - class_bytes.begin())];
    if (std::find(home.kept.begin(), home.kept.end(), buffer.data()) != home.kept.end()) {
        home.idle.push_back(std::move(buffer));
    }
}

}  // namespace caisson::log_detail
