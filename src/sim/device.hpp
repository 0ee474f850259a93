#pragma once
// device: the simulated machine's disk under all its lives: starts, delays, performs and fails
// requests against the storage. The handles in handles.hpp are its face towards the engine. Read
// docs/simulation.md.

#include "sim/request.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace caisson::sim {

class device {
public:
    device(scheduler& on, storage& content, world_counters& counters, const world_options& options,
           std::uint64_t seed);

    [[nodiscard]] const world_options& options() const noexcept { return options_; }
    [[nodiscard]] storage& content() noexcept { return storage_; }
    [[nodiscard]] fault_plan& faults() noexcept { return faults_; }
    [[nodiscard]] const io::file_system_traits& traits() const noexcept { return traits_; }

    /// Takes the operation; it completes later, or never when the life of its process is over.
    /// `preset_outcome` < 0: already known to fail with this.
    void start(life_state& life, io::operation& op, request_data asked,
               std::int64_t preset_outcome = 0);
    void cancel(io::operation& op);
    [[nodiscard]] std::uint64_t in_flight(const life_state& life) const noexcept;

    // From the requests and handles.
    [[nodiscard]] std::int64_t perform(request& what);
    void forget(const request& what);
    void record_outcome(const request& what, std::int64_t outcome);
    void release_handle(node_id id, const life_state& life);
    void release_lock(node_id id, std::uint64_t holder);

    // Ends of lives. Afterwards the scheduler may destroy the life's tasks.
    void power_cut(std::uint64_t seed, survival data, name_survival names);
    void kill_process(const life_state& life);
    /// Makes operations in flight unsynced changes of `into`, which is a copy of the content.
    void absorb_into(storage& into) const;

    void set_capacity(std::uint64_t bytes, int error_number) noexcept;
    void set_read_only(bool read_only) noexcept { is_read_only_ = read_only; }
    bool lock_from_outside(node_id id);
    void unlock_from_outside(node_id id);

private:
    struct lock_holder {
        node_id file = 0;
        std::uint64_t holder = 0;
        std::uint64_t life = 0;
        bool is_draining = false;  // its process is dead, its requests are not
    };
    static constexpr std::uint64_t outsider = 0;

    [[nodiscard]] std::uint64_t draw_latency(const request& what);
    [[nodiscard]] byte_range sectors_of(byte_range bytes) const noexcept;
    void note_overlap(const request& started);
    void note_races(const request& started);

    // device_data.cpp
    [[nodiscard]] std::int64_t do_read(request& what, node& file);
    [[nodiscard]] std::int64_t do_write(request& what, node& file);
    [[nodiscard]] std::int64_t do_sync(request& what, node& file);
    [[nodiscard]] std::int64_t do_truncate(request& what, node& file);
    [[nodiscard]] std::int64_t do_allocate(request& what, node& file);
    [[nodiscard]] std::int64_t do_status(request& what, node& file);
    [[nodiscard]] std::int64_t perform_on_file(request& what);
    [[nodiscard]] std::uint64_t writable_bytes(const request& what, const node& file,
                                               std::uint64_t wanted);
    [[nodiscard]] std::uint64_t shortened(const request& what, std::uint64_t bytes);
    void land(request& what, node& file, std::span<const std::byte> bytes, std::uint64_t position);
    void land_in_part(request& what, node& file);
    void hurry_writes_in(const request& reader);

    // device_names.cpp
    [[nodiscard]] std::int64_t perform_on_names(request& what);
    [[nodiscard]] std::int64_t do_open_root(request& what);
    [[nodiscard]] std::int64_t do_open_directory(request& what);
    [[nodiscard]] std::int64_t do_open(request& what);
    [[nodiscard]] std::int64_t do_create(request& what);
    [[nodiscard]] std::int64_t do_list(request& what);
    [[nodiscard]] std::int64_t do_rename(request& what);
    [[nodiscard]] std::int64_t do_unlink(request& what);
    [[nodiscard]] std::int64_t do_lock(request& what);
    void hand_out_file(request& what, node_id id);
    void hand_out_directory(request& what, node_id id, std::string path);

    scheduler& scheduler_;
    storage& storage_;
    world_counters& counters_;
    world_options options_;
    prng random_;
    fault_plan faults_;
    io::file_system_traits traits_;
    std::vector<request*> in_flight_;  // in the order of their starts
    std::vector<lock_holder> locks_;
    life_state kernel_;  // life 0: the zombies
    std::uint64_t last_request_ = 0;
    std::uint64_t last_holder_ = outsider;
    std::uint64_t capacity_bytes_ = 0;
    int capacity_error_ = 0;
    bool is_read_only_ = false;
};

/// -EINVAL or -ENAMETOOLONG for what is not one component of a path, otherwise 0.
[[nodiscard]] std::int64_t check_name(std::string_view name) noexcept;

}  // namespace caisson::sim
