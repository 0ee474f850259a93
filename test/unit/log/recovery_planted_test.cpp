// With the build option `planted_bugs`: each deliberate bug of recovery shows in a history of a few
// steps. Without the option there is nothing to test here.

#include "base/planted.hpp"

#if defined(CAISSON_PLANTED_BUGS)

#include "io/await.hpp"
#include "support/recovery_rig.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

class with_bug {
public:
    explicit with_bug(planted_bug bug) { planted_bug_active = bug; }
    with_bug(const with_bug&) = delete;
    with_bug& operator=(const with_bug&) = delete;
    ~with_bug() { planted_bug_active = planted_bug::none; }
};

TEST_CASE("planted: zeros over acknowledged data pass as a clean end", "[log][planted]") {
    log_builder log;
    log.commits(3);
    const format::log_state closed = log.closed_state();
    std::fill(log.newest().bytes.begin() + static_cast<std::ptrdiff_t>(log.last().position_bytes),
              log.newest().bytes.end(), std::byte{0});
    recovery_rig rig;
    rig.put(log, closed);
    CHECK_FALSE(rig.open().is_open());
    const with_bug bug(planted_bug::zeros_clean_despite_witness);
    CHECK(rig.open().is_open());
}

TEST_CASE("planted: an unreadable block passes as torn", "[log][planted]") {
    log_builder log;
    log.commits(3);
    recovery_rig rig;
    rig.put(log);
    rig.disk().make_unreadable("/log/00000000000000000000.stdb.log", 0, 512);
    CHECK(rig.open().code() == errc::unreadable);
    const with_bug bug(planted_bug::read_error_taken_for_torn);
    CHECK(rig.open().code() != errc::unreadable);
}

TEST_CASE("planted: a cut, a directory or a settled fact stays unsynced", "[log][planted]") {
    log_builder log;
    log.commits(3);
    log.newest().bytes.resize(log.newest().bytes.size() - 2);
    {
        const with_bug bug(planted_bug::cut_not_synced);
        recovery_rig rig;
        rig.put(log);
        REQUIRE(rig.open().is_open());
        CHECK(rig.disk().changes_unsynced() > 0);
    }
    {
        const with_bug bug(planted_bug::no_directory_sync);
        recovery_rig rig;
        REQUIRE(rig.open().is_open());
        CHECK(rig.disk().changes_unsynced() > 0);
    }
    {
        const with_bug bug(planted_bug::settled_in_one_slot);
        recovery_rig rig;
        rig.put(log);
        rig.disk().corrupt("/log/STATE", 40, std::byte{1});
        open_outcome opened = rig.open();
        REQUIRE(opened.is_open());
        format::log_state changed = opened.log->state->current();
        changed.epoch = 9;
        REQUIRE(run_in(rig.world, opened.log->state->settle(changed)).has_value());
        CHECK_FALSE(opened.log->state->is_settled());
    }
}

TEST_CASE("planted: the name that a killed predecessor gave is not made durable",
          "[log][planted]") {
    log_builder log;
    log.commits(3);
    for (const bool is_planted : {false, true}) {
        recovery_rig rig;
        rig.put(log);
        auto root = run_in(rig.world, io::open_root(rig.world.environment().disk, log_path,
                                                    io::root_mode::existing));
        auto spare = run_in(rig.world, io::open_directory(*root->value(), "spare", true));
        log_builder next = log;
        next.rotate();
        rig.disk().write_file("/log/spare/next", next.newest().bytes);
        REQUIRE(run_in(rig.world, io::rename(*spare->value(), "next", *root->value(),
                                             "00000000000000000003.stdb.log", false))
                    ->has_value());
        const with_bug bug(is_planted ? planted_bug::open_skips_directory_sync : planted_bug::none);
        REQUIRE(rig.open().is_open());
        CHECK((rig.disk().changes_unsynced() > 0) == is_planted);
    }
}

}  // namespace
}  // namespace caisson::test

#endif
