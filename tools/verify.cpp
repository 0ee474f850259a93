// `caisson verify DIR`: checks every byte of a log and says what it found, and how bad it is.
// Changes nothing. Knows nothing about how damage is recognised.

#include "tools/command_line.hpp"
#include "tools/json.hpp"
#include "tools/output.hpp"
#include "tools/progress_bar.hpp"
#include "tools/read_only.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace caisson::tools {
namespace {

struct verify_command_options {
    std::string directory;
    bool json = false;
    bool quiet = false;
};

const char* name_of(finding_severity severity) {
    switch (severity) {
    case finding_severity::damage: return "damage";
    case finding_severity::torn_tail: return "torn tail";
    case finding_severity::warning: return "warning";
    case finding_severity::obstacle: return "obstacle";
    }
    return "unknown";
}

const char* name_of(verify_verdict verdict) {
    switch (verdict) {
    case verify_verdict::clean: return "clean";
    case verify_verdict::torn_tail: return "torn tail";
    case verify_verdict::not_openable: return "not openable";
    case verify_verdict::damaged: return "damaged";
    }
    return "unknown";
}

const char* explain(verify_verdict verdict) {
    switch (verdict) {
    case verify_verdict::clean: return "every record is as it was written";
    case verify_verdict::torn_tail:
        return "only an unfinished write at the end, as a crash leaves it; opening the log cuts it";
    case verify_verdict::not_openable:
        return "no damage was found, but the log is not opened as it is; the lines above say why";
    case verify_verdict::damaged:
        return "stored data is not what was written; restore what is missing from a copy";
    }
    return "unknown";
}

exit_code exit_code_of(verify_verdict verdict) {
    switch (verdict) {
    case verify_verdict::clean: return exit_code::ok;
    case verify_verdict::torn_tail: return exit_code::torn_tail;
    case verify_verdict::not_openable: return exit_code::error;
    case verify_verdict::damaged: return exit_code::damage;
    }
    return exit_code::error;
}

json::object to_json(const finding& what) {
    json::object object;
    object["severity"] = name_of(what.severity);
    object["file"] = what.found.file();
    if (what.found.position_bytes()) {
        object["byte"] = *what.found.position_bytes();
    }
    if (what.found.offset()) {
        object["offset"] = what.found.offset()->value();
    }
    if (what.size_bytes != 0) {
        object["bytes"] = what.size_bytes;
    }
    object["what"] =
        what.found.detail().empty() ? what.found.code().message() : what.found.detail();
    object["advice"] = what.found.advice();
    return object;
}

void put_json(output& out, const std::string& directory, const verify_report& report) {
    json::object object;
    object["directory"] = directory;
    object["verdict"] = name_of(report.verdict);
    object["begin"] = report.begin.value();
    object["end"] = report.end.value();
    object["segments"] = report.segments;
    object["commits"] = report.commits;
    object["records"] = report.records;
    object["bytes_read"] = report.bytes_read;
    object["epoch_max"] = report.epoch_max;
    json::array findings;
    for (const finding& what : report.findings) {
        findings.push_back(to_json(what));
    }
    object["findings"] = std::move(findings);
    object["findings_dropped"] = report.findings_dropped;
    put_json_pretty(out, object);
}

std::string count_of(std::uint64_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

void put_text(output& out, const std::string& directory, const verify_report& report) {
    for (const finding& what : report.findings) {
        out.put(std::string(name_of(what.severity)) + ": " + what.found.message() + "\n");
    }
    if (report.findings_dropped != 0) {
        out.put(count_of(report.findings_dropped, "more finding") + " not listed\n");
    }
    out.put(directory + ": " + name_of(report.verdict) + ": " + explain(report.verdict) +
            "; offsets [" + std::to_string(report.begin.value()) + ", " +
            std::to_string(report.end.value()) + "), " + count_of(report.segments, "segment") +
            ", " + count_of(report.commits, "commit") + ", " + count_of(report.bytes_read, "byte") +
            " read\n");
}

net::awaitable<exit_code> verify(const verify_command_options& options, engine& machine) {
    result<log_view> view = co_await open_view("verify", options.directory, machine);
    if (!view) {
        co_return to_exit_code(view.error());
    }
    progress_bar bar(!options.quiet && !options.json && ::isatty(STDERR_FILENO) == 1);
    verify_options how;
    how.on_progress = [&bar](const verify_progress& done) {
        bar.show(done.bytes_done, done.bytes_total);
    };
    const result<verify_report> report = co_await view.value().async_verify(std::move(how));
    bar.clear();
    if (!report) {
        co_return fail("verify", options.directory, report.error());
    }
    output out(STDOUT_FILENO);
    if (options.quiet) {
        // the exit code tells
    } else if (options.json) {
        put_json(out, options.directory, report.value());
    } else {
        put_text(out, options.directory, report.value());
    }
    if (const error_code failed = out.flush()) {
        print_error("verify", "standard output: " + failed.message());
        co_return exit_code::error;
    }
    co_return exit_code_of(report.value().verdict);
}

}  // namespace

void add_verify_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<verify_command_options>();
    const auto run = [options] {
        return run_read_only("verify",
                             [options](engine& machine) { return verify(*options, machine); });
    };
    CLI::App& verb =
        add_verb(app, chosen,
                 {"verify", "Check every byte of a log",
                  R"(Prints a line for each finding (what, file, byte, offset) and a verdict.
Changes nothing, takes no lock, works beside a live writer and on logs that
other programs wrote.

Exit codes: 0 clean (there may be warnings), 1 error, or no damage but a log
that is not opened as it is (a newer version, a name in its way), 2 damage, 3
only an unfinished write at the end.

Examples:
  caisson verify /var/lib/app/log
  caisson verify /var/lib/app/log --json | jq '.findings[]'
  caisson verify /var/lib/app/log --quiet || echo "exit code $?")"},
                 run);
    add_directory(verb, options->directory);
    add_flag(verb, "--json", options->json, "Print one JSON object");
    add_flag(verb, "--quiet", options->quiet, "Print nothing; the exit code tells");
}

}  // namespace caisson::tools
