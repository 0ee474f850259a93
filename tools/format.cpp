// `caisson format --describe`: the tables of docs/format.md, printed from the constants that the
// code uses.

#include "tools/command_line.hpp"
#include "tools/output.hpp"

#include "format/describe.hpp"

#include <unistd.h>

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
    CLI::App& verb = add_verb(app, chosen, {"format", "Describe the bytes on disk", R"(Examples:
  caisson format --describe)"},
                              describe);
    add_required_flag(verb, "--describe", "Print every structure: offset, size, type, name");
}

}  // namespace caisson::tools
