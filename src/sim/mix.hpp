#pragma once
// The hash of traces and contents: fast, the same on every machine, and no protection against anybody.

#include "base/endian.hpp"

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

inline std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept {
    std::uint64_t hash = bytes.size();
    while (bytes.size() >= sizeof(std::uint64_t)) {
        hash = mix(hash, load_le<std::uint64_t>(bytes.data()));
        bytes = bytes.subspan(sizeof(std::uint64_t));
    }
    for (const std::byte each : bytes) {
        hash = mix(hash, static_cast<std::uint64_t>(each));
    }
    return hash;
}

}  // namespace caisson::sim
