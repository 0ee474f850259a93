#pragma once
// Binary sizes as literals, and rounding to blocks.

#include <cstdint>

namespace caisson {

inline namespace literals {
constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

/// Largest multiple of `block` (a power of two) that is <= `bytes`.
constexpr std::uint64_t round_down(std::uint64_t bytes, std::uint64_t block) {
    return bytes & ~(block - 1);
}
/// Smallest multiple of `block` (a power of two) that is >= `bytes`; `bytes` must lie a block below
/// 2^64.
constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t block) {
    return round_down(bytes + block - 1, block);
}

}  // namespace caisson
