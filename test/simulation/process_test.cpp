// What a process makes of its log's answers: it excuses only what has a cause in its own life. Here
// the disk is changed behind its back, as an engine with a defect would change it.

#include "simulation/process.hpp"

#include "simulation/swarm.hpp"

#include "base/units.hpp"
#include "format/names.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace caisson::sim {
namespace {

using namespace caisson::literals;
using Catch::Matchers::ContainsSubstring;

swarm small_workload() {
    swarm chosen;
    chosen.writers_max = 3;
    chosen.record_bytes_max = 3'000;
    chosen.batch_records_max = 2;
    chosen.appends_per_writer = 40;
    chosen.options.segment_size_bytes = 64_KiB;
    chosen.options.record_size_bytes_max = 64_KiB;
    return chosen;
}

/// One machine and its log, life after life.
struct stage {
    world machine{7};
    oracle judge;
    swarm chosen = small_workload();
    bool was_refused = false;

    /// A life to the end of its work; then the power goes.
    void live(process_plan plan) {
        {
            process server(machine, judge, chosen, 5, plan);
            while (!server.is_finished() && judge.is_content() && machine.step()) {
            }
            was_refused = server.was_refused();
            machine.crash();
        }
        judge.crashed();
        machine.power_on();
    }

    void destroy_state() {
        const std::string path = std::string(log_path) + "/STATE";
        machine.disk().zero(path, 0, machine.disk().read_file(path)->size());
    }

    /// Zeros behind the newest segment: an unfinished preparation, for recovery to cut.
    void lengthen_the_log() {
        const std::vector<std::string> names = *machine.disk().list(log_path);
        log_offset newest;
        for (const std::string& name : names) {
            const auto known = format::classify(name);
            if (known.role == format::entry_role::segment) {
                newest = std::max(newest, known.begin);
            }
        }
        const std::string path = std::string(log_path) + "/" + format::segment_name(newest);
        machine.disk().set_length(path, machine.disk().read_file(path)->size() + 10'000);
    }
};

TEST_CASE("a log that no longer opens is not excused by a fault of an earlier life",
          "[simulation]") {
    stage played;
    played.live({});
    REQUIRE(played.judge.complaint() == "");
    SECTION("in its own life it may refuse") {
        played.machine.inject(fault(operation_kind::read, 1).fails_with(5).from_then_on());
        played.live({.is_faulty = true});
        CHECK(played.was_refused);
        CHECK(played.judge.complaint() == "");
    }
    SECTION("for good it may not") {
        played.machine.inject(fault(operation_kind::write, 5).fails_with(5).from_then_on());
        played.live({.is_faulty = true});
        played.machine.clear_faults();
        REQUIRE(played.judge.complaint() == "");
        played.destroy_state();
        played.live({.is_faulty = true});
        CHECK(played.was_refused);
        CHECK_THAT(played.judge.complaint(), ContainsSubstring("no fault happened"));
    }
}

TEST_CASE("an append is refused for want of space only where space is limited", "[simulation]") {
    stage played;
    played.machine.set_capacity(100_KiB);
    SECTION("it is") {
        played.live({.is_space_limited = true});
        CHECK(played.judge.complaint() == "");
    }
    SECTION("it is not, so far as this process knows") {
        played.live({});
        CHECK_THAT(played.judge.complaint(), ContainsSubstring("without a cause"));
    }
}

TEST_CASE("a process sees whether a second open found something to do", "[simulation]") {
    stage played;
    played.live({});
    played.live({.only_opens = true});
    SECTION("nothing") {
        played.live({.only_opens = true, .is_second_open = true});
        CHECK(played.judge.complaint() == "");
    }
    SECTION("the first one had left something") {
        played.lengthen_the_log();
        played.live({.only_opens = true, .is_second_open = true});
        CHECK_THAT(played.judge.complaint(), ContainsSubstring("opening a recovered log again"));
    }
}

}  // namespace
}  // namespace caisson::sim
