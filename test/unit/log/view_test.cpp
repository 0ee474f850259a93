// log_view on native and foreign directories of the simulated disk, at rest and beside a writer
// that is busy.

#include "reader_fixture.hpp"

#include "format/names.hpp"
#include "format/segment_header.hpp"
#include "log/index_file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace caisson::test {
namespace {

std::vector<std::byte> golden(const std::string& name) {
    std::ifstream file(std::string(CAISSON_SOURCE_DIR "/test/golden/") + name, std::ios::binary);
    REQUIRE(file.good());
    const std::vector<char> chars{std::istreambuf_iterator<char>(file),
                                  std::istreambuf_iterator<char>()};
    std::vector<std::byte> bytes(chars.size());
    std::transform(chars.begin(), chars.end(), bytes.begin(),
                   [](char c) { return static_cast<std::byte>(c); });
    return bytes;
}

TEST_CASE("a view tells the facts of a log that was closed, and of one that was not",
          "[log][view]") {
    const log_builder log = many_commits(3, 10);
    reading_world closed;
    log.write_to(closed.disk(), log_path, log.closed_state());
    const log_view at_rest = closed.open();
    const view_facts& facts = at_rest.facts();
    CHECK(facts.was_closed_cleanly);
    CHECK_FALSE(facts.is_foreign);
    CHECK(facts.log_id == log_builder::default_log_id);
    CHECK(facts.format_version == 1);
    CHECK(facts.begin == log_offset{0});
    CHECK(facts.end == log.next());
    CHECK(facts.proven_durable_end == log.next());
    CHECK(facts.tail == tail_state::clean);
    REQUIRE(facts.segments.size() == 3);
    CHECK(facts.segments[1].begin == log.segments()[1].begin);
    CHECK(facts.segments[1].size_bytes == log.segments()[1].bytes.size());
    REQUIRE(facts.state);
    CHECK(facts.state->has_clean_mark);
    CHECK(facts.state->are_both_slots_valid);

    reading_world running;
    log.write_to(running.disk(), log_path, log.running_state());
    const log_view live = running.open();
    CHECK_FALSE(live.facts().was_closed_cleanly);
    CHECK(live.proven_durable_end() == log.last().begin);  // the last commit's trailer says no more
}

TEST_CASE("what is no log is refused by name", "[log][view]") {
    reading_world machine;
    CHECK(machine.open_core("/nowhere").error().code() == errc::log_not_found);
    machine.disk().make_directory("/empty");
    CHECK(machine.open_core("/empty").error().code() == errc::log_not_found);
}

TEST_CASE("a view changes nothing", "[log][view]") {
    reading_world machine;
    const log_builder log = many_commits(3, 10);
    log.write_to(machine.disk(), log_path, log.running_state());
    const auto before = machine.disk().durable_hash();
    machine.world.set_read_only(true);
    machine.world.lock_from_outside(log_path + "/LOCK");
    CHECK(machine.read_from(machine.open(), log_offset{0}).payloads == log.records());
    CHECK(machine.verify().verdict == verify_verdict::clean);
    CHECK(machine.disk().durable_hash() == before);
    CHECK(machine.disk().changes_unsynced() == 0);
}

TEST_CASE("the log of a real database is read commit by commit", "[log][view]") {
    reading_world machine;
    machine.disk().make_directory(log_path);
    machine.disk().write_file(segment_path(log_path, log_offset{0}),
                              golden("spacetimedb-v1.2/00000000000000000000.stdb.log"));
    const log_view view = machine.open();
    CHECK(view.facts().is_foreign);
    CHECK(view.end() == log_offset{9});
    const read_outcome got = machine.read_from(view, log_offset{0});
    CHECK(!got.error);
    REQUIRE(got.commits.size() == 9);
    CHECK(got.payloads[0].size() == 164'929);
    CHECK(got.commits[0].checksum == 0x64273486);
    CHECK(got.commits[8].checksum == 0x58ca3767);
    CHECK(got.commits[8].position_bytes == 166'240);
    CHECK(machine.read_from(view, log_offset{5}).commits.size() == 4);
    const verify_report report = machine.verify();
    CHECK(report.verdict == verify_verdict::clean);
    CHECK(report.commits == 9);
}

TEST_CASE("D15: a log of version 0 is opened for reading, and its end is known", "[log][view]") {
    std::vector<std::byte> bytes(10);
    format::encode_segment_header(bytes);
    bytes[6] = std::byte{0};
    // Two commits of the reference: offset, n, length, payload, checksum.
    const auto add = [&](std::uint8_t begin, std::uint8_t fill, std::vector<std::uint8_t> crc) {
        std::vector<std::uint8_t> commit{begin, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0};
        commit.insert(commit.end(), 8, fill);
        commit.insert(commit.end(), crc.begin(), crc.end());
        for (const std::uint8_t each : commit) {
            bytes.push_back(std::byte{each});
        }
    };
    add(0, 0, {0x12, 0xf4, 0x15, 0xe8});
    add(1, 1, {0x4e, 0x6c, 0xd3, 0xdb});
    reading_world machine;
    machine.disk().make_directory(log_path);
    machine.disk().write_file(segment_path(log_path, log_offset{0}), bytes);
    const log_view view = machine.open();
    CHECK(view.facts().format_version == 0);
    CHECK(view.end() == log_offset{2});
    CHECK(machine.read_from(view, log_offset{0}).payloads ==
          std::vector<std::string>{std::string(8, '\0'), std::string(8, '\1')});
}

TEST_CASE("a foreign log goes on behind a damaged tail where the next segment continues",
          "[log][view]") {
    log_builder log;
    log.raw_commit(1, "one").raw_commit(1, "two");
    auto torn = log.newest().bytes;
    log.rotate().raw_commit(1, "three").rotate();
    torn.insert(torn.end(), 60, std::byte{0x77});
    reading_world machine;
    log.write_segments_to(machine.disk(), log_path);
    machine.disk().write_file(segment_path(log_path, log_offset{0}), torn);
    CHECK(machine.read_from(machine.open(), log_offset{0}).payloads ==
          std::vector<std::string>{"one", "two", "three"});
    const verify_report report = machine.verify();
    CHECK(report.verdict == verify_verdict::clean);
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].severity == finding_severity::warning);
}

TEST_CASE("a compressed segment is named as not supported", "[log][view]") {
    reading_world machine;
    machine.disk().make_directory(log_path);
    std::vector<std::byte> bytes{std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f},
                                 std::byte{0xfd}};
    bytes.resize(5'000, std::byte{3});
    machine.disk().write_file(segment_path(log_path, log_offset{0}), bytes);
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    CHECK(got.error == errc::unsupported_version);
    REQUIRE(got.cause);
    CHECK(got.cause->detail().find("compressed") != std::string::npos);
}

TEST_CASE("a header-only newest segment is no error, one whose header is gone is", "[log][view]") {
    log_builder log;
    log.commits(3).rotate();
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    const log_view view = machine.open();
    CHECK(view.end() == log_offset{3});
    // the successor proves its predecessor whole
    CHECK(view.proven_durable_end() == log_offset{3});
    CHECK(machine.read_from(view, log_offset{0}).payloads.size() == 3);
    machine.disk().set_length(segment_path(log_path, log_offset{3}), 0);
    // Its header was durable before STATE named it.
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    CHECK(got.payloads.size() == 3);
    CHECK(got.error == condition::corrupt);
    CHECK(machine.verify().verdict == verify_verdict::damaged);
}

TEST_CASE("a reader follows a writer that rewrites its tail block, without ever claiming damage",
          "[log][view]") {
    // Method: the writer's images of the newest segment, one a commit, with the block that holds
    // the end half new and half old in between (a direct read beside a direct write); the reader is
    // asked after every image.
    log_builder log;
    log.commits(2);
    reading_world machine;
    log_builder start = log;
    start.newest().bytes.resize(16'384);
    start.write_to(machine.disk(), log_path, start.running_state());
    const log_view view = machine.open();
    log_reader reader = view.reader(log_offset{0});
    const std::string path = segment_path(log_path, log_offset{0});
    std::vector<std::string> got;
    std::vector<std::byte> before = start.newest().bytes;
    for (int k = 0; k < 60; ++k) {
        log.commit(
            {"record " + std::to_string(k) + std::string(static_cast<std::size_t>(k * 5), '-')});
        std::vector<std::byte> after = log.newest().bytes;
        after.resize(std::max<std::size_t>(after.size() + 4'096, 16'384));
        for (const std::size_t sector : {512U, 1'536U, 2'048U, 3'584U}) {
            std::vector<std::byte> torn = after;
            const std::size_t block =
                static_cast<std::size_t>(log.last().position_bytes) / 4'096 * 4'096;
            for (std::size_t at = block + sector; at < std::min(before.size(), torn.size()); ++at) {
                torn[at] = before[at];
            }
            machine.disk().write_file(path, torn);
            const read_outcome now = machine.read_on(reader);
            INFO("commit " << k << " sector " << sector << (now.cause ? now.cause->message() : ""));
            REQUIRE(!now.error);
            got.insert(got.end(), now.payloads.begin(), now.payloads.end());
        }
        machine.disk().write_file(path, after);
        before = after;
    }
    const read_outcome last = machine.read_on(reader);
    got.insert(got.end(), last.payloads.begin(), last.payloads.end());
    CHECK(got == log.records());
}

TEST_CASE("a reader follows a writer into the next segment", "[log][view]") {
    log_builder log;
    log.commits(3);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    const log_view view = machine.open();
    log_reader reader = view.reader(log_offset{1});
    CHECK(machine.read_on(reader).payloads.size() == 2);
    log.rotate().commits(2);
    log.write_to(machine.disk(), log_path, log.running_state());
    CHECK(machine.read_on(reader).payloads == from(log.records(), 3));
}

TEST_CASE("a purge under a reader is a clear error", "[log][view]") {
    log_builder log;
    log.commits(3).rotate().commits(3).rotate().commits(3);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    const log_view view = machine.open();
    machine.disk().remove(segment_path(log_path, log_offset{0}));
    machine.disk().remove(segment_path(log_path, log_offset{3}));
    log_reader reader = view.reader(log_offset{1});
    CHECK(machine.read_on(reader).error == errc::offset_out_of_range);
}

TEST_CASE("a walk visits commits on both sides of a damaged place", "[log][view]") {
    log_builder log;
    log.commits(5).rotate().commits(2);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    machine.disk().corrupt(segment_path(log_path, log_offset{0}),
                           log.segments()[0].commits[2].position_bytes + 30, std::byte{1});
    log_view view = machine.open();
    std::string seen;
    const walk_callback visit = [&](const walk_item& item) {
        seen += "scdDupa"[static_cast<std::size_t>(item.what)];
        return true;
    };
    CHECK(*machine.finish<void>([&](auto token) { view.async_walk(visit, std::move(token)); }));
    CHECK(seen == "sccDccscc");
    std::size_t items = 0;
    const walk_callback stop = [&](const walk_item&) {
        return ++items < 3;
    };
    CHECK(*machine.finish<void>([&](auto token) { view.async_walk(stop, std::move(token)); }));
    CHECK(items == 3);
}

TEST_CASE("a walk visits a foreign log's repetitions also where nothing follows them",
          "[log][view]") {
    log_builder log;
    log.raw_commit(1, "one").raw_commit(1, "two");
    const built_commit last = log.last();
    auto bytes = log.newest().bytes;
    const std::vector<std::byte> again(
        bytes.begin() + static_cast<std::ptrdiff_t>(last.position_bytes), bytes.end());
    bytes.insert(bytes.end(), again.begin(), again.end());
    reading_world machine;
    log.write_segments_to(machine.disk(), log_path);
    machine.disk().write_file(segment_path(log_path, log_offset{0}), bytes);
    log_view view = machine.open();
    std::string seen;
    const walk_callback visit = [&](const walk_item& item) {
        seen += "scdDupa"[static_cast<std::size_t>(item.what)];
        return true;
    };
    CHECK(*machine.finish<void>([&](auto token) { view.async_walk(visit, std::move(token)); }));
    CHECK(seen == "sccd");
}

TEST_CASE("a written index is found and used again", "[log][index]") {
    reading_world machine;
    const log_builder log = many_commits(1, 40);
    log.write_to(machine.disk(), log_path, log.closed_state());
    format::offset_index_builder index(200, 64);
    for (const built_commit& commit : log.segments()[0].commits) {
        index.add_commit(commit.begin, commit.position_bytes, commit.size_bytes);
    }
    auto opened = machine.open_core();
    auto source = opened.value()->source();
    for (int twice = 0; twice < 2; ++twice) {
        std::optional<bool> written;
        const auto write = [](io::directory& in, const format::offset_index_builder& entries,
                              std::optional<bool>& done) -> net::awaitable<void> {
            auto outcome = co_await log_detail::write_index(in, log_offset{0}, entries);
            done = outcome.has_value();
        };
        net::co_spawn(machine.world.executor(), write(source->directory(), index, written),
                      [](const std::exception_ptr&) {});
        machine.world.run();
        REQUIRE(written);
        CHECK(*written);
        const auto bytes =
            machine.disk().read_file(log_path + "/" + format::index_name(log_offset{0}));
        REQUIRE(bytes);
        CHECK(*bytes == index.encode());
    }
    CHECK(machine.verify().findings.empty());
}

}  // namespace
}  // namespace caisson::test
