// What happens after each outcome of a write that must be whole (reliability faults 51 and 53).

#include "io/transfer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>

using caisson::io::transfer_attempts_max;
using caisson::io::transfer_progress;

TEST_CASE("a full count completes a transfer", "[io]") {
    transfer_progress progress(8192, 4096);
    CHECK(progress.advance(8192) == 0);
    CHECK(progress.is_complete());
}

TEST_CASE("a short count is continued once, from the last whole block", "[io]") {
    transfer_progress progress(16384, 4096);
    CHECK(progress.advance(5000) == 0);
    CHECK_FALSE(progress.is_complete());
    CHECK(progress.next_bytes() == 4096);
    CHECK(progress.advance(12288) == 0);
    CHECK(progress.is_complete());
}

TEST_CASE("a second short count is an error, never taken as full", "[io]") {
    transfer_progress progress(16384, 4096);
    CHECK(progress.advance(8192) == 0);
    CHECK(progress.advance(4096) == EIO);
    CHECK_FALSE(progress.is_complete());
}

TEST_CASE("interruptions are tried again, a bounded number of times", "[io]") {
    transfer_progress progress(4096, 4096);
    for (int k = 1; k < transfer_attempts_max; ++k) {
        CHECK(progress.advance(k % 2 == 0 ? -EINTR : -EAGAIN) == 0);
        CHECK(progress.next_bytes() == 0);
    }
    CHECK(progress.advance(-EAGAIN) == EAGAIN);
}

TEST_CASE("an error ends a transfer with its errno", "[io]") {
    transfer_progress progress(4096, 4096);
    CHECK(progress.advance(-ENOSPC) == ENOSPC);
    CHECK_FALSE(progress.is_complete());
}
