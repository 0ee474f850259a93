#pragma once
// The command line as a verb's file declares it: its name, its help, its options with units. The
// parser is behind it (command_line.cpp): its headers cost every source that reads them two
// seconds.

#include "tools/command.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace caisson::tools {

/// What stands on a verb's help page around its options.
struct verb_text {
    std::string name;
    std::string summary;  ///< one line
    std::string footer;   ///< what it does in full, and examples
};

/// What the numbers of an option have to lie in, both ends included.
struct number_range {
    std::uint64_t least = 0;
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

/// Adds a verb; a command line that names it chooses `action`. What the options write to has to
/// live as long as `action`.
CLI::App& add_verb(CLI::App& app, chosen_command& chosen, verb_text text, chosen_command action);

/// The one positional argument.
void add_directory(CLI::App& verb, std::string& into,
                   const std::string& help = "Directory of the log");
void add_flag(CLI::App& verb, const std::string& name, bool& into, const std::string& help);
/// A flag without which the verb does nothing.
void add_required_flag(CLI::App& verb, const std::string& name, const std::string& help);
/// An option that takes a size such as 64M.
void add_size_option(CLI::App& verb, const std::string& name, std::uint64_t& into,
                     const std::string& help, number_range range = {});
/// What a segment may be told to hold at most.
void add_segment_size_option(CLI::App& verb, std::uint64_t& into);
/// An option that takes a time such as 5ms.
void add_duration_option(CLI::App& verb, const std::string& name, std::chrono::nanoseconds& into,
                         const std::string& help);

/// An option that takes a whole number. The parser's own wraps negative numbers and clamps large
/// ones.
void add_number_option(CLI::App& verb, const std::string& name,
                       std::function<void(std::uint64_t)> take, const std::string& help,
                       number_range range = {}, const std::string& type = "N");
/// `Number` holds every number of `range`.
template <class Number>
void add_number_option(CLI::App& verb, const std::string& name, Number& into,
                       const std::string& help, number_range range = {},
                       const std::string& type = "N") {
    add_number_option(
        verb, name, [&into](std::uint64_t number) { into = static_cast<Number>(number); }, help,
        range, type);
}

/// An option that takes one of `names`; `take` is given its place in them.
void add_choice_option(CLI::App& verb, const std::string& name, std::vector<std::string> names,
                       std::function<void(std::size_t)> take, const std::string& help);
template <class Choice>
void add_choice_option(CLI::App& verb, const std::string& name, Choice& into,
                       std::initializer_list<std::pair<const char*, Choice>> choices,
                       const std::string& help) {
    std::vector<std::string> names;
    std::vector<Choice> values;
    for (const auto& [text, value] : choices) {
        names.emplace_back(text);
        values.push_back(value);
    }
    add_choice_option(
        verb, name, std::move(names),
        [&into, values = std::move(values)](std::size_t place) { into = values[place]; }, help);
}

}  // namespace caisson::tools
