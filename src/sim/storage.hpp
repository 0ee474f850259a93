#pragma once
// storage: everything on one simulated disk: the tree of names (what is durable, what is visible,
// what lies between) and the content of the files. The value behind disk_image; knows nothing about
// time, requests or handles.

#include <caisson/sim.hpp>

#include "sim/file_content.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::sim {

using node_id = std::uint64_t;  // 0: none

struct node {
    enum class kind : std::uint8_t { file, directory, symlink };
    kind what = kind::file;
    file_content content;  // file
    /// What the inode says, not the number of names: a power cut inside a rename may leave two
    /// names or none.
    std::uint32_t links = 1;
    std::uint32_t handles = 0;               // open; keeps an unlinked file
    std::map<std::string, node_id> entries;  // directory: as running programs see it
    std::map<std::string, node_id> durable_entries;
};

class disk_image::impl {
public:
    static constexpr node_id root = 1;

    explicit impl(const world_options& options);

    [[nodiscard]] const world_options& options() const noexcept { return options_; }
    /// The power cuts of another world; sectors and blocks stay as they are.
    void adopt(const world_options& options) noexcept { options_ = options; }

    /// Sequence number of the latest change; what a sync that begins now covers.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
    std::uint64_t next_sequence() noexcept { return ++sequence_; }
    /// For a change that becomes visible now; with a `writer` it is still in flight.
    change_origin next_origin(std::uint64_t writer = 0) noexcept;

    [[nodiscard]] node* find_node(node_id id) noexcept;
    [[nodiscard]] const node* find_node(node_id id) const noexcept;
    [[nodiscard]] node_id find_entry(node_id directory, std::string_view name) const noexcept;
    [[nodiscard]] node_id resolve(std::string_view path, view which = view::now) const;
    /// The directory that holds the last component of `path`, and that component. {0, ""} when
    /// there is none.
    [[nodiscard]] std::pair<node_id, std::string> resolve_parent(std::string_view path) const;

    // Changes of names, visible at once. `in_flight`: nothing but a power cut decides about them.
    node_id create(node_id directory, std::string_view name, node::kind what,
                   bool in_flight = false);
    void link(node_id directory, std::string_view name, node_id target);
    void rename(node_id from_directory, std::string_view from, node_id to_directory,
                std::string_view to, bool in_flight = false);
    void unlink(node_id directory, std::string_view name, bool in_flight = false);
    void sync_directory(node_id directory, std::uint64_t covered);

    [[nodiscard]] std::uint64_t used_bytes() const;
    void forget_handles() noexcept;

    void crash(std::uint64_t seed, survival data, name_survival names);
    void settle();
    [[nodiscard]] std::uint64_t changes_unsynced() const noexcept;
    [[nodiscard]] std::uint64_t durable_hash() const noexcept;

private:
    struct name_register {
        node_id directory = 0;
        std::string name;
        node_id target = 0;
        friend bool is_same_place(const name_register& a, const name_register& b) {
            return a.directory == b.directory && a.name == b.name;
        }
    };
    // One atomic change: a rename within a directory sets two names; one across directories is two
    // changes.
    struct name_change {
        std::uint64_t sequence = 0;
        std::uint64_t covered_from = 0;
        std::vector<name_register> registers;
    };

    void change_names(std::vector<name_register> registers, std::uint64_t sequence, bool in_flight);
    void apply_durably(const name_change& change);
    void crash_names(crash_choice& choice);
    void collect_garbage();

    world_options options_;
    std::map<node_id, node> nodes_;
    std::vector<name_change> name_changes_;  // by sequence
    node_id last_id_ = root;
    std::uint64_t sequence_ = 0;
};

using storage = disk_image::impl;

}  // namespace caisson::sim
