#pragma once
// Command-line options with units, for CLI11. The only header that joins units_text and the parser.

#include "tools/units_text.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace caisson::tools {

/// An option that takes a size such as 64M.
inline CLI::Option* add_size_option(CLI::App& app, const std::string& name, std::uint64_t& into,
                                    const std::string& help) {
    return app
        .add_option_function<std::string>(
            name,
            [&into, name](const std::string& text) {
                const auto bytes = parse_size_bytes(text);
                if (!bytes) {
                    throw CLI::ValidationError(
                        name, "'" + text + "' is not a size; write bytes or 64K, 64M, 1GiB");
                }
                into = *bytes;
            },
            help)
        ->type_name("SIZE");
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
