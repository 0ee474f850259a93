// Little-endian access, rounding, and offsets as distinct integers.

#include "base/endian.hpp"
#include "base/units.hpp"

#include <caisson/types.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace caisson {
namespace {

TEST_CASE("integers are stored with the lowest byte first, at any alignment", "[base]") {
    std::array<std::byte, 16> bytes{};
    for (std::size_t at = 0; at < 8; ++at) {
        store_le<std::uint64_t>(bytes.data() + at, 0x0102030405060708);
        CHECK(bytes[at] == std::byte{8});
        CHECK(bytes[at + 7] == std::byte{1});
        CHECK(load_le<std::uint64_t>(bytes.data() + at) == 0x0102030405060708);
        CHECK(load_le<std::uint16_t>(bytes.data() + at) == 0x0708);
        CHECK(load_le<std::uint8_t>(bytes.data() + at) == 0x08);
    }
}

TEST_CASE("rounding goes to the next block and keeps multiples", "[base]") {
    STATIC_REQUIRE(4_KiB == 4096);
    STATIC_REQUIRE(round_down(0, 4096) == 0);
    STATIC_REQUIRE(round_down(4095, 4096) == 0);
    STATIC_REQUIRE(round_down(8191, 4096) == 4096);
    STATIC_REQUIRE(round_up(0, 4096) == 0);
    STATIC_REQUIRE(round_up(1, 4096) == 4096);
    STATIC_REQUIRE(round_up(4096, 4096) == 4096);
    STATIC_REQUIRE(round_up(~std::uint64_t{0} - 4096, 4096) == ~std::uint64_t{0} - 4095);
}

template <class T>
concept adds_to_itself = requires(T a, T b) { a + b; };

TEST_CASE("offsets add counts and subtract to counts, nothing else", "[base]") {
    STATIC_REQUIRE(log_offset(3) + 4 == log_offset(7));
    STATIC_REQUIRE(log_offset(7) - log_offset(3) == 4);
    STATIC_REQUIRE(log_offset(3) < log_offset(4));
    STATIC_REQUIRE_FALSE(adds_to_itself<log_offset>);
    STATIC_REQUIRE_FALSE(std::convertible_to<std::uint64_t, log_offset>);
    log_offset next;
    next += 5;
    CHECK(next.value() == 5);
}

}  // namespace
}  // namespace caisson
