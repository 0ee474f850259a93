// Power cuts and kills: handlers of the old life never run, operations are abandoned once, late
// destructors are harmless, and what a killed process had submitted lands in the next life.

#include "unit/sim/machine.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <set>

namespace caisson::sim {
namespace {

struct counts_destruction {
    explicit counts_destruction(int& counter) : count(&counter) {}
    counts_destruction(counts_destruction&& other) noexcept
        : count(std::exchange(other.count, nullptr)) {}
    ~counts_destruction() {
        if (count != nullptr) {
            ++*count;
        }
    }
    int* count;
};

/// Destroyed inside a dying handler, it posts again, as the destructor of a suspended coroutine
/// may.
struct posts_when_destroyed {
    posts_when_destroyed(net::any_io_executor on, int& counter)
        : executor(std::move(on)), ran(&counter) {}
    posts_when_destroyed(posts_when_destroyed&& other) noexcept
        : executor(std::move(other.executor)), ran(std::exchange(other.ran, nullptr)) {}
    ~posts_when_destroyed() {
        if (ran != nullptr) {
            net::post(executor, [counter = ran] { ++*counter; });
        }
    }
    net::any_io_executor executor;
    int* ran;
};

net::awaitable<void> hop_for_ever(counts_destruction /*owned*/) {
    while (true) {
        co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
    }
}

struct prepared_file {
    explicit prepared_file(machine& on) : directory(on.root()), file(on.create(*directory, "f")) {
        on.fill(*file, 1, 0, 4);
        on.sync(*file);
        on.sync(*directory);
    }
    std::unique_ptr<io::directory> directory;
    std::unique_ptr<io::file> file;
};

void end_life(world& of, bool by_kill) {
    if (by_kill) {
        of.kill();
    } else {
        of.crash();
    }
}

TEST_CASE("the end of a life destroys pending handlers without running them", "[sim][lives]") {
    for (const bool by_kill : {false, true}) {
        world world(1);
        int ran = 0;
        int destroyed = 0;
        net::post(world.executor(), [&ran, owned = counts_destruction(destroyed)] { ++ran; });
        net::co_spawn(world.executor(), hop_for_ever(counts_destruction(destroyed)), net::detached);
        for (int i = 0; i < 3; ++i) {
            world.step();
        }
        const int ran_before = ran;
        end_life(world, by_kill);
        REQUIRE(ran == ran_before);
        REQUIRE(destroyed == 2);
        REQUIRE(world.powered_off());
        REQUIRE(world.idle());
    }
}

TEST_CASE("a handler that posts while it is destroyed is survived, and what it posts never runs",
          "[sim][lives]") {
    int ran = 0;
    {
        world world(1);
        net::post(world.executor(), [owned = posts_when_destroyed(world.executor(), ran)] {});
        world.crash();
        world.power_on();
        world.run();
        net::post(world.executor(), [owned = posts_when_destroyed(world.executor(), ran)] {});
        // The world's own destruction meets the second one.
    }
    REQUIRE(ran == 0);
}

TEST_CASE("what is posted to a dead life never runs", "[sim][lives]") {
    int ran = 0;
    int destroyed = 0;  // both outlive the world, which destroys the last handler
    world world(1);
    const net::any_io_executor dead = world.executor();
    world.crash();
    net::post(dead, [&ran, owned = counts_destruction(destroyed)] { ++ran; });
    REQUIRE_FALSE(world.step());
    world.power_on();
    REQUIRE(destroyed == 1);
    net::post(dead, [&ran, owned = counts_destruction(destroyed)] { ++ran; });
    world.run();
    REQUIRE(ran == 0);
}

TEST_CASE("operations and sleeps are abandoned once when their life ends", "[sim][lives]") {
    for (const bool by_kill : {false, true}) {
        machine machine;
        prepared_file prepared(machine);
        const block_buffer buffer(block_bytes, 2);
        observed_operation write;
        observed_operation sync;
        observed_operation sleep;
        prepared.file->start_write(write, buffer.bytes(), 0, io::write_mode::plain);
        prepared.file->start_sync(sync);
        machine.world.environment().clock.start_sleep(sleep, 1'000);
        REQUIRE(machine.world.environment().disk.operations_in_flight() == 2);
        end_life(machine.world, by_kill);
        REQUIRE(machine.world.environment().disk.powered_off());
        REQUIRE(machine.world.environment().disk.operations_in_flight() == 0);
        machine.world.power_on();
        machine.world.run();
        for (const observed_operation* each : {&write, &sync, &sleep}) {
            REQUIRE(each->outcome == io::operation::abandoned);
            REQUIRE(each->completions == 1);
        }
    }
}

TEST_CASE("what a dead life starts is never run inline and abandoned by power_on at the latest",
          "[sim][lives]") {
    machine machine;
    prepared_file prepared(machine);
    io::environment& dead = machine.world.environment();
    machine.world.crash();
    const std::uint64_t operations = machine.world.counters().operations;
    observed_operation write;
    observed_operation sleep;
    std::unique_ptr<io::directory> opened;
    observed_operation open;
    const block_buffer buffer(block_bytes, 2);
    prepared.file->start_write(write, buffer.bytes(), 0, io::write_mode::dsync);
    dead.clock.start_sleep(sleep, 0);
    dead.clock.cancel_sleep(sleep);
    dead.disk.start_open_root(open, "/log", io::root_mode::existing, opened);
    dead.disk.cancel(open);
    machine.world.run();
    REQUIRE_FALSE(write.is_done);
    REQUIRE_FALSE(sleep.is_done);
    machine.world.power_on();
    for (const observed_operation* each : {&write, &sleep, &open}) {
        REQUIRE(each->outcome == io::operation::abandoned);
    }
    REQUIRE(machine.world.counters().operations == operations);
    REQUIRE(dead.disk.powered_off());
    REQUIRE_FALSE(machine.world.environment().disk.powered_off());
}

TEST_CASE("handles of a dead life may go in any order, before or after the next life began",
          "[sim][lives]") {
    for (const bool by_kill : {false, true}) {
        machine machine;
        auto first = std::make_unique<prepared_file>(machine);
        auto lock = machine.lock(*first->directory);
        end_life(machine.world, by_kill);
        first->directory.reset();
        machine.world.power_on();
        auto second_root = machine.root();
        auto second = machine.open(*second_root, "f", io::open_mode::write_direct);
        auto second_lock = machine.lock(*second_root);
        REQUIRE(second_lock != nullptr);
        lock.reset();  // must not release the lock of the next life
        first.reset();
        REQUIRE(machine.lock(*second_root) == nullptr);
        REQUIRE(machine.last == -EWOULDBLOCK);
        REQUIRE(machine.read(*second, 0, block_bytes).size() == block_bytes);
    }
}

TEST_CASE("a lock excludes everybody until it is released or its machine loses power",
          "[sim][lives]") {
    machine machine;
    const auto root = machine.root();
    auto lock = machine.lock(*root);
    REQUIRE(lock != nullptr);
    REQUIRE(machine.lock(*root) == nullptr);
    REQUIRE(machine.last == -EWOULDBLOCK);
    lock.reset();
    REQUIRE(machine.world.lock_from_outside("/log/LOCK"));
    REQUIRE_FALSE(machine.world.lock_from_outside("/log/LOCK"));
    REQUIRE_FALSE(machine.world.lock_from_outside("/log/none"));
    REQUIRE(machine.lock(*root) == nullptr);
    machine.world.unlock_from_outside("/log/LOCK");
    lock = machine.lock(*root);
    REQUIRE(lock != nullptr);
    machine.sync(*root);
    machine.world.crash();
    machine.world.power_on();
    REQUIRE(machine.lock(*machine.root()) != nullptr);
}

TEST_CASE("a kill keeps everything that completed, synced or not", "[sim][lives]") {
    machine machine;
    {
        prepared_file prepared(machine);
        machine.fill(*prepared.file, 2, 0);
        machine.create(*prepared.directory, "unsynced");
        machine.world.kill();
    }
    machine.world.power_on();
    const auto root = machine.root();
    REQUIRE(machine.list(*root) == std::vector<std::string>{"f", "unsynced"});
    const auto file = machine.open(*root, "f", io::open_mode::read);
    REQUIRE(value_of(machine.read(*file, 0, block_bytes), 0) == 2);
    // It is no more durable than before: what the successor does not sync, a power cut still takes.
    machine.world.crash(survival::nothing, name_survival::nothing);
    REQUIRE(value_of(machine.world.disk().read_file("/log/f"), 0) == 1);
    REQUIRE_FALSE(machine.world.disk().exists("/log/unsynced"));
}

TEST_CASE("a killed process's writes may land in the next life, and its lock lives as long",
          "[sim][lives]") {
    int landed_late = 0;
    int never_landed = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        machine machine(seed);
        auto prepared = std::make_unique<prepared_file>(machine);
        auto lock = machine.lock(*prepared->directory);
        observed_operation op;
        auto buffer = std::make_unique<block_buffer>(block_bytes, 2);
        prepared->file->start_write(op, buffer->bytes(), 0, io::write_mode::plain);
        machine.world.kill();
        buffer.reset();  // the dead process's memory
        lock.reset();
        prepared.reset();
        machine.world.power_on();
        const auto root = machine.root();
        const auto file = machine.open(*root, "f", io::open_mode::read_direct);
        const int early = value_of(machine.read(*file, 0, block_bytes), 0);
        const bool was_locked = machine.lock(*root) == nullptr;
        const std::uint64_t landed_before = machine.world.counters().zombie_writes;
        machine.world.run();
        const int late = value_of(machine.read(*file, 0, block_bytes), 0);
        REQUIRE(machine.lock(*root) != nullptr);  // nobody lets the dead hold it for ever
        if (early != late) {
            REQUIRE(late == 2);
            ++landed_late;
            REQUIRE(machine.world.counters().zombie_writes == 1);
        }
        if (machine.world.counters().zombie_writes > landed_before) {
            REQUIRE(was_locked);  // what was still to come kept the lock
        }
        never_landed += late == 1 ? 1 : 0;
    }
    REQUIRE(landed_late > 10);
    REQUIRE(never_landed > 5);
}

TEST_CASE("whoever holds the lock after a kill sees no zombie write any more", "[sim][lives]") {
    for (const bool outlives : {true, false}) {
        int changed_under_lock = 0;
        for (std::uint64_t seed = 0; seed < 60; ++seed) {
            world_options options = quiet();
            options.lock_outlives_owner = outlives;
            machine machine(seed, options);
            prepared_file prepared(machine);
            const auto lock = machine.lock(*prepared.directory);
            observed_operation op;
            const block_buffer buffer(block_bytes, 2);
            prepared.file->start_write(op, buffer.bytes(), 0, io::write_mode::plain);
            machine.world.kill();
            machine.world.power_on();
            const auto root = machine.root();
            std::unique_ptr<io::directory_lock> taken;
            while ((taken = machine.lock(*root)) == nullptr) {
            }
            const auto file = machine.open(*root, "f", io::open_mode::read_direct);
            const int before = value_of(machine.read(*file, 0, block_bytes), 0);
            machine.world.run();
            changed_under_lock +=
                value_of(machine.read(*file, 0, block_bytes), 0) == before ? 0 : 1;
        }
        REQUIRE((changed_under_lock > 0) == !outlives);
    }
}

TEST_CASE("the power may go after a kill, and takes the zombies with it", "[sim][lives]") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        machine machine(seed);
        prepared_file prepared(machine);
        observed_operation op;
        const block_buffer buffer(block_bytes, 2);
        prepared.file->start_write(op, buffer.bytes(), 0, io::write_mode::plain);
        machine.world.kill();
        machine.world.crash(survival::nothing, name_survival::nothing);
        machine.world.power_on();
        machine.world.run();
        REQUIRE(value_of(machine.world.disk().read_file("/log/f"), 0) == 1);
    }
}

TEST_CASE("a world may be destroyed with anything pending", "[sim][lives]") {
    observed_operation write;
    observed_operation stuck;
    observed_operation sleep;
    int destroyed = 0;
    const block_buffer buffer(block_bytes, 2);
    {
        machine machine;
        prepared_file prepared(machine);
        machine.world.inject(fault(operation_kind::sync).does(fault::effect::stuck));
        prepared.file->start_sync(stuck);
        prepared.file->start_write(write, buffer.bytes(), 0, io::write_mode::plain);
        machine.world.environment().clock.start_sleep(sleep, UINT64_MAX);
        net::co_spawn(machine.world.executor(), hop_for_ever(counts_destruction(destroyed)),
                      net::detached);
    }
    REQUIRE(destroyed == 1);
    for (const observed_operation* each : {&write, &stuck, &sleep}) {
        REQUIRE(each->outcome == io::operation::abandoned);
    }
}

}  // namespace
}  // namespace caisson::sim
