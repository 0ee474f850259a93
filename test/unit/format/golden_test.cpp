// Files written once per version of the format: every build reads them, and writes the newest byte
// for byte. test/golden/README.md says how they were made.

#include "format/names.hpp"
#include "format/survey.hpp"
#include "unit/format/golden_content.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace caisson;
using namespace caisson::format;
using caisson::test::byte_vector;

namespace {

const std::string golden_directory = CAISSON_SOURCE_DIR "/test/golden/";
constexpr std::uint64_t size_limit = 1 << 20;

byte_vector read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    INFO(path);
    REQUIRE(file.is_open());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return test::from_text(text);
}

// STATE as a file: slot 0, a gap of zeros, slot 1.
byte_vector golden_state_file() {
    const auto slots = test::golden_state();
    byte_vector bytes(layout::state::slot_1_position_bytes + layout::state::slot_bytes);
    std::copy(slots[0].begin(), slots[0].end(), bytes.begin());
    std::copy(slots[1].begin(), slots[1].end(),
              bytes.begin() + static_cast<std::ptrdiff_t>(layout::state::slot_1_position_bytes));
    return bytes;
}

}  // namespace

TEST_CASE("the golden segment of version 1 is reproduced byte for byte", "[format][golden]") {
    const auto golden = read_file(golden_directory + "v1/" + segment_name(log_offset{1'000}));
    CHECK(golden == test::golden_segment().bytes);
}

TEST_CASE("the golden segment of version 1 is read", "[format][golden]") {
    const auto golden = read_file(golden_directory + "v1/" + segment_name(log_offset{1'000}));
    scan_params params;
    params.expected_begin = log_offset{1'000};
    params.log_id = 0x0123'4567'89ab'cdef;
    params.previous_crc = 0xcafe'f00d;
    params.commit_size_bytes_max = size_limit;
    const auto facts = survey_segment(golden, params);
    CHECK(facts.why == scan_end::end_of_file);
    CHECK(facts.is_clean_end());
    CHECK(facts.prefix.commits == 4);
    CHECK(facts.prefix.records == 10);
    CHECK(facts.prefix.next == log_offset{1'010});
    CHECK(facts.prefix.epoch_max == 7);
    CHECK(facts.prefix.last_timestamp_us == 1'700'000'000'003'000);
    CHECK(facts.prefix.last_durable_end == log_offset{1'004});
}

TEST_CASE("the golden STATE of version 1 is reproduced byte for byte and read",
          "[format][golden]") {
    const auto golden = read_file(golden_directory + "v1/STATE");
    CHECK(golden == golden_state_file());
    const std::span<const std::byte> bytes = golden;
    const auto chosen = choose_state(bytes.first<layout::state::slot_bytes>(),
                                     bytes.last<layout::state::slot_bytes>());
    REQUIRE(chosen);
    CHECK(chosen.value().state.generation == 42);
    CHECK(chosen.value().state.mark.has_value());
    CHECK_FALSE(chosen.value().is_settled);
}

TEST_CASE("the log of a real database is read as it was written", "[format][golden]") {
    const auto golden =
        read_file(golden_directory + "spacetimedb-v1.2/" + segment_name(log_offset{0}));
    struct expected_commit {
        std::uint64_t position_bytes;
        std::uint64_t region_bytes;
        std::uint32_t crc;
    };
    constexpr expected_commit expected[] = {
        {10, 164'929, 0x6427'3486},  {164'965, 175, 0x7ae0'1ede}, {165'166, 136, 0x1af2'ef3a},
        {165'328, 136, 0x2159'1b15}, {165'490, 154, 0x08bd'2304}, {165'670, 136, 0x0d74'ea61},
        {165'832, 217, 0x9385'0dbe}, {166'075, 139, 0xe6c4'2e27}, {166'240, 139, 0x58ca'3767},
    };
    scan_params params;
    params.commit_size_bytes_max = size_limit;
    segment_scanner scanner(params);
    const byte_window whole{golden, 0, true};
    for (const auto& each : expected) {
        const auto event = scanner.next(whole);
        REQUIRE(event.step == scan_step::commit);
        CHECK(event.position_bytes == each.position_bytes);
        CHECK(event.commit.region.size() == each.region_bytes);
        CHECK(event.commit.crc == each.crc);
        CHECK(event.commit.record_count == 1);
        CHECK(event.commit.epoch == 0);
    }
    const auto end = scanner.next(whole);
    REQUIRE(end.step == scan_step::end);
    CHECK(end.why == scan_end::end_of_file);
    CHECK(scanner.prefix().end_position_bytes == 166'405);
    CHECK(scanner.prefix().next == log_offset{9});
}

TEST_CASE("damage in a real log leaves its other commits to be found", "[format][golden]") {
    auto golden = read_file(golden_directory + "spacetimedb-v1.2/" + segment_name(log_offset{0}));
    scan_params params;
    params.commit_size_bytes_max = size_limit;
    for (const std::size_t byte : {17U, 26U, 28U, 31U, 40U, 1'000U, 100'000U, 164'960U, 164'962U}) {
        golden[byte] ^= std::byte{0x10};
        const auto facts = survey_segment(golden, params);
        golden[byte] ^= std::byte{0x10};
        INFO(byte);
        CHECK(facts.prefix.commits == 0);
        CHECK(facts.later_commits == 8);
        REQUIRE(facts.first_later);
        CHECK(facts.first_later->position_bytes == 164'965);
    }
}

// Hidden: writes the files of the newest version. Run once when the version changes; see
//         test/golden/README.md.
TEST_CASE("write the golden files", "[.write-golden]") {
    const char* const directory = std::getenv("CAISSON_GOLDEN_OUTPUT");
    REQUIRE(directory != nullptr);
    const auto write_file = [&](const std::string& name, const byte_vector& bytes) {
        std::ofstream file(std::string(directory) + "/" + name, std::ios::binary);
        for (const std::byte b : bytes) {
            file.put(static_cast<char>(b));
        }
        REQUIRE(file.good());
    };
    write_file(segment_name(log_offset{1'000}), test::golden_segment().bytes);
    write_file("STATE", golden_state_file());
}
