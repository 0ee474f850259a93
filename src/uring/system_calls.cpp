// Opening, listing and changing directories safely. Every path component below the root is opened
// by itself with O_NOFOLLOW and looked at afterwards: whoever can plant files in the directory must
// not make us read or write others.

#include "uring/system_calls.hpp"

#include "uring/file_system.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace caisson::uring {

namespace {

constexpr mode_t file_mode = 0600;
constexpr mode_t directory_mode = 0700;

/// -errno of the call that just failed.
std::int64_t failed() noexcept { return -static_cast<std::int64_t>(errno); }

template <class Call>
int without_interruption(Call call) noexcept {
    int result = 0;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

int open_at(int directory, const char* name, int flags) noexcept {
    return without_interruption(
        [&] { return ::openat(directory, name, flags | O_CLOEXEC, file_mode); });
}

/// What a planted file could be instead of ours. O_NONBLOCK, with which it was opened so that a
/// pipe cannot hang us, is taken off again: the ring would answer EAGAIN instead of waiting for the
/// disk.
std::int64_t check_regular(int opened) noexcept {
    struct stat status{};
    if (::fstat(opened, &status) < 0) {
        return failed();
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    if (status.st_nlink > 1) {
        return -EMLINK;
    }
    const int flags = ::fcntl(opened, F_GETFL);
    if (flags < 0 || ::fcntl(opened, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        return failed();
    }
    return 0;
}

int flags_of(io::open_mode mode) noexcept {
    switch (mode) {
    case io::open_mode::read: return O_RDONLY;
    case io::open_mode::read_direct: return O_RDONLY | O_DIRECT;
    case io::open_mode::write_direct: return O_RDWR | O_DIRECT;
    case io::open_mode::create_direct: return O_RDWR | O_CREAT | O_EXCL | O_DIRECT;
    case io::open_mode::create: return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

/// Directory that holds the last component of `path`.
std::string parent_of(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

io::entry_kind kind_of(int directory, const dirent& entry) noexcept {
    mode_t mode = static_cast<mode_t>(DTTOIF(entry.d_type));
    if (entry.d_type == DT_UNKNOWN) {
        struct stat status{};
        mode = ::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0
                   ? status.st_mode
                   : 0;
    }
    return S_ISREG(mode)   ? io::entry_kind::file
           : S_ISDIR(mode) ? io::entry_kind::directory
                           : io::entry_kind::other;
}

}  // namespace

descriptor::~descriptor() {
    if (number_ >= 0) {
        ::close(number_);
    }
}

bool is_plain_name(std::string_view name) noexcept {
    return !name.empty() && name != "." && name != ".." &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

std::int64_t open_regular(int in_directory, const std::string& name, io::open_mode mode,
                          descriptor& into) {
    const int flags = flags_of(mode) | O_NOFOLLOW | O_NONBLOCK;
    int opened = open_at(in_directory, name.c_str(), flags);
    if (opened < 0 && errno == EINVAL && (flags & O_DIRECT) != 0) {
        // The kernel refuses O_DIRECT only after it has created the file; with O_EXCL nobody else
        // can have made it.
        const int buffered = flags & ~O_DIRECT;
        opened = open_at(in_directory, name.c_str(), buffered);
        if (opened < 0 && errno == EEXIST) {
            opened = open_at(in_directory, name.c_str(), buffered & ~(O_CREAT | O_EXCL));
        }
    }
    if (opened < 0) {
        return failed();
    }
    descriptor file(opened);
    if (const std::int64_t checked = check_regular(opened); checked < 0) {
        return checked;
    }
    if ((flags & O_CREAT) != 0 && ::fchmod(opened, file_mode) < 0) {
        return failed();
    }
    into = std::move(file);
    return 0;
}

std::int64_t open_below(int in_directory, const std::string& name, bool create, descriptor& into) {
    bool is_new = false;
    if (create) {
        is_new = ::mkdirat(in_directory, name.c_str(), directory_mode) == 0;
        if (!is_new && errno != EEXIST) {
            return failed();
        }
    }
    descriptor opened(open_at(in_directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (!opened || (is_new && ::fchmod(opened.number(), directory_mode) < 0)) {
        return failed();
    }
    into = std::move(opened);
    return 0;
}

std::int64_t open_root(const std::string& path, io::root_mode mode, descriptor& into) {
    bool is_new = false;
    if (mode != io::root_mode::existing) {
        is_new = ::mkdir(path.c_str(), directory_mode) == 0;
        if (!is_new && errno != EEXIST) {
            return failed();
        }
    }
    descriptor opened(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
    if (!opened || (is_new && ::fchmod(opened.number(), directory_mode) < 0)) {
        return failed();
    }
    if (is_new && mode == io::root_mode::create_where_kept &&
        !read_traits(opened.number()).keeps_data) {
        ::rmdir(path.c_str());  // nothing will be put there
    } else if (mode != io::root_mode::existing) {
        // Also when it was there: whoever made it may have been killed before this point. A parent
        // that we may not read was made durable by its owner, or the directory in it could not have
        // been found new.
        const descriptor parent(open_at(AT_FDCWD, parent_of(path).c_str(), O_RDONLY | O_DIRECTORY));
        if (parent) {
            const std::int64_t synced = sync_directory(parent.number());
            const bool is_not_offered =
                synced == -EINVAL || synced == -EOPNOTSUPP || synced == -EROFS;
            if (synced < 0 && (is_new || !is_not_offered)) {
                return synced;
            }
        } else if (is_new) {
            return failed();
        }
    }
    into = std::move(opened);
    return 0;
}

std::int64_t open_locked(int in_directory, const std::string& name, descriptor& into) {
    // An operator may delete or replace the file between our open and our lock; then the lock
    // protects nothing.
    constexpr int attempts_max = 8;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        descriptor file(
            open_at(in_directory, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK));
        if (!file) {
            return failed();
        }
        if (const std::int64_t checked = check_regular(file.number()); checked < 0) {
            return checked;
        }
        // flock, not fcntl: it belongs to the open file, so it excludes a second handle of this
        // process too, and lives as long as the ring holds the file.
        if (without_interruption([&] { return ::flock(file.number(), LOCK_EX | LOCK_NB); }) < 0) {
            return failed();
        }
        struct stat locked{};
        struct stat named{};
        if (::fstat(file.number(), &locked) < 0) {
            return failed();
        }
        if (::fstatat(in_directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
            if (::fchmod(file.number(), file_mode) < 0 && errno != EPERM) {
                return failed();
            }
            into = std::move(file);
            return 0;
        }
    }
    return -EWOULDBLOCK;
}

std::int64_t list_entries(int directory, std::vector<io::directory_entry>& into) {
    // Its own open file: a duplicate would share the read position with every other listing.
    const int opened = open_at(directory, ".", O_RDONLY | O_DIRECTORY);
    if (opened < 0) {
        return failed();
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(opened), ::closedir);
    if (!stream) {
        const std::int64_t result = failed();
        ::close(opened);
        return result;
    }
    into.clear();
    while (true) {
        errno = 0;
        const dirent* const entry = ::readdir(stream.get());
        if (entry == nullptr) {
            return failed();  // 0 at the end
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            into.push_back(io::directory_entry{std::string(name), kind_of(directory, *entry)});
        }
    }
}

std::int64_t rename_entry(int from_directory, const std::string& from, int to_directory,
                          const std::string& to, bool replace) {
    const unsigned flags = replace ? 0U : static_cast<unsigned>(RENAME_NOREPLACE);
    if (::renameat2(from_directory, from.c_str(), to_directory, to.c_str(), flags) == 0) {
        return 0;
    }
    if (errno != EINVAL || replace) {
        return failed();
    }
    // The file system does not know RENAME_NOREPLACE. The directory is locked by us, so looking
    // first is enough.
    struct stat status{};
    if (::fstatat(to_directory, to.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return -EEXIST;
    }
    return ::renameat(from_directory, from.c_str(), to_directory, to.c_str()) == 0 ? 0 : failed();
}

std::int64_t unlink_entry(int in_directory, const std::string& name) {
    return ::unlinkat(in_directory, name.c_str(), 0) == 0 ? 0 : failed();
}

std::int64_t sync_directory(int directory) {
    // Never repeated, not even when interrupted: the kernel reports a failed sync once (DESIGN,
    // "Failure").
    return ::fsync(directory) == 0 ? 0 : failed();
}

bool is_past_page_cache(int file) noexcept { return (::fcntl(file, F_GETFL) & O_DIRECT) != 0; }

std::int64_t truncate_file(int file, std::uint64_t length_bytes) {
    return without_interruption(
               [&] { return ::ftruncate(file, static_cast<off_t>(length_bytes)); }) == 0
               ? 0
               : failed();
}

std::int64_t allocate_range(int file, std::uint64_t begin_bytes, std::uint64_t end_bytes,
                            std::uint64_t& length_before_bytes) {
    struct stat before{};
    if (::fstat(file, &before) < 0) {
        return failed();
    }
    length_before_bytes = static_cast<std::uint64_t>(before.st_size);
    const int allocated = without_interruption([&] {
        return ::fallocate(file, 0, static_cast<off_t>(begin_bytes),
                           static_cast<off_t>(end_bytes - begin_bytes));
    });
    return allocated == 0 ? 0 : failed();
}

std::int64_t restore_length(int file, std::uint64_t length_bytes) {
    struct stat now{};
    if (::fstat(file, &now) < 0) {
        return failed();
    }
    // Also when the length is as before: the cut gives back blocks that were reserved beyond the
    // end.
    return static_cast<std::uint64_t>(now.st_size) < length_bytes
               ? 0
               : truncate_file(file, length_bytes);
}

std::int64_t read_status(int file, io::file_status& into) {
    struct stat status{};
    if (::fstat(file, &status) < 0) {
        return failed();
    }
    constexpr std::uint64_t stat_block_bytes = 512;
    into.length_bytes = static_cast<std::uint64_t>(status.st_size);
    into.allocated_bytes = static_cast<std::uint64_t>(status.st_blocks) * stat_block_bytes;
    into.inode = status.st_ino;
    into.links = static_cast<std::uint32_t>(status.st_nlink);
    return 0;
}

}  // namespace caisson::uring
