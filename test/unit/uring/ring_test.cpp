// The ring against a kernel that misbehaves on demand. Every test ends by looking that each
// operation completed once.

#include "support/remembering_operation.hpp"
#include "unit/uring/fake_port.hpp"
#include "uring/ring.hpp"

#include <boost/asio/post.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace caisson;
using namespace caisson::uring;
using namespace caisson::uring::test;
using caisson::test::remembering_operation;

namespace {

/// A ring over a fake kernel with `count` writes of 4096 bytes.
struct ring_fixture {
    explicit ring_fixture(const std::function<void(fake_kernel&)>& configure = [](fake_kernel&) {
    }) {
        configure(*kernel);
        auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(said);
        tested = std::make_unique<ring>(home, std::make_unique<fake_port>(kernel), thread,
                                        std::make_shared<spdlog::logger>("ring", sink));
    }
    void start(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            ops.push_back(std::make_unique<remembering_operation>());
            submission what;
            what.code = opcode::write;
            what.length_bytes = 4096;
            what.position_bytes = ops.size() - 1;
            tested->start(*ops.back(), what);
        }
    }
    /// Runs whatever is ready; never blocks.
    void poll() {
        home.restart();
        while (home.poll() > 0) {
        }
    }
    void require_all_completed(std::int64_t outcome) const {
        for (const auto& op : ops) {
            REQUIRE(op->completions == 1);
            REQUIRE(op->outcome == outcome);
        }
        REQUIRE(tested->operations_in_flight() == 0);
        REQUIRE(tested->is_idle());
    }

    std::ostringstream said;  // to the logger
    net::io_context home{1};
    std::shared_ptr<async::home_thread> thread = std::make_shared<async::home_thread>();
    std::shared_ptr<fake_kernel> kernel = std::make_shared<fake_kernel>();
    std::unique_ptr<ring> tested;
    std::vector<std::unique_ptr<remembering_operation>> ops;
};

}  // namespace

TEST_CASE("operations started in one turn reach the kernel in one enter, at the end of the turn",
          "[uring]") {
    ring_fixture f;
    f.start(5);
    CHECK(f.kernel->enters == 0);
    f.poll();
    CHECK(f.kernel->enters == 1);
    CHECK(f.kernel->in_kernel.size() == 5);
    CHECK(f.tested->operations_in_flight() == 5);
}

TEST_CASE("submit goes to the kernel at once and completes nothing inline", "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.completes_at_once = true; });
    f.start(3);
    f.tested->submit();
    CHECK(f.kernel->enters == 1);
    CHECK(std::ranges::all_of(f.ops, [](const auto& op) { return op->completions == 0; }));
    f.poll();
    f.require_all_completed(4096);
    CHECK(f.kernel->enters == 1);
}

TEST_CASE("completions in any order end their own operations", "[uring]") {
    ring_fixture f;
    f.start(8);
    f.poll();
    for (const std::size_t index : {7U, 3U, 0U, 2U, 1U, 2U, 0U, 0U}) {
        const std::uint64_t position = f.kernel->in_kernel[index].position_bytes;
        f.kernel->complete(index, static_cast<std::int32_t>(100 + position));
        f.poll();
        CHECK(f.ops[position]->outcome == static_cast<std::int64_t>(100 + position));
    }
    for (const auto& op : f.ops) {
        CHECK(op->completions == 1);
    }
}

TEST_CASE("short counts and errors come through as they are", "[uring]") {
    ring_fixture f;
    f.start(4);
    f.poll();
    for (const std::int32_t outcome : {512, -EIO, -EINTR, 0}) {
        f.kernel->complete(0, outcome);
    }
    f.poll();
    CHECK(f.ops[0]->outcome == 512);
    CHECK(f.ops[1]->outcome == -EIO);
    CHECK(f.ops[2]->outcome == -EINTR);
    CHECK(f.ops[3]->outcome == 0);
}

TEST_CASE("a full submission queue makes the ring submit, not fail", "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.sq_entries = 2; });
    f.start(7);
    CHECK(f.tested->facts().sq_full > 0);
    f.poll();
    CHECK(f.kernel->in_kernel.size() == 7);
    while (!f.kernel->in_kernel.empty()) {
        f.kernel->complete(0, 4096);
    }
    f.poll();
    f.require_all_completed(4096);
}

TEST_CASE("more operations than the completion queue holds wait in order and are all done",
          "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.cq_entries = 4; });
    f.start(50);
    f.poll();
    CHECK(f.kernel->in_kernel.size() == 4);
    CHECK(f.tested->facts().cq_full > 0);
    std::uint64_t expected_position = 0;
    while (!f.kernel->in_kernel.empty()) {
        CHECK(f.kernel->in_kernel[0].position_bytes == expected_position++);
        f.kernel->complete(0, 4096);
        f.poll();
        CHECK(f.kernel->in_kernel.size() <= 4);
    }
    CHECK(expected_position == 50);
    f.require_all_completed(4096);
    CHECK(f.kernel->overflown.empty());
}

TEST_CASE("an overflown completion queue loses nothing", "[uring]") {
    ring_fixture f;
    f.start(6);
    f.poll();
    f.kernel->cq_entries = 2;  // smaller than agreed: the bound in the ring does not help
    while (!f.kernel->in_kernel.empty()) {
        f.kernel->complete(0, 4096);
    }
    CHECK(f.kernel->overflown.size() == 4);
    f.poll();
    f.require_all_completed(4096);
    CHECK(f.tested->facts().cq_overflow > 0);
}

TEST_CASE("an interrupted enter is repeated", "[uring]") {
    ring_fixture f;
    f.kernel->enter_results = {-EINTR, -EINTR, -EINTR};
    f.start(2);
    f.poll();
    CHECK(f.kernel->in_kernel.size() == 2);
    CHECK(f.tested->facts().enter_retries == 3);
}

TEST_CASE("an enter that takes only some submissions is continued", "[uring]") {
    ring_fixture f;
    f.kernel->enter_results = {1, 1};
    f.start(5);
    f.poll();
    CHECK(f.kernel->in_kernel.size() == 5);
}

TEST_CASE("a busy or exhausted kernel is asked again, without spinning", "[uring]") {
    for (const int error : {-EBUSY, -EAGAIN}) {
        ring_fixture f;
        f.kernel->enter_results = {error, error, error};
        f.start(2);
        f.poll();
        CHECK(f.kernel->in_kernel.empty());
        const unsigned enters = f.kernel->enters;
        CHECK(enters <= 2);
        // The timer of the ring brings it back; run_one blocks until it does.
        while (f.kernel->in_kernel.size() < 2) {
            f.home.restart();
            f.home.run_one();
        }
        CHECK(f.kernel->enters <= 5);
        f.kernel->complete(0, 4096);
        f.kernel->complete(0, 4096);
        f.poll();
        f.require_all_completed(4096);
    }
}

TEST_CASE("a busy enter takes what is complete and goes on", "[uring]") {
    ring_fixture f;
    f.start(2);
    f.poll();
    f.kernel->complete(0, 4096);
    f.kernel->enter_results = {-EBUSY};
    f.start(1);
    f.poll();
    CHECK(f.ops[0]->completions == 1);
    CHECK(f.kernel->in_kernel.size() == 2);
}

TEST_CASE("an enter that fails for good ends every operation, once, and later ones too",
          "[uring]") {
    for (const int error : {-EPERM, -EBADR, -EFAULT}) {
        ring_fixture f([](fake_kernel& kernel) { kernel.cq_entries = 4; });
        f.start(4);
        f.poll();
        f.start(3);  // wait for room
        f.kernel->complete(0, 4096);
        f.kernel->enter_results = {error};
        f.poll();
        CHECK(f.ops[0]->outcome == 4096);
        for (std::size_t i = 1; i < f.ops.size(); ++i) {
            CHECK(f.ops[i]->completions == 1);
            CHECK(f.ops[i]->outcome == error);
        }
        f.start(1);
        CHECK(f.ops.back()->completions == 0);
        f.poll();
        CHECK(f.ops.back()->outcome == error);
        CHECK(f.tested->operations_in_flight() == 0);
        // three writes are in the kernel: nobody may reuse their memory, or get the lock
        CHECK_FALSE(f.tested->is_idle());
        CHECK(f.tested->has_lost_track());
        f.home.restart();
        CHECK(f.home.run() == 0);  // and nothing keeps the context running
        f.tested.reset();
        CHECK(f.kernel->is_alive);  // leaked on purpose
    }
}

TEST_CASE("a ring that cannot be enabled fails operations with the reason", "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.enable_result = -EPERM; });
    f.start(2);
    f.poll();
    f.require_all_completed(-EPERM);
    f.tested.reset();
    CHECK_FALSE(f.kernel->is_alive);
}

TEST_CASE("a cancelled operation ends once, by its own completion", "[uring]") {
    ring_fixture f;
    f.start(3);
    f.poll();
    f.tested->cancel(*f.ops[1]);
    f.tested->cancel(*f.ops[1]);
    f.poll();
    CHECK(f.ops[1]->outcome == -ECANCELED);
    CHECK(f.ops[1]->completions == 1);
    CHECK(f.ops[0]->completions == 0);
    f.kernel->complete(0, 4096);
    f.kernel->complete(0, 4096);
    f.poll();
    CHECK(f.ops[0]->outcome == 4096);
    CHECK(f.tested->is_idle());
}

TEST_CASE("a cancel that comes too late changes nothing, even when the record is used again",
          "[uring]") {
    ring_fixture f;
    f.start(1);
    f.poll();
    f.kernel->complete(0, 4096);
    f.tested->cancel(*f.ops[0]);  // prepared before the completion was seen
    f.ops[0]->then = [&] {
        f.start(1);
    };
    f.poll();
    CHECK(f.ops[0]->outcome == 4096);
    REQUIRE(f.kernel->in_kernel.size() == 1);  // the next operation was not hit
    f.kernel->complete(0, 4096);
    f.poll();
    f.require_all_completed(4096);
    f.tested->cancel(*f.ops[0]);
    f.poll();
    f.require_all_completed(4096);
}

TEST_CASE("an operation waiting for room is cancelled without the kernel", "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.cq_entries = 2; });
    f.start(5);
    f.tested->cancel(*f.ops[3]);
    CHECK(f.ops[3]->completions == 0);
    f.poll();
    CHECK(f.ops[3]->outcome == -ECANCELED);
    while (!f.kernel->in_kernel.empty()) {
        f.kernel->complete(0, 4096);
        f.poll();
    }
    for (const std::size_t i : {0U, 1U, 2U, 4U}) {
        CHECK(f.ops[i]->outcome == 4096);
        CHECK(f.ops[i]->completions == 1);
    }
}

TEST_CASE("operations started by a completion run in a later turn", "[uring]") {
    ring_fixture f([](fake_kernel& kernel) { kernel.completes_at_once = true; });
    int depth = 0;
    int deepest = 0;
    constexpr std::size_t chain = 200;
    std::function<void()> next = [&] {
        deepest = std::max(deepest, ++depth);
        if (f.ops.size() < chain) {
            f.start(1);
            f.ops.back()->then = next;
            f.tested->submit();
        }
        --depth;
    };
    f.start(1);
    f.ops.back()->then = next;
    f.poll();
    CHECK(f.ops.size() == chain);
    CHECK(deepest == 1);
    f.require_all_completed(4096);
}

TEST_CASE(
    "the home context runs out of work when nothing is in flight, however completions arrived",
    "[uring]") {
    // A completion taken by a posted turn leaves the read of the eventfd without a signal.
    ring_fixture f;
    f.start(1);
    f.poll();
    f.kernel->is_notifying = false;
    f.kernel->complete(0, 4096);
    f.kernel->completes_at_once = true;
    f.start(1);
    f.home.restart();
    f.home.run();  // hangs, and with it the test, if the read stays armed
    f.require_all_completed(4096);
}

TEST_CASE("a second thread is refused and never touches the ring", "[uring][threads]") {
    ring_fixture f;
    f.start(1);
    f.poll();
    const unsigned enters = f.kernel->enters;
    CHECK(f.tested->is_on_home_thread());
    remembering_operation foreign;
    std::thread([&] {
        CHECK_FALSE(f.tested->is_on_home_thread());
        submission what;
        what.length_bytes = 4096;
        f.tested->start(foreign, what);
        f.tested->submit();
        CHECK(foreign.completions == 0);
    }).join();
    CHECK(f.kernel->enters == enters);
    CHECK(f.thread->is_violated());
    f.poll();
    CHECK(foreign.completions == 1);
    CHECK(foreign.outcome == wrong_thread_outcome);
    // The home thread goes on.
    f.start(1);
    f.poll();
    f.kernel->complete(0, 4096);
    f.kernel->complete(0, 4096);
    f.poll();
    f.require_all_completed(4096);
    CHECK(f.tested->is_idle());
}

TEST_CASE("completions that come out on a foreign thread find their way home", "[uring][threads]") {
    ring_fixture f;
    f.start(1);
    f.poll();
    const unsigned enters = f.kernel->enters;
    f.kernel->complete(0, 4096);
    std::thread([&] {
        f.home.restart();
        f.home.run_one();
    }).join();
    CHECK(f.ops[0]->completions == 0);
    CHECK(f.thread->is_violated());
    while (f.ops[0]->completions == 0) {
        f.home.restart();
        f.home.run_one();
    }
    CHECK(f.ops[0]->outcome == 4096);
    CHECK(f.kernel->enters == enters);
}

TEST_CASE("a device that never answers leaves the ring to the end of the process", "[uring]") {
    ring_fixture f;
    f.start(2);
    f.tested->submit();
    f.tested->wait(std::chrono::milliseconds(1));
    CHECK(f.ops[0]->completions == 0);
    CHECK_FALSE(f.tested->is_idle());
    f.tested->abandon();
    f.tested.reset();
    CHECK(f.kernel->is_alive);
    f.poll();  // handlers that are still queued find no ring
    CHECK(f.ops[0]->completions == 0);
}

TEST_CASE("waiting without the home context delivers what has arrived", "[uring]") {
    ring_fixture f;
    f.start(3);
    f.tested->wait(std::chrono::milliseconds(1));
    REQUIRE(f.kernel->in_kernel.size() == 3);
    while (!f.kernel->in_kernel.empty()) {
        f.kernel->complete(0, 4096);
    }
    f.tested->wait(std::chrono::seconds(1));
    f.require_all_completed(4096);
    f.tested.reset();
    CHECK_FALSE(f.kernel->is_alive);
}

TEST_CASE("file slots are given to locks first, used again and never more than there are",
          "[uring]") {
    using use = ring::file_use;
    ring_fixture f;
    CHECK_FALSE(f.tested->register_file(10, use::data));  // nobody's thread yet
    f.tested->claim_home();
    const auto a = f.tested->register_file(10, use::data);
    const auto b = f.tested->register_file(11, use::data);
    REQUIRE((a && b));
    CHECK_FALSE(f.tested->register_file(12, use::data));  // half of four
    const auto c = f.tested->register_file(13, use::lock);
    const auto d = f.tested->register_file(14, use::lock);
    REQUIRE((c && d));
    CHECK_FALSE(f.tested->register_file(15, use::lock));
    CHECK(f.tested->facts().locks_unregistered == 1);
    CHECK(f.kernel->files[*d] == 14);
    f.tested->release_file(*b);
    CHECK(f.kernel->files[*b] == -1);
    CHECK(f.tested->register_file(16, use::lock) == b);
    CHECK(f.tested->facts().file_slots_used == 4);
}

TEST_CASE("a refused registration falls back to the plain way and says so", "[uring]") {
    ring_fixture f;
    f.kernel->update_file_result = -EMFILE;
    f.kernel->update_buffer_result = -ENOMEM;
    f.tested->claim_home();
    CHECK_FALSE(f.tested->register_file(10, ring::file_use::data));
    std::vector<std::byte> memory(8192);
    f.tested->register_memory(memory);
    CHECK_FALSE(f.tested->registered_buffer(memory));
    CHECK(f.tested->facts().why_no_buffers.find("RLIMIT_MEMLOCK") != std::string::npos);
    CHECK(f.tested->describe().find("plain buffers (RLIMIT_MEMLOCK") != std::string::npos);
    CHECK(f.tested->facts().registered_bytes == 0);
}

TEST_CASE("a lock without a slot is told once in the log, and in the description", "[uring]") {
    using use = ring::file_use;
    struct expectation {
        unsigned slots;
        int update_result;
        const char* cause;
    };
    const expectation cases[] = {
        {0, 0, "no file table here"}, {4, -EMFILE, "errno 24"}, {1, 0, "file table is full"}};
    for (const expectation& expected : cases) {
        ring_fixture f([&](fake_kernel& kernel) {
            kernel.file_slots = expected.slots;
            kernel.update_file_result = expected.update_result;
        });
        f.tested->claim_home();
        CHECK_FALSE(f.tested->register_file(10, use::data));
        if (expected.slots == 1) {
            CHECK(f.tested->register_file(11, use::lock));
        }
        CHECK(f.said.str().empty());
        CHECK(f.tested->describe().find("not registered") == std::string::npos);
        CHECK_FALSE(f.tested->register_file(12, use::lock));
        const std::string said = f.said.str();
        INFO(said);
        CHECK(said.find("warning") != std::string::npos);
        CHECK(said.find("lock of a log is not registered") != std::string::npos);
        CHECK(said.find(expected.cause) != std::string::npos);
        CHECK(f.tested->describe().find("1 lock(s) not registered") != std::string::npos);
        CHECK_FALSE(f.tested->register_file(13, use::lock));
        CHECK(f.said.str() == said);
        CHECK(f.tested->describe().find("2 lock(s) not registered") != std::string::npos);
    }
}

TEST_CASE("a buffer counts as registered only when all of it is", "[uring]") {
    ring_fixture f;
    std::vector<std::byte> first(8192);
    std::vector<std::byte> second(4096);
    f.tested->register_memory(first);
    f.tested->register_memory(second);
    const std::span<const std::byte> whole(first);
    CHECK(f.tested->registered_buffer(whole) == 0);
    CHECK(f.tested->registered_buffer(whole.subspan(4096)) == 0);
    CHECK(f.tested->registered_buffer(second) == 1);
    CHECK_FALSE(f.tested->registered_buffer(std::span(first.data() + 4096, 8192)));
    std::vector<std::byte> third(1);
    f.tested->register_memory(third);
    CHECK_FALSE(f.tested->registered_buffer(third));
    CHECK(f.tested->facts().why_no_buffers == "the buffer table is full");
}

TEST_CASE("a completion may drain the ring it was delivered by", "[uring]") {
    ring_fixture f;
    f.start(4);
    f.poll();
    for (int i = 0; i < 3; ++i) {
        f.kernel->complete(0, 4096);
    }
    f.ops[0]->then = [&] {
        f.kernel->complete(0, 4096);
        while (f.tested->operations_in_flight() > 0) {
            f.tested->wait(std::chrono::milliseconds(1));
        }
        CHECK(f.ops[3]->completions == 1);
    };
    f.poll();
    f.require_all_completed(4096);
}
