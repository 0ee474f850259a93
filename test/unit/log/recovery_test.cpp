// open_log on the simulated disk: creation, clean and unclean ends, what stands on disk afterwards.

#include "support/recovery_rig.hpp"

#include "format/names.hpp"
#include "format/segment_header.hpp"
#include "format/state.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace caisson::test {
namespace {

using log_detail::recovered_log;

std::vector<std::byte> header_only() {
    std::vector<std::byte> bytes(format::layout::segment_header::size_bytes);
    format::encode_segment_header(bytes);
    return bytes;
}

TEST_CASE("a missing directory becomes a log with STATE and a header-only segment",
          "[log][recovery]") {
    recovery_rig rig;
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.report.created);
    CHECK(opened.log->begin == log_offset{0});
    CHECK(opened.log->end == log_offset{0});
    CHECK(opened.log->log_id != 0);
    CHECK(opened.log->last_checksum == 0);
    CHECK(opened.log->tail.length_bytes == 10);
    CHECK(opened.log->tail.tail_block == header_only());
    CHECK(opened.log->segments == std::vector<log_offset>{log_offset{0}});
    CHECK(rig.segment(log_offset{0}) == header_only());
    CHECK(rig.names() ==
          std::vector<std::string>{"00000000000000000000.stdb.log", "LOCK", "STATE", "spare"});
    CHECK(rig.names("spare").empty());
    REQUIRE(opened.log->state->current().segment);
    CHECK(opened.log->state->current().segment->begin == log_offset{0});
    CHECK(opened.log->state->current().segment->predecessor_crc == 0U);
    CHECK(opened.log->state->is_settled());
    CHECK(rig.disk().changes_unsynced() == 0);  // everything that was reported is durable
}

TEST_CASE("D27: a log that was created and crashed at any moment is created again",
          "[log][recovery]") {
    for (std::uint64_t steps = 0;; ++steps) {
        for (std::uint64_t seed = 1; seed <= 6; ++seed) {
            recovery_rig rig(seed);
            const bool had_ended = rig.open_until(steps);
            rig.power_cut();
            open_outcome again = rig.open();
            INFO("steps " << steps << " seed " << seed << ": " << again.message());
            REQUIRE(again.is_open());
            CHECK(again.log->end == log_offset{0});
            CHECK(again.log->tail.length_bytes == 10);
            CHECK(rig.disk().changes_unsynced() == 0);
            if (had_ended && seed == 6) {
                CHECK_FALSE(again.report.created);  // a finished creation survives
                REQUIRE(steps > 10);
                return;
            }
        }
    }
}

TEST_CASE(
    "a creation that was killed, and killed again while it was finished, survives a power cut",
    "[log][recovery]") {
    bool has_begun_whole = false;
    for (std::uint64_t first = 1; !has_begun_whole; ++first) {
        bool has_finished = false;
        for (std::uint64_t then = 1; !has_finished; ++then) {
            recovery_rig rig(first * 100 + then);
            has_begun_whole = rig.open_until(first);
            rig.world.kill();
            rig.world.power_on();
            has_finished = rig.open_until(then);
            rig.power_cut(sim::survival::by_seed, sim::name_survival::subset);
            const open_outcome again = rig.open();
            INFO("killed after " << first << ", power cut after " << then << ": "
                                 << again.message());
            REQUIRE(again.is_open());
        }
    }
}

TEST_CASE("whenever a creation ended, both slots of STATE know of a segment after an open",
          "[log][recovery]") {
    // A slot that knows of none, and comes back when the other one rots, would make a second
    // segment look like a stranger.
    bool has_finished = false;
    for (std::uint64_t first = 1; !has_finished; ++first) {
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            recovery_rig rig(seed);
            has_finished = rig.open_until(first);
            rig.power_cut(sim::survival::by_seed, sim::name_survival::subset);
            const open_outcome again = rig.open();
            REQUIRE(again.is_open());
            const std::vector<std::byte> state = rig.file("STATE");
            for (const unsigned number : {0u, 1u}) {
                INFO("cut after " << first << " steps, slot " << number);
                const auto slot =
                    format::decode_state(std::span(state)
                                             .subspan(format::state_slot_position_bytes(number))
                                             .first<format::layout::state::slot_bytes>());
                REQUIRE(slot);
                CHECK(slot.value().segment);
            }
        }
    }
}

TEST_CASE("a failing call during creation refuses, and the next open goes on", "[log][recovery]") {
    for (std::uint64_t nth = 1; nth < 60; ++nth) {
        recovery_rig rig;
        rig.world.inject(sim::fault(sim::operation_kind::any, nth).fails_with(EIO));
        open_outcome first = rig.open();
        const bool had_fault = rig.world.counters().faults > 0;
        if (!had_fault) {
            CHECK(first.is_open());
            REQUIRE(nth > 10);
            return;
        }
        INFO("operation " << nth << ": " << first.message());
        if (!first.is_open()) {
            CHECK_FALSE(first.message().empty());
            CHECK(first.report.refused.has_value());
        }
        first = open_outcome();
        open_outcome again = rig.open();
        INFO(again.message());
        CHECK(again.is_open());
    }
    FAIL("creation takes more than 60 operations");
}

TEST_CASE("an unclean log is read to its end and handed over exactly", "[log][recovery]") {
    log_builder log;
    log.commits(3).commit({"two", "records"}).rotate().set_epoch(4).commits(5);
    recovery_rig rig;
    rig.put(log);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    const recovered_log& got = *opened.log;
    CHECK(got.end == log.next());
    CHECK(got.begin == log_offset{0});
    CHECK(got.last_checksum == log.last_crc());
    CHECK(got.epoch == 4);
    CHECK(got.tail.begin == log_offset{5});
    CHECK(got.tail.commits == 5);
    CHECK(got.tail.length_bytes == log.newest().bytes.size());
    CHECK(got.tail.tail_block == log.newest().bytes);
    CHECK(got.segments == std::vector<log_offset>{log_offset{0}, log_offset{5}});
    CHECK_FALSE(opened.report.was_closed_cleanly);
    CHECK(opened.report.cut_bytes == 0);
    CHECK(opened.report.recovered_bytes == log.newest().bytes.size());
}

TEST_CASE("a second open writes nothing, whatever the first one found", "[log][recovery]") {
    const auto shape = GENERATE(0, 1, 2, 3, 4);
    log_builder log;
    log.commits(4).rotate().commits(3);
    if (shape == 1) {
        log.newest().bytes.resize(log.newest().bytes.size() - 7);
    } else if (shape == 2) {
        append(log.newest().bytes, 9000, std::byte{0});
    } else if (shape == 3) {
        log.rotate();
        log.newest().bytes.clear();
    } else if (shape == 4) {
        append(log.newest().bytes, 17, std::byte{0x5a});
    }
    recovery_rig rig;
    format::log_state state = log.running_state();
    if (shape == 3) {
        state.segment->begin = log_offset{4};  // the last segment was not yet told to STATE
        state.segment->predecessor_crc = log.segments()[0].commits.back().crc;
    }
    rig.put(log, state);
    {
        const open_outcome first = rig.open();
        INFO(first.message());
        REQUIRE(first.is_open());
    }
    CHECK(rig.disk().changes_unsynced() == 0);
    const directory_image settled = rig.files();
    const std::uint64_t writes =
        rig.world.counters().operations_by_kind[static_cast<int>(sim::operation_kind::write)];
    const open_outcome second = rig.open();
    REQUIRE(second.is_open());
    CHECK(second.report.cut_bytes == 0);
    CHECK(rig.files() == settled);
    CHECK(rig.world.counters().operations_by_kind[static_cast<int>(sim::operation_kind::write)] ==
          writes);
}

TEST_CASE("a torn last commit is cut at every length it may have been left with",
          "[log][recovery]") {
    log_builder log;
    log.commits(3).commit({"this record is torn"});
    const built_commit torn = log.last();
    for (std::uint64_t kept = 0; kept < torn.size_bytes; ++kept) {
        for (const bool is_prepared : {false, true}) {
            log_builder cut = log;
            cut.newest().bytes.resize(static_cast<std::size_t>(torn.position_bytes + kept));
            if (is_prepared) {
                append(cut.newest().bytes, 8192, std::byte{0});
            }
            recovery_rig rig;
            rig.put(cut);
            open_outcome opened = rig.open();
            INFO("kept " << kept << ", prepared " << is_prepared << ": " << opened.message());
            REQUIRE(opened.is_open());
            REQUIRE(opened.log->end == torn.begin);
            REQUIRE(rig.segment(log_offset{0}) == head(log.newest().bytes, torn.position_bytes));
            // From 8 bytes on the header tells the expected offset: only then it is known for an
            // unfinished write.
            const bool is_recognised = kept >= 9;
            if (is_recognised) {
                REQUIRE(opened.report.cut_bytes > 0);
                REQUIRE(opened.report.cut_position_bytes == torn.position_bytes);
                const auto lost = rig.file(opened.report.lost_file);
                REQUIRE(lost == head(std::vector<std::byte>(
                                         cut.newest().bytes.begin() +
                                             static_cast<std::ptrdiff_t>(torn.position_bytes),
                                         cut.newest().bytes.end()),
                                     opened.report.cut_bytes));
            }
        }
    }
}

TEST_CASE("the policy `refuse` leaves a torn tail as it is", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    log.newest().bytes.resize(log.newest().bytes.size() - 3);
    recovery_rig rig;
    rig.put(log);
    const directory_image before = rig.files();
    log_options options;
    options.torn_tail = torn_tail_policy::refuse;
    const open_outcome opened = rig.open(options);
    CHECK(opened.code() == errc::torn_tail);
    CHECK(opened.refused->position_bytes() == log.last().position_bytes);
    CHECK(opened.refused->offset() == log_offset{2});
    CHECK_FALSE(opened.refused->advice().empty());
    CHECK(rig.files() == before);
}

TEST_CASE("several groups in flight: a whole one behind a torn one is cut with it",
          "[log][recovery]") {
    // The later commit proves nothing: when it left, the torn one was not durable.
    log_builder log;
    log.commits(2).set_durable_end(log_offset{2}).commits(3);
    const built_commit torn = log.newest().commits[2];
    flip(log.newest().bytes, torn.position_bytes + 30);
    recovery_rig rig;
    rig.put(log);
    const std::vector<std::byte> before = rig.segment(log_offset{0});
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->end == log_offset{2});
    CHECK(opened.report.cut_bytes == before.size() - torn.position_bytes);
    CHECK(rig.file(opened.report.lost_file).size() == opened.report.cut_bytes);
}

TEST_CASE("a clean mark saves the reading of everything but the last commit", "[log][recovery]") {
    log_builder log;
    log.commits(40);
    recovery_rig rig;
    rig.put_closed(log);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.report.was_closed_cleanly);
    CHECK(opened.report.recovered_bytes == log.last().size_bytes);
    CHECK(opened.log->end == log.next());
    CHECK(opened.log->last_checksum == log.last_crc());
    CHECK(opened.log->tail.commits > 0);
    CHECK(opened.log->state->current().mark.has_value());
}

TEST_CASE("a clean mark of a header-only segment is enough too", "[log][recovery]") {
    log_builder log;
    log.commits(4).rotate();
    recovery_rig rig;
    rig.put_closed(log);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.report.was_closed_cleanly);
    CHECK(opened.log->end == log_offset{4});
    CHECK(opened.log->last_checksum == log.last_crc());
    CHECK(opened.log->tail.commits == 0);
}

TEST_CASE("a mark of another segment is ignored", "[log][recovery]") {
    log_builder log;
    log.commits(4).rotate().commits(2);
    format::log_state state = log.closed_state();
    state.mark->segment_begin = log_offset{0};
    recovery_rig rig;
    rig.put(log, state);
    const open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK_FALSE(opened.report.was_closed_cleanly);
    CHECK(opened.log->end == log_offset{6});
}

TEST_CASE("a segment newer than STATE knows is adopted when its predecessor is whole",
          "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const format::log_state state = log.running_state();
    log.rotate();
    const bool has_commits = GENERATE(false, true);
    if (has_commits) {
        log.commits(2);
    }
    recovery_rig rig;
    rig.put(log, state);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->end == log.next());
    CHECK(opened.log->last_checksum == log.last_crc());
    CHECK(opened.log->state->current().segment->begin == log_offset{3});
    CHECK(opened.log->state->current().segment->predecessor_crc ==
          log.segments()[0].commits.back().crc);
    CHECK(opened.log->last_timestamp_us != 0);
}

TEST_CASE("a header-only newest segment continues the log before it", "[log][recovery]") {
    log_builder log;
    log.set_epoch(3).commits(3).rotate();
    recovery_rig rig;
    rig.put(log);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->end == log_offset{3});
    CHECK(opened.log->epoch == 3);
    CHECK(opened.log->last_checksum == log.last_crc());
    CHECK(opened.log->last_timestamp_us == log.running_state().segment->predecessor_timestamp_us);
    CHECK(opened.log->tail.commits == 0);
    CHECK(rig.segment(log_offset{3}) == header_only());
}

TEST_CASE("a newest segment that is begun anew continues the log before it", "[log][recovery]") {
    // Whatever is wrong with its header, a version of the reference's included.
    for (const std::uint64_t hurt : {std::uint64_t{0}, std::uint64_t{6}, std::uint64_t{7}}) {
        log_builder log;
        log.commits(3).rotate();
        log.newest().bytes[hurt] = std::byte{0};
        recovery_rig rig;
        rig.put(log);
        const open_outcome opened = rig.open();
        INFO("byte " << hurt << ": " << opened.message());
        REQUIRE(opened.is_open());
        CHECK(opened.log->end == log_offset{3});
        CHECK(opened.log->last_checksum == log.last_crc());
        CHECK(rig.segment(log_offset{3}) == header_only());
    }
}

TEST_CASE("spare files of an unclean stop are removed", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    recovery_rig rig;
    rig.put(log);
    const std::vector<std::byte> junk(5000, std::byte{7});
    rig.disk().write_file("/log/spare/1", junk);
    rig.disk().write_file("/log/spare/2", {});
    const open_outcome opened = rig.open();
    REQUIRE(opened.is_open());
    CHECK(rig.names("spare").empty());
}

TEST_CASE("a clock found ahead is reported and is no damage", "[log][recovery]") {
    log_builder log;
    log.set_timestamp(1'900'000'000'000'000).commits(2);
    recovery_rig rig;
    rig.put(log);
    const open_outcome opened = rig.open();
    REQUIRE(opened.is_open());
    CHECK(opened.log->last_timestamp_us == 1'900'000'000'000'002);
    CHECK(opened.report.clock_ahead_us > 100'000'000'000);
}

TEST_CASE("what open read of a killed predecessor survives a power cut right after it",
          "[log][recovery]") {
    // The predecessor wrote and renamed without any sync before it was killed: only the page cache
    // of names has it.
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        recovery_rig rig(seed);
        log_offset end;
        {
            open_outcome first = rig.open();
            REQUIRE(first.is_open());
            end = first.log->end;
        }
        rig.world.kill();
        rig.world.power_on();
        open_outcome again = rig.open();
        REQUIRE(again.is_open());
        CHECK(rig.disk().changes_unsynced() == 0);
        again = open_outcome();
        rig.power_cut(sim::survival::nothing, sim::name_survival::nothing);
        open_outcome third = rig.open();
        INFO(third.message());
        REQUIRE(third.is_open());
        CHECK(third.log->end == end);
    }
}

TEST_CASE("recovery that crashes at any step is finished by the next one", "[log][recovery]") {
    log_builder log;
    log.commits(3);
    const format::log_state state = log.running_state();
    log.rotate().commits(4);
    log.newest().bytes.resize(log.newest().bytes.size() - 5);
    append(log.newest().bytes, 4096, std::byte{0});
    const log_offset end = log.newest().commits[3].begin;
    for (std::uint64_t steps = 0; steps < 200; ++steps) {
        bool had_ended = false;
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            recovery_rig rig(seed);
            rig.put(log, state);
            had_ended = rig.open_until(steps);
            rig.power_cut();
            open_outcome again = rig.open();
            INFO("steps " << steps << " seed " << seed << ": " << again.message());
            REQUIRE(again.is_open());
            REQUIRE(again.log->end == end);
            REQUIRE(rig.segment(log_offset{3}) ==
                    head(log.newest().bytes, log.newest().commits[3].position_bytes));
            REQUIRE_FALSE(rig.names("lost").empty());  // the copy was durable before the cut
        }
        if (had_ended) {
            REQUIRE(steps > 10);
            return;
        }
    }
    FAIL("recovery takes more than 200 operations");
}

}  // namespace
}  // namespace caisson::test
