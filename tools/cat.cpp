// `caisson cat DIR`: the records of a log on standard output. Reads only; works beside a live
// writer. Knows nothing about where records lie.

#include "tools/command_line.hpp"
#include "tools/output.hpp"
#include "tools/read_only.hpp"
#include "tools/session.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>

#include "base/endian.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

namespace caisson::tools {
namespace {

enum class record_form : std::uint8_t { lines, hex, length_prefixed };

struct cat_options {
    std::string directory;
    offset_range range;
    record_form form = record_form::lines;
};

void put_hex(output& out, std::span<const std::byte> bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2 + 1);
    for (const std::byte b : bytes) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 0xf];
    }
    text += '\n';
    out.put(text);
}

void put_record(output& out, record_form form, std::span<const std::byte> record) {
    switch (form) {
    case record_form::lines:
        out.put(record);
        out.put("\n");
        return;
    case record_form::hex: put_hex(out, record); return;
    case record_form::length_prefixed:
        std::array<std::byte, 4> prefix;
        store_le(prefix.data(), static_cast<std::uint32_t>(record.size()));
        out.put(prefix);
        out.put(record);
        return;
    }
}

/// Prints [at, end); without `is_bounded` also asks what follows `end`, so that damage there is not
/// passed over.
net::awaitable<exit_code> print_records(const cat_options& options, const log_view& view,
                                        output& out) {
    // Of a damaged log a view knows no end.
    const bool has_end = view.facts().tail != tail_state::damaged;
    const log_offset end = options.range.end_or(
        has_end ? view.end() : log_offset{std::numeric_limits<std::uint64_t>::max()});
    log_offset at = options.range.begin_or(view.begin());
    log_reader reader = view.reader(at);
    while (at < end || !options.range.end) {
        const result<commit_batch> batch = co_await reader.async_next();
        if (!batch) {
            co_return fail("cat", options.directory, batch.error(), reader.failure_cause());
        }
        if (batch.value().empty() || batch.value().first_offset() >= end) {
            break;  // beyond `end`: a live writer went on since
        }
        at = batch.value().first_offset();
        for (const std::span<const std::byte> record : batch.value()) {
            if (at >= end) {
                break;
            }
            put_record(out, options.form, record);
            at += 1;
        }
        at = batch.value().end_offset();  // a raw commit's bytes are one piece, whatever it counts
        if (out.is_failed()) {
            break;
        }
    }
    co_return exit_code::ok;
}

net::awaitable<exit_code> cat(const cat_options& options, engine& machine) {
    const result<log_view> view = co_await open_view("cat", options.directory, machine);
    if (!view) {
        co_return to_exit_code(view.error());
    }
    if (const exit_code wrong = check_range("cat", options.directory, options.range, view.value());
        wrong != exit_code::ok) {
        co_return wrong;
    }
    output out(STDOUT_FILENO);
    exit_code outcome = co_await print_records(options, view.value(), out);
    if (const error_code failed = out.flush()) {
        print_error("cat", "standard output: " + failed.message());
        outcome = exit_code::error;
    }
    // One line on standard error: what has failed outright says enough.
    co_return outcome == exit_code::ok ? finish_reading("cat", view.value(), outcome) : outcome;
}

}  // namespace

void add_cat_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<cat_options>();
    const auto run = [options] {
        return run_read_only("cat", [options](engine& machine) { return cat(*options, machine); });
    };
    CLI::App& verb =
        add_verb(app, chosen,
                 {"cat", "Print the records of a log",
                  R"(lines: the record and a newline. hex: two digits a byte and a newline.
length-prefixed: a 4-byte little-endian length and the record, the only form
that keeps records apart whatever they hold. Of a log that another program
wrote, a commit is printed in one piece: only that program knows where its
records end.

Exit codes: 0 ok, 1 error, 2 damage (what precedes it was printed, its place is
named on standard error; --from an offset behind it prints what follows).

Examples:
  caisson cat /var/lib/app/log
  caisson cat /var/lib/app/log --from 100 --to 110
  caisson cat /var/lib/app/log --output-format hex | head)"},
                 run);
    add_directory(verb, options->directory);
    add_range_options(verb, options->range);
    add_choice_option(verb, "--output-format", options->form,
                      {{"lines", record_form::lines},
                       {"hex", record_form::hex},
                       {"length-prefixed", record_form::length_prefixed}},
                      "How a record is printed [lines]");
}

}  // namespace caisson::tools
