// disk_image: the public face of storage, for tests that craft, inspect and damage whole
// directories.

#include <caisson/sim.hpp>

#include "sim/storage.hpp"

#include <utility>

namespace caisson::sim {

namespace {

node* find_file(storage& in, std::string_view path) {
    node* found = in.find_node(in.resolve(path));
    return found != nullptr && found->what == node::kind::file ? found : nullptr;
}

}  // namespace

disk_image::disk_image(const world_options& options) : impl_(std::make_unique<impl>(options)) {}
disk_image::disk_image(const disk_image& other) : impl_(std::make_unique<impl>(*other.impl_)) {}
disk_image::disk_image(disk_image&& other) noexcept = default;
disk_image::~disk_image() = default;

// The content moves, the object stays: a world refers to it.
disk_image& disk_image::operator=(const disk_image& other) {
    *impl_ = *other.impl_;
    return *this;
}

disk_image& disk_image::operator=(disk_image&& other) noexcept {
    *impl_ = std::move(*other.impl_);
    return *this;
}

void disk_image::crash(std::uint64_t seed, survival mode, name_survival names) {
    impl_->crash(seed, mode, names);
}
void disk_image::settle() { impl_->settle(); }

std::optional<std::vector<std::byte>> disk_image::read_file(std::string_view path,
                                                            view which) const {
    const node* found = impl_->find_node(impl_->resolve(path, which));
    if (found == nullptr || found->what != node::kind::file) {
        return std::nullopt;
    }
    if (which == view::durable) {
        std::vector<std::byte> bytes = found->content.durable_bytes();
        bytes.resize(found->content.durable_length());
        return bytes;
    }
    std::vector<std::byte> bytes(found->content.length());
    found->content.read(0, bytes, false);
    return bytes;
}

std::optional<std::vector<std::string>> disk_image::list(std::string_view path, view which) const {
    const node* found = impl_->find_node(impl_->resolve(path, which));
    if (found == nullptr || found->what != node::kind::directory) {
        return std::nullopt;
    }
    std::vector<std::string> names;
    for (const auto& [name, id] : which == view::now ? found->entries : found->durable_entries) {
        names.push_back(name);
    }
    return names;
}

bool disk_image::exists(std::string_view path, view which) const {
    return impl_->resolve(path, which) != 0;
}

bool disk_image::make_directory(std::string_view path) {
    const auto [parent, name] = impl_->resolve_parent(path);
    if (parent == 0 || impl_->find_entry(parent, name) != 0) {
        return false;
    }
    impl_->create(parent, name, node::kind::directory);
    impl_->sync_directory(parent, impl_->sequence());
    return true;
}

bool disk_image::write_file(std::string_view path, std::span<const std::byte> content) {
    const auto [parent, name] = impl_->resolve_parent(path);
    if (parent == 0) {
        return false;
    }
    node_id id = impl_->find_entry(parent, name);
    if (id == 0) {
        id = impl_->create(parent, name, node::kind::file);
        impl_->sync_directory(parent, impl_->sequence());
    }
    node* file = impl_->find_node(id);
    if (file->what != node::kind::file) {
        return false;
    }
    file->content.truncate(impl_->next_origin(), 0);
    file->content.write(impl_->next_origin(), 0, content);
    file->content.settle();
    return true;
}

bool disk_image::make_symlink(std::string_view path) {
    const auto [parent, name] = impl_->resolve_parent(path);
    if (parent == 0 || impl_->find_entry(parent, name) != 0) {
        return false;
    }
    impl_->create(parent, name, node::kind::symlink);
    impl_->sync_directory(parent, impl_->sequence());
    return true;
}

bool disk_image::link(std::string_view existing, std::string_view added) {
    const auto [parent, name] = impl_->resolve_parent(added);
    const node_id target = impl_->resolve(existing);
    if (parent == 0 || find_file(*impl_, existing) == nullptr ||
        impl_->find_entry(parent, name) != 0) {
        return false;
    }
    impl_->link(parent, name, target);
    impl_->sync_directory(parent, impl_->sequence());
    return true;
}

bool disk_image::remove(std::string_view path) {
    const auto [parent, name] = impl_->resolve_parent(path);
    if (parent == 0 || impl_->find_entry(parent, name) == 0) {
        return false;
    }
    impl_->unlink(parent, name);
    impl_->sync_directory(parent, impl_->sequence());
    return true;
}

bool disk_image::set_length(std::string_view path, std::uint64_t length_bytes) {
    node* file = find_file(*impl_, path);
    if (file == nullptr) {
        return false;
    }
    file->content.truncate(impl_->next_origin(), length_bytes);
    file->content.settle();
    return true;
}

bool disk_image::corrupt(std::string_view path, std::uint64_t position_bytes, std::byte mask) {
    node* file = find_file(*impl_, path);
    if (file == nullptr || position_bytes >= file->content.length()) {
        return false;
    }
    file->content.corrupt(position_bytes, mask);
    return true;
}

bool disk_image::zero(std::string_view path, std::uint64_t begin_bytes, std::uint64_t end_bytes) {
    node* file = find_file(*impl_, path);
    if (file == nullptr || begin_bytes >= end_bytes || end_bytes > file->content.length()) {
        return false;
    }
    file->content.zero({begin_bytes, end_bytes});
    return true;
}

bool disk_image::make_unreadable(std::string_view path, std::uint64_t begin_bytes,
                                 std::uint64_t end_bytes) {
    node* file = find_file(*impl_, path);
    if (file == nullptr || begin_bytes >= end_bytes) {
        return false;
    }
    file->content.make_unreadable({begin_bytes, end_bytes});
    return true;
}

std::uint64_t disk_image::changes_unsynced() const noexcept { return impl_->changes_unsynced(); }
std::uint64_t disk_image::durable_hash() const noexcept { return impl_->durable_hash(); }

}  // namespace caisson::sim
