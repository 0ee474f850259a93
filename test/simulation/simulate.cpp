// simulate: runs histories of a range of seeds and reports; the long runs of `tools/dev sim` and of
//     the release check. simulate [--first N] [--seeds N] [--bug NAME]
// Exit: 0 every history was legal, 1 one was not (its seed is printed), 2 usage.

#include "base/planted.hpp"
#include "simulation/history.hpp"
#include "simulation/planted_names.hpp"

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int usage() {
    std::fprintf(stderr, "usage: simulate [--first N] [--seeds N] [--bug NAME]\n");
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 1'000;
    for (int k = 1; k < argc; k += 2) {
        if (k + 1 == argc) {
            return usage();
        }
        const std::string name = argv[k];
        if (name == "--first") {
            first = std::strtoull(argv[k + 1], nullptr, 10);
        } else if (name == "--seeds") {
            seeds = std::strtoull(argv[k + 1], nullptr, 10);
        } else if (name == "--bug") {
            if (!caisson::sim::plant(argv[k + 1])) {
                std::fprintf(stderr,
                             "simulate: no such bug, or a build without -Dplanted_bugs=true: %s\n",
                             argv[k + 1]);
                return 2;
            }
        } else {
            return usage();
        }
    }
    caisson::sim::history_report total;
    std::uint64_t trace = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        const caisson::sim::history_report one = caisson::sim::run_history(seed);
        if (!one.complaint.empty()) {
            std::printf("seed %" PRIu64 ": %s\n", seed, one.complaint.c_str());
            return 1;
        }
        total.appends += one.appends;
        total.acknowledged += one.acknowledged;
        total.crashes += one.crashes;
        total.recoveries += one.recoveries;
        total.rotations += one.rotations;
        total.steps += one.steps;
        total.faults += one.faults;
        trace = (trace ^ one.trace_hash) * 0x100000001b3;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%" PRIu64 " seeds, %" PRIu64 " appends, %" PRIu64 " records acknowledged, %" PRIu64
                " crashes, %" PRIu64 " recoveries, %" PRIu64 " rotations, %" PRIu64
                " faults, %" PRIu64 " steps, 0 lost; %.1f s, %.0f seeds/s, trace %016" PRIx64 "\n",
                seeds, total.appends, total.acknowledged, total.crashes, total.recoveries,
                total.rotations, total.faults, total.steps, seconds,
                static_cast<double>(seeds) / seconds, trace);
    return 0;
}
