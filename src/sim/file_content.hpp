#pragma once
// file_content: the bytes of one simulated file: what is durable, what running programs see, and
// the unsynced changes in between, sector by sector. A value; knows nothing about names, time or
// requests. Read docs/simulation.md.

#include "sim/byte_range.hpp"
#include "sim/crash_choice.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace caisson::sim {

/// Where a change stands in the history of the whole disk.
struct change_origin {
    /// Order in which changes became visible.
    std::uint64_t sequence = 0;
    /// A sync that begins at this sequence number or later covers the change.
    std::uint64_t covered_from = 0;
    /// The request still in flight that made the change, 0 when it has completed.
    std::uint64_t writer = 0;

    /// `covered_from` of a change whose write has not completed: no sync need cover it.
    static constexpr std::uint64_t never = UINT64_MAX;
};

class file_content {
public:
    explicit file_content(std::uint32_t sector_size_bytes, std::uint32_t block_size_bytes) noexcept
        : sector_bytes_(sector_size_bytes), block_bytes_(block_size_bytes) {}

    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    [[nodiscard]] std::uint64_t durable_length() const noexcept { return durable_length_; }
    [[nodiscard]] const std::vector<std::byte>& durable_bytes() const noexcept { return durable_; }

    /// Bytes from `position`; zeros past the end. `cached`: through the page cache, which after a
    /// failed sync still shows what the disk no longer has.
    void read(std::uint64_t position, std::span<std::byte> into, bool cached) const;
    [[nodiscard]] bool is_unreadable(byte_range bytes) const noexcept;

    void write(const change_origin& origin, std::uint64_t position,
               std::span<const std::byte> bytes);
    /// What is now visible in `bytes` becomes durable, with the length needed to read it, and
    /// nothing else.
    void make_durable(byte_range bytes);
    void truncate(const change_origin& origin, std::uint64_t length_bytes);
    /// Grows the length to at least `length_bytes`.
    void extend(const change_origin& origin, std::uint64_t length_bytes);
    /// The request has completed: from now on a sync covers what it did.
    void complete_writer(std::uint64_t writer, std::uint64_t covered_from);

    /// Makes durable what a sync begun at `sequence` covers.
    void sync(std::uint64_t sequence);
    /// The same sync failed: its data is gone, except from the page cache.
    void drop(std::uint64_t sequence);
    void settle();
    void crash(crash_choice& choice);

    /// Space: bytes of blocks that are allocated, and those that [begin, end) would add.
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept;
    [[nodiscard]] std::uint64_t allocation_needed(byte_range bytes) const noexcept;
    void allocate(byte_range bytes);

    void corrupt(std::uint64_t position, std::byte mask);
    void zero(byte_range bytes);
    void make_unreadable(byte_range bytes);

    [[nodiscard]] std::size_t changes_pending() const noexcept { return changes_.size(); }
    /// Lowest sequence number among the pending changes, or `otherwise`.
    [[nodiscard]] std::uint64_t first_pending(std::uint64_t otherwise) const noexcept {
        return changes_.empty() ? otherwise : changes_.front().origin.sequence;
    }

private:
    struct change {
        enum class kind : std::uint8_t { data, growth, cut };
        kind what = kind::data;
        change_origin origin;
        // data: whole sectors, a window of `bytes` that begins at `bytes_begin`
        byte_range sectors;
        std::shared_ptr<const std::vector<std::byte>> bytes;
        std::uint64_t bytes_begin = 0;
        /// growth, cut: the new length; data: the end of what was written
        std::uint64_t length = 0;
        /// cut: bytes that read as zeros once it counts; less than [length, end) where later data
        /// became durable first
        std::vector<byte_range> zeroed;
    };

    [[nodiscard]] byte_range sectors_of(byte_range bytes) const noexcept;
    [[nodiscard]] std::span<const std::byte> bytes_of(const change& data,
                                                      std::uint64_t sector) const noexcept;
    void put(std::vector<std::byte>& where, std::uint64_t position,
             std::span<const std::byte> bytes) const;
    void apply(const change& what, std::vector<std::byte>& bytes, std::uint64_t& length) const;
    void subtract_from_data(std::vector<change>& from, byte_range sectors) const;
    void rebuild_visible();
    void keep_sectors(const change& data, crash_choice& choice, std::vector<bool>& written);

    std::uint32_t sector_bytes_;
    std::uint32_t block_bytes_;
    // Both may be shorter than the length: what is missing reads as zeros. Bytes past the length
    // are zero in visible_.
    std::vector<std::byte> durable_;
    std::vector<std::byte> visible_;
    std::uint64_t durable_length_ = 0;
    std::uint64_t length_ = 0;
    std::vector<change> changes_;  // by sequence; durable_ with all of them applied is visible_
    // data that a failed sync dropped and that the page cache still shows
    std::vector<change> ghosts_;
    std::vector<byte_range> unreadable_sectors_;
    std::vector<bool> blocks_;  // allocated
};

}  // namespace caisson::sim
