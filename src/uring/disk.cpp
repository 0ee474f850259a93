// The entrance: opens root directories and hands out handles.

#include "uring/disk.hpp"

#include "uring/directory.hpp"
#include "uring/file_system.hpp"

#include <cerrno>
#include <new>

namespace caisson::uring {

struct disk::open_root_task {
    backend& on;
    std::string path;
    io::root_mode mode;
    std::unique_ptr<io::directory>& into;
    descriptor opened{};
    io::file_system_traits traits{};

    std::int64_t work() noexcept {
        const std::int64_t outcome = open_root(path, mode, opened);
        if (outcome == 0) {
            traits = read_traits(opened.number());
        }
        return outcome;
    }
    std::int64_t finish(std::int64_t outcome) noexcept {
        if (outcome < 0) {
            return outcome;
        }
        into.reset(new (std::nothrow)
                       directory(on, std::move(opened), std::move(path), std::move(traits)));
        return into ? 0 : -ENOMEM;
    }
};

void disk::start_open_root(io::operation& op, std::string_view path, io::root_mode mode,
                           std::unique_ptr<io::directory>& into) {
    if (path.empty() || path.find('\0') != std::string_view::npos) {
        backend_.ring.fail(op, path.empty() ? -ENOENT : -EINVAL);
        return;
    }
    backend_.start_blocking(op, open_root_task{backend_, std::string(path), mode, into});
}

void disk::cancel(io::operation& op) {
    if (op.slot.object != nullptr) {
        backend_.ring.cancel(op);
    } else {
        backend_.pool.cancel(op);
    }
}

}  // namespace caisson::uring
