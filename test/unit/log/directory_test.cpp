// Directories that are no log, not ours, locked, or in a state that no crash leaves: one clear
// refusal each, and nothing stored is changed.

#include "support/recovery_rig.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

/// Opens and expects a refusal that changes no file (the lock file apart).
void expect_refusal(recovery_rig& rig, errc expected, const std::string& named,
                    log_options options = {}) {
    directory_image before = rig.files();
    const open_outcome opened = rig.open(std::move(options));
    INFO(opened.message());
    REQUIRE_FALSE(opened.is_open());
    CHECK(opened.code() == expected);
    CHECK(opened.message().find(named) != std::string::npos);
    CHECK_FALSE(opened.refused->advice().empty());
    CHECK(opened.report.refused.has_value());
    directory_image after = rig.files();
    before.erase("LOCK");
    after.erase("LOCK");
    CHECK(after == before);
}

log_builder ordinary_log() {
    log_builder log;
    log.commits(3).rotate().commits(3);
    return log;
}

TEST_CASE("opening only an existing log refuses a missing and an empty directory and makes nothing",
          "[log][directory]") {
    log_options options;
    options.existing = open_existing::only;
    recovery_rig rig;
    expect_refusal(rig, errc::log_not_found, "/log", options);
    CHECK_FALSE(rig.disk().exists("/log"));
    rig.disk().make_directory("/log");
    expect_refusal(rig, errc::log_not_found, "/log", options);
    CHECK(rig.names().empty());
}

TEST_CASE("a directory below one that does not exist is not made", "[log][directory]") {
    recovery_rig rig;
    auto done = run_in(
        rig.world, log_detail::open_log(rig.world.environment(), "/no/such/log", log_options()));
    REQUIRE(done);
    REQUIRE_FALSE(done->has_value());
    CHECK(done->error().code() == errc::log_not_found);
    CHECK(done->error().code() == condition::not_found);
}

TEST_CASE("a path that is a file is refused as such", "[log][directory]") {
    recovery_rig rig;
    rig.disk().write_file("/log", std::vector<std::byte>(3));
    const open_outcome opened = rig.open();
    CHECK(opened.code() == errc::not_a_directory);
}

TEST_CASE("a file system that may lose data is refused unless that is allowed",
          "[log][directory]") {
    sim::world_options options = calm();
    options.keeps_data = false;
    options.file_system_name = "tmpfs";
    recovery_rig rig(1, options);
    open_outcome opened = rig.open();
    CHECK(opened.code() == errc::unsupported_filesystem);
    CHECK(opened.message().find("tmpfs") != std::string::npos);
    log_options allowed;
    allowed.allow_unsafe_filesystem = true;
    opened = rig.open(allowed);
    CHECK(opened.is_open());
}

TEST_CASE("creating where there is a log is refused", "[log][directory]") {
    recovery_rig rig;
    rig.put(ordinary_log());
    log_options options;
    options.existing = open_existing::never;
    expect_refusal(rig, errc::log_exists, "/log", options);
}

TEST_CASE("D19: a second owner is refused, and waits for the first one's end", "[log][directory]") {
    recovery_rig rig;
    rig.put(ordinary_log());
    log_options options;
    options.lock_wait = std::chrono::milliseconds{300};
    {
        const open_outcome first = rig.open();
        REQUIRE(first.is_open());
        const std::uint64_t began = rig.world.now_ns();
        expect_refusal(rig, errc::locked, "LOCK", options);
        CHECK(rig.world.now_ns() - began >= 300'000'000);
        CHECK(rig.world.now_ns() - began < 400'000'000);
    }
    CHECK(rig.open().is_open());

    REQUIRE(rig.world.lock_from_outside("/log/LOCK"));
    const auto done =
        start_in(rig.world, log_detail::open_log(rig.world.environment(), log_path, options));
    rig.world.run_for(100'000'000);
    CHECK_FALSE(done->has_value());
    rig.world.unlock_from_outside("/log/LOCK");
    rig.world.run_for(400'000'000);
    REQUIRE(done->has_value());
    CHECK((*done)->has_value());
}

TEST_CASE("a read-only file system is refused with its cause and its cure", "[log][directory]") {
    recovery_rig rig;
    rig.put(ordinary_log());
    rig.disk().write_file("/log/LOCK", {});
    rig.world.set_read_only(true);
    const open_outcome opened = rig.open();
    INFO(opened.message());
    CHECK(opened.code().value() == EROFS);
    CHECK(opened.message().find("read-only") != std::string::npos);
}

TEST_CASE("names that only look like a segment's are refused, unrelated ones ignored",
          "[log][directory]") {
    recovery_rig rig;
    rig.put(ordinary_log());
    const std::vector<std::byte> text(20, std::byte{'x'});
    rig.disk().write_file("/log/README", text);
    // D23: the reference's leftover, not ours to remove
    rig.disk().write_file("/log/.tmpAb3xYz", text);
    rig.disk().write_file("/log/00000000000000000003.stdb.lock", text);
    rig.disk().write_file("/log/00000000000000000003.stdb.ofs", text);
    CHECK(rig.open().is_open());
    CHECK(rig.file("README") == text);
    CHECK(rig.file(".tmpAb3xYz") == text);

    const std::string bad = "5.stdb.log";
    rig.disk().write_file("/log/" + bad, text);
    expect_refusal(rig, errc::foreign_file, bad);
}

TEST_CASE("a symbolic link or a directory in the place of one of the log's files is refused",
          "[log][directory]") {
    recovery_rig rig;
    rig.put(ordinary_log());
    SECTION("segment") {
        rig.disk().make_symlink("/log/00000000000000000006.stdb.log");
        expect_refusal(rig, errc::foreign_file, "00000000000000000006.stdb.log");
    }
    SECTION("segment as a directory") {
        rig.disk().make_directory("/log/00000000000000000006.stdb.log");
        expect_refusal(rig, errc::foreign_file, "00000000000000000006.stdb.log");
    }
    SECTION("STATE") {
        rig.disk().remove("/log/STATE");
        rig.disk().make_symlink("/log/STATE");
        expect_refusal(rig, errc::foreign_file, "STATE");
    }
    SECTION("spare") {
        rig.disk().remove("/log/spare");
        rig.disk().write_file("/log/spare", {});
        expect_refusal(rig, errc::foreign_file, "spare");
    }
}

TEST_CASE("STATE missing, damaged or newer is refused for repair, never rebuilt by guessing",
          "[log][directory]") {
    recovery_rig rig;
    const log_builder log = ordinary_log();
    rig.put(log);
    SECTION("missing beside native segments") {
        rig.disk().remove("/log/STATE");
        expect_refusal(rig, errc::state_missing, "STATE");
    }
    SECTION("missing, and the newest segment holds only a header") {
        log_builder longer = log;
        longer.rotate().write_segments_to(rig.disk(), log_path);
        rig.disk().remove("/log/STATE");
        expect_refusal(rig, errc::state_missing, "STATE");
    }
    SECTION("missing with all segments, but with remains of a log") {
        rig.disk().remove("/log/STATE");
        for (const built_segment& segment : log.segments()) {
            rig.disk().remove(segment_path(log_path, segment.begin));
        }
        expect_refusal(rig, errc::state_missing, "STATE");
    }
    SECTION("both slots bad") {
        rig.disk().zero("/log/STATE", 0, 4096);
        rig.disk().zero("/log/STATE", 65'536, 65'536 + 4096);
        expect_refusal(rig, errc::state_damaged, "STATE");
    }
    SECTION("a reset in progress") {
        format::log_state state = log.running_state();
        state.reset_target = log_offset{2};
        rig.put(log, state);
        expect_refusal(rig, errc::unsupported_version, "reset");
    }
    SECTION("a mirror's copy") {
        format::log_state state = log.running_state();
        state.role = format::log_role::sink;
        rig.put(log, state);
        expect_refusal(rig, errc::unsupported_version, "mirror");
    }
}

TEST_CASE("a torn slot of STATE is written again, and the log opens", "[log][directory]") {
    for (const std::uint64_t torn : {std::uint64_t{0}, std::uint64_t{65'536}}) {
        recovery_rig rig;
        rig.put(ordinary_log());
        rig.disk().corrupt("/log/STATE", torn + 40, std::byte{3});
        {
            const open_outcome opened = rig.open();
            INFO(opened.message());
            REQUIRE(opened.is_open());
            CHECK(opened.log->end == log_offset{6});
            CHECK(opened.log->state->is_settled());
        }
        rig.disk().zero("/log/STATE", 65'536 - torn, 65'536 - torn + 4096);
        CHECK(rig.open().is_open());  // the other one may go now
    }
}

TEST_CASE("segments that STATE names and that are gone are refused", "[log][directory]") {
    recovery_rig rig;
    const log_builder log = ordinary_log();
    rig.put(log);
    SECTION("the newest") {
        rig.disk().remove(segment_path(log_path, log_offset{3}));
        expect_refusal(rig, errc::segment_missing, "00000000000000000003.stdb.log");
    }
    SECTION("the first") {
        rig.disk().remove(segment_path(log_path, log_offset{0}));
        expect_refusal(rig, errc::segment_missing, "offset 0");
    }
    SECTION("D7: all of them; the log never restarts at 0") {
        rig.disk().remove(segment_path(log_path, log_offset{0}));
        rig.disk().remove(segment_path(log_path, log_offset{3}));
        expect_refusal(rig, errc::segment_missing, "/log");
    }
}

TEST_CASE("D7: a purged log with a header-only segment goes on at its own offset",
          "[log][directory]") {
    log_builder log(log_builder::default_log_id, log_offset{1000});
    recovery_rig rig;
    rig.put(log);
    open_outcome opened = rig.open();
    INFO(opened.message());
    REQUIRE(opened.is_open());
    CHECK(opened.log->begin == log_offset{1000});
    CHECK(opened.log->end == log_offset{1000});
    CHECK(rig.has("00000000000000001000.stdb.log"));
    CHECK_FALSE(rig.has("00000000000000000000.stdb.log"));
}

TEST_CASE("a foreign log is refused for appending and not touched", "[log][directory]") {
    log_builder log;
    log.raw_commit(1, "eight by").raw_commit(2, "sixteen bytes ...");
    recovery_rig rig;
    log.write_segments_to(rig.disk(), log_path);
    expect_refusal(rig, errc::foreign_log, "/log");
    CHECK_FALSE(rig.has("LOCK"));
}

TEST_CASE("a foreign log of header-only and empty segments is not taken for a new one",
          "[log][directory]") {
    recovery_rig rig;
    rig.disk().make_directory("/log");
    rig.disk().write_file("/log/00000000000000000000.stdb.log", {});
    expect_refusal(rig, errc::foreign_log, "/log");
}

TEST_CASE("D23: a STATE.tmp that a crash left does not stop a creation", "[log][directory]") {
    recovery_rig rig;
    rig.disk().make_directory("/log");
    rig.disk().write_file("/log/STATE.tmp", std::vector<std::byte>(100, std::byte{1}));
    const open_outcome opened = rig.open();
    INFO(opened.message());
    CHECK(opened.is_open());
    CHECK_FALSE(rig.has("STATE.tmp"));
}

TEST_CASE("STATE that names no segment beside unexpected segments is refused", "[log][directory]") {
    const log_builder log = ordinary_log();
    format::log_state state = log.running_state();
    state.segment.reset();
    recovery_rig rig;
    rig.put(log, state);
    expect_refusal(rig, errc::foreign_file, "/log");
}

}  // namespace
}  // namespace caisson::test
