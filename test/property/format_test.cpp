// Claims about the format over many generated inputs. Every failure names its seed; Catch2's
// --rng-seed sets it.

#include "base/prng.hpp"
#include "format/offset_index.hpp"
#include "format/state.hpp"
#include "format/survey.hpp"
#include "unit/format/segment_builder.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace caisson;
using namespace caisson::format;
using caisson::test::byte_vector;
using caisson::test::segment_builder;

namespace {

constexpr std::uint64_t size_limit = 1 << 16;

scan_params native_params() {
    scan_params params;
    params.log_id = segment_builder::default_log_id;
    params.previous_crc = 0;
    params.commit_size_bytes_max = size_limit;
    return params;
}

std::string random_record(prng& random, std::size_t size_max) {
    std::string record(random.below(size_max + 1), '\0');
    const bool is_low_entropy = random.chance(1, 3);
    for (char& c : record) {
        c = static_cast<char>(is_low_entropy ? random.below(3) : random.next());
    }
    return record;
}

segment_builder random_segment(prng& random, std::size_t commits) {
    segment_builder segment;
    for (std::size_t i = 0; i < commits; ++i) {
        std::vector<std::string> records(1 + random.below(5));
        for (auto& record : records) {
            record = random_record(random, 120);
        }
        segment.is_pipelined = random.chance(1, 4);
        segment.commit(records, random.chance(1, 3) ? random.below(64) : 0);
    }
    return segment;
}

// Where the commit that holds `byte` begins.
std::size_t commit_of(const segment_builder& segment, std::size_t byte) {
    const auto next = std::upper_bound(segment.positions.begin(), segment.positions.end(), byte);
    return *std::prev(next);
}

segment_facts survey_in_windows(const byte_vector& bytes, const scan_params& params, prng& random) {
    segment_survey survey(params);
    byte_window window;
    while (const auto need = survey.feed(window)) {
        const auto rest = std::span<const std::byte>(bytes).subspan(need->position_bytes);
        const auto take =
            std::min<std::size_t>(rest.size(), need->size_bytes_min + random.below(300));
        window = {rest.first(take), need->position_bytes, take == rest.size()};
    }
    return survey.facts();
}

}  // namespace

TEST_CASE("a flip of any bits in any byte of any commit is detected at that commit",
          "[format][property]") {
    const auto seed = Catch::getSeed();
    INFO("seed " << seed);
    prng random(seed);
    for (int round = 0; round < 4; ++round) {
        segment_builder segment = random_segment(random, 12);
        for (std::size_t byte = layout::segment_header::size_bytes; byte < segment.bytes.size();
             ++byte) {
            const auto mask = static_cast<unsigned>(1 + random.below(255));
            segment.flip(byte, mask);
            const auto facts = survey_segment(segment.bytes, native_params());
            segment.flip(byte, mask);
            INFO("round " << round << " byte " << byte << " mask " << mask);
            REQUIRE(facts.why != scan_end::end_of_file);
            REQUIRE(facts.prefix.end_position_bytes == commit_of(segment, byte));
            // Nothing beside the damaged commit is lost: all the others are in the prefix or found
            // behind it.
            REQUIRE(facts.prefix.commits + facts.later_commits == 11);
        }
    }
}

TEST_CASE("a segment cut anywhere keeps exactly its whole commits", "[format][property]") {
    const auto seed = Catch::getSeed();
    INFO("seed " << seed);
    prng random(seed);
    for (int round = 0; round < 10; ++round) {
        const segment_builder segment = random_segment(random, 15);
        for (std::size_t length = 10; length <= segment.bytes.size(); ++length) {
            const auto facts =
                survey_segment(std::span(segment.bytes).first(length), native_params());
            INFO("round " << round << " length " << length);
            const auto whole = facts.prefix.commits;
            const auto end = whole < 15 ? segment.positions[whole] : segment.bytes.size();
            REQUIRE(facts.prefix.end_position_bytes == end);
            REQUIRE(end <= length);
            REQUIRE((whole == 15 || segment.positions[whole] == length ||
                     facts.tail == tail_content::bytes || facts.tail == tail_content::zeros));
            REQUIRE(facts.later_commits == 0);
        }
    }
}

TEST_CASE("damage anywhere gives the same facts in windows as in one piece", "[format][property]") {
    const auto seed = Catch::getSeed();
    INFO("seed " << seed);
    prng random(seed);
    for (int round = 0; round < 300; ++round) {
        segment_builder segment = random_segment(random, 20);
        segment.zeros(random.below(3) * 200);
        for (std::uint64_t flips = random.below(4); flips > 0; --flips) {
            segment.flip(random.below(segment.bytes.size()),
                         static_cast<unsigned>(1 + random.below(255)));
        }
        auto params = native_params();
        params.commit_size_bytes_max = 1'000;
        if (random.chance(1, 3)) {
            params.log_id.reset();
        }
        const auto whole = survey_segment(segment.bytes, params);
        const auto pieces = survey_in_windows(segment.bytes, params, random);
        INFO("round " << round);
        REQUIRE(pieces.why == whole.why);
        REQUIRE(pieces.prefix.end_position_bytes == whole.prefix.end_position_bytes);
        REQUIRE(pieces.prefix.next == whole.prefix.next);
        REQUIRE(pieces.tail == whole.tail);
        REQUIRE(pieces.first_nonzero_bytes == whole.first_nonzero_bytes);
        REQUIRE(pieces.later_commits == whole.later_commits);
        REQUIRE(pieces.durable_end_max == whole.durable_end_max);
        REQUIRE(pieces.is_expected_header_at_frontier == whole.is_expected_header_at_frontier);
        REQUIRE(pieces.file_length_bytes == segment.bytes.size());
    }
}

TEST_CASE("random bytes crash no decoder", "[format][property]") {
    const auto seed = Catch::getSeed();
    INFO("seed " << seed);
    prng random(seed);
    for (int round = 0; round < 3'000; ++round) {
        byte_vector bytes(random.below(400));
        for (std::byte& b : bytes) {
            b = static_cast<std::byte>(random.chance(1, 2) ? random.below(2) : random.next());
        }
        if (random.chance(1, 2) && bytes.size() >= 10) {
            encode_segment_header(bytes);
            bytes[layout::segment_header::version_at] = static_cast<std::byte>(random.below(2));
        }
        auto params = native_params();
        if (random.chance(1, 2)) {
            params.log_id.reset();
        }
        const auto facts = survey_segment(bytes, params);
        REQUIRE(facts.prefix.end_position_bytes <= bytes.size());
        if (const auto index = offset_index_view::parse(bytes)) {
            const log_offset wanted{random.next()};
            const auto entry = index->find(wanted);
            REQUIRE(entry.has_value() == (index->size() > 0 && index->at(0).key <= wanted));
        }
        // Regions with a right checksum and any content.
        segment_builder forged;
        forged.raw_commit(static_cast<std::uint16_t>(1 + random.below(8)), bytes);
        const auto commit = decode_commit(std::span<const std::byte>(forged.bytes).subspan(10),
                                          segment_version::v1, size_limit);
        REQUIRE(commit);
        if (const auto records = decode_records(commit.value())) {
            std::size_t total_bytes = 0;
            for (const auto record : records.value()) {
                total_bytes += record.size() + layout::native::record_prefix_bytes;
            }
            REQUIRE(total_bytes + layout::native::trailer_bytes <= bytes.size());
        }
        (void)decode_trailer(commit.value()).has_value();
    }
}

TEST_CASE("a random slot of STATE is never taken for a state", "[format][property]") {
    const auto seed = Catch::getSeed();
    INFO("seed " << seed);
    prng random(seed);
    log_state state;
    state.generation = 6;
    std::array<std::byte, layout::state::slot_bytes> good;
    encode_state(good, state);
    for (int round = 0; round < 500; ++round) {
        auto torn = good;
        state.generation = 8;
        encode_state(torn, state);
        // Any subset of sectors of the new slot over the old one; all or nothing are valid.
        unsigned sectors_kept = 0;
        bool differs = false;
        for (std::size_t sector = 0; sector < torn.size(); sector += 512) {
            const bool is_kept = random.chance(1, 2);
            sectors_kept += is_kept ? 1 : 0;
            if (!is_kept) {
                differs =
                    differs || !std::equal(good.begin() + static_cast<std::ptrdiff_t>(sector),
                                           good.begin() + static_cast<std::ptrdiff_t>(sector) + 512,
                                           torn.begin() + static_cast<std::ptrdiff_t>(sector));
                std::copy_n(good.begin() + static_cast<std::ptrdiff_t>(sector), 512,
                            torn.begin() + static_cast<std::ptrdiff_t>(sector));
            }
        }
        const auto decoded = decode_state(torn);
        INFO("round " << round << " kept " << sectors_kept);
        const bool is_old = torn == good;
        REQUIRE(decoded.has_value() == (is_old || !differs));
        if (decoded) {
            REQUIRE(decoded.value().generation == (is_old ? 6U : 8U));
        }
    }
}
