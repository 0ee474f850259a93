// The native codec. finish_commit and the record walk are on the hot path: no allocation, one pass
// each.

#include "format/native_codec.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"

#include <algorithm>
#include <cstring>

namespace caisson::format {
namespace {

namespace at = layout::native;

bool is_all_zero(const std::byte* from, const std::byte* to) noexcept {
    // Padding is 0 to 4 KiB or more; words at a time, so that replay of small padded commits stays
    // cheap.
    for (; to - from >= 8; from += 8) {
        if (load_le<std::uint64_t>(from) != 0) {
            return false;
        }
    }
    return std::all_of(from, to, [](std::byte b) { return b == std::byte{0}; });
}

bool has_room(const commit_view& commit) noexcept {
    return commit.region.size() >=
           at::trailer_bytes + std::size_t{commit.record_count} * at::record_prefix_bytes;
}

}  // namespace

result<native_trailer> decode_trailer(const commit_view& commit) noexcept {
    if (!has_room(commit)) {
        return errc::malformed;
    }
    const std::byte* const from = commit.region.data() + commit.region.size() - at::trailer_bytes;
    const auto version = std::to_integer<std::uint8_t>(from[at::trailer_version_at]);
    if (version != at::trailer_version) {
        return version > at::trailer_version ? errc::unsupported_version : errc::malformed;
    }
    const native_trailer trailer{
        load_le<std::uint64_t>(from + at::trailer_log_id_at),
        log_offset{load_le<std::uint64_t>(from + at::trailer_durable_end_at)},
        load_le<std::uint64_t>(from + at::trailer_timestamp_at),
        load_le<std::uint32_t>(from + at::trailer_previous_crc_at)};
    if (trailer.durable_end > commit.begin) {
        return errc::malformed;  // nothing is durable before it is written
    }
    return trailer;
}

bool carries_log_id(const commit_view& commit, std::uint64_t log_id) noexcept {
    if (!has_room(commit)) {
        return false;
    }
    const std::byte* const trailer =
        commit.region.data() + commit.region.size() - at::trailer_bytes;
    return load_le<std::uint64_t>(trailer + at::trailer_log_id_at) == log_id;
}

result<record_range> decode_records(const commit_view& commit) noexcept {
    if (!has_room(commit)) {
        return errc::malformed;
    }
    const std::byte* const first = commit.region.data();
    const std::byte* const trailer = first + commit.region.size() - at::trailer_bytes;
    const std::byte* from = first;
    for (std::uint32_t left = commit.record_count; left > 0; --left) {
        const auto available = static_cast<std::size_t>(trailer - from);
        if (available < at::record_prefix_bytes) {
            return errc::malformed;
        }
        const std::size_t payload_bytes = load_le<std::uint32_t>(from);
        if (payload_bytes > available - at::record_prefix_bytes) {
            return errc::malformed;
        }
        from += at::record_prefix_bytes + payload_bytes;
    }
    if (!is_all_zero(from, trailer)) {
        return errc::malformed;
    }
    return record_range{first, commit.record_count};
}

std::uint32_t finish_commit(std::span<std::byte> whole, const native_commit& commit) noexcept {
    CAISSON_ASSERT(commit.record_count > 0);
    CAISSON_ASSERT(whole.size() >= layout::commit_v1::overhead_bytes + at::trailer_bytes);
    const std::size_t region_bytes = whole.size() - layout::commit_v1::overhead_bytes;
    CAISSON_ASSERT(region_bytes <= layout::commit_region_bytes_max);
    CAISSON_ASSERT(commit.framed_bytes <= region_bytes - at::trailer_bytes);
    CAISSON_ASSERT(commit.framed_bytes >= commit.record_count * at::record_prefix_bytes);
    CAISSON_ASSERT(commit.trailer.durable_end <= commit.begin);

    encode_commit_header(whole, segment_version::v1,
                         {commit.begin, commit.epoch, commit.record_count,
                          static_cast<std::uint32_t>(region_bytes)});

    std::byte* const trailer = whole.data() + native_records_at + region_bytes - at::trailer_bytes;
    std::byte* const framed_end = whole.data() + native_records_at + commit.framed_bytes;
    std::fill(framed_end, trailer, std::byte{0});
    trailer[at::trailer_version_at] = std::byte{at::trailer_version};
    store_le<std::uint64_t>(trailer + at::trailer_log_id_at, commit.trailer.log_id);
    store_le<std::uint64_t>(trailer + at::trailer_durable_end_at,
                            commit.trailer.durable_end.value());
    store_le<std::uint64_t>(trailer + at::trailer_timestamp_at, commit.trailer.timestamp_us);
    store_le<std::uint32_t>(trailer + at::trailer_previous_crc_at, commit.trailer.previous_crc);

    const std::size_t checked_bytes = native_records_at + region_bytes;
    const std::uint32_t crc = crc32c(whole.first(checked_bytes));
    store_le<std::uint32_t>(whole.data() + checked_bytes, crc);
    return crc;
}

}  // namespace caisson::format
