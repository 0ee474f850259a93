#pragma once
// Little-endian integers in byte buffers, at any alignment. The only place that reinterprets bytes
// as integers.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace caisson {

static_assert(std::endian::native == std::endian::little,
              "the codecs copy integers as they lie in memory");

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::byte* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <std::unsigned_integral T>
inline void store_le(std::byte* to, T value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

}  // namespace caisson
