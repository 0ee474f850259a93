// async_verify on crafted logs of the simulated disk: every flipped byte is reported with its
// place, nothing else is.

#include "reader_fixture.hpp"

#include "format/names.hpp"
#include "format/offset_index.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

namespace caisson::test {
namespace {

log_builder small_log() {
    log_builder log;
    log.commit({"one", "", "three"}).set_padding(40).commit({"four"}).set_padding(0).rotate();
    log.commit({"five", "six"}).commit({"seven"});
    return log;
}

bool has_finding(const verify_report& report, finding_severity severity, const std::string& file) {
    return std::any_of(report.findings.begin(), report.findings.end(), [&](const finding& each) {
        return each.severity == severity && each.found.file() == file;
    });
}

TEST_CASE("a log that was closed is clean", "[log][verify]") {
    reading_world machine;
    const log_builder log = many_commits(3, 20);
    log.write_to(machine.disk(), log_path, log.closed_state());
    const verify_report report = machine.verify();
    INFO((report.findings.empty() ? "" : report.findings[0].found.message()));
    CHECK(report.verdict == verify_verdict::clean);
    CHECK(report.findings.empty());
    CHECK(report.segments == 3);
    CHECK(report.commits == 60);
    CHECK(report.records == log.records().size());
    CHECK(report.end == log.next());
}

// The report must be `damaged`, name the file and a place not behind the byte, and count every
// commit but the one that was hurt. The reader must deliver all records before it, and another one
// all records behind it.
void expect_reported(const log_builder& log, const built_segment& segment, std::uint64_t at) {
    std::uint64_t commits = 0;
    for (const built_segment& each : log.segments()) {
        commits += each.commits.size();
    }
    const std::string path = segment_path(log_path, segment.begin);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.closed_state());
    REQUIRE(machine.disk().corrupt(path, at, std::byte{0x41}));
    const verify_report report = machine.verify();
    INFO("segment " << segment.begin.value() << " byte " << at);
    // Nothing tells a damaged version from a newer one: what is known is that this build cannot
    // read it.
    const bool is_newer = at == format::layout::segment_header::version_at ||
                          at == format::layout::segment_header::algorithm_at;
    CHECK(report.verdict == (is_newer ? verify_verdict::not_openable : verify_verdict::damaged));
    REQUIRE(has_finding(report, is_newer ? finding_severity::obstacle : finding_severity::damage,
                        path));
    CHECK(report.commits >= commits - (at < 10 ? 0 : 1));
    const finding& first = report.findings.front();
    REQUIRE(first.found.position_bytes());
    CHECK(*first.found.position_bytes() <= at);
    if (at >= 10) {
        const auto hurt =
            std::find_if(segment.commits.begin(), segment.commits.end(),
                         [&](const built_commit& each) { return at < each.end_bytes(); });
        CHECK(*first.found.position_bytes() == hurt->position_bytes);
        const read_outcome got = machine.read_from(machine.open(), log_offset{0});
        CHECK(got.error == condition::corrupt);
        const auto all = log.records();
        CHECK(got.payloads ==
              std::vector<std::string>(
                  all.begin(), all.begin() + static_cast<std::ptrdiff_t>(hurt->begin.value())));
        const log_offset behind = hurt->end;
        if (behind < log.next()) {
            const read_outcome rest = machine.read_from(machine.open(), behind);
            CHECK_FALSE(rest.error);
            CHECK(rest.payloads == test::from(all, behind.value()));
            CHECK(machine.read_from(machine.open(), hurt->begin).error == condition::corrupt);
        }
    }
}

TEST_CASE("every flipped byte of a closed log's segments is reported where it is, and nothing more "
          "is lost",
          "[log][verify]") {
    const log_builder log = small_log();
    for (const built_segment& segment : log.segments()) {
        for (std::uint64_t at = 0; at < segment.bytes.size(); ++at) {
            expect_reported(log, segment, at);
        }
    }
}

TEST_CASE("one flipped byte at each of 1,000 places of a larger closed log is reported where it is",
          "[log][verify]") {
    log_builder log;
    for (unsigned k = 0; k < 60; ++k) {
        if (k > 0 && k % 20 == 0) {
            log.rotate();
        }
        log.set_padding(k % 5 == 0 ? 700 : 0);
        log.commit({std::string(k % 7 == 0 ? 9'000 : 120, static_cast<char>('a' + k % 26)), ""});
    }
    std::uint64_t size_bytes = 0;
    for (const built_segment& segment : log.segments()) {
        size_bytes += segment.bytes.size();
    }
    for (std::uint64_t place = 0; place < 1'000; ++place) {
        std::uint64_t at = size_bytes * place / 1'000;
        std::size_t segment = 0;
        while (at >= log.segments()[segment].bytes.size()) {
            at -= log.segments()[segment++].bytes.size();
        }
        expect_reported(log, log.segments()[segment], at);
    }
}

TEST_CASE("every flipped byte of a closed log's STATE is reported", "[log][verify]") {
    const log_builder log = small_log();
    const std::string path = log_path + "/STATE";
    for (std::uint64_t at = 0; at < 65'536 + 4'096; at += at == 200     ? 3'800
                                                          : at == 4'200 ? 61'200
                                                                        : 1) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        REQUIRE(machine.disk().corrupt(path, at, std::byte{0x80}));
        const verify_report report = machine.verify();
        INFO("byte " << at);
        // In a slot it looks like a write that did not finish; nothing that counts is lost.
        const bool is_in_slot = at < 4'096 || at >= 65'536;
        CHECK(report.verdict == (is_in_slot ? verify_verdict::torn_tail : verify_verdict::damaged));
        REQUIRE(has_finding(
            report, is_in_slot ? finding_severity::torn_tail : finding_severity::damage, path));
        CHECK(report.commits == 4);
        at += at > 66'000 ? 97 : 0;
    }
}

TEST_CASE("two damaged places are both reported, and what lies between is counted",
          "[log][verify]") {
    reading_world machine;
    const log_builder log = many_commits(3, 20);
    log.write_to(machine.disk(), log_path, log.closed_state());
    const auto& first = log.segments()[0].commits[3];
    const auto& second = log.segments()[0].commits[11];
    const auto& third = log.segments()[2].commits[19];
    const std::string path = segment_path(log_path, log_offset{0});
    machine.disk().corrupt(path, first.position_bytes + 25, std::byte{1});
    machine.disk().corrupt(path, second.position_bytes + 18, std::byte{0xff});  // its length
    machine.disk().corrupt(segment_path(log_path, log.segments()[2].begin), third.position_bytes,
                           std::byte{1});
    const verify_report report = machine.verify();
    CHECK(report.verdict == verify_verdict::damaged);
    CHECK(report.commits == 57);
    REQUIRE(report.findings.size() == 3);
    CHECK(report.findings[0].found.position_bytes() == first.position_bytes);
    CHECK(report.findings[0].size_bytes == first.size_bytes);
    CHECK(report.findings[1].found.position_bytes() == second.position_bytes);
    CHECK(report.findings[1].size_bytes == second.size_bytes);
    CHECK(report.findings[2].found.position_bytes() == third.position_bytes);
}

TEST_CASE("damage in the middle of the last segment is no torn tail (D4)", "[log][verify]") {
    reading_world machine;
    log_builder log;
    log.commits(10);
    log.write_to(machine.disk(), log_path, log.running_state());
    const auto& hurt = log.newest().commits[6];
    machine.disk().corrupt(segment_path(log_path, log_offset{0}), hurt.position_bytes + 40,
                           std::byte{2});
    const verify_report report = machine.verify();
    CHECK(report.verdict == verify_verdict::damaged);
    CHECK(report.commits == 9);
}

TEST_CASE("an unfinished write at the end is only a torn tail", "[log][verify]") {
    const log_builder log = many_commits(2, 5);
    const built_commit last = log.last();
    for (std::uint64_t keep = 1; keep < last.size_bytes; keep += 7) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        const std::string path = segment_path(log_path, log.segments()[1].begin);
        machine.disk().set_length(path, last.position_bytes + keep);
        machine.disk().set_length(path, last.position_bytes + 8'192);  // prepared space behind it
        const verify_report report = machine.verify();
        INFO("kept " << keep);
        if (keep > 8) {
            CHECK(report.verdict == verify_verdict::torn_tail);
            CHECK(report.findings.front().found.position_bytes() == last.position_bytes);
        }
        CHECK(report.verdict != verify_verdict::damaged);
        CHECK(report.commits == 9);
        const read_outcome got = machine.read_from(machine.open(), log_offset{0});
        CHECK(!got.error);
        CHECK(got.end == last.begin);
    }
}

TEST_CASE("prepared zeros and leftovers of a recycled file are in order", "[log][verify]") {
    log_builder old(log_builder::default_log_id);
    old.commits(40);
    log_builder log = many_commits(2, 5);
    auto& bytes = log.newest().bytes;
    SECTION("zeros") { bytes.resize(65'536); }
    SECTION("older commits of the same log") {
        const auto& leftovers = old.segments()[0].bytes;
        bytes.insert(bytes.end(), leftovers.begin() + 10, leftovers.begin() + 10 + 59 * 4);
        log.set_next(log.next());
    }
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    const verify_report report = machine.verify();
    INFO((report.findings.empty() ? "" : report.findings[0].found.message()));
    CHECK(report.verdict == verify_verdict::clean);
    CHECK(machine.read_from(machine.open(), log_offset{0}).payloads == log.records());
}

TEST_CASE("a closed log that was cut is damaged", "[log][verify]") {
    const log_builder log = many_commits(2, 5);
    const built_commit last = log.last();
    for (const std::uint64_t length :
         {last.position_bytes, last.position_bytes + 9, last.end_bytes() - 1}) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        machine.disk().set_length(segment_path(log_path, log.segments()[1].begin), length);
        CHECK(machine.verify().verdict == verify_verdict::damaged);
    }
}

TEST_CASE("gaps, overlaps and missing segments between good ones are damage", "[log][verify]") {
    log_builder log;
    log.commits(4).rotate().commits(4).rotate().commits(4);
    SECTION("missing in the middle") {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        machine.disk().remove(segment_path(log_path, log_offset{4}));
        const verify_report report = machine.verify();
        CHECK(report.verdict == verify_verdict::damaged);
        CHECK(report.findings.front().found.code() == errc::segment_gap);
        CHECK(report.commits == 8);
    }
    SECTION("missing at the front") {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        machine.disk().remove(segment_path(log_path, log_offset{0}));
        CHECK(machine.verify().findings.front().found.code() == errc::segment_missing);
    }
    SECTION("missing at the end, though STATE names it") {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        machine.disk().remove(segment_path(log_path, log_offset{8}));
        CHECK(machine.verify().findings.front().found.code() == errc::segment_missing);
    }
    SECTION("overlap") {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.closed_state());
        log_builder extra(log_builder::default_log_id, log_offset{3});
        extra.commits(1);
        machine.disk().write_file(segment_path(log_path, log_offset{3}), extra.segments()[0].bytes);
        const verify_report report = machine.verify();
        CHECK(report.verdict == verify_verdict::damaged);
        CHECK(report.findings.front().found.code() == errc::segment_overlap);
    }
}

TEST_CASE("an unreadable block is reported by its place and the rest is verified",
          "[log][verify]") {
    reading_world machine;
    log_builder log;
    for (int i = 0; i < 60; ++i) {
        log.commit({std::string(1'000, 'x')});
    }
    log.rotate().commits(3);
    log.write_to(machine.disk(), log_path, log.closed_state());
    const std::string path = segment_path(log_path, log_offset{0});
    machine.disk().make_unreadable(path, 20'480, 20'992);
    const verify_report report = machine.verify();
    CHECK(report.verdict == verify_verdict::damaged);
    REQUIRE(!report.findings.empty());
    CHECK(report.findings.front().found.code() == errc::unreadable);
    CHECK(report.findings.front().found.position_bytes() == 20'480);
    CHECK(report.commits >= 63 - 6);
    CHECK(report.commits < 63);
}

TEST_CASE("a wrong index is a warning and changes no verdict (D9)", "[log][verify][index]") {
    const log_builder log = many_commits(1, 30);
    const std::string path = log_path + "/" + format::index_name(log_offset{0});
    format::offset_index_builder index(200, 64);
    for (const built_commit& commit : log.segments()[0].commits) {
        index.add_commit(commit.begin, commit.position_bytes, commit.size_bytes);
    }
    auto bytes = index.encode();
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.closed_state());
    machine.disk().write_file(path, bytes);
    CHECK(machine.verify().findings.empty());
    for (const std::size_t at : {0U, 8U, 16U * 3, 16U * 3 + 9, 16U * 60}) {
        reading_world hurt;
        log.write_to(hurt.disk(), log_path, log.closed_state());
        hurt.disk().write_file(path, bytes);
        hurt.disk().corrupt(path, at, std::byte{2});
        const verify_report report = hurt.verify();
        INFO("byte " << at);
        CHECK(report.verdict == verify_verdict::clean);
        CHECK(has_finding(report, finding_severity::warning, path));
    }
}

TEST_CASE("a native log without STATE, and one with two bad slots, are named", "[log][verify]") {
    const log_builder log = many_commits(2, 5);
    reading_world machine;
    log.write_segments_to(machine.disk(), log_path);
    CHECK_FALSE(machine.open().facts().is_foreign);
    CHECK(machine.verify().findings.front().found.code() == errc::state_missing);
    CHECK(machine.read_from(machine.open(), log_offset{0}).payloads == log.records());
    REQUIRE(machine.open().facts().state_problem);
    CHECK(machine.open().facts().state_problem->code() == errc::state_missing);

    reading_world other;
    log.write_to(other.disk(), log_path, log.running_state());
    other.disk().corrupt(log_path + "/STATE", 30, std::byte{1});
    other.disk().corrupt(log_path + "/STATE", 65'536 + 30, std::byte{1});
    const verify_report report = other.verify();
    CHECK(report.verdict == verify_verdict::damaged);
    CHECK(report.findings.front().found.code() == errc::state_damaged);
    CHECK(report.commits == 10);
    REQUIRE(other.open().facts().state_problem);
    CHECK(other.open().facts().state_problem->code() == errc::state_damaged);
}

TEST_CASE("a slot of STATE that cannot be read is damage, though the other one is valid",
          "[log][verify]") {
    const log_builder log = many_commits(2, 5);
    for (const std::uint64_t slot : {0U, 65'536U}) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        machine.disk().make_unreadable(log_path + "/STATE", slot, slot + 512);
        const verify_report report = machine.verify();
        CHECK(report.verdict == verify_verdict::damaged);
        REQUIRE(report.findings.size() == 1);
        CHECK(report.findings[0].found.code() == errc::unreadable);
        CHECK(report.findings[0].found.position_bytes() == slot);
        CHECK(report.commits == 10);
    }
}

TEST_CASE("a crash in the middle of a STATE write is no damage", "[log][verify]") {
    const log_builder log = many_commits(2, 5);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    machine.disk().corrupt(log_path + "/STATE", 65'536 + 30, std::byte{1});  // the older slot
    CHECK(machine.verify().verdict == verify_verdict::torn_tail);
}

TEST_CASE("progress reaches the total and findings are bounded", "[log][verify]") {
    reading_world machine;
    log_builder log = many_commits(2, 40);
    log.write_to(machine.disk(), log_path, log.closed_state());
    for (const built_commit& commit : log.segments()[0].commits) {
        if (commit.begin.value() % 2 == 0) {
            machine.disk().corrupt(segment_path(log_path, log_offset{0}),
                                   commit.position_bytes + 30, std::byte{4});
        }
    }
    verify_progress last;
    verify_options options;
    options.findings_max = 3;
    options.on_progress = [&](const verify_progress& progress) {
        last = progress;
    };
    const verify_report report = machine.verify(options);
    CHECK(report.findings.size() == 3);
    CHECK(report.findings_dropped > 0);
    CHECK(last.bytes_done == last.bytes_total);
    CHECK(last.bytes_total == log.segments()[0].bytes.size() + log.segments()[1].bytes.size());
}

}  // namespace
}  // namespace caisson::test
