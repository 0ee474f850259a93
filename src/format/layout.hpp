#pragma once
// Every size, position and limit of the bytes on disk, one namespace per structure. Nothing else
// may write such a number down: the codecs, describe.cpp and the tests take them from here. Read
// docs/format.md.

#include <array>
#include <cstddef>
#include <cstdint>

namespace caisson::format::layout {

/// First bytes of every segment: the SpacetimeDB commitlog format, version 1.
namespace segment_header {
// "(ds)^2"
inline constexpr std::array<std::uint8_t, 6> magic = {0x28, 0x64, 0x73, 0x29, 0x5e, 0x32};
inline constexpr std::size_t magic_at = 0;
inline constexpr std::size_t version_at = 6;
inline constexpr std::size_t algorithm_at = 7;
inline constexpr std::size_t reserved_at = 8;
inline constexpr std::size_t reserved_bytes = 2;
inline constexpr std::size_t size_bytes = 10;

inline constexpr std::uint8_t version_written = 1;
inline constexpr std::uint8_t version_max = 1;
inline constexpr std::uint8_t algorithm_crc32c = 0;

static_assert(magic_at + magic.size() == version_at && version_at + 1 == algorithm_at);
static_assert(algorithm_at + 1 == reserved_at && reserved_at + reserved_bytes == size_bytes);
}  // namespace segment_header

/// A seekable-zstd file begins with an ordinary zstd frame; nothing in a plain segment can look
/// like this.
inline constexpr std::array<std::uint8_t, 4> zstd_magic = {0x28, 0xb5, 0x2f, 0xfd};
static_assert(zstd_magic[1] != segment_header::magic[1]);

/// Bytes of the checksum that ends a commit (CRC-32C).
inline constexpr std::size_t checksum_bytes = 4;
/// `n` is a u16.
inline constexpr std::uint32_t commit_records_max = 65'535;
/// `records_bytes` is a u32.
inline constexpr std::uint64_t commit_region_bytes_max = 0xffff'ffff;

namespace commit_v1 {
inline constexpr std::size_t begin_at = 0;
inline constexpr std::size_t epoch_at = 8;
inline constexpr std::size_t count_at = 16;
inline constexpr std::size_t region_bytes_at = 18;
inline constexpr std::size_t header_bytes = 22;
inline constexpr std::size_t overhead_bytes = header_bytes + checksum_bytes;
static_assert(epoch_at == begin_at + 8 && count_at == epoch_at + 8);
static_assert(region_bytes_at == count_at + 2 && header_bytes == region_bytes_at + 4 &&
              overhead_bytes == 26);
}  // namespace commit_v1

namespace commit_v0 {
inline constexpr std::size_t begin_at = 0;
inline constexpr std::size_t count_at = 8;
inline constexpr std::size_t region_bytes_at = 10;
inline constexpr std::size_t header_bytes = 14;
inline constexpr std::size_t overhead_bytes = header_bytes + checksum_bytes;
static_assert(count_at == begin_at + 8 && region_bytes_at == count_at + 2);
static_assert(header_bytes == region_bytes_at + 4 && overhead_bytes == 18);
}  // namespace commit_v0

/// The native codec: what we put into `records`.
namespace native {
inline constexpr std::size_t record_prefix_bytes = 4;

inline constexpr std::size_t trailer_version_at = 0;
inline constexpr std::size_t trailer_log_id_at = 1;
inline constexpr std::size_t trailer_durable_end_at = 9;
inline constexpr std::size_t trailer_timestamp_at = 17;
inline constexpr std::size_t trailer_previous_crc_at = 25;
inline constexpr std::size_t trailer_bytes = 29;
inline constexpr std::uint8_t trailer_version = 1;
static_assert(trailer_log_id_at == trailer_version_at + 1 &&
              trailer_durable_end_at == trailer_log_id_at + 8);
static_assert(trailer_timestamp_at == trailer_durable_end_at + 8);
static_assert(trailer_previous_crc_at == trailer_timestamp_at + 8);
static_assert(trailer_bytes == trailer_previous_crc_at + 4);

/// The smallest native commit: one empty record.
inline constexpr std::size_t commit_bytes_min =
    commit_v1::overhead_bytes + record_prefix_bytes + trailer_bytes;
static_assert(commit_bytes_min == 59);
}  // namespace native

/// One slot of the file STATE.
namespace state {
inline constexpr std::array<std::uint8_t, 8> magic = {'C', 'A', 'I', 'S', 'S', 'O', 'N', 0};
inline constexpr std::uint32_t version = 1;

inline constexpr std::uint64_t slot_0_position_bytes = 0;
inline constexpr std::uint64_t slot_1_position_bytes = 65'536;
inline constexpr std::size_t slot_bytes = 4096;

inline constexpr std::size_t magic_at = 0;
inline constexpr std::size_t version_at = 8;
inline constexpr std::size_t features_at = 12;
inline constexpr std::size_t generation_at = 16;
inline constexpr std::size_t log_id_at = 24;
inline constexpr std::size_t native_from_at = 32;
inline constexpr std::size_t purged_before_at = 40;
inline constexpr std::size_t epoch_at = 48;
inline constexpr std::size_t remote_end_at = 56;
inline constexpr std::size_t block_bytes_at = 64;
inline constexpr std::size_t role_at = 68;
inline constexpr std::size_t intention_at = 69;
inline constexpr std::size_t has_segment_at = 70;
inline constexpr std::size_t has_mark_at = 71;
inline constexpr std::size_t segment_begin_at = 72;
inline constexpr std::size_t predecessor_timestamp_at = 80;
inline constexpr std::size_t predecessor_crc_at = 88;
inline constexpr std::size_t predecessor_known_at = 92;
inline constexpr std::size_t reserved_1_at = 93;
inline constexpr std::size_t sink_synced_end_at = 96;
inline constexpr std::size_t reset_target_at = 104;
inline constexpr std::size_t mark_segment_at = 112;
inline constexpr std::size_t mark_length_at = 120;
inline constexpr std::size_t mark_last_commit_at = 128;
inline constexpr std::size_t mark_crc_at = 136;
inline constexpr std::size_t reserved_2_at = 140;
inline constexpr std::size_t checksum_at = slot_bytes - checksum_bytes;
static_assert(slot_1_position_bytes >= slot_bytes && slot_1_position_bytes % 65'536 == 0,
              "the slots never share a block, whatever the device's block size up to 64 KiB");
static_assert(reserved_2_at == mark_crc_at + 4 && reserved_2_at < checksum_at);
}  // namespace state

/// One entry of an offset index file.
namespace index_entry {
inline constexpr std::size_t key_at = 0;
inline constexpr std::size_t position_at = 8;
inline constexpr std::size_t size_bytes = 16;
static_assert(position_at == key_at + 8 && size_bytes == position_at + 8);
}  // namespace index_entry

/// Names of segments and indexes begin with this many decimal digits: enough for every u64.
inline constexpr std::size_t name_digits = 20;

}  // namespace caisson::format::layout
