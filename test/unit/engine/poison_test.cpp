// What a log does once a write of its data has failed: it says so once for everything that was
// admitted, takes nothing more, goes on reading what is durable, and is healthy again when
// reopened.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

namespace caisson::test {
namespace {

const std::string segment = "00000000000000000000.stdb.log";

/// Every write to a segment is a commit: nothing is zero-written ahead.
sim::world_options copying_on_write() {
    sim::world_options options = calm();
    options.copies_on_write = true;
    return options;
}

std::string record_of(std::uint64_t number) {
    return std::to_string(number) + std::string(3'000, 'r');
}

std::vector<std::string> records_of(std::uint64_t count) {
    std::vector<std::string> records;
    for (std::uint64_t k = 0; k < count; ++k) {
        records.push_back(record_of(k));
    }
    return records;
}

/// Room for three records at a time: of a burst some are admitted, the others wait.
log_options little_room() {
    log_options options;
    options.record_size_bytes_max = 4'000;
    options.max_pending_bytes = 10'000;
    return options;
}

struct history {
    std::uint64_t acknowledged = 0;
    std::uint64_t unknown = 0;
    std::uint64_t poisoned = 0;
};

/// Appends `bursts` of 8 records, numbered from 0. The outcomes come in this order and no other.
history append_bursts(engine_world& machine, log& target, int bursts) {
    history seen;
    std::uint64_t number = 0;
    for (int burst = 0; burst < bursts; ++burst) {
        std::vector<std::string> records;
        for (int k = 0; k < 8; ++k) {
            records.push_back(record_of(number++));
        }
        std::vector<answer<append_receipt>> answers;
        for (const std::string& each : records) {
            answers.push_back(machine.start_append(target, each));
        }
        for (const auto& each : answers) {
            REQUIRE(machine.finish(each));
            if (each->value()) {
                CHECK(seen.unknown + seen.poisoned == 0);
                CHECK(each->value().value().begin == log_offset{seen.acknowledged});
                ++seen.acknowledged;
            } else if (each->value().error() == errc::outcome_unknown) {
                CHECK(seen.poisoned == 0);
                ++seen.unknown;
            } else {
                CHECK(each->value().error() == errc::poisoned);
                ++seen.poisoned;
            }
        }
    }
    return seen;
}

void check_takes_nothing_more(engine_world& machine, log& target) {
    const std::string record = "late";
    const auto appended = machine.start_append(target, record);
    REQUIRE(machine.finish(appended));
    REQUIRE_FALSE(appended->value());
    CHECK(appended->value().error() == errc::poisoned);
    const std::vector<net::const_buffer> two(2, net::buffer(record));
    const auto batch = machine.start<append_receipt>(
        [&](auto token) { target.async_append_batch(two, std::move(token)); });
    REQUIRE(machine.finish(batch));
    REQUIRE_FALSE(batch->value());
    CHECK(batch->value().error() == errc::poisoned);
    const auto beyond = machine.start_wait(target, target.durable_end() + 1);
    REQUIRE(machine.finish(beyond));
    REQUIRE_FALSE(beyond->value());
    CHECK(beyond->value().error() == errc::poisoned);
    const auto within = machine.start_wait(target, target.durable_end());
    REQUIRE(machine.finish(within));
    CHECK(within->value());
}

/// Closing tells the cause; the next open finds a healthy log with what was acknowledged, perhaps
/// with what was not.
void check_reopening_heals(engine_world& machine, log& target, const log_options& options,
                           const history& seen, int error_number) {
    const auto closed = machine.start_close(target);
    REQUIRE(machine.finish(closed));
    REQUIRE_FALSE(closed->value());
    CHECK(closed->value().error().value() == error_number);
    log again = machine.open(options);
    CHECK_FALSE(again.failure_cause());
    CHECK_FALSE(again.stats().poisoned);
    const std::uint64_t there = again.durable_end().value();
    CHECK(there >= seen.acknowledged);
    CHECK(there <= seen.acknowledged + seen.unknown);
    CHECK(machine.read_all(again) == records_of(there));
    REQUIRE(machine.append(again, record_of(there)));
    CHECK(machine.read_all(again) == records_of(there + 1));
}

}  // namespace

TEST_CASE("whichever write to a segment fails, the log is poisoned and reads go on",
          "[engine][poison]") {
    // Each write in turn fails, until there are no more; where space is prepared some of them are
    // zero-writes.
    for (const bool has_commits_only : {true, false}) {
        std::uint64_t rounds = 0;
        bool has_been_in_flight = false;
        for (bool was_hit = true; was_hit; ++rounds) {
            INFO("write " << rounds + 1 << (has_commits_only ? " of commits" : ""));
            engine_world machine(rounds, has_commits_only ? copying_on_write() : calm());
            log target = machine.open(little_room());
            machine.world.inject(
                sim::fault(sim::operation_kind::write, rounds + 1).on(segment).fails_with(EIO));
            const auto waits = machine.start_wait(target, log_offset{1'000});
            const history seen = append_bursts(machine, target, 4);
            was_hit = machine.world.counters().faults > 0;
            CHECK(target.failure_cause().has_value() == was_hit);
            CHECK(target.stats().poisoned == was_hit);
            CHECK(target.durable_end() == log_offset{seen.acknowledged});
            CHECK(machine.read_all(target) == records_of(seen.acknowledged));
            if (!was_hit) {
                CHECK(seen.acknowledged == 32);
                continue;
            }
            REQUIRE(machine.finish(waits));
            REQUIRE_FALSE(waits->value());
            CHECK(waits->value().error() == errc::poisoned);
            CHECK((seen.unknown > 0 || !has_commits_only));
            has_been_in_flight = has_been_in_flight || (seen.unknown > 0 && seen.poisoned > 0);
            CHECK(target.failure_cause()->code().value() == EIO);
            CHECK(target.failure_cause()->file() == log_path + "/" + segment);
            CHECK(target.failure_cause()->advice().find("kernel's log and at the free space") !=
                  std::string::npos);
            check_takes_nothing_more(machine, target);
            check_reopening_heals(machine, target, little_room(), seen, EIO);
        }
        CHECK(rounds > 4);
        CHECK(has_been_in_flight);
    }
}

TEST_CASE("the cause of a poisoned log names segment, byte and offset", "[engine][poison]") {
    engine_world machine(1, copying_on_write());
    log target = machine.open();
    REQUIRE(machine.append(target, record_of(0)));
    log_reader reader = target.reader(log_offset{});
    const auto first = machine.start_read(reader);
    REQUIRE(machine.finish(first));
    const commit_facts& commit = first->value().value().facts();
    machine.world.inject(sim::fault(sim::operation_kind::write).fails_with(EIO));
    CHECK_FALSE(machine.append(target, record_of(1)));
    const auto cause = target.failure_cause();
    REQUIRE(cause);
    CHECK(cause->file() == log_path + "/" + segment);
    CHECK(cause->position_bytes() == commit.position_bytes + commit.size_bytes);
    CHECK(cause->offset() == log_offset{1});
    CHECK(cause->message().find("reopen") != std::string::npos);
}

TEST_CASE("no space at the write of a commit is a poison with that cause", "[engine][poison]") {
    // Where the file system copies on write, space cannot be reserved before it is needed.
    engine_world machine(1, copying_on_write());
    log target = machine.open();
    history seen;
    REQUIRE(machine.append(target, record_of(seen.acknowledged++)));
    machine.world.set_capacity(machine.world.used_bytes());
    const std::string record = record_of(seen.acknowledged);
    const auto appended = machine.start_append(target, record);
    REQUIRE(machine.finish(appended));
    REQUIRE_FALSE(appended->value());
    CHECK(appended->value().error() == errc::outcome_unknown);
    seen.unknown = 1;
    const auto cause = target.failure_cause();
    REQUIRE(cause);
    CHECK(cause->code() == condition::no_space);
    CHECK(cause->offset() == log_offset{1});
    CHECK(cause->advice().find("free space") != std::string::npos);
    check_takes_nothing_more(machine, target);
    machine.world.set_capacity(0);
    check_takes_nothing_more(machine, target);  // space that returns heals nothing
    CHECK(machine.read_all(target) == records_of(1));
    check_reopening_heals(machine, target, log_options(), seen, ENOSPC);
}

}  // namespace caisson::test
