#pragma once
// machine: a simulated world whose disk is used by plain calls, each stepping the world until its
// operation is done. For tests of the simulation itself. Knows nothing about logs.

#include <caisson/sim.hpp>

#include "io/environment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::sim {

/// An operation that remembers what became of it.
class observed_operation final : public io::operation {
public:
    observed_operation() noexcept : operation(&observed_operation::on_complete) {}

    bool is_done = false;
    int completions = 0;
    std::int64_t outcome = 0;

private:
    static void on_complete(operation& self, std::int64_t outcome) noexcept {
        auto& observed = static_cast<observed_operation&>(self);
        observed.is_done = true;
        ++observed.completions;
        observed.outcome = outcome;
    }
};

constexpr std::size_t block_bytes = 4096;

/// Bytes at block alignment, filled with `value`.
class block_buffer {
public:
    explicit block_buffer(std::size_t size_bytes, std::uint8_t value = 0)
        : memory_(size_bytes + block_bytes), size_bytes_(size_bytes) {
        void* begin = memory_.data();
        std::size_t space = memory_.size();
        aligned_ = static_cast<std::byte*>(std::align(block_bytes, size_bytes, begin, space));
        std::fill_n(aligned_, size_bytes, static_cast<std::byte>(value));
    }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {aligned_, size_bytes_}; }

private:
    std::vector<std::byte> memory_;
    std::size_t size_bytes_;
    std::byte* aligned_;
};

inline world_options quiet() {
    world_options options;
    options.early_events_per_million = 0;
    options.stalls_per_million = 0;
    options.garble_in_flight = false;
    return options;
}

class machine {
public:
    explicit machine(std::uint64_t seed = 1, const world_options& options = quiet())
        : world(seed, options) {}

    template <class Start>
    std::int64_t finish(Start start) {
        observed_operation op;
        start(op);
        while (!op.is_done && world.step()) {
        }
        return op.is_done ? op.outcome : INT64_MAX;  // stuck
    }

    std::unique_ptr<io::directory> root(std::string_view path = "/log",
                                        io::root_mode mode = io::root_mode::create) {
        std::unique_ptr<io::directory> opened;
        last = finish([&](io::operation& op) {
            world.environment().disk.start_open_root(op, path, mode, opened);
        });
        return opened;
    }
    std::unique_ptr<io::directory> below(io::directory& in, std::string_view name,
                                         bool create = true) {
        std::unique_ptr<io::directory> opened;
        last =
            finish([&](io::operation& op) { in.start_open_directory(op, name, create, opened); });
        return opened;
    }
    std::unique_ptr<io::file> open(io::directory& in, std::string_view name, io::open_mode mode) {
        std::unique_ptr<io::file> opened;
        last = finish([&](io::operation& op) { in.start_open(op, name, mode, opened); });
        return opened;
    }
    std::unique_ptr<io::file> create(io::directory& in, std::string_view name) {
        return open(in, name, io::open_mode::create_direct);
    }
    std::int64_t write(io::file& to, std::span<const std::byte> bytes, std::uint64_t position,
                       io::write_mode mode = io::write_mode::plain) {
        return finish([&](io::operation& op) { to.start_write(op, bytes, position, mode); });
    }
    /// Writes `blocks` blocks of `value`.
    std::int64_t fill(io::file& to, std::uint8_t value, std::uint64_t position,
                      std::size_t blocks = 1, io::write_mode mode = io::write_mode::plain) {
        const block_buffer buffer(blocks * block_bytes, value);
        return write(to, buffer.bytes(), position, mode);
    }
    std::vector<std::byte> read(io::file& from, std::uint64_t position, std::size_t bytes) {
        const block_buffer buffer(bytes);
        last = finish([&](io::operation& op) { from.start_read(op, buffer.bytes(), position); });
        const std::size_t got = last > 0 ? static_cast<std::size_t>(last) : 0;
        return {buffer.bytes().begin(), buffer.bytes().begin() + static_cast<std::ptrdiff_t>(got)};
    }
    std::int64_t sync(io::file& what) {
        return finish([&](io::operation& op) { what.start_sync(op); });
    }
    std::int64_t sync(io::directory& what) {
        return finish([&](io::operation& op) { what.start_sync(op); });
    }
    std::int64_t truncate(io::file& what, std::uint64_t length_bytes) {
        return finish([&](io::operation& op) { what.start_truncate(op, length_bytes); });
    }
    std::int64_t allocate(io::file& what, std::uint64_t begin, std::uint64_t end) {
        return finish([&](io::operation& op) { what.start_allocate(op, begin, end); });
    }
    std::int64_t rename(io::directory& in, std::string_view from, io::directory& to_directory,
                        std::string_view to, bool replace = false) {
        return finish(
            [&](io::operation& op) { in.start_rename(op, from, to_directory, to, replace); });
    }
    std::int64_t unlink(io::directory& in, std::string_view name) {
        return finish([&](io::operation& op) { in.start_unlink(op, name); });
    }
    io::file_status status(io::file& of) {
        io::file_status status;
        last = finish([&](io::operation& op) { of.start_status(op, status); });
        return status;
    }
    std::vector<std::string> list(io::directory& in) {
        std::vector<io::directory_entry> entries;
        last = finish([&](io::operation& op) { in.start_list(op, entries); });
        std::vector<std::string> names;
        for (const io::directory_entry& each : entries) {
            names.push_back(each.name);
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    std::unique_ptr<io::directory_lock> lock(io::directory& in, std::string_view name = "LOCK") {
        std::unique_ptr<io::directory_lock> taken;
        last = finish([&](io::operation& op) { in.start_lock(op, name, taken); });
        return taken;
    }

    // Declared before what is opened on it in the tests, so that it outlives the handles.
    sim::world world;
    std::int64_t last = 0;  // outcome of the last call that returns an object
};

/// What one block of a file holds: its value when it is filled evenly, -1 when mixed, -2 when not
/// there.
inline int value_of(const std::optional<std::vector<std::byte>>& file, std::uint64_t position,
                    std::size_t bytes = block_bytes) {
    if (!file || file->size() < position + bytes) {
        return -2;
    }
    const auto begin = file->begin() + static_cast<std::ptrdiff_t>(position);
    const bool is_even = std::all_of(begin, begin + static_cast<std::ptrdiff_t>(bytes),
                                     [&](std::byte each) { return each == *begin; });
    return is_even ? static_cast<int>(*begin) : -1;
}

}  // namespace caisson::sim
