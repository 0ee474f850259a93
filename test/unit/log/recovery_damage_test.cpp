// Crafted damage: the reference's defects D1-D31 that concern opening, and the outcomes that its
// format page observed, each with the outcome this log owes. Every case checks the verdict and the
// directory afterwards.

#include "support/recovery_rig.hpp"

#include "base/prng.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "format/segment_header.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <fstream>
#include <iterator>

namespace caisson::test {
namespace {

void expect_refused(recovery_rig& rig, errc expected, std::uint64_t position, log_offset offset,
                    log_options options = {}) {
    const directory_image before = rig.files();
    const open_outcome opened = rig.open(std::move(options));
    INFO(opened.message());
    REQUIRE_FALSE(opened.is_open());
    CHECK(opened.code() == expected);
    CHECK(opened.refused->position_bytes() == position);
    CHECK(opened.refused->offset() == offset);
    CHECK(opened.refused->file().find(".stdb.log") != std::string::npos);
    CHECK_FALSE(opened.refused->advice().empty());
    CHECK(rig.files() == before);
}

/// What an open that found the newest segment good for `length` bytes leaves of a directory: the
/// segment cut there, what was cut in lost/, spare/ empty, everything else as it was. STATE is the
/// business of other tests.
directory_image settled(directory_image before, const open_outcome& opened, std::uint64_t length,
                        const std::vector<std::byte>& state) {
    constexpr std::uint64_t header_bytes = format::layout::segment_header::size_bytes;
    std::erase_if(before, [](const auto& each) {
        return each.first.starts_with("spare/") && each.first != "spare/";
    });
    before["STATE"] = state;
    std::vector<std::byte>& newest = before.at(format::segment_name(opened.log->tail.begin));
    const open_report& report = opened.report;
    if (report.cut_bytes > 0) {
        const auto cut = newest.begin() + static_cast<std::ptrdiff_t>(report.cut_position_bytes);
        before["lost/"];
        before[report.lost_file].assign(cut, cut + static_cast<std::ptrdiff_t>(report.cut_bytes));
    }
    newest.resize(static_cast<std::size_t>(length));
    if (length == header_bytes) {  // it may have been made anew
        format::encode_segment_header(newest);
    }
    return before;
}

/// Opens and expects the log to end at `end`, its newest segment `length` bytes long.
open_outcome expect_opened(recovery_rig& rig, log_offset end, std::uint64_t length,
                           log_options options = {}) {
    const directory_image before = rig.files();
    open_outcome opened = rig.open(std::move(options));
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->end == end);
    CHECK(opened.log->tail.length_bytes == length);
    CHECK(rig.files() == settled(before, opened, length, rig.file("STATE")));
    CHECK(rig.disk().changes_unsynced() == 0);
    return opened;
}

TEST_CASE("D1: prepared zeros behind the last commit are a clean end, however many",
          "[log][recovery]") {
    for (const std::uint64_t zeros : {1U, 21U, 22U, 25U, 26U, 60U, 4096U, 1'048'576U, 3'000'000U}) {
        log_builder log;
        log.commits(3);
        const std::uint64_t good = log.newest().bytes.size();
        append(log.newest().bytes, zeros, std::byte{0});
        recovery_rig rig;
        rig.put(log);
        const open_outcome opened = expect_opened(rig, log_offset{3}, good);
        CHECK(opened.report.cut_bytes == 0);
        CHECK(rig.names("lost").empty());
    }
}

TEST_CASE("D4: damage in the middle of the last segment is refused when a later commit proves it "
          "was acknowledged",
          "[log][recovery]") {
    log_builder log;
    log.commits(6);
    const built_commit hurt = log.newest().commits[2];
    for (std::uint64_t at = 0; at < hurt.size_bytes; ++at) {
        log_builder damaged = log;
        flip(damaged.newest().bytes, hurt.position_bytes + at);
        recovery_rig rig;
        rig.put(damaged);
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
}

TEST_CASE("D4: the same damage without a proof behind it is a torn write", "[log][recovery]") {
    log_builder log;
    log.commits(2).set_durable_end(log_offset{2}).commits(3);
    const built_commit hurt = log.newest().commits[2];
    flip(log.newest().bytes, hurt.position_bytes + 25);
    recovery_rig rig;
    rig.put(log);
    const open_outcome opened = expect_opened(rig, log_offset{2}, hurt.position_bytes);
    CHECK(opened.report.cut_bytes > 0);
}

TEST_CASE("D5: a tail found at open is synced before it is shown", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    recovery_rig rig;
    rig.put(log);
    const auto syncs_before =
        rig.world.counters().operations_by_kind[static_cast<int>(sim::operation_kind::sync)];
    expect_opened(rig, log_offset{3}, log.newest().bytes.size());
    const auto syncs =
        rig.world.counters().operations_by_kind[static_cast<int>(sim::operation_kind::sync)];
    CHECK(syncs - syncs_before >= 2);  // the segment and STATE
    const auto directory_syncs =
        rig.world.counters()
            .operations_by_kind[static_cast<int>(sim::operation_kind::directory_sync)];
    CHECK(directory_syncs >= 2);
}

TEST_CASE("D6: a commit beyond a gap at the very end is never silently swallowed",
          "[log][recovery]") {
    log_builder log;
    log.commits(3).set_next(log_offset{4}).commits(1);
    SECTION("it proves that what is missing was durable") {
        recovery_rig rig;
        rig.put(log);
        expect_refused(rig, errc::damaged, log.newest().commits[3].position_bytes, log_offset{3});
    }
    SECTION("without the proof it is part of an unfinished write, and kept in lost/") {
        log_builder unproven;
        unproven.commits(3).set_next(log_offset{4}).set_durable_end(log_offset{3}).commits(1);
        recovery_rig rig;
        rig.put(unproven);
        const open_outcome opened =
            expect_opened(rig, log_offset{3}, unproven.newest().commits[3].position_bytes);
        CHECK(opened.report.cut_bytes == unproven.last().size_bytes);
    }
}

TEST_CASE("D6: an unknown version, another algorithm and a bad magic are errors, not empty logs",
          "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const auto hurt_at = [&](std::uint64_t position, std::byte mask) {
        log_builder damaged = log;
        flip(damaged.newest().bytes, position, mask);
        return damaged;
    };
    {
        recovery_rig rig;
        rig.put(hurt_at(6, std::byte{0x03}));  // version 2
        expect_refused(rig, errc::unsupported_version, 0, log_offset{0});
    }
    {
        recovery_rig rig;
        rig.put(hurt_at(7, std::byte{0x01}));
        expect_refused(rig, errc::unsupported_algorithm, 0, log_offset{0});
    }
    for (std::uint64_t at = 0; at < 6; ++at) {
        recovery_rig rig;
        rig.put(hurt_at(at, std::byte{0x40}));
        expect_refused(rig, errc::damaged, 0, log_offset{0});
    }
    {
        recovery_rig rig;  // D14, D15: version 0 over commits of version 1
        rig.put(hurt_at(6, std::byte{0x01}));
        expect_refused(rig, errc::damaged, 0, log_offset{0});
    }
}

TEST_CASE("D10: an exact copy of the last commit at the end does not keep a log from opening",
          "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const std::uint64_t good = log.newest().bytes.size();
    auto& bytes = log.newest().bytes;
    const built_commit last = log.last();
    const std::vector<std::byte> copy(
        bytes.begin() + static_cast<std::ptrdiff_t>(last.position_bytes), bytes.end());
    bytes.insert(bytes.end(), copy.begin(), copy.end());
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{3}, good);
}

TEST_CASE("D10: a fork at the end does not replace what came first", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const std::uint64_t good = log.newest().bytes.size();
    log.set_next(log_offset{2}).commit({"another record 2"});
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{3}, good);
}

TEST_CASE("D11: 1 to 40 stray bytes behind the last commit are removed before anything is appended",
          "[log][recovery]") {
    for (std::uint64_t stray = 1; stray <= 40; ++stray) {
        log_builder log;
        log.commits(3);
        const std::uint64_t good = log.newest().bytes.size();
        append(log.newest().bytes, stray, std::byte{0xa5});
        recovery_rig rig;
        rig.put(log);
        expect_opened(rig, log_offset{3}, good);
    }
}

TEST_CASE("D20: a damaged length neither allocates nor hides what follows", "[log][recovery]") {
    log_builder log;
    log.commits(6);
    const built_commit hurt = log.newest().commits[3];
    for (const std::uint64_t byte : {18U, 19U, 20U, 21U}) {
        log_builder damaged = log;
        damaged.newest().bytes[static_cast<std::size_t>(hurt.position_bytes + byte)] =
            std::byte{0xff};
        append(damaged.newest().bytes, 100'000, std::byte{0});
        recovery_rig rig;
        rig.put(damaged);
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
    log_builder no_records = log;  // n = 0
    no_records.newest().bytes[static_cast<std::size_t>(hurt.position_bytes + 16)] = std::byte{0};
    recovery_rig rig;
    rig.put(no_records);
    expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
}

TEST_CASE("D20: a torn commit that claims megabytes in a prepared segment is cut",
          "[log][recovery]") {
    log_builder log;
    log.commits(2).commit({std::string(6'000'000, 'x')});
    const built_commit torn = log.last();
    log.newest().bytes.resize(static_cast<std::size_t>(torn.position_bytes + 5000));
    append(log.newest().bytes, 8'000'000, std::byte{0});
    recovery_rig rig;
    rig.put(log);
    const open_outcome opened = expect_opened(rig, log_offset{2}, torn.position_bytes);
    CHECK(opened.report.cut_bytes == 5000);
}

TEST_CASE("a commit larger than every window is read and kept", "[log][recovery]") {
    log_builder log;
    log.commits(2).commit({std::string(9'000'000, 'x')}).commits(2);
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{5}, log.newest().bytes.size());

    flip(log.newest().bytes, log.newest().commits[2].position_bytes + 5'000'000);
    recovery_rig damaged;
    damaged.put(log);
    expect_refused(damaged, errc::damaged, log.newest().commits[2].position_bytes, log_offset{2});
}

TEST_CASE("a later commit larger than the common length is found as a witness", "[log][recovery]") {
    log_builder log;
    log.commits(3).commit({std::string(3'000'000, 'x')});
    const built_commit hurt = log.newest().commits[2];
    flip(log.newest().bytes, hurt.position_bytes + 3);
    recovery_rig rig;
    rig.put(log);
    expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
}

TEST_CASE("D21: a segment of another log with matching offsets is refused", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    log_builder stranger(0x9999);
    stranger.commits(3);
    recovery_rig rig;
    rig.put(stranger, log.running_state());
    expect_refused(rig, errc::wrong_log, 10, log_offset{0});

    log_builder raw;
    raw.raw_commit(1, "a reference's commit").raw_commit(1, "another one");
    recovery_rig reference;
    reference.put(raw, log.running_state());
    expect_refused(reference, errc::wrong_log, 10, log_offset{0});
}

TEST_CASE(
    "D21: a stale segment of the same log that does not continue the one before it is refused",
    "[log][recovery]") {
    log_builder log;
    log.commits(3).rotate().commits(3);
    format::log_state state = log.running_state();
    state.segment->predecessor_crc = 0x1234'5678;
    recovery_rig rig;
    rig.put(log, state);
    expect_refused(rig, errc::chain_broken, 10, log_offset{3});

    state.segment->predecessor_crc.reset();  // after a restore nobody knows: not checked
    recovery_rig restored;
    restored.put(log, state);
    expect_opened(restored, log_offset{6}, log.newest().bytes.size());
}

TEST_CASE("D21: commits that came back behind a cut do not chain and are cut again",
          "[log][recovery]") {
    log_builder log;
    log.commits(3).set_durable_end(log_offset{3}).set_previous_crc(0xdead'beef).commits(2);
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{3}, log.newest().commits[3].position_bytes);
}

TEST_CASE("D22, D7: a header-only newest segment stays, and the log goes on in it",
          "[log][recovery]") {
    log_builder log;
    log.commits(3).rotate();
    recovery_rig rig;
    rig.put(log);
    const open_outcome opened = expect_opened(rig, log_offset{3}, 10);
    CHECK(opened.log->tail.begin == log_offset{3});
    CHECK(rig.has("00000000000000000000.stdb.log"));
}

TEST_CASE("D23: what a crash left in spare/ goes, foreign leftovers stay", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    recovery_rig rig;
    rig.put(log);
    rig.disk().write_file("/log/spare/00000000000000000003.stdb.log", std::vector<std::byte>(4096));
    rig.disk().write_file("/log/.tmpabc123", {});
    expect_opened(rig, log_offset{3}, log.newest().bytes.size());
    CHECK(rig.names("spare").empty());
    CHECK(rig.has(".tmpabc123"));
}

TEST_CASE("D29: a torn write takes its own commit and nothing before it", "[log][recovery]") {
    log_builder log;
    log.commits(5).commit({"a", "b", "c"});
    const built_commit torn = log.last();
    for (std::uint64_t at = 0; at < torn.size_bytes; ++at) {
        log_builder damaged = log;
        flip(damaged.newest().bytes, torn.position_bytes + at);
        recovery_rig rig;
        rig.put(damaged);
        expect_opened(rig, log_offset{5}, torn.position_bytes);
    }
}

TEST_CASE("D31: an unacknowledged commit that reached the disk is kept as a prefix's continuation",
          "[log][recovery]") {
    log_builder log;
    log.commits(4).set_durable_end(log_offset{2}).commits(1);
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{5}, log.newest().bytes.size());
}

TEST_CASE("an epoch going backwards in a native part is refused", "[log][recovery]") {
    log_builder log;
    log.set_epoch(9).commits(2).set_epoch(4).commits(1);
    recovery_rig rig;
    rig.put(log);
    expect_refused(rig, errc::epoch_backwards, log.last().position_bytes, log_offset{2});
}

TEST_CASE("leftovers of a recycled file are a clean end", "[log][recovery]") {
    log_builder old;
    old.commits(30);
    log_builder log(log_builder::default_log_id, log_offset{100});
    log.commits(3);
    const std::uint64_t good = log.newest().bytes.size();
    auto& bytes = log.newest().bytes;
    const auto& stale = old.newest().bytes;
    bytes.insert(bytes.end(), stale.begin() + static_cast<std::ptrdiff_t>(good), stale.end());
    recovery_rig rig;
    rig.put(log);
    const open_outcome opened = expect_opened(rig, log_offset{103}, good);
    CHECK(opened.report.cut_bytes == 0);
}

TEST_CASE("a client's payload that looks like a later commit of another log is no witness",
          "[log][recovery]") {
    log_builder forged(0x4444, log_offset{50});
    forged.set_durable_end(log_offset{50}).commits(1);
    const auto& commit = forged.newest().bytes;
    const std::string payload(reinterpret_cast<const char*>(commit.data()) + 10,
                              commit.size() - 10);
    log_builder log;
    log.commits(2).commit({payload});
    flip(log.newest().bytes, log.last().position_bytes + 1);
    recovery_rig rig;
    rig.put(log);
    expect_opened(rig, log_offset{2}, log.last().position_bytes);
}

TEST_CASE("zeros where acknowledged data was are refused, whoever the witness is",
          "[log][recovery]") {
    log_builder log;
    log.commits(6);
    const built_commit hurt = log.newest().commits[3];
    auto zeroed = log;
    std::fill(zeroed.newest().bytes.begin() + static_cast<std::ptrdiff_t>(hurt.position_bytes),
              zeroed.newest().bytes.end(), std::byte{0});
    SECTION("a clean mark") {
        recovery_rig rig;
        rig.put(zeroed, log.closed_state());
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
    SECTION("the caller's known durable end") {
        recovery_rig rig;
        rig.put(zeroed);
        log_options options;
        options.known_durable_end = log_offset{4};
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin, options);
        options.known_durable_end = log_offset{3};
        expect_opened(rig, log_offset{3}, hurt.position_bytes, options);
    }
    SECTION("STATE's remote end") {
        format::log_state state = log.running_state();
        state.remote_end = log_offset{5};
        recovery_rig rig;
        rig.put(zeroed, state);
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
    SECTION("a successor with a name") {
        const format::log_state state = log.running_state();
        log.rotate();
        zeroed.rotate();
        recovery_rig rig;
        rig.put(zeroed, state);
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
    SECTION("a later commit") {
        auto hole = log;
        std::fill_n(hole.newest().bytes.begin() + static_cast<std::ptrdiff_t>(hurt.position_bytes),
                    hurt.size_bytes, std::byte{0});
        recovery_rig rig;
        rig.put(hole);
        expect_refused(rig, errc::damaged, hurt.position_bytes, hurt.begin);
    }
    SECTION("nobody: the documented limit") {
        recovery_rig rig;
        rig.put(zeroed);
        expect_opened(rig, log_offset{3}, hurt.position_bytes);
    }
}

TEST_CASE("a closed log whose file lost its end is refused", "[log][recovery]") {
    log_builder log;
    log.commits(6);
    for (const std::uint64_t kept :
         {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{10},
          log.newest().commits[4].position_bytes, log.last().end_bytes() - 1}) {
        log_builder shorter = log;
        shorter.newest().bytes.resize(static_cast<std::size_t>(kept));
        recovery_rig rig;
        rig.put(shorter, log.closed_state());
        const directory_image before = rig.files();
        const open_outcome opened = rig.open();
        INFO("kept " << kept << ": " << opened.message());
        CHECK(opened.code() == errc::damaged);
        CHECK(rig.files() == before);
    }
}

TEST_CASE("every flipped byte of a closed log's header and last commit is reported by open",
          "[log][recovery]") {
    log_builder log;
    log.commits(5).commit({"the last", "commit"});
    const built_commit last = log.last();
    for (std::uint64_t at = 0; at < log.newest().bytes.size(); ++at) {
        const bool is_reserved = at == 8 || at == 9;  // ignored on read, as the reference does
        if (is_reserved || (at >= 10 && at < last.position_bytes)) {
            continue;
        }
        log_builder damaged = log;
        flip(damaged.newest().bytes, at);
        recovery_rig rig;
        rig.put(damaged, log.closed_state());
        const directory_image before = rig.files();
        const open_outcome opened = rig.open();
        INFO("byte " << at << ": " << opened.message());
        REQUIRE_FALSE(opened.is_open());
        REQUIRE(opened.refused->position_bytes() == (at < 10 ? 0 : last.position_bytes));
        REQUIRE(rig.files() == before);
    }
}

TEST_CASE("an unreadable block is refused with its range, wherever it lies", "[log][recovery]") {
    log_builder log;
    log.commits(300);
    const std::uint64_t size = log.newest().bytes.size();
    append(log.newest().bytes, 3 * 1'048'576, std::byte{0});
    for (const std::uint64_t bad :
         {std::uint64_t{0}, std::uint64_t{8192}, size / 4096 * 4096, std::uint64_t{2'097'152}}) {
        recovery_rig rig;
        rig.put(log);
        rig.disk().make_unreadable("/log/00000000000000000000.stdb.log", bad, bad + 512);
        const directory_image before = rig.files();
        const open_outcome opened = rig.open();
        INFO(opened.message());
        REQUIRE_FALSE(opened.is_open());
        CHECK(opened.code() == errc::unreadable);
        CHECK(opened.refused->position_bytes() == bad);
        CHECK(rig.files() == before);
    }
}

TEST_CASE("a predecessor that ends before its named successor begins is a gap, one that reaches "
          "into it an overlap",
          "[log][recovery]") {
    log_builder log;
    log.commits(4);
    const format::log_state state = log.running_state();
    SECTION("gap") {
        log_builder gap = log;
        gap.set_next(log_offset{6}).rotate().commits(1);
        recovery_rig rig;
        rig.put(gap, state);
        expect_refused(rig, errc::segment_gap, log.last().end_bytes(), log_offset{4});
    }
    SECTION("overlap") {
        log_builder overlap = log;
        overlap.set_next(log_offset{3}).rotate().commits(1);
        recovery_rig rig;
        rig.put(overlap, state);
        expect_refused(rig, errc::segment_overlap, log.last().end_bytes(), log_offset{4});
    }
    SECTION("an empty predecessor") {
        log_builder empty = log;
        empty.rotate().commits(1);
        empty.segments()[0].bytes.clear();
        recovery_rig rig;
        rig.put(empty, state);
        expect_refused(rig, errc::damaged, 0, log_offset{0});
    }
}

TEST_CASE("a newest segment that was never finished is made anew", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const format::log_state state = log.running_state();
    log.rotate();
    const std::vector<std::vector<std::byte>> shapes = {
        {},
        std::vector<std::byte>(5, std::byte{0x28}),
        std::vector<std::byte>(10, std::byte{0}),
        std::vector<std::byte>(50'000, std::byte{0}),
        std::vector<std::byte>(50'000, std::byte{0x77}),
    };
    for (const auto& shape : shapes) {
        log.newest().bytes = shape;
        recovery_rig rig;
        rig.put(log, state);
        const open_outcome opened = expect_opened(rig, log_offset{3}, 10);
        CHECK(opened.log->last_checksum == log.last_crc());
        const bool has_content = !shape.empty() && shape[0] != std::byte{0};
        CHECK(opened.report.lost_file.empty() != has_content);
        if (has_content) {
            CHECK(rig.file(opened.report.lost_file) == shape);
        }
    }
}

TEST_CASE("a newest segment with a garbled first block, named by STATE, is made anew too",
          "[log][recovery]") {
    // The first group rewrites the block that holds the header; on a disk where that may garble it,
    // nothing was lost.
    log_builder log;
    log.commits(3).rotate();
    const format::log_state state = log.running_state();
    log.newest().bytes.assign(65'536, std::byte{0});
    std::fill_n(log.newest().bytes.begin(), 4096, std::byte{0x5a});
    recovery_rig rig;
    rig.put(log, state);
    expect_opened(rig, log_offset{3}, 10);
}

TEST_CASE("a segment that STATE names and that is shorter than a header has lost durable bytes",
          "[log][recovery]") {
    log_builder log;
    log.commits(3);
    log.newest().bytes.clear();
    recovery_rig rig;
    rig.put(log);
    expect_refused(rig, errc::damaged, 0, log_offset{0});
}

TEST_CASE("damage to a real database's segment is trimmed at its end and refused before it",
          "[log][recovery]") {
    // Method: noise over the middle or the tail of a raw segment, sometimes cut off behind it. With
    // a whole commit behind the first damaged one, opening must refuse there; without one it trims.
    std::ifstream file(CAISSON_SOURCE_DIR
                       "/test/golden/spacetimedb-v1.2/00000000000000000000.stdb.log",
                       std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::uint64_t begins[] = {10,      164'965, 165'166, 165'328, 165'490,
                                    165'670, 165'832, 166'075, 166'240, 166'405};
    REQUIRE(text.size() == begins[9]);
    std::uint64_t refusals = 0;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        prng random(seed);
        log_builder log;
        auto& bytes = log.newest().bytes;
        bytes.resize(text.size());
        std::memcpy(bytes.data(), text.data(), text.size());
        const std::uint64_t at = random.chance(1, 2) ? 10 + random.below(text.size() - 10)
                                                     : 166'404 - random.below(1'400);
        const std::uint64_t end = std::min(text.size(), at + 1 + random.below(600));
        for (std::uint64_t k = at; k < end; ++k) {
            bytes[k] ^= static_cast<std::byte>(1 + random.below(255));
        }
        if (random.chance(1, 3)) {
            bytes.resize(end);
        }
        std::uint64_t hurt = 0;
        while (begins[hurt + 1] <= at) {
            ++hurt;
        }
        const auto is_whole_behind = [&](std::uint64_t commit) {
            return begins[commit] >= end && begins[commit + 1] <= bytes.size();
        };
        bool has_later = false;
        for (std::uint64_t commit = hurt + 1; commit < 9; ++commit) {
            has_later = has_later || is_whole_behind(commit);
        }
        format::log_state state = log.running_state();
        state.native_from = log_offset{1'000};
        recovery_rig rig;
        rig.put(log, state);
        INFO("seed " << seed << ", bytes " << at << " to " << end << " of " << bytes.size());
        if (has_later) {
            expect_refused(rig, errc::damaged, begins[hurt], log_offset{hurt});
            ++refusals;
        } else {
            expect_opened(rig, log_offset{hurt}, begins[hurt]);
        }
    }
    CHECK(refusals > 30);
    CHECK(refusals < 90);
}

}  // namespace
}  // namespace caisson::test
