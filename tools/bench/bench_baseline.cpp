// Translates options and figures; the loop itself is bare_loop.cpp.

#include "tools/bench/bench_baseline.hpp"

#include "tools/bench/bare_loop.hpp"

#include "uring/kernel_port.hpp"

#include <algorithm>
#include <chrono>
#include <string>

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
    how.huge_pages = options.baseline_huge_pages;
    how.runtime_seconds = std::chrono::duration<double>(options.runtime).count();
    const bench::bare_loop_result got = bench::run_bare_loop(how);
    if (got.error_number != 0) {
        if (*got.failed_call != '\0') {
            return uring::explain_unavailable(got.error_number, got.failed_call);
        }
        const error_code why(got.error_number, boost::system::system_category());
        return failure(why, "the bare loop cannot use a file of " +
                                std::to_string(how.region_bytes) + " bytes: " + why.message())
            .in_file(directory)
            .advise(why == condition::no_space
                        ? "free space, or raise the file size limit (ulimit -f)"
                        : "put --directory on a disk that takes direct I/O");
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
