// The offset index of a segment that was closed, or stopped, and opened again: it covers the old
// part too, and nothing is taken from a file that cannot be one.

#include "engine_world.hpp"

#include "format/names.hpp"
#include "format/offset_index.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>

namespace caisson::test {
namespace {

const std::string index_path = log_path + "/" + format::index_name(log_offset{0});
constexpr std::uint64_t interval_bytes = 4096;
constexpr std::uint64_t records_before = 400;

/// A machine whose log has had one life, each record in a commit of its own, of 460 bytes or so.
class resumed_log {
public:
    resumed_log() { close_after(records_before); }

    void append(std::uint64_t count) {
        for (; count > 0; --count) {
            REQUIRE(machine.append(opened, std::string(400, 'r')));
        }
    }
    void reopen(const log_options& options = {}) { opened = machine.open(options); }
    void close() {
        const auto closed = machine.start_close(opened);
        REQUIRE(machine.finish(closed));
        REQUIRE(closed->value());
    }
    void close_after(std::uint64_t count, const log_options& options = {}) {
        reopen(options);
        append(count);
        close();
    }
    /// A power cut.
    void crash(sim::survival data) {
        machine.world.crash(data, sim::name_survival::prefix);
        machine.destroy_engine();
        opened = log();
        machine.world.power_on();
        machine.start_engine();
    }

    std::vector<std::byte> index() {
        return machine.world.disk().read_file(index_path).value_or(std::vector<std::byte>{});
    }
    std::size_t entry_count() { return format::offset_index_view::parse(index()).value().size(); }
    void put_index(const std::vector<std::byte>& bytes) {
        machine.world.disk().write_file(index_path, bytes);
    }

    engine_world machine;
    log opened;
};

/// Whether the entries leave no stretch of [from_bytes, the end of what they know) without one.
void check_covers(const std::vector<std::byte>& bytes, std::uint64_t from_bytes,
                  std::uint64_t record_count) {
    const auto entries = format::offset_index_view::parse(bytes);
    REQUIRE(entries);
    REQUIRE(entries->size() > 0);
    std::uint64_t indexed_end_bytes = from_bytes;
    for (std::size_t i = 0; i < entries->size(); ++i) {
        CHECK(entries->at(i).position_bytes - indexed_end_bytes <= 3 * interval_bytes);
        indexed_end_bytes = entries->at(i).position_bytes;
    }
    CHECK(entries->at(entries->size() - 1).key >= log_offset{record_count - 30});
}

/// Every entry leads to the commit it names: `verify` has nothing to say about the index.
void check_right(engine_world& machine) {
    const auto opened = machine.start_open_view();
    REQUIRE(machine.finish(opened));
    log_view view = std::move(opened->value()).value();
    const auto report = machine.start<verify_report>(
        [&](auto token) { view.async_verify(verify_options(), std::move(token)); });
    REQUIRE(machine.finish(report));
    CHECK(report->value().value().verdict == verify_verdict::clean);
    CHECK(report->value().value().findings.empty());
}

}  // namespace

TEST_CASE("D9: the index of a segment that was closed and reopened covers the old part too",
          "[engine][index]") {
    resumed_log log;
    const std::size_t before = log.entry_count();
    REQUIRE(before > records_before * 400 / interval_bytes / 2);
    log.close_after(1);
    check_covers(log.index(), 10, records_before);
    log.close_after(100);
    check_covers(log.index(), 10, records_before + 101);
    check_right(log.machine);
}

TEST_CASE("D9: the index of a segment that was read after a power cut covers all of it",
          "[engine][index]") {
    for (const auto data : {sim::survival::nothing, sim::survival::everything}) {
        resumed_log log;
        log.put_index({});  // what remains of it does not matter
        log.reopen();
        log.append(100);
        log.crash(data);
        log.close_after(1);
        check_covers(log.index(), 10, records_before + 101);
        check_right(log.machine);
    }
}

TEST_CASE("D9: a log opened for one record at a time gets entries too", "[engine][index]") {
    resumed_log log;
    for (int life = 0; life < 60; ++life) {
        log.close_after(1);
    }
    check_covers(log.index(), 10, records_before + 60);
    CHECK(log.entry_count() <= (records_before + 60) * 480 / interval_bytes);
    check_right(log.machine);
}

TEST_CASE("D9: smaller segments asked for at reopening take no entry away", "[engine][index]") {
    resumed_log log;
    const std::size_t before = log.entry_count();
    log_options options;
    options.segment_size_bytes = 64 * 1024;  // the segment has more
    log.close_after(1, options);
    CHECK(log.entry_count() >= before);
    check_right(log.machine);
}

TEST_CASE("D9: nothing is taken over from a file that is no index of this segment",
          "[engine][index]") {
    const auto check = [](const char* kind, auto&& spoil) {
        INFO(kind);
        resumed_log log;
        auto bytes = log.index();
        spoil(bytes);
        log.put_index(bytes);
        log.close_after(100);
        // The part that was not read is left out; what was written since is there.
        const auto written = log.index();
        const auto entries = format::offset_index_view::parse(written);
        REQUIRE(entries);
        REQUIRE(entries->size() > 0);
        CHECK(entries->at(0).key >= log_offset{records_before});
        check_right(log.machine);
    };
    check("zeros", [](auto& bytes) { std::fill(bytes.begin(), bytes.end(), std::byte{0}); });
    check("garbage", [](auto& bytes) { std::fill(bytes.begin(), bytes.end(), std::byte{0xa5}); });
    check("a wrong length", [](auto& bytes) { bytes.resize(bytes.size() - 3); });
    check("not ascending",
          [](auto& bytes) { std::swap_ranges(&bytes[0], &bytes[16], &bytes[32]); });
    check("an entry beyond the end that was recovered", [](auto& bytes) {
        const auto used = format::offset_index_view::parse(bytes)->size() * 16;
        format::encode_index_entry(std::span(bytes).subspan(used),
                                   {log_offset{records_before + 50}, 1'000'000});
    });
}

TEST_CASE("D9: a log whose index file was deleted is indexed from there on", "[engine][index]") {
    resumed_log log;
    log.put_index({});
    log.close_after(1);
    const auto written = log.index();
    const auto entries = format::offset_index_view::parse(written);
    REQUIRE(entries);
    REQUIRE(entries->size() == 1);
    CHECK(entries->at(0).key == log_offset{records_before});
    log.close_after(100);
    check_covers(log.index(), entries->at(0).position_bytes, records_before + 101);
    check_right(log.machine);
}

}  // namespace caisson::test
