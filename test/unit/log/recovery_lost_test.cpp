// lost/: what it keeps, how much, for how long, and that a full disk does not keep a log from
// opening.

#include "log/lost_found.hpp"
#include "support/recovery_rig.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

log_builder torn_log(std::uint64_t payload_bytes = 100) {
    log_builder log;
    log.commits(2).commit({std::string(static_cast<std::size_t>(payload_bytes), 't')});
    log.newest().bytes.resize(log.newest().bytes.size() - 3);
    return log;
}

TEST_CASE("names in lost/ tell their order, segment and place", "[log][lost]") {
    using log_detail::lost_file_name;
    using log_detail::lost_file_sequence;
    CHECK(lost_file_name(7, log_offset{42}, 4096) == "00000007-00000000000000000042-4096.cut");
    CHECK(lost_file_sequence("00000007-00000000000000000042-4096.cut") == 7);
    CHECK(lost_file_sequence(lost_file_name(123'456'789, log_offset{1}, 2)) == 123'456'789);
    for (const char* other :
         {"", "x", "7-1-2.cut", "00000007", "00000007-1-2.bak", "0000000a-1-2.cut"}) {
        CHECK_FALSE(lost_file_sequence(other).has_value());
    }
}

TEST_CASE("lost/ keeps the newest eight files and leaves strangers alone", "[log][lost]") {
    recovery_rig rig;
    const std::vector<std::byte> stranger(3, std::byte{1});
    std::string newest;
    for (int crash = 1; crash <= 11; ++crash) {
        rig.put(torn_log());
        rig.disk().make_directory("/log/lost");
        rig.disk().write_file("/log/lost/notes.txt", stranger);
        const open_outcome opened = rig.open();
        INFO(opened.message());
        REQUIRE(opened.is_open());
        newest = opened.report.lost_file;
        CHECK(rig.names("lost").size() == static_cast<std::size_t>(std::min(crash, 8)) + 1);
    }
    CHECK(newest.find("00000011-") != std::string::npos);
    CHECK(rig.has(newest));
    CHECK(rig.names("lost").front().starts_with("00000004-"));
    CHECK(rig.file("lost/notes.txt") == stranger);
}

TEST_CASE("lost/ takes at most max_pending_bytes of a crash", "[log][lost]") {
    recovery_rig rig;
    rig.put(torn_log(3'000'000));
    log_options options;
    options.max_pending_bytes = 1'500'000;
    const open_outcome opened = rig.open(options);
    REQUIRE(opened.is_open());
    CHECK(opened.report.cut_bytes > 3'000'000);
    CHECK(rig.file(opened.report.lost_file).size() == 1'500'000);
}

TEST_CASE("without space for lost/ the cut is made and the missing copy reported", "[log][lost]") {
    recovery_rig rig;
    rig.put(torn_log(3'000'000));
    rig.disk().make_directory("/log/lost");
    rig.world.set_capacity(rig.world.used_bytes() + 1'000'000);
    const open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->end == log_offset{2});
    CHECK(opened.report.cut_bytes > 0);
    CHECK(opened.report.lost_file.empty());
    CHECK(rig.names("lost").empty());  // no half copy that looks like a whole one
}

TEST_CASE("a failing call while the copy is made refuses and leaves the torn bytes in place",
          "[log][lost]") {
    for (const auto kind : {sim::operation_kind::create, sim::operation_kind::write,
                            sim::operation_kind::sync, sim::operation_kind::directory_sync}) {
        recovery_rig rig;
        log_builder log = torn_log();
        rig.put(log);
        rig.world.inject(sim::fault(kind).fails_with(EIO));
        const open_outcome opened = rig.open();
        INFO(opened.message());
        REQUIRE_FALSE(opened.is_open());
        CHECK(rig.segment(log_offset{0}) == log.newest().bytes);
        const open_outcome again = rig.open();
        REQUIRE(again.is_open());
        CHECK_FALSE(again.report.lost_file.empty());
    }
}

TEST_CASE("the copy is durable before the cut", "[log][lost]") {
    log_builder log = torn_log();
    const std::uint64_t cut_at = log.last().position_bytes;
    for (std::uint64_t steps = 1; steps < 80; ++steps) {
        recovery_rig rig(steps);
        rig.put(log);
        rig.open_until(steps);
        rig.power_cut();
        const bool is_cut = rig.segment(log_offset{0}).size() == cut_at;
        if (is_cut) {
            REQUIRE(rig.names("lost").size() == 1);
            const auto copy = rig.file("lost/" + rig.names("lost")[0]);
            REQUIRE(copy.size() == log.newest().bytes.size() - cut_at);
        }
    }
}

}  // namespace
}  // namespace caisson::test
