// Injected faults: each does what its name says, hits the operation it is meant for, and no other.

#include "unit/sim/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cerrno>
#include <set>

namespace caisson::sim {
namespace {

struct prepared_file {
    explicit prepared_file(machine& on) : directory(on.root()), file(on.create(*directory, "f")) {
        on.fill(*file, 1, 0, 4);
        on.sync(*file);
        on.sync(*directory);
    }
    std::unique_ptr<io::directory> directory;
    std::unique_ptr<io::file> file;
};

TEST_CASE("a fault hits the Nth operation of its kind, once", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.world.inject(fault(operation_kind::write, 3).fails_with(ENOSPC));
    REQUIRE(machine.fill(*prepared.file, 2, 0) == 4096);
    REQUIRE(machine.sync(*prepared.file) == 0);  // another kind does not count
    REQUIRE(machine.fill(*prepared.file, 2, 0) == 4096);
    REQUIRE(machine.fill(*prepared.file, 2, 0) == -ENOSPC);
    REQUIRE(machine.fill(*prepared.file, 2, 0) == 4096);
    REQUIRE(machine.world.counters().faults == 1);
}

TEST_CASE("every kind of operation can be made to fail", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    io::directory& in = *prepared.directory;
    io::file& file = *prepared.file;
    const auto fails = [&](operation_kind kind, auto call) {
        machine.world.inject(fault(kind).fails_with(EACCES));
        const std::int64_t failed = call();
        const std::int64_t again = call();
        return failed == -EACCES && again != -EACCES;
    };
    const auto outcome_of = [&](auto call) {
        return [&machine, call] {
            call();
            return machine.last;
        };
    };
    CHECK(fails(operation_kind::open_root, outcome_of([&] { machine.root(); })));
    CHECK(fails(operation_kind::open_directory, outcome_of([&] { machine.below(in, "sub"); })));
    CHECK(fails(operation_kind::list, outcome_of([&] { machine.list(in); })));
    CHECK(fails(operation_kind::open,
                outcome_of([&] { machine.open(in, "f", io::open_mode::read); })));
    CHECK(fails(operation_kind::create, outcome_of([&] { machine.create(in, "g"); })));
    CHECK(fails(operation_kind::rename, [&] { return machine.rename(in, "g", in, "h"); }));
    CHECK(fails(operation_kind::unlink, [&] { return machine.unlink(in, "h"); }));
    CHECK(fails(operation_kind::directory_sync, [&] { return machine.sync(in); }));
    CHECK(fails(operation_kind::lock, outcome_of([&] { machine.lock(in); })));
    CHECK(fails(operation_kind::read, outcome_of([&] { machine.read(file, 0, block_bytes); })));
    CHECK(fails(operation_kind::write, [&] { return machine.fill(file, 1, 0); }));
    CHECK(fails(operation_kind::sync, [&] { return machine.sync(file); }));
    CHECK(fails(operation_kind::truncate, [&] { return machine.truncate(file, 100); }));
    CHECK(fails(operation_kind::allocate, [&] { return machine.allocate(file, 0, block_bytes); }));
    CHECK(fails(operation_kind::status, outcome_of([&] { machine.status(file); })));
    CHECK(fails(operation_kind::any, [&] { return machine.sync(in); }));
}

TEST_CASE("a fault may be bound to a name and may last until it is cleared", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    const auto other = machine.create(*prepared.directory, "other");
    machine.world.inject(fault(operation_kind::write).on("other").from_then_on());
    REQUIRE(machine.fill(*prepared.file, 2, 0) == 4096);
    REQUIRE(machine.fill(*other, 2, 0) == -EIO);
    REQUIRE(machine.fill(*other, 2, 0) == -EIO);
    machine.world.clear_faults();
    REQUIRE(machine.fill(*other, 2, 0) == 4096);
}

TEST_CASE("a write that fails with EIO may have landed in part", "[sim][faults]") {
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        machine.world.inject(fault(operation_kind::write));
        REQUIRE(machine.fill(*prepared.file, 2, 0, 1, io::write_mode::dsync) == -EIO);
        seen.insert(value_of(machine.world.disk().read_file("/log/f"), 0));
    }
    REQUIRE(seen == std::set{-1, 1, 2});
}

TEST_CASE("short transfers move whole blocks on direct files and the rest can follow",
          "[sim][faults]") {
    std::set<std::int64_t> counts;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        machine.world.inject(fault(operation_kind::write).does(fault::effect::short_count));
        const std::int64_t wrote = machine.fill(*prepared.file, 2, 0, 4);
        counts.insert(wrote);
        const auto bytes = machine.world.disk().read_file("/log/f");
        REQUIRE(value_of(bytes, 0, static_cast<std::size_t>(wrote)) == 2);
        REQUIRE(value_of(bytes, static_cast<std::size_t>(wrote),
                         4 * block_bytes - static_cast<std::size_t>(wrote)) == 1);
        machine.world.inject(fault(operation_kind::read).does(fault::effect::short_count));
        const auto read = machine.read(*prepared.file, 0, 4 * block_bytes);
        REQUIRE(read.size() < 4 * block_bytes);
        REQUIRE(read.size() % block_bytes == 0);
    }
    REQUIRE(counts == std::set<std::int64_t>{4096, 8192, 12288});
}

TEST_CASE("a stuck operation never completes, cancelled or not, until the life ends",
          "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.world.inject(fault(operation_kind::write).does(fault::effect::stuck));
    observed_operation op;
    const block_buffer buffer(block_bytes, 2);
    prepared.file->start_write(op, buffer.bytes(), 0, io::write_mode::plain);
    machine.world.environment().disk.cancel(op);
    machine.world.run();
    REQUIRE_FALSE(op.is_done);
    REQUIRE(machine.world.environment().disk.operations_in_flight() == 1);
    machine.world.run_for(3'600'000'000'000);
    REQUIRE_FALSE(op.is_done);
    machine.world.crash();
    REQUIRE(op.outcome == io::operation::abandoned);
}

TEST_CASE("a cancelled operation completes once, with ECANCELED or its real outcome",
          "[sim][faults]") {
    std::set<std::int64_t> outcomes;
    std::set<int> contents;
    for (std::uint64_t seed = 0; seed < 80; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        observed_operation op;
        const block_buffer buffer(block_bytes, 2);
        prepared.file->start_write(op, buffer.bytes(), 0, io::write_mode::plain);
        machine.world.environment().disk.cancel(op);
        REQUIRE_FALSE(op.is_done);
        machine.world.run();
        REQUIRE(op.completions == 1);
        outcomes.insert(op.outcome);
        if (op.outcome == -ECANCELED) {
            contents.insert(value_of(machine.world.disk().read_file("/log/f"), 0));
        }
        machine.world.environment().disk.cancel(op);  // too late: nothing happens
        machine.world.run();
        REQUIRE(op.completions == 1);
    }
    REQUIRE(outcomes == std::set<std::int64_t>{-ECANCELED, 4096});
    REQUIRE(contents == std::set{-1, 1, 2});  // a cancelled write may have reached the disk
}

TEST_CASE("lost, misdirected and flipped writes report success", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    const auto write_with = [&](fault::effect effect) {
        machine.world.inject(fault(operation_kind::write).does(effect));
        REQUIRE(machine.fill(*prepared.file, 2, 0, 1, io::write_mode::dsync) == 4096);
        return *machine.world.disk().read_file("/log/f", disk_image::view::durable);
    };
    SECTION("lost") { REQUIRE(value_of(write_with(fault::effect::lost), 0, 4 * block_bytes) == 1); }
    SECTION("misdirected") {
        const auto bytes = write_with(fault::effect::misdirected);
        REQUIRE(value_of(bytes, 0) == 1);
        REQUIRE(value_of(bytes, block_bytes) == 2);
    }
    SECTION("flipped") {
        const auto bytes = write_with(fault::effect::flipped_bit);
        int wrong_bits = 0;
        for (std::size_t i = 0; i < block_bytes; ++i) {
            wrong_bits += std::popcount(static_cast<unsigned>(bytes[i] ^ std::byte{2}));
        }
        REQUIRE(wrong_bits == 1);
    }
}

TEST_CASE("a flipped read is wrong in one bit and only once", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.world.inject(fault(operation_kind::read).does(fault::effect::flipped_bit));
    const auto wrong = machine.read(*prepared.file, 0, block_bytes);
    const auto right = machine.read(*prepared.file, 0, block_bytes);
    int wrong_bits = 0;
    for (std::size_t i = 0; i < block_bytes; ++i) {
        wrong_bits += std::popcount(static_cast<unsigned>(wrong[i] ^ right[i]));
    }
    REQUIRE(wrong_bits == 1);
    REQUIRE(value_of(right, 0) == 1);
}

TEST_CASE("a sync beside one that fails may report success and lose its data", "[sim][faults]") {
    // Both orders of completion occur among the seeds; the error is reported once in each.
    int swallowed = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        machine machine(seed);
        const auto directory = machine.root();
        const auto file = machine.create(*directory, "f");
        machine.sync(*directory);
        machine.fill(*file, 7, 0);
        machine.world.inject(fault(operation_kind::sync, 2).fails_with(EIO));
        observed_operation good;
        observed_operation bad;
        file->start_sync(good);
        file->start_sync(bad);
        std::int64_t first_done = 0;
        while (!good.is_done || !bad.is_done) {
            REQUIRE(machine.world.step());
            if (first_done == 0 && good.is_done && !bad.is_done) {
                first_done = 1;
            }
        }
        CHECK(good.outcome == 0);
        CHECK(bad.outcome == -EIO);
        CHECK(machine.world.counters().overlapping_syncs == 1);
        machine.world.crash(survival::nothing, name_survival::nothing);
        const bool is_lost = value_of(machine.world.disk().read_file("/log/f"), 0) != 7;
        CHECK(is_lost);
        swallowed += first_done == 1 ? 1 : 0;
    }
    CHECK(swallowed > 0);
}

TEST_CASE("a slow operation takes the stall time", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.world.inject(fault(operation_kind::sync).does(fault::effect::slow));
    const std::uint64_t began_ns = machine.world.now_ns();
    machine.sync(*prepared.file);
    REQUIRE(machine.world.now_ns() - began_ns >= 50'000'000);
}

TEST_CASE("an unreadable range fails every read that touches it until it is written again",
          "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    REQUIRE(machine.world.disk().make_unreadable("/log/f", 5000, 5001));
    machine.read(*prepared.file, 0, 2 * block_bytes);
    REQUIRE(machine.last == -EIO);
    REQUIRE(machine.read(*prepared.file, 0, block_bytes).size() == block_bytes);
    machine.world.crash();
    machine.world.power_on();
    const auto root = machine.root();
    const auto file = machine.open(*root, "f", io::open_mode::write_direct);
    machine.read(*file, block_bytes, block_bytes);
    REQUIRE(machine.last == -EIO);
    machine.fill(*file, 2, block_bytes);
    REQUIRE(machine.read(*file, block_bytes, block_bytes).size() == block_bytes);
}

TEST_CASE("direct files refuse misaligned position, length and memory", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    const block_buffer buffer(2 * block_bytes);
    const auto all = buffer.bytes();
    CHECK(machine.write(*prepared.file, all.first(block_bytes), 512) == -EINVAL);
    CHECK(machine.write(*prepared.file, all.first(512), 0) == -EINVAL);
    CHECK(machine.write(*prepared.file, all.subspan(512, block_bytes), 0) == -EINVAL);
    CHECK(machine.write(*prepared.file, all.first(block_bytes), 0) == 4096);
    CHECK(machine.finish([&](io::operation& op) {
        prepared.file->start_read(op, all.first(512), 0);
    }) == -EINVAL);
    const auto cached = machine.open(*prepared.directory, "f", io::open_mode::read);
    CHECK(machine.finish(
              [&](io::operation& op) { cached->start_read(op, all.subspan(1, 7), 3); }) == 7);
    CHECK(machine.write(*cached, all.first(block_bytes), 0) == -EBADF);
    CHECK(machine.truncate(*cached, 0) == -EINVAL);
    CHECK(machine.allocate(*cached, 0, 1) == -EBADF);
    CHECK(machine.allocate(*prepared.file, 5, 5) == -EINVAL);
}

TEST_CASE("smaller blocks and missing direct I/O relax the alignment", "[sim][faults]") {
    world_options options = quiet();
    options.block_size_bytes = 512;
    machine small(1, options);
    prepared_file prepared(small);
    REQUIRE(prepared.file->block_size_bytes() == 512);
    const block_buffer buffer(block_bytes);
    REQUIRE(small.write(*prepared.file, buffer.bytes().first(512), 512) == 512);
    options.supports_direct = false;
    machine buffered(1, options);
    prepared_file other(buffered);
    REQUIRE(buffered.write(*other.file, buffer.bytes().subspan(1, 100), 3) == 100);
    REQUIRE_FALSE(other.directory->traits().supports_direct);
}

TEST_CASE("a direct read ends short at an unaligned end of file and returns 0 beyond",
          "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.truncate(*prepared.file, block_bytes + 904);
    REQUIRE(machine.read(*prepared.file, block_bytes, block_bytes).size() == 904);
    REQUIRE(machine.read(*prepared.file, 4 * block_bytes, block_bytes).empty());
    REQUIRE(machine.last == 0);
}

TEST_CASE("space runs out: allocation is all or nothing, writes are short or refused",
          "[sim][faults]") {
    std::set<std::int64_t> outcomes;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        machine.world.set_capacity(6 * block_bytes, EDQUOT);
        REQUIRE(machine.allocate(*prepared.file, 4 * block_bytes, 7 * block_bytes) == -EDQUOT);
        const io::file_status status = machine.status(*prepared.file);
        REQUIRE(status.length_bytes == 4 * block_bytes);
        REQUIRE(status.allocated_bytes == 4 * block_bytes);
        outcomes.insert(machine.fill(*prepared.file, 2, 4 * block_bytes, 3));
        REQUIRE(machine.fill(*prepared.file, 2, 0, 4) == 4 * 4096);  // overwriting needs no space
        machine.world.set_capacity(0);
        REQUIRE(machine.fill(*prepared.file, 2, 4 * block_bytes, 3) == 3 * 4096);
    }
    REQUIRE(outcomes == std::set<std::int64_t>{-EDQUOT, 8192});
}

TEST_CASE("unlinking gives space back", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    machine.world.set_capacity(4 * block_bytes);
    const auto other = machine.create(*prepared.directory, "other");
    REQUIRE(machine.fill(*other, 1, 0) == -ENOSPC);
    prepared.file.reset();
    machine.unlink(*prepared.directory, "f");
    REQUIRE(machine.fill(*other, 1, 0) == 4096);
}

TEST_CASE("a file system that copies on write needs space to overwrite", "[sim][faults]") {
    world_options options = quiet();
    options.copies_on_write = true;
    machine machine(1, options);
    prepared_file prepared(machine);
    REQUIRE(prepared.directory->traits().copies_on_write);
    machine.world.set_capacity(4 * block_bytes);
    REQUIRE(machine.fill(*prepared.file, 2, 0) == -ENOSPC);
}

TEST_CASE("a file system may not know how to reserve space", "[sim][faults]") {
    world_options options = quiet();
    options.supports_allocate = false;
    machine machine(1, options);
    prepared_file prepared(machine);
    REQUIRE(machine.allocate(*prepared.file, 0, 8 * block_bytes) == -EOPNOTSUPP);
}

TEST_CASE("fault rates bring every fault they name, and none at zero", "[sim][faults]") {
    machine machine;
    prepared_file prepared(machine);
    const auto outcomes = [&] {
        std::set<std::int64_t> seen;
        for (int i = 0; i < 300; ++i) {
            seen.insert(machine.fill(*prepared.file, 2, 0, 2));
            seen.insert(machine.sync(*prepared.file));
            machine.read(*prepared.file, 0, 2 * block_bytes);
            seen.insert(machine.last);
            seen.insert(machine.sync(*prepared.directory));
        }
        return seen;
    };
    fault_rates rates;
    rates.read_errors = rates.write_errors = rates.sync_errors = rates.name_errors = 100'000;
    rates.interruptions = rates.short_transfers = 100'000;
    machine.world.set_fault_rates(rates);
    REQUIRE(outcomes() == std::set<std::int64_t>{-EIO, -EINTR, -EAGAIN, 0, 4096, 8192});
    machine.world.set_fault_rates({});
    REQUIRE(outcomes() == std::set<std::int64_t>{0, 8192});
}

TEST_CASE("silent damage changes the durable bytes under everybody", "[sim][faults][image]") {
    machine machine;
    prepared_file prepared(machine);
    disk_image& disk = machine.world.disk();
    REQUIRE(disk.corrupt("/log/f", 10, std::byte{0x80}));
    REQUIRE((*disk.read_file("/log/f", disk_image::view::durable))[10] == std::byte{0x81});
    REQUIRE(machine.read(*prepared.file, 0, block_bytes)[10] == std::byte{0x81});
    REQUIRE(disk.zero("/log/f", 4096, 8192));
    REQUIRE(value_of(disk.read_file("/log/f"), block_bytes) == 0);
    REQUIRE_FALSE(disk.corrupt("/log/f", 4 * block_bytes, std::byte{1}));
    REQUIRE_FALSE(disk.corrupt("/log/none", 0, std::byte{1}));
    REQUIRE_FALSE(disk.zero("/log/f", 0, 5 * block_bytes));
    REQUIRE_FALSE(disk.make_unreadable("/log", 0, 1));
}

TEST_CASE("directories can be crafted and are durable at once", "[sim][image]") {
    disk_image disk;
    const std::vector<std::byte> content(10, std::byte{4});
    REQUIRE(disk.make_directory("/log"));
    REQUIRE_FALSE(disk.make_directory("/log"));
    REQUIRE_FALSE(disk.make_directory("/none/log"));
    REQUIRE(disk.write_file("/log/a", content));
    REQUIRE(disk.write_file("/log/a", content));  // replaces
    REQUIRE_FALSE(disk.write_file("/log", content));
    REQUIRE_FALSE(disk.write_file("/none/a", content));
    REQUIRE(disk.set_length("/log/a", 12));
    REQUIRE(disk.changes_unsynced() == 0);
    const std::uint64_t hash = disk.durable_hash();
    disk.crash(1, survival::nothing, name_survival::nothing);
    REQUIRE(disk.durable_hash() == hash);
    REQUIRE(disk.read_file("/log/a")->size() == 12);
    REQUIRE(*disk.list("/log") == std::vector<std::string>{"a"});
    REQUIRE_FALSE(disk.list("/log/a").has_value());
    REQUIRE_FALSE(disk.read_file("/log").has_value());
    REQUIRE(disk.remove("/log/a"));
    REQUIRE_FALSE(disk.remove("/log/a"));
    REQUIRE(disk.durable_hash() != hash);
}

}  // namespace
}  // namespace caisson::sim
