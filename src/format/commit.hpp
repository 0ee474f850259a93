#pragma once
// One commit: header, an opaque region of records, checksum. Knows nothing about what the region
// holds (native_codec), nor about what came before (scan). Read docs/format.md.

#include "format/layout.hpp"
#include "format/segment_header.hpp"

#include <caisson/errc.hpp>
#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::format {

struct commit_header {
    log_offset begin;
    std::uint64_t epoch = 0;  ///< always 0 in version 0
    std::uint16_t record_count = 0;
    std::uint32_t region_bytes = 0;  ///< bytes between header and checksum
};

/// A commit whose checksum was right. The region belongs to the buffer it was decoded from.
struct commit_view {
    log_offset begin;
    std::uint64_t epoch = 0;
    std::uint16_t record_count = 0;
    std::uint32_t crc = 0;
    std::span<const std::byte> region;  ///< the format's `records`
    std::uint64_t size_bytes = 0;       ///< of the whole commit

    [[nodiscard]] log_offset end() const noexcept { return begin + record_count; }
    [[nodiscard]] bool contains(log_offset offset) const noexcept {
        return begin <= offset && offset < end();
    }
};

/// What stands at a place where a commit is expected. The first that applies, in this order.
enum class commit_status : std::uint8_t {
    valid,
    short_header,     ///< fewer bytes than a header
    zero_header,      ///< a header of zeros only: the reference's end of data
    no_records,       ///< n = 0
    offset_overflow,  ///< begin + n is beyond 2^64
    too_large,        ///< longer than the given limit; its length was not used for anything
    short_body,       ///< the length says more bytes than there are
    checksum_mismatch,
};

/// The outcome of looking at one place.
struct commit_probe {
    commit_status status = commit_status::short_header;
    /// for the two `short_` ones: bytes from here on that would decide
    std::uint64_t size_bytes_needed = 0;
    commit_view commit;  ///< for `valid`
};

[[nodiscard]] constexpr std::size_t commit_header_bytes(segment_version version) noexcept {
    return version == segment_version::v0 ? layout::commit_v0::header_bytes
                                          : layout::commit_v1::header_bytes;
}
[[nodiscard]] constexpr std::size_t commit_overhead_bytes(segment_version version) noexcept {
    return commit_header_bytes(version) + layout::checksum_bytes;
}

/// Shape: `into` and `bytes` hold at least commit_header_bytes(version). Nothing is checked.
void encode_commit_header(std::span<std::byte> into, segment_version version,
                          const commit_header& header) noexcept;
[[nodiscard]] commit_header decode_commit_header(std::span<const std::byte> bytes,
                                                 segment_version version) noexcept;

/// Judges what stands at the start of `bytes`, which may go on beyond the commit. Never looks at a
/// byte beyond `bytes` and never believes a length above `size_bytes_max` (of the whole commit).
[[nodiscard]] commit_probe probe_commit(std::span<const std::byte> bytes, segment_version version,
                                        std::uint64_t size_bytes_max) noexcept;

/// The error that a status stands for: truncated, malformed or checksum_mismatch. Not for `valid`.
[[nodiscard]] errc to_errc(commit_status status) noexcept;

/// probe_commit() for callers that hold the whole commit anyway.
[[nodiscard]] result<commit_view> decode_commit(std::span<const std::byte> bytes,
                                                segment_version version,
                                                std::uint64_t size_bytes_max) noexcept;

}  // namespace caisson::format
