// The lock on a directory: between handles, between processes, and across the death of its owner.

#include "integration/uring/fixture.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace caisson;
using namespace caisson::uring;
using namespace caisson::uring::test;

namespace {

/// 0 when the lock is free, otherwise errno.
int try_lock(const std::filesystem::path& file) {
    const int opened = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(opened >= 0);
    const int result = ::flock(opened, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    ::close(opened);
    return result;
}

}  // namespace

TEST_CASE("a lock excludes a second handle of the same process and is free when it goes",
          "[uring][lock]") {
    temporary_directory place;
    world w;
    auto root = w.open_root(place.path());
    auto other = w.open_root(place.path());
    std::unique_ptr<io::directory_lock> first;
    std::unique_ptr<io::directory_lock> second;
    CHECK(w.lock(*root, "LOCK", first) == 0);
    REQUIRE(first);
    CHECK(w.lock(*other, "LOCK", second) == -EWOULDBLOCK);
    CHECK_FALSE(second);
    CHECK(w.real->facts().file_slots_used == 1);  // registered in the ring
    CHECK(w.real->facts().locks_unregistered == 0);
    struct stat status{};
    REQUIRE(::stat((place.path() / "LOCK").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);

    first.reset();
    CHECK(w.real->facts().file_slots_used == 0);
    CHECK(try_lock(place.path() / "LOCK") == 0);
    CHECK(w.lock(*other, "LOCK", second) == 0);
}

TEST_CASE("whoever deletes the lock's file defeats the lock: the next owner makes another one",
          "[uring][lock]") {
    // The documented limit (caisson/engine.hpp).
    temporary_directory place;
    world w;
    auto root = w.open_root(place.path());
    std::unique_ptr<io::directory_lock> first;
    REQUIRE(w.lock(*root, "LOCK", first) == 0);
    std::filesystem::remove(place.path() / "LOCK");
    std::unique_ptr<io::directory_lock> second;
    CHECK(w.lock(*root, "LOCK", second) == 0);
    CHECK(try_lock(place.path() / "LOCK") == EWOULDBLOCK);
}

TEST_CASE("an open file in the ring keeps its lock after every descriptor is closed",
          "[uring][lock]") {
    // What keeps a killed owner's lock alive until its writes have landed: the ring's reference.
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    auto w = std::make_unique<world>(kernel);
    auto root = w->open_root(place.path());
    std::unique_ptr<io::directory_lock> lock;
    REQUIRE(w->lock(*root, "LOCK", lock) == 0);
    struct stat wanted{};
    REQUIRE(::stat((place.path() / "LOCK").c_str(), &wanted) == 0);
    int closed = 0;
    for (int number = 3; number < 256; ++number) {
        struct stat status{};
        if (::fstat(number, &status) == 0 && status.st_ino == wanted.st_ino &&
            status.st_dev == wanted.st_dev) {
            ::close(number);
            // Keeps the number taken, so that the handle's own close hits nothing else.
            REQUIRE(::dup2(0, number) == number);
            ++closed;
        }
    }
    CHECK(closed == 1);
    CHECK(try_lock(place.path() / "LOCK") == EWOULDBLOCK);
    lock.reset();  // clears the slot of the ring, the last reference
    CHECK(try_lock(place.path() / "LOCK") == 0);
}

TEST_CASE("a killed owner's lock is held while it lives and free soon after",
          "[uring][lock][process]") {
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // Only plain calls of the world here: a failed check of the test framework must not run on
        // in the child.
        net::io_context home{1};
        auto created = real_world::create_on(home, make_port_of(kernel));
        std::unique_ptr<io::directory> root;
        std::unique_ptr<io::file> file;
        std::unique_ptr<io::directory_lock> lock;
        remembering_operation opened;
        remembering_operation locked;
        remembering_operation made;
        io::disk& disk = created->environment().disk;
        disk.start_open_root(opened, place.path().string(), io::root_mode::existing, root);
        home.run();
        root->start_lock(locked, "LOCK", lock);
        root->start_open(made, "data", io::open_mode::create_direct, file);
        home.restart();
        home.run();
        aligned_buffer buffer =
            aligned_buffer::allocate(1 << 20, 4096, aligned_buffer::fill::zeroed);
        std::vector<std::unique_ptr<remembering_operation>> writes;
        for (std::uint64_t i = 0; i < 64; ++i) {
            writes.push_back(std::make_unique<remembering_operation>());
            file->start_write(*writes.back(), buffer.bytes(), i << 20, io::write_mode::dsync);
        }
        disk.submit();
        const char outcome = locked.outcome == 0 && made.outcome == 0 ? 'k' : 'f';
        if (::write(ready[1], &outcome, 1) != 1) {
            ::_exit(2);
        }
        while (true) {
            ::pause();
        }
    }
    char outcome = 0;
    REQUIRE(::read(ready[0], &outcome, 1) == 1);
    CHECK(outcome == 'k');
    CHECK(try_lock(place.path() / "LOCK") == EWOULDBLOCK);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);

    // The successor waits as `lock_wait` does: the ring of the dead lets go when its writes have
    // ended.
    world w;
    auto root = w.open_root(place.path());
    std::unique_ptr<io::directory_lock> lock;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::int64_t outcome_of_lock = -EWOULDBLOCK;
    while (outcome_of_lock == -EWOULDBLOCK && std::chrono::steady_clock::now() < deadline) {
        outcome_of_lock = w.lock(*root, "LOCK", lock);
        io::clock& clock = w.real->environment().clock;
        w.run([&](auto& op) { clock.start_sleep(op, 1'000'000); });
    }
    CHECK(outcome_of_lock == 0);
    ::close(ready[0]);
    ::close(ready[1]);
}
