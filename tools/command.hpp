#pragma once
// What every verb of the `caisson` command shares: exit codes, how a verb registers itself, how an
// error is said. Knows nothing about any one verb. Read README.md, "The command".

#include <caisson/errc.hpp>
#include <caisson/failure.hpp>
#include <caisson/result.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace caisson::tools {

/// What the process ends with. Stable: scripts branch on it.
enum class exit_code : int {
    ok = 0,
    error = 1,      ///< wrong usage, or the operation could not be done
    damage = 2,     ///< stored data is not what was written
    torn_tail = 3,  ///< nothing worse than an unfinished write at the end, as a crash leaves it
};

/// What parsing chose to run; empty until a verb was recognised.
using chosen_command = std::function<exit_code()>;

// One function a file. Each adds its verb to `app` and, when the command line names it, sets
// `chosen`.
void add_append_command(CLI::App& app, chosen_command& chosen);
void add_bench_command(CLI::App& app, chosen_command& chosen);
void add_cat_command(CLI::App& app, chosen_command& chosen);
void add_dump_command(CLI::App& app, chosen_command& chosen);
void add_format_command(CLI::App& app, chosen_command& chosen);
void add_stat_command(CLI::App& app, chosen_command& chosen);
void add_verify_command(CLI::App& app, chosen_command& chosen);

/// The exit code that an error of the library stands for.
[[nodiscard]] exit_code to_exit_code(const error_code& code) noexcept;

/// "SUBJECT: what happened; what to do", from the whole story where there is one. The subject (a
/// directory, mostly) is left out when the story names it already. What is to be done may depend on
/// the verb.
[[nodiscard]] std::string describe_error(std::string_view verb, std::string_view subject,
                                         const error_code& code,
                                         const std::optional<failure>& story);

/// Writes "caisson VERB: TEXT" as one line to standard error; "caisson: TEXT" without a verb.
void print_error(std::string_view verb, std::string_view text);

/// print_error of describe_error; returns the exit code.
exit_code fail(std::string_view verb, std::string_view subject, const error_code& code,
               const std::optional<failure>& story = std::nullopt);

}  // namespace caisson::tools
