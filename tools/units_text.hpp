#pragma once
// Sizes and durations as people type them. Pure; knows nothing about the command line.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace caisson::tools {

/// Bytes: digits and an optional unit K, M, G or T, also written KiB or KB and in lower case; all
/// are powers of 1024. "64M" is 67,108,864. Empty when the text is anything else or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size_bytes(std::string_view text) noexcept;

/// Digits only; unlike the standard parsers no sign, which would wrap, and no clamping. Empty when
/// the text is anything else or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

/// A time: digits, optionally with a fraction, and ns, us, ms, s, m or h; a bare number is seconds.
/// "1.5s", "5ms", "3".
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(
    std::string_view text) noexcept;

}  // namespace caisson::tools
