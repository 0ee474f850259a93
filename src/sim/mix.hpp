#pragma once
// The hash of traces and contents: fast, the same on every machine, and no protection against
// anybody.

#include "base/crc32c.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::sim {

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
    // Odd multipliers of SplitMix64's finalizer.
    hash = (hash ^ value) * 0xbf58'476d'1ce4'e5b9;
    return std::rotl(hash, 29) * 0x94d0'49bb'1331'11eb;
}

/// By CRC-32C: nothing else is as fast, and every byte written is hashed twice.
inline std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept {
    return mix(bytes.size(), crc32c(bytes));
}

}  // namespace caisson::sim
