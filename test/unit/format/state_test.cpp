// STATE: every field round trip, every kind of bad slot, and which slot counts.

#include "format/state.hpp"

#include "base/crc32c.hpp"
#include "base/endian.hpp"

#include <caisson/errc.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <functional>
#include <vector>

using namespace caisson;
using namespace caisson::format;
namespace at = layout::state;

namespace {

using slot = std::array<std::byte, at::slot_bytes>;

slot encode(const log_state& state) {
    slot bytes;
    bytes.fill(std::byte{0xaa});
    encode_state(bytes, state);
    return bytes;
}

void reseal(slot& bytes) {
    store_le<std::uint32_t>(bytes.data() + at::checksum_at,
                            crc32c(std::span<const std::byte>(bytes).first<at::checksum_at>()));
}

log_state plain(std::uint64_t generation) {
    log_state state;
    state.generation = generation;
    state.log_id = 42;
    return state;
}

struct variation {
    const char* what;
    std::function<void(log_state&)> apply;
    bool is_settled_fact;
};

const std::vector<variation>& variations() {
    static const std::vector<variation> all = {
        {"native_from", [](log_state& s) { s.native_from = log_offset{11}; }, false},
        {"purged_before", [](log_state& s) { s.purged_before = log_offset{12}; }, true},
        {"epoch", [](log_state& s) { s.epoch = 13; }, true},
        {"remote_end", [](log_state& s) { s.remote_end = log_offset{14}; }, false},
        {"block size", [](log_state& s) { s.block_size_bytes = 16'384; }, false},
        {"role", [](log_state& s) { s.role = log_role::sink; }, true},
        {"sink with its own end",
         [](log_state& s) {
             s.role = log_role::sink;
             s.sink_synced_end = log_offset{15};
         },
         true},
        {"segment at 0", [](log_state& s) { s.segment = newest_segment{log_offset{0}, 0U, 0}; },
         true},
        {"segment",
         [](log_state& s) { s.segment = newest_segment{log_offset{16}, 0x1717'1717U, 18}; }, true},
        {"segment, predecessor unknown",
         [](log_state& s) { s.segment = newest_segment{log_offset{19}, std::nullopt, 0}; }, true},
        {"reset to 0", [](log_state& s) { s.reset_target = log_offset{0}; }, true},
        {"reset", [](log_state& s) { s.reset_target = log_offset{20}; }, true},
        {"mark", [](log_state& s) { s.mark = clean_mark{log_offset{21}, 22, 23, 24}; }, true},
        {"mark of zeros", [](log_state& s) { s.mark = clean_mark{}; }, true},
    };
    return all;
}

}  // namespace

TEST_CASE("every fact of a state comes back", "[format][state]") {
    CHECK(decode_state(encode(plain(7))).value() == plain(7));
    log_state everything = plain(0xffff'ffff'ffff'fffe);
    for (const auto& each : variations()) {
        log_state one = plain(7);
        each.apply(one);
        each.apply(everything);
        INFO(each.what);
        REQUIRE(decode_state(encode(one)));
        CHECK(decode_state(encode(one)).value() == one);
        CHECK_FALSE(one == plain(7));
    }
    CHECK(decode_state(encode(everything)).value() == everything);
}

TEST_CASE("every flipped bit of a slot is noticed", "[format][state]") {
    log_state state = plain(7);
    for (const auto& each : variations()) {
        each.apply(state);
    }
    const slot good = encode(state);
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
        slot bad = good;
        bad[byte] ^= static_cast<std::byte>(1U << byte % 8);
        REQUIRE(decode_state(bad).error() == errc::checksum_mismatch);
    }
}

TEST_CASE("a newer version or an unknown feature is told from damage", "[format][state]") {
    slot newer = encode(plain(7));
    store_le<std::uint32_t>(newer.data() + at::version_at, 2);
    reseal(newer);
    CHECK(decode_state(newer).error() == errc::unsupported_version);
    slot featured = encode(plain(7));
    store_le<std::uint32_t>(featured.data() + at::features_at, 1);
    reseal(featured);
    CHECK(decode_state(featured).error() == errc::unsupported_version);
    // What the other slot says may be out of date, so it does not help.
    CHECK(choose_state(encode(plain(6)), newer).error() == errc::unsupported_version);
    CHECK(choose_state(encode(plain(8)), newer).error() == errc::unsupported_version);
}

TEST_CASE("bytes that no field explains are malformed", "[format][state]") {
    for (const std::size_t byte :
         {at::reserved_1_at, at::reserved_2_at, at::checksum_at - 1, at::segment_begin_at,
          at::predecessor_crc_at, at::reset_target_at, at::mark_segment_at, at::mark_crc_at,
          at::sink_synced_end_at}) {
        slot bytes = encode(plain(7));
        bytes[byte] = std::byte{1};
        reseal(bytes);
        INFO(byte);
        CHECK(decode_state(bytes).error() == errc::malformed);
    }
    for (const std::size_t flag :
         {at::role_at, at::intention_at, at::has_segment_at, at::has_mark_at}) {
        slot bytes = encode(plain(7));
        bytes[flag] = std::byte{2};
        reseal(bytes);
        CHECK(decode_state(bytes).error() == errc::malformed);
    }
    slot bytes = encode(plain(7));
    store_le<std::uint32_t>(bytes.data() + at::block_bytes_at, 5'000);
    reseal(bytes);
    CHECK(decode_state(bytes).error() == errc::malformed);
}

TEST_CASE("the newer of two valid slots counts", "[format][state]") {
    const auto first = choose_state(encode(plain(8)), encode(plain(7)));
    CHECK(first.value().state.generation == 8);
    CHECK(first.value().other == slot_condition::valid);
    CHECK(first.value().is_settled);
    CHECK(choose_state(encode(plain(8)), encode(plain(9))).value().state.generation == 9);
}

TEST_CASE("a torn slot leaves the other, and nothing is settled", "[format][state]") {
    slot torn = encode(plain(8));
    std::fill(torn.begin() + 512, torn.end(), std::byte{0x55});
    const auto chosen = choose_state(torn, encode(plain(7)));
    REQUIRE(chosen);
    CHECK(chosen.value().state.generation == 7);
    CHECK(chosen.value().other == slot_condition::bad);
    CHECK_FALSE(chosen.value().is_settled);
}

TEST_CASE("the first write of a new log has an empty slot beside it", "[format][state]") {
    const auto chosen = choose_state(slot{}, encode(plain(1)));
    REQUIRE(chosen);
    CHECK(chosen.value().other == slot_condition::empty);
    CHECK_FALSE(chosen.value().is_settled);
}

TEST_CASE("two bad slots are an error", "[format][state]") {
    slot torn = encode(plain(8));
    torn[100] ^= std::byte{1};
    CHECK(choose_state(torn, torn).error() == errc::state_damaged);
    CHECK(choose_state(slot{}, slot{}).error() == errc::state_damaged);
    CHECK(choose_state(torn, slot{}).error() == errc::state_damaged);
}

TEST_CASE("a slot in the other's place does not count", "[format][state]") {
    const auto chosen = choose_state(encode(plain(9)), encode(plain(7)));  // 9 belongs into slot 1
    REQUIRE(chosen);
    CHECK(chosen.value().state.generation == 7);
    CHECK(chosen.value().other == slot_condition::bad);
    CHECK(choose_state(encode(plain(9)), encode(plain(8))).error() == errc::state_damaged);
}

TEST_CASE("slots of two logs are an error", "[format][state]") {
    log_state other = plain(9);
    other.log_id = 43;
    CHECK(choose_state(encode(plain(8)), encode(other)).error() == errc::state_damaged);
}

TEST_CASE("a fact that takes something back is settled when both slots hold it",
          "[format][state]") {
    for (const auto& each : variations()) {
        log_state newer = plain(8);
        each.apply(newer);
        INFO(each.what);
        CHECK(choose_state(encode(newer), encode(plain(7))).value().is_settled ==
              !each.is_settled_fact);
        log_state older = plain(7);
        each.apply(older);
        CHECK(choose_state(encode(newer), encode(older)).value().is_settled);
    }
    log_state older = plain(7);
    older.segment = newest_segment{log_offset{16}, 17U, 18};
    log_state newer = plain(8);
    newer.segment = newest_segment{log_offset{19}, 20U, 21};
    CHECK(choose_state(encode(newer), encode(older)).value().is_settled);  // a gain, not the first
}
