// The only source that joins the parser's options with units_text.

#include "tools/command_line.hpp"

#include "tools/units_text.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace caisson::tools {
namespace {

void require(number_range range, const std::string& option, const std::string& text,
             std::uint64_t value) {
    if (range.least <= value && value <= range.most) {
        return;
    }
    const std::string allowed =
        range.most == number_range().most
            ? "at least " + std::to_string(range.least)
            : "between " + std::to_string(range.least) + " and " + std::to_string(range.most);
    throw CLI::ValidationError(option, "'" + text + "' is not " + allowed);
}

std::string join(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : "|") + name;
    }
    return text;
}

/// An option whose argument `take` reads; it throws CLI::ValidationError for what it does not
/// understand.
void add_text_option(CLI::App& verb, const std::string& name,
                     std::function<void(const std::string&)> take, const std::string& help,
                     const std::string& type) {
    verb.add_option_function<std::string>(name, std::move(take), help)->type_name(type);
}

}  // namespace

CLI::App& add_verb(CLI::App& app, chosen_command& chosen, verb_text text, chosen_command action) {
    CLI::App& verb = *app.add_subcommand(std::move(text.name), std::move(text.summary));
    verb.footer(std::move(text.footer));
    verb.callback([&chosen, action = std::move(action)] { chosen = action; });
    return verb;
}

void add_directory(CLI::App& verb, std::string& into, const std::string& help) {
    const auto take = [&into](const std::string& text) {
        if (text.empty()) {
            throw CLI::ValidationError("DIR", "it is empty; name the directory of the log");
        }
        into = text;
    };
    verb.add_option_function<std::string>("DIR", take, help)->required()->type_name("");
}

void add_flag(CLI::App& verb, const std::string& name, bool& into, const std::string& help) {
    verb.add_flag(name, into, help);
}

void add_required_flag(CLI::App& verb, const std::string& name, const std::string& help) {
    verb.add_flag(name, help)->required();
}

void add_size_option(CLI::App& verb, const std::string& name, std::uint64_t& into,
                     const std::string& help, number_range range) {
    const auto take = [&into, name, range](const std::string& text) {
        const auto bytes = parse_size_bytes(text);
        if (!bytes) {
            throw CLI::ValidationError(name, "'" + text +
                                                 "' is not a size; write bytes or 64K, 64M, 1GiB");
        }
        require(range, name, text, *bytes);
        into = *bytes;
    };
    add_text_option(verb, name, take, help, "SIZE");
}

void add_segment_size_option(CLI::App& verb, std::uint64_t& into) {
    add_size_option(verb, "--segment-size", into, "Bytes a segment file may have [64M]",
                    {std::uint64_t{64} << 10, std::uint64_t{1} << 30});
}

void add_duration_option(CLI::App& verb, const std::string& name, std::chrono::nanoseconds& into,
                         const std::string& help) {
    const auto take = [&into, name](const std::string& text) {
        const auto time = parse_duration(text);
        if (!time) {
            throw CLI::ValidationError(name,
                                       "'" + text + "' is not a time; write 500us, 5ms, 30s or 2m");
        }
        into = *time;
    };
    add_text_option(verb, name, take, help, "TIME");
}

void add_number_option(CLI::App& verb, const std::string& name,
                       std::function<void(std::uint64_t)> take, const std::string& help,
                       number_range range, const std::string& type) {
    const auto read = [take = std::move(take), name, range](const std::string& text) {
        const auto number = parse_number(text);
        if (!number) {
            throw CLI::ValidationError(name, "'" + text + "' is not a number; write digits only");
        }
        require(range, name, text, *number);
        take(*number);
    };
    add_text_option(verb, name, read, help, type);
}

void add_choice_option(CLI::App& verb, const std::string& name, std::vector<std::string> names,
                       std::function<void(std::size_t)> take, const std::string& help) {
    const std::string all = join(names);
    const auto read = [take = std::move(take), names = std::move(names), name,
                       all](const std::string& text) {
        const auto found = std::ranges::find(names, text);
        if (found == names.end()) {
            throw CLI::ValidationError(name, "'" + text + "' is none of " + all);
        }
        take(static_cast<std::size_t>(found - names.begin()));
    };
    add_text_option(verb, name, read, help, all);
}

}  // namespace caisson::tools
