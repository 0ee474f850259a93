#pragma once
// What we put into a commit's region: framed records, zero padding, and the trailer that makes a
// log's commits recognisable. Knows nothing about files, groups or recovery. Read docs/format.md.

#include "format/commit.hpp"

#include "base/endian.hpp"

#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

namespace caisson::format {

struct native_trailer {
    std::uint64_t log_id = 0;
    /// first offset not known durable when the commit was built; <= its begin
    log_offset durable_end;
    std::uint64_t timestamp_us = 0;  ///< wall clock since 1970
    /// checksum of the commit before it in the log, 0 for the log's first
    std::uint32_t previous_crc = 0;

    friend bool operator==(const native_trailer&, const native_trailer&) = default;
};

// ---- reading

/// The trailer of a commit, or why the region is none of ours.
///
/// Errors: errc::malformed (no room for a trailer and `n` records, durable_end beyond the commit's
///         own begin), errc::unsupported_version (a trailer version above ours).
[[nodiscard]] result<native_trailer> decode_trailer(const commit_view& commit) noexcept;

/// True if the bytes at the trailer's place carry this id, whatever version the trailer says:
/// version and id keep their places in every version, so that a newer trailer of ours is told from
/// a commit that never had one.
[[nodiscard]] bool carries_log_id(const commit_view& commit, std::uint64_t log_id) noexcept;

/// The records of one commit, in order. Made by decode_records(), which has checked every length;
/// iterating is then two loads a record. Belongs to the commit's buffer.
class record_range {
public:
    class iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = std::span<const std::byte>;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = value_type;

        iterator() = default;
        iterator(const std::byte* at, std::uint32_t remaining) noexcept
            : at_(at), remaining_(remaining) {}

        value_type operator*() const noexcept {
            return {at_ + layout::native::record_prefix_bytes, load_le<std::uint32_t>(at_)};
        }
        iterator& operator++() noexcept {
            at_ += layout::native::record_prefix_bytes + load_le<std::uint32_t>(at_);
            --remaining_;
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++*this;
            return before;
        }
        /// Only iterators of one range are comparable, and records left identify the place.
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.remaining_ == b.remaining_;
        }

    private:
        const std::byte* at_ = nullptr;
        std::uint32_t remaining_ = 0;
    };

    record_range() = default;
    [[nodiscard]] iterator begin() const noexcept { return {from_, record_count_}; }
    [[nodiscard]] iterator end() const noexcept { return {nullptr, 0}; }
    [[nodiscard]] std::uint32_t record_count() const noexcept { return record_count_; }

private:
    friend result<record_range> decode_records(const commit_view& commit) noexcept;
    record_range(const std::byte* from, std::uint32_t record_count) noexcept
        : from_(from), record_count_(record_count) {}

    const std::byte* from_ = nullptr;
    std::uint32_t record_count_ = 0;
};

/// Checks that exactly `n` records and zero padding fill the region up to the trailer.
///
/// Errors: errc::malformed. Does not look into the trailer.
[[nodiscard]] result<record_range> decode_records(const commit_view& commit) noexcept;

// ---- writing

/// Bytes of a whole native commit: `payload_bytes` is the sum of the records' own lengths.
[[nodiscard]] constexpr std::uint64_t native_commit_bytes(
    std::uint64_t payload_bytes, std::uint64_t record_count,
    std::uint64_t padding_bytes = 0) noexcept {
    return layout::commit_v1::overhead_bytes + payload_bytes +
           record_count * layout::native::record_prefix_bytes + padding_bytes +
           layout::native::trailer_bytes;
}

/// Padding that lets a commit of `unpadded_bytes` at `position_bytes` of its file end on a multiple
/// of `block_bytes` (a power of two).
///
/// Example: a commit of 5,000 bytes at byte 10 would end at 5,010; in blocks of 4,096 it is padded
///          by 3,182 to 8,192.
[[nodiscard]] constexpr std::uint64_t padding_to_block(std::uint64_t position_bytes,
                                                       std::uint64_t unpadded_bytes,
                                                       std::uint64_t block_bytes) noexcept {
    return (0 - (position_bytes + unpadded_bytes)) & (block_bytes - 1);
}
static_assert(padding_to_block(10, 5'000, 4'096) == 3'182 &&
              padding_to_block(96, 4'000, 4'096) == 0);

/// Where the first framed record of a commit that is being built lies.
inline constexpr std::size_t native_records_at = layout::commit_v1::header_bytes;

/// What finish_commit() writes around records that already lie in place.
struct native_commit {
    log_offset begin;
    std::uint64_t epoch = 0;
    std::uint16_t record_count = 0;
    std::uint64_t framed_bytes = 0;  ///< length prefixes and payloads, from native_records_at on
    native_trailer trailer;
};

/// Writes the length prefix of a record that follows it in place.
inline void encode_record_prefix(std::byte* to, std::uint32_t payload_bytes) noexcept {
    store_le<std::uint32_t>(to, payload_bytes);
}

/// Completes the commit in `whole` around its framed records: header before them, zero padding,
/// trailer and checksum behind. Returns the checksum, which is the next commit's `previous_crc`.
///
/// Shape: `whole` is exactly native_commit_bytes(payload, n, padding) long; what exceeds the
///        unpadded size is padding.
std::uint32_t finish_commit(std::span<std::byte> whole, const native_commit& commit) noexcept;

}  // namespace caisson::format
