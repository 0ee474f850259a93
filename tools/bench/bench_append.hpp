#pragma once
// The append job of the bench: coroutines that append and wait, as a server's would. Read
// docs/benchmarks.md.

#include "tools/bench/bench_options.hpp"

#include <caisson/failure.hpp>
#include <caisson/stats.hpp>

#include <chrono>
#include <string>

namespace caisson::tools {

struct append_figures {
    io_figures io;
    std::chrono::nanoseconds cpu_time{0};  ///< of the process while appending, all jobs
    std::uint32_t jobs = 0;
    log_stats stats;     ///< of the first job's log, before it was closed
    std::string engine;  ///< which mechanism was in use

    [[nodiscard]] double cpu_us_per_append() const {
        return io.total_ios == 0 ? 0
                                 : std::chrono::duration<double, std::micro>(cpu_time).count() /
                                       static_cast<double>(io.total_ios);
    }
};

/// Runs options.numjobs jobs, each into a new log below `directory`, and adds them up.
[[nodiscard]] detailed<append_figures> run_append_jobs(const bench_options& options,
                                                       const std::string& directory);

}  // namespace caisson::tools
