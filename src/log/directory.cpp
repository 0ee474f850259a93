// The directory of a log: opening, listing, locking.

#include "log/directory.hpp"

#include "base/planted.hpp"
#include "format/names.hpp"
#include "io/await.hpp"

#include <algorithm>
#include <utility>

namespace caisson::log_detail {
namespace {

std::string advice_for(const error_code& why) {
    using namespace boost::system::errc;
    if (why == permission_denied || why == operation_not_permitted) {
        return "give this user the right to read (and, to append, to write) the log's directory "
               "and files";
    }
    if (why == read_only_file_system) {
        return "the file system is mounted read-only: look for the cause in the kernel's log, "
               "remount it writable";
    }
    if (why == condition::no_space) {
        return "free space (or raise the quota or file size limit) and open again; nothing stored "
               "is lost";
    }
    if (why == too_many_files_open || why == too_many_files_open_in_system) {
        return "raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)";
    }
    if (why == io_error) {
        return "the device reports an error (btrfs also when it is full): see the kernel's log and "
               "the free space, save the directory before anything else";
    }
    return {};
}

// Whether an entry of this role has to be a regular file (or a directory) for the log to be opened
// at all.
bool is_kind_wrong(format::entry_role role, io::entry_kind kind) noexcept {
    switch (role) {
    case format::entry_role::segment:
    case format::entry_role::lock:
    case format::entry_role::state:
    case format::entry_role::state_temporary: return kind != io::entry_kind::file;
    case format::entry_role::spare_directory:
    case format::entry_role::lost_directory: return kind != io::entry_kind::directory;
    case format::entry_role::index:
    case format::entry_role::reference_lock:
    case format::entry_role::temporary:
    case format::entry_role::foreign: return false;
    }
    return false;
}

failure not_ours(const io::directory& in, const std::string& name, std::string why) {
    return failure(errc::foreign_file, std::move(why))
        .in_file(path_of(in, name))
        .advise("move it out of the log's directory; nothing was changed");
}

void note(directory_listing& listing, const std::string& name) {
    const format::classified_name entry = format::classify(name);
    switch (entry.role) {
    case format::entry_role::segment: listing.segments.push_back(entry.begin); break;
    case format::entry_role::index: listing.has_index = true; break;
    case format::entry_role::state: listing.has_state = true; break;
    case format::entry_role::state_temporary: listing.has_state_temporary = true; break;
    case format::entry_role::spare_directory: listing.has_spare = true; break;
    case format::entry_role::lost_directory: listing.has_lost = true; break;
    case format::entry_role::lock: listing.has_lock = true; break;
    case format::entry_role::foreign:
        listing.has_others = listing.has_others || (!name.starts_with('.') && name != "lost+found");
        break;
    case format::entry_role::reference_lock:
    case format::entry_role::temporary: break;
    }
}

constexpr std::uint64_t lock_retry_ns_first = 10'000'000;
constexpr std::uint64_t lock_retry_ns_max = 160'000'000;

}  // namespace

std::string path_of(const io::directory& in, std::string_view name) {
    std::string path = in.path();
    if (!name.empty()) {
        path += '/';
        path += name;
    }
    return path;
}

failure call_failed(error_code why, const std::string& directory_path, std::string_view name,
                    std::string_view call) {
    std::string path = directory_path;
    if (!name.empty()) {
        path += '/';
        path += name;
    }
    std::string detail = "cannot ";
    detail += call;
    detail += ": " + why.message();
    return failure(why, std::move(detail)).in_file(std::move(path)).advise(advice_for(why));
}

net::awaitable<detailed<std::unique_ptr<io::directory>>> open_root(io::environment& world,
                                                                   std::string path, bool create,
                                                                   bool allow_unsafe_filesystem) {
    const io::root_mode mode = !create                   ? io::root_mode::existing
                               : allow_unsafe_filesystem ? io::root_mode::create
                                                         : io::root_mode::create_where_kept;
    auto opened = co_await io::open_root(world.disk, path, mode);
    if (!opened) {
        const error_code why = opened.error();
        if (why == boost::system::errc::no_such_file_or_directory) {
            co_return failure(errc::log_not_found,
                              create ? "the directory that is to hold the log's does not exist"
                                     : "there is no such directory")
                .in_file(std::move(path))
                .advise(create ? "check the path; a log's directory is made, the directories above "
                                 "it are not"
                               : "check the path");
        }
        if (why == boost::system::errc::not_a_directory) {
            co_return failure(errc::not_a_directory, "not a directory")
                .in_file(std::move(path))
                .advise("a log is a directory: give the path of one");
        }
        co_return call_failed(why, path, "", "open the directory");
    }
    const io::file_system_traits& traits = opened.value()->traits();
    if (!traits.keeps_data && !allow_unsafe_filesystem) {
        co_return failure(errc::unsupported_filesystem,
                          "the file system (" + traits.name +
                              ") may lose what a log has acknowledged")
            .in_file(std::move(path))
            .advise("put the log on a local disk (programs that can lose the data: "
                    "log_options::allow_unsafe_filesystem)");
    }
    co_return std::move(opened).value();
}

net::awaitable<detailed<std::unique_ptr<io::directory>>> open_below(io::directory& in,
                                                                    std::string_view name) {
    auto opened = co_await io::open_directory(in, std::string(name), true);
    if (!opened) {
        co_return call_failed(opened.error(), in.path(), name, "open the directory");
    }
    co_return std::move(opened).value();
}

std::optional<failure> obstacle_in(const io::directory& root, const io::directory_entry& entry) {
    const format::classified_name what = format::classify(entry.name);
    // The reference lists such a name and then opens another: refusing beats guessing what it was
    // to be.
    if (what.role == format::entry_role::foreign && entry.name.ends_with(format::segment_suffix)) {
        return not_ours(root, entry.name,
                        "named like a segment, but not as this or the reference program names one");
    }
    if (is_kind_wrong(what.role, entry.kind)) {
        return not_ours(root, entry.name,
                        "a name of the log's that is not what it should be "
                        "(a symbolic link, directory, file or device in its place)");
    }
    return std::nullopt;
}

net::awaitable<detailed<directory_listing>> list_log(io::directory& root) {
    auto entries = co_await io::list(root);
    if (!entries) {
        co_return call_failed(entries.error(), root.path(), "", "list the directory");
    }
    directory_listing listing;
    for (const io::directory_entry& entry : entries.value()) {
        if (auto obstacle = obstacle_in(root, entry)) {
            co_return std::move(*obstacle);
        }
        note(listing, entry.name);
    }
    std::sort(listing.segments.begin(), listing.segments.end());
    co_return std::move(listing);
}

net::awaitable<detailed<std::unique_ptr<io::directory_lock>>> take_lock(
    io::environment& world, io::directory& root, std::chrono::nanoseconds wait) {
    const std::string name(format::lock_name);
    const std::uint64_t wait_ns =
        static_cast<std::uint64_t>(std::max(wait, std::chrono::nanoseconds{0}).count());
    const std::uint64_t began_ns = world.clock.monotonic_ns();
    std::uint64_t pause_ns = lock_retry_ns_first;
    for (;;) {
        auto lock = co_await io::lock(root, name);
        if (lock) {
            co_return std::move(lock).value();
        }
        if (lock.error() != boost::system::errc::operation_would_block &&
            lock.error() != boost::system::errc::resource_unavailable_try_again) {
            co_return call_failed(lock.error(), root.path(), name, "take the lock");
        }
        const std::uint64_t waited_ns = world.clock.monotonic_ns() - began_ns;
        if (waited_ns >= wait_ns) {
            break;
        }
        if (world.is_closing) {
            co_return failure(errc::closed,
                              "the engine was closed while the log waited for its lock")
                .in_file(path_of(root, name));
        }
        auto slept = co_await io::sleep(world.clock, std::min(pause_ns, wait_ns - waited_ns));
        if (!slept) {
            co_return failure(slept.error(), "cancelled while waiting for the lock")
                .in_file(path_of(root, name));
        }
        pause_ns = std::min(pause_ns * 2, lock_retry_ns_max);
    }
    const std::string path = path_of(root, name);
    co_return failure(errc::locked,
                      "another process or another handle has the log open, or the disk is still "
                      "finishing the writes of a killed previous owner (waited " +
                          std::to_string((wait_ns + 500'000) / 1'000'000) + " ms for it)")
        .in_file(path)
        .advise("close the other owner ('fuser -v " + path +
                "' or 'lslocks' names it), or open again later; never delete the file");
}

net::awaitable<detailed<void>> sync_names(io::directory& what) {
    if (planted(planted_bug::no_directory_sync)) {
        co_return success();
    }
    auto synced = co_await io::sync(what);
    if (!synced) {
        co_return call_failed(synced.error(), what.path(), "", "sync the directory");
    }
    co_return success();
}

net::awaitable<detailed<void>> empty_spare(io::directory& spare) {
    auto entries = co_await io::list(spare);
    if (!entries) {
        co_return call_failed(entries.error(), spare.path(), "", "list the directory");
    }
    for (const io::directory_entry& entry : entries.value()) {
        if (entry.kind != io::entry_kind::file) {
            co_return not_ours(spare, entry.name, "only files that the log prepared belong here");
        }
        auto removed = co_await io::unlink(spare, entry.name);
        if (!removed) {
            co_return call_failed(removed.error(), spare.path(), entry.name, "remove the file");
        }
    }
    co_return success();
}

}  // namespace caisson::log_detail
