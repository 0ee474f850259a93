// The reading thread against pipes and files: everything arrives, a stop ends it wherever it waits.

#include "tools/input_reader.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

namespace net = boost::asio;
using caisson::tools::input_chunk;
using caisson::tools::input_reader;

namespace {

net::awaitable<void> collect(input_reader& input, std::string& into) {
    while (input_chunk chunk = co_await input.next()) {
        into += *chunk;
    }
}

struct pipe_ends {
    pipe_ends() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
    ~pipe_ends() {
        ::close(ends[0]);
        close_writer();
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    void write(const std::string& text) const {
        REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void close_writer() {
        if (ends[1] >= 0) {
            ::close(ends[1]);
            ends[1] = -1;
        }
    }
    std::array<int, 2> ends{-1, -1};
};

}  // namespace

TEST_CASE("a pipe is read to its end, whatever it holds", "[tools]") {
    pipe_ends pipe;
    net::io_context loop(1);
    std::string arrived;
    const std::string large(3'000'000, 'x');
    {
        input_reader input(loop.get_executor(), pipe.ends[0]);
        std::thread writer([&] {
            pipe.write("first");
            pipe.write(large);
            pipe.close_writer();
        });
        net::co_spawn(loop, collect(input, arrived), net::detached);
        loop.run();
        writer.join();
        CHECK_FALSE(input.error());
        CHECK_FALSE(input.is_stopped());
    }
    CHECK(arrived == "first" + large);
}

TEST_CASE("a regular file, which epoll refuses, is read to its end", "[tools]") {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    const std::string text(200'000, 'y');
    REQUIRE(std::fwrite(text.data(), 1, text.size(), file) == text.size());
    std::rewind(file);
    net::io_context loop(1);
    std::string arrived;
    input_reader input(loop.get_executor(), ::fileno(file));
    net::co_spawn(loop, collect(input, arrived), net::detached);
    loop.run();
    CHECK(arrived == text);
    std::fclose(file);
}

TEST_CASE("a stop ends a wait for input that never comes", "[tools]") {
    pipe_ends pipe;
    net::io_context loop(1);
    std::string arrived;
    input_reader input(loop.get_executor(), pipe.ends[0]);
    net::co_spawn(loop, collect(input, arrived), net::detached);
    loop.poll();  // the coroutine waits now
    input.stop();
    loop.run();
    CHECK(input.is_stopped());
    CHECK(arrived.empty());
}

TEST_CASE("a full reader is destroyed without the help of the loop", "[tools]") {
    pipe_ends pipe;
    net::io_context loop(1);
    const auto work = net::make_work_guard(loop);  // an idle loop would stop for good
    std::thread writer;
    {
        input_reader input(loop.get_executor(), pipe.ends[0]);
        // 2 MiB: more than reader and pipe hold together, so that the thread comes to wait for
        // room.
        writer = std::thread([&] {
            std::signal(SIGPIPE, SIG_IGN);
            const std::string block(65'536, 'z');
            for (int i = 0; i < 32 && ::write(pipe.ends[1], block.data(), block.size()) > 0; ++i) {
            }
        });
        while (loop.poll() == 0) {  // the first chunk has been announced
            std::this_thread::yield();
        }
    }  // hangs here if the destructor waits for the loop
    std::array<char, 65'536> rest;
    REQUIRE(::fcntl(pipe.ends[0], F_SETFL, O_NONBLOCK) == 0);
    std::atomic<bool> has_ended = false;
    std::thread drain([&] {
        while (!has_ended) {
            [[maybe_unused]] const ssize_t count = ::read(pipe.ends[0], rest.data(), rest.size());
        }
    });
    writer.join();
    has_ended = true;
    drain.join();
    CHECK(loop.poll() <= 1);
}

TEST_CASE("an error of the input ends it and is told", "[tools]") {
    const int directory = ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(directory >= 0);
    net::io_context loop(1);
    std::string arrived;
    input_reader input(loop.get_executor(), directory);
    net::co_spawn(loop, collect(input, arrived), net::detached);
    loop.run();
    CHECK(input.error() == boost::system::errc::is_a_directory);
    CHECK(arrived.empty());
    ::close(directory);
}
