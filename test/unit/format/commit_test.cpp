// Commit framing: the golden vectors of the reference, and every way a commit can be wrong.

#include "format/commit.hpp"

#include "base/endian.hpp"
#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>

using namespace caisson;
using namespace caisson::format;
using caisson::test::from_hex;
using caisson::test::segment_builder;

namespace {

constexpr std::uint64_t size_limit = 1 << 20;

commit_status status_of(std::span<const std::byte> bytes, std::uint64_t limit = size_limit) {
    return probe_commit(bytes, segment_version::v1, limit).status;
}

}  // namespace

TEST_CASE("the reference's golden segment is decoded and encoded byte for byte",
          "[format][commit]") {
    const auto golden = from_hex(
        "286473295e3201000000"
        "0000000000000000 0000000000000000 0100 08000000 0101010101010101 2248ba5d"
        "0100000000000000 0000000000000000 0200 10000000 02020202020202020303030303030303 63388d0a"
        "0300000000000000 0700000000000000 0100 08000000 0404040404040404 7daf8027");
    REQUIRE(golden.size() == 120);

    segment_builder segment;
    segment.raw_commit(1, from_hex("0101010101010101"));
    segment.raw_commit(2, from_hex("02020202020202020303030303030303"));
    segment.epoch = 7;
    segment.raw_commit(1, from_hex("0404040404040404"));
    CHECK(segment.bytes == golden);

    const auto last =
        decode_commit(std::span(golden).subspan(120 - 34), segment_version::v1, size_limit);
    REQUIRE(last);
    CHECK(last.value().begin == log_offset{3});
    CHECK(last.value().end() == log_offset{4});
    CHECK(last.value().epoch == 7);
    CHECK(last.value().record_count == 1);
    CHECK(last.value().crc == 0x2780'af7d);
    CHECK(last.value().size_bytes == 34);
    CHECK(test::byte_vector(last.value().region.begin(), last.value().region.end()) ==
          from_hex("0404040404040404"));
}

TEST_CASE("version 0 commits are decoded and encoded byte for byte", "[format][commit]") {
    const auto golden = from_hex("0000000000000000 0100 08000000 0000000000000000 12f415e8"
                                 "0100000000000000 0100 08000000 0101010101010101 4e6cd3db");
    segment_builder segment;
    segment.raw_commit(1, from_hex("0000000000000000"), segment_version::v0);
    segment.raw_commit(1, from_hex("0101010101010101"), segment_version::v0);
    CHECK(test::byte_vector(segment.bytes.begin() + 10, segment.bytes.end()) == golden);

    const auto first = decode_commit(golden, segment_version::v0, size_limit);
    REQUIRE(first);
    CHECK(first.value().size_bytes == 26);
    CHECK(first.value().epoch == 0);
    const auto second =
        decode_commit(std::span(golden).subspan(26), segment_version::v0, size_limit);
    REQUIRE(second);
    CHECK(second.value().begin == log_offset{1});
}

TEST_CASE("a short commit says how many bytes would decide", "[format][commit]") {
    segment_builder segment;
    const auto position = segment.raw_commit("payload");
    const auto whole = std::span<const std::byte>(segment.bytes).subspan(position);
    for (std::size_t kept = 0; kept < whole.size(); ++kept) {
        const auto probe = probe_commit(whole.first(kept), segment_version::v1, size_limit);
        INFO(kept);
        CHECK(probe.status ==
              (kept < 22 ? commit_status::short_header : commit_status::short_body));
        CHECK(probe.size_bytes_needed == (kept < 22 ? 22 : whole.size()));
        CHECK(decode_commit(whole.first(kept), segment_version::v1, size_limit).error() ==
              errc::truncated);
    }
    CHECK(status_of(whole) == commit_status::valid);
}

TEST_CASE("D1: a version 1 header of zeros ends the data, whatever the checksum of zeros is",
          "[format][commit]") {
    for (std::size_t zeros = 22; zeros <= 60; ++zeros) {
        CHECK(status_of(test::byte_vector(zeros)) == commit_status::zero_header);
    }
}

TEST_CASE("D20: a commit without records is malformed even with a right checksum",
          "[format][commit]") {
    segment_builder segment(log_offset{5});
    const auto position = segment.raw_commit(0, test::from_text("x"));
    const auto bytes = std::span<const std::byte>(segment.bytes).subspan(position);
    CHECK(status_of(bytes) == commit_status::no_records);
    CHECK(decode_commit(bytes, segment_version::v1, size_limit).error() == errc::malformed);
}

TEST_CASE("D20: offsets that would pass 2^64 are malformed", "[format][commit]") {
    segment_builder segment(log_offset{std::numeric_limits<std::uint64_t>::max() - 1});
    const auto region = test::from_text("x");
    const auto fits = segment.raw_commit(1, region);
    CHECK(status_of(std::span(segment.bytes).subspan(fits)) == commit_status::valid);
    // begins at the largest offset, and would end behind it
    const auto beyond = segment.raw_commit(1, region);
    CHECK(status_of(std::span(segment.bytes).subspan(beyond)) == commit_status::offset_overflow);
}

TEST_CASE("D20: a length above the limit is not believed, nor its bytes asked for",
          "[format][commit]") {
    segment_builder segment;
    const auto position = segment.raw_commit("payload");
    const auto bytes = std::span(segment.bytes).subspan(position);
    CHECK(status_of(bytes, bytes.size()) == commit_status::valid);
    CHECK(status_of(bytes, bytes.size() - 1) == commit_status::too_large);
    store_le<std::uint32_t>(bytes.data() + layout::commit_v1::region_bytes_at, 0xffff'ffff);
    const auto probe = probe_commit(bytes, segment_version::v1, size_limit);
    CHECK(probe.status == commit_status::too_large);
    CHECK(probe.size_bytes_needed == 0);
    CHECK(status_of(bytes, std::numeric_limits<std::uint64_t>::max()) == commit_status::short_body);
}

TEST_CASE("a wrong checksum is found and bytes behind the commit do not matter",
          "[format][commit]") {
    segment_builder segment;
    const auto position = segment.raw_commit("payload");
    segment.append(test::from_text("anything at all"));
    const auto bytes = std::span(segment.bytes).subspan(position);
    CHECK(status_of(bytes) == commit_status::valid);
    bytes[25] ^= std::byte{0x40};
    CHECK(status_of(bytes) == commit_status::checksum_mismatch);
    CHECK(decode_commit(bytes, segment_version::v1, size_limit).error() == errc::checksum_mismatch);
}

TEST_CASE("D13(c): an offset inside a commit belongs to that commit", "[format][commit]") {
    segment_builder segment(log_offset{10});
    const auto position = segment.raw_commit(5, test::from_text("five"));
    const auto commit =
        decode_commit(std::span(segment.bytes).subspan(position), segment_version::v1, size_limit);
    REQUIRE(commit);
    CHECK_FALSE(commit.value().contains(log_offset{9}));
    CHECK(commit.value().contains(log_offset{10}));
    CHECK(commit.value().contains(log_offset{14}));
    CHECK_FALSE(commit.value().contains(log_offset{15}));
}
