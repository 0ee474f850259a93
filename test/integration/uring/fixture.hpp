#pragma once
// What the tests of the real disk share: a temporary directory on a disk file system, an operation
// that remembers its outcome, and a world to run it in.

#include "base/aligned_buffer.hpp"
#include "support/granting_kernel.hpp"
#include "support/remembering_operation.hpp"
#include "uring/real_world.hpp"

#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace caisson::uring::test {

using caisson::test::every_kernel;
using caisson::test::granting_kernel;
using caisson::test::make_port_of;
using caisson::test::remembering_operation;

/// A directory that goes with the test.
class temporary_directory {
public:
    temporary_directory() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "caisson-uring-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~temporary_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// A world on its own io_context, run by the calling thread until an operation has ended.
class world {
public:
    explicit world(const real_world_options& options = {}) {
        auto created = real_world::create(home, options);
        if (!created) {
            FAIL(created.error().message());
        }
        real = std::move(created.value());
    }
    explicit world(const granting_kernel& kernel)
        : real(real_world::create_on(home, make_port_of(kernel))) {}

    template <class Start>
    std::int64_t run(Start start) {
        remembering_operation op;
        start(op);
        CHECK(op.completions == 0);  // never inline
        home.restart();
        home.run();
        CHECK(op.completions == 1);
        return op.outcome;
    }

    std::unique_ptr<io::directory> open_root(const std::filesystem::path& path,
                                             io::root_mode mode = io::root_mode::existing) {
        std::unique_ptr<io::directory> opened;
        CHECK(run([&](auto& op) { disk().start_open_root(op, path.string(), mode, opened); }) == 0);
        REQUIRE(opened);
        return opened;
    }
    std::unique_ptr<io::file> open(io::directory& in, const std::string& name, io::open_mode mode) {
        std::unique_ptr<io::file> opened;
        CHECK(run([&](auto& op) { in.start_open(op, name, mode, opened); }) == 0);
        REQUIRE(opened);
        return opened;
    }
    std::int64_t open_outcome(io::directory& in, const std::string& name, io::open_mode mode) {
        std::unique_ptr<io::file> opened;
        return run([&](auto& op) { in.start_open(op, name, mode, opened); });
    }
    std::int64_t write(io::file& to, std::span<const std::byte> bytes, std::uint64_t position_bytes,
                       io::write_mode mode = io::write_mode::dsync) {
        return run([&](auto& op) { to.start_write(op, bytes, position_bytes, mode); });
    }
    std::int64_t read(io::file& from, std::span<std::byte> into, std::uint64_t position_bytes) {
        return run([&](auto& op) { from.start_read(op, into, position_bytes); });
    }
    io::file_status status(io::file& of) {
        io::file_status status;
        CHECK(run([&](auto& op) { of.start_status(op, status); }) == 0);
        return status;
    }
    std::int64_t lock(io::directory& in, const std::string& name,
                      std::unique_ptr<io::directory_lock>& into) {
        return run([&](auto& op) { in.start_lock(op, name, into); });
    }
    io::disk& disk() { return real->environment().disk; }

    net::io_context home{1};
    std::unique_ptr<real_world> real;
};

inline aligned_buffer filled_buffer(std::size_t size_bytes, int value) {
    aligned_buffer buffer = aligned_buffer::allocate(size_bytes, 4096);
    REQUIRE(buffer);
    std::ranges::fill(buffer.bytes(), static_cast<std::byte>(value));
    return buffer;
}

}  // namespace caisson::uring::test
