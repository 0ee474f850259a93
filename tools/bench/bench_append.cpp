// One clock reading an append: the end of one is the beginning of the next. Threads share nothing
// until they are joined.

#include "tools/bench/bench_append.hpp"

#include <caisson/engine.hpp>
#include <caisson/log.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace caisson::tools {
namespace {

using clock = std::chrono::steady_clock;

/// One engine, one log, options.iodepth coroutines.
class append_job {
public:
    append_job(const bench_options& options, std::string directory)
        : options_(options),
          directory_(std::move(directory)),
          all_ended_(loop_),
          payload_(static_cast<std::size_t>(options.block_size_bytes), std::byte{0x5a}) {
        all_ended_.expires_at(clock::time_point::max());
    }

    void run() {
        auto made = options_.own_thread ? engine::on_own_thread() : engine::on(loop_);
        if (!made) {
            problem_.emplace(made.error());
            return;
        }
        figures_.engine = made.value().describe();
        net::co_spawn(loop_, drive(made.value()), [](std::exception_ptr thrown) {
            if (thrown) {
                std::rethrow_exception(thrown);
            }
        });
        loop_.run();
    }

    [[nodiscard]] const std::optional<failure>& problem() const { return problem_; }
    [[nodiscard]] const append_figures& figures() const { return figures_; }

private:
    net::awaitable<void> drive(engine& machine) {
        open_report found;
        log_options how;
        how.segment_size_bytes = options_.segment_size_bytes;
        how.existing = open_existing::never;
        how.report = &found;
        result<log> opened = co_await machine.async_open(directory_, how);
        if (opened) {
            target_ = std::move(opened).value();
            co_await append_all();
            figures_.stats = target_.stats();
            const result<void> closed = co_await target_.async_close();
            note(closed, target_.failure_cause());
        } else {
            note(opened.error(), found.refused);
        }
        const result<void> ended = co_await machine.async_close();
        note(ended, std::nullopt);
    }

    net::awaitable<void> append_all() {
        const auto executor = co_await net::this_coro::executor;
        running_ = options_.iodepth;
        const auto cpu_before = process_cpu_time();
        const auto begin = clock::now();
        deadline_ = begin + options_.runtime;
        for (std::uint32_t i = 0; i < options_.iodepth; ++i) {
            net::co_spawn(executor, append_in_a_loop(), [this](std::exception_ptr thrown) {
                if (thrown) {
                    std::rethrow_exception(thrown);
                }
                if (--running_ == 0) {
                    all_ended_.cancel();
                }
            });
        }
        error_code woken;
        co_await all_ended_.async_wait(net::redirect_error(net::use_awaitable, woken));
        figures_.io.runtime = clock::now() - begin;
        figures_.cpu_time = process_cpu_time() - cpu_before;
        figures_.io.io_bytes = figures_.io.total_ios * payload_.size();
    }

    net::awaitable<void> append_in_a_loop() {
        const net::const_buffer record(payload_.data(), payload_.size());
        auto before = clock::now();
        while (before < deadline_ && !problem_ && !is_size_reached()) {
            ++started_;
            const result<append_receipt> done = co_await target_.async_append(record);
            if (!done) {
                note(done.error(), target_.failure_cause());
                co_return;
            }
            const auto after = clock::now();
            figures_.io.clat.record(static_cast<std::uint64_t>((after - before).count()));
            ++figures_.io.total_ios;
            before = after;
        }
    }

    [[nodiscard]] bool is_size_reached() const {
        return options_.size_bytes != 0 && started_ * payload_.size() >= options_.size_bytes;
    }

    void note(const result<void>& outcome, const std::optional<failure>& story) {
        if (!outcome) {
            note(outcome.error(), story);
        }
    }
    void note(const error_code& error, const std::optional<failure>& story) {
        if (!problem_) {
            problem_ = story ? *story : failure(error, "").in_file(directory_);
        }
    }

    const bench_options& options_;
    std::string directory_;
    net::io_context loop_{1};
    net::steady_timer all_ended_;  ///< never expires; cancelled by the last coroutine
    std::vector<std::byte> payload_;
    log target_;
    clock::time_point deadline_;
    std::uint64_t started_ = 0;
    std::uint32_t running_ = 0;
    append_figures figures_;
    std::optional<failure> problem_;
};

}  // namespace

detailed<append_figures> run_append_jobs(const bench_options& options,
                                         const std::string& directory) {
    std::vector<std::unique_ptr<append_job>> jobs;
    for (std::uint32_t i = 0; i < options.numjobs; ++i) {
        jobs.push_back(
            std::make_unique<append_job>(options, directory + "/job-" + std::to_string(i)));
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < jobs.size(); ++i) {
        threads.emplace_back([job = jobs[i].get()] { job->run(); });
    }
    jobs.front()->run();
    for (std::thread& thread : threads) {
        thread.join();
    }
    append_figures sum = jobs.front()->figures();
    for (const auto& job : jobs) {
        if (job->problem()) {
            return *job->problem();
        }
        if (job != jobs.front()) {
            sum.io.clat.merge(job->figures().io.clat);
            sum.io.total_ios += job->figures().io.total_ios;
            sum.io.io_bytes += job->figures().io.io_bytes;
            sum.io.runtime = std::max(sum.io.runtime, job->figures().io.runtime);
            // Every job saw the whole process; the longest look saw most of it.
            sum.cpu_time = std::max(sum.cpu_time, job->figures().cpu_time);
        }
    }
    sum.jobs = options.numjobs;
    return sum;
}

}  // namespace caisson::tools
