#pragma once
// CRC-32C (Castagnoli), the checksum of everything on disk. Knows nothing about what it protects.

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson {

/// Checksum of `bytes`, continuing from `seed`: `crc32c(b, crc32c(a)) == crc32c(a followed by b)`.
///
/// Shape:  any length and alignment; no bytes give `seed`. The nine bytes "123456789" give
///         0xe3069283.
/// Source: RFC 3720 section B.4 (vectors).
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes,
                                   std::uint32_t seed = 0) noexcept;

/// Checksum of `a` followed by `b` from the two checksums and the length of `b`, without the bytes.
[[nodiscard]] std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b,
                                           std::uint64_t size_bytes_b) noexcept;

/// The ways to compute it, for tests; `crc32c` chooses by length and machine.
namespace crc32c_variants {
[[nodiscard]] std::uint32_t portable(std::span<const std::byte> bytes, std::uint32_t seed) noexcept;
[[nodiscard]] std::uint32_t isal(std::span<const std::byte> bytes, std::uint32_t seed) noexcept;
/// Whether `short_loop` may be called on this machine.
[[nodiscard]] bool has_short_loop() noexcept;
[[nodiscard]] std::uint32_t short_loop(std::span<const std::byte> bytes,
                                       std::uint32_t seed) noexcept;
}  // namespace crc32c_variants

}  // namespace caisson
