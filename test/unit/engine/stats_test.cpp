// The counters of a log, by value.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::test {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t block_bytes = 4096;
constexpr std::uint64_t frame_bytes = 4;  ///< of a record: its length

std::uint64_t syncs_of_disk(const engine_world& machine) {
    return machine.world.counters()
        .operations_by_kind[static_cast<std::size_t>(sim::operation_kind::sync)];
}

/// The whole blocks that a commit lies in.
std::uint64_t block_bytes_of(const commit_facts& commit) {
    const std::uint64_t end_bytes = commit.position_bytes + commit.size_bytes;
    const std::uint64_t first = commit.position_bytes / block_bytes * block_bytes;
    return (end_bytes + block_bytes - 1) / block_bytes * block_bytes - first;
}

std::uint64_t segment_files(engine_world& machine) {
    const auto names = machine.world.disk().list(log_path);
    return static_cast<std::uint64_t>(std::ranges::count_if(
        *names, [](const std::string& name) { return name.ends_with(".stdb.log"); }));
}

template <class Condition>
void step_until(engine_world& machine, Condition is_met) {
    while (!is_met()) {
        REQUIRE(machine.world.step());
    }
}

}  // namespace

TEST_CASE("the counters of a quiet log: bytes, preparation, syncs", "[engine][stats]") {
    engine_world machine;
    log target = machine.open();
    CHECK(target.stats().segments == 1);
    CHECK(target.stats().bytes_written == 0);
    const std::uint64_t syncs_before = syncs_of_disk(machine);

    // The first append finds nothing prepared: it waits for room and is synced by itself.
    REQUIRE(machine.append(target, std::string(100, 'a')));
    machine.world.run();
    const log_stats first = target.stats();
    CHECK(first.payload_bytes_appended == 100);
    CHECK(first.bytes_written == block_bytes);
    CHECK(first.appends_waited == 1);
    CHECK(first.appends_outran_preparation == 1);
    // The first step of preparation, behind the block that holds the header and the commit.
    CHECK(first.zero_bytes_written == mib - block_bytes);
    CHECK(first.syncs_issued == 2);
    CHECK(first.syncs_issued == syncs_of_disk(machine) - syncs_before);
    CHECK(first.group_threshold_bytes == 16 * kib);

    // The second one writes the same block again, with DSYNC.
    REQUIRE(machine.append(target, std::string(50, 'b')));
    machine.world.run();
    const log_stats second = target.stats();
    CHECK(second.payload_bytes_appended == 150);
    CHECK(second.bytes_written == 2 * block_bytes);
    CHECK(second.appends_waited == 1);
    CHECK(second.appends_outran_preparation == 1);
    CHECK(second.zero_bytes_written == mib - block_bytes);
    CHECK(second.syncs_issued == 2);
    CHECK(second.groups_in_flight == 0);
    CHECK(second.pending_bytes == 0);
}

TEST_CASE("the counters while a group is in flight and appends wait behind it", "[engine][stats]") {
    constexpr std::uint64_t framed_bytes = kib;
    constexpr std::uint64_t fitting = 10;
    constexpr std::uint64_t waiting = 5;
    engine_world machine;
    log_options options;
    options.record_size_bytes_max = framed_bytes - frame_bytes;
    options.max_pending_bytes = fitting * framed_bytes;
    log target = machine.open(options);
    const std::string record(framed_bytes - frame_bytes, 'r');
    REQUIRE(machine.append(target, record));
    machine.world.run();
    const log_stats before = target.stats();
    CHECK(before.pending_bytes == 0);
    CHECK(before.groups_in_flight == 0);

    std::vector<answer<append_receipt>> answers;
    for (std::uint64_t k = 0; k < fitting + waiting; ++k) {
        answers.push_back(machine.start_append(target, record));
    }
    step_until(machine, [&] { return target.stats().groups_in_flight > 0; });
    const log_stats full = target.stats();
    CHECK(full.groups_in_flight == 1);
    CHECK(full.pending_bytes == fitting * framed_bytes);
    CHECK(full.appends_waiting == waiting);
    CHECK(full.appends_waited == before.appends_waited + waiting);
    CHECK(full.payload_bytes_appended == (1 + fitting) * record.size());
    CHECK(full.records_appended == 1 + fitting);
    CHECK(full.appended_end == log_offset{1 + fitting});
    CHECK(full.durable_end == log_offset{1});

    for (const auto& each : answers) {
        REQUIRE(machine.finish(each));
    }
    const log_stats after = target.stats();
    CHECK(after.groups_in_flight == 0);
    CHECK(after.pending_bytes == 0);
    CHECK(after.appends_waiting == 0);
    CHECK(after.appends_waited == full.appends_waited);
    CHECK(after.payload_bytes_appended == (1 + fitting + waiting) * record.size());
    CHECK(after.durable_end == log_offset{1 + fitting + waiting});
}

TEST_CASE("the threshold is half of what is pending, and a large group is padded",
          "[engine][stats]") {
    engine_world machine;
    log target = machine.open();
    constexpr std::uint64_t framed_bytes = 200 * kib;
    REQUIRE(machine.append(target, std::string(framed_bytes - frame_bytes, 'r')));
    const log_stats now = target.stats();
    CHECK(now.group_threshold_bytes == framed_bytes / 2);
    const commit_facts commit = machine.read_commits(target).at(0);
    CHECK((commit.position_bytes + commit.size_bytes) % block_bytes == 0);
    CHECK(now.bytes_written == block_bytes_of(commit));
    CHECK(now.padding_bytes_written > 0);
    CHECK(now.padding_bytes_written < block_bytes);
    CHECK(now.bytes_written - commit.position_bytes == commit.size_bytes);
}

TEST_CASE("segments, rotations, bytes and syncs of a log that rotates", "[engine][stats]") {
    engine_world machine;
    log_options options;
    options.segment_size_bytes = 64 * kib;
    log target = machine.open(options);
    const std::uint64_t syncs_before = syncs_of_disk(machine);
    for (std::uint64_t k = 0; k < 40; ++k) {
        REQUIRE(machine.append(target, std::string(300 * k, 'r')));
    }
    machine.world.run();
    const log_stats now = target.stats();
    const std::vector<commit_facts> commits = machine.read_commits(target);
    REQUIRE(commits.size() == 40);
    std::uint64_t blocks_bytes = 0;
    std::uint64_t rotations = 0;
    for (std::size_t k = 0; k < commits.size(); ++k) {
        blocks_bytes += block_bytes_of(commits[k]);
        rotations += k > 0 && commits[k].segment != commits[k - 1].segment ? 1U : 0U;
    }
    CHECK(rotations == 3);
    CHECK(now.rotations == rotations);
    CHECK(now.segments == 1 + rotations);
    CHECK(now.segments == segment_files(machine));
    CHECK(now.bytes_written == blocks_bytes);
    CHECK(now.commits_written == commits.size());
    CHECK(now.syncs_issued == syncs_of_disk(machine) - syncs_before);

    REQUIRE(machine.finish(machine.start_close(target)));
    log again = machine.open(options);
    CHECK(again.stats().segments == 1 + rotations);
    CHECK(again.stats().rotations == 0);
    CHECK(again.stats().bytes_written == 0);
}

TEST_CASE("a log is out of space from the first refusal until there is room again",
          "[engine][stats]") {
    engine_world machine;
    log target = machine.open();
    machine.world.set_capacity(machine.world.used_bytes() + 40 * kib);
    const std::string record(8 * kib, 'r');
    REQUIRE(machine.append(target, record));
    bool fits = true;
    while (fits) {
        fits = machine.append(target, record);
    }
    CHECK(target.stats().out_of_space);
    CHECK_FALSE(target.stats().poisoned);
    machine.world.set_capacity(0);
    machine.world.run_for(second_ns);
    REQUIRE(machine.append(target, record));
    CHECK_FALSE(target.stats().out_of_space);
}

TEST_CASE("a visitor is given each counter once, in the order of declaration", "[engine][stats]") {
    log_stats stats;
    // A member that is added does not compile here: it belongs into `visit` too.
    auto& [begin, appended_end, durable_end, records_appended, payload_bytes_appended,
           commits_written, bytes_written, padding_bytes_written, zero_bytes_written, syncs_issued,
           groups_in_flight, group_threshold_bytes, pending_bytes, appends_waiting, appends_waited,
           appends_outran_preparation, segments, rotations, clock_ahead_us, poisoned,
           out_of_space] = stats;
    begin = log_offset{100};
    appended_end = log_offset{101};
    durable_end = log_offset{102};
    std::uint64_t value = 102;
    for (std::uint64_t* each :
         {&records_appended, &payload_bytes_appended, &commits_written, &bytes_written,
          &padding_bytes_written, &zero_bytes_written, &syncs_issued, &groups_in_flight,
          &group_threshold_bytes, &pending_bytes, &appends_waiting, &appends_waited,
          &appends_outran_preparation, &segments, &rotations, &clock_ahead_us}) {
        *each = ++value;
    }
    using visited = std::vector<std::pair<std::string_view, std::uint64_t>>;
    const auto visit = [&] {
        visited seen;
        stats.visit(
            [&](std::string_view name, std::uint64_t each) { seen.emplace_back(name, each); });
        return seen;
    };
    poisoned = true;
    const visited expected{{"begin", 100},
                           {"appended_end", 101},
                           {"durable_end", 102},
                           {"records_appended", 103},
                           {"payload_bytes_appended", 104},
                           {"commits_written", 105},
                           {"bytes_written", 106},
                           {"padding_bytes_written", 107},
                           {"zero_bytes_written", 108},
                           {"syncs_issued", 109},
                           {"groups_in_flight", 110},
                           {"group_threshold_bytes", 111},
                           {"pending_bytes", 112},
                           {"appends_waiting", 113},
                           {"appends_waited", 114},
                           {"appends_outran_preparation", 115},
                           {"segments", 116},
                           {"rotations", 117},
                           {"clock_ahead_us", 118},
                           {"poisoned", 1},
                           {"out_of_space", 0}};
    CHECK(visit() == expected);
    poisoned = false;
    out_of_space = true;
    CHECK(visit().at(19).second == 0);
    CHECK(visit().at(20).second == 1);
}

}  // namespace caisson::test
