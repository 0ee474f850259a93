#pragma once
// Command-line options with units, for CLI11. The only header that joins units_text and the parser.

#include "tools/units_text.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

namespace caisson::tools {

/// What the numbers of an option have to lie in, both ends included.
struct number_range {
    std::uint64_t least = 0;
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

    void require(const std::string& option, const std::string& text, std::uint64_t value) const {
        if (least <= value && value <= most) {
            return;
        }
        throw CLI::ValidationError(option, "'" + text + "' is not between " +
                                               std::to_string(least) + " and " +
                                               std::to_string(most));
    }
};

/// An option that takes a whole number. CLI11's own wraps negative numbers and clamps large ones.
template <class Number>
CLI::Option* add_number_option(CLI::App& app, const std::string& name, Number& into,
                               const std::string& help, number_range range = {}) {
    return app
        .add_option_function<std::string>(
            name,
            [&into, name, range](const std::string& text) {
                const auto number = parse_number(text);
                if (!number) {
                    throw CLI::ValidationError(name,
                                               "'" + text + "' is not a number; write digits only");
                }
                range.require(name, text, *number);
                if constexpr (std::is_same_v<Number, std::optional<std::uint64_t>>) {
                    into = *number;
                } else {
                    into = static_cast<Number>(*number);
                }
            },
            help)
        ->type_name("N");
}

/// An option that takes a size such as 64M.
inline CLI::Option* add_size_option(CLI::App& app, const std::string& name, std::uint64_t& into,
                                    const std::string& help, number_range range = {}) {
    return app
        .add_option_function<std::string>(
            name,
            [&into, name, range](const std::string& text) {
                const auto bytes = parse_size_bytes(text);
                if (!bytes) {
                    throw CLI::ValidationError(
                        name, "'" + text + "' is not a size; write bytes or 64K, 64M, 1GiB");
                }
                range.require(name, text, *bytes);
                into = *bytes;
            },
            help)
        ->type_name("SIZE");
}

/// What a segment may be told to hold at most.
inline CLI::Option* add_segment_size_option(CLI::App& app, std::uint64_t& into) {
    return add_size_option(app, "--segment-size", into, "Bytes a segment file may have [64M]",
                           {std::uint64_t{64} << 10, std::uint64_t{1} << 30});
}

/// An option that takes a time such as 5ms.
inline CLI::Option* add_duration_option(CLI::App& app, const std::string& name,
                                        std::chrono::nanoseconds& into, const std::string& help) {
    return app
        .add_option_function<std::string>(
            name,
            [&into, name](const std::string& text) {
                const auto time = parse_duration(text);
                if (!time) {
                    throw CLI::ValidationError(
                        name, "'" + text + "' is not a time; write 500us, 5ms, 30s or 2m");
                }
                into = *time;
            },
            help)
        ->type_name("TIME");
}

}  // namespace caisson::tools
