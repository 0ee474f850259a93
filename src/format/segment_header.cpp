// The segment header's codec.

#include "format/segment_header.hpp"

#include "format/layout.hpp"

#include <caisson/errc.hpp>

#include <cstring>

namespace caisson::format {

namespace at = layout::segment_header;

void encode_segment_header(std::span<std::byte> into) noexcept {
    std::memcpy(into.data() + at::magic_at, at::magic.data(), at::magic.size());
    into[at::version_at] = std::byte{at::version_written};
    into[at::algorithm_at] = std::byte{at::algorithm_crc32c};
    std::memset(into.data() + at::reserved_at, 0, at::reserved_bytes);
}

result<segment_header> decode_segment_header(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < at::magic.size()) {
        return errc::truncated;
    }
    if (std::memcmp(bytes.data() + at::magic_at, at::magic.data(), at::magic.size()) != 0) {
        return errc::not_a_segment;
    }
    if (bytes.size() < at::size_bytes) {
        return errc::truncated;
    }
    const auto version = std::to_integer<std::uint8_t>(bytes[at::version_at]);
    if (version > at::version_max) {
        return errc::unsupported_version;
    }
    if (std::to_integer<std::uint8_t>(bytes[at::algorithm_at]) != at::algorithm_crc32c) {
        return errc::unsupported_algorithm;
    }
    return segment_header{static_cast<segment_version>(version)};
}

bool is_seekable_zstd(std::span<const std::byte> bytes) noexcept {
    return bytes.size() >= layout::zstd_magic.size() &&
           std::memcmp(bytes.data(), layout::zstd_magic.data(), layout::zstd_magic.size()) == 0;
}

}  // namespace caisson::format
