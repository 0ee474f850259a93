// The facts that recovery decides by, for each state a crash or a rotten disk can leave behind.

#include "format/survey.hpp"

#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::format;
using caisson::test::segment_builder;

namespace {

scan_params native_from(std::uint64_t first) {
    scan_params params;
    params.expected_begin = log_offset{first};
    params.log_id = segment_builder::default_log_id;
    params.previous_crc = 0;
    params.commit_size_bytes_max = 1 << 20;
    return params;
}

scan_params raw_from(std::uint64_t first) {
    auto params = native_from(first);
    params.log_id.reset();
    params.previous_crc.reset();
    return params;
}

}  // namespace

TEST_CASE("an exact end and a tail of zeros are clean", "[format][survey]") {
    segment_builder segment;
    segment.commit({"a"});
    const auto exact = survey_segment(segment.bytes, native_from(0));
    CHECK(exact.tail == tail_content::nothing);
    CHECK(exact.is_clean_end());
    segment.zeros(100'000);
    const auto zeros = survey_segment(segment.bytes, native_from(0));
    CHECK(zeros.tail == tail_content::zeros);
    CHECK(zeros.why == scan_end::zeros);
    CHECK(zeros.is_clean_end());
    CHECK(zeros.file_length_bytes == segment.bytes.size());
}

TEST_CASE("leftovers of a recycled file are bytes and still a clean end", "[format][survey]") {
    segment_builder old_life(log_offset{0});
    for (int i = 0; i < 20; ++i) {
        old_life.commit({std::string(100, 'o')});
    }
    segment_builder segment(log_offset{1'000});
    segment.commit({"new"});
    const auto end = segment.bytes.size();
    segment.append(std::span<const std::byte>(old_life.bytes).subspan(end));
    const auto facts = survey_segment(segment.bytes, native_from(1'000));
    CHECK(facts.tail == tail_content::bytes);
    CHECK(facts.first_nonzero_bytes == end);
    CHECK(facts.is_clean_end());
    CHECK(facts.prefix.end_position_bytes == end);
}

TEST_CASE("a torn last commit has no witness", "[format][survey]") {
    segment_builder segment;
    segment.commit({"a"});
    const auto torn = segment.commit({std::string(2'000, 'b')});
    std::fill_n(segment.bytes.begin() + static_cast<std::ptrdiff_t>(torn) + 512, 512, std::byte{0});
    const auto facts = survey_segment(segment.bytes, native_from(0));
    CHECK(facts.why == scan_end::checksum_mismatch);
    CHECK(facts.is_expected_header_at_frontier);
    CHECK(facts.later_commits == 0);
    CHECK_FALSE(facts.is_frontier_proved_durable());
    CHECK_FALSE(facts.is_clean_end());
}

TEST_CASE("groups in flight behind a torn one are later commits and no witness",
          "[format][survey]") {
    segment_builder segment;
    segment.commit({"a"});
    segment.is_pipelined = true;  // the three groups leave while only "a" is durable
    const auto torn = segment.commit({"b"});
    const auto second = segment.commit({"c"});
    segment.commit({"d"});
    SECTION("missing wholly") {
        std::fill_n(segment.bytes.begin() + static_cast<std::ptrdiff_t>(torn), second - torn,
                    std::byte{0});
    }
    SECTION("flipped in its payload") { segment.flip(torn + 27); }
    const auto facts = survey_segment(segment.bytes, native_from(0));
    CHECK(facts.prefix.end_position_bytes == torn);
    CHECK(facts.later_commits == 2);
    REQUIRE(facts.first_later);
    CHECK(facts.first_later->position_bytes == second);
    CHECK(facts.first_later->begin == log_offset{2});
    CHECK(facts.last_later->end == log_offset{4});
    CHECK(facts.durable_end_max == log_offset{1});
    CHECK_FALSE(facts.is_frontier_proved_durable());
    CHECK_FALSE(facts.is_clean_end());
}

TEST_CASE("D4: damage in the middle of the last segment is proved by a later commit",
          "[format][survey]") {
    segment_builder segment;
    for (int i = 0; i < 10; ++i) {
        segment.commit({std::string(50, 'x')});
    }
    const auto damaged = segment.positions[4];
    for (const std::size_t byte : {0U, 9U, 16U, 18U, 21U, 30U, 80U}) {
        auto copy = segment;
        copy.flip(damaged + byte, 0x80);
        const auto facts = survey_segment(copy.bytes, native_from(0));
        INFO(byte);
        CHECK(facts.prefix.end_position_bytes == damaged);
        CHECK(facts.prefix.next == log_offset{4});
        CHECK(facts.later_commits == 5);
        REQUIRE(facts.first_later);
        CHECK(facts.first_later->begin == log_offset{5});
        CHECK(facts.durable_end_max == log_offset{9});
        CHECK(facts.is_frontier_proved_durable());
    }
}

TEST_CASE("a witness that speaks exactly of the frontier is none", "[format][survey]") {
    // durable_end is exclusive: 5 proves 0..4, and the frontier expects 5.
    for (const std::uint64_t durable_end : {std::uint64_t{5}, std::uint64_t{6}}) {
        segment_builder segment;
        segment.commit({"0", "1", "2", "3", "4"});
        segment.is_pipelined = true;
        const auto damaged = segment.commit({"5"});
        segment.durable_end = log_offset{durable_end};
        segment.commit({"6"});
        segment.flip(damaged + 25);
        const auto facts = survey_segment(segment.bytes, native_from(0));
        CHECK(facts.is_frontier_proved_durable() == (durable_end == 6));
    }
}

TEST_CASE("a valid commit at the frontier that does not continue the chain is a later commit",
          "[format][survey]") {
    segment_builder segment;
    segment.commit({"a"});
    segment.previous_crc ^= 1;
    const auto position = segment.commit({"stale"});
    const auto facts = survey_segment(segment.bytes, native_from(0));
    CHECK(facts.why == scan_end::chain_broken);
    CHECK(facts.is_expected_header_at_frontier);
    REQUIRE(facts.first_later);
    CHECK(facts.first_later->position_bytes == position);
    CHECK_FALSE(facts.is_frontier_proved_durable());
}

TEST_CASE("a bad header is told together with what lies behind it", "[format][survey]") {
    segment_builder segment(log_offset{20});
    segment.flip(2);
    const auto nothing = survey_segment(segment.bytes, native_from(20));
    CHECK(nothing.why == scan_end::bad_header);
    CHECK(nothing.header_error == errc::not_a_segment);
    CHECK(nothing.later_commits == 0);
    CHECK(nothing.prefix.end_position_bytes == 0);
    segment.commit({"a"});
    segment.commit({"b"});
    const auto something = survey_segment(segment.bytes, native_from(20));
    CHECK(something.later_commits == 2);
    CHECK(something.is_frontier_proved_durable());
}

TEST_CASE("a file of zeros has a bad header and nothing in it", "[format][survey]") {
    const auto facts = survey_segment(test::byte_vector(5'000), native_from(20));
    CHECK(facts.why == scan_end::bad_header);
    CHECK(facts.tail == tail_content::zeros);
    CHECK(facts.is_clean_end());
}

TEST_CASE("raw: any later valid commit is told", "[format][survey]") {
    segment_builder segment;
    segment.raw_commit("one");
    const auto damaged = segment.raw_commit("two");
    const auto later = segment.raw_commit("three");
    segment.flip(damaged + 23);
    const auto facts = survey_segment(segment.bytes, raw_from(0));
    CHECK(facts.prefix.next == log_offset{1});
    REQUIRE(facts.first_later);
    CHECK(facts.first_later->position_bytes == later);
    CHECK(facts.first_later->begin == log_offset{2});
}

TEST_CASE("windows give the same facts as the whole, and the index is built on the way",
          "[format][survey]") {
    segment_builder segment;
    for (std::size_t i = 0; i < 60; ++i) {
        segment.commit({std::string(30 + i, 'w')});
    }
    segment.flip(segment.positions[40] + 40);
    segment.zeros(5'000);
    auto params = native_from(0);
    params.commit_size_bytes_max = 2'000;
    offset_index_builder whole_index(512, 100);
    const auto whole = survey_segment(segment.bytes, params, &whole_index);
    CHECK(whole.later_commits == 19);

    offset_index_builder index(512, 100);
    segment_survey survey(params, &index);
    byte_window window;
    while (const auto need = survey.feed(window)) {
        const auto rest = std::span<const std::byte>(segment.bytes).subspan(need->position_bytes);
        const auto take = std::min<std::size_t>(rest.size(), need->size_bytes_min);
        window = {rest.first(take), need->position_bytes, take == rest.size()};
    }
    CHECK(survey.is_complete());
    CHECK_FALSE(survey.feed(window).has_value());
    CHECK(survey.facts().prefix.end_position_bytes == whole.prefix.end_position_bytes);
    CHECK(survey.facts().later_commits == 19);
    CHECK(survey.facts().durable_end_max == whole.durable_end_max);
    CHECK(survey.facts().file_length_bytes == segment.bytes.size());
    CHECK(survey.facts().first_nonzero_bytes == segment.positions[40]);
    CHECK(index.encode() == whole_index.encode());
    CHECK_FALSE(index.entries().empty());
}
