// Reads, writes and syncs as submissions; the rest as jobs of the pool.

#include "uring/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>

namespace caisson::uring {

namespace {
/// The kernel cuts a transfer to 2 GiB less one page anyway; the cut here keeps direct I/O aligned
/// for every block size. No group is that long.
constexpr std::size_t transfer_bytes_max = (std::size_t{1} << 31) - (std::size_t{1} << 20);
}  // namespace

void file::start_transfer(io::operation& op, submission what, std::span<const std::byte> memory,
                          std::uint64_t position_bytes, opcode registered) {
    descriptor_.address(what);
    memory = memory.first(std::min(memory.size(), transfer_bytes_max));
    if (const auto slot = backend_.ring.registered_buffer(memory)) {
        what.code = registered;
        what.buffer_slot = *slot;
    }
    what.address = reinterpret_cast<std::uintptr_t>(memory.data());
    what.length_bytes = static_cast<std::uint32_t>(memory.size());
    what.position_bytes = position_bytes;
    backend_.ring.start(op, what);
}

void file::start_read(io::operation& op, std::span<std::byte> into, std::uint64_t position_bytes) {
    submission what;
    what.code = opcode::read;
    start_transfer(op, what, into, position_bytes, opcode::read_registered);
}

void file::start_write(io::operation& op, std::span<const std::byte> from,
                       std::uint64_t position_bytes, io::write_mode mode) {
    written_end_bytes_ = std::max(written_end_bytes_, position_bytes + from.size());
    submission what;
    what.code = opcode::write;
    what.dsync = mode == io::write_mode::dsync;
    start_transfer(op, what, from, position_bytes, opcode::write_registered);
}

void file::start_sync(io::operation& op) {
    submission what;
    what.code = opcode::sync_data;
    descriptor_.address(what);
    backend_.ring.start(op, what);
}

void file::start_truncate(io::operation& op, std::uint64_t length_bytes) {
    backend_.start_blocking(op, [number = descriptor_.number(), length_bytes]() noexcept {
        return truncate_file(number, length_bytes);
    });
}

/// The length is restored at home, where no write can begin meanwhile: a write that outran the
/// allocation may have made the file longer, and what it acknowledged must not be cut. This blocks
/// home for one ftruncate, after a failure.
struct file::allocate_task {
    const file& owner;
    std::uint64_t begin_bytes;
    std::uint64_t end_bytes;
    std::uint64_t length_before_bytes = std::numeric_limits<std::uint64_t>::max();

    std::int64_t work() noexcept {
        return allocate_range(owner.descriptor_.number(), begin_bytes, end_bytes,
                              length_before_bytes);
    }
    std::int64_t finish(std::int64_t outcome) const noexcept {
        // Cancelled before it began, or the length is unknown: nothing was allocated.
        if (outcome >= 0 || length_before_bytes == std::numeric_limits<std::uint64_t>::max()) {
            return outcome;
        }
        const std::int64_t restored = restore_length(
            owner.descriptor_.number(), std::max(length_before_bytes, owner.written_end_bytes_));
        return restored < 0 ? restored : outcome;
    }
};

void file::start_allocate(io::operation& op, std::uint64_t begin_bytes, std::uint64_t end_bytes) {
    if (begin_bytes >= end_bytes ||
        end_bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        backend_.ring.fail(op, -EINVAL);
        return;
    }
    backend_.start_blocking(op, allocate_task{*this, begin_bytes, end_bytes});
}

void file::start_status(io::operation& op, io::file_status& status) {
    backend_.start_blocking(op, [number = descriptor_.number(), &status]() noexcept {
        return read_status(number, status);
    });
}

}  // namespace caisson::uring
