// The ten bytes a segment begins with.

#include "format/segment_header.hpp"

#include "format/layout.hpp"
#include "unit/format/segment_builder.hpp"

#include <caisson/errc.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::format;
using caisson::test::from_hex;

TEST_CASE("the header we write is the reference's, byte for byte", "[format][segment_header]") {
    test::byte_vector bytes(layout::segment_header::size_bytes, std::byte{0xff});
    encode_segment_header(bytes);
    CHECK(bytes == from_hex("286473295e32 01 00 0000"));
    REQUIRE(decode_segment_header(bytes));
    CHECK(decode_segment_header(bytes).value().version == segment_version::v1);
}

TEST_CASE("version 0 is read and reserved bytes are ignored", "[format][segment_header]") {
    const auto header = decode_segment_header(from_hex("286473295e32 00 00 beef 1234"));
    REQUIRE(header);
    CHECK(header.value().version == segment_version::v0);
}

TEST_CASE("each way a header can be wrong has its own error", "[format][segment_header]") {
    const auto error_of = [](std::string_view hex) {
        return decode_segment_header(from_hex(hex)).error();
    };
    CHECK(error_of("") == errc::truncated);
    CHECK(error_of("286473295e") == errc::truncated);
    CHECK(error_of("286473295e32 01 00 00") == errc::truncated);
    CHECK(error_of("286473295e33 01 00 0000") == errc::not_a_segment);
    CHECK(error_of("000000000000") == errc::not_a_segment);
    CHECK(error_of("286473295e32 02 00 0000") == errc::unsupported_version);
    CHECK(error_of("286473295e32 ff 00 0000") == errc::unsupported_version);
    CHECK(error_of("286473295e32 01 01 0000") == errc::unsupported_algorithm);
}

TEST_CASE("a compressed segment is told from a plain and from a broken one",
          "[format][segment_header]") {
    CHECK(is_seekable_zstd(from_hex("28b52ffd 00 58")));
    CHECK_FALSE(is_seekable_zstd(from_hex("286473295e32 01 00 0000")));
    CHECK_FALSE(is_seekable_zstd(from_hex("28b52f")));
    CHECK(decode_segment_header(from_hex("28b52ffd 00 58 0000 0000")).error() ==
          errc::not_a_segment);
}
