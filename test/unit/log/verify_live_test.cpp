// Verification, views and readers beside a writer in another process, at every moment: whatever
// they meet on the way, nothing is damaged and nothing is left out.

#include "reader_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <string>
#include <utility>

namespace caisson::test {
namespace {

constexpr std::uint64_t prepared_bytes = 32'768;

/// What a writer leaves on the disk, one after the other.
using moments = std::vector<std::function<void(sim::disk_image&)>>;

moments::value_type writes_state(const format::log_state& newest, const format::log_state& older) {
    return [file = state_file(newest, older)](sim::disk_image& disk) {
        disk.write_file(log_path + "/STATE", file);
    };
}
moments::value_type writes_segment(const built_segment& segment, std::uint64_t length_bytes = 0) {
    auto bytes = segment.bytes;
    bytes.resize(std::max<std::uint64_t>(bytes.size(), length_bytes));
    return [path = segment_path(log_path, segment.begin), bytes](sim::disk_image& disk) {
        disk.write_file(path, bytes);
    };
}
moments::value_type removes_segment(log_offset begin) {
    return [path = segment_path(log_path, begin)](sim::disk_image& disk) {
        disk.remove(path);
    };
}

format::log_state with_generation(format::log_state state, std::uint64_t generation) {
    state.generation = generation;
    return state;
}

/// Runs `look` against every pace of the writer: at step `first` of the world its first moment
/// comes, every `pace` steps the next one, until nothing of the look is left after the last.
template <class Look>
void at_every_moment(const moments& before, const moments& meanwhile, Look look) {
    for (const std::uint64_t pace : {0U, 1U, 2U, 5U, 9U}) {
        for (std::uint64_t first = 0;; ++first) {
            reading_world machine;
            machine.disk().make_directory(log_path);
            for (const auto& each : before) {
                each(machine.disk());
            }
            std::size_t done = 0;
            std::uint64_t step = 0;
            const auto go_on = [&] {
                while (done < meanwhile.size() && step >= first + done * pace) {
                    meanwhile[done++](machine.disk());
                }
                ++step;
                return machine.world.step();
            };
            INFO("from step " << first << ", a moment every " << pace);
            look(machine, go_on);
            if (step <= first) {
                break;
            }
        }
    }
}

template <class T, class Start, class GoOn>
result<T> finish_stepping(Start start, GoOn go_on) {
    std::optional<result<T>> outcome;
    start([&outcome](result<T> got) { outcome.emplace(std::move(got)); });
    while (!outcome && go_on()) {
    }
    return std::move(*outcome);
}

/// Verifies at every moment; `is_sound` says what must hold of the report.
void verify_at_every_moment(const moments& before, const moments& meanwhile,
                            const std::function<void(const verify_report&)>& is_sound) {
    at_every_moment(before, meanwhile, [&](reading_world& machine, auto go_on) {
        log_view view = machine.open();
        const auto report = finish_stepping<verify_report>(
            [&](auto token) { view.async_verify({}, std::move(token)); }, go_on);
        REQUIRE(report);
        INFO((report.value().findings.empty() ? std::string()
                                              : report.value().findings[0].found.message()));
        REQUIRE(report.value().verdict != verify_verdict::damaged);
        is_sound(report.value());
    });
}

/// Reads everything at every moment.
void read_at_every_moment(const moments& before, const moments& meanwhile,
                          std::size_t records_min) {
    at_every_moment(before, meanwhile, [&](reading_world& machine, auto go_on) {
        const log_view view = machine.open();
        log_reader reader = view.reader(view.begin());
        std::vector<std::string> got;
        for (;;) {
            const auto batch = finish_stepping<commit_batch>(
                [&](auto token) { reader.async_next(std::move(token)); }, go_on);
            INFO((reader.failure_cause() ? reader.failure_cause()->message() : std::string()));
            REQUIRE(batch);
            if (batch.value().empty()) {
                break;
            }
            for (const auto payload : batch.value()) {
                got.push_back(text_of(payload));
            }
        }
        REQUIRE(got.size() >= records_min);
    });
}

/// A log of one segment and the same log one rotation on.
struct rotation {
    rotation() {
        log.commits(6);
        state_before = with_generation(log.running_state(), 10);
        log.rotate().commits(3);
        state_after = with_generation(log.running_state(), 11);
        older_state = with_generation(state_before, 9);
        before = {writes_segment(log.segments()[0], prepared_bytes),
                  writes_state(state_before, older_state)};
        meanwhile = {writes_segment(log.segments()[0]),
                     writes_segment(log.segments()[1], prepared_bytes),
                     writes_state(state_after, state_before)};
    }
    log_builder log;
    format::log_state state_before;
    format::log_state older_state;
    format::log_state state_after;
    moments before;
    moments meanwhile;
};

TEST_CASE("a rotation at any moment is no damage to a verification", "[log][verify][live]") {
    // The length that was read before the cut, the listing before the new name, the STATE before
    // the listing.
    const rotation live;
    verify_at_every_moment(live.before, live.meanwhile, [](const verify_report& report) {
        CHECK(report.findings.empty());
        CHECK(report.records >= 6);
    });
    read_at_every_moment(live.before, live.meanwhile, 6);
}

TEST_CASE("a commit with a proof behind it is no damage where it was not there yet",
          "[log][verify][live]") {
    // Two groups side by side: the second lands first, then the first, then a third one whose
    // trailer says that both were acknowledged.
    log_builder log;
    log.commits(2);
    const format::log_state state = log.running_state();
    const built_segment first = log.newest();
    log.set_durable_end(log.next()).commits(2);
    const built_segment both = log.newest();
    built_segment gap = both;
    const built_commit missing = both.commits[2];
    std::fill_n(gap.bytes.begin() + static_cast<std::ptrdiff_t>(missing.position_bytes),
                missing.size_bytes, std::byte{0});
    log.clear_durable_end().commits(1);
    const moments before = {writes_segment(first, prepared_bytes),
                            writes_state(state, with_generation(state, state.generation - 1))};
    const moments meanwhile = {writes_segment(gap, prepared_bytes),
                               writes_segment(both, prepared_bytes),
                               writes_segment(log.newest(), prepared_bytes)};
    verify_at_every_moment(before, meanwhile, [](const verify_report&) {});
    read_at_every_moment(before, meanwhile, 2);
}

TEST_CASE("a log that is opened, grown and closed under a verification is not held against its "
          "new mark",
          "[log][verify][live]") {
    log_builder log;
    log.commits(3);
    const format::log_state closed = with_generation(log.closed_state(), 11);
    const format::log_state older = with_generation(log.running_state(), 10);
    const format::log_state dropped = with_generation(log.running_state(), 12);
    const format::log_state settled = with_generation(log.running_state(), 13);
    const moments before = {writes_segment(log.newest()), writes_state(closed, older)};
    log.commits(4);
    const format::log_state closed_again = with_generation(log.closed_state(), 14);
    const moments meanwhile = {
        writes_state(dropped, closed),
        writes_state(settled, dropped),
        writes_segment(log.newest(), prepared_bytes),
        writes_segment(log.newest()),
        writes_state(closed_again, settled),
    };
    verify_at_every_moment(before, meanwhile, [](const verify_report& report) {
        CHECK(report.findings.empty());
        CHECK(report.records >= 3);
    });
    read_at_every_moment(before, meanwhile, 3);
}

TEST_CASE("a slot of STATE that is being written is no damage, whatever the other one says",
          "[log][verify][live]") {
    log_builder log;
    log.commits(3);
    const format::log_state closed = with_generation(log.closed_state(), 11);
    const format::log_state older = with_generation(log.running_state(), 10);
    const format::log_state dropped = with_generation(log.running_state(), 12);
    auto torn = state_file(closed, older);
    const auto next = state_file(closed, dropped);
    std::copy_n(next.begin(), 512, torn.begin());  // one sector of the next state
    const moments before = {writes_segment(log.newest()), writes_state(closed, older)};
    const moments meanwhile = {[torn](sim::disk_image& disk) {
        disk.write_file(log_path + "/STATE", torn);
    }};
    verify_at_every_moment(before, meanwhile, [](const verify_report&) {});
    SECTION("and that is what a crash leaves, too") {
        reading_world machine;
        log.write_to(machine.disk(), log_path, closed);
        meanwhile[0](machine.disk());
        CHECK(machine.verify().verdict == verify_verdict::torn_tail);
    }
}

TEST_CASE("a view opens a log whose newest segment is purged before it is looked at",
          "[log][view][live]") {
    log_builder log;
    log.commits(3);
    const format::log_state state = with_generation(log.running_state(), 10);
    const moments before = {writes_segment(log.segments()[0]),
                            writes_state(state, with_generation(state, 9))};
    log.rotate().commits(3);
    const format::log_state rotated = with_generation(log.running_state(), 11);
    format::log_state purged = with_generation(rotated, 12);
    purged.purged_before = log_offset{3};
    const moments meanwhile = {writes_segment(log.segments()[1]), writes_state(rotated, state),
                               writes_state(purged, rotated), removes_segment(log_offset{0})};
    at_every_moment(before, meanwhile, [](reading_world& machine, auto go_on) {
        std::optional<detailed<std::shared_ptr<log_detail::view_core>>> opened;
        machine.start_opening(opened);
        while (!opened && go_on()) {
        }
        INFO((*opened ? std::string() : opened->error().message()));
        REQUIRE(*opened);
        const log_view view(std::move(*opened).value());
        CHECK(view.facts().tail == tail_state::clean);
        CHECK(view.end() >= log_offset{3});
    });
}

TEST_CASE("a purge under a verification hides neither what is left nor is it damage",
          "[log][verify][live]") {
    log_builder log;
    log.commits(3).rotate().commits(3).rotate().commits(3).rotate().commits(3);
    const format::log_state state = with_generation(log.running_state(), 10);
    format::log_state purged = with_generation(state, 11);
    purged.purged_before = log_offset{6};
    format::log_state settled = with_generation(purged, 12);
    moments before;
    for (const built_segment& segment : log.segments()) {
        before.push_back(writes_segment(segment));
    }
    before.push_back(writes_state(state, with_generation(state, 9)));
    const moments meanwhile = {writes_state(purged, state), writes_state(settled, purged),
                               removes_segment(log_offset{0}), removes_segment(log_offset{3})};
    verify_at_every_moment(before, meanwhile, [](const verify_report& report) {
        CHECK(report.findings.empty());
        CHECK(report.end == log_offset{12});
        CHECK(report.records >= 6);
    });
}

}  // namespace
}  // namespace caisson::test
