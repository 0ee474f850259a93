#pragma once
// Assertions for our own mistakes: always on, one condition each, with the operands in the message.
// What the world does to us (EIO, a bad checksum, a full disk) is an error, never an assertion.

#include <concepts>
#include <cstdint>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

/// Aborts with the expression, the values of a comparison's two sides, and the place, unless
/// `condition` holds.
///
/// Takes one condition: `a && b` does not compile, an implication is written `if (a)
/// CAISSON_ASSERT(b);`.
#define CAISSON_ASSERT(...)                                       \
    (::caisson::assert_detail::decompose{} <=> __VA_ARGS__)       \
        .require(#__VA_ARGS__, ::std::source_location::current())

/// As CAISSON_ASSERT for checks that cost O(n): on with the build option `assert_slow`, otherwise
/// only compiled.
#if defined(CAISSON_ASSERT_SLOW_ENABLED)
#define CAISSON_ASSERT_SLOW(...) CAISSON_ASSERT(__VA_ARGS__)
#else
#define CAISSON_ASSERT_SLOW(...)         \
    do {                                 \
        if (false) {                     \
            CAISSON_ASSERT(__VA_ARGS__); \
        }                                \
    } while (false)
#endif

/// Marks what no input can reach, such as the end of a switch over all enumerators; aborts with
/// `why`.
#define CAISSON_UNREACHABLE(why)                                                       \
    ::caisson::assert_detail::fail_unreachable(why, ::std::source_location::current())

namespace caisson::assert_detail {

/// One side of a failed comparison, in a form that needs no template to print.
struct operand {
    enum class kind : std::uint8_t {
        none,
        boolean,
        signed_integer,
        unsigned_integer,
        pointer,
        opaque
    };
    kind what = kind::none;
    std::uint64_t bits = 0;
};

[[noreturn]] void fail(const char* expression, const char* comparison, operand left, operand right,
                       const std::source_location& where) noexcept;
[[noreturn]] void fail_unreachable(const char* why, const std::source_location& where) noexcept;

template <class T>
concept strong_integer = requires(const T& value) {
    { value.value() } -> std::integral;
};

template <class T>
operand to_operand(const T& value) noexcept {
    using kind = operand::kind;
    if constexpr (std::same_as<T, bool>) {
        return {kind::boolean, value ? 1U : 0U};
    } else if constexpr (std::signed_integral<T>) {
        return {kind::signed_integer, static_cast<std::uint64_t>(static_cast<std::int64_t>(value))};
    } else if constexpr (std::unsigned_integral<T>) {
        return {kind::unsigned_integer, static_cast<std::uint64_t>(value)};
    } else if constexpr (std::is_enum_v<T>) {
        return to_operand(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_null_pointer_v<T>) {
        return {kind::pointer, 0};
    } else if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>) {
        return {kind::pointer, reinterpret_cast<std::uintptr_t>(value)};
    } else if constexpr (strong_integer<T>) {
        return to_operand(value.value());
    } else {
        return {kind::opaque, 0};
    }
}

// Integers of both signs are compared by value, so that `CAISSON_ASSERT(unsigned_count == 0)`
// neither warns nor lies.
template <class T>
concept plain_integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                        !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                        !std::same_as<T, char32_t> && !std::same_as<T, wchar_t>;

template <class L, class R>
class comparison {
public:
    constexpr comparison(bool holds, const char* symbol, const L& left, const R& right) noexcept
        : holds_(holds), symbol_(symbol), left_(left), right_(right) {}

    constexpr void require(const char* expression,
                           const std::source_location& where) const noexcept {
        if (!holds_) [[unlikely]] {
            fail(expression, symbol_, to_operand(left_), to_operand(right_), where);
        }
    }

    // `a < b < c` and `a == b && c` are not one condition.
    template <class Other>
    void operator<(const Other&) const = delete;
    template <class Other>
    void operator==(const Other&) const = delete;
    template <class Other>
    void operator&&(const Other&) const = delete;
    template <class Other>
    void operator||(const Other&) const = delete;

private:
    bool holds_;
    const char* symbol_;
    const L& left_;
    const R& right_;
};

template <class L>
class left_side {
public:
    explicit constexpr left_side(const L& value) noexcept : value_(value) {}

    constexpr void require(const char* expression,
                           const std::source_location& where) const noexcept {
        if (!static_cast<bool>(value_)) [[unlikely]] {
            fail(expression, nullptr, to_operand(value_), {}, where);
        }
    }

#define CAISSON_DETAIL_COMPARISON(symbol, integer_comparison)                        \
    template <class R>                                                               \
    constexpr comparison<L, R> operator symbol(const R & right) const noexcept {     \
        if constexpr (plain_integer<L> && plain_integer<R>) {                        \
            return {std::integer_comparison(value_, right), #symbol, value_, right}; \
        } else {                                                                     \
            return {static_cast<bool>(value_ symbol right), #symbol, value_, right}; \
        }                                                                            \
    }
    CAISSON_DETAIL_COMPARISON(==, cmp_equal)
    CAISSON_DETAIL_COMPARISON(!=, cmp_not_equal)
    CAISSON_DETAIL_COMPARISON(<, cmp_less)
    CAISSON_DETAIL_COMPARISON(<=, cmp_less_equal)
    CAISSON_DETAIL_COMPARISON(>, cmp_greater)
    CAISSON_DETAIL_COMPARISON(>=, cmp_greater_equal)
#undef CAISSON_DETAIL_COMPARISON

    template <class Other>
    void operator&&(const Other&) const = delete;
    template <class Other>
    void operator||(const Other&) const = delete;

private:
    const L& value_;
};

/// `decompose{} <=> a == b` groups as `(decompose{} <=> a) == b`, which is how both sides become
/// visible. `<=` would do the same but for a warning of GCC, `<<` but for one of Clang.
struct decompose {
    template <class L>
    constexpr left_side<L> operator<=>(const L& value) const noexcept {
        return left_side<L>(value);
    }
};

}  // namespace caisson::assert_detail
