// How a failure reads: place first, then what happened, then what to do.

#include <caisson/failure.hpp>

#include <catch2/catch_test_macros.hpp>

#include <utility>

namespace caisson {
namespace {

TEST_CASE("a failure names file, byte, offset, cause and cure in one line", "[base][failure]") {
    const auto whole = failure(errc::damaged, "commit checksum is 1, computed 2")
                           .in_file("00000.log")
                           .at_byte(4096)
                           .at_offset(log_offset(17))
                           .advise("restore the segment");
    CHECK(whole.message() ==
          "00000.log: byte 4096, offset 17: commit checksum is 1, computed 2; restore the segment");
    CHECK(whole.code() == errc::damaged);
    CHECK(whole.position_bytes() == 4096);
    CHECK(whole.offset() == log_offset(17));
}

TEST_CASE("a failure leaves out what it does not know", "[base][failure]") {
    CHECK(failure(errc::locked, "owned by process 12").message() == "owned by process 12");
    CHECK(failure(errc::locked, "").message() == make_error_code(errc::locked).message());
    CHECK(failure(errc::damaged, "torn").at_byte(9).message() == "byte 9: torn");
    CHECK(failure(errc::damaged, "torn").at_offset(log_offset(0)).message() == "offset 0: torn");
    CHECK(failure(errc::damaged, "torn").in_file("STATE").message() == "STATE: torn");
}

TEST_CASE("a detailed result carries the whole failure", "[base][failure]") {
    const detailed<int> failed = failure(errc::locked, "busy");
    REQUIRE(failed.has_error());
    CHECK(failed.error().detail() == "busy");
    const detailed<int> good = 4;
    CHECK(good.value() == 4);
}

}  // namespace
}  // namespace caisson
