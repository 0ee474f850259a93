// Commit framing, versions 0 and 1.

#include "format/commit.hpp"

#include "base/crc32c.hpp"
#include "base/endian.hpp"

#include <algorithm>
#include <limits>

namespace caisson::format {
namespace {

namespace v0 = layout::commit_v0;
namespace v1 = layout::commit_v1;

bool is_all_zero(std::span<const std::byte> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

void encode_commit_header(std::span<std::byte> into, segment_version version,
                          const commit_header& header) noexcept {
    std::byte* const to = into.data();
    if (version == segment_version::v0) {
        store_le<std::uint64_t>(to + v0::begin_at, header.begin.value());
        store_le<std::uint16_t>(to + v0::count_at, header.record_count);
        store_le<std::uint32_t>(to + v0::region_bytes_at, header.region_bytes);
        return;
    }
    store_le<std::uint64_t>(to + v1::begin_at, header.begin.value());
    store_le<std::uint64_t>(to + v1::epoch_at, header.epoch);
    store_le<std::uint16_t>(to + v1::count_at, header.record_count);
    store_le<std::uint32_t>(to + v1::region_bytes_at, header.region_bytes);
}

commit_header decode_commit_header(std::span<const std::byte> bytes,
                                   segment_version version) noexcept {
    const std::byte* const from = bytes.data();
    if (version == segment_version::v0) {
        return {log_offset{load_le<std::uint64_t>(from + v0::begin_at)}, 0,
                load_le<std::uint16_t>(from + v0::count_at),
                load_le<std::uint32_t>(from + v0::region_bytes_at)};
    }
    return {log_offset{load_le<std::uint64_t>(from + v1::begin_at)},
            load_le<std::uint64_t>(from + v1::epoch_at),
            load_le<std::uint16_t>(from + v1::count_at),
            load_le<std::uint32_t>(from + v1::region_bytes_at)};
}

commit_probe probe_commit(std::span<const std::byte> bytes, segment_version version,
                          std::uint64_t size_bytes_max) noexcept {
    const std::size_t header_bytes = commit_header_bytes(version);
    if (bytes.size() < header_bytes) {
        return {commit_status::short_header, header_bytes, {}};
    }
    const commit_header header = decode_commit_header(bytes, version);
    if (header.record_count == 0) {
        const bool zeros = is_all_zero(bytes.first(header_bytes));
        return {zeros ? commit_status::zero_header : commit_status::no_records, 0, {}};
    }
    if (header.begin.value() > std::numeric_limits<std::uint64_t>::max() - header.record_count) {
        return {commit_status::offset_overflow, 0, {}};
    }
    const std::uint64_t size_bytes =
        header_bytes + std::uint64_t{header.region_bytes} + layout::checksum_bytes;
    if (size_bytes > size_bytes_max) {
        return {commit_status::too_large, 0, {}};
    }
    if (size_bytes > bytes.size()) {
        return {commit_status::short_body, size_bytes, {}};
    }
    const std::size_t checked_bytes = header_bytes + header.region_bytes;
    const auto stored = load_le<std::uint32_t>(bytes.data() + checked_bytes);
    if (crc32c(bytes.first(checked_bytes)) != stored) {
        return {commit_status::checksum_mismatch, 0, {}};
    }
    return {commit_status::valid,
            0,
            {header.begin, header.epoch, header.record_count, stored,
             bytes.subspan(header_bytes, header.region_bytes), size_bytes}};
}

errc to_errc(commit_status status) noexcept {
    switch (status) {
    case commit_status::checksum_mismatch: return errc::checksum_mismatch;
    case commit_status::short_header:
    case commit_status::short_body: return errc::truncated;
    case commit_status::valid:
    case commit_status::zero_header:
    case commit_status::no_records:
    case commit_status::offset_overflow:
    case commit_status::too_large: break;
    }
    return errc::malformed;
}

result<commit_view> decode_commit(std::span<const std::byte> bytes, segment_version version,
                                  std::uint64_t size_bytes_max) noexcept {
    const commit_probe probe = probe_commit(bytes, version, size_bytes_max);
    if (probe.status != commit_status::valid) {
        return to_errc(probe.status);
    }
    return probe.commit;
}

}  // namespace caisson::format
