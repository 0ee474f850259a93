#pragma once
// Bytes at an address that direct I/O accepts. Move-only; allocation failure is a value.

#include <cstddef>
#include <span>
#include <utility>

namespace caisson {

/// Owns one aligned block of memory, or nothing.
class aligned_buffer {
public:
    enum class fill : bool { uninitialised, zeroed };

    /// A block that is a multiple of this long, aligned to it, is asked to be backed by huge pages
    /// (MADV_HUGEPAGE, madvise(2)): one piece of a device's scatter list in place of 512. What the
    /// kernel refuses is ordinary memory.
    static constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

    constexpr aligned_buffer() noexcept = default;

    /// A block of `size_bytes` (> 0) at a multiple of `alignment_bytes` (a power of two); empty if
    /// there is no memory.
    [[nodiscard]] static aligned_buffer allocate(std::size_t size_bytes,
                                                 std::size_t alignment_bytes,
                                                 fill contents = fill::uninitialised) noexcept;

    /// From now on no block of this process is freed. For an I/O layer that has lost track of what
    /// the kernel does: a transfer from memory that is somebody else's by then would destroy what
    /// is stored. Callable from any thread.
    static void keep_all() noexcept;

    aligned_buffer(aligned_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_bytes_(std::exchange(other.size_bytes_, 0)) {}
    aligned_buffer& operator=(aligned_buffer&& other) noexcept;
    aligned_buffer(const aligned_buffer&) = delete;
    aligned_buffer& operator=(const aligned_buffer&) = delete;
    ~aligned_buffer();

    /// Whether there is a block: false after a failed allocation and after a move.
    [[nodiscard]] explicit operator bool() const noexcept { return data_ != nullptr; }

    [[nodiscard]] std::byte* data() noexcept { return data_; }
    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_bytes_}; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_bytes_}; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_bytes_ = 0;
};

}  // namespace caisson
