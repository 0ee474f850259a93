// The real disk on the file system of the temporary directory: what the seam promises, done by the
// kernel.

#include "integration/uring/fixture.hpp"

#include "uring/setup_plan.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace caisson;
using namespace caisson::uring;
using namespace caisson::uring::test;

TEST_CASE("every flag set of the plan is what a kernel that knows no better gets", "[uring]") {
    const std::vector<granting_kernel> kernels = every_kernel();
    CHECK(kernels.size() == 4);
    for (const granting_kernel& kernel : kernels) {
        const std::string wanted = names_of_setup_flags(kernel.flags);
        const std::string agreed = make_port_of(kernel)->agreed().flags;
        if (wanted.starts_with("SINGLE_ISSUER") && agreed != wanted) {
            WARN("this kernel does not know " << wanted);  // before 6.1
            continue;
        }
        CHECK(agreed == wanted);
    }
}

TEST_CASE("a durable write is read back, alone and among many in flight, on the ring of every "
          "kernel",
          "[uring]") {
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    world w(kernel);
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    REQUIRE(file->block_size_bytes() >= 4096);

    constexpr int count = 700;  // more than the submission queue takes
    std::vector<aligned_buffer> buffers;
    std::vector<std::unique_ptr<remembering_operation>> ops;
    for (int i = 0; i < count; ++i) {
        buffers.push_back(filled_buffer(4096, i % 251));
        ops.push_back(std::make_unique<remembering_operation>());
        file->start_write(*ops.back(), buffers.back().bytes(), static_cast<std::uint64_t>(i) * 4096,
                          i % 7 == 0 ? io::write_mode::dsync : io::write_mode::plain);
    }
    CHECK(w.disk().operations_in_flight() == count);
    w.home.restart();
    w.home.run();
    CHECK(w.disk().operations_in_flight() == 0);
    for (const auto& op : ops) {
        CHECK(op->completions == 1);
        CHECK(op->outcome == 4096);
    }
    CHECK(w.run([&](auto& op) { file->start_sync(op); }) == 0);

    aligned_buffer back = filled_buffer(4096, 255);
    for (int i = 0; i < count; i += 97) {
        CHECK(w.read(*file, back.bytes(), static_cast<std::uint64_t>(i) * 4096) == 4096);
        CHECK(std::ranges::all_of(
            back.bytes(), [&](std::byte b) { return b == static_cast<std::byte>(i % 251); }));
    }
    CHECK(w.status(*file).length_bytes == count * 4096U);
}

TEST_CASE("registered memory is used for transfers and gives the same bytes", "[uring]") {
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    aligned_buffer pool = filled_buffer(64 * 1024, 7);
    world w(kernel);
    w.disk().register_memory(pool.bytes());
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    CHECK(w.write(*file, pool.bytes().subspan(8192, 4096), 0) == 4096);
    std::ranges::fill(pool.bytes(), std::byte{0});
    CHECK(w.read(*file, pool.bytes().first(4096), 0) == 4096);
    CHECK(pool.bytes()[17] == std::byte{7});
    const ring_facts facts = w.real->facts();
    CHECK((facts.registered_bytes == pool.size_bytes() || !facts.why_no_buffers.empty()));
    CHECK(facts.submissions == 2);
    CHECK(facts.cq_overflow == 0);
}

TEST_CASE("direct I/O refuses what is not aligned and reads short at the end of the file",
          "[uring]") {
    temporary_directory place;
    world w;
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    aligned_buffer buffer = filled_buffer(8192, 1);
    CHECK(w.write(*file, buffer.bytes(), 0) == 8192);
    if (root->traits().name == "ext4" || root->traits().name == "xfs") {
        CHECK(w.write(*file, buffer.bytes().first(4096), 100) == -EINVAL);
        CHECK(w.write(*file, buffer.bytes().first(100), 0) == -EINVAL);
        CHECK(w.write(*file, buffer.bytes().subspan(1, 4096), 0) == -EINVAL);
    }
    CHECK(w.run([&](auto& op) { file->start_truncate(op, 5000); }) == 0);
    CHECK(w.read(*file, buffer.bytes().first(4096), 4096) == 904);
    CHECK(w.read(*file, buffer.bytes().first(4096), 8192) == 0);
    CHECK(w.run([&](auto& op) { file->start_truncate(op, 8192); }) == 0);
    CHECK(w.read(*file, buffer.bytes(), 0) == 8192);
    CHECK(buffer.bytes()[4999] == std::byte{1});
    CHECK(buffer.bytes()[5000] == std::byte{0});
}

TEST_CASE("an allocation extends the length, reads as zeros and is undone as a whole when it fails",
          "[uring]") {
    temporary_directory place;
    world w;
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    const std::int64_t allocated = w.run([&](auto& op) { file->start_allocate(op, 0, 1 << 20); });
    if (allocated == -EOPNOTSUPP) {
        SKIP("the file system of the temporary directory cannot allocate");
    }
    CHECK(allocated == 0);
    const io::file_status before = w.status(*file);
    CHECK(before.length_bytes == 1U << 20);
    CHECK(before.allocated_bytes >= 1U << 20);
    aligned_buffer buffer = filled_buffer(4096, 1);
    CHECK(w.read(*file, buffer.bytes(), 8192) == 4096);
    CHECK(buffer.bytes()[0] == std::byte{0});

    CHECK(w.run([&](auto& op) { file->start_allocate(op, 4096, 4096); }) == -EINVAL);
    CHECK(w.run([&](auto& op) { file->start_allocate(op, 0, UINT64_MAX); }) == -EINVAL);
    CHECK(w.run([&](auto& op) { file->start_allocate(op, 0, std::uint64_t{1} << 62); }) == -EFBIG);
    CHECK(w.status(*file).length_bytes == before.length_bytes);
}

TEST_CASE("on a full ext4 an allocation changes nothing and cuts nothing written beside it",
          "[uring][root]") {
    // Method: a small ext4 in a file, loop-mounted. ext4 is the one that leaves a file grown after
    //         ENOSPC.
    temporary_directory place;
    const std::string image = (place.path() / "image").string();
    const std::string mounted = (place.path() / "mounted").string();
    const auto shell = [](const std::string& command) {
        return std::system((command + " >/dev/null 2>&1").c_str());
    };
    REQUIRE(::mkdir(mounted.c_str(), 0700) == 0);
    if (::geteuid() != 0 ||
        shell("truncate -s 32M " + image + " && mkfs.ext4 -q -F " + image) != 0 ||
        shell("mount -o loop " + image + " " + mounted) != 0) {
        SKIP("needs root, mkfs.ext4 and loop devices");
    }
    {
        world w;
        auto root = w.open_root(mounted);
        CHECK(root->traits().name == "ext4");
        auto file = w.open(*root, "data", io::open_mode::create_direct);
        CHECK(w.run([&](auto& op) { file->start_allocate(op, 0, 1 << 20); }) == 0);
        const io::file_status before = w.status(*file);
        CHECK(w.run([&](auto& op) { file->start_allocate(op, 1 << 20, 1 << 30); }) == -ENOSPC);
        const io::file_status after = w.status(*file);
        CHECK(after.length_bytes == before.length_bytes);
        // blocks of the extent tree may stay
        CHECK(after.allocated_bytes <= before.allocated_bytes + 65536);

        aligned_buffer buffer = filled_buffer(4096, 9);
        remembering_operation allocation;
        remembering_operation write;
        file->start_allocate(allocation, 1 << 20, 1 << 30);
        file->start_write(write, buffer.bytes(), 2 << 20, io::write_mode::dsync);
        w.home.restart();
        w.home.run();
        CHECK(allocation.outcome == -ENOSPC);
        // The write may have met the full disk; if it was acknowledged, it is there.
        if (write.outcome == 4096) {
            CHECK(w.status(*file).length_bytes == (2 << 20) + 4096);
            CHECK(w.read(*file, buffer.bytes(), 2 << 20) == 4096);
            CHECK(buffer.bytes()[0] == std::byte{9});
        } else {
            CHECK(write.outcome == -ENOSPC);
        }
    }
    CHECK(shell("umount " + mounted) == 0);
}

TEST_CASE(
    "files are created private and once, renamed with and without replacing, listed and removed",
    "[uring]") {
    temporary_directory place;
    const mode_t before = ::umask(0777);
    world w;
    auto root = w.open_root(place.path() / "log", io::root_mode::create);
    auto sub = [&] {
        std::unique_ptr<io::directory> opened;
        CHECK(w.run([&](auto& op) { root->start_open_directory(op, "spare", true, opened); }) == 0);
        return opened;
    }();
    REQUIRE(sub);
    {
        auto a = w.open(*root, "a", io::open_mode::create);
    }
    {
        auto b = w.open(*sub, "b", io::open_mode::create_direct);
    }
    ::umask(before);

    struct stat status{};
    REQUIRE(::stat((place.path() / "log").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0700);
    REQUIRE(::stat((place.path() / "log/spare").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0700);
    REQUIRE(::stat((place.path() / "log/spare/b").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);

    CHECK(w.open_outcome(*root, "a", io::open_mode::create) == -EEXIST);
    CHECK(w.run([&](auto& op) { sub->start_rename(op, "b", *root, "a", false); }) == -EEXIST);
    CHECK(w.run([&](auto& op) { sub->start_rename(op, "b", *root, "c", false); }) == 0);
    CHECK(w.run([&](auto& op) { root->start_rename(op, "c", *root, "a", true); }) == 0);
    CHECK(w.run([&](auto& op) { root->start_sync(op); }) == 0);

    std::vector<io::directory_entry> entries;
    CHECK(w.run([&](auto& op) { root->start_list(op, entries); }) == 0);
    std::ranges::sort(entries, {}, &io::directory_entry::name);
    REQUIRE(entries.size() == 2);
    CHECK((entries[0].name == "a" && entries[0].kind == io::entry_kind::file));
    CHECK((entries[1].name == "spare" && entries[1].kind == io::entry_kind::directory));

    CHECK(w.run([&](auto& op) { root->start_unlink(op, "a"); }) == 0);
    CHECK(w.run([&](auto& op) { root->start_unlink(op, "a"); }) == -ENOENT);
    CHECK(w.open_outcome(*root, "a", io::open_mode::read) == -ENOENT);
}

TEST_CASE("links, pipes, directories and paths are refused where a file belongs",
          "[uring][security]") {
    temporary_directory place;
    const auto path = [&](const char* name) {
        return (place.path() / name).string();
    };
    std::ofstream(path("real")) << "x";
    REQUIRE(::symlink("real", path("symlink").c_str()) == 0);
    REQUIRE(::link(path("real").c_str(), path("second").c_str()) == 0);
    REQUIRE(::mkfifo(path("pipe").c_str(), 0600) == 0);
    REQUIRE(::mkdir(path("dir").c_str(), 0700) == 0);
    REQUIRE(::symlink("dir", path("dirlink").c_str()) == 0);
    world w;
    auto root = w.open_root(place.path());
    for (const io::open_mode mode :
         {io::open_mode::read, io::open_mode::read_direct, io::open_mode::write_direct}) {
        CHECK(w.open_outcome(*root, "symlink", mode) == -ELOOP);
        CHECK(w.open_outcome(*root, "second", mode) == -EMLINK);
        CHECK(w.open_outcome(*root, "pipe", mode) < 0);
        CHECK(w.open_outcome(*root, "dir", mode) < 0);
    }
    for (const char* name : {"", ".", "..", "a/b", "/etc/passwd"}) {
        CHECK(w.open_outcome(*root, name, io::open_mode::create) == -EINVAL);
    }
    std::unique_ptr<io::directory> opened;
    CHECK(w.run([&](auto& op) { root->start_open_directory(op, "dirlink", false, opened); }) < 0);
    CHECK(w.run([&](auto& op) { root->start_open_directory(op, "..", false, opened); }) == -EINVAL);
    CHECK_FALSE(opened);
    std::unique_ptr<io::directory_lock> lock;
    CHECK(w.lock(*root, "symlink", lock) == -ELOOP);
    CHECK(w.lock(*root, "pipe", lock) == -EINVAL);
    CHECK_FALSE(lock);
}

TEST_CASE("a root that is missing, a file or a symbolic link is told apart", "[uring]") {
    temporary_directory place;
    std::ofstream(place.path() / "file") << "x";
    REQUIRE(::symlink(place.path().c_str(), (place.path() / "link").c_str()) == 0);
    world w;
    std::unique_ptr<io::directory> opened;
    const auto open = [&](const std::string& path, io::root_mode mode) {
        return w.run([&](auto& op) { w.disk().start_open_root(op, path, mode, opened); });
    };
    const std::string base = place.path().string();
    CHECK(open(base + "/none", io::root_mode::existing) == -ENOENT);
    CHECK(open(base + "/none/below", io::root_mode::create) == -ENOENT);
    CHECK(open(base + "/file", io::root_mode::existing) == -ENOTDIR);
    CHECK(open(base + "/file", io::root_mode::create) == -ENOTDIR);
    CHECK(open("", io::root_mode::create) == -ENOENT);
    CHECK_FALSE(opened);
    CHECK(open(base + "/link", io::root_mode::existing) == 0);  // the operator's word
    CHECK(opened->path() == base + "/link");
    CHECK(open(base + "/new/", io::root_mode::create) == 0);
    CHECK(open(base + "/new", io::root_mode::create) == 0);
}

TEST_CASE("memory file systems are recognised as not keeping data", "[uring]") {
    world w;
    if (::access("/dev/shm", W_OK) != 0) {
        SKIP("no /dev/shm here");
    }
    auto shared_memory = w.open_root("/dev/shm");
    CHECK(shared_memory->traits().name == "tmpfs");
    CHECK_FALSE(shared_memory->traits().keeps_data);

    temporary_directory place;
    auto root = w.open_root(place.path());
    CHECK_FALSE(root->traits().name.empty());
    CHECK(root->traits().block_size_bytes >= 4096);
    if (root->traits().name == "ext4" || root->traits().name == "xfs") {
        CHECK(root->traits().keeps_data);
        CHECK(root->traits().supports_direct);
        CHECK_FALSE(root->traits().copies_on_write);
    }
}

TEST_CASE("a write beyond RLIMIT_FSIZE is an error once SIGXFSZ is ignored", "[uring]") {
    temporary_directory place;
    world w;
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    aligned_buffer buffer = filled_buffer(4096, 1);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit limited = before;
    limited.rlim_cur = 8192;
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
    CHECK(w.write(*file, buffer.bytes(), 4096) == 4096);
    CHECK(w.write(*file, buffer.bytes(), 8192) == -EFBIG);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
}

TEST_CASE("cancelling ends every write once, with its outcome or ECANCELED", "[uring]") {
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    world w(kernel);
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    aligned_buffer buffer = filled_buffer(1 << 20, 3);
    int whole = 0;
    for (int i = 0; i < 100; ++i) {
        remembering_operation op;
        file->start_write(op, buffer.bytes(), static_cast<std::uint64_t>(i % 4) << 20,
                          io::write_mode::plain);
        if (i % 2 == 0) {
            w.disk().submit();
        }
        w.disk().cancel(op);
        w.home.restart();
        w.home.run();
        CHECK(op.completions == 1);
        CHECK((op.outcome == 1 << 20 || op.outcome == -ECANCELED));
        whole += op.outcome > 0 ? 1 : 0;
        w.disk().cancel(op);  // too late: nothing happens
    }
    CHECK(w.disk().operations_in_flight() == 0);
    INFO("completed in spite of the cancel: " << whole);
}

TEST_CASE("a world destroyed with writes in flight waits for them", "[uring]") {
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    aligned_buffer buffer = filled_buffer(1 << 20, 3);
    remembering_operation write;
    remembering_operation status;
    io::file_status into;
    net::io_context home{1};
    auto created = real_world::create_on(home, make_port_of(kernel));
    std::unique_ptr<io::directory> root;
    std::unique_ptr<io::file> file;
    remembering_operation opened;
    created->environment().disk.start_open_root(opened, place.path().string(),
                                                io::root_mode::existing, root);
    home.run();
    remembering_operation made;
    root->start_open(made, "data", io::open_mode::create_direct, file);
    home.restart();
    home.run();
    file->start_write(write, buffer.bytes(), 0, io::write_mode::dsync);
    file->start_status(status, into);
    // Handles go before the world, but not before what was started on them has ended.
    write.then = [&] {
    };
    CHECK(created->drain(std::chrono::seconds(30)));
    CHECK(write.outcome == 1 << 20);
    CHECK(status.outcome == 0);
    file.reset();
    root.reset();
    created.reset();
    CHECK(write.completions == 1);
}

TEST_CASE("the clock sleeps, is cancelled, and the io_context returns when nothing is pending",
          "[uring]") {
    world w;
    io::clock& clock = w.real->environment().clock;
    const std::uint64_t before_ns = clock.monotonic_ns();
    CHECK(w.run([&](auto& op) { clock.start_sleep(op, 2'000'000); }) == 0);
    CHECK(clock.monotonic_ns() - before_ns >= 2'000'000);
    CHECK(clock.wall_us() > 1'600'000'000'000'000);
    remembering_operation op;
    clock.start_sleep(op, UINT64_MAX);
    clock.cancel_sleep(op);
    w.home.restart();
    w.home.run();
    CHECK(op.outcome == -ECANCELED);
    clock.cancel_sleep(op);

    std::array<std::byte, 64> a{};
    std::array<std::byte, 64> b{};
    w.real->environment().random.fill(a);
    w.real->environment().random.fill(b);
    CHECK(a != b);
}
