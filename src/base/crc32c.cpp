// CRC-32C by ISA-L for long input and by the processor's instruction for short input, where ISA-L's
// set-up costs more than the work. ISA-L keeps the register un-inverted; the complements at every
// entrance translate.

#include "base/crc32c.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace caisson {
namespace {

// Below this length the plain loop wins over ISA-L's call and three-way split (measured on x86-64).
constexpr std::size_t short_input_bytes = 256;

// ISA-L takes the length as an int.
constexpr std::size_t isal_piece_bytes = 1_GiB;

template <class Crc>
std::uint32_t in_pieces(Crc crc_of, std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
    std::uint32_t crc = seed;
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min(bytes.size(), isal_piece_bytes));
        // ISA-L declares its input as `unsigned char*` but only reads it.
        auto* data =
            const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
        crc = ~crc_of(data, static_cast<int>(piece.size()), ~crc);
        bytes = bytes.subspan(piece.size());
    }
    return crc;
}

// Polynomials over GF(2) modulo Castagnoli's, bit-reflected: bit 31 is the coefficient of x^0.
constexpr std::uint32_t polynomial = 0x82f63b78;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
    std::uint32_t product = 0;
    for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
        if ((a & bit) != 0) {
            product ^= b;
        }
        b = (b & 1) != 0 ? (b >> 1) ^ polynomial : b >> 1;  // b *= x
    }
    return product;
}

// x^(8 * 2^n): what 2^n zero bytes do to the register.
constexpr auto zero_bytes_power = [] {
    std::array<std::uint32_t, 64> powers{};
    std::uint32_t power = 1U << (31 - 8);  // x^8
    for (auto& entry : powers) {
        entry = power;
        power = multiply(power, power);
    }
    return powers;
}();

}  // namespace

namespace crc32c_variants {

std::uint32_t portable(std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
    return in_pieces(crc32_iscsi_base, bytes, seed);
}

std::uint32_t isal(std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
    return in_pieces(crc32_iscsi, bytes, seed);
}

#if defined(__x86_64__)

bool has_short_loop() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) std::uint32_t short_loop(std::span<const std::byte> bytes,
                                                           std::uint32_t seed) noexcept {
    std::uint64_t crc = ~seed;
    const std::byte* at = bytes.data();
    std::size_t left_bytes = bytes.size();
    for (; left_bytes >= sizeof(std::uint64_t);
         left_bytes -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    auto narrow = static_cast<std::uint32_t>(crc);
    for (; left_bytes > 0; --left_bytes, ++at) {
        narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
    }
    return ~narrow;
}

#else

bool has_short_loop() noexcept { return false; }

std::uint32_t short_loop(std::span<const std::byte>, std::uint32_t) noexcept {
    CAISSON_UNREACHABLE("the short loop exists on x86-64 only; ask has_short_loop()");
}

#endif

}  // namespace crc32c_variants

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
    if (bytes.size() < short_input_bytes) {
        return crc32c_variants::has_short_loop() ? crc32c_variants::short_loop(bytes, seed)
                                                 : crc32c_variants::portable(bytes, seed);
    }
    return crc32c_variants::isal(bytes, seed);
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b,
                             std::uint64_t size_bytes_b) noexcept {
    // The register is linear: a's checksum moved over as many zero bytes as b has, plus b's own.
    // The inversions at both ends cancel out because they appear in a's and in b's checksum alike.
    for (std::size_t n = 0; size_bytes_b != 0; ++n, size_bytes_b >>= 1) {
        if ((size_bytes_b & 1) != 0) {
            crc_a = multiply(zero_bytes_power[n], crc_a);
        }
    }
    return crc_a ^ crc_b;
}

}  // namespace caisson
