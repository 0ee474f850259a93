// log_reader over a source that knows what is durable, as an open log does: where it stops, and
// when it must look again.

#include "reader_fixture.hpp"

#include "format/names.hpp"
#include "log/reader.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

namespace caisson::test {
namespace {

/// An open log as its readers see it, with every fact set by the test.
class known_source final : public log_detail::read_source {
public:
    known_source(reading_world& machine, log_offset durable_end)
        : machine_(machine), durable_end_(durable_end) {}

    io::environment& world() noexcept override { return machine_.world.environment(); }
    io::directory& directory() noexcept override { return *root; }
    log_offset begin() const noexcept override { return begin_; }
    std::optional<log_offset> durable_end() const noexcept override { return durable_end_; }
    std::optional<log_detail::segment_place> locate(log_offset offset) const noexcept override {
        const auto after = std::upper_bound(segments.begin(), segments.end(), offset);
        if (after == segments.begin()) {
            return std::nullopt;
        }
        log_detail::segment_place place{*std::prev(after), std::nullopt};
        if (after != segments.end()) {
            place.next = *after;
        }
        return place;
    }
    log_detail::log_lineage lineage() const noexcept override {
        log_detail::log_lineage lineage;
        lineage.log_id = log_builder::default_log_id;
        lineage.native_from = log_offset{0};
        return lineage;
    }
    std::optional<position_hint> hint(log_offset, log_offset) const noexcept override {
        return hinted;
    }
    io::task<void> refresh() override { co_return success(); }
    io::task<bool> state_contradicts(segment_end) override { co_return false; }

    void set_durable_end(log_offset end) { durable_end_ = end; }
    void set_begin(log_offset begin) { begin_ = begin; }

    std::unique_ptr<io::directory> root;
    std::vector<log_offset> segments{log_offset{0}};
    std::optional<position_hint> hinted;

private:
    reading_world& machine_;
    log_offset begin_;
    log_offset durable_end_;
};

class open_log {
public:
    explicit open_log(const log_builder& log, log_offset durable_end)
        : source(std::make_shared<known_source>(machine, durable_end)) {
        put(log);
        net::co_spawn(machine.world.executor(), open_root(), [](const std::exception_ptr&) {});
        machine.world.run();
    }
    void put(const log_builder& log) {
        log.write_segments_to(machine.disk(), log_path);
        source->segments.clear();
        for (const built_segment& segment : log.segments()) {
            source->segments.push_back(segment.begin);
        }
    }
    log_reader reader(log_offset from) {
        return log_reader(log_detail::reader_core::make(source, machine.entry, from, {}));
    }

    reading_world machine;
    std::shared_ptr<known_source> source;

private:
    net::awaitable<void> open_root() {
        auto opened = co_await io::open_root(machine.world.environment().disk, log_path,
                                             io::root_mode::existing);
        source->root = std::move(opened).value();
    }
};

TEST_CASE("D16: a reader of an open log sees what is durable and nothing more", "[log][reader]") {
    const log_builder log = many_commits(2, 6);
    for (const built_segment& segment : log.segments()) {
        for (const built_commit& commit : segment.commits) {
            open_log open(log, commit.end);
            log_reader reader = open.reader(log_offset{0});
            CHECK(open.machine.read_on(reader).end == commit.end);
            open.source->set_durable_end(log.next());
            CHECK(open.machine.read_on(reader).payloads == from(log.records(), commit.end.value()));
        }
    }
}

TEST_CASE("at the durable end a reader answers without touching the disk", "[log][reader]") {
    const log_builder log = many_commits(1, 6);
    open_log open(log, log.next());
    log_reader reader = open.reader(log.next());
    const auto before = open.machine.world.counters().operations;
    const auto got = open.machine.next(reader);
    REQUIRE(got);
    CHECK(got.value().empty());
    CHECK(got.value().first_offset() == log.next());
    CHECK(open.machine.world.counters().operations == before);
    log_reader beyond = open.reader(log.next() + 1);
    CHECK(open.machine.next(beyond).error() == errc::offset_out_of_range);
}

TEST_CASE("what was read ahead before it became durable is read again", "[log][reader]") {
    log_builder log;
    log.commits(3);
    log_builder early = log;
    early.newest().bytes.resize(16'384, std::byte{0});
    for (std::size_t at = log.newest().bytes.size(); at < 8'192; ++at) {
        early.newest().bytes[at] = std::byte{0x5a};  // a write that is going on
    }
    open_log open(early, log_offset{3});
    log_reader reader = open.reader(log_offset{0});
    // the window holds the garbage too
    CHECK(open.machine.next(reader).value().first_offset() == log_offset{0});
    log.commits(40);
    open.put(log);
    open.source->set_durable_end(log.next());
    const read_outcome got = open.machine.read_on(reader);
    CHECK(!got.error);
    CHECK(got.payloads == from(log.records(), 1));
}

TEST_CASE("damage below the durable end is an error at its place", "[log][reader]") {
    log_builder log;
    log.commits(5);
    open_log open(log, log_offset{5});
    const std::string path = segment_path(log_path, log_offset{0});
    const built_commit last = log.last();
    SECTION("a flipped byte in the last commit") {
        open.machine.disk().corrupt(path, last.position_bytes + 30, std::byte{1});
        log_reader reader = open.reader(log_offset{0});
        const read_outcome got = open.machine.read_on(reader);
        CHECK(got.error == errc::checksum_mismatch);
        CHECK(got.payloads.size() == 4);
        REQUIRE(got.cause);
        CHECK(got.cause->position_bytes() == last.position_bytes);
    }
    SECTION("the last commit cut away") {
        open.machine.disk().set_length(path, last.position_bytes);
        log_reader reader = open.reader(log_offset{0});
        CHECK(open.machine.read_on(reader).error == errc::damaged);
    }
    SECTION("the last commit lost to zeros") {
        open.machine.disk().zero(path, last.position_bytes, last.end_bytes());
        log_reader reader = open.reader(log_offset{0});
        CHECK(open.machine.read_on(reader).error == errc::damaged);
    }
    SECTION("the file gone") {
        open.machine.disk().remove(path);
        log_reader reader = open.reader(log_offset{0});
        CHECK(open.machine.read_on(reader).error == errc::segment_missing);
    }
}

TEST_CASE("a purge passing a reader of an open log is offset_out_of_range", "[log][reader]") {
    log_builder log;
    log.commits(3).rotate().commits(3);
    open_log open(log, log_offset{6});
    log_reader reader = open.reader(log_offset{0});
    CHECK(open.machine.next(reader));
    open.source->set_begin(log_offset{3});
    open.source->segments = {log_offset{3}};
    CHECK(open.machine.next(reader).error() == errc::offset_out_of_range);
}

TEST_CASE("a hint is followed when it is right and forgotten when it is wrong", "[log][reader]") {
    const log_builder log = many_commits(1, 30);
    const auto& commits = log.segments()[0].commits;
    using hint = log_detail::read_source::position_hint;
    for (const hint& each :
         {hint{commits[20].begin, commits[20].position_bytes}, hint{commits[20].begin, 17},
          hint{commits[3].begin, commits[20].position_bytes}, hint{log.next(), 1u << 30},
          hint{log_offset{0}, 3}}) {
        open_log open(log, log.next());
        open.source->hinted = each;
        log_reader reader = open.reader(commits[25].begin);
        CHECK(open.machine.read_on(reader).payloads ==
              from(log.records(), commits[25].begin.value()));
    }
}

}  // namespace
}  // namespace caisson::test
