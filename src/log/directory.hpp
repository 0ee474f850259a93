#pragma once
// The directory of a log as recovery meets it: opening it, its lock, what its names say. Judges
// names only by what format/names.hpp knows; what the whole means is recovery_plan's. Read
// docs/recovery.md.

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/types.hpp>

#include "io/disk.hpp"
#include "io/environment.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::log_detail {

/// What a listing shows. Entries that no log uses are ignored and left alone.
struct directory_listing {
    std::vector<log_offset> segments;  ///< first offsets, ascending
    bool has_state = false;
    bool has_state_temporary = false;  ///< left by a creation that did not finish
    bool has_spare = false;
    bool has_lost = false;
    bool has_index = false;  ///< at least one offset index
    bool has_lock = false;
    /// entries that nobody's log has, other than hidden ones and a file system's lost+found
    bool has_others = false;
};

/// A call of the system that failed on entry `name` ("" for the directory itself), with advice
/// where the cause is known.
failure call_failed(error_code why, const std::string& directory_path, std::string_view name,
                    std::string_view call);

/// Path of an entry for messages.
std::string path_of(const io::directory& in, std::string_view name);

/// Opens the directory of a log; with `create` makes it when it is missing.
///
/// Errors: errc::{log_not_found, not_a_directory, unsupported_filesystem}; of the system.
net::awaitable<detailed<std::unique_ptr<io::directory>>> open_root(io::environment& world,
                                                                   std::string path, bool create,
                                                                   bool allow_unsafe_filesystem);

/// Opens directory `name` below `in`, making it when it is missing.
net::awaitable<detailed<std::unique_ptr<io::directory>>> open_below(io::directory& in,
                                                                    std::string_view name);

/// Why the log is not opened while `entry` lies in its directory; nothing: it is no obstacle.
std::optional<failure> obstacle_in(const io::directory& root, const io::directory_entry& entry);

/// Lists and classifies.
///
/// Errors: errc::foreign_file for a name that only looks like a segment's, and where one of our
///         names is not what it should be (a symbolic link, a directory); of the system.
net::awaitable<detailed<directory_listing>> list_log(io::directory& root);

/// Takes the log's lock, waiting up to `wait` for a previous owner.
///
/// Errors: errc::locked, errc::closed when the engine is closed meanwhile; of the system.
net::awaitable<detailed<std::unique_ptr<io::directory_lock>>> take_lock(
    io::environment& world, io::directory& root, std::chrono::nanoseconds wait);

/// Makes the names in `what` durable.
net::awaitable<detailed<void>> sync_names(io::directory& what);

/// Removes every file in `spare/`. Not synced: a name that comes back is removed at the next open.
net::awaitable<detailed<void>> empty_spare(io::directory& spare);

}  // namespace caisson::log_detail
