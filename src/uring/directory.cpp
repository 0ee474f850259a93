// Directories and locks as jobs of the pool. Objects are built at home, in the second half of a
// job: a file takes its slot in the ring's table there.

#include "uring/directory.hpp"

#include "uring/file.hpp"
#include "uring/file_system.hpp"

#include <cerrno>
#include <new>

#include <sys/file.h>
#include <sys/stat.h>

namespace caisson::uring {

namespace {

class directory_lock final : public io::directory_lock {
public:
    directory_lock(ring& in, descriptor locked)
        : ring_(in), descriptor_(in, std::move(locked), ring::file_use::lock) {}
    ~directory_lock() override {
        // Said aloud, because the ring may hold on to the file a little longer than we do. A ring
        // that has lost track keeps the lock: its writes may not be over.
        if (!ring_.has_lost_track()) {
            ::flock(descriptor_.number(), LOCK_UN);
        }
    }

private:
    ring& ring_;
    registered_descriptor descriptor_;
};

bool are_on_one_device(int a, int b) noexcept {
    struct stat status_a{};
    struct stat status_b{};
    return ::fstat(a, &status_a) == 0 && ::fstat(b, &status_b) == 0 &&
           status_a.st_dev == status_b.st_dev;
}

}  // namespace

bool directory::check_name(io::operation& op, std::string_view name) {
    if (is_plain_name(name)) {
        return true;
    }
    backend_.ring.fail(op, -EINVAL);
    return false;
}

void directory::start_list(io::operation& op, std::vector<io::directory_entry>& into) {
    backend_.start_blocking(op, [number = descriptor_.number(), &into]() noexcept {
        return list_entries(number, into);
    });
}

struct directory::open_task {
    directory& owner;
    std::string name;
    io::open_mode mode;
    std::unique_ptr<io::file>& into;
    descriptor opened{};

    std::int64_t work() noexcept {
        return open_regular(owner.descriptor_.number(), name, mode, opened);
    }
    std::int64_t finish(std::int64_t outcome) noexcept {
        if (outcome < 0) {
            return outcome;
        }
        into.reset(new (std::nothrow)
                       file(owner.backend_, std::move(opened), owner.traits_.block_size_bytes));
        return into ? 0 : -ENOMEM;
    }
};

void directory::start_open(io::operation& op, std::string_view name, io::open_mode mode,
                           std::unique_ptr<io::file>& into) {
    if (check_name(op, name)) {
        backend_.start_blocking(op, open_task{*this, std::string(name), mode, into});
    }
}

struct directory::open_directory_task {
    directory& owner;
    std::string name;
    bool create;
    std::unique_ptr<io::directory>& into;
    descriptor opened{};
    io::file_system_traits traits{};

    std::int64_t work() noexcept {
        const int parent = owner.descriptor_.number();
        const std::int64_t outcome = open_below(parent, name, create, opened);
        if (outcome == 0) {
            const bool is_same = are_on_one_device(parent, opened.number());
            traits = is_same ? owner.traits_ : read_traits(opened.number());
        }
        return outcome;
    }
    std::int64_t finish(std::int64_t outcome) noexcept {
        if (outcome < 0) {
            return outcome;
        }
        into.reset(new (std::nothrow) directory(owner.backend_, std::move(opened),
                                                owner.path_ + "/" + name, std::move(traits)));
        return into ? 0 : -ENOMEM;
    }
};

void directory::start_open_directory(io::operation& op, std::string_view name, bool create,
                                     std::unique_ptr<io::directory>& into) {
    if (check_name(op, name)) {
        backend_.start_blocking(op, open_directory_task{*this, std::string(name), create, into});
    }
}

void directory::start_rename(io::operation& op, std::string_view from, io::directory& to_directory,
                             std::string_view to, bool replace) {
    if (!check_name(op, from) || !check_name(op, to)) {
        return;
    }
    // Directories of one disk are of one kind; mixing disks is a mistake no test of ours could make
    // by accident.
    const int target = static_cast<directory&>(to_directory).descriptor_.number();
    backend_.start_blocking(
        op, [source = descriptor_.number(), from = std::string(from), target, to = std::string(to),
             replace]() noexcept { return rename_entry(source, from, target, to, replace); });
}

void directory::start_unlink(io::operation& op, std::string_view name) {
    if (check_name(op, name)) {
        backend_.start_blocking(
            op, [number = descriptor_.number(), name = std::string(name)]() noexcept {
                return unlink_entry(number, name);
            });
    }
}

void directory::start_sync(io::operation& op) {
    backend_.start_blocking(
        op, [number = descriptor_.number()]() noexcept { return sync_directory(number); });
}

struct directory::lock_task {
    directory& owner;
    std::string name;
    std::unique_ptr<io::directory_lock>& into;
    descriptor locked{};

    std::int64_t work() noexcept { return open_locked(owner.descriptor_.number(), name, locked); }
    std::int64_t finish(std::int64_t outcome) noexcept {
        if (outcome < 0) {
            return outcome;
        }
        into.reset(new (std::nothrow) directory_lock(owner.backend_.ring, std::move(locked)));
        return into ? 0 : -ENOMEM;
    }
};

void directory::start_lock(io::operation& op, std::string_view name,
                           std::unique_ptr<io::directory_lock>& into) {
    if (check_name(op, name)) {
        backend_.start_blocking(op, lock_task{*this, std::string(name), into});
    }
}

}  // namespace caisson::uring
