// `caisson dump DIR`: every commit with its place and its checksum, and whatever stands where a
// commit should be. Goes on behind damage. Reads only. Knows nothing about payloads.

#include "tools/command_line.hpp"
#include "tools/json.hpp"
#include "tools/output.hpp"
#include "tools/read_only.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>

#include "format/commit.hpp"
#include "format/names.hpp"
#include "format/segment_header.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace caisson::tools {
namespace {

struct dump_options {
    std::string directory;
    offset_range range;
    std::optional<std::uint64_t> limit;
    bool headers_only = false;
    bool json = false;
};

bool is_backwards(const offset_range& range) {
    return range.begin && range.end && *range.begin > *range.end;
}

std::string to_hex(std::uint32_t value) {
    std::array<char, 9> digits;
    std::snprintf(digits.data(), digits.size(), "%08x", value);
    return digits.data();
}

/// Bytes of a commit that are not its records region: they differ between the versions of the
/// format.
std::size_t commit_overhead_in(const std::string& path) {
    std::array<std::byte, format::layout::segment_header::size_bytes> header{};
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file >= 0) {
        // Too short or unreadable: then there is no commit in it to be described either.
        [[maybe_unused]] const ssize_t count = ::pread(file, header.data(), header.size(), 0);
        ::close(file);
    }
    const auto decoded = format::decode_segment_header(header);
    return format::commit_overhead_bytes(decoded ? decoded.value().version
                                                 : format::segment_version::v1);
}

/// Prints what a walk meets, in one of two forms.
class dumper {
public:
    dumper(const dump_options& options, output& out) : options_(options), out_(out) {}

    /// False when enough was printed.
    bool take(const walk_item& item) {
        if (item.what == walk_item::kind::segment) {
            begin_segment(item);
        } else if (item.what == walk_item::kind::commit ||
                   item.what == walk_item::kind::duplicate) {
            take_commit(item);
        } else {
            take_other(item);
        }
        const bool is_enough = options_.limit && commits_ >= *options_.limit;
        const bool is_past = options_.range.end && item.what == walk_item::kind::commit &&
                             item.facts.begin.value() >= *options_.range.end;
        return !is_enough && !is_past && !out_.is_failed();
    }

    [[nodiscard]] exit_code outcome() const { return outcome_; }
    [[nodiscard]] const std::optional<failure>& unsupported() const noexcept {
        return unsupported_;
    }

private:
    void begin_segment(const walk_item& item) {
        segment_name_ = format::segment_name(item.facts.segment);
        overhead_bytes_ = commit_overhead_in(options_.directory + "/" + segment_name_);
        if (options_.json) {
            json::object line;
            line["type"] = "segment";
            line["segment"] = segment_name_;
            line["bytes"] = item.size_bytes;
            put_json_line(out_, line);
        } else {
            out_.put("segment " + segment_name_ + " bytes=" + std::to_string(item.size_bytes) +
                     "\n");
        }
    }

    void take_commit(const walk_item& item) {
        const commit_facts& commit = item.facts;
        if (!options_.range.overlaps(commit.begin, commit.end())) {
            return;
        }
        ++commits_;
        const char* status = item.what == walk_item::kind::duplicate ? "duplicate" : "ok";
        options_.json ? put_commit_json(commit, status) : put_commit_text(commit, status);
    }

    void put_commit_text(const commit_facts& commit, const char* status) {
        std::string line = "commit byte=" + std::to_string(commit.position_bytes) + " offsets=[" +
                           std::to_string(commit.begin.value()) + "," +
                           std::to_string(commit.end().value()) +
                           ") n=" + std::to_string(commit.record_count) +
                           " epoch=" + std::to_string(commit.epoch) +
                           " len=" + std::to_string(commit.size_bytes - overhead_bytes_) +
                           " crc=" + to_hex(commit.checksum) + " " + status;
        if (!commit.is_raw && !options_.headers_only) {
            line += " durable_end=" + std::to_string(commit.durable_end.value()) +
                    " timestamp_us=" + std::to_string(commit.timestamp_us) +
                    " previous_crc=" + to_hex(commit.previous_checksum);
        }
        out_.put(line + "\n");
    }

    void put_commit_json(const commit_facts& commit, const char* status) {
        json::object line;
        line["type"] = "commit";
        line["segment"] = segment_name_;
        line["byte"] = commit.position_bytes;
        line["begin"] = commit.begin.value();
        line["end"] = commit.end().value();
        line["n"] = commit.record_count;
        line["epoch"] = commit.epoch;
        line["len"] = commit.size_bytes - overhead_bytes_;
        line["bytes"] = commit.size_bytes;
        line["crc"] = to_hex(commit.checksum);
        line["status"] = status;
        line["is_raw"] = commit.is_raw;
        if (!commit.is_raw && !options_.headers_only) {
            line["durable_end"] = commit.durable_end.value();
            line["timestamp_us"] = commit.timestamp_us;
            line["previous_crc"] = to_hex(commit.previous_checksum);
        }
        put_json_line(out_, line);
    }

    void take_other(const walk_item& item) {
        const char* name = "prepared";
        if (item.what == walk_item::kind::damage) {
            name = "bad";
            outcome_ = exit_code::damage;
        } else if (item.what == walk_item::kind::unsupported) {
            name = "unsupported";
            unsupported_ = unsupported_ ? unsupported_ : item.found;
            outcome_ = outcome_ == exit_code::damage ? outcome_ : exit_code::error;
        } else if (item.what == walk_item::kind::unfinished) {
            name = "unfinished";
            outcome_ = outcome_ == exit_code::ok ? exit_code::torn_tail : outcome_;
        } else if (item.what == walk_item::kind::abandoned) {
            name = "abandoned";
        }
        const std::optional<log_offset> offset = item.found ? item.found->offset() : std::nullopt;
        if (offset && !options_.range.contains(*offset)) {
            return;
        }
        const std::string what = item.found ? item.found->message() : std::string();
        if (options_.json) {
            json::object line;
            line["type"] = name;
            line["segment"] = segment_name_;
            line["byte"] = item.position_bytes;
            line["bytes"] = item.size_bytes;
            if (item.found) {
                line["what"] = what;
            }
            put_json_line(out_, line);
        } else {
            out_.put(std::string(name) + " byte=" + std::to_string(item.position_bytes) +
                     " bytes=" + std::to_string(item.size_bytes) +
                     (what.empty() ? "" : " " + what) + "\n");
        }
    }

    const dump_options& options_;
    output& out_;
    std::string segment_name_;
    std::size_t overhead_bytes_ = format::commit_overhead_bytes(format::segment_version::v1);
    std::uint64_t commits_ = 0;
    exit_code outcome_ = exit_code::ok;
    std::optional<failure> unsupported_;  ///< the first of them
};

net::awaitable<exit_code> dump(const dump_options& options, engine& machine) {
    result<log_view> view = co_await open_view("dump", options.directory, machine);
    if (!view) {
        co_return to_exit_code(view.error());
    }
    // Behind damage there may be more than a view can serve; dump goes on there.
    const tail_state tail = view.value().facts().tail;
    const bool has_more = tail == tail_state::damaged || tail == tail_state::newer_version;
    if (!has_more || is_backwards(options.range)) {
        if (const exit_code wrong =
                check_range("dump", options.directory, options.range, view.value());
            wrong != exit_code::ok) {
            co_return wrong;
        }
    }
    output out(STDOUT_FILENO);
    dumper lines(options, out);
    walk_callback visit = [&lines](const walk_item& item) {
        return lines.take(item);
    };
    const result<void> walked = co_await view.value().async_walk(std::move(visit));
    if (const error_code failed = out.flush()) {
        print_error("dump", "standard output: " + failed.message());
        co_return exit_code::error;
    }
    if (!walked) {
        co_return fail("dump", options.directory, walked.error());
    }
    if (lines.unsupported()) {
        print_error("dump", lines.unsupported()->message());
        co_return lines.outcome();
    }
    co_return finish_reading("dump", view.value(), lines.outcome());
}

}  // namespace

void add_dump_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<dump_options>();
    const auto run = [options] {
        return run_read_only("dump",
                             [options](engine& machine) { return dump(*options, machine); });
    };
    CLI::App& verb =
        add_verb(app, chosen,
                 {"dump", "List the commits of a log, damaged places included",
                  R"(One line a segment and one a commit: where it lies, the offsets it holds, how
many records (n), epoch, bytes of the records region (len), checksum. "bad"
stands where a commit should be, "unfinished" at the end after a crash,
"unsupported" where only a newer version can read, "prepared" for space
written ahead. Payloads are not printed; 'caisson cat'
does that.

Exit codes: 0 ok, 1 error, 2 damage met, 3 an unfinished write met.

Examples:
  caisson dump /var/lib/app/log
  caisson dump /var/lib/app/log --from 1000 --limit 5
  caisson dump /var/lib/app/log --json | jq 'select(.type == "bad")')"},
                 run);
    add_directory(verb, options->directory);
    add_range_options(verb, options->range);
    add_number_option(verb, "--limit", options->limit, "Stop after so many commits", {1});
    add_flag(verb, "--headers-only", options->headers_only,
             "Leave out what the native trailer says");
    add_flag(verb, "--json", options->json, "Print one JSON object a line");
}

}  // namespace caisson::tools
