// Scratch directories and the process's CPU clock.

#include "tools/bench/bench_options.hpp"

#include <stdlib.h>
#include <time.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace caisson::tools {

detailed<scratch_directory> scratch_directory::create(const std::string& below, bool keep) {
    std::string path = below + "/caisson-bench-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return failure(error_code(errno, boost::system::system_category()), "")
            .in_file(below)
            .advise("--directory names an existing directory that may be written to");
    }
    return scratch_directory(std::move(path), keep);
}

scratch_directory::scratch_directory(scratch_directory&& other) noexcept
    : path_(std::exchange(other.path_, {})), keep_(other.keep_) {}

scratch_directory::~scratch_directory() {
    if (!path_.empty() && !keep_) {
        std::error_code ignored;  // what cannot be removed stays visible under its telling name
        std::filesystem::remove_all(path_, ignored);
    }
}

std::chrono::nanoseconds process_cpu_time() noexcept {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

}  // namespace caisson::tools
