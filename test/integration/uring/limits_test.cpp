// What the system may deny: io_uring itself, descriptors, locked memory. Each case runs in a child
// process, because limits and filters cannot be taken back.

#include "integration/uring/fixture.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CAISSON_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define CAISSON_TEST_SANITIZED 1
#endif
#endif

using namespace caisson;
using namespace caisson::uring;
using namespace caisson::uring::test;

namespace {

/// Runs `body` in a child; what it returns.
std::string in_child(const std::function<std::string()>& body) {
    int channel[2];
    REQUIRE(::pipe(channel) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const std::string text = body();
        const ssize_t written = ::write(channel[1], text.data(), text.size());
        ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(channel[1]);
    std::string text;
    std::array<char, 4096> part;
    for (ssize_t got = 0; (got = ::read(channel[0], part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    ::close(channel[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    INFO(text);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    return text;
}

/// From now on `system_call` fails with `error` in this process.
bool forbid(unsigned system_call, unsigned error) {
    std::array<sock_filter, 4> program{{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<__u32>(offsetof(seccomp_data, nr))},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, system_call},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// "CODE|MESSAGE" of a creation that must fail.
std::string creation_failure() {
    net::io_context home{1};
    auto created = real_world::create(home);
    if (created) {
        return "created";
    }
    return (created.error().code() == errc::uring_unavailable ? "unavailable|" : "other|") +
           created.error().message();
}

constexpr uid_t nobody = 65534;

/// CAP_IPC_LOCK lifts the limit of locked memory: it goes with root.
bool give_up_root() { return ::geteuid() != 0 || ::setresuid(nobody, nobody, nobody) == 0; }

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("io_uring forbidden by seccomp is one error that names the filter and the cure",
          "[uring][limits]") {
    for (const unsigned error : {unsigned{EPERM}, unsigned{ENOSYS}}) {
        const std::string text = in_child([error] {
            return forbid(SYS_io_uring_setup, error) ? creation_failure()
                                                     : std::string("no seccomp");
        });
        if (text == "no seccomp") {
            SKIP("seccomp filters are not allowed here");
        }
        INFO(text);
        CHECK(text.starts_with("unavailable|"));
        CHECK((contains(text, "seccomp") || contains(text, "io_uring_disabled")));
        CHECK(contains(text, "io_uring_setup"));
    }
}

TEST_CASE("a filter that allows the setup only is found before the first write",
          "[uring][limits]") {
    for (const unsigned call : {unsigned{SYS_io_uring_enter}, unsigned{SYS_io_uring_register}}) {
        const std::string text = in_child([call] {
            return forbid(call, EPERM) ? creation_failure() : std::string("no seccomp");
        });
        if (text == "no seccomp") {
            SKIP("seccomp filters are not allowed here");
        }
        INFO(text);
        CHECK(text.starts_with("unavailable|"));
        CHECK((contains(text, "seccomp") || contains(text, "io_uring_disabled")));
    }
}

TEST_CASE("no descriptor left is told with the limit", "[uring][limits]") {
#if defined(CAISSON_TEST_SANITIZED)
    SKIP("the sanitizer itself needs descriptors to look at objects");
#endif
    const std::string text = in_child([] {
        const rlimit none{3, 3};
        net::io_context home{1};  // has its own descriptors already
        ::setrlimit(RLIMIT_NOFILE, &none);
        auto created = real_world::create(home);
        return created ? std::string("created") : created.error().message();
    });
    INFO(text);
    CHECK(contains(text, "RLIMIT_NOFILE is 3"));
    CHECK(contains(text, "ulimit -n"));
}

TEST_CASE("a ring that needs locked memory where none is allowed is told with the limit",
          "[uring][limits]") {
    const std::string text = in_child([] {
        const rlimit nothing{0, 0};
        ::setrlimit(RLIMIT_MEMLOCK, &nothing);
        return give_up_root() ? creation_failure() : std::string("cannot give up root");
    });
    if (text == "cannot give up root" || text == "created") {
        SKIP(text);  // not every kernel charges the ring itself
    }
    INFO(text);
    CHECK(text.starts_with("unavailable|"));
    CHECK(contains(text, "RLIMIT_MEMLOCK is 0"));
}

TEST_CASE(
    "with little locked memory and few descriptors everything works, and the facts say what is off",
    "[uring][limits]") {
    temporary_directory place;
    if (::geteuid() == 0) {
        REQUIRE(::chown(place.path().c_str(), nobody, nobody) == 0);
    }
    const std::string text = in_child([&] {
        const rlimit little{128 * 1024, 128 * 1024};
        const rlimit few{24, 24};
        ::setrlimit(RLIMIT_MEMLOCK, &little);
        ::setrlimit(RLIMIT_NOFILE, &few);
        if (!give_up_root()) {
            return std::string("cannot give up root");
        }
        net::io_context home{1};
        auto created = real_world::create(home);
        if (!created) {
            return "not created: " + created.error().message();
        }
        io::disk& disk = created.value()->environment().disk;
        aligned_buffer memory =
            aligned_buffer::allocate(1 << 20, 4096, aligned_buffer::fill::zeroed);
        disk.register_memory(memory.bytes());
        std::unique_ptr<io::directory> root;
        remembering_operation opened;
        disk.start_open_root(opened, place.path().string(), io::root_mode::existing, root);
        home.run();
        if (!root) {
            return "root: " + std::to_string(opened.outcome);
        }
        std::vector<std::unique_ptr<io::file>> files(8);
        for (std::size_t i = 0; i < files.size(); ++i) {
            remembering_operation made;
            remembering_operation written;
            root->start_open(made, "data" + std::to_string(i), io::open_mode::create_direct,
                             files[i]);
            home.restart();
            home.run();
            if (!files[i]) {
                return "open: " + std::to_string(made.outcome);
            }
            files[i]->start_write(written, memory.bytes().first(4096), 0, io::write_mode::dsync);
            home.restart();
            home.run();
            if (written.outcome != 4096) {
                return "write: " + std::to_string(written.outcome);
            }
        }
        const ring_facts facts = created.value()->facts();
        if (facts.file_slots > 24) {
            return "slots: " + std::to_string(facts.file_slots);
        }
        return "worked|" + std::to_string(facts.registered_bytes) + "|" + facts.why_no_buffers;
    });
    if (text == "cannot give up root") {
        SKIP(text);
    }
    INFO(text);
    CHECK(contains(text, "worked|0|RLIMIT_MEMLOCK does not allow it"));
}

TEST_CASE("a ring of one thread refuses the second thread of its io_context and says which rule "
          "was broken",
          "[uring][threads]") {
    // Without SINGLE_ISSUER the kernel would not refuse it.
    const auto kernel = GENERATE(from_range(every_kernel()));
    CAPTURE(kernel);
    temporary_directory place;
    world w(kernel);
    auto root = w.open_root(place.path());
    auto file = w.open(*root, "data", io::open_mode::create_direct);
    aligned_buffer buffer = filled_buffer(4096, 1);
    remembering_operation foreign;
    std::thread([&] {
        file->start_write(foreign, buffer.bytes(), 0, io::write_mode::dsync);
    }).join();
    CHECK(w.real->environment().thread->is_violated());
    w.home.restart();
    w.home.run();
    CHECK(foreign.completions == 1);
    CHECK(foreign.outcome == -ENOTUNIQ);
    CHECK(std::filesystem::file_size(place.path() / "data") == 0);
    // What is under way at home can go on to its end.
    CHECK(w.write(*file, buffer.bytes(), 0) == 4096);
    CHECK(w.run([&](auto& op) { root->start_unlink(op, "data"); }) == 0);
}
