// How many groups are in flight at once: as many as the load asks for, one for a lone writer.

#include "engine_world.hpp"

#include "log/group_plan.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace caisson::test {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t groups_max = log_detail::groups_in_flight_max;

/// Writers that each append again as soon as they are answered, and what was in flight meanwhile.
class busy_writers {
public:
    busy_writers(engine_world& machine, log& to, std::size_t record_bytes)
        : machine_(machine), to_(to), record_(record_bytes, 'r') {}

    void append(std::uint64_t writers, std::uint64_t records) {
        records_left_ = records;
        for (std::uint64_t k = 0; k < writers; ++k) {
            append_next();
        }
        while (appends_in_flight_ > 0) {
            const std::uint64_t groups = to_.stats().groups_in_flight;
            REQUIRE(groups <= groups_max);
            const std::uint64_t before_ns = machine_.world.now_ns();
            REQUIRE(machine_.world.step());
            lasted_ns_[groups] += machine_.world.now_ns() - before_ns;
        }
        REQUIRE(failures_ == 0);
    }

    /// The most that were in flight for more than a moment.
    [[nodiscard]] std::size_t groups_at_most() const {
        std::size_t most = groups_max;
        while (most > 0 && lasted_ns_[most] == 0) {
            --most;
        }
        return most;
    }
    /// The part of the time with at least so many in flight, in percent.
    [[nodiscard]] std::uint64_t percent_with(std::size_t groups) const {
        std::uint64_t all_ns = 0;
        std::uint64_t with_ns = 0;
        for (std::size_t k = 0; k <= groups_max; ++k) {
            all_ns += lasted_ns_[k];
            with_ns += k >= groups ? lasted_ns_[k] : 0;
        }
        return 100 * with_ns / std::max<std::uint64_t>(all_ns, 1);
    }

private:
    void append_next() {
        if (records_left_ == 0) {
            return;
        }
        --records_left_;
        ++appends_in_flight_;
        to_.async_append(net::buffer(record_), [this](result<append_receipt> outcome) {
            --appends_in_flight_;
            failures_ += outcome ? 0U : 1U;
            append_next();
        });
    }

    engine_world& machine_;
    log& to_;
    const std::string record_;
    std::uint64_t records_left_ = 0;
    std::uint64_t appends_in_flight_ = 0;
    std::uint64_t failures_ = 0;
    std::array<std::uint64_t, groups_max + 1> lasted_ns_{};
};

}  // namespace

TEST_CASE("with enough appends in flight two groups are in flight at once, with one writer one",
          "[engine][pipeline]") {
    struct load {
        std::uint64_t writers;
        std::size_t record_bytes;
        std::size_t groups;
        std::uint64_t percent_min;  ///< of the time with so many
    };
    for (const load& under : {
             load{1, 100, 1, 99},
             load{1, 200 * kib, 1, 99},  // large enough for company, but there is none
             load{8, kib, 1, 99},        // too little to be worth two
             load{256, kib, 2, 60},      // each half of what is pending
             load{64, 16 * kib, 2, 40},  // at the largest threshold
             load{512, 16 * kib, 4, 1},  // beyond it: as many as may be, but for waits for space
         }) {
        engine_world machine;
        log target = machine.open();
        busy_writers first(machine, target, under.record_bytes);
        first.append(under.writers, 5 * under.writers);  // the threshold finds its place
        busy_writers writers(machine, target, under.record_bytes);
        writers.append(under.writers, 15 * under.writers);
        CAPTURE(under.writers, under.record_bytes, target.stats().group_threshold_bytes);
        CHECK(writers.groups_at_most() == under.groups);
        CHECK(writers.percent_with(under.groups) >= under.percent_min);
        CHECK(target.durable_end() == log_offset{20 * under.writers});
    }
}

TEST_CASE("groups that are written beside each other share a sync", "[engine][pipeline][sync]") {
    // Large groups, two at a time, into space that is reserved and not zero-written.
    engine_world machine;
    log target = machine.open();
    busy_writers(machine, target, 16 * kib).append(64, 5 * 64);
    const log_stats before = target.stats();
    busy_writers(machine, target, 16 * kib).append(64, 50 * 64);
    const log_stats after = target.stats();
    const std::uint64_t commits = after.commits_written - before.commits_written;
    const std::uint64_t syncs = after.syncs_issued - before.syncs_issued;
    CAPTURE(commits, syncs);
    CHECK(after.appends_outran_preparation - before.appends_outran_preparation == 50 * 64);
    CHECK(syncs > 0);
    CHECK(10 * commits >= 18 * syncs);
    CHECK(machine.world.counters().overlapping_syncs == 0);
}

}  // namespace caisson::test
