// Records, padding and trailer of the native codec.

#include "format/native_codec.hpp"

#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::format;
using caisson::test::segment_builder;

namespace {

constexpr std::uint64_t size_limit = 1 << 20;

commit_view decode_at(const segment_builder& segment, std::size_t position) {
    const auto commit = decode_commit(std::span<const std::byte>(segment.bytes).subspan(position),
                                      segment_version::v1, size_limit);
    REQUIRE(commit);
    return commit.value();
}

std::vector<std::string> texts_of(const record_range& records) {
    std::vector<std::string> texts;
    for (const auto record : records) {
        texts.push_back(test::to_text(record));
    }
    return texts;
}

// A commit whose checksum is right and whose region is what the test says.
commit_view forge(segment_builder& segment, std::uint16_t record_count,
                  const test::byte_vector& region) {
    return decode_at(segment, segment.raw_commit(record_count, region));
}

test::byte_vector trailer_of(std::uint8_t version, std::uint64_t durable_end) {
    test::byte_vector bytes(layout::native::trailer_bytes);
    bytes[0] = std::byte{version};
    store_le<std::uint64_t>(bytes.data() + layout::native::trailer_durable_end_at, durable_end);
    return bytes;
}

test::byte_vector operator+(test::byte_vector a, const test::byte_vector& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("records and trailer come back as they were written", "[format][native]") {
    segment_builder segment(log_offset{40});
    segment.durable_end = log_offset{33};
    segment.epoch = 3;
    segment.previous_crc = 0xdead'beef;
    const std::vector<std::string> records = {"first", "", std::string(300, 'x'), "\0\0"};
    for (const std::size_t padding :
         {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{4'096}}) {
        segment.next = log_offset{40};
        segment.previous_crc = 0xdead'beef;
        segment.durable_end = log_offset{33};
        const auto now_us = segment.timestamp_us;
        const auto commit = decode_at(segment, segment.commit(records, padding));
        CHECK(commit.begin == log_offset{40});
        CHECK(commit.end() == log_offset{44});
        CHECK(commit.epoch == 3);
        CHECK(commit.crc == segment.previous_crc);
        CHECK(commit.size_bytes == native_commit_bytes(5 + 0 + 300 + 0, 4, padding));
        const auto range = decode_records(commit);
        REQUIRE(range);
        CHECK(texts_of(range.value()) == records);
        CHECK(range.value().record_count() == 4);
        const auto trailer = decode_trailer(commit);
        REQUIRE(trailer);
        CHECK(trailer.value() ==
              native_trailer{segment_builder::default_log_id, log_offset{33}, now_us, 0xdead'beef});
    }
}

TEST_CASE("a commit of one empty record is the smallest", "[format][native]") {
    segment_builder segment;
    const auto commit = decode_at(segment, segment.commit({""}));
    CHECK(commit.size_bytes == layout::native::commit_bytes_min);
    CHECK(decode_records(commit).value().record_count() == 1);
}

TEST_CASE("a commit may hold 65,535 records", "[format][native]") {
    segment_builder segment;
    const auto commit =
        decode_at(segment, segment.commit(std::vector<std::string>(layout::commit_records_max)));
    CHECK(commit.end() == log_offset{layout::commit_records_max});
    const auto records = decode_records(commit);
    REQUIRE(records);
    std::size_t seen = 0;
    for (const auto record : records.value()) {
        seen += static_cast<std::size_t>(record.empty());
    }
    CHECK(seen == layout::commit_records_max);
}

TEST_CASE("padding ends a commit on a block boundary", "[format][native]") {
    for (std::uint64_t position = 10; position < 20'000; position += 977) {
        for (std::uint64_t size = 59; size < 20'000; size += 1'013) {
            const auto padding = padding_to_block(position, size, 4'096);
            CHECK(padding < 4'096);
            CHECK((position + size + padding) % 4'096 == 0);
        }
    }
}

TEST_CASE("record lengths that leave the region are malformed", "[format][native]") {
    segment_builder segment;
    const auto trailer = trailer_of(1, 0);
    const auto error_of = [&](std::uint16_t n, const test::byte_vector& records) {
        return decode_records(forge(segment, n, records + trailer)).error();
    };
    // one byte into the trailer
    CHECK(error_of(1, test::from_hex("02000000 aa")) == errc::malformed);
    // wraps 32 bits
    CHECK(error_of(1, test::from_hex("ffffffff aa")) == errc::malformed);
    // half a prefix
    CHECK(error_of(2, test::from_hex("00000000 000000")) == errc::malformed);
    // nothing left for the second
    CHECK(error_of(2, test::from_hex("04000000 00000000")) == errc::malformed);
    // no room for n prefixes
    CHECK(error_of(3, test::from_hex("00000000 00000000")) == errc::malformed);
    CHECK(decode_records(forge(segment, 2, test::from_hex("00000000 00000000") + trailer)));
}

TEST_CASE("padding that is not zero is malformed, wherever the byte stands", "[format][native]") {
    for (std::size_t place = 0; place < 19; ++place) {
        segment_builder segment;
        test::byte_vector region =
            test::from_hex("01000000 41") + test::byte_vector(19) + trailer_of(1, 0);
        CHECK(decode_records(forge(segment, 1, region)));
        region[5 + place] = std::byte{1};
        CHECK(decode_records(forge(segment, 1, region)).error() == errc::malformed);
    }
}

TEST_CASE("a trailer is refused when it is newer, none at all, or ahead of its own commit",
          "[format][native]") {
    const auto error_of = [](const test::byte_vector& region) {
        segment_builder segment(log_offset{7});
        return decode_trailer(forge(segment, 1, region)).error();
    };
    const auto record = test::from_hex("00000000");
    CHECK(error_of(record + trailer_of(2, 0)) == errc::unsupported_version);
    CHECK(error_of(record + trailer_of(0, 0)) == errc::malformed);
    CHECK(error_of(record + trailer_of(1, 8)) == errc::malformed);
    CHECK(error_of(trailer_of(1, 0)) == errc::malformed);  // no room for the record
    CHECK(error_of({}) == errc::malformed);
    segment_builder segment(log_offset{7});
    CHECK(decode_trailer(forge(segment, 1, record + trailer_of(1, 7))));
}

TEST_CASE("the id is found in trailers of any version", "[format][native]") {
    segment_builder segment;
    auto trailer = trailer_of(9, 0);
    store_le<std::uint64_t>(trailer.data() + layout::native::trailer_log_id_at, 77);
    const auto commit = forge(segment, 1, test::from_hex("00000000") + trailer);
    CHECK(carries_log_id(commit, 77));
    CHECK_FALSE(carries_log_id(commit, 78));
    CHECK_FALSE(carries_log_id(forge(segment, 1, {}), 0));
}
