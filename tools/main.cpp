// The `caisson` command: parses the command line and hands over to one verb. Knows nothing about
// logs.

#include "base/planted_names.hpp"
#include "tools/command.hpp"

#include <CLI/CLI.hpp>

#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace {

using caisson::tools::chosen_command;
using caisson::tools::exit_code;

constexpr const char* overview =
    R"(Exit codes: 0 ok, 1 error, 2 damage found, 3 nothing worse than an unfinished
write at the end.

Examples:
  printf 'one\ntwo\n' | caisson append LOG   two durable records; prints 0 and 1
  caisson cat LOG --from 1                    prints "two"
  caisson verify LOG                          checks every byte, changes nothing
  caisson stat LOG --json                     what the log holds, for scripts
  caisson bench --directory=. --baseline      this disk, with Caisson and without)";

void ignore(int signal_number) {
    // A write beyond RLIMIT_FSIZE, or to a pipe that nobody reads, is an error to report, not a
    // reason to be killed.
    std::signal(signal_number, SIG_IGN);
}

/// Takes the place of standard descriptors that the caller closed: the ring or a segment would get
/// their numbers, and offsets would be printed into it. What stands there fails every use.
bool occupy_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(descriptor, F_GETFD) >= 0) {
            continue;
        }
        const int mode = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        // The lowest free number is this one: those below it are taken.
        if (::open("/dev/null", mode) != descriptor) {
            return false;
        }
    }
    return true;
}

// CLI11's own message is several lines; scripts and people want one that says what to do.
int report_usage_error(const CLI::App& app, const CLI::ParseError& problem, const char* first) {
    std::string verb;
    for (const CLI::App* used : app.get_subcommands()) {
        verb = used->get_name();
    }
    const std::string help = verb.empty() ? "caisson --help" : "caisson " + verb + " --help";
    std::string what = problem.what();
    if (verb.empty() && first == nullptr) {
        what = "say what to do: 'caisson VERB ...'";
    } else if (verb.empty() && *first != '-') {
        what = "there is no verb '" + std::string(first) + "'";
    }
    caisson::tools::print_error(verb, what + "; see '" + help + "'");
    return static_cast<int>(exit_code::error);
}

/// Prints what --help or --version asked for.
int print_answer(const CLI::App& app, const CLI::ParseError& question) {
    app.exit(question);
    if (!std::cout.flush()) {
        caisson::tools::print_error("", "standard output: it cannot be written to");
        return static_cast<int>(exit_code::error);
    }
    return static_cast<int>(exit_code::ok);
}

int run(int argc, char** argv) {
    CLI::App app{"Caisson: durable, append-only logs.", "caisson"};
    app.footer(overview);
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("caisson ") + CAISSON_VERSION);
    app.get_formatter()->column_width(34);

    chosen_command chosen;
    caisson::tools::add_append_command(app, chosen);
    caisson::tools::add_cat_command(app, chosen);
    caisson::tools::add_verify_command(app, chosen);
    caisson::tools::add_dump_command(app, chosen);
    caisson::tools::add_stat_command(app, chosen);
    caisson::tools::add_format_command(app, chosen);
    caisson::tools::add_bench_command(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& outcome) {
        // Help and version arrive as exceptions too.
        return outcome.get_exit_code() == 0
                   ? print_answer(app, outcome)
                   : report_usage_error(app, outcome, argc > 1 ? argv[1] : nullptr);
    }
    return static_cast<int>(chosen());
}

}  // namespace

int main(int argc, char** argv) {
#if defined(CAISSON_PLANTED_BUGS)
    // A build for tests of the crash tests: it shows the bug that the environment names.
    if (const char* bug = std::getenv("CAISSON_PLANTED_BUG");
        bug != nullptr && !caisson::plant(bug)) {
        std::fprintf(stderr, "caisson: no such planted bug: %s\n", bug);
        return 1;
    }
#endif
    if (!occupy_standard_descriptors()) {
        return static_cast<int>(exit_code::error);  // and nowhere to say why
    }
    ignore(SIGXFSZ);
    ignore(SIGPIPE);
    try {
        return run(argc, argv);
    } catch (const boost::system::system_error& problem) {
        // Making what an engine needs fails so: descriptors, mostly.
        return static_cast<int>(
            caisson::tools::fail("", "the program cannot run here", problem.code()));
    } catch (const std::exception&
                 problem) {  // out of memory, out of threads: nothing a verb could handle better
        caisson::tools::print_error("", std::string("internal error: ") + problem.what());
        return static_cast<int>(exit_code::error);
    }
}
