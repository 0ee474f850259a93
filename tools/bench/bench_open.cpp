// A log with ten thousand sealed segments, quickly: one commit a record is appended to one segment,
// which is sealed and then split, each commit into a file of its own. What results is a valid log
// ('caisson verify' agrees); writing it by rotation would take ten thousand times two directory
// syncs.

#include "tools/bench/bench_open.hpp"

#include <caisson/engine.hpp>
#include <caisson/log.hpp>

#include "format/names.hpp"
#include "format/scan.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace caisson::tools {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint32_t repetitions = 15;

/// The steps of one log's life. Each returns false after noting what went wrong.
class open_job {
public:
    open_job(std::string directory, std::uint32_t sealed_segments)
        : directory_(std::move(directory)), sealed_segments_(sealed_segments) {}

    detailed<open_figures> run() {
        auto made = engine::on(loop_);
        if (!made) {
            return made.error();
        }
        net::co_spawn(loop_, drive(made.value()), [](std::exception_ptr thrown) {
            if (thrown) {
                std::rethrow_exception(thrown);
            }
        });
        loop_.run();
        if (problem_) {
            return *problem_;
        }
        std::sort(times_.begin(), times_.end());
        open_figures figures;
        figures.sealed_segments = sealed_segments_;
        figures.repetitions = repetitions;
        figures.open_time = times_[times_.size() / 2];
        return figures;
    }

private:
    net::awaitable<void> drive(engine& machine) {
        // The records of the segment that is split, then one that does not fit behind them and so
        // seals it.
        if (co_await append(machine, std::uint64_t{1} << 30, sealed_segments_, 1) &&
            co_await append(machine, std::uint64_t{64} << 10, 1, std::size_t{64} << 10) &&
            split_first_segment()) {
            for (std::uint32_t i = 0; i < repetitions + 1; ++i) {
                if (!co_await time_one_open(
                        machine, i > 0)) {  // the first one meets what the split left: not counted
                    break;
                }
            }
        }
        const result<void> closed = co_await machine.async_close();
        check(closed, std::nullopt);
    }

    net::awaitable<std::optional<log>> open(engine& machine, std::uint64_t segment_size_bytes) {
        open_report found;
        log_options how;
        how.segment_size_bytes = segment_size_bytes;
        how.report = &found;
        result<log> opened = co_await machine.async_open(directory_, how);
        if (!opened) {
            note(opened.error(), found.refused);
            co_return std::nullopt;
        }
        co_return std::move(opened).value();
    }

    net::awaitable<bool> append(engine& machine, std::uint64_t segment_size_bytes,
                                std::uint64_t records, std::size_t record_bytes) {
        std::optional<log> target = co_await open(machine, segment_size_bytes);
        if (!target) {
            co_return false;
        }
        const std::vector<std::byte> payload(record_bytes, std::byte{'x'});
        const net::const_buffer record(payload.data(), payload.size());
        for (std::uint64_t i = 0; i < records && !problem_;
             ++i) {  // one at a time: each is a commit
            const result<append_receipt> done = co_await target->async_append(record);
            if (!done) {
                note(done.error(), target->failure_cause());
            }
        }
        const result<void> closed = co_await target->async_close();
        co_return check(closed, target->failure_cause());
    }

    bool split_first_segment() {
        const std::string first = directory_ + "/" + format::segment_name(log_offset(0));
        std::ifstream input(first, std::ios::binary);
        const std::vector<char> bytes((std::istreambuf_iterator<char>(input)),
                                      std::istreambuf_iterator<char>());
        const std::string_view header(bytes.data(), std::min(bytes.size(), header_bytes));
        std::filesystem::remove(
            directory_ + "/" +
            format::index_name(log_offset(0)));  // derived, and wrong from now on
        format::scan_params params;
        params.commit_size_bytes_max = bytes.size();
        format::segment_scanner scanner(params);
        const format::byte_window whole{std::as_bytes(std::span(bytes)), 0, true};
        std::uint64_t commits = 0;
        for (format::scan_event at = scanner.next(whole); at.step == format::scan_step::commit;
             at = scanner.next(whole)) {
            std::ofstream part(directory_ + "/" + format::segment_name(at.commit.begin),
                               std::ios::binary);
            part << header
                 << std::string_view(bytes.data() + at.position_bytes,
                                     static_cast<std::size_t>(at.commit.size_bytes));
            if (!part.flush()) {
                note(make_error_code(errc::no_space), std::nullopt);
                return false;
            }
            ++commits;
        }
        if (commits != sealed_segments_) {
            problem_ = failure(errc::malformed, "the segment holds " + std::to_string(commits) +
                                                    " commits instead of " +
                                                    std::to_string(sealed_segments_))
                           .in_file(first);
        }
        return !problem_;
    }

    net::awaitable<bool> time_one_open(engine& machine, bool is_counted) {
        const auto before = clock::now();
        std::optional<log> target = co_await open(machine, std::uint64_t{64} << 10);
        const auto after = clock::now();
        if (!target) {
            co_return false;
        }
        if (is_counted) {
            times_.push_back(after - before);
        }
        const result<void> closed = co_await target->async_close();
        co_return check(closed, target->failure_cause());
    }

    bool check(const result<void>& outcome, const std::optional<failure>& story) {
        if (!outcome) {
            note(outcome.error(), story);
        }
        return !problem_;
    }
    void note(const error_code& error, const std::optional<failure>& story) {
        if (!problem_) {
            problem_ = story ? *story : failure(error, "").in_file(directory_);
        }
    }

    static constexpr std::size_t header_bytes = format::layout::segment_header::size_bytes;

    std::string directory_;
    std::uint32_t sealed_segments_;
    net::io_context loop_{1};
    std::vector<std::chrono::nanoseconds> times_;
    std::optional<failure> problem_;
};

}  // namespace

detailed<open_figures> run_open_job(const std::string& directory, std::uint32_t sealed_segments) {
    return open_job(directory + "/segments-" + std::to_string(sealed_segments), sealed_segments)
        .run();
}

double open_us_per_segment(const std::vector<open_figures>& logs) {
    if (logs.size() < 2) {
        return 0;
    }
    const auto fewer = [](const open_figures& a, const open_figures& b) {
        return a.sealed_segments < b.sealed_segments;
    };
    const auto [small, large] = std::minmax_element(logs.begin(), logs.end(), fewer);
    if (small->sealed_segments == large->sealed_segments) {
        return 0;
    }
    return std::chrono::duration<double, std::micro>(large->open_time - small->open_time).count() /
           (large->sealed_segments - small->sealed_segments);
}

}  // namespace caisson::tools
