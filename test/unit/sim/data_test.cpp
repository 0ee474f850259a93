// What a power cut does to the bytes of files: for each promise, over many seeds, that the loss it
// allows does happen, and that what is promised to stay never goes.

#include "unit/sim/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <functional>
#include <set>

namespace caisson::sim {
namespace {

using view = disk_image::view;

/// A durable file "/log/f" of `blocks` blocks of 1, still open.
struct prepared_file {
    explicit prepared_file(machine& on, std::size_t blocks = 4) : directory(on.root()) {
        file = on.create(*directory, "f");
        on.fill(*file, 1, 0, blocks);
        on.sync(*file);
        on.sync(*directory);
    }
    std::unique_ptr<io::directory> directory;
    std::unique_ptr<io::file> file;
};

/// Runs `script` on a prepared file under 200 seeds, cuts the power, and collects what `look` sees.
std::set<int> after_crashes(const world_options& options,
                            const std::function<void(machine&, io::file&)>& script,
                            const std::function<int(const disk_image&)>& look,
                            std::size_t blocks = 4) {
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        machine machine(seed, options);
        prepared_file prepared(machine, blocks);
        script(machine, *prepared.file);
        machine.world.crash();
        seen.insert(look(machine.world.disk()));
    }
    return seen;
}

int block(const disk_image& disk, std::uint64_t index) {
    return value_of(disk.read_file("/log/f"), index * block_bytes);
}
int length_in_blocks(const disk_image& disk) {
    return static_cast<int>(disk.read_file("/log/f")->size() / block_bytes);
}

TEST_CASE("a plain write may be lost, kept, or torn at sectors until it is synced", "[sim][data]") {
    const auto write = [](machine& on, io::file& file) {
        REQUIRE(on.fill(file, 2, 0) == 4096);
    };
    const auto look = [](const disk_image& disk) {
        return block(disk, 0);
    };
    world_options options = quiet();
    REQUIRE(after_crashes(options, write, look) == std::set{-1, 1, 2});
    options.sector_size_bytes = 4096;  // nothing is torn inside a sector
    REQUIRE(after_crashes(options, write, look) == std::set{1, 2});
    const auto and_sync = [&](machine& on, io::file& file) {
        write(on, file);
        REQUIRE(on.sync(file) == 0);
    };
    REQUIRE(after_crashes(options, and_sync, look) == std::set{2});
}

TEST_CASE("sectors survive in any combination", "[sim][data]") {
    world_options options = quiet();
    options.data = survival::each;
    const auto write = [](machine& on, io::file& file) {
        on.fill(file, 2, 0);
    };
    const auto pattern = [](const disk_image& disk) {
        int bits = 0;
        for (std::uint64_t sector = 0; sector < 8; ++sector) {
            bits |= value_of(disk.read_file("/log/f"), sector * 512, 512) == 2 ? 1 << sector : 0;
        }
        return bits;
    };
    REQUIRE(after_crashes(options, write, pattern).size() > 100);
}

TEST_CASE("survival modes keep what their names say, in the order of writing", "[sim][data]") {
    world_options options = quiet();
    options.sector_size_bytes = 4096;
    const auto write = [](machine& on, io::file& file) {
        for (std::uint64_t i = 0; i < 3; ++i) {
            on.fill(file, 2, i * block_bytes);
        }
    };
    const auto kept = [](const disk_image& disk) {
        return (block(disk, 0) == 2 ? 100 : 0) + (block(disk, 1) == 2 ? 10 : 0) +
               (block(disk, 2) == 2 ? 1 : 0);
    };
    options.data = survival::nothing;
    REQUIRE(after_crashes(options, write, kept) == std::set{0});
    options.data = survival::everything;
    REQUIRE(after_crashes(options, write, kept) == std::set{111});
    options.data = survival::prefix;
    REQUIRE(after_crashes(options, write, kept) == std::set{0, 100, 110, 111});
    options.data = survival::suffix;
    REQUIRE(after_crashes(options, write, kept) == std::set{0, 1, 11, 111});
}

TEST_CASE("an earlier unsynced version of a sector may come out instead of the latest",
          "[sim][data]") {
    const auto write = [](machine& on, io::file& file) {
        on.fill(file, 2, 0);
        on.fill(file, 3, 0);
    };
    world_options options = quiet();
    options.sector_size_bytes = 4096;
    REQUIRE(after_crashes(options, write, [](const auto& disk) { return block(disk, 0); }) ==
            std::set{1, 2, 3});
}

TEST_CASE("a dsync write makes itself durable and nothing else", "[sim][data]") {
    const auto write = [](machine& on, io::file& file) {
        on.fill(file, 2, 0);
        on.fill(file, 3, block_bytes, 1, io::write_mode::dsync);
    };
    REQUIRE(after_crashes(quiet(), write, [](const auto& disk) { return block(disk, 1); }) ==
            std::set{3});
    REQUIRE(after_crashes(quiet(), write, [](const auto& disk) { return block(disk, 0); }) ==
            std::set{-1, 1, 2});
}

TEST_CASE("an older unsynced version never overtakes a dsync write", "[sim][data]") {
    const auto write = [](machine& on, io::file& file) {
        on.fill(file, 2, 0, 3);
        on.fill(file, 3, block_bytes, 1, io::write_mode::dsync);
    };
    REQUIRE(after_crashes(quiet(), write, [](const auto& disk) { return block(disk, 1); }) ==
            std::set{3});
}

TEST_CASE("a dsync write beyond the end makes the length durable that it needs", "[sim][data]") {
    const auto write = [](machine& on, io::file& file) {
        on.fill(file, 3, 9 * block_bytes, 1, io::write_mode::dsync);
    };
    REQUIRE(after_crashes(quiet(), write, [](const auto& disk) { return block(disk, 9); }) ==
            std::set{3});
    REQUIRE(after_crashes(quiet(), write, length_in_blocks) == std::set{10});
}

TEST_CASE("a sync covers only writes that had completed when it was called", "[sim][data]") {
    const auto race = [](machine& on, io::file& file) {
        const block_buffer two(block_bytes, 2);
        observed_operation write;
        observed_operation sync;
        file.start_write(write, two.bytes(), 0, io::write_mode::plain);
        file.start_sync(sync);
        while (!write.is_done || !sync.is_done) {
            on.world.step();
        }
        REQUIRE(sync.outcome == 0);
    };
    REQUIRE(after_crashes(quiet(), race, [](const auto& disk) { return block(disk, 0); }) ==
            std::set{-1, 1, 2});
}

TEST_CASE("a write in flight at the power cut lands in any part", "[sim][data]") {
    // The buffers die with the power: nothing of them may be touched later.
    const auto start = [](std::uint64_t seed, io::write_mode mode) {
        world_options options = quiet();
        options.data = survival::each;
        machine machine(seed, options);
        prepared_file prepared(machine);
        observed_operation op;
        auto two = std::make_unique<block_buffer>(block_bytes, 2);
        prepared.file->start_write(op, two->bytes(), 0, mode);
        machine.world.crash();
        two.reset();
        REQUIRE(op.completions == 1);
        REQUIRE(op.outcome == io::operation::abandoned);
        return block(machine.world.disk(), 0);
    };
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        seen.insert(start(seed, seed % 2 == 0 ? io::write_mode::plain : io::write_mode::dsync));
    }
    REQUIRE(seen.contains(-1));
}

TEST_CASE("length and content survive independently; a length without data reads as zeros",
          "[sim][data]") {
    const auto append = [](machine& on, io::file& file) {
        on.fill(file, 2, 4 * block_bytes, 2);
    };
    world_options options = quiet();
    options.sector_size_bytes = 4096;
    REQUIRE(after_crashes(options, append, length_in_blocks) == std::set{4, 6});
    REQUIRE(after_crashes(options, append, [](const auto& disk) { return block(disk, 5); }) ==
            std::set{-2, 0, 2});
    const auto and_sync = [&](machine& on, io::file& file) {
        append(on, file);
        on.sync(file);
    };
    REQUIRE(after_crashes(options, and_sync, [](const auto& disk) { return block(disk, 5); }) ==
            std::set{2});
}

TEST_CASE("with stale_garbage a kept length over lost data may show garbage", "[sim][data]") {
    world_options options = quiet();
    options.stale_garbage = true;
    options.sector_size_bytes = 4096;
    const auto append = [](machine& on, io::file& file) {
        on.fill(file, 2, 4 * block_bytes, 2);
    };
    REQUIRE(after_crashes(options, append, [](const auto& disk) { return block(disk, 5); }) ==
            std::set{-2, -1, 0, 2});
    // What was durable before stays whole.
    REQUIRE(after_crashes(options, append, [](const auto& disk) { return block(disk, 3); }) ==
            std::set{1});
}

TEST_CASE("an unsynced cut may be undone, even under later data at the same place", "[sim][data]") {
    const auto cut = [](machine& on, io::file& file) {
        REQUIRE(on.truncate(file, block_bytes) == 0);
    };
    REQUIRE(after_crashes(quiet(), cut, length_in_blocks) == std::set{1, 4});
    const auto cut_and_write = [&](machine& on, io::file& file) {
        cut(on, file);
        on.fill(file, 3, block_bytes, 1, io::write_mode::dsync);
    };
    REQUIRE(after_crashes(quiet(), cut_and_write, length_in_blocks) == std::set{2, 4});
    REQUIRE(after_crashes(quiet(), cut_and_write,
                          [](const auto& disk) { return block(disk, 1); }) == std::set{3});
    // The old bytes behind the new ones: what an unsynced cut resurrects.
    REQUIRE(after_crashes(quiet(), cut_and_write,
                          [](const auto& disk) { return block(disk, 2); }) == std::set{-2, 1});
    const auto synced_cut = [&](machine& on, io::file& file) {
        cut(on, file);
        on.sync(file);
        on.fill(file, 3, 2 * block_bytes, 1, io::write_mode::dsync);
    };
    REQUIRE(after_crashes(quiet(), synced_cut, length_in_blocks) == std::set{3});
    REQUIRE(after_crashes(quiet(), synced_cut, [](const auto& disk) { return block(disk, 1); }) ==
            std::set{0});
}

TEST_CASE("after a cut the bytes behind it read as zeros when the file grows again",
          "[sim][data]") {
    machine machine;
    prepared_file prepared(machine);
    machine.truncate(*prepared.file, 100);
    machine.truncate(*prepared.file, 4 * block_bytes);
    const auto bytes = machine.world.disk().read_file("/log/f");
    REQUIRE((*bytes)[99] == std::byte{1});
    REQUIRE(value_of(bytes, 100, 3 * block_bytes) == 0);
}

TEST_CASE("reserved space is a length that reads as zeros until data is synced into it",
          "[sim][data]") {
    const auto reserve = [](machine& on, io::file& file) {
        REQUIRE(on.allocate(file, 4 * block_bytes, 8 * block_bytes) == 0);
    };
    REQUIRE(after_crashes(quiet(), reserve, length_in_blocks) == std::set{4, 8});
    const auto and_sync = [&](machine& on, io::file& file) {
        reserve(on, file);
        on.sync(file);
        on.fill(file, 2, 4 * block_bytes, 4);  // direct, unsynced: not durable
    };
    REQUIRE(after_crashes(quiet(), and_sync, length_in_blocks) == std::set{8});
    REQUIRE(after_crashes(quiet(), and_sync, [](const auto& disk) { return block(disk, 6); }) ==
            std::set{-1, 0, 2});
}

TEST_CASE("a failed sync reports once, drops the data, and the next one succeeds without it",
          "[sim][data]") {
    machine machine;
    prepared_file prepared(machine);
    const auto cached = machine.open(*prepared.directory, "f", io::open_mode::read);
    machine.fill(*prepared.file, 2, 0);
    machine.world.inject(fault(operation_kind::sync));
    REQUIRE(machine.sync(*prepared.file) == -EIO);
    REQUIRE(machine.sync(*prepared.file) == 0);
    // direct: what the disk has
    REQUIRE(machine.read(*prepared.file, 0, block_bytes)[0] == std::byte{1});
    REQUIRE(machine.read(*cached, 0, block_bytes)[0] == std::byte{2});  // cached: the lie
    SECTION("which a crash ends") {
        machine.world.crash(survival::everything, name_survival::prefix);
        REQUIRE(block(machine.world.disk(), 0) == 1);
    }
    SECTION("which a new write ends") {
        machine.fill(*prepared.file, 3, 0);
        REQUIRE(machine.read(*cached, 0, block_bytes)[0] == std::byte{3});
    }
}

TEST_CASE("a failed sync keeps data that it was not to cover, and the file's length",
          "[sim][data]") {
    machine machine;
    prepared_file prepared(machine);
    machine.fill(*prepared.file, 2, 5 * block_bytes);
    machine.world.inject(fault(operation_kind::sync));
    const block_buffer three(block_bytes, 3);
    observed_operation sync;
    observed_operation write;
    prepared.file->start_sync(sync);
    prepared.file->start_write(write, three.bytes(), 0, io::write_mode::plain);
    machine.world.run();
    REQUIRE(sync.outcome == -EIO);
    REQUIRE(machine.status(*prepared.file).length_bytes == 6 * block_bytes);
    REQUIRE(machine.sync(*prepared.file) == 0);
    machine.world.crash(survival::nothing, name_survival::prefix);
    REQUIRE(block(machine.world.disk(), 0) == 3);
    REQUIRE(block(machine.world.disk(), 5) == 0);
}

TEST_CASE("a lying flush makes nothing durable", "[sim][data][control]") {
    world_options options = quiet();
    options.lying_flush = true;
    machine machine(1, options);
    const auto root = machine.root();
    const auto file = machine.create(*root, "f");
    REQUIRE(machine.fill(*file, 2, 0, 1, io::write_mode::dsync) == 4096);
    REQUIRE(machine.sync(*file) == 0);
    REQUIRE(machine.sync(*root) == 0);
    machine.world.crash(survival::nothing, name_survival::nothing);
    REQUIRE_FALSE(machine.world.disk().exists("/log/f"));
}

TEST_CASE("garbling in flight touches only bytes that the write was to change", "[sim][data]") {
    world_options options = quiet();
    options.garble_in_flight = true;
    options.data = survival::everything;
    int garbled = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        machine machine(seed, options);
        prepared_file prepared(machine);
        // The same first 100 bytes, the rest new: a tail block written again with more in it.
        const block_buffer rewritten(block_bytes, 1);
        std::fill(rewritten.bytes().begin() + 100, rewritten.bytes().end(), std::byte{2});
        observed_operation op;
        prepared.file->start_write(op, rewritten.bytes(), 0, io::write_mode::dsync);
        machine.world.crash();
        const auto bytes = machine.world.disk().read_file("/log/f");
        REQUIRE(value_of(bytes, 0, 100) == 1);
        REQUIRE(value_of(bytes, block_bytes, 3 * block_bytes) == 1);
        garbled += value_of(bytes, 100, block_bytes - 100) == 2 ? 0 : 1;
    }
    REQUIRE(garbled > 20);
}

TEST_CASE("rewrite_may_garble takes what was there before: the control for packed commits",
          "[sim][data][control]") {
    world_options options = quiet();
    const auto rewrite = [](machine& on, io::file& file) {
        on.fill(file, 1, 0);
    };
    const auto look = [](const disk_image& disk) {
        return block(disk, 0);
    };
    REQUIRE(after_crashes(options, rewrite, look) == std::set{1});
    options.rewrite_may_garble = true;
    REQUIRE(after_crashes(options, rewrite, look) == std::set{-1, 1});
}

TEST_CASE("two writes in flight to one sector end in either order and are counted", "[sim][data]") {
    std::set<int> winners;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        const block_buffer two(block_bytes, 2);
        const block_buffer three(block_bytes, 3);
        observed_operation first;
        observed_operation second;
        prepared.file->start_write(first, two.bytes(), 0, io::write_mode::plain);
        REQUIRE(machine.world.counters().races == 0);
        prepared.file->start_write(second, three.bytes(), 0, io::write_mode::plain);
        REQUIRE(machine.world.counters().races == 1);
        machine.world.run();
        winners.insert(block(machine.world.disk(), 0));
    }
    REQUIRE(winners == std::set{-1, 2, 3});
}

TEST_CASE("writes beside each other complete in any order and are no race", "[sim][data]") {
    std::set<bool> first_was_first;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        const block_buffer two(block_bytes, 2);
        observed_operation first;
        observed_operation second;
        prepared.file->start_write(first, two.bytes(), 0, io::write_mode::plain);
        prepared.file->start_write(second, two.bytes(), block_bytes, io::write_mode::plain);
        while (!first.is_done && !second.is_done) {
            machine.world.step();
        }
        first_was_first.insert(first.is_done);
        machine.world.run();
        REQUIRE(machine.world.counters().races == 0);
    }
    REQUIRE(first_was_first.size() == 2);
}

TEST_CASE("a read beside a write sees any mixture, and what it saw stays", "[sim][data]") {
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        const block_buffer two(block_bytes, 2);
        observed_operation write;
        prepared.file->start_write(write, two.bytes(), 0, io::write_mode::plain);
        const auto before = machine.read(*prepared.file, 0, block_bytes);
        const auto after = machine.read(*prepared.file, 0, block_bytes);
        for (std::size_t i = 0; i < block_bytes; ++i) {
            REQUIRE(before[i] <= after[i]);
        }
        seen.insert(value_of(before, 0));
        machine.world.run();
        REQUIRE(block(machine.world.disk(), 0) == 2);
        // Completed now: a sync covers all of it, also what had become visible early.
        machine.sync(*prepared.file);
        machine.world.crash(survival::nothing, name_survival::nothing);
        REQUIRE(block(machine.world.disk(), 0) == 2);
    }
    REQUIRE(seen == std::set{-1, 1, 2});
}

TEST_CASE("a buffer that changes while its write is in flight is counted", "[sim][data]") {
    machine machine;
    prepared_file prepared(machine);
    const block_buffer buffer(block_bytes, 2);
    observed_operation op;
    prepared.file->start_write(op, buffer.bytes(), 0, io::write_mode::plain);
    buffer.bytes()[5] = std::byte{9};
    machine.world.run();
    REQUIRE(machine.world.counters().buffers_changed == 1);
}

TEST_CASE("unaligned writes through the page cache keep the rest of their sectors", "[sim][data]") {
    machine machine;
    const auto root = machine.root();
    const auto file = machine.open(*root, "small", io::open_mode::create);
    const std::vector<std::byte> ones(700, std::byte{1});
    const std::vector<std::byte> twos(10, std::byte{2});
    REQUIRE(machine.write(*file, ones, 0) == 700);
    REQUIRE(machine.write(*file, twos, 300) == 10);
    const auto bytes = machine.world.disk().read_file("/log/small");
    REQUIRE(bytes->size() == 700);
    REQUIRE(value_of(bytes, 0, 300) == 1);
    REQUIRE(value_of(bytes, 300, 10) == 2);
    REQUIRE(value_of(bytes, 310, 390) == 1);
}

TEST_CASE("one history has many crash states: a snapshot is crashed again and again",
          "[sim][data][image]") {
    machine machine;
    prepared_file prepared(machine);
    const block_buffer two(2 * block_bytes, 2);
    observed_operation op;
    prepared.file->start_write(op, two.bytes(), 0, io::write_mode::plain);
    const disk_image at_this_moment = machine.world.snapshot();
    REQUIRE(at_this_moment.changes_unsynced() > 0);
    std::set<std::uint64_t> states;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        disk_image crashed = at_this_moment;
        crashed.crash(seed, survival::each, name_survival::subset);
        REQUIRE(crashed.changes_unsynced() == 0);
        states.insert(crashed.durable_hash());
    }
    REQUIRE(states.size() > 90);
    machine.world.run();
    REQUIRE(block(machine.world.disk(), 0) == 2);  // the world itself went on
    machine.world.crash();
    disk_image kept = at_this_moment;
    kept.settle();
    machine.world.replace_disk(std::move(kept));
    REQUIRE(block(machine.world.disk(), 1) == 2);
}

}  // namespace
}  // namespace caisson::sim
