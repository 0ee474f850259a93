// Events, task groups and the way home, on a stock io_context; no time passes.

#include "async/event.hpp"
#include "async/home_gate.hpp"
#include "async/task_group.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <thread>
#include <vector>

using namespace caisson;

namespace {

/// Something that knows whether it was destroyed.
struct witness {
    explicit witness(int& count_) : count(count_) { ++count; }
    witness(const witness&) = delete;
    ~witness() { --count; }
    int& count;
};

net::awaitable<void> wait_twice(async::event& on, int& resumed) {
    co_await on.wait();
    ++resumed;
    co_await on.wait();
    ++resumed;
}

struct node final : detail::operation_node {
    node(std::vector<int>& arrived_, int number_) : arrived(arrived_), number(number_) {
        arrive = [](operation_node& self, void*) {
            auto& mine = static_cast<node&>(self);
            mine.arrived.push_back(mine.number);
        };
        discard = [](operation_node& self) noexcept {
            static_cast<node&>(self).is_discarded = true;
        };
    }
    std::vector<int>& arrived;
    int number;
    bool is_discarded = false;
};

}  // namespace

TEST_CASE("an event resumes whoever waits, each time, and forgets what nobody waited for",
          "[async]") {
    net::io_context context(1);
    async::event event(context.get_executor());
    async::task_group tasks(context.get_executor());
    int resumed = 0;
    event.notify_all();
    tasks.spawn(wait_twice(event, resumed));
    tasks.spawn(wait_twice(event, resumed));
    context.poll();
    CHECK(resumed == 0);
    event.notify_all();
    CHECK(resumed == 0);  // never inside notify_all
    context.restart();
    context.poll();
    CHECK(resumed == 2);
    event.notify_all();
    context.restart();
    context.poll();
    CHECK(resumed == 4);
    CHECK(tasks.running() == 0);
}

TEST_CASE("a destroyed event destroys the coroutines that wait on it", "[async]") {
    net::io_context context(1);
    int alive = 0;
    async::task_group tasks(context.get_executor());
    {
        auto event = std::make_unique<async::event>(context.get_executor());
        auto wait = [](async::event* on, int* count) -> net::awaitable<void> {
            const witness mine(*count);
            co_await on->wait();
        };
        tasks.spawn(wait(event.get(), &alive));
        context.poll();
        CHECK(alive == 1);
    }
    context.restart();
    context.poll();  // Asio destroys the frame in a handler of its own
    CHECK(alive == 0);
    tasks.abandon();
}

TEST_CASE("join ends when the last task has, also one spawned meanwhile", "[async]") {
    net::io_context context(1);
    async::event go(context.get_executor());
    async::task_group tasks(context.get_executor());
    int resumed = 0;
    bool is_joined = false;
    tasks.spawn(wait_twice(go, resumed));
    auto join = [](async::task_group* group, bool* done) -> net::awaitable<void> {
        co_await group->join();
        *done = true;
    };
    net::co_spawn(context, join(&tasks, &is_joined), [](std::exception_ptr) {});
    context.poll();
    go.notify_all();
    context.restart();
    context.poll();
    CHECK_FALSE(is_joined);
    go.notify_all();
    context.restart();
    context.poll();
    CHECK(is_joined);
}

TEST_CASE("operations reach home in the order of one thread's calls", "[async][threads]") {
    net::io_context context(1);
    const auto gate = std::make_shared<async::home_gate>(context.get_executor(),
                                                         std::make_shared<async::home_thread>());
    std::vector<int> arrived;
    std::vector<std::unique_ptr<node>> nodes;
    for (int k = 0; k < 1000; ++k) {
        nodes.push_back(std::make_unique<node>(arrived, k));
    }
    std::thread caller([&] {
        for (const auto& each : nodes) {
            gate->enter(*each);
        }
    });
    caller.join();
    CHECK(arrived.empty());
    context.poll();
    REQUIRE(arrived.size() == 1000);
    for (int k = 0; k < 1000; ++k) {
        CHECK(arrived[static_cast<std::size_t>(k)] == k);
    }
}

TEST_CASE("on the home thread an operation arrives at once", "[async]") {
    net::io_context context(1);
    const auto gate = std::make_shared<async::home_gate>(context.get_executor(),
                                                         std::make_shared<async::home_thread>());
    std::vector<int> arrived;
    node first(arrived, 1);
    node second(arrived, 2);
    gate->enter(first);
    CHECK(arrived.empty());
    context.poll();
    CHECK(gate->is_home());
    gate->enter(second);
    CHECK(arrived == std::vector<int>{1, 2});
}

TEST_CASE("a second thread that runs the home executor is noticed, for good", "[async][threads]") {
    net::io_context context;
    const auto gate = std::make_shared<async::home_gate>(context.get_executor(),
                                                         std::make_shared<async::home_thread>());
    std::vector<int> arrived;
    node first(arrived, 1);
    node second(arrived, 2);
    gate->enter(first);
    context.poll();
    CHECK_FALSE(gate->is_violated());
    std::thread other([&] {
        gate->enter(second);
        context.restart();
        context.poll();
    });
    other.join();
    CHECK(gate->is_violated());
}

TEST_CASE("operations that never got home are discarded with the gate", "[async]") {
    auto context = std::make_unique<net::io_context>(1);
    auto gate = std::make_shared<async::home_gate>(context->get_executor(),
                                                   std::make_shared<async::home_thread>());
    std::vector<int> arrived;
    node lost(arrived, 1);
    gate->enter(lost);
    gate.reset();
    context.reset();
    CHECK(arrived.empty());
    CHECK(lost.is_discarded);
}
