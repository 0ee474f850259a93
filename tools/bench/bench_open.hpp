#pragma once
// The open job of the bench: what each further sealed segment adds to the time an open takes. Read
// docs/benchmarks.md.

#include "tools/bench/bench_options.hpp"

#include <caisson/failure.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace caisson::tools {

struct open_figures {
    std::uint32_t sealed_segments = 0;
    std::uint32_t repetitions = 0;
    std::chrono::nanoseconds open_time{0};  ///< the median
};

/// Builds a log with that many sealed segments below `directory`, closes it cleanly, then opens it
/// again and again.
[[nodiscard]] detailed<open_figures> run_open_job(const std::string& directory,
                                                  std::uint32_t sealed_segments);

/// Microseconds that one further segment costs, between the smallest and the largest log.
[[nodiscard]] double open_us_per_segment(const std::vector<open_figures>& logs);

}  // namespace caisson::tools
