// From disk: what a server's start costs. From memory: what of it is ours and not the device's.

#include "tools/bench/bench_read.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>

#include "format/names.hpp"
#include "format/scan.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace caisson::tools {
namespace {

using clock = std::chrono::steady_clock;

/// What both replays begin with: an engine, a view, something done with it.
class view_job {
public:
    explicit view_job(std::string directory) : directory_(std::move(directory)) {}
    view_job(const view_job&) = delete;
    view_job& operator=(const view_job&) = delete;

    std::optional<failure> run() {
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
        return problem_;
    }

    replay_figures figures;  ///< filled when `is_replayed`
    view_facts facts;
    bool is_replayed = true;

private:
    net::awaitable<void> drive(engine& machine) {
        open_report found;
        const result<log_view> view = co_await machine.async_open_view(directory_, &found);
        if (!view) {
            note(view.error(), found.refused);
        } else {
            facts = view.value().facts();
            if (is_replayed) {
                co_await replay(view.value());
            }
        }
        const result<void> closed = co_await machine.async_close();
        if (!closed) {
            note(closed.error(), std::nullopt);
        }
    }

    net::awaitable<void> replay(const log_view& view) {
        log_reader reader = view.reader(view.begin());
        const auto begin = clock::now();
        auto before = begin;
        for (;;) {
            const result<commit_batch> batch = co_await reader.async_next();
            if (!batch) {
                note(batch.error(), reader.failure_cause());
                break;
            }
            if (batch.value().empty()) {
                break;
            }
            for (const std::span<const std::byte> record : batch.value()) {
                figures.payload_bytes += record.size();
            }
            figures.records += batch.value().record_count();
            figures.io.io_bytes += batch.value().facts().size_bytes;
            ++figures.io.total_ios;
            const auto after = clock::now();
            figures.io.clat.record(static_cast<std::uint64_t>((after - before).count()));
            before = after;
        }
        figures.io.runtime = clock::now() - begin;
    }

    void note(const error_code& error, const std::optional<failure>& story) {
        if (!problem_) {
            problem_ = story ? *story : failure(error, "").in_file(directory_);
        }
    }

    std::string directory_;
    net::io_context loop_{1};
    std::optional<failure> problem_;
};

detailed<std::vector<std::byte>> load(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<std::byte> bytes;
    if (file >= 0) {
        const off_t length = ::lseek(file, 0, SEEK_END);
        bytes.resize(static_cast<std::size_t>(std::max<off_t>(length, 0)));
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t count =
                ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
            if (count <= 0) {
                break;
            }
            done += static_cast<std::size_t>(count);
        }
        if (done == bytes.size()) {
            ::close(file);
            return bytes;
        }
    }
    const error_code error(errno, boost::system::system_category());
    if (file >= 0) {
        ::close(file);
    }
    return failure(error, "").in_file(path);
}

struct loaded_segment {
    std::string path;
    log_offset begin;
    std::vector<std::byte> bytes;
};

/// Decodes and verifies everything once. Returns the bytes of valid commits, or where it stopped
/// too early.
detailed<std::uint64_t> verify_in_memory(const std::vector<loaded_segment>& segments,
                                         const view_facts& facts) {
    std::uint64_t bytes = 0;
    std::optional<std::uint32_t> previous_crc;
    for (const loaded_segment& segment : segments) {
        format::scan_params params;
        params.expected_begin = segment.begin;
        params.previous_crc = previous_crc;
        params.commit_size_bytes_max = segment.bytes.size();
        if (!facts.is_foreign) {
            params.log_id = facts.log_id;
        }
        const format::byte_window whole{segment.bytes, 0, true};
        format::segment_scanner scanner(params);
        format::scan_event event;
        do {
            event = scanner.next(whole);
        } while (event.step == format::scan_step::commit);
        if (const error_code error = to_error(event.why)) {
            return failure(error, "").in_file(segment.path).at_byte(event.position_bytes);
        }
        bytes += scanner.prefix().end_position_bytes - format::layout::segment_header::size_bytes;
        previous_crc = scanner.prefix().last_crc;
    }
    return bytes;
}

}  // namespace

detailed<replay_figures> run_replay(const std::string& directory) {
    view_job job(directory);
    if (const std::optional<failure> problem = job.run()) {
        return *problem;
    }
    return job.figures;
}

detailed<memory_figures> run_memory_replay(const std::string& directory,
                                           std::chrono::nanoseconds runtime) {
    view_job job(directory);
    job.is_replayed = false;
    if (const std::optional<failure> problem = job.run()) {
        return *problem;
    }
    std::vector<loaded_segment> segments;
    for (const segment_summary& segment : job.facts.segments) {
        const std::string path = directory + "/" + segment.name;
        auto bytes = load(path);
        if (!bytes) {
            return std::move(bytes).error();
        }
        segments.push_back(loaded_segment{path, segment.begin, std::move(bytes).value()});
    }
    memory_figures figures;
    std::vector<clock::duration> passes;
    const auto begin = clock::now();
    // At least three passes: the first also faults the pages in.
    while (passes.size() < 3 || clock::now() - begin < runtime) {
        const auto before = clock::now();
        const auto bytes = verify_in_memory(segments, job.facts);
        if (!bytes) {
            return bytes.error();
        }
        passes.push_back(clock::now() - before);
        figures.bytes = bytes.value();
    }
    figures.passes = passes.size();
    std::sort(passes.begin(), passes.end());
    figures.pass_time = passes[passes.size() / 2];
    return figures;
}

}  // namespace caisson::tools
