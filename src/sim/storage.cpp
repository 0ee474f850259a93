#include "sim/storage.hpp"

#include "base/assert.hpp"
#include "sim/mix.hpp"

#include <algorithm>

namespace caisson::sim {

namespace {

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (!part.empty() && part != ".") {
            parts.emplace_back(part);
        }
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    }
    return parts;
}

}  // namespace

disk_image::impl::impl(const world_options& options) : options_(options) {
    nodes_.emplace(
        root, node{.what = node::kind::directory,
                   .content = file_content(options.sector_size_bytes, options.block_size_bytes),
                   .links = 1,
                   .handles = 0,
                   .entries = {},
                   .durable_entries = {}});
}

change_origin disk_image::impl::next_origin(std::uint64_t writer) noexcept {
    const std::uint64_t sequence = next_sequence();
    return {sequence, writer == 0 ? sequence : change_origin::never, writer};
}

node* disk_image::impl::find_node(node_id id) noexcept {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : &found->second;
}

const node* disk_image::impl::find_node(node_id id) const noexcept {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : &found->second;
}

node_id disk_image::impl::find_entry(node_id directory, std::string_view name) const noexcept {
    const node* in = find_node(directory);
    if (in == nullptr) {
        return 0;
    }
    const auto found = in->entries.find(std::string(name));
    return found == in->entries.end() ? 0 : found->second;
}

node_id disk_image::impl::resolve(std::string_view path, view which) const {
    node_id at = root;
    for (const std::string& part : split_path(path)) {
        const node* in = find_node(at);
        if (in == nullptr || in->what != node::kind::directory) {
            return 0;
        }
        const auto& entries = which == view::now ? in->entries : in->durable_entries;
        const auto found = entries.find(part);
        if (found == entries.end()) {
            return 0;
        }
        at = found->second;
    }
    return at;
}

std::pair<node_id, std::string> disk_image::impl::resolve_parent(std::string_view path) const {
    std::vector<std::string> parts = split_path(path);
    if (parts.empty()) {
        return {};
    }
    std::string last = std::move(parts.back());
    parts.pop_back();
    std::string above;
    for (const std::string& part : parts) {
        above += "/" + part;
    }
    const node_id parent = resolve(above);
    const node* in = find_node(parent);
    if (in == nullptr || in->what != node::kind::directory) {
        return {};
    }
    return {parent, std::move(last)};
}

void disk_image::impl::change_names(std::vector<name_register> registers, std::uint64_t sequence,
                                    bool in_flight) {
    for (const name_register& each : registers) {
        auto& entries = nodes_.at(each.directory).entries;
        if (each.target == 0) {
            entries.erase(each.name);
        } else {
            entries.insert_or_assign(each.name, each.target);
        }
    }
    name_changes_.push_back(
        {sequence, in_flight ? change_origin::never : sequence, std::move(registers)});
}

node_id disk_image::impl::create(node_id directory, std::string_view name, node::kind what,
                                 bool in_flight) {
    const node_id id = ++last_id_;
    nodes_.emplace(
        id, node{.what = what,
                 .content = file_content(options_.sector_size_bytes, options_.block_size_bytes),
                 .links = 1,
                 .handles = 0,
                 .entries = {},
                 .durable_entries = {}});
    change_names({{directory, std::string(name), id}}, next_sequence(), in_flight);
    return id;
}

void disk_image::impl::link(node_id directory, std::string_view name, node_id target) {
    nodes_.at(target).links++;
    change_names({{directory, std::string(name), target}}, next_sequence(), false);
}

void disk_image::impl::rename(node_id from_directory, std::string_view from, node_id to_directory,
                              std::string_view to, bool in_flight) {
    const node_id moved = find_entry(from_directory, from);
    CAISSON_ASSERT(moved != 0);
    if (from_directory == to_directory && from == to) {
        return;
    }
    const std::uint64_t sequence = next_sequence();
    if (from_directory == to_directory) {
        change_names(
            {{from_directory, std::string(from), 0}, {to_directory, std::string(to), moved}},
            sequence, in_flight);
        return;
    }
    // Two directories, two syncs: the power may go in between (docs/simulation.md, "Names").
    change_names({{from_directory, std::string(from), 0}}, sequence, in_flight);
    change_names({{to_directory, std::string(to), moved}}, sequence, in_flight);
}

void disk_image::impl::unlink(node_id directory, std::string_view name, bool in_flight) {
    change_names({{directory, std::string(name), 0}}, next_sequence(), in_flight);
}

void disk_image::impl::apply_durably(const name_change& change) {
    for (const name_register& each : change.registers) {
        const auto directory = nodes_.find(each.directory);
        if (directory == nodes_.end()) {
            continue;  // its directory did not survive
        }
        if (each.target == 0) {
            directory->second.durable_entries.erase(each.name);
        } else {
            directory->second.durable_entries.insert_or_assign(each.name, each.target);
        }
    }
}

void disk_image::impl::sync_directory(node_id directory, std::uint64_t covered) {
    std::vector<name_change> left;
    for (name_change& each : name_changes_) {
        if (each.registers.front().directory == directory && each.covered_from <= covered) {
            apply_durably(each);
        } else {
            left.push_back(std::move(each));
        }
    }
    name_changes_ = std::move(left);
    collect_garbage();
}

// Keeps what has a name, may get one back in a power cut, or is open.
void disk_image::impl::collect_garbage() {
    std::vector<node_id> reached = {root};
    for (const name_change& each : name_changes_) {
        for (const name_register& place : each.registers) {
            reached.push_back(place.target);
        }
    }
    for (const auto& [id, each] : nodes_) {
        if (each.handles > 0) {
            reached.push_back(id);
        }
    }
    std::vector<bool> is_kept(last_id_ + 1);
    while (!reached.empty()) {
        const node_id id = reached.back();
        reached.pop_back();
        const node* found = find_node(id);
        if (found == nullptr || is_kept[id]) {
            continue;
        }
        is_kept[id] = true;
        for (const auto* entries : {&found->entries, &found->durable_entries}) {
            for (const auto& [name, target] : *entries) {
                reached.push_back(target);
            }
        }
    }
    std::erase_if(nodes_, [&](const auto& each) { return !is_kept[each.first]; });
}

std::uint64_t disk_image::impl::used_bytes() const {
    std::vector<node_id> named;
    for (const auto& [id, each] : nodes_) {
        for (const auto& [name, target] : each.entries) {
            named.push_back(target);
        }
    }
    std::sort(named.begin(), named.end());
    std::uint64_t used = 0;
    for (const auto& [id, each] : nodes_) {
        if (each.handles > 0 || std::binary_search(named.begin(), named.end(), id)) {
            used += each.content.allocated_bytes();
        }
    }
    return used;
}

void disk_image::impl::forget_handles() noexcept {
    for (auto& [id, each] : nodes_) {
        each.handles = 0;
    }
}

void disk_image::impl::crash_names(crash_choice& choice) {
    std::vector<name_register> lost;
    for (const name_change& each : name_changes_) {
        // A change needs every earlier change of the same names: without them it could not have
        // happened.
        const bool is_possible =
            std::none_of(each.registers.begin(), each.registers.end(), [&](const auto& place) {
                return std::any_of(lost.begin(), lost.end(),
                                   [&](const auto& gone) { return is_same_place(gone, place); });
            });
        if (is_possible && choice.keeps_name(each.sequence)) {
            apply_durably(each);
        } else {
            lost.insert(lost.end(), each.registers.begin(), each.registers.end());
        }
    }
    name_changes_.clear();
    for (auto& [id, each] : nodes_) {
        each.entries = each.durable_entries;
    }
    forget_handles();
    collect_garbage();
}

void disk_image::impl::crash(std::uint64_t seed, survival data, name_survival names) {
    std::uint64_t first = sequence_ + 1;
    if (!name_changes_.empty()) {
        first = std::min(first, name_changes_.front().sequence);
    }
    for (const auto& [id, each] : nodes_) {
        first = std::min(first, each.content.first_pending(first));
    }
    crash_choice choice(seed, data, names, options_, first, sequence_ + 1);
    crash_names(choice);
    for (auto& [id, each] : nodes_) {
        each.content.crash(choice);
    }
}

void disk_image::impl::settle() {
    for (const name_change& each : name_changes_) {
        apply_durably(each);
    }
    name_changes_.clear();
    for (auto& [id, each] : nodes_) {
        each.content.settle();
    }
    collect_garbage();
}

std::uint64_t disk_image::impl::changes_unsynced() const noexcept {
    std::uint64_t count = name_changes_.size();
    for (const auto& [id, each] : nodes_) {
        count += each.content.changes_pending();
    }
    return count;
}

std::uint64_t disk_image::impl::durable_hash() const noexcept {
    // In the order of names: inode numbers depend on history, not on content.
    std::uint64_t hash = 1;
    std::vector<node_id> open = {root};
    while (!open.empty()) {
        const node* at = find_node(open.back());
        open.pop_back();
        if (at == nullptr) {
            continue;
        }
        hash = mix(hash, static_cast<std::uint64_t>(at->what));
        if (at->what == node::kind::file) {
            // Zeros at the end may or may not be in memory.
            std::span<const std::byte> bytes = at->content.durable_bytes();
            while (!bytes.empty() && bytes.back() == std::byte{0}) {
                bytes = bytes.first(bytes.size() - 1);
            }
            hash = mix(mix(hash, at->content.durable_length()), hash_bytes(bytes));
        }
        for (const auto& [name, target] : at->durable_entries) {
            hash = mix(hash, hash_bytes(std::as_bytes(std::span(name))));
            open.push_back(target);
        }
    }
    return hash;
}

}  // namespace caisson::sim
