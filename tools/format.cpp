// `caisson format --describe`: the tables of docs/format.md, printed from the constants that the
// code uses.

#include "tools/command.hpp"
#include "tools/output.hpp"

#include "format/describe.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <memory>

namespace caisson::tools {
namespace {

exit_code describe() {
    output out(STDOUT_FILENO);
    out.put(format::describe_format());
    if (const error_code failed = out.flush()) {
        print_error("format", "standard output: " + failed.message());
        return exit_code::error;
    }
    return exit_code::ok;
}

}  // namespace

void add_format_command(CLI::App& app, chosen_command& chosen) {
    CLI::App* verb = app.add_subcommand("format", "Describe the bytes on disk");
    verb->add_flag_callback(
            "--describe", [] {}, "Print every structure: offset, size, type, name")
        ->required();
    verb->footer(R"(Examples:
  caisson format --describe)");
    verb->callback([&chosen] { chosen = describe; });
}

}  // namespace caisson::tools
