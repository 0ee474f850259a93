// log_reader on crafted logs of the simulated disk: what it delivers from every offset, with and
// without indexes.

#include "reader_fixture.hpp"

#include "format/names.hpp"
#include "format/offset_index.hpp"
#include "log/reader.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

namespace caisson::test {
namespace {

void write_index_of(reading_world& machine, const built_segment& segment,
                    std::uint64_t interval_bytes = 200) {
    format::offset_index_builder index(interval_bytes, 64);
    for (const built_commit& commit : segment.commits) {
        index.add_commit(commit.begin, commit.position_bytes, commit.size_bytes);
    }
    machine.disk().write_file(log_path + "/" + format::index_name(segment.begin), index.encode());
}

TEST_CASE("a reader delivers every record from every offset on", "[log][reader]") {
    reading_world machine;
    const log_builder log = many_commits(4, 20);
    log.write_to(machine.disk(), log_path, log.running_state());
    const auto records = log.records();
    const log_view view = machine.open();
    CHECK(view.end() == log.next());
    for (std::uint64_t first = 0; first <= records.size(); ++first) {
        const read_outcome got = machine.read_from(view, log_offset{first});
        INFO("from " << first);
        REQUIRE(!got.error);
        CHECK(got.payloads == from(records, first));
        CHECK(got.first == log_offset{first});
        CHECK(got.end == log.next());
    }
}

TEST_CASE("a batch tells where its commit lies", "[log][reader]") {
    reading_world machine;
    const log_builder log = many_commits(2, 5);
    log.write_to(machine.disk(), log_path, log.running_state());
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    std::size_t k = 0;
    for (const built_segment& segment : log.segments()) {
        for (const built_commit& commit : segment.commits) {
            REQUIRE(k < got.commits.size());
            const commit_facts& facts = got.commits[k++];
            CHECK(facts.segment == segment.begin);
            CHECK(facts.position_bytes == commit.position_bytes);
            CHECK(facts.size_bytes == commit.size_bytes);
            CHECK(facts.begin == commit.begin);
            CHECK(facts.end() == commit.end);
            CHECK(facts.checksum == commit.crc);
            CHECK_FALSE(facts.is_raw);
        }
    }
    CHECK(k == got.commits.size());
}

TEST_CASE("offsets outside the log are refused with its range", "[log][reader]") {
    reading_world machine;
    log_builder log(log_builder::default_log_id, log_offset{100});
    log.commits(10);
    log.write_to(machine.disk(), log_path, log.running_state());
    const log_view view = machine.open();
    for (const std::uint64_t wrong : {0ULL, 99ULL, 111ULL, 1'000'000ULL}) {
        const read_outcome got = machine.read_from(view, log_offset{wrong});
        CHECK(got.error == errc::offset_out_of_range);
        REQUIRE(got.cause);
        CHECK(got.cause->offset() == log_offset{wrong});
    }
    CHECK(machine.read_from(view, log_offset{110}).payloads.empty());
}

TEST_CASE("an index of any kind changes nothing but the way (D9, D24)", "[log][reader][index]") {
    const log_builder log = many_commits(2, 30);
    const auto records = log.records();
    const log_offset second = log.segments()[1].begin;
    const std::string index_path = log_path + "/" + format::index_name(second);
    const auto check = [&](const char* kind, auto&& prepare) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        prepare(machine);
        const log_view view = machine.open();
        for (std::uint64_t first = second.value(); first < records.size(); first += 3) {
            const read_outcome got = machine.read_from(view, log_offset{first});
            INFO(kind << ", from " << first);
            REQUIRE(!got.error);
            CHECK(got.payloads == from(records, first));
        }
    };
    check("missing", [](reading_world&) {});
    check("right", [&](reading_world& machine) { write_index_of(machine, log.segments()[1]); });
    check("read-only view of a right one", [&](reading_world& machine) {
        write_index_of(machine, log.segments()[1]);
        machine.world.set_read_only(true);
    });
    check("garbage", [&](reading_world& machine) {
        machine.disk().write_file(index_path, std::vector<std::byte>(333, std::byte{0xa5}));
    });
    check("plausible lies", [&](reading_world& machine) {
        std::vector<std::byte> bytes(16 * 6);
        for (std::uint64_t i = 0; i < 6; ++i) {
            format::encode_index_entry(std::span(bytes).subspan(static_cast<std::size_t>(i) * 16),
                                       {second + (i + 1) * 2, 11 + i * 70});
        }
        machine.disk().write_file(index_path, bytes);
    });
    check("entries beyond the end", [&](reading_world& machine) {
        std::vector<std::byte> bytes(32);
        format::encode_index_entry(bytes, {second + 1, 1 << 20});
        format::encode_index_entry(std::span(bytes).subspan(16), {second + 2, 1 << 30});
        machine.disk().write_file(index_path, bytes);
    });
    check("unreadable", [&](reading_world& machine) {
        write_index_of(machine, log.segments()[1]);
        machine.disk().make_unreadable(index_path, 0, 512);
    });
}

TEST_CASE("an index saves reading the segment from its start", "[log][reader][index]") {
    log_builder log;
    log.commit({"first"});
    for (int i = 0; i < 400; ++i) {
        log.commit({std::string(8'000, 'x')});
    }
    const auto bytes_read = [&](bool with_index) {
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        if (with_index) {
            write_index_of(machine, log.segments()[0], 8'000 * 10);
        }
        const log_view view = machine.open();
        log_reader reader = view.reader(log_offset{395});
        const auto before = machine.world.counters()
                                .operations_by_kind[static_cast<int>(sim::operation_kind::read)];
        const auto got = machine.next(reader);
        REQUIRE(got);
        CHECK(got.value().first_offset() == log_offset{395});
        return machine.world.counters()
                   .operations_by_kind[static_cast<int>(sim::operation_kind::read)] -
               before;
    };
    CHECK(bytes_read(true) < bytes_read(false));
}

TEST_CASE("commits larger than a window are read whole within the memory bound", "[log][reader]") {
    reading_world machine;
    log_builder log;
    log.commit({"small"});
    log.commit({std::string(700'000, 'a'), std::string(300'000, 'b')});
    log.commits(50);
    log.commit({std::string(200'000, 'c')});
    log.write_to(machine.disk(), log_path, log.running_state());
    const log_view view = machine.open();
    reader_options options;
    options.window_size_bytes = 64 * 1024;
    CHECK(machine.read_from(view, log_offset{0}, options).payloads == log.records());

    auto opened = machine.open_core();
    auto core = log_detail::reader_core::make(opened.value()->source(), machine.entry,
                                              log_offset{0}, options);
    log_reader reader(core);
    std::uint64_t memory_bytes_max = 0;
    for (auto got = machine.next(reader); got && !got.value().empty(); got = machine.next(reader)) {
        memory_bytes_max = std::max(memory_bytes_max, core->memory_bytes());
    }
    // Three windows of double size, and the largest commit (1,000,063 bytes) with its blocks.
    CHECK(memory_bytes_max <= 6 * options.window_size_bytes + 1'000'063 + 3 * 4'096);
    CHECK(core->memory_bytes() <= 6 * options.window_size_bytes + 200'059 + 3 * 4'096);
}

TEST_CASE("a length field that lies allocates nothing beyond the file (D20)", "[log][reader]") {
    reading_world machine;
    log_builder log;
    log.commits(3).rotate().commits(3);
    auto& bytes = log.segments()[0].bytes;
    const auto at = static_cast<std::size_t>(log.segments()[0].commits[1].position_bytes + 18);
    bytes[at + 3] = std::byte{0x7f};  // 2 GiB
    log.write_to(machine.disk(), log_path, log.running_state());
    auto opened = machine.open_core();
    auto core =
        log_detail::reader_core::make(opened.value()->source(), machine.entry, log_offset{0}, {});
    log_reader reader(core);
    const read_outcome got = machine.read_on(reader);
    CHECK(got.error == condition::corrupt);
    CHECK(got.payloads.size() == 1);
    CHECK(core->memory_bytes() <= 8u << 20);
}

TEST_CASE("short and interrupted reads are finished", "[log][reader]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        reading_world machine(seed);
        const log_builder log = many_commits(3, 200);
        log.write_to(machine.disk(), log_path, log.running_state());
        const log_view view = machine.open();
        sim::fault_rates rates;
        rates.short_transfers = 200'000;
        rates.interruptions = 100'000;
        machine.world.set_fault_rates(rates);
        const read_outcome got = machine.read_from(view, log_offset{7});
        INFO("seed " << seed << " " << (got.cause ? got.cause->message() : ""));
        REQUIRE(!got.error);
        CHECK(got.payloads == from(log.records(), 7));
    }
}

TEST_CASE("an unreadable block stops the reader there, by name, and nowhere else",
          "[log][reader]") {
    reading_world machine;
    log_builder log;
    for (int i = 0; i < 100; ++i) {
        log.commit({std::string(1'000, 'x')});
    }
    log.rotate().commits(10);
    log.write_to(machine.disk(), log_path, log.running_state());
    const std::string path = segment_path(log_path, log_offset{0});
    machine.disk().make_unreadable(path, 40'960, 41'472);
    const log_view view = machine.open();
    const read_outcome got = machine.read_from(view, log_offset{0});
    CHECK(got.error == errc::unreadable);
    REQUIRE(got.cause);
    CHECK(got.cause->file() == path);
    CHECK(got.cause->position_bytes() == 40'960);
    const auto& commits = log.segments()[0].commits;
    for (const built_commit& commit : commits) {
        if (commit.end_bytes() <= 40'960) {
            CHECK(commit.end <= got.end);  // everything that ends before the block was delivered
        }
    }
    const log_offset second = log.segments()[1].begin;
    CHECK(machine.read_from(view, second).payloads == from(log.records(), second.value()));

    log_reader reader = view.reader(log_offset{0});
    CHECK(machine.read_on(reader).error == errc::unreadable);
    CHECK(machine.next(reader).error() == errc::unreadable);  // nothing is skipped
}

TEST_CASE("damage stops the reader with everything before it delivered (D4)", "[log][reader]") {
    reading_world machine;
    log_builder log;
    log.commits(10);
    const built_commit hurt = log.segments()[0].commits[4];
    log.write_to(machine.disk(), log_path, log.running_state());
    const std::string path = segment_path(log_path, log_offset{0});
    machine.disk().corrupt(path, hurt.position_bytes + 30, std::byte{0x10});
    const log_view view = machine.open();
    CHECK(view.facts().tail == tail_state::damaged);
    const read_outcome got = machine.read_from(view, log_offset{0});
    CHECK(got.error == errc::checksum_mismatch);
    const auto records = log.records();
    CHECK(got.payloads == std::vector<std::string>(records.begin(), records.begin() + 4));
    REQUIRE(got.cause);
    CHECK(got.cause->file() == path);
    CHECK(got.cause->position_bytes() == hurt.position_bytes);
    CHECK(got.cause->offset() == hurt.begin);
}

TEST_CASE("a gap at the end and an unknown version are errors, not an end (D6)", "[log][reader]") {
    SECTION("a raw log whose last commit is not the next one") {
        reading_world machine;
        log_builder log;
        log.raw_commit(1, "one").raw_commit(1, "two").set_next(log_offset{5}).raw_commit(1, "six");
        log.write_segments_to(machine.disk(), log_path);
        const read_outcome got = machine.read_from(machine.open(), log_offset{0});
        CHECK(got.error == errc::out_of_order);
        CHECK(got.payloads == std::vector<std::string>{"one", "two"});
    }
    for (const std::size_t at : {6U, 7U}) {
        reading_world machine;
        log_builder log;
        log.raw_commit(1, "one");
        log.newest().bytes[at] = std::byte{9};
        log.write_segments_to(machine.disk(), log_path);
        const read_outcome got = machine.read_from(machine.open(), log_offset{0});
        CHECK(got.error == (at == 6 ? errc::unsupported_version : errc::unsupported_algorithm));
    }
    reading_world machine;
    log_builder log;
    log.raw_commit(1, "one");
    log.newest().bytes[0] = std::byte{9};
    log.write_segments_to(machine.disk(), log_path);
    CHECK(machine.read_from(machine.open(), log_offset{0}).error == errc::not_a_segment);
}

TEST_CASE("exact duplicates of a foreign log are skipped, a fork is damage (D10)",
          "[log][reader]") {
    log_builder log;
    log.raw_commit(1, "one")
        .raw_commit(1, "two")
        .set_next(log_offset{1})
        .raw_commit(1, "two")
        .raw_commit(1, "three");
    reading_world machine;
    log.write_segments_to(machine.disk(), log_path);
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    CHECK(!got.error);
    CHECK(got.payloads == std::vector<std::string>{"one", "two", "three"});

    log_builder forked;
    forked.raw_commit(1, "one").raw_commit(1, "two").set_next(log_offset{1}).raw_commit(1, "TWO");
    reading_world other;
    forked.write_segments_to(other.disk(), log_path);
    const read_outcome stopped = other.read_from(other.open(), log_offset{0});
    CHECK(stopped.error == errc::out_of_order);
    CHECK(stopped.payloads == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a raw commit that contains the asked offset is delivered whole (D13)", "[log][reader]") {
    reading_world machine;
    log_builder log;
    log.raw_commit(3, "aaabbbccc").raw_commit(2, "dddeee");
    log.write_segments_to(machine.disk(), log_path);
    const log_view view = machine.open();
    CHECK(view.facts().is_foreign);
    log_reader reader = view.reader(log_offset{2});
    const auto got = machine.next(reader);
    REQUIRE(got);
    CHECK(got.value().facts().is_raw);
    CHECK(got.value().first_offset() == log_offset{2});
    CHECK(got.value().facts().begin == log_offset{0});
    CHECK(text_of(got.value().raw_bytes()) == "aaabbbccc");
    CHECK(machine.next(reader).value().first_offset() == log_offset{3});
}

TEST_CASE("a missing segment is named", "[log][reader]") {
    log_builder log;
    log.commits(4).rotate().commits(4).rotate().commits(4);
    reading_world machine;
    log.write_to(machine.disk(), log_path, log.running_state());
    machine.disk().remove(segment_path(log_path, log_offset{4}));
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    CHECK(got.error == errc::segment_gap);
    CHECK(got.payloads.size() == 4);
    REQUIRE(got.cause);
    CHECK(got.cause->offset() == log_offset{4});
}

TEST_CASE("a commit of another log or out of its chain stops the reader", "[log][reader]") {
    SECTION("another id") {
        log_builder log;
        log.commits(3)
            .set_log_id(77)
            .commits(1)
            .set_log_id(log_builder::default_log_id)
            .commits(1)
            .rotate()
            .commits(1);
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        CHECK(machine.read_from(machine.open(), log_offset{0}).error == errc::wrong_log);
    }
    SECTION("a broken chain") {
        log_builder log;
        log.commits(3).set_previous_crc(5).commits(2).rotate().commits(1);
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        CHECK(machine.read_from(machine.open(), log_offset{0}).error == errc::chain_broken);
    }
    SECTION("a chain broken between two segments") {
        log_builder log;
        log.commits(3).rotate().set_previous_crc(5).commits(2).rotate().commits(1);
        reading_world machine;
        log.write_to(machine.disk(), log_path, log.running_state());
        CHECK(machine.read_from(machine.open(), log_offset{0}).error == errc::chain_broken);
    }
}

TEST_CASE("a reader that starts in the newest segment holds it against STATE", "[log][reader]") {
    for (const std::uint64_t from : {3u, 4u, 5u}) {
        for (const bool is_chained : {true, false}) {
            log_builder log;
            log.commits(3).rotate();
            if (!is_chained) {
                log.set_previous_crc(5);
            }
            log.commits(3);
            reading_world machine;
            log.write_to(machine.disk(), log_path, log.running_state());
            const auto got = machine.read_from(machine.open(), log_offset{from});
            INFO("from offset " << from);
            if (is_chained) {
                CHECK_FALSE(got.error);
            } else {
                REQUIRE(got.error == errc::chain_broken);
                CHECK(got.cause->offset() == log_offset{3});
            }
        }
    }
}

TEST_CASE("a cancelled read loses nothing, whenever it is cancelled", "[log][reader]") {
    const log_builder log = many_commits(3, 30);
    for (std::uint64_t steps = 0; steps < 60; ++steps) {
        reading_world machine(steps + 1);
        log.write_to(machine.disk(), log_path, log.running_state());
        const log_view view = machine.open();
        log_reader reader = view.reader(log_offset{5});
        net::cancellation_signal signal;
        std::optional<result<commit_batch>> first;
        reader.async_next(net::bind_cancellation_slot(
            signal.slot(), [&](result<commit_batch> got) { first.emplace(std::move(got)); }));
        for (std::uint64_t step = 0; step < steps && !first; ++step) {
            machine.world.step();
        }
        signal.emit(net::cancellation_type::total);
        while (!first && machine.world.step()) {
        }
        REQUIRE(first);
        std::vector<std::string> payloads;
        if (*first) {
            for (const auto payload : first->value()) {
                payloads.push_back(text_of(payload));
            }
        } else {
            CHECK(first->error() == net::error::operation_aborted);
        }
        for (auto& each : machine.read_on(reader).payloads) {
            payloads.push_back(std::move(each));
        }
        INFO("cancelled after " << steps << " steps");
        CHECK(payloads == from(log.records(), 5));
    }
}

TEST_CASE("a reader destroyed with an operation in flight completes it and frees everything",
          "[log][reader]") {
    const log_builder log = many_commits(3, 30);
    for (std::uint64_t steps = 0; steps < 60; ++steps) {
        reading_world machine(steps + 1);
        log.write_to(machine.disk(), log_path, log.running_state());
        bool is_done = false;
        {
            const log_view view = machine.open();
            log_reader reader = view.reader(log_offset{0});
            reader.async_next([&](result<commit_batch>) { is_done = true; });
            for (std::uint64_t step = 0; step < steps; ++step) {
                machine.world.step();
            }
        }
        machine.world.run();
        CHECK(is_done);
        CHECK(machine.world.environment().disk.operations_in_flight() == 0);
    }
}

TEST_CASE("a power cut at any moment ends a reader without a trace", "[log][reader]") {
    const log_builder log = many_commits(3, 30);
    for (std::uint64_t steps = 0; steps < 60; ++steps) {
        reading_world machine(steps + 1);
        log.write_to(machine.disk(), log_path, log.running_state());
        std::optional<log_view> view(machine.open());
        std::optional<log_reader> reader(view->reader(log_offset{0}));
        reader->async_next([](result<commit_batch>) {});
        for (std::uint64_t step = 0; step < steps; ++step) {
            machine.world.step();
        }
        machine.world.crash();
        reader.reset();
        view.reset();
        CHECK(machine.world.powered_off());
    }
}

TEST_CASE("closing the source ends its readers with closed", "[log][reader]") {
    reading_world machine;
    const log_builder log = many_commits(3, 30);
    log.write_to(machine.disk(), log_path, log.running_state());
    auto opened = machine.open_core();
    const auto source = opened.value()->source();
    log_view view(std::move(opened).value());
    log_reader idle = view.reader(log_offset{0});
    CHECK(machine.next(idle));
    log_reader busy = view.reader(log_offset{3});
    std::optional<error_code> ended;
    busy.async_next([&](result<commit_batch> got) { ended = got ? error_code{} : got.error(); });
    machine.world.step();
    bool is_closed = false;
    net::co_spawn(machine.world.executor(), source->close(),
                  [&](const std::exception_ptr&) { is_closed = true; });
    machine.world.run();
    CHECK(is_closed);
    REQUIRE(ended);
    CHECK(*ended == errc::closed);
    CHECK(machine.next(idle).error() == errc::closed);
    CHECK(machine.world.environment().disk.operations_in_flight() == 0);
}

}  // namespace
}  // namespace caisson::test
