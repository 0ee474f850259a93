// CRC-32C against published values and against a bit-by-bit computation that shares nothing with
// the library's.

#include "base/crc32c.hpp"

#include "base/prng.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace caisson {
namespace {

std::uint32_t bit_by_bit(std::span<const std::byte> bytes, std::uint32_t seed = 0) {
    std::uint32_t crc = ~seed;
    for (const std::byte byte : bytes) {
        crc ^= static_cast<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
        }
    }
    return ~crc;
}

std::vector<std::byte> random_bytes(std::size_t size_bytes, std::uint64_t seed) {
    prng random(seed);
    std::vector<std::byte> bytes(size_bytes);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.next()); });
    return bytes;
}

TEST_CASE("crc32c gives the published check values", "[base][crc]") {
    CHECK(crc32c({}) == 0);
    CHECK(crc32c(std::as_bytes(std::span(std::string_view("123456789")))) == 0xe3069283);

    const std::array<std::byte, 22> zeros{};
    CHECK(crc32c(zeros) == 0x32707625);

    // RFC 3720 B.4: 32 bytes of zeros, of ones, ascending, descending.
    std::array<std::byte, 32> bytes{};
    CHECK(crc32c(bytes) == 0x8a9136aa);
    bytes.fill(std::byte{0xff});
    CHECK(crc32c(bytes) == 0x62a8ab43);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        bytes[n] = static_cast<std::byte>(n);
    }
    CHECK(crc32c(bytes) == 0x46dd794e);
    std::ranges::reverse(bytes);
    CHECK(crc32c(bytes) == 0x113fdb5c);
}

TEST_CASE("all ways to compute crc32c agree at every length and alignment", "[base][crc]") {
    constexpr std::size_t longest_bytes = 3000;
    const auto bytes = random_bytes(longest_bytes + 16, 1);
    for (std::size_t length = 0; length <= longest_bytes; ++length) {
        const auto input = std::span(bytes).subspan(length % 16, length);
        const auto seed = static_cast<std::uint32_t>(length * 0x9e3779b9U);
        const std::uint32_t expected = bit_by_bit(input, seed);
        REQUIRE(crc32c(input, seed) == expected);
        REQUIRE(crc32c_variants::portable(input, seed) == expected);
        REQUIRE(crc32c_variants::isal(input, seed) == expected);
        if (crc32c_variants::has_short_loop()) {
            REQUIRE(crc32c_variants::short_loop(input, seed) == expected);
        }
    }
}

TEST_CASE("a checksum continues over a split at any place", "[base][crc]") {
    const auto bytes = random_bytes(1000, 2);
    const std::uint32_t whole = crc32c(bytes);
    for (std::size_t split = 0; split <= bytes.size(); ++split) {
        const auto head = std::span(bytes).first(split);
        const auto tail = std::span(bytes).subspan(split);
        REQUIRE(crc32c(tail, crc32c(head)) == whole);
        REQUIRE(crc32c_combine(crc32c(head), crc32c(tail), tail.size()) == whole);
    }
}

TEST_CASE("combining works for lengths that no memory holds", "[base][crc]") {
    // Zeros of length 2^40 + 5, built once by doubling and once at a stroke.
    const std::array<std::byte, 1> zero{};
    std::uint32_t doubled = crc32c(zero);
    for (int n = 0; n < 40; ++n) {
        doubled = crc32c_combine(doubled, doubled, std::uint64_t{1} << n);
    }
    const std::array<std::byte, 5> five{};
    const std::uint32_t stepwise = crc32c_combine(doubled, crc32c(five), five.size());
    const std::uint32_t other_way = crc32c_combine(crc32c(five), doubled, std::uint64_t{1} << 40);
    CHECK(stepwise == other_way);
    CHECK(crc32c_combine(0x12345678, 0, 0) == 0x12345678);
}

TEST_CASE("any flipped bit changes the checksum", "[base][crc]") {
    auto bytes = random_bytes(400, 3);
    const std::uint32_t before = crc32c(bytes);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        const auto mask = static_cast<std::byte>(1U << (bit % 8));
        bytes[bit / 8] ^= mask;
        REQUIRE(crc32c(bytes) != before);
        bytes[bit / 8] ^= mask;
    }
}

}  // namespace
}  // namespace caisson
