// What an operator is told when there is no ring. Which of the causes of EPERM is named depends on
// the machine.

#include "uring/kernel_port.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <string>

#include <poll.h>

using namespace caisson;
using namespace caisson::uring;

TEST_CASE("every reason for having no ring names the call, the cause and a cure", "[uring]") {
    struct expectation {
        int error_number;
        const char* cause;
        const char* cure;
    };
    const expectation cases[] = {
        {ENOMEM, "RLIMIT_MEMLOCK is", "ulimit -l"},
        {EMFILE, "RLIMIT_NOFILE is", "ulimit -n"},
        {ENFILE, "fs.file-max", "sysctl fs.file-max"},
        {EOPNOTSUPP, "lacks what the engine needs", "5.6 or newer"},
        {EINVAL, "lacks what the engine needs", "5.6"},
        {EPERM, "io_uring_setup says", "io_uring"},
        {EACCES, "io_uring_setup says", "io_uring"},
        {ENOSYS, "io_uring_setup says", ""},
    };
    for (const expectation& expected : cases) {
        const failure told = explain_unavailable(expected.error_number, "io_uring_setup");
        INFO(told.message());
        CHECK(told.code() == errc::uring_unavailable);
        CHECK(told.detail().find("io_uring_setup") != std::string::npos);
        CHECK(told.detail().find(expected.cause) != std::string::npos);
        CHECK(told.advice().find(expected.cure) != std::string::npos);
    }
    CHECK(explain_unavailable(EIO, "eventfd").detail().find("eventfd") != std::string::npos);
}

TEST_CASE("a ring on this machine says what it got, and starts with the entries it was asked for",
          "[uring]") {
    kernel_port_options options;
    options.entries = 16;
    options.buffer_slots = 0;
    auto made = make_kernel_port(options);
    if (!made) {
        SKIP(made.error().message());
    }
    const ring_port::agreement& agreed = made.value()->agreed();
    CHECK(agreed.sq_entries == 16);
    CHECK(agreed.cq_entries == 64);
    CHECK(agreed.flags.find("CQSIZE") != std::string::npos);
    CHECK(agreed.buffer_slots == 0);
    CHECK(agreed.why_no_buffers == "switched off");
    CHECK(made.value()->enable() == 0);
    submission sync;
    sync.code = opcode::sync_data;
    sync.file = -1;
    sync.id = 42;
    REQUIRE(made.value()->prepare(sync));
    CHECK(made.value()->submit() == 1);
    pollfd event{made.value()->event_descriptor(), POLLIN, 0};
    REQUIRE(::poll(&event, 1, 10'000) == 1);
    CHECK(made.value()->submit_and_get_events() == 0);
    arrival came;
    REQUIRE(made.value()->take({&came, 1}) == 1);
    CHECK(came.id == 42);
    CHECK(came.outcome == -EBADF);
}
