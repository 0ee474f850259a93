#pragma once
// What `caisson bench` was asked to do, and a fresh directory to do it in. Knows nothing about
// logs.

#include "tools/bench/bench_histogram.hpp"

#include <caisson/failure.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace caisson::tools {

enum class bench_kind : std::uint8_t { append, read, open, bare };

struct bench_options {
    bench_kind kind = bench_kind::append;
    std::string directory = ".";
    std::uint64_t block_size_bytes = 128;  ///< payload of one append
    std::uint32_t iodepth = 64;            ///< appends in flight a job
    std::uint32_t numjobs = 1;  ///< engines, each on a thread of its own with a log of its own
    std::chrono::nanoseconds runtime = std::chrono::seconds{3};
    std::uint64_t size_bytes = 0;  ///< stop after so many payload bytes; 0: by runtime only
    std::uint64_t segment_size_bytes = std::uint64_t{64} << 20;
    bool own_thread = false;  ///< the engine on its own thread, the appends on another
    bool keep = false;        ///< leave the logs
    bool json = false;
    bool baseline = false;
    std::uint32_t pairs = 1;
    std::uint64_t baseline_block_size_bytes = 0;  ///< 0: block_size_bytes rounded up to 4096
    std::uint32_t baseline_iodepth = 1;
    bool baseline_huge_pages = false;
    std::string log_directory;  ///< --rw=read: replay this log instead of writing one
    std::vector<std::uint32_t> segments = {10, 10'000};
};

/// What was measured of one of our jobs.
struct io_figures {
    latency_histogram clat;  ///< append to durable
    std::uint64_t total_ios = 0;
    std::uint64_t io_bytes = 0;  ///< payload
    std::chrono::nanoseconds runtime{0};

    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(runtime).count(); }
    [[nodiscard]] double iops() const {
        return runtime.count() == 0 ? 0 : static_cast<double>(total_ios) / seconds();
    }
    [[nodiscard]] double bytes_per_second() const {
        return runtime.count() == 0 ? 0 : static_cast<double>(io_bytes) / seconds();
    }
};

/// What the bare loop measured.
struct bare_figures {
    std::uint64_t writes = 0;
    std::chrono::nanoseconds runtime{0};
    double iops = 0;
    double bytes_per_second = 0;
    std::uint64_t mean_ns = 0;
    std::uint64_t p50_ns = 0;
    std::uint64_t p99_ns = 0;
    std::uint64_t p999_ns = 0;
    std::uint64_t max_ns = 0;
    std::string flags;  ///< what the ring got
};

/// A new empty directory below another one; it and everything in it goes with the object, or with
/// the process when SIGINT or SIGTERM ends that, unless told to stay. One at a time; made before
/// any other thread is started.
class scratch_directory {
    class signal_watch;

public:
    /// Errors: of mkdtemp(3).
    static detailed<scratch_directory> create(const std::string& below, bool keep);
    scratch_directory(scratch_directory&& other) noexcept;
    scratch_directory& operator=(scratch_directory&&) = delete;
    ~scratch_directory();

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    scratch_directory(std::string path, bool keep);

    std::string path_;  ///< empty: moved away
    bool keep_;
    std::unique_ptr<signal_watch> watch_;  ///< none if the directory is to stay
};

/// CPU time, user and system, that the process has used.
[[nodiscard]] std::chrono::nanoseconds process_cpu_time() noexcept;

}  // namespace caisson::tools
