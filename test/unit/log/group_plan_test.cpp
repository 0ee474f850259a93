// What forms a commit, where it goes, when it leaves, how it is padded: the plan alone, no I/O.

#include "log/group_plan.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::log_detail;

namespace {

constexpr std::uint64_t overhead_bytes = group_rules::commit_bytes(0);

group_rules rules_of(std::uint64_t segment_size_bytes) {
    group_rules rules;
    rules.segment_size_bytes = segment_size_bytes;
    return rules;
}

}  // namespace

TEST_CASE("an append joins the gathering group while everything fits", "[log][group_plan]") {
    const group_rules rules = rules_of(64_KiB);
    CHECK(rules.place({10, 400, 3}, {10, false}, {132, 1}) == placement::join);
    CHECK(rules.place({0, 0, 0}, {10, false}, {132, 1}) == placement::new_group);
}

TEST_CASE("a group is cut at 65,535 records", "[log][group_plan]") {
    group_rules rules = rules_of(64_MiB);
    rules.group_bytes_max = 1_MiB;
    CHECK(rules.place({10, 65'534 * 4, 65'534}, {10, false}, {4, 1}) == placement::join);
    CHECK(rules.place({10, 65'535 * 4, 65'535}, {10, false}, {4, 1}) == placement::new_group);
    CHECK(rules.place({10, 65'000 * 4, 65'000}, {10, false}, {536 * 4, 536}) ==
          placement::new_group);
}

TEST_CASE("a group that has reached its limit takes no more, and a larger call still becomes one",
          "[log][group_plan]") {
    group_rules rules = rules_of(64_MiB);
    rules.group_bytes_max = 100'000;
    CHECK(rules.place({10, 100'000 - overhead_bytes - 1, 1}, {10, false}, {100, 1}) ==
          placement::join);
    CHECK(rules.place({10, 100'000 - overhead_bytes, 1}, {10, false}, {100, 1}) ==
          placement::new_group);
    CHECK(rules.place({0, 0, 0}, {10, true}, {4_MiB, 1}) == placement::new_group);
}

TEST_CASE("a segment is not overshot: what does not fit begins the next one (D22)",
          "[log][group_plan]") {
    const group_rules rules = rules_of(64_KiB);
    const std::uint64_t room = 64_KiB - 40'000 - overhead_bytes;
    CHECK(rules.place({0, 0, 0}, {40'000, true}, {room, 1}) == placement::new_group);
    CHECK(rules.place({0, 0, 0}, {40'000, true}, {room + 1, 1}) == placement::new_segment);
    // The gathering group ends first; then there is no room behind it.
    CHECK(rules.place({40'000, room - 50, 1}, {40'000, true}, {50, 1}) == placement::join);
    CHECK(rules.place({40'000, room - 50, 1}, {40'000, true}, {51, 1}) == placement::new_segment);
}

TEST_CASE("a record larger than a segment gets a segment of its own", "[log][group_plan]") {
    const group_rules rules = rules_of(64_KiB);
    CHECK(rules.place({0, 0, 0}, {10, false}, {1_MiB, 1}) == placement::new_group);
    CHECK(rules.place({0, 0, 0}, {5'000, true}, {1_MiB, 1}) == placement::new_segment);
}

TEST_CASE("groups of 16 blocks end on a block boundary, smaller ones do not", "[log][group_plan]") {
    const group_rules rules = rules_of(64_MiB);
    const std::uint64_t large = 16 * 4096 + 1;
    const std::uint64_t padding = rules.padding_bytes(10, large);
    CHECK((10 + large + padding) % 4096 == 0);
    CHECK(padding < 4096);
    CHECK(rules.padding_bytes(10, 16 * 4096 - 1) == 0);
}

TEST_CASE("commit_alignment::block pads every group", "[log][group_plan]") {
    group_rules rules = rules_of(64_MiB);
    rules.alignment = commit_alignment::block;
    for (const std::uint64_t size : {60ull, 4'000ull, 4'086ull, 5'000ull, 100'000ull}) {
        CHECK((10 + size + rules.padding_bytes(10, size)) % 4096 == 0);
    }
}

TEST_CASE("a lone group leaves at once; others leave beside it past the threshold only",
          "[log][group_plan]") {
    CHECK(group_rules::may_leave(0, false, false, 60, 16_KiB));
    CHECK_FALSE(group_rules::may_leave(1, false, false, 60, 16_KiB));
    CHECK(group_rules::may_leave(1, false, false, 16_KiB, 16_KiB));
    CHECK(group_rules::may_leave(1, false, true, 60, 16_KiB));
    CHECK_FALSE(group_rules::may_leave(1, true, true, 1_MiB, 16_KiB));
    CHECK_FALSE(group_rules::may_leave(groups_in_flight_max, false, true, 1_MiB, 16_KiB));
}

TEST_CASE("a group cut at the smallest limit is padded, so that the next can leave beside it",
          "[log][group_plan]") {
    const group_rules rules = rules_of(64_MiB);
    CHECK(rules.group_bytes_max == padded_blocks_min * rules.block_bytes);
    CHECK((10 + rules.group_bytes_max + rules.padding_bytes(10, rules.group_bytes_max)) % 4096 ==
          0);
}

TEST_CASE("the threshold follows half of what is pending, within bounds", "[log][group_plan]") {
    group_threshold threshold;
    CHECK(threshold.bytes() == group_threshold_bytes_min);
    for (int k = 0; k < 100; ++k) {
        threshold.observe(135'000);
    }
    CHECK(threshold.bytes() > 60'000);
    CHECK(threshold.bytes() <= 67'500);
    for (int k = 0; k < 100; ++k) {
        threshold.observe(64_MiB);
    }
    CHECK(threshold.bytes() == group_threshold_bytes_max);
    for (int k = 0; k < 200; ++k) {
        threshold.observe(0);
    }
    CHECK(threshold.bytes() == group_threshold_bytes_min);
}
