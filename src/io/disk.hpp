#pragma once
// The storage seam: everything above it (log, recovery, readers) runs unchanged on the real disk
// (uring) and on the simulated one (sim). Mechanism only: nothing here decides what is written or
// when. Read docs/architecture.md.
//
// Common rules. Calls are made on the home thread only. `start_...` never completes inline (see
// operation.hpp). Outcomes are raw: byte counts may be short, errors are `-errno`; io/await.hpp and
// io/transfer.hpp deal with EINTR, EAGAIN and short transfers. Buffers, names and result objects
// belong to the caller until completion. Handles may be destroyed only when nothing that was
// started on them is in flight.

#include "io/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::io {

/// How a write relates to stable storage.
enum class write_mode : std::uint8_t {
    /// completed means: the kernel or the device's cache has it. Durable only after a later
    /// `start_sync`
    plain,
    /// completed means: these bytes, and the metadata needed to read them, are on stable storage.
    /// Nothing else is
    dsync,
};

/// How a file is opened. Files are regular files with one link, never symbolic links (-ELOOP,
/// -EINVAL otherwise).
enum class open_mode : std::uint8_t {
    read,         ///< existing, reading only, through the page cache
    read_direct,  ///< existing, reading only, past the page cache where the file system allows it
    /// existing, reading and writing, past the page cache where the file system allows it
    write_direct,
    create_direct,  ///< as write_direct, newly created, mode 0600; -EEXIST if the name is taken
    create,         ///< as create_direct, through the page cache (small derived files)
};

struct file_status {
    std::uint64_t length_bytes = 0;
    std::uint64_t allocated_bytes = 0;
    std::uint64_t inode = 0;
    std::uint32_t links = 0;
};

/// An open regular file. Several operations may be in flight at once; they complete in any order.
class file {
public:
    virtual ~file() = default;

    /// Alignment of position, length and memory that direct I/O on this file needs; a power of two
    /// >= 512.
    [[nodiscard]] virtual std::uint32_t block_size_bytes() const noexcept = 0;

    /// Whether it goes past the page cache. Through the cache nothing needs to be aligned, and a
    /// read may be short anywhere; a direct read that ends off a block boundary has met the end.
    [[nodiscard]] virtual bool is_direct() const noexcept = 0;

    /// Outcome: bytes read; 0 at or past the end of the file; may be short.
    virtual void start_read(operation& op, std::span<std::byte> into,
                            std::uint64_t position_bytes) = 0;
    /// Outcome: bytes written; may be short. Extends the file. Two writes in flight to one block
    ///          race.
    virtual void start_write(operation& op, std::span<const std::byte> from,
                             std::uint64_t position_bytes, write_mode mode) = 0;
    /// fdatasync: makes every write that had *completed when this call was made* durable, and the
    /// file's length. Not the file's name (see directory::start_sync). After a failure the failed
    /// data is gone from the cache and a second sync may succeed without it: never retry.
    virtual void start_sync(operation& op) = 0;
    /// Sets the length; growing reads as zeros.
    virtual void start_truncate(operation& op, std::uint64_t length_bytes) = 0;
    /// Reserves space for [begin, end) and extends the length to `end`, all or nothing: after
    /// -ENOSPC neither length nor space has changed. Reserved space reads as zeros but its extents
    /// are unwritten: the first write to it needs a metadata change, which is why the log
    /// zero-writes ahead. -EOPNOTSUPP where the file system cannot.
    virtual void start_allocate(operation& op, std::uint64_t begin_bytes,
                                std::uint64_t end_bytes) = 0;
    virtual void start_status(operation& op, file_status& status) = 0;
};

/// An exclusive claim on a directory. Released by destruction – but on the real disk it lives on in
/// the kernel while writes of a killed owner are still draining.
class directory_lock {
public:
    virtual ~directory_lock() = default;
};

enum class entry_kind : std::uint8_t { file, directory, other };

struct directory_entry {
    std::string name;
    entry_kind kind = entry_kind::other;
};

/// What a file system can and cannot do; read once when a directory is opened.
struct file_system_traits {
    /// "ext4", "xfs", "btrfs", "tmpfs" ... or the magic in hex
    std::string name;
    /// max(4096, direct I/O alignment, the device's physical sector)
    std::uint32_t block_size_bytes = 4096;
    /// false: memory only (tmpfs, ramfs) or without dependable sync and locks (NFS, 9p)
    bool keeps_data = true;
    /// overwriting allocates (btrfs): preparing space ahead is useless
    bool copies_on_write = false;
    /// false: opens fall back to the page cache with the same contracts
    bool supports_direct = true;
};

/// An open directory. Names are single components; "." , ".." and "/" are refused with -EINVAL.
class directory {
public:
    virtual ~directory() = default;

    /// Path as given when it was opened, for messages only.
    [[nodiscard]] virtual const std::string& path() const noexcept = 0;
    [[nodiscard]] virtual const file_system_traits& traits() const noexcept = 0;

    virtual void start_list(operation& op, std::vector<directory_entry>& into) = 0;
    virtual void start_open(operation& op, std::string_view name, open_mode mode,
                            std::unique_ptr<file>& into) = 0;
    /// Opens (with `create`: makes, mode 0700) a directory below this one.
    virtual void start_open_directory(operation& op, std::string_view name, bool create,
                                      std::unique_ptr<directory>& into) = 0;
    /// Atomic. With `replace` an existing target is replaced, otherwise -EEXIST.
    virtual void start_rename(operation& op, std::string_view from, directory& to_directory,
                              std::string_view to, bool replace) = 0;
    virtual void start_unlink(operation& op, std::string_view name) = 0;
    /// Makes creations, renames and removals that completed before the call durable.
    virtual void start_sync(operation& op) = 0;
    /// Takes the exclusive lock on file `name` (created when missing) without waiting: -EWOULDBLOCK
    /// when somebody has it.
    virtual void start_lock(operation& op, std::string_view name,
                            std::unique_ptr<directory_lock>& into) = 0;
};

/// How `disk::start_open_root` treats a missing directory.
enum class root_mode : std::uint8_t {
    existing,  ///< -ENOENT when missing
    /// made (mode 0700, one level; the parent must exist) and the parent synced; existing is fine
    create,
    /// as `create`, but one that is new on a file system that does not keep data is removed again
    /// at once; what is handed out still tells its traits
    create_where_kept,
};

/// A machine's storage.
class disk {
public:
    virtual ~disk() = default;

    /// Opens a directory by path. -ENOTDIR, -ENOENT, -EACCES, -EROFS as the system says.
    virtual void start_open_root(operation& op, std::string_view path, root_mode mode,
                                 std::unique_ptr<directory>& into) = 0;

    /// Hands queued operations to the device now instead of at the end of the loop's turn. A hint.
    virtual void submit() = 0;

    /// Asks that `op` end early. It still completes once, through its own completion, with
    /// -ECANCELED or its real outcome; a cancelled write may have reached the disk.
    virtual void cancel(operation& op) = 0;

    /// Memory that I/O will use again and again may be registered with the device. Best effort;
    /// `memory` must outlive the disk.
    virtual void register_memory(std::span<std::byte> memory) = 0;

    /// Operations started and not completed.
    [[nodiscard]] virtual std::uint64_t operations_in_flight() const noexcept = 0;

    /// True after a simulated power cut: nothing that was started will ever complete, and nothing
    /// needs to be drained.
    [[nodiscard]] virtual bool powered_off() const noexcept { return false; }
};

}  // namespace caisson::io
