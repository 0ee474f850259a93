// simulate: runs histories of a range of seeds and reports; the long runs of `tools/dev sim`.
// Usage: simulate [--first N] [--seeds N] [--jobs N] [--bug NAME] [--inspect always] [--probes off]
// Exit: 0 every history was legal and long enough, 1 one was not (its seed is printed), 2 usage.

#include "base/planted_names.hpp"
#include "simulation/history.hpp"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int usage() {
    std::fprintf(stderr, "usage: simulate [--first N] [--seeds N] [--jobs N] [--bug NAME] "
                         "[--inspect always] [--probes off]\n");
    return 2;
}

/// One seed in so many is run twice: two runs are one history.
constexpr std::uint64_t seeds_per_double_run = 50;

caisson::sim::history_options how;

int run_range(std::uint64_t first, std::uint64_t seeds) {
    caisson::sim::history_report total;
    std::uint64_t trace = 0;
    std::uint64_t fewest_appends = UINT64_MAX;
    std::uint64_t fewest_crashes = UINT64_MAX;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        const caisson::sim::history_report one = seed % seeds_per_double_run == 0
                                                     ? caisson::sim::run_history_twice(seed, how)
                                                     : caisson::sim::run_history(seed, how);
        if (!one.complaint.empty()) {
            std::printf("seed %" PRIu64 ": %s\n", seed, one.complaint.c_str());
            return 1;
        }
        // No verdict on the engine: a planted bug that only shortens histories is not caught.
        if (const std::string lacking = caisson::sim::shortcoming(one); !lacking.empty()) {
            std::printf("simulate: seed %" PRIu64 " shows nothing: %s\n", seed, lacking.c_str());
            return 1;
        }
        fewest_appends = std::min(fewest_appends, one.appends);
        fewest_crashes = std::min(fewest_crashes, one.crashes);
        total.appends += one.appends;
        total.acknowledged += one.acknowledged;
        total.crashes += one.crashes;
        total.recoveries += one.recoveries;
        total.second_opens += one.second_opens;
        total.rotations += one.rotations;
        total.steps += one.steps;
        total.faults += one.faults;
        trace = (trace ^ one.trace_hash) * 0x100000001b3;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%" PRIu64 " seeds (each %" PRIu64 " appends and %" PRIu64
                " crashes or more), %" PRIu64 " appends, %" PRIu64 " records acknowledged, %" PRIu64
                " crashes, %" PRIu64 " recoveries, %" PRIu64 " of them again, %" PRIu64
                " rotations, %" PRIu64 " faults, %" PRIu64
                " steps, 0 lost; %.1f s, %.0f seeds/s, trace %016" PRIx64 "\n",
                seeds, fewest_appends, fewest_crashes, total.appends, total.acknowledged,
                total.crashes, total.recoveries, total.second_opens, total.rotations, total.faults,
                total.steps, seconds, static_cast<double>(seeds) / seconds, trace);
    return 0;
}

/// A process each: histories share nothing, and one that aborts does not take the others along.
int run_in_processes(std::uint64_t first, std::uint64_t seeds, std::uint64_t jobs) {
    for (std::uint64_t k = 0; k < jobs; ++k) {
        const std::uint64_t begin = first + seeds * k / jobs;
        const std::uint64_t end = first + seeds * (k + 1) / jobs;
        std::fflush(stdout);
        const pid_t child = ::fork();
        if (child < 0) {
            std::perror("simulate: fork");
            return 1;
        }
        if (child == 0) {
            const int outcome = run_range(begin, end - begin);
            std::fflush(stdout);
            std::_Exit(outcome);
        }
    }
    int worst = 0;
    int status = 0;
    while (::wait(&status) > 0) {
        worst = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? worst : 1;
    }
    return worst;
}

}  // namespace

int main(int argc, char** argv) {
    // Histories take and give back the same large buffers over and over: keep them mapped.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    std::uint64_t first = 1;
    std::uint64_t seeds = 1'000;
    std::uint64_t jobs = 1;
    for (int k = 1; k < argc; k += 2) {
        if (k + 1 == argc) {
            return usage();
        }
        const std::string name = argv[k];
        if (name == "--first") {
            first = std::strtoull(argv[k + 1], nullptr, 10);
        } else if (name == "--seeds") {
            seeds = std::strtoull(argv[k + 1], nullptr, 10);
        } else if (name == "--jobs") {
            jobs = std::strtoull(argv[k + 1], nullptr, 10);
        } else if (name == "--inspect" && std::strcmp(argv[k + 1], "always") == 0) {
            how.inspects = caisson::sim::inspection::always;
        } else if (name == "--probes" && std::strcmp(argv[k + 1], "off") == 0) {
            how.has_probes = false;
        } else if (name == "--bug") {
            if (!caisson::plant(argv[k + 1])) {
                std::fprintf(stderr,
                             "simulate: no such bug, or a build without -Dplanted_bugs=true: %s\n",
                             argv[k + 1]);
                return 2;
            }
        } else {
            return usage();
        }
    }
    return jobs <= 1 ? run_range(first, seeds) : run_in_processes(first, seeds, jobs);
}
