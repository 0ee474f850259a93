#pragma once
// What the verbs that only read have in common: opening a view, ranges of offsets, dying quietly of
// a closed pipe.

#include "tools/command.hpp"
#include "tools/session.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>
#include <caisson/types.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace caisson::tools {

/// `[--from N] [--to N]`, half-open like every range.
struct offset_range {
    std::optional<std::uint64_t> begin;
    std::optional<std::uint64_t> end;

    [[nodiscard]] log_offset begin_or(log_offset otherwise) const {
        return begin ? log_offset(*begin) : otherwise;
    }
    [[nodiscard]] log_offset end_or(log_offset otherwise) const {
        return end ? log_offset(*end) : otherwise;
    }
    [[nodiscard]] bool contains(log_offset offset) const {
        return begin_or(offset) <= offset && (!end || offset.value() < *end);
    }
    /// Whether [from, to) and the range have an offset in common.
    [[nodiscard]] bool overlaps(log_offset from, log_offset to) const {
        return (!end || from.value() < *end) && (!begin || to.value() > *begin);
    }
};

void add_range_options(CLI::App& verb, offset_range& range);

/// ok, or, after printing why, what to exit with: the range lies outside what the log holds.
exit_code check_range(std::string_view verb, const std::string& directory,
                      const offset_range& range, const log_view& view);

/// Opens `directory` without changing anything in it. A failure has been printed.
net::awaitable<result<log_view>> open_view(std::string_view verb, std::string directory,
                                           engine& machine);

/// What a verb that has printed what is readable exits with. Where STATE cannot vouch for the log's
/// end that is said first, in one line on standard error.
exit_code finish_reading(std::string_view verb, const log_view& view, exit_code outcome);

/// run_session for a verb that has nothing to lose: a closed standard output ends the process by
/// SIGPIPE, as it ends cat.
exit_code run_read_only(std::string_view verb, const session_work& work);

}  // namespace caisson::tools
