// `caisson append DIR`: lines of standard input become records; each offset is printed once its
// record is durable. Knows nothing about how records are stored.

#include "tools/command_line.hpp"
#include "tools/input_reader.hpp"
#include "tools/output.hpp"
#include "tools/session.hpp"

#include <caisson/engine.hpp>
#include <caisson/log.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace caisson::tools {
namespace {

struct append_options {
    std::string directory;
    std::uint64_t segment_size_bytes = log_options().segment_size_bytes;
    std::uint32_t iodepth = 256;
    bool quiet = false;
};

// Half of the log's own default bound, so that an append never waits for room inside the log.
constexpr std::uint64_t bytes_in_flight_max = std::uint64_t{16} << 20;

/// Feeds records to a log, a window of them in flight, and prints what is durable in the order of
/// offsets.
class line_appender {
public:
    line_appender(const append_options& options, log& target, input_reader& input)
        : options_(options),
          log_(target),
          input_(input),
          room_(target.get_executor()),
          printed_(STDOUT_FILENO) {
        room_.expires_at(net::steady_timer::time_point::max());
    }
    line_appender(const line_appender&) = delete;
    line_appender& operator=(const line_appender&) = delete;

    /// Reads to the end of the input, to a stop or to the first failure; returns when nothing is in
    /// flight.
    net::awaitable<void> run() {
        while (input_chunk chunk = co_await input_.next()) {
            co_await append_lines(std::move(chunk));
            if (has_failed()) {
                input_.stop();
            }
        }
        // Cut off by a signal, the last line may be half a line: it was not accepted.
        if (!partial_line_.empty() && !input_.is_stopped() && !input_.error()) {
            co_await append(std::make_shared<const std::string>(std::move(partial_line_)), 0,
                            last_line);
        }
        while (!in_flight_.empty()) {
            co_await wait_for_completion();
        }
        print_acknowledged();
    }

    [[nodiscard]] bool has_failed() const noexcept {
        return static_cast<bool>(error_) || printed_.is_failed();
    }
    /// The first append that failed, and its line number (from 1).
    [[nodiscard]] const error_code& error() const noexcept { return error_; }
    [[nodiscard]] std::uint64_t failed_line() const noexcept { return failed_line_; }
    [[nodiscard]] const error_code& output_error() const noexcept { return output_error_; }

private:
    static constexpr std::size_t last_line = static_cast<std::size_t>(-1);

    struct record_in_flight {
        input_chunk bytes;  ///< keeps the memory that the append refers to
        std::uint64_t size_bytes = 0;
        bool is_durable = false;
        log_offset offset;
    };

    net::awaitable<void> append_lines(input_chunk chunk) {
        const std::string_view text = *chunk;
        std::size_t begin = 0;
        for (std::size_t end; !has_failed() && (end = text.find('\n', begin)) != text.npos;
             begin = end + 1) {
            if (partial_line_.empty()) {
                co_await append(chunk, begin, end - begin);
            } else {
                partial_line_.append(text.substr(begin, end - begin));
                co_await append(std::make_shared<const std::string>(std::move(partial_line_)), 0,
                                last_line);
                partial_line_.clear();
            }
        }
        partial_line_.append(text.substr(begin));
        if (partial_line_.size() > log_options().record_size_bytes_max) {
            set_error(make_error_code(errc::record_too_large),
                      lines_ + 1);  // do not collect what cannot be stored
        }
    }

    net::awaitable<void> append(input_chunk chunk, std::size_t from, std::size_t count) {
        const std::string_view record = std::string_view(*chunk).substr(from, count);
        while (!in_flight_.empty() && (in_flight_.size() >= options_.iodepth ||
                                       bytes_in_flight_ + record.size() > bytes_in_flight_max)) {
            co_await wait_for_completion();
        }
        if (has_failed() || input_.is_stopped()) {
            co_return;
        }
        bytes_in_flight_ += record.size();
        in_flight_.push_back(
            record_in_flight{std::move(chunk), record.size(), false, log_offset()});
        const std::uint64_t line = ++lines_;
        log_.async_append(net::const_buffer(record.data(), record.size()),
                          [this, line](result<append_receipt> outcome) { finish(line, outcome); });
    }

    void finish(std::uint64_t line, const result<append_receipt>& outcome) {
        if (outcome) {
            record_in_flight& record =
                in_flight_[static_cast<std::size_t>(line - first_line_in_flight_)];
            record.is_durable = true;
            record.offset = outcome.value().begin;
        } else {
            set_error(outcome.error(), line);
        }
        ++completed_;
        // All completions of a group run in one turn of the loop; what it acknowledged is printed
        // with one write.
        if (!is_print_posted_) {
            is_print_posted_ = true;
            net::post(log_.get_executor(), [this] {
                is_print_posted_ = false;
                print_acknowledged();
                room_.cancel();
            });
        }
    }

    // Offsets leave in order, and none after the first append that failed.
    void print_acknowledged() {
        while (!in_flight_.empty() && in_flight_.front().is_durable) {
            if (!options_.quiet) {
                printed_.put_number(in_flight_.front().offset.value());
                printed_.put("\n");
            }
            pop_front();
        }
        while (!in_flight_.empty() && error_ && completed_ == lines_) {
            pop_front();
        }
        if (const error_code failed = printed_.flush()) {
            output_error_ = failed;
        }
    }

    void pop_front() {
        bytes_in_flight_ -= in_flight_.front().size_bytes;
        in_flight_.pop_front();
        ++first_line_in_flight_;
    }

    net::awaitable<void> wait_for_completion() {
        error_code woken;
        co_await room_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }

    void set_error(const error_code& error, std::uint64_t line) {
        // Appends that failed with the log's first failure outrank those refused because of it,
        // whatever the order.
        if (!error_ || line < failed_line_) {
            error_ = error;
            failed_line_ = line;
        }
    }

    const append_options& options_;
    log& log_;
    input_reader& input_;
    net::steady_timer room_;  ///< never expires; cancelled when appends completed
    output printed_;
    std::string partial_line_;  ///< the end of the input so far, without its newline yet
    std::deque<record_in_flight> in_flight_;
    std::uint64_t lines_ = 0;  ///< appended
    std::uint64_t completed_ = 0;
    std::uint64_t first_line_in_flight_ = 1;
    std::uint64_t bytes_in_flight_ = 0;
    bool is_print_posted_ = false;
    error_code error_;
    std::uint64_t failed_line_ = 0;
    error_code output_error_;
};

void report_recovery(const append_options& options, const open_report& found) {
    if (found.cut_bytes == 0 || options.quiet) {
        return;
    }
    std::string text = options.directory + ": an unfinished write of " +
                       std::to_string(found.cut_bytes) + " bytes was cut from " +
                       found.cut_segment + " at byte " + std::to_string(found.cut_position_bytes);
    text += found.lost_file.empty() ? "; no copy of it could be kept"
                                    : "; a copy is kept in " + found.lost_file;
    print_error("append", text);
}

exit_code report_outcome(const append_options& options, const log& target,
                         const input_reader& input, const line_appender& lines) {
    if (lines.error()) {
        const std::string line =
            options.directory + ": line " + std::to_string(lines.failed_line());
        if (lines.error() == errc::record_too_large) {
            print_error("append", line + " is larger than " +
                                      std::to_string(log_options().record_size_bytes_max) +
                                      " bytes, the most a record may have; split it (the lines "
                                      "before it are stored)");
            return exit_code::error;
        }
        // Refused for want of space, nothing of this line was written: the rest can follow later.
        const bool can_go_on = lines.error() == errc::no_space;
        print_error("append",
                    describe_error("append", line, lines.error(), target.failure_cause()) +
                        (can_go_on ? ", with this line first; those before it are stored"
                                   : "; the lines before it are stored"));
        return to_exit_code(lines.error());
    }
    if (lines.output_error()) {
        print_error("append",
                    "standard output: " + lines.output_error().message() +
                        "; what was appended is stored, use --quiet to append without output");
        return exit_code::error;
    }
    if (input.error()) {
        print_error("append", "standard input: " + input.error().message() +
                                  "; what was read before it is stored");
        return exit_code::error;
    }
    return exit_code::ok;
}

net::awaitable<exit_code> append(const append_options& options, engine& machine) {
    open_report found;
    log_options how;
    how.segment_size_bytes = options.segment_size_bytes;
    how.report = &found;
    result<log> opened = co_await machine.async_open(options.directory, how);
    if (!opened) {
        co_return fail("append", options.directory, opened.error(), found.refused);
    }
    log target = std::move(opened).value();
    report_recovery(options, found);

    input_reader input(machine.get_executor(), STDIN_FILENO);
    net::signal_set signals(machine.get_executor(), SIGINT, SIGTERM);
    signals.async_wait([&input, &signals](const error_code& cancelled, int) {
        if (!cancelled) {
            input.stop();
            signals.clear();  // the second signal kills
        }
    });
    line_appender lines(options, target, input);
    co_await lines.run();
    signals.cancel();
    exit_code outcome = report_outcome(options, target, input, lines);
    const result<void> closed = co_await target.async_close();
    if (!closed && outcome == exit_code::ok) {
        outcome = fail("append", options.directory, closed.error(), target.failure_cause());
    }
    co_return outcome;
}

}  // namespace

void add_append_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<append_options>();
    const auto run = [options] {
        return run_session("append",
                           [options](engine& machine) { return append(*options, machine); });
    };
    CLI::App& verb =
        add_verb(app, chosen,
                 {"append", "Append the lines of standard input, one record a line",
                  R"(Prints the offset of each record, in order, once the record is on stable
storage. A record is what stands between two newlines; empty lines are records,
and so is a last line without newline. Empty input only opens, recovers and
closes the log. SIGINT and SIGTERM finish what was read and close; a second one
kills.

Examples:
  caisson append /var/lib/app/log < events.txt
  tail -F app.log | caisson append /var/lib/app/log --quiet
  caisson append /var/lib/app/log --segment-size 256M --iodepth 1024 < events.txt > acknowledged)"},
                 run);
    add_directory(verb, options->directory, "Directory of the log; created when missing");
    add_segment_size_option(verb, options->segment_size_bytes);
    add_number_option(verb, "--iodepth", options->iodepth, "Records in flight at most [256]",
                      {1, 1U << 20});
    add_flag(verb, "--quiet", options->quiet, "Do not print offsets");
}

}  // namespace caisson::tools
