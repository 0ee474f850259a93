#pragma once
// file: an open file of the real disk. Data goes through the ring, everything else through the
// blocking pool.

#include "io/disk.hpp"
#include "uring/backend.hpp"
#include "uring/system_calls.hpp"

namespace caisson::uring {

class file final : public io::file {
public:
    file(backend& on, descriptor opened, std::uint32_t block_size_bytes)
        : backend_(on),
          descriptor_(on.ring, std::move(opened), ring::file_use::data),
          block_size_bytes_(block_size_bytes),
          is_direct_(is_past_page_cache(descriptor_.number())) {}

    std::uint32_t block_size_bytes() const noexcept override { return block_size_bytes_; }
    bool is_direct() const noexcept override { return is_direct_; }
    void start_read(io::operation& op, std::span<std::byte> into,
                    std::uint64_t position_bytes) override;
    void start_write(io::operation& op, std::span<const std::byte> from,
                     std::uint64_t position_bytes, io::write_mode mode) override;
    void start_sync(io::operation& op) override;
    void start_truncate(io::operation& op, std::uint64_t length_bytes) override;
    void start_allocate(io::operation& op, std::uint64_t begin_bytes,
                        std::uint64_t end_bytes) override;
    void start_status(io::operation& op, io::file_status& status) override;

private:
    struct allocate_task;

    void start_transfer(io::operation& op, submission what, std::span<const std::byte> memory,
                        std::uint64_t position_bytes, opcode registered);

    backend& backend_;
    registered_descriptor descriptor_;
    std::uint32_t block_size_bytes_;
    bool is_direct_;
    /// Highest end of a write ever started on this handle. A failed allocation must not cut below
    /// it.
    std::uint64_t written_end_bytes_ = 0;
};

}  // namespace caisson::uring
