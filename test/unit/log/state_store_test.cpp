// STATE's two slots on the simulated disk: what is written where, what a torn, rotten or unreadable
// slot does.

#include "log/state_store.hpp"

#include "io/await.hpp"
#include "support/recovery_rig.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

using log_detail::state_store;

/// A log directory with STATE, and the store on it.
class state_rig : public recovery_rig {
public:
    explicit state_rig(std::uint64_t seed = 1, const sim::world_options& options = calm())
        : recovery_rig(seed, options) {
        log_.commits(2);
        put(log_);
        open_again();
    }

    void open_again() {
        root = std::move(*run_in(world, io::open_root(world.environment().disk, log_path,
                                                      io::root_mode::existing)))
                   .value();
    }

    detailed<std::unique_ptr<state_store>> load() {
        return *run_in(world, state_store::load(*root, false));
    }
    void put_state(const format::log_state& newest, const format::log_state& older) {
        disk().write_file("/log/STATE", state_file(newest, older));
    }
    [[nodiscard]] format::log_state base() const { return log_.running_state(); }

    std::unique_ptr<io::directory> root;

private:
    log_builder log_;
};

detailed<void> store(state_rig& rig, state_store& on, format::log_state changed) {
    return *run_in(rig.world, on.store(std::move(changed)));
}
detailed<void> settle(state_rig& rig, state_store& on, format::log_state changed) {
    return *run_in(rig.world, on.settle(std::move(changed)));
}

TEST_CASE("the newest valid slot counts, whichever it is", "[log][state]") {
    for (const std::uint64_t generation : {8U, 9U}) {
        state_rig rig;
        format::log_state newest = rig.base();
        newest.generation = generation;
        newest.remote_end = log_offset{2};
        format::log_state older = rig.base();
        older.generation = generation - 1;
        rig.put_state(newest, older);
        auto loaded = rig.load();
        REQUIRE(loaded.has_value());
        CHECK(loaded.value()->current() == newest);
        CHECK(loaded.value()->is_settled());
    }
}

TEST_CASE("a store writes one slot, the one that does not count, and is durable", "[log][state]") {
    state_rig rig;
    auto loaded = rig.load();
    REQUIRE(loaded.has_value());
    state_store& on = *loaded.value();
    const auto before = rig.file("STATE");
    format::log_state changed = on.current();
    changed.remote_end = log_offset{1};
    REQUIRE(store(rig, on, changed).has_value());
    CHECK(on.current().remote_end == log_offset{1});
    CHECK(on.current().generation == 9);
    CHECK(rig.disk().changes_unsynced() == 0);
    const auto after = rig.file("STATE");
    CHECK(head(after, 4096) == head(before, 4096));  // generation 8 is in slot 0
    CHECK(after != before);
    CHECK(on.is_settled());
}

TEST_CASE("settling writes both slots, so that losing either one brings nothing back",
          "[log][state]") {
    for (const std::uint64_t lost : {std::uint64_t{0}, std::uint64_t{65'536}}) {
        state_rig rig;
        auto loaded = rig.load();
        REQUIRE(loaded.has_value());
        format::log_state changed = loaded.value()->current();
        changed.epoch = 77;
        REQUIRE(settle(rig, *loaded.value(), changed).has_value());
        CHECK(loaded.value()->current().generation == 10);
        rig.disk().zero("/log/STATE", lost, lost + 4096);
        auto again = rig.load();
        REQUIRE(again.has_value());
        CHECK(again.value()->current().epoch == 77);
        CHECK_FALSE(again.value()->is_settled());
    }
}

TEST_CASE("a power cut at any step of a settling leaves the old or the new fact", "[log][state]") {
    for (std::uint64_t steps = 0; steps < 12; ++steps) {
        for (std::uint64_t seed = 1; seed < 20; ++seed) {
            state_rig rig(seed);
            auto loaded = rig.load();
            REQUIRE(loaded.has_value());
            format::log_state changed = loaded.value()->current();
            changed.epoch = 5;
            const auto settling = start_in(rig.world, loaded.value()->settle(changed));
            for (std::uint64_t i = 0; i < steps; ++i) {
                rig.world.step();
            }
            rig.power_cut();
            rig.open_again();
            auto again = rig.load();
            REQUIRE(again.has_value());
            const std::uint64_t epoch = again.value()->current().epoch;
            CHECK((epoch == 0 || epoch == 5));
        }
    }
}

TEST_CASE("a half-settled fact shows as not settled, a mark in one slot does not", "[log][state]") {
    state_rig rig;
    format::log_state newest = rig.base();
    format::log_state older = newest;
    older.generation = newest.generation - 1;
    older.epoch = newest.epoch + 1;
    rig.put_state(newest, older);
    CHECK_FALSE(rig.load().value()->is_settled());

    older.epoch = newest.epoch;
    format::clean_mark mark;
    mark.length_bytes = 10;
    newest.mark = mark;
    rig.put_state(newest, older);
    CHECK(rig.load().value()->is_settled());  // losing it costs a scan, nothing else

    newest.mark.reset();
    older.mark = mark;
    rig.put_state(newest, older);
    CHECK_FALSE(rig.load().value()->is_settled());  // the dropped mark would come back
}

TEST_CASE("both slots bad, a newer version and a short file each have their error",
          "[log][state]") {
    state_rig rig;
    SECTION("both bad") {
        rig.disk().corrupt("/log/STATE", 100, std::byte{1});
        rig.disk().corrupt("/log/STATE", 65'536 + 100, std::byte{1});
        const auto loaded = rig.load();
        REQUIRE_FALSE(loaded.has_value());
        CHECK(loaded.error().code() == errc::state_damaged);
        CHECK(loaded.error().file() == "/log/STATE");
        CHECK_FALSE(loaded.error().advice().empty());
    }
    SECTION("empty") {
        rig.disk().set_length("/log/STATE", 0);
        const auto loaded = rig.load();
        REQUIRE_FALSE(loaded.has_value());
        CHECK(loaded.error().code() == errc::state_damaged);
    }
    SECTION("one torn") {
        rig.disk().corrupt("/log/STATE", 100, std::byte{1});
        const auto loaded = rig.load();
        REQUIRE(loaded.has_value());
        CHECK_FALSE(loaded.value()->is_settled());
    }
}

TEST_CASE("an unreadable slot is not taken for a torn one", "[log][state]") {
    for (const std::uint64_t bad : {std::uint64_t{0}, std::uint64_t{65'536}}) {
        state_rig rig;
        rig.disk().make_unreadable("/log/STATE", bad, bad + 512);
        const auto loaded = rig.load();
        REQUIRE_FALSE(loaded.has_value());
        CHECK(loaded.error().code() == errc::unreadable);
        CHECK(loaded.error().position_bytes() == bad);
    }
}

TEST_CASE("after a failed write every later one is refused", "[log][state]") {
    for (const bool is_second_write : {false, true}) {
        state_rig rig;
        auto loaded = rig.load();
        REQUIRE(loaded.has_value());
        state_store& on = *loaded.value();
        rig.world.inject(
            sim::fault(sim::operation_kind::write, is_second_write ? 2 : 1).fails_with(EIO));
        format::log_state changed = on.current();
        changed.epoch = 5;
        const auto failed = settle(rig, on, changed);
        REQUIRE_FALSE(failed.has_value());
        CHECK(failed.error().code().value() == EIO);
        CHECK(failed.error().file() == "/log/STATE");
        CHECK(on.is_poisoned());
        const auto refused = store(rig, on, on.current());
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code() == errc::poisoned);
    }
}

TEST_CASE("what a failed sync of STATE dropped is true once it was confirmed", "[log][state]") {
    // Through the page cache the slot still reads as the newest one.
    sim::world_options options = calm();
    options.supports_direct = false;
    for (const bool is_confirmed : {true, false}) {
        state_rig rig(1, options);
        format::log_state newest = rig.base();
        newest.generation += 1;
        newest.epoch = 5;
        const auto bytes = state_file(newest, rig.base());
        {
            const auto file = std::move(*run_in(rig.world, io::open(*rig.root, "STATE",
                                                                    io::open_mode::write_direct)))
                                  .value();
            REQUIRE(
                run_in(rig.world, io::write(*file, bytes, 0, io::write_mode::plain))->has_value());
            rig.world.inject(sim::fault(sim::operation_kind::sync).fails_with(EIO));
            REQUIRE_FALSE(run_in(rig.world, io::sync(*file))->has_value());
        }
        {
            auto shown = rig.load();
            REQUIRE(shown.has_value());
            REQUIRE(shown.value()->current().epoch == 5);
            if (is_confirmed) {
                REQUIRE(run_in(rig.world, shown.value()->confirm())->has_value());
            }
        }
        rig.root.reset();
        rig.power_cut(sim::survival::nothing, sim::name_survival::nothing);
        rig.open_again();
        auto left = rig.load();
        REQUIRE(left.has_value());
        CHECK(left.value()->current().epoch == (is_confirmed ? 5 : 0));
    }
}

}  // namespace
}  // namespace caisson::test
