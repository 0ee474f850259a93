// `caisson bench`: the speed of this machine's disk through Caisson, and beside it the speed of the
// same disk through a bare io_uring loop, because absolute numbers of a shared machine mean little.
// Knows nothing about how jobs measure.

#include "tools/bench/bench_append.hpp"
#include "tools/bench/bench_baseline.hpp"
#include "tools/bench/bench_open.hpp"
#include "tools/bench/bench_options.hpp"
#include "tools/bench/bench_read.hpp"
#include "tools/bench/bench_report.hpp"
#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/json.hpp"
#include "tools/output.hpp"

#include <caisson/options.hpp>

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::tools {
namespace {

// Enough that a replay takes longer than its start, and does not fit into any cache.
constexpr std::uint64_t replay_size_bytes = std::uint64_t{256} << 20;

exit_code give_up(const failure& problem) { return fail("bench", {}, problem.code(), problem); }

exit_code finish(output& out, const bench_options& options, const json::object& document) {
    if (options.json) {
        put_json_pretty(out, document);
    }
    if (const error_code failed = out.flush()) {
        print_error("bench", "standard output: " + failed.message());
        return exit_code::error;
    }
    return exit_code::ok;
}

exit_code bench_append(const bench_options& options) {
    output out(STDOUT_FILENO);
    std::vector<measured_pair> pairs;
    for (std::uint32_t i = 0; i < options.pairs; ++i) {
        auto scratch = scratch_directory::create(options.directory, options.keep);
        if (!scratch) {
            return give_up(scratch.error());
        }
        auto ours = run_append_jobs(options, scratch.value().path());
        if (!ours) {
            return give_up(ours.error());
        }
        measured_pair pair{std::move(ours).value(), std::nullopt};
        if (options.baseline) {
            auto bare =
                run_baseline(options, scratch.value().path(), pair.ours.stats.bytes_written);
            if (!bare) {
                return give_up(bare.error());
            }
            pair.bare = std::move(bare).value();
        }
        if (!options.json) {
            put_append_text(out, options, pair);
            out.flush();
        }
        pairs.push_back(std::move(pair));
    }
    if (options.baseline && options.pairs > 1 && !options.json) {
        put_ratio_text(out, pairs);
    }
    return finish(out, options, options.json ? append_to_json(options, pairs) : json::object());
}

exit_code bench_bare(const bench_options& options) {
    auto scratch = scratch_directory::create(options.directory, options.keep);
    if (!scratch) {
        return give_up(scratch.error());
    }
    const auto bare = run_baseline(options, scratch.value().path(), options.size_bytes);
    if (!bare) {
        return give_up(bare.error());
    }
    output out(STDOUT_FILENO);
    if (!options.json) {
        put_bare_text(out, options, bare.value());
    }
    return finish(out, options,
                  options.json ? bare_to_json(options, bare.value()) : json::object());
}

exit_code bench_read(bench_options options) {
    std::optional<scratch_directory> scratch;
    if (options.log_directory.empty()) {
        auto made = scratch_directory::create(options.directory, options.keep);
        if (!made) {
            return give_up(made.error());
        }
        scratch.emplace(std::move(made).value());
        options.numjobs = 1;
        options.size_bytes = options.size_bytes == 0 ? replay_size_bytes : options.size_bytes;
        bench_options writing = options;
        writing.runtime = std::chrono::hours{1};  // the size ends it
        const auto written = run_append_jobs(writing, scratch->path());
        if (!written) {
            return give_up(written.error());
        }
        options.log_directory = scratch->path() + "/job-0";
    }
    const auto disk = run_replay(options.log_directory);
    if (!disk) {
        return give_up(disk.error());
    }
    const auto memory = run_memory_replay(options.log_directory, options.runtime);
    if (!memory) {
        return give_up(memory.error());
    }
    output out(STDOUT_FILENO);
    if (!options.json) {
        put_read_text(out, disk.value(), memory.value());
    }
    return finish(out, options,
                  options.json ? read_to_json(options, disk.value(), memory.value())
                               : json::object());
}

exit_code bench_open(const bench_options& options) {
    auto scratch = scratch_directory::create(options.directory, options.keep);
    if (!scratch) {
        return give_up(scratch.error());
    }
    std::vector<open_figures> logs;
    for (const std::uint32_t segments : options.segments) {
        auto opened = run_open_job(scratch.value().path(), segments);
        if (!opened) {
            return give_up(opened.error());
        }
        logs.push_back(opened.value());
    }
    output out(STDOUT_FILENO);
    if (!options.json) {
        put_open_text(out, logs);
    }
    return finish(out, options, options.json ? open_to_json(logs) : json::object());
}

exit_code bench(bench_options options) {
    if (options.baseline_block_size_bytes == 0) {
        options.baseline_block_size_bytes =
            std::max<std::uint64_t>((options.block_size_bytes + 4095) / 4096, 1) * 4096;
    }
    switch (options.kind) {
    case bench_kind::append: return bench_append(options);
    case bench_kind::read: return bench_read(std::move(options));
    case bench_kind::open: return bench_open(options);
    case bench_kind::bare: return bench_bare(options);
    }
    return exit_code::error;
}

void add_job_options(CLI::App& verb, bench_options& options) {
    add_choice_option(verb, "--rw", options.kind,
                      {{"append", bench_kind::append},
                       {"read", bench_kind::read},
                       {"open", bench_kind::open},
                       {"bare", bench_kind::bare}},
                      "What is measured [append]");
    verb.add_option("--directory", options.directory,
                    "Where fresh logs are made, on the disk to measure [.]")
        ->type_name("DIR");
    add_size_option(verb, "--bs", options.block_size_bytes, "Payload bytes of an append [128]",
                    {0, log_options().record_size_bytes_max});
    add_number_option(verb, "--iodepth", options.iodepth,
                      "Appends in flight: coroutines that append in a loop [64]", {1, 1U << 20});
    add_number_option(verb, "--numjobs", options.numjobs,
                      "Engines, each on a thread and with a log of its own [1]", {1, 256});
    add_duration_option(verb, "--runtime", options.runtime,
                        "How long to append, to write, or to replay from memory [3s]");
    add_size_option(verb, "--size", options.size_bytes,
                    "Stop after so many payload bytes [no limit; read: 256M]");
    add_segment_size_option(verb, options.segment_size_bytes);
    add_flag(verb, "--own-thread", options.own_thread,
             "Engine on a thread of its own, appends on another");
    add_flag(verb, "--keep", options.keep, "Leave the logs where they are");
    verb.add_option("--log", options.log_directory, "read: replay this log instead of writing one")
        ->type_name("DIR");
    verb.add_option("--segments", options.segments, "open: sealed segments of each log [10,10000]")
        ->delimiter(',')
        ->type_name("N,N")
        ->check(CLI::Range(1U, 1'000'000U).description(""));
}

void add_comparison_options(CLI::App& verb, bench_options& options) {
    add_flag(verb, "--baseline", options.baseline,
             "Run the bare io_uring loop right after, and print the ratios");
    add_number_option(verb, "--pairs", options.pairs,
                      "Pairs of runs; their ratios and the median [1]; implies --baseline",
                      {1, 1000});
    add_size_option(verb, "--baseline-bs", options.baseline_block_size_bytes,
                    "Bytes of a bare write [--bs, rounded up to 4096]",
                    {1, std::uint64_t{1} << 30});
    add_number_option(verb, "--baseline-iodepth", options.baseline_iodepth,
                      "Bare writes in flight [1]", {1, 1024});
    add_flag(verb, "--baseline-huge-pages", options.baseline_huge_pages,
             "Bare writes from huge pages, as large groups of the log are");
    add_choice_option(verb, "--output-format", options.json, {{"normal", false}, {"json", true}},
                      "How results are printed [normal]");
}

/// An option that not every job looks at, and the jobs that do (no name is part of another one).
struct job_option {
    const char* name;
    std::string_view jobs;
};
constexpr job_option job_options[] = {
    {"--bs", "append|read|bare"},
    {"--iodepth", "append|read"},
    {"--numjobs", "append"},
    {"--runtime", "append|read|bare"},
    {"--size", "append|read|bare"},
    {"--segment-size", "append|read"},
    {"--own-thread", "append|read"},
    {"--keep", "append|read|open"},
    {"--log", "read"},
    {"--segments", "open"},
    {"--baseline", "append"},
    {"--pairs", "append"},
    {"--baseline-bs", "append|bare"},
    {"--baseline-iodepth", "append|bare"},
    {"--baseline-huge-pages", "append|bare"},
};

std::string_view name_of(bench_kind kind) {
    switch (kind) {
    case bench_kind::append: return "append";
    case bench_kind::read: return "read";
    case bench_kind::open: return "open";
    case bench_kind::bare: return "bare";
    }
    return {};
}

/// An option that the chosen job would not look at is a mistake of the user's, not a wish.
void refuse_what_does_not_apply(const CLI::App& verb, const bench_options& options) {
    if (options.runtime.count() == 0) {
        throw CLI::ValidationError("--runtime", "a run takes more than no time");
    }
    for (const job_option& option : job_options) {
        if (verb.count(option.name) > 0 &&
            option.jobs.find(name_of(options.kind)) == option.jobs.npos) {
            throw CLI::ValidationError(option.name, "only with --rw=" + std::string(option.jobs));
        }
    }
    const auto refuse = [&](std::initializer_list<const char*> names, const char* why) {
        for (const char* name : names) {
            if (verb.count(name) > 0) {
                throw CLI::ValidationError(name, why);
            }
        }
    };
    if (verb.count("--log") > 0) {
        refuse({"--bs", "--iodepth", "--size", "--segment-size", "--own-thread", "--keep"},
               "not with --log: no log is written");
    }
    if (options.kind == bench_kind::append &&
        verb.count("--baseline") + verb.count("--pairs") == 0) {
        refuse({"--baseline-bs", "--baseline-iodepth", "--baseline-huge-pages"},
               "only with --baseline or --pairs");
    }
    if (options.kind == bench_kind::bare && verb.count("--baseline-bs") > 0) {
        refuse({"--bs"}, "not with --baseline-bs, which says what is written");
    }
}

}  // namespace

void add_bench_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<bench_options>();
    CLI::App& verb =
        add_verb(app, chosen,
                 {"bench", "Measure appends, replay and open on this machine",
                  R"(append: iops are acknowledged appends a second, clat is append to durable.
read: a log is written, then replayed with verification from the disk and from
memory. open: what each further sealed segment adds to an open. bare: the
baseline alone, O_DIRECT and RWF_DSYNC over a preallocated, zero-written file.
JSON has fio's keys (jobs[0].write.iops, .bw_bytes, .clat_ns.percentile).
Compare runs of one machine only as ratios of adjacent runs: --pairs=5.

Examples:
  caisson bench --directory=/var/tmp --bs=128 --iodepth=64 --runtime=3
  caisson bench --directory=/var/tmp --iodepth=1 --pairs=5
  caisson bench --directory=/var/tmp --bs=16K --pairs=5 \
                --baseline-bs=256K --baseline-iodepth=4
  caisson bench --rw=read --directory=/var/tmp --size=1G --runtime=1s
  caisson bench --rw=open --directory=/var/tmp --segments=10,10000)"},
                 [options] { return bench(*options); });
    add_job_options(verb, *options);
    add_comparison_options(verb, *options);
    verb.parse_complete_callback([&verb, options] {
        refuse_what_does_not_apply(verb, *options);
        options->baseline = options->baseline || verb.count("--pairs") > 0;
    });
}

}  // namespace caisson::tools
