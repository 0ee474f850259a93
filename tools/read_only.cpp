// Opening for reading, and what can be wrong with a range.

#include "tools/read_only.hpp"

#include "tools/command_line.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace caisson::tools {

void add_range_options(CLI::App& verb, offset_range& range) {
    add_number_option(verb, "--from", range.begin, "First offset [the log's first]", {}, "OFFSET");
    add_number_option(verb, "--to", range.end, "Offset to stop before [the log's end]", {},
                      "OFFSET");
}

exit_code check_range(std::string_view verb, const std::string& directory,
                      const offset_range& range, const log_view& view) {
    const log_offset from = range.begin_or(view.begin());
    const log_offset to = range.end_or(std::max(from, view.end()));
    const tail_state tail = view.facts().tail;
    // Behind damage there may be more than a view can tell: who reads there finds out.
    const bool has_end = tail != tail_state::damaged;
    if (view.begin() <= from && from <= to &&
        (!has_end || (from <= view.end() && to <= view.end()))) {
        return exit_code::ok;
    }
    std::string text = directory + ": ";
    if (from > to && range.begin && range.end) {
        text += "--from " + std::to_string(from.value()) + " lies above --to " +
                std::to_string(to.value()) + "; a range is written [from, to)";
    } else {
        const bool is_from = from < view.begin() || from > view.end();
        text += std::string("offset out of range: ") + (is_from ? "--from " : "--to ") +
                std::to_string(is_from ? from.value() : to.value()) + "; the log holds [" +
                std::to_string(view.begin().value()) + ", " + std::to_string(view.end().value()) +
                ")";
    }
    if (tail == tail_state::newer_version && (from > view.end() || to > view.end())) {
        text += " and is of a newer version behind that; 'caisson verify' names the place";
    }
    // Or it held the offset, and nobody can tell.
    const std::optional<failure>& problem = view.facts().state_problem;
    if (problem) {
        text += "; " + problem->message();
    }
    print_error(verb, text);
    return problem ? to_exit_code(problem->code()) : exit_code::error;
}

net::awaitable<result<log_view>> open_view(std::string_view verb, std::string directory,
                                           engine& machine) {
    open_report found;
    result<log_view> view = co_await machine.async_open_view(directory, &found);
    if (!view) {
        fail(verb, directory, view.error(), found.refused);
    }
    co_return view;
}

exit_code finish_reading(std::string_view verb, const log_view& view, exit_code outcome) {
    const std::optional<failure>& problem = view.facts().state_problem;
    if (!problem) {
        return outcome;
    }
    print_error(verb, problem->message());
    return outcome == exit_code::damage ? outcome : to_exit_code(problem->code());
}

exit_code run_read_only(std::string_view verb, const session_work& work) {
    std::signal(SIGPIPE, SIG_DFL);
    return run_session(verb, work);
}

}  // namespace caisson::tools
