#pragma once
// The blocking system calls of the real disk as plain functions: names checked, no symbolic link
// followed below the root, modes independent of the umask. They run on the blocking pool. Nothing
// here knows rings or Asio.

#include "io/disk.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::uring {

/// Owns one file descriptor, or none (a negative number).
class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor();

    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
    [[nodiscard]] int number() const noexcept { return number_; }
    /// Gives it away.
    int release() noexcept { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

/// A non-empty component of a path that stays in its directory.
[[nodiscard]] bool is_plain_name(std::string_view name) noexcept;

// Results: 0 (or a count) on success, -errno otherwise.

/// Regular files with one link only: -ELOOP for a symbolic link, -EINVAL for what is no regular
/// file, -EMLINK for a file with a second name. Where the file system refuses O_DIRECT, through the
/// page cache.
std::int64_t open_regular(int in_directory, const std::string& name, io::open_mode mode,
                          descriptor& into);
std::int64_t open_below(int in_directory, const std::string& name, bool create, descriptor& into);
/// The last component may be a symbolic link: the path is the operator's word.
std::int64_t open_root(const std::string& path, io::root_mode mode, descriptor& into);
/// Opens or creates `name` and takes its lock; -EWOULDBLOCK when somebody has it. When it succeeds,
/// the locked file is the one that has the name.
std::int64_t open_locked(int in_directory, const std::string& name, descriptor& into);

std::int64_t list_entries(int directory, std::vector<io::directory_entry>& into);
std::int64_t rename_entry(int from_directory, const std::string& from, int to_directory,
                          const std::string& to, bool replace);
std::int64_t unlink_entry(int in_directory, const std::string& name);
std::int64_t sync_directory(int directory);

/// Whether an open descriptor has O_DIRECT, whatever was asked for when it was opened.
[[nodiscard]] bool is_past_page_cache(int file) noexcept;
std::int64_t truncate_file(int file, std::uint64_t length_bytes);
/// Reserves [begin, end) and extends the length. ext4 leaves a file grown when this fails:
/// `length_before_bytes`, which is always set, is for `restore_length`.
std::int64_t allocate_range(int file, std::uint64_t begin_bytes, std::uint64_t end_bytes,
                            std::uint64_t& length_before_bytes);
/// Takes back what a failed allocation left beyond `length_bytes`. Never makes a file longer.
std::int64_t restore_length(int file, std::uint64_t length_bytes);
std::int64_t read_status(int file, io::file_status& into);

}  // namespace caisson::uring
