// The buffered writer against pipes: order, large pieces, a reader that is gone.

#include "tools/output.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <thread>

using caisson::tools::output;

namespace {

struct pipe_ends {
    pipe_ends() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
    ~pipe_ends() {
        close_reader();
        close_writer();
    }
    void close_reader() { close_end(0); }
    void close_writer() { close_end(1); }

    std::string read_all() {
        std::string text;
        std::array<char, 65536> buffer;
        for (ssize_t count; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
        return text;
    }

    std::array<int, 2> ends{-1, -1};

private:
    void close_end(std::size_t which) {
        if (ends[which] >= 0) {
            ::close(ends[which]);
            ends[which] = -1;
        }
    }
};

}  // namespace

TEST_CASE("everything that was put arrives in order, small pieces and large ones", "[tools]") {
    pipe_ends pipe;
    const std::string large(1'000'000, 'x');
    std::string arrived;
    std::thread reader([&] { arrived = pipe.read_all(); });
    {
        output out(pipe.ends[1]);
        out.put("first ");
        out.put_number(18'446'744'073'709'551'615u);
        out.put(large);
        out.put_number(0);
        CHECK_FALSE(out.flush());
    }
    pipe.close_writer();
    reader.join();
    CHECK(arrived == "first 18446744073709551615" + large + "0");
}

TEST_CASE("a descriptor that does not block is waited for", "[tools]") {
    pipe_ends pipe;
    REQUIRE(::fcntl(pipe.ends[1], F_SETFL, O_NONBLOCK) == 0);
    const std::string large(500'000, 'y');
    std::string arrived;
    std::thread reader([&] { arrived = pipe.read_all(); });
    output out(pipe.ends[1]);
    out.put(large);
    CHECK_FALSE(out.flush());
    pipe.close_writer();
    reader.join();
    CHECK(arrived == large);
}

TEST_CASE("a reader that is gone is an error that stays", "[tools]") {
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    pipe_ends pipe;
    pipe.close_reader();
    output out(pipe.ends[1]);
    out.put("nobody reads this");
    CHECK_FALSE(out.is_failed());
    CHECK(out.flush() == boost::system::errc::broken_pipe);
    out.put("nor this");
    CHECK(out.is_failed());
    CHECK(out.flush() == boost::system::errc::broken_pipe);
    std::signal(SIGPIPE, before);
}
