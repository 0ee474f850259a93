// Names from offsets and back.

#include "format/names.hpp"

#include "format/layout.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace caisson::format {
namespace {

std::string numbered_name(log_offset begin, std::string_view suffix) {
    const std::string digits = std::to_string(begin.value());
    std::string name(layout::name_digits - digits.size(), '0');
    name += digits;
    name += suffix;
    return name;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::optional<log_offset> parse_numbered(std::string_view name, std::string_view suffix) noexcept {
    if (name.size() != layout::name_digits + suffix.size() || !name.ends_with(suffix)) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : name.substr(0, layout::name_digits)) {
        if (!is_digit(c)) {
            return std::nullopt;
        }
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
            return std::nullopt;  // 20 digits reach beyond 2^64
        }
        value = value * 10 + digit;
    }
    return log_offset{value};
}

bool is_reference_temporary(std::string_view name) noexcept {
    constexpr std::string_view prefix = ".tmp";
    constexpr std::size_t random_characters = 6;
    return name.size() == prefix.size() + random_characters && name.starts_with(prefix) &&
           std::all_of(name.begin() + prefix.size(), name.end(), is_alphanumeric);
}

struct fixed_name {
    std::string_view name;
    entry_role role;
};
constexpr fixed_name fixed_names[] = {
    {lock_name, entry_role::lock},
    {state_name, entry_role::state},
    {state_temporary_name, entry_role::state_temporary},
    {spare_directory_name, entry_role::spare_directory},
    {lost_directory_name, entry_role::lost_directory},
};

}  // namespace

std::string segment_name(log_offset begin) { return numbered_name(begin, segment_suffix); }
std::string index_name(log_offset begin) { return numbered_name(begin, index_suffix); }

classified_name classify(std::string_view name) noexcept {
    if (const auto begin = parse_numbered(name, segment_suffix)) {
        return {entry_role::segment, *begin};
    }
    if (const auto begin = parse_numbered(name, index_suffix)) {
        return {entry_role::index, *begin};
    }
    if (const auto begin = parse_numbered(name, reference_lock_suffix)) {
        return {entry_role::reference_lock, *begin};
    }
    for (const fixed_name& fixed : fixed_names) {
        if (name == fixed.name) {
            return {fixed.role, {}};
        }
    }
    return {is_reference_temporary(name) ? entry_role::temporary : entry_role::foreign, {}};
}

}  // namespace caisson::format
