// The scan of one segment: how one commit follows another, in whole buffers and in windows.

#include "format/scan.hpp"

#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::format;
using caisson::test::segment_builder;

namespace {

constexpr std::uint64_t size_limit = 1 << 20;

scan_params native_from(std::uint64_t first) {
    scan_params params;
    params.expected_begin = log_offset{first};
    params.log_id = segment_builder::default_log_id;
    params.previous_crc = 0;
    params.commit_size_bytes_max = size_limit;
    return params;
}

scan_params raw_from(std::uint64_t first) {
    scan_params params;
    params.expected_begin = log_offset{first};
    params.commit_size_bytes_max = size_limit;
    return params;
}

struct outcome {
    scan_end why;
    segment_prefix prefix;
    bool is_expected_header;
    error_code header_error;
};

outcome scan_whole(std::span<const std::byte> bytes, const scan_params& params) {
    segment_scanner scanner(params);
    for (;;) {
        const auto event = scanner.next({bytes, 0, true});
        REQUIRE(event.step != scan_step::need_bytes);
        if (event.step == scan_step::end) {
            CHECK(scanner.next({bytes, 0, true}).why == event.why);  // the end stays
            CHECK(event.position_bytes == scanner.prefix().end_position_bytes);
            return {event.why, scanner.prefix(), scanner.is_expected_header_at_end(),
                    scanner.header_error()};
        }
    }
}

}  // namespace

TEST_CASE("a good native segment is walked to its end", "[format][scan]") {
    segment_builder segment(log_offset{100});
    segment.commit({"a", "b"});
    segment.epoch = 4;
    segment.commit({"c"}, 64);
    const auto last = segment.commit({"d", "e", "f"});
    const auto seen = scan_whole(segment.bytes, native_from(100));
    CHECK(seen.why == scan_end::end_of_file);
    CHECK_FALSE(to_error(seen.why).failed());
    CHECK(seen.prefix.end_position_bytes == segment.bytes.size());
    CHECK(seen.prefix.next == log_offset{106});
    CHECK(seen.prefix.commits == 3);
    CHECK(seen.prefix.records == 6);
    CHECK(seen.prefix.epoch_max == 4);
    CHECK(seen.prefix.last_commit_position_bytes == last);
    CHECK(seen.prefix.last_crc == segment.previous_crc);
    CHECK(seen.prefix.last_timestamp_us == segment.timestamp_us - 1'000);
    CHECK(seen.prefix.last_durable_end == log_offset{103});
    CHECK(seen.prefix.is_clock_monotone);
    CHECK_FALSE(seen.is_expected_header);
}

TEST_CASE("windows of any size give the same scan as the whole buffer", "[format][scan]") {
    segment_builder segment;
    for (std::size_t i = 0; i < 40; ++i) {
        segment.commit({std::string(i * 7, 'p'), "q"}, i % 3);
    }
    const auto whole = scan_whole(segment.bytes, native_from(0));
    for (const std::size_t window_bytes : {1U, 9U, 64U, 100U, 1000U}) {
        segment_scanner scanner(native_from(0));
        byte_window window;
        for (;;) {
            const auto event = scanner.next(window);
            if (event.step == scan_step::end) {
                break;
            }
            if (event.step == scan_step::need_bytes) {
                const auto position = static_cast<std::size_t>(event.need.position_bytes);
                REQUIRE(position <= segment.bytes.size());
                const auto rest = std::span<const std::byte>(segment.bytes).subspan(position);
                const auto want = std::max<std::size_t>(window_bytes, event.need.size_bytes_min);
                window = {rest.first(std::min(want, rest.size())), position, want >= rest.size()};
            }
        }
        CHECK(scanner.prefix().end_position_bytes == whole.prefix.end_position_bytes);
        CHECK(scanner.prefix().last_crc == whole.prefix.last_crc);
        CHECK(scanner.prefix().commits == 40);
    }
}

TEST_CASE("a scan may begin at any commit that an index names", "[format][scan]") {
    segment_builder segment;
    segment.commit({"a"});
    const auto crc = segment.previous_crc;
    const auto position = segment.commit({"b"});
    segment.commit({"c"});
    auto params = native_from(1);
    params.previous_crc = crc;
    segment_scanner scanner(params, segment_version::v1, position);
    const auto event = scanner.next({segment.bytes, 0, true});
    REQUIRE(event.step == scan_step::commit);
    CHECK(event.position_bytes == position);
    CHECK(event.commit.begin == log_offset{1});
    REQUIRE(event.trailer);
    CHECK(event.trailer->previous_crc == crc);
}

TEST_CASE("a header-only segment is complete and empty", "[format][scan]") {
    const segment_builder segment(log_offset{9});
    const auto seen = scan_whole(segment.bytes, native_from(9));
    CHECK(seen.why == scan_end::end_of_file);
    CHECK(seen.prefix.next == log_offset{9});
    CHECK(seen.prefix.end_position_bytes == 10);
    CHECK(seen.prefix.last_crc == 0U);
}

TEST_CASE("D1: zeros behind the last commit are zeros, for 1 to 60 of them and more",
          "[format][scan]") {
    for (std::size_t zeros = 1; zeros <= 60; ++zeros) {
        segment_builder segment;
        segment.raw_commit("payload");
        const auto end = segment.bytes.size();
        segment.zeros(zeros);
        const auto seen = scan_whole(segment.bytes, raw_from(0));
        INFO(zeros);
        CHECK(seen.why == scan_end::zeros);
        CHECK(seen.prefix.end_position_bytes == end);
        CHECK(seen.prefix.commits == 1);
        CHECK_FALSE(seen.is_expected_header);
    }
}

TEST_CASE("zeros where offset 0 is expected are no header with the expected offset",
          "[format][scan]") {
    segment_builder segment;
    segment.zeros(4'096);
    const auto seen = scan_whole(segment.bytes, native_from(0));
    CHECK(seen.why == scan_end::zeros);
    CHECK_FALSE(seen.is_expected_header);
}

TEST_CASE("a cut commit is reported as what is left of it", "[format][scan]") {
    segment_builder segment;
    segment.commit({"kept"});
    const auto position = segment.commit({"cut"});
    for (std::size_t length = position + 1; length < segment.bytes.size(); ++length) {
        const auto seen = scan_whole(std::span(segment.bytes).first(length), native_from(0));
        INFO(length - position);
        CHECK(seen.why ==
              (length - position < 22 ? scan_end::short_header : scan_end::truncated_commit));
        CHECK(seen.prefix.end_position_bytes == position);
        CHECK(seen.prefix.next == log_offset{1});
        CHECK(seen.is_expected_header == (length - position >= 8));
        CHECK(to_error(seen.why) == errc::truncated);
    }
}

TEST_CASE("each broken rule between commits has its own end", "[format][scan]") {
    segment_builder segment(log_offset{10});
    segment.epoch = 5;
    segment.commit({"good"});
    const auto end = segment.bytes.size();
    auto expected = scan_end::end_of_file;

    SECTION("another log's id") {
        segment.log_id ^= 1;
        expected = scan_end::wrong_log;
    }
    SECTION("a checksum that is not the one before it") {
        segment.previous_crc ^= 1;
        expected = scan_end::chain_broken;
    }
    SECTION("an epoch that goes backwards") {
        segment.epoch = 4;
        expected = scan_end::epoch_backwards;
    }
    SECTION("an offset beyond the expected one") {
        segment.next += 1;
        expected = scan_end::out_of_order;
    }
    SECTION("an offset before the expected one") {
        segment.next = log_offset{10};
        segment.durable_end = log_offset{10};
        expected = scan_end::duplicate_offset;
    }
    segment.commit({"bad"});
    const auto seen = scan_whole(segment.bytes, native_from(10));
    CHECK(seen.why == expected);
    CHECK(to_error(seen.why).failed());
    CHECK(seen.prefix.end_position_bytes == end);
    CHECK(seen.prefix.next == log_offset{11});
    CHECK(seen.is_expected_header ==
          (expected != scan_end::out_of_order && expected != scan_end::duplicate_offset));
}

TEST_CASE("D21: the first commit of a segment is held against the checksum before it",
          "[format][scan]") {
    segment_builder segment(log_offset{10});
    segment.previous_crc = 1'234;
    segment.commit({"first here"});
    auto params = native_from(10);
    params.previous_crc = 1'234;
    CHECK(scan_whole(segment.bytes, params).why == scan_end::end_of_file);
    params.previous_crc = 1'235;
    CHECK(scan_whole(segment.bytes, params).why == scan_end::chain_broken);
    params.previous_crc.reset();  // after a purge or a restore nobody knows it
    CHECK(scan_whole(segment.bytes, params).why == scan_end::end_of_file);
}

TEST_CASE("D21: a whole segment of another log with matching offsets is refused",
          "[format][scan]") {
    segment_builder segment;
    segment.log_id = 99;
    segment.commit({"stranger"});
    const auto seen = scan_whole(segment.bytes, native_from(0));
    CHECK(seen.why == scan_end::wrong_log);
    CHECK(to_error(seen.why) == errc::wrong_log);
    CHECK(seen.prefix.commits == 0);
}

TEST_CASE("a raw commit inside a native part is malformed", "[format][scan]") {
    segment_builder segment;
    segment.raw_commit("no trailer in here, though it is long enough for one");
    CHECK(scan_whole(segment.bytes, native_from(0)).why == scan_end::malformed);
}

TEST_CASE("record lengths are walked unless the caller does it", "[format][scan]") {
    segment_builder segment;
    segment.commit({"abcd"});
    // The record claims one byte less, which leaves a letter in the padding; the checksum is made
    // right again.
    segment.bytes[10 + native_records_at] = std::byte{3};
    segment.bytes.resize(segment.bytes.size() - 4);
    segment.append_crc(10);
    auto params = native_from(0);
    CHECK(scan_whole(segment.bytes, params).why == scan_end::malformed);
    params.check_records = false;
    CHECK(scan_whole(segment.bytes, params).why == scan_end::end_of_file);
}

TEST_CASE("a clock going backwards is seen and is no damage", "[format][scan]") {
    segment_builder segment;
    segment.commit({"a"});
    segment.timestamp_us -= 5'000;
    segment.commit({"b"});
    const auto seen = scan_whole(segment.bytes, native_from(0));
    CHECK(seen.why == scan_end::end_of_file);
    CHECK_FALSE(seen.prefix.is_clock_monotone);
}

TEST_CASE("a newer trailer is unsupported, not damage", "[format][scan]") {
    segment_builder segment;
    segment.commit({"a"});
    const auto trailer = segment.bytes.size() - 4 - layout::native::trailer_bytes;
    segment.bytes[trailer] = std::byte{2};
    segment.bytes.resize(segment.bytes.size() - 4);
    segment.append_crc(10);
    const auto seen = scan_whole(segment.bytes, native_from(0));
    CHECK(seen.why == scan_end::unsupported_trailer);
    CHECK(to_error(seen.why) == errc::unsupported_version);
}

TEST_CASE("raw: exact duplicates are skipped and forks are not", "[format][scan]") {
    segment_builder segment;
    segment.raw_commit("one");
    segment.next = log_offset{0};
    segment.raw_commit("one");
    segment.next = log_offset{0};
    segment.raw_commit("one");
    segment.raw_commit("two");
    const auto good = scan_whole(segment.bytes, raw_from(0));
    CHECK(good.why == scan_end::end_of_file);
    CHECK(good.prefix.commits == 2);
    CHECK(good.prefix.duplicates == 2);
    CHECK(good.prefix.next == log_offset{2});

    segment.next = log_offset{1};
    const auto fork_at = segment.raw_commit("another two");
    const auto forked = scan_whole(segment.bytes, raw_from(0));
    CHECK(forked.why == scan_end::forked);
    CHECK(forked.prefix.end_position_bytes == fork_at);
}

TEST_CASE("raw: epochs may go backwards and the maximum counts", "[format][scan]") {
    segment_builder segment;
    segment.epoch = 9;
    segment.raw_commit("nine");
    segment.epoch = 4;
    segment.raw_commit("four");
    const auto seen = scan_whole(segment.bytes, raw_from(0));
    CHECK(seen.why == scan_end::end_of_file);
    CHECK(seen.prefix.epoch_max == 9);
    CHECK_FALSE(seen.prefix.is_epoch_monotone);
}

TEST_CASE("D6: a gap as the very last commit, a bad magic and a newer version are errors",
          "[format][scan]") {
    segment_builder gap;
    gap.raw_commit("zero");
    gap.next += 17;
    gap.raw_commit("eighteen");
    CHECK(scan_whole(gap.bytes, raw_from(0)).why == scan_end::out_of_order);
    CHECK(to_error(scan_end::out_of_order) == errc::out_of_order);

    segment_builder newer;
    newer.bytes[layout::segment_header::version_at] = std::byte{2};
    newer.raw_commit("zero");
    const auto refused = scan_whole(newer.bytes, raw_from(0));
    CHECK(refused.why == scan_end::bad_header);
    CHECK(refused.header_error == errc::unsupported_version);
    CHECK(refused.prefix.end_position_bytes == 0);

    segment_builder stranger;
    stranger.flip(0);
    const auto not_ours = scan_whole(stranger.bytes, raw_from(0));
    CHECK(not_ours.header_error == errc::not_a_segment);
    CHECK(to_error(not_ours.why) == errc::not_a_segment);
}

TEST_CASE("a compressed segment and one of zero bytes are named as such", "[format][scan]") {
    CHECK(scan_whole(test::from_hex("28b52ffd 0058 00000000 0000"), raw_from(0)).why ==
          scan_end::compressed);
    const auto empty = scan_whole({}, raw_from(0));
    CHECK(empty.why == scan_end::bad_header);
    CHECK(empty.header_error == errc::truncated);
}

TEST_CASE("version 0 segments are walked", "[format][scan]") {
    segment_builder segment;
    segment.bytes[layout::segment_header::version_at] = std::byte{0};
    segment.raw_commit(1, test::from_hex("0000000000000000"), segment_version::v0);
    segment.raw_commit(2, test::from_hex("0101"), segment_version::v0);
    segment.zeros(14);
    const auto seen = scan_whole(segment.bytes, raw_from(0));
    CHECK(seen.why == scan_end::zeros);
    CHECK(seen.prefix.next == log_offset{3});
}

TEST_CASE("D14: a version 0 header before version 1 commits is not an empty log",
          "[format][scan]") {
    segment_builder segment;
    segment.bytes[layout::segment_header::version_at] = std::byte{0};
    segment.raw_commit("everything the writer had");
    segment.raw_commit("and more");
    const auto seen = scan_whole(segment.bytes, raw_from(0));
    CHECK(seen.why == scan_end::other_version);
    CHECK(to_error(seen.why) == errc::malformed);

    segment_scanner scanner(raw_from(0));  // also when the first window ends inside that commit
    const auto first =
        scanner.next({std::span<const std::byte>(segment.bytes).first(34), 0, false});
    REQUIRE(first.step == scan_step::need_bytes);
    CHECK(first.need.position_bytes == 10);
    CHECK(scanner.next({segment.bytes, 0, true}).why == scan_end::other_version);
}

TEST_CASE("D20: a huge length ends the scan without a byte being asked for", "[format][scan]") {
    segment_builder segment;
    segment.commit({"a"});
    const auto position = segment.commit({"b"});
    store_le<std::uint32_t>(segment.bytes.data() + position + layout::commit_v1::region_bytes_at,
                            0xffff'fff0);
    segment_scanner scanner(native_from(0));
    const byte_window window{segment.bytes, 0, false};
    CHECK(scanner.next(window).step == scan_step::commit);
    const auto event = scanner.next(window);
    REQUIRE(event.step == scan_step::end);
    CHECK(event.why == scan_end::too_large);
    CHECK(event.position_bytes == position);
}
