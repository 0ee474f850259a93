#pragma once
// The bare io_uring loop: what the device and the kernel give a program that does nothing but
// durable writes. The denominator of every ratio that `caisson bench --baseline` prints. Knows
// nothing about logs. Read docs/benchmarks.md.

#include <cstdint>
#include <string>

namespace caisson::bench {

class bare_loop_options {
public:
    bare_loop_options() noexcept {}

    std::string directory = ".";
    std::uint32_t block_bytes = 4096;  ///< rounded up to a multiple of 4096
    unsigned iodepth = 1;              ///< writes in flight, 1..1024
    /// overwritten sequentially, over and over; at least one block a slot
    std::uint64_t region_bytes = 1U << 30;
    double runtime_seconds = 3;
    bool huge_pages = false;  ///< what is written lies on huge pages; an error without any
};

struct bare_loop_result {
    int error_number = 0;          ///< an errno; 0: success
    const char* failed_call = "";  ///< of io_uring, or empty: the file's preparation failed
    /// what the ring got: setup flags, registered file and buffer
    std::string flags;
    std::uint64_t writes = 0;
    double seconds = 0;
    double iops = 0;
    double bandwidth_bytes = 0;         ///< a second
    std::uint64_t latency_ns_mean = 0;  ///< submission to completion seen
    std::uint64_t latency_ns_p50 = 0;
    std::uint64_t latency_ns_p99 = 0;
    std::uint64_t latency_ns_p999 = 0;
    std::uint64_t latency_ns_max = 0;
};

/// Writes a file of `region_bytes` full of zeros, syncs it, overwrites it with O_DIRECT and
/// RWF_DSYNC for `runtime_seconds`, and removes it. Runs on the calling thread.
bare_loop_result run_bare_loop(const bare_loop_options& options);

}  // namespace caisson::bench
