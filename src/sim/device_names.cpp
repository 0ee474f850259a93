// What requests on directories do: names, opens, locks, directory syncs.

#include "base/assert.hpp"
#include "sim/device.hpp"
#include "sim/handles.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace caisson::sim {

namespace {

template <class T>
T& result_of(const request& what) {
    return *static_cast<T*>(what.data.result);
}

bool opens_for_writing(io::open_mode mode) {
    return mode != io::open_mode::read && mode != io::open_mode::read_direct;
}

}  // namespace

std::int64_t check_name(std::string_view name) noexcept {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos) {
        return -EINVAL;
    }
    return name.size() > 255 ? -ENAMETOOLONG : 0;
}

std::int64_t device::perform_on_names(request& what) {
    if (what.fate.is_hit && what.fate.what == fault::effect::error) {
        return -what.fate.error_number;
    }
    if (what.data.kind == operation_kind::open_root) {
        return do_open_root(what);
    }
    const node* in = storage_.find_node(what.data.target);
    if (in == nullptr) {
        return -ENOENT;
    }
    switch (what.data.kind) {
    case operation_kind::open_directory: return do_open_directory(what);
    case operation_kind::open: return do_open(what);
    case operation_kind::create: return do_create(what);
    case operation_kind::list: return do_list(what);
    case operation_kind::rename: return do_rename(what);
    case operation_kind::unlink: return do_unlink(what);
    case operation_kind::lock: return do_lock(what);
    case operation_kind::directory_sync:
        if (!options().lying_flush) {
            storage_.sync_directory(what.data.target, what.sequence_at_start);
        }
        return 0;
    default: CAISSON_UNREACHABLE("an operation on names");
    }
}

void device::hand_out_file(request& what, node_id id) {
    if (what.data.result == nullptr) {
        return;  // a zombie has nobody to hand it to
    }
    ++storage_.find_node(id)->handles;
    result_of<std::unique_ptr<io::file>>(what) =
        std::make_unique<file_handle>(*this, what.owner(), id, what.data.name, what.data.mode);
}

void device::hand_out_directory(request& what, node_id id, std::string path) {
    ++storage_.find_node(id)->handles;
    const std::size_t slash = path.rfind('/');
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    result_of<std::unique_ptr<io::directory>>(what) = std::make_unique<directory_handle>(
        *this, what.owner(), id, std::move(path), std::move(name));
}

std::int64_t device::do_open_root(request& what) {
    node_id id = storage_.resolve(what.data.name);
    if (id == 0) {
        const auto [parent, name] = storage_.resolve_parent(what.data.name);
        if (parent == 0 || !what.data.flag) {
            // Something that is not a directory in the middle of the path is told apart from
            // nothing at all.
            std::string_view above = what.data.name;
            while (!above.empty()) {
                above = above.substr(
                    0, above.rfind('/') == std::string_view::npos ? 0 : above.rfind('/'));
                const node* found = storage_.find_node(storage_.resolve(above));
                if (found != nullptr) {
                    return found->what == node::kind::directory ? -ENOENT : -ENOTDIR;
                }
            }
            return -ENOENT;
        }
        if (is_read_only_) {
            return -EROFS;
        }
        id = storage_.create(parent, name, node::kind::directory);
        storage_.sync_directory(parent, storage_.sequence());
    }
    if (storage_.find_node(id)->what != node::kind::directory) {
        return -ENOTDIR;
    }
    hand_out_directory(what, id, what.data.name);
    return 0;
}

std::int64_t device::do_open_directory(request& what) {
    node_id id = storage_.find_entry(what.data.target, what.data.name);
    if (id == 0) {
        if (!what.data.flag) {
            return -ENOENT;
        }
        if (is_read_only_) {
            return -EROFS;
        }
        id = storage_.create(what.data.target, what.data.name, node::kind::directory);
    }
    switch (storage_.find_node(id)->what) {
    case node::kind::file: return -ENOTDIR;
    case node::kind::symlink: return -ELOOP;
    case node::kind::directory: break;
    }
    hand_out_directory(what, id, what.data.new_name);
    return 0;
}

std::int64_t device::do_open(request& what) {
    const node_id id = storage_.find_entry(what.data.target, what.data.name);
    if (id == 0) {
        return -ENOENT;
    }
    const node& found = *storage_.find_node(id);
    if (found.what == node::kind::symlink) {
        return -ELOOP;
    }
    if (found.what == node::kind::directory) {
        return -EISDIR;
    }
    if (is_read_only_ && opens_for_writing(what.data.mode)) {
        return -EROFS;
    }
    if (found.links != 1) {
        return -EINVAL;
    }
    hand_out_file(what, id);
    return 0;
}

std::int64_t device::do_create(request& what) {
    if (storage_.find_entry(what.data.target, what.data.name) != 0) {
        return -EEXIST;
    }
    if (is_read_only_) {
        return -EROFS;
    }
    hand_out_file(what, storage_.create(what.data.target, what.data.name, node::kind::file));
    return 0;
}

std::int64_t device::do_list(request& what) {
    auto& entries = result_of<std::vector<io::directory_entry>>(what);
    entries.clear();
    for (const auto& [name, id] : storage_.find_node(what.data.target)->entries) {
        const node::kind kind = storage_.find_node(id)->what;
        entries.push_back({name, kind == node::kind::file        ? io::entry_kind::file
                                 : kind == node::kind::directory ? io::entry_kind::directory
                                                                 : io::entry_kind::other});
    }
    // A directory promises no order.
    for (std::size_t left = entries.size(); left > 1; --left) {
        std::swap(entries[left - 1], entries[random_.below(left)]);
    }
    return 0;
}

std::int64_t device::do_rename(request& what) {
    const request_data& data = what.data;
    if (storage_.find_entry(data.target, data.name) == 0 ||
        storage_.find_node(data.directory) == nullptr) {
        return -ENOENT;
    }
    if (is_read_only_) {
        return -EROFS;
    }
    const node_id replaced = storage_.find_entry(data.directory, data.new_name);
    if (replaced != 0 && !data.flag) {
        return -EEXIST;
    }
    if (replaced != 0 && storage_.find_node(replaced)->what == node::kind::directory) {
        return -EISDIR;
    }
    storage_.rename(data.target, data.name, data.directory, data.new_name);
    return 0;
}

std::int64_t device::do_unlink(request& what) {
    const node_id id = storage_.find_entry(what.data.target, what.data.name);
    if (id == 0) {
        return -ENOENT;
    }
    if (is_read_only_) {
        return -EROFS;
    }
    node& found = *storage_.find_node(id);
    if (found.what == node::kind::directory) {
        return -EISDIR;
    }
    if (found.links > 1) {
        --found.links;
    }
    storage_.unlink(what.data.target, what.data.name);
    return 0;
}

std::int64_t device::do_lock(request& what) {
    node_id id = storage_.find_entry(what.data.target, what.data.name);
    if (id == 0) {
        if (is_read_only_) {
            return -EROFS;
        }
        id = storage_.create(what.data.target, what.data.name, node::kind::file);
    }
    switch (storage_.find_node(id)->what) {
    case node::kind::directory: return -EISDIR;
    case node::kind::symlink: return -ELOOP;
    case node::kind::file: break;
    }
    if (std::any_of(locks_.begin(), locks_.end(),
                    [&](const lock_holder& each) { return each.file == id; })) {
        return -EWOULDBLOCK;
    }
    const std::uint64_t holder = ++last_holder_;
    locks_.push_back({id, holder, what.process().number, false});
    result_of<std::unique_ptr<io::directory_lock>>(what) =
        std::make_unique<lock_handle>(*this, what.owner(), id, holder);
    return 0;
}

}  // namespace caisson::sim
