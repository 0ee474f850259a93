// The world as an executor: Asio coroutines run on it unchanged, in an order that the seed decides.

#include <caisson/sim.hpp>

#include "io/environment.hpp"
#include "unit/sim/machine.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

namespace caisson::sim {
namespace {

std::string order_of_handlers(std::uint64_t seed) {
    world world(seed);
    std::string order;
    for (char name = 'a'; name <= 'f'; ++name) {
        net::post(world.executor(), [&order, name] { order += name; });
    }
    world.run();
    return order;
}

net::awaitable<void> hop(std::string& trail, char name, int times) {
    for (int i = 0; i < times; ++i) {
        trail += name;
        co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
    }
}

TEST_CASE("the seed decides which ready handler runs", "[sim][executor]") {
    std::set<std::string> orders;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const std::string order = order_of_handlers(seed);
        REQUIRE(order.size() == 6);
        REQUIRE(order == order_of_handlers(seed));
        orders.insert(order);
    }
    REQUIRE(orders.size() > 30);
}

TEST_CASE("neither post, defer nor dispatch runs a handler inline", "[sim][executor]") {
    world world(1);
    int ran = 0;
    net::post(world.executor(), [&] { ++ran; });
    net::defer(world.executor(), [&] { ++ran; });
    net::dispatch(world.executor(), [&] { ++ran; });
    REQUIRE(ran == 0);
    world.run();
    REQUIRE(ran == 3);
    REQUIRE(world.idle());
}

TEST_CASE("coroutines interleave on the world's executor", "[sim][executor]") {
    world world(3);
    std::string trail;
    net::co_spawn(world.executor(), hop(trail, 'x', 5), net::detached);
    net::co_spawn(world.executor(), hop(trail, 'y', 5), net::detached);
    world.run();
    REQUIRE(trail.size() == 10);
    REQUIRE(trail != "xxxxxyyyyy");
    REQUIRE(trail != "yyyyyxxxxx");
}

TEST_CASE("executors of one life are equal, of two lives they are not", "[sim][executor]") {
    world world(1);
    const net::any_io_executor first = world.executor();
    REQUIRE(first == world.executor());
    world.crash();
    world.power_on();
    REQUIRE(first != world.executor());
}

TEST_CASE("virtual time goes on only when nothing is ready, and exactly to the next event",
          "[sim][clock]") {
    machine machine;
    observed_operation op;
    io::clock& clock = machine.world.environment().clock;
    clock.start_sleep(op, 1'000'000'000'000);
    int ran = 0;
    net::post(machine.world.executor(), [&] { ++ran; });
    REQUIRE(machine.world.step());
    REQUIRE(ran == 1);
    REQUIRE(machine.world.now_ns() == 0);
    REQUIRE(machine.world.step());
    REQUIRE(op.outcome == 0);
    REQUIRE(machine.world.now_ns() == 1'000'000'000'000);
    REQUIRE_FALSE(machine.world.step());
}

TEST_CASE("a cancelled sleep ends at once, in the present", "[sim][clock]") {
    machine machine;
    observed_operation op;
    io::clock& clock = machine.world.environment().clock;
    clock.start_sleep(op, UINT64_MAX);
    clock.cancel_sleep(op);
    REQUIRE_FALSE(op.is_done);
    machine.world.run();
    REQUIRE(op.outcome == -ECANCELED);
    REQUIRE(machine.world.now_ns() == 0);
}

TEST_CASE("run_for stops the clock at its deadline", "[sim][clock]") {
    world_options options;
    options.early_events_per_million = 500'000;
    machine machine(1, options);
    observed_operation soon;
    observed_operation late;
    machine.world.environment().clock.start_sleep(soon, 500);
    machine.world.environment().clock.start_sleep(late, 5'000);
    net::post(machine.world.executor(), [] {});
    machine.world.run_for(1'000);
    REQUIRE(soon.is_done);
    REQUIRE_FALSE(late.is_done);
    REQUIRE(machine.world.now_ns() == 1'000);
    machine.world.run_for(4'000);
    REQUIRE(late.is_done);
}

TEST_CASE("the wall clock jumps without moving the monotonic one", "[sim][clock]") {
    machine machine;
    io::clock& clock = machine.world.environment().clock;
    const std::uint64_t wall_us = clock.wall_us();
    constexpr std::int64_t year_us = 31'536'000'000'000;
    machine.world.jump_wall_clock(-year_us);
    REQUIRE(clock.wall_us() == wall_us - static_cast<std::uint64_t>(year_us));
    REQUIRE(clock.monotonic_ns() == 0);
    machine.world.jump_wall_clock(2 * year_us);
    REQUIRE(clock.wall_us() == wall_us + static_cast<std::uint64_t>(year_us));
}

TEST_CASE("a slow processor lets events overtake ready handlers", "[sim][clock]") {
    world_options options;
    options.early_events_per_million = 500'000;
    int overtaken = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        machine machine(seed, options);
        observed_operation op;
        machine.world.environment().clock.start_sleep(op, 1);
        bool handler_ran = false;
        net::post(machine.world.executor(), [&] { handler_ran = true; });
        while (!op.is_done) {
            machine.world.step();
        }
        overtaken += handler_ran ? 0 : 1;
        machine.world.run();
    }
    REQUIRE(overtaken > 0);
    REQUIRE(overtaken < 40);
}

TEST_CASE("an exception of a handler leaves the world usable", "[sim][executor]") {
    world world(1);
    net::post(world.executor(), [] { throw std::runtime_error("planned"); });
    REQUIRE_THROWS_AS(world.run(), std::runtime_error);
    bool ran = false;
    net::post(world.executor(), [&] { ran = true; });
    world.run();
    REQUIRE(ran);
}

TEST_CASE("random bytes come from the seed and differ between lives", "[sim][random]") {
    const auto draw = [](world& from) {
        std::array<std::byte, 16> bytes{};
        from.environment().random.fill(bytes);
        return bytes;
    };
    world a(7);
    world b(7);
    const auto first = draw(a);
    REQUIRE(first == draw(b));
    REQUIRE(first != draw(a));
    a.crash();
    a.power_on();
    REQUIRE(first != draw(a));
}

}  // namespace
}  // namespace caisson::sim
