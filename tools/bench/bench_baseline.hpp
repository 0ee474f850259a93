#pragma once
// The bare loop beside our own run, in the bench's terms. Knows nothing about io_uring (bare_loop
// does).

#include "tools/bench/bench_options.hpp"

#include <caisson/failure.hpp>

#include <cstdint>
#include <string>

namespace caisson::tools {

/// Runs the bare loop for options.runtime on a file below `directory` and removes the file.
///
/// Shape: the file is at least `region_bytes` and at least 64 MiB large, so that the loop does not
/// rewrite a few hot blocks.
[[nodiscard]] detailed<bare_figures> run_baseline(const bench_options& options,
                                                  const std::string& directory,
                                                  std::uint64_t region_bytes);

}  // namespace caisson::tools
