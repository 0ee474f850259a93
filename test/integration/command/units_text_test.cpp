// Sizes and durations as people type them, and what is none. Pure.

#include "tools/units_text.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <string>

using namespace std::chrono_literals;
using caisson::tools::parse_duration;
using caisson::tools::parse_number;
using caisson::tools::parse_size_bytes;

TEST_CASE("a size is a number of bytes with an optional binary unit", "[tools]") {
    CHECK(parse_size_bytes("0") == 0);
    CHECK(parse_size_bytes("128") == 128);
    CHECK(parse_size_bytes("128B") == 128);
    for (const char* text : {"64K", "64k", "64KiB", "64KB", "64kb", "64Ki"}) {
        INFO(text);
        CHECK(parse_size_bytes(text) == 64u << 10);
    }
    CHECK(parse_size_bytes("64M") == 64u << 20);
    CHECK(parse_size_bytes("1GiB") == 1u << 30);
    CHECK(parse_size_bytes("2T") == std::uint64_t{2} << 40);
    CHECK(parse_size_bytes("18446744073709551615") == ~std::uint64_t{0});
    CHECK(parse_size_bytes("16777215T") == std::uint64_t{16'777'215} << 40);
}

TEST_CASE("what is no size, or does not fit, is refused", "[tools]") {
    for (const char* text :
         {"", "M", "-1", "+1", " 1", "1 ", "1.5M", "64Q", "64MM", "64MiBs", "64iB", "0x10",
          "18446744073709551616", "16777216T", "18014398509481984K"}) {
        INFO('"' << text << '"');
        CHECK_FALSE(parse_size_bytes(text).has_value());
    }
}

TEST_CASE("a number is digits that fit, without a sign", "[tools]") {
    CHECK(parse_number("0") == 0);
    CHECK(parse_number("007") == 7);
    CHECK(parse_number("18446744073709551615") == ~std::uint64_t{0});
    for (const char* text :
         {"", "-1", "+1", " 1", "1 ", "1K", "1.0", "1e3", "0x10", "18446744073709551616"}) {
        INFO('"' << text << '"');
        CHECK_FALSE(parse_number(text).has_value());
    }
}

TEST_CASE("a duration is a number with a unit, a bare one is seconds", "[tools]") {
    CHECK(parse_duration("3") == 3s);
    CHECK(parse_duration("30s") == 30s);
    CHECK(parse_duration("5ms") == 5ms);
    CHECK(parse_duration("500us") == 500us);
    CHECK(parse_duration("7ns") == 7ns);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("1h") == 1h);
    CHECK(parse_duration("0.5") == 500ms);
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("0.000000001s") == 1ns);
    CHECK(parse_duration("1.5h") == 90min);
    CHECK(parse_duration("0.123456789h") == 444'444'440'400ns);
    CHECK(parse_duration("1.5ns") == 1ns);
}

TEST_CASE("what is no duration, or does not fit, is refused", "[tools]") {
    for (const char* text :
         {"", "s", "-1s", "1.s", ".5s", "1 s", "5 ms", "1d", "1.5.5s", "0.0000000001s",
          "9223372037s", "2562048h", "18446744073709551616ns"}) {
        INFO('"' << text << '"');
        CHECK_FALSE(parse_duration(text).has_value());
    }
    CHECK(parse_duration("9223372035s").has_value());
}
