#pragma once
// The reference's offset index: which byte of a segment a commit begins at. Derived and never
// trusted: whoever follows an entry decodes the commit there and compares its offset. Knows nothing
// about files. Read docs/format.md.

#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace caisson::format {

struct index_entry {
    log_offset key;                    ///< offset a commit begins with; never 0
    std::uint64_t position_bytes = 0;  ///< of its first byte in the plain segment

    friend bool operator==(const index_entry&, const index_entry&) = default;
};

/// Entries an index file has room for; its length is this times 16. The reference divides the same
/// way.
[[nodiscard]] constexpr std::uint64_t index_capacity(std::uint64_t segment_size_bytes_max,
                                                     std::uint64_t interval_bytes) noexcept {
    return segment_size_bytes_max / interval_bytes;
}

class offset_index_view;

/// Chooses which commits get an entry, by the reference's rule: the first commit after the previous
/// entry's, once `interval_bytes` of commits have gathered since. The commit at offset 0 never gets
/// one: key 0 ends an index.
class offset_index_builder {
public:
    /// Memory grows with the entries made, never beyond `capacity` (an option's value, not a
    /// file's).
    offset_index_builder(std::uint64_t interval_bytes, std::uint64_t capacity) noexcept
        : interval_bytes_(interval_bytes), capacity_(capacity) {}

    /// Notes the next commit of the segment. True if an entry was added, which is then
    /// entries().back().
    bool add_commit(log_offset begin, std::uint64_t position_bytes, std::uint64_t size_bytes);

    /// For a segment that was added to after `older` was written (null: there is none to be had):
    /// puts its entries before those made since, if they all lie before them. Once, after the last
    /// commit. An entry that was due before it could be known where the older ones end is made too.
    void put_before(const offset_index_view* older);

    /// No commit was noted.
    [[nodiscard]] bool is_empty() const noexcept {
        return gathered_bytes_ == 0 && entries_.empty();
    }
    [[nodiscard]] std::span<const index_entry> entries() const noexcept { return entries_; }
    /// The file's bytes: entries, then zeros up to the capacity.
    [[nodiscard]] std::vector<std::byte> encode() const;

private:
    std::uint64_t interval_bytes_;
    std::uint64_t capacity_;
    std::uint64_t gathered_bytes_ = 0;
    std::optional<index_entry> pending_;
    std::vector<index_entry> entries_;
};

/// Writes one entry. Shape: `into` is at least 16 bytes.
void encode_index_entry(std::span<std::byte> into, const index_entry& entry) noexcept;

/// An index file's bytes, found plausible: whole entries, keys and positions strictly increasing,
/// no position inside the segment header. Belongs to the bytes.
class offset_index_view {
public:
    /// Nothing if the bytes are no index; the caller then scans the segment.
    [[nodiscard]] static std::optional<offset_index_view> parse(
        std::span<const std::byte> bytes) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return entry_count_; }
    /// Shape: `i` < size().
    [[nodiscard]] index_entry at(std::size_t i) const noexcept;
    /// The entry with the greatest key <= `wanted`; nothing if all are greater: scan from the
    /// segment's begin.
    [[nodiscard]] std::optional<index_entry> find(log_offset wanted) const noexcept;

private:
    offset_index_view(const std::byte* from, std::size_t entry_count) noexcept
        : from_(from), entry_count_(entry_count) {}

    const std::byte* from_;
    std::size_t entry_count_;
};

}  // namespace caisson::format
