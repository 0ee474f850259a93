// Aligned memory from the C allocator: it reports failure without an exception.

#include "base/aligned_buffer.hpp"

#include "base/assert.hpp"

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include <sys/mman.h>

namespace caisson {

namespace {

std::atomic<bool> keeps_all{false};

/// Reachable for ever, so that a leak checker sees that it is meant.
void keep_block(std::byte* block) {
    static std::mutex guard;
    static auto* const kept = new std::vector<std::byte*>;
    const std::lock_guard locked(guard);
    kept->push_back(block);
}

void free_block(std::byte* block) noexcept {
    if (block == nullptr) {
        return;
    }
    if (keeps_all.load(std::memory_order_relaxed)) {
        keep_block(block);
    } else {
        std::free(block);
    }
}

}  // namespace

void aligned_buffer::keep_all() noexcept { keeps_all.store(true, std::memory_order_relaxed); }

aligned_buffer aligned_buffer::allocate(std::size_t size_bytes, std::size_t alignment_bytes,
                                        fill contents) noexcept {
    CAISSON_ASSERT(size_bytes > 0);
    CAISSON_ASSERT(std::has_single_bit(alignment_bytes));

    aligned_buffer made;
    if (size_bytes > std::numeric_limits<std::size_t>::max() - alignment_bytes) {
        return made;  // rounding up below would wrap around
    }
    // aligned_alloc wants a multiple of the alignment; the bytes beyond `size_bytes` are nobody's.
    const std::size_t rounded_bytes = (size_bytes + alignment_bytes - 1) & ~(alignment_bytes - 1);
    made.data_ = static_cast<std::byte*>(std::aligned_alloc(alignment_bytes, rounded_bytes));
    if (made.data_ == nullptr) {
        return made;
    }
    made.size_bytes_ = size_bytes;
    if (alignment_bytes % huge_page_bytes == 0 && size_bytes % huge_page_bytes == 0) {
        // Before the first touch: what is touched has its pages. A refusal costs speed only.
        (void)::madvise(made.data_, size_bytes, MADV_HUGEPAGE);
    }
    if (contents == fill::zeroed) {
        std::memset(made.data_, 0, size_bytes);
    }
    return made;
}

aligned_buffer& aligned_buffer::operator=(aligned_buffer&& other) noexcept {
    if (this != &other) {
        free_block(data_);
        data_ = std::exchange(other.data_, nullptr);
        size_bytes_ = std::exchange(other.size_bytes_, 0);
    }
    return *this;
}

aligned_buffer::~aligned_buffer() { free_block(data_); }

}  // namespace caisson
