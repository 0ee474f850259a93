// Translates options and figures; the loop itself is bare_loop.cpp.

#include "tools/bench/bench_baseline.hpp"

#include "tools/bench/bare_loop.hpp"

#include <algorithm>
#include <chrono>

namespace caisson::tools {
namespace {

// A run of ours that writes little must not be compared with a loop inside one erase block.
constexpr std::uint64_t region_bytes_min = std::uint64_t{64} << 20;

}  // namespace

detailed<bare_figures> run_baseline(const bench_options& options, const std::string& directory,
                                    std::uint64_t region_bytes) {
    bench::bare_loop_options how;
    how.directory = directory;
    how.block_bytes = static_cast<std::uint32_t>(options.baseline_block_size_bytes);
    how.iodepth = options.baseline_iodepth;
    how.region_bytes = std::max(region_bytes, region_bytes_min);
    how.runtime_seconds = std::chrono::duration<double>(options.runtime).count();
    const bench::bare_loop_result got = bench::run_bare_loop(how);
    if (!got.error.empty()) {
        return failure(errc::uring_unavailable, "the bare loop failed: " + got.error)
            .in_file(directory)
            .advise("run without --baseline, or put --directory on a disk that takes direct I/O");
    }
    bare_figures figures;
    figures.writes = got.writes;
    figures.runtime = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(got.seconds));
    figures.iops = got.iops;
    figures.bytes_per_second = got.bandwidth_bytes;
    figures.mean_ns = got.latency_ns_mean;
    figures.p50_ns = got.latency_ns_p50;
    figures.p99_ns = got.latency_ns_p99;
    figures.p999_ns = got.latency_ns_p999;
    figures.max_ns = got.latency_ns_max;
    figures.flags = got.flags;
    return figures;
}

}  // namespace caisson::tools
