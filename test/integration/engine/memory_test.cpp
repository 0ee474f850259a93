// What an engine does when there is no memory for a record. Not under sanitizers: their allocators
// end the process there.

#include "support/temp_directory.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>

#include <unistd.h>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caisson::test {
namespace {

template <class T, class Start>
result<T> finish(net::io_context& home, Start start) {
    std::optional<result<T>> outcome;
    start([&outcome](result<T> got) { outcome.emplace(std::move(got)); });
    home.restart();
    while (!outcome && home.run_one() > 0) {
    }
    return std::move(*outcome);
}

/// Lets the process have no more than `bytes` beyond what it has.
class memory_limit {
public:
    explicit memory_limit(std::uint64_t bytes) {
        std::uint64_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        REQUIRE(::getrlimit(RLIMIT_AS, &before_) == 0);
        const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        const rlimit now{pages * page_bytes + bytes, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_AS, &now) == 0);
    }
    memory_limit(const memory_limit&) = delete;
    memory_limit& operator=(const memory_limit&) = delete;
    ~memory_limit() { ::setrlimit(RLIMIT_AS, &before_); }

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("a record without memory for it leaves a log that closes and opens", "[engine][memory]") {
    temp_directory directory;
    const std::string path = directory.path() + "/log";
    const std::string record(200 << 20, 'r');
    log_options options;
    options.segment_size_bytes = 64 << 10;
    options.record_size_bytes_max = 256 << 20;
    options.max_pending_bytes = 512 << 20;
    for (const bool goes_on : {false, true}) {
        net::io_context home{1};
        auto engine = engine::on(home);
        REQUIRE(engine.has_value());
        auto opened = finish<log>(
            home, [&](auto token) { engine.value().async_open(path, options, std::move(token)); });
        REQUIRE(opened.has_value());
        log target = std::move(opened).value();
        const auto append = [&](std::string_view what) {
            return finish<append_receipt>(home, [&](auto token) {
                target.async_append(net::buffer(what.data(), what.size()), std::move(token));
            });
        };
        REQUIRE(append("before").has_value());
        {
            const memory_limit limit(100 << 20);
            const auto refused = append(record);  // begins a segment of its own
            REQUIRE_FALSE(refused.has_value());
            CHECK(refused.error() == boost::system::errc::not_enough_memory);
        }
        CHECK_FALSE(target.failure_cause());
        const log_offset end = target.durable_end();
        if (goes_on) {
            CHECK(append("after").has_value());
        }
        const auto closed =
            finish<void>(home, [&](auto token) { target.async_close(std::move(token)); });
        CHECK(closed.has_value());
        open_report report;
        options.report = &report;
        auto again = finish<log>(
            home, [&](auto token) { engine.value().async_open(path, options, std::move(token)); });
        options.report = nullptr;
        INFO((report.refused ? report.refused->message() : std::string()));
        REQUIRE(again.has_value());
        CHECK(again.value().durable_end() == end + (goes_on ? 1 : 0));
        CHECK(report.was_closed_cleanly);
        const auto ended =
            finish<void>(home, [&](auto token) { engine.value().async_close(std::move(token)); });
        CHECK(ended.has_value());
    }
}

TEST_CASE("an engine whose thread cannot be started is an error with its cause",
          "[engine][memory]") {
    // Stacks of threads that have ended are used again: until one has to be new.
    constexpr int threads_max = 20;
    std::vector<detailed<engine>> made;
    {
        const memory_limit limit(6 << 20);  // enough for a ring, not for a stack
        do {
            made.push_back(engine::on_own_thread());
        } while (made.back() && made.size() < threads_max);
    }
    REQUIRE_FALSE(made.back().has_value());
    const failure& why = made.back().error();
    INFO(why.message());
    // Its own, or the first one of its pool.
    const bool is_named =
        why.message().find("cannot start the engine's thread") != std::string::npos ||
        why.message().find("no thread can be started") != std::string::npos;
    CHECK(is_named);
    CHECK_FALSE(why.advice().empty());
}

}  // namespace caisson::test
