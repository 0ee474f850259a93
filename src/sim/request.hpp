#pragma once
// request: one operation under way on the simulated disk, from its start to its completion. Plain
// data: what it does is in device_data.cpp and device_names.cpp.

#include "io/disk.hpp"
#include "sim/executor.hpp"
#include "sim/fault_plan.hpp"
#include "sim/scheduler.hpp"
#include "sim/storage.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace caisson::sim {

class device;

/// What was asked. Only the fields of its kind are set.
struct request_data {
    operation_kind kind = operation_kind::any;
    node_id target = 0;     // the file, or the directory that is worked on
    node_id directory = 0;  // rename: where to
    std::string name;       // of the entry; of the file for operations on open files
    std::string new_name;
    // rename: replace. open_root, open_directory: create. read: through the page cache
    bool flag = false;
    io::open_mode mode = io::open_mode::read;
    io::write_mode durability = io::write_mode::plain;
    std::span<std::byte> into;
    std::span<const std::byte> from;
    byte_range range;        // bytes of the file; truncate: begin is the length
    void* result = nullptr;  // the caller's object, of the type that the kind says
};

class request final : public task {
public:
    request(device& on, life_state& life, io::operation* op, request_data asked) noexcept
        : task(life.number), data(std::move(asked)), device_(&on), life_(&life), operation_(op) {}
    /// Abandons the operation when it has not run.
    ~request() override;
    void run() override;

    [[nodiscard]] const life_state& process() const noexcept { return *life_; }
    [[nodiscard]] life_state& owner() noexcept { return *life_; }
    /// A request of a dead process that the kernel goes on with: the same, with its own bytes and
    /// nobody to tell.
    [[nodiscard]] std::unique_ptr<request> make_zombie(life_state& kernel) const;
    [[nodiscard]] bool is_zombie() const noexcept { return dead_life != 0; }

    request_data data;
    std::uint64_t id = 0;
    verdict fate;
    std::int64_t preset_outcome = 0;  // < 0: decided at the start
    std::uint64_t sequence_at_start = 0;
    std::uint64_t content_hash = 0;  // of a write's bytes when it started
    std::vector<bool> landed;        // write: sectors that are visible already; empty: none
    std::vector<byte_range> raced;   // write: sectors of others that completed meanwhile
    std::uint64_t dead_life = 0;     // zombie: the process that started it

private:
    device* device_;
    life_state* life_;
    io::operation* operation_;  // null for a zombie
    std::vector<std::byte> own_bytes_;
};

}  // namespace caisson::sim
