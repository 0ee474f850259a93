#pragma once
// The replay job of the bench: a whole log, verified, once from the disk through the reader and
// once from memory through the format alone. Read docs/benchmarks.md.

#include "tools/bench/bench_options.hpp"

#include <caisson/failure.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace caisson::tools {

struct replay_figures {
    io_figures io;  ///< one io = one commit read; clat = the wait for it; bytes of commits
    std::uint64_t records = 0;
    std::uint64_t payload_bytes = 0;
};

struct memory_figures {
    std::uint64_t bytes = 0;  ///< of one pass: whole commits
    std::uint64_t passes = 0;
    std::chrono::nanoseconds pass_time{0};  ///< the median pass

    [[nodiscard]] double bytes_per_second() const {
        return pass_time.count() == 0
                   ? 0
                   : static_cast<double>(bytes) / std::chrono::duration<double>(pass_time).count();
    }
};

/// Reads every record of the log in `directory` with the reader.
[[nodiscard]] detailed<replay_figures> run_replay(const std::string& directory);

/// Loads the log's segments and decodes and verifies them from memory, again and again for at least
/// `runtime`, on one core: checksums, chain, trailers, record lengths.
[[nodiscard]] detailed<memory_figures> run_memory_replay(const std::string& directory,
                                                         std::chrono::nanoseconds runtime);

}  // namespace caisson::tools
