#pragma once
// directory: an open directory of the real disk, and the lock on one. Everything here runs on the
// blocking pool.

#include "io/disk.hpp"
#include "uring/backend.hpp"

#include <string>

namespace caisson::uring {

class directory final : public io::directory {
public:
    directory(backend& on, descriptor opened, std::string path, io::file_system_traits traits)
        : backend_(on),
          descriptor_(std::move(opened)),
          path_(std::move(path)),
          traits_(std::move(traits)) {}

    const std::string& path() const noexcept override { return path_; }
    const io::file_system_traits& traits() const noexcept override { return traits_; }
    void start_list(io::operation& op, std::vector<io::directory_entry>& into) override;
    void start_open(io::operation& op, std::string_view name, io::open_mode mode,
                    std::unique_ptr<io::file>& into) override;
    void start_open_directory(io::operation& op, std::string_view name, bool create,
                              std::unique_ptr<io::directory>& into) override;
    void start_rename(io::operation& op, std::string_view from, io::directory& to_directory,
                      std::string_view to, bool replace) override;
    void start_unlink(io::operation& op, std::string_view name) override;
    void start_sync(io::operation& op) override;
    void start_lock(io::operation& op, std::string_view name,
                    std::unique_ptr<io::directory_lock>& into) override;

private:
    struct open_task;
    struct open_directory_task;
    struct lock_task;

    /// False after refusing an operation on a name that is not plain.
    bool check_name(io::operation& op, std::string_view name);

    backend& backend_;
    descriptor descriptor_;
    std::string path_;
    io::file_system_traits traits_;
};

}  // namespace caisson::uring
