#pragma once
// The ten bytes a segment begins with. Knows nothing about commits or files. Read docs/format.md.

#include <caisson/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::format {

/// How a segment's commits are laid out; the header's version byte.
enum class segment_version : std::uint8_t {
    v0 = 0,  ///< read only: commits without an epoch
    v1 = 1,
};

struct segment_header {
    segment_version version = segment_version::v1;
};

/// Writes the header we write: version 1, CRC-32C, reserved bytes zero.
///
/// Shape: `into` is at least layout::segment_header::size_bytes long.
void encode_segment_header(std::span<std::byte> into) noexcept;

/// Reads the header at the start of `bytes`. Reserved bytes are ignored, as the reference does.
///
/// Errors: errc::{truncated, not_a_segment, unsupported_version, unsupported_algorithm}. A
///         compressed segment is `not_a_segment`; ask is_seekable_zstd() first where those may
///         appear.
[[nodiscard]] result<segment_header> decode_segment_header(
    std::span<const std::byte> bytes) noexcept;

/// True if the file is a segment that the reference compressed (seekable zstd): the plain segment
/// in frames of 4 KiB.
[[nodiscard]] bool is_seekable_zstd(std::span<const std::byte> bytes) noexcept;

}  // namespace caisson::format
