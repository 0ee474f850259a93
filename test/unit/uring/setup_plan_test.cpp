// Creating a ring on kernels that this machine does not have: each is a function that grants or
// refuses what is asked for.

#include "uring/setup_plan.hpp"

#include "uring/kernel_port.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include <liburing.h>

using namespace caisson;
using namespace caisson::uring;

namespace {

/// Grants what it knows and has memory for, and keeps what it was asked.
struct old_kernel {
    unsigned unknown_flags = 0;
    unsigned entries_max = 4096;  ///< memory for more there is not
    std::vector<ring_setup> asked{};

    int operator()(const ring_setup& what) {
        asked.push_back(what);
        if ((what.flags & unknown_flags) != 0) {
            return -EINVAL;
        }
        return what.entries > entries_max ? -ENOMEM : 0;
    }
    [[nodiscard]] const ring_setup& granted() const { return asked.back(); }
};

int agree(unsigned entries, old_kernel& with) {
    return agree_on_setup(entries, [&](const ring_setup& what) { return with(what); });
}

constexpr unsigned always = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

}  // namespace

TEST_CASE("a kernel that knows every flag is asked once and gets the whole set", "[uring][setup]") {
    old_kernel newest;
    CHECK(agree(256, newest) == 0);
    REQUIRE(newest.asked.size() == 1);
    CHECK(newest.granted().entries == 256);
    CHECK(names_of_setup_flags(newest.granted().flags) ==
          "SINGLE_ISSUER|DEFER_TASKRUN|TASKRUN_FLAG|R_DISABLED|SUBMIT_ALL|CQSIZE|CLAMP");
}

TEST_CASE("each newer setup flag refused ends with a smaller set that works", "[uring][setup]") {
    struct expectation {
        unsigned refused;
        unsigned flags;
    };
    constexpr unsigned disabled = always | IORING_SETUP_R_DISABLED;
    const expectation cases[] = {
        {IORING_SETUP_SINGLE_ISSUER, disabled | IORING_SETUP_SUBMIT_ALL},
        {IORING_SETUP_DEFER_TASKRUN, disabled | IORING_SETUP_SUBMIT_ALL},
        {IORING_SETUP_TASKRUN_FLAG, disabled | IORING_SETUP_SUBMIT_ALL},
        {IORING_SETUP_SUBMIT_ALL, disabled},
        {IORING_SETUP_R_DISABLED, always},
        {~always, always},
    };
    for (const expectation& expected : cases) {
        old_kernel kernel{expected.refused};
        INFO("refused " << names_of_setup_flags(expected.refused));
        CHECK(agree(256, kernel) == 0);
        CHECK(names_of_setup_flags(kernel.granted().flags) == names_of_setup_flags(expected.flags));
        CHECK(kernel.granted().entries == 256);
        for (const ring_setup& each : kernel.asked) {
            // The kernel refuses the second without the first.
            CHECK(((each.flags & IORING_SETUP_DEFER_TASKRUN) == 0 ||
                   (each.flags & IORING_SETUP_SINGLE_ISSUER) != 0));
        }
    }
}

TEST_CASE("a kernel without the memory is asked for fewer entries, with the same flags",
          "[uring][setup]") {
    old_kernel narrow{0, 40};
    CHECK(agree(256, narrow) == 0);
    CHECK(narrow.asked.size() == 4);
    CHECK(narrow.granted().entries == 32);
    CHECK(narrow.granted().flags == narrow.asked.front().flags);
    old_kernel narrow_and_old{IORING_SETUP_DEFER_TASKRUN, 40};
    CHECK(agree(256, narrow_and_old) == 0);
    CHECK(narrow_and_old.granted().entries == 32);
    CHECK((narrow_and_old.granted().flags & IORING_SETUP_SUBMIT_ALL) != 0);
}

TEST_CASE("what the kernel refuses altogether ends with its error", "[uring][setup]") {
    old_kernel ancient{IORING_SETUP_CQSIZE};
    CHECK(agree(256, ancient) == -EINVAL);
    CHECK(ancient.asked.size() == 4);
    old_kernel without_memory{0, 0};
    CHECK(agree(256, without_memory) == -ENOMEM);
    CHECK(without_memory.granted().entries == ring_entries_min);
    for (const int error_number : {EPERM, ENOSYS, EMFILE, EACCES}) {
        int calls = 0;
        CHECK(agree_on_setup(256, [&](const ring_setup&) {
                  ++calls;
                  return -error_number;
              }) == -error_number);
        CHECK(calls == 1);  // no other flags would change it
    }
}

TEST_CASE("a ring has as many entries as make sense, whatever is asked for", "[uring][setup]") {
    for (const unsigned entries : {0u, 1u, 7u, 8u, 9u, 32'768u, 32'769u, 0x4000'0000u, ~0u}) {
        old_kernel newest{0, ~0u};
        CHECK(agree(entries, newest) == 0);
        CHECK(newest.granted().entries >= ring_entries_min);
        CHECK(newest.granted().entries <= ring_entries_max);
    }
}

TEST_CASE("a missing opcode is named, in one error with the cure", "[uring][setup]") {
    std::set<std::string> names;
    for (const int lacking :
         {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_READ_FIXED,
          IORING_OP_WRITE_FIXED, IORING_OP_ASYNC_CANCEL}) {
        const char* const name = find_missing_opcode([&](int code) { return code != lacking; });
        REQUIRE(name != nullptr);
        names.emplace(name);
        const failure told = explain_missing_opcode(name);
        CHECK(told.code() == errc::uring_unavailable);
        CHECK(told.detail().find(name) != std::string::npos);
        CHECK(told.advice().find("5.6 or newer") != std::string::npos);
    }
    CHECK(names.size() == 6);
    CHECK(names.contains("IORING_OP_WRITE_FIXED"));
    CHECK(find_missing_opcode([](int) { return true; }) == nullptr);
}
