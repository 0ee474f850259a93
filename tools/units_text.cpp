// Parsing of sizes and durations: exact integers, every overflow refused.

#include "tools/units_text.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace caisson::tools {
namespace {

struct leading_number {
    std::uint64_t whole = 0;
    std::uint64_t fraction = 0;        ///< digits after the point, read as an integer ...
    std::uint64_t fraction_scale = 1;  ///< ... over this power of ten
    std::string_view rest;
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::optional<leading_number> parse_leading(std::string_view text, bool allow_fraction) noexcept {
    leading_number number;
    const char* const end = text.data() + text.size();
    if (text.empty() || !is_digit(text.front())) {
        return std::nullopt;
    }
    const auto whole = std::from_chars(text.data(), end, number.whole);
    if (whole.ec != std::errc{}) {
        return std::nullopt;
    }
    const char* at = whole.ptr;
    if (allow_fraction && at != end && *at == '.') {
        const char* const first = ++at;
        while (at != end && is_digit(*at)) {
            // Nine digits are nanoseconds of a second; what is finer than that is refused rather
            // than rounded.
            if (at - first == 9) {
                return std::nullopt;
            }
            number.fraction = number.fraction * 10 + static_cast<std::uint64_t>(*at - '0');
            number.fraction_scale *= 10;
            ++at;
        }
        if (at == first) {
            return std::nullopt;
        }
    }
    number.rest = std::string_view(at, static_cast<std::size_t>(end - at));
    return number;
}

std::optional<unsigned> shift_of_unit(std::string_view unit) noexcept {
    if (unit.empty() || unit == "B" || unit == "b") {
        return 0;
    }
    constexpr std::array<std::pair<char, unsigned>, 4> letters = {
        {{'k', 10}, {'m', 20}, {'g', 30}, {'t', 40}}};
    const std::string_view tail = unit.substr(1);
    if (!tail.empty() && tail != "iB" && tail != "B" && tail != "ib" && tail != "b" &&
        tail != "i") {
        return std::nullopt;
    }
    for (const auto& [letter, shift] : letters) {
        if (unit.front() == letter || unit.front() == letter - 'a' + 'A') {
            return shift;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> nanoseconds_of_unit(std::string_view unit) noexcept {
    constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> units = {
        {{"", 1'000'000'000},
         {"s", 1'000'000'000},
         {"ms", 1'000'000},
         {"us", 1'000},
         {"ns", 1},
         {"m", 60'000'000'000},
         {"h", 3'600'000'000'000}}};
    for (const auto& [name, value] : units) {
        if (unit == name) {
            return value;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_size_bytes(std::string_view text) noexcept {
    const auto number = parse_leading(text, false);
    if (!number) {
        return std::nullopt;
    }
    const auto shift = shift_of_unit(number->rest);
    if (!shift || number->whole > (std::numeric_limits<std::uint64_t>::max() >> *shift)) {
        return std::nullopt;
    }
    return number->whole << *shift;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    const auto number = parse_leading(text, false);
    return number && number->rest.empty() ? std::optional(number->whole) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept {
    const auto number = parse_leading(text, true);
    if (!number) {
        return std::nullopt;
    }
    const auto unit = nanoseconds_of_unit(number->rest);
    constexpr auto most = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
    if (!unit || number->whole > most / *unit - 1) {
        return std::nullopt;
    }
    // Both factors fit: a fraction has at most nine digits, an hour 3.6e12 ns, so divide by the
    // scale in two steps.
    const std::uint64_t scale = number->fraction_scale;
    const std::uint64_t fraction_ns =
        (*unit / scale) * number->fraction + (*unit % scale) * number->fraction / scale;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(number->whole * *unit + fraction_ns));
}

}  // namespace caisson::tools
