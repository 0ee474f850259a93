// Scratch directories and the process's CPU clock.

#include "tools/bench/bench_options.hpp"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

namespace caisson::tools {

/// A thread that takes SIGINT and SIGTERM while no other does: removes the directory, however often
/// the jobs that still run put something into it, and ends the process as the signal would have.
class scratch_directory::signal_watch {
public:
    explicit signal_watch(std::string path) {
        ::sigemptyset(&taken_);
        ::sigaddset(&taken_, SIGINT);
        ::sigaddset(&taken_, SIGTERM);
        ::sigaddset(&taken_, woken_by);
        ::pthread_sigmask(SIG_BLOCK, &taken_, &before_);
        thread_ = std::thread([this, path = std::move(path)] { watch(path); });
    }
    signal_watch(const signal_watch&) = delete;
    signal_watch& operator=(const signal_watch&) = delete;
    ~signal_watch() {
        ::pthread_kill(thread_.native_handle(), woken_by);
        thread_.join();
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    static constexpr int woken_by = SIGUSR2;

    void watch(const std::string& path) const {
        int signal = 0;
        ::sigwait(&taken_, &signal);
        if (signal == woken_by) {
            return;
        }
        constexpr int attempts_max = 1000;
        std::error_code failed;
        for (int k = 0; k < attempts_max && std::filesystem::exists(path, failed); ++k) {
            std::filesystem::remove_all(path, failed);
        }
        ::signal(signal, SIG_DFL);
        ::pthread_sigmask(SIG_UNBLOCK, &taken_, nullptr);
        ::raise(signal);
    }

    sigset_t taken_{};
    sigset_t before_{};
    std::thread thread_;
};

scratch_directory::scratch_directory(std::string path, bool keep)
    : path_(std::move(path)),
      keep_(keep),
      watch_(keep ? nullptr : std::make_unique<signal_watch>(path_)) {}

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
    : path_(std::exchange(other.path_, {})), keep_(other.keep_), watch_(std::move(other.watch_)) {}

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
