// Assertions: what they let pass, and what they say before they abort.

#include "base/assert.hpp"

#include "base/aligned_buffer.hpp"
#include "support/aborting.hpp"

#include <caisson/types.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace caisson {
namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("an assertion that holds does nothing, whatever it compares", "[base][assert]") {
    const std::uint64_t count = 0;
    CAISSON_ASSERT(count == 0);
    CAISSON_ASSERT(count + 1 > count);
    CAISSON_ASSERT(true);
    CAISSON_ASSERT(!std::string{}.size());
    CAISSON_ASSERT(std::string_view("ab") == "ab");
    CAISSON_ASSERT(log_offset(3) <= log_offset(3));
    CAISSON_ASSERT(std::make_unique<int>(1) != nullptr);
    CAISSON_ASSERT(std::optional<int>(0).has_value());
    CAISSON_ASSERT(durability::local == durability::local);
}

TEST_CASE("integers of different signs are compared by value", "[base][assert]") {
    const std::int64_t minus_one = -1;
    CAISSON_ASSERT(minus_one < std::numeric_limits<std::uint64_t>::max());
    CAISSON_ASSERT(std::uint64_t{7} > -7);
}

TEST_CASE("an assertion evaluates its condition once", "[base][assert]") {
    int calls = 0;
    CAISSON_ASSERT(++calls == 1);
    CHECK(calls == 1);
}

TEST_CASE("an assertion may stand in a constant expression", "[base][assert]") {
    constexpr int doubled = [](int n) {
        CAISSON_ASSERT(n > 0);
        return 2 * n;
    }(4);
    STATIC_REQUIRE(doubled == 8);
}

TEST_CASE("a failed comparison prints expression, both values and the place", "[base][assert]") {
    const auto end = test::run_to_its_end([] {
        const std::uint64_t frames_in_flight = 5;
        CAISSON_ASSERT(frames_in_flight <= 4);
    });
    CHECK(end.aborted);
    CHECK_THAT(end.message, ContainsSubstring("frames_in_flight <= 4"));
    CHECK_THAT(end.message, ContainsSubstring("(5 <= 4)"));
    CHECK_THAT(end.message, ContainsSubstring("assert_test.cpp:"));
}

TEST_CASE("every kind of operand is printed as itself", "[base][assert]") {
    const auto message_of = [](auto check) {
        return test::run_to_its_end(check).message;
    };
    CHECK_THAT(message_of([] { CAISSON_ASSERT(-3 > 2); }), ContainsSubstring("(-3 > 2)"));
    CHECK_THAT(message_of([] { CAISSON_ASSERT(log_offset(9) < log_offset(8)); }),
               ContainsSubstring("(9 < 8)"));
    CHECK_THAT(message_of([] { CAISSON_ASSERT(durability::local != durability::local); }),
               ContainsSubstring("(1 != 1)"));
    CHECK_THAT(message_of([] {
                   const bool is_open = false;
                   CAISSON_ASSERT(is_open == true);
               }),
               ContainsSubstring("(false == true)"));
    CHECK_THAT(message_of([] {
                   const int* nothing = nullptr;
                   CAISSON_ASSERT(nothing != nullptr);
               }),
               ContainsSubstring("(nullptr != nullptr)"));
    CHECK_THAT(message_of([] { CAISSON_ASSERT(std::string("a") == std::string("b")); }),
               ContainsSubstring("({...} == {...})"));
}

TEST_CASE("a failed condition without a comparison prints its expression", "[base][assert]") {
    const auto end = test::run_to_its_end([] {
        const aligned_buffer nothing;
        CAISSON_ASSERT(nothing);
    });
    CHECK(end.aborted);
    CHECK_THAT(end.message, ContainsSubstring("assertion failed: nothing"));
}

TEST_CASE("the unreachable says why it should have been", "[base][assert]") {
    const auto end = test::run_to_its_end([] { CAISSON_UNREACHABLE("all cases return"); });
    CHECK(end.aborted);
    CHECK_THAT(end.message, ContainsSubstring("all cases return"));
}

TEST_CASE("a slow assertion is checked exactly when the build asks for it", "[base][assert]") {
    const auto end = test::run_to_its_end([] { CAISSON_ASSERT_SLOW(1 > 2); });
#if defined(CAISSON_ASSERT_SLOW_ENABLED)
    CHECK(end.aborted);
#else
    CHECK_FALSE(end.aborted);
#endif
}

}  // namespace
}  // namespace caisson
