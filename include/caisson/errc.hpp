#pragma once
// Every way a Caisson operation can fail, one category for all layers, and the conditions callers
// test. Errors of the operating system pass through in their own category (ENOSPC, EIO ...) and
// match the same conditions.

#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#include <type_traits>

namespace caisson {

/// What can go wrong, for every layer. Values are stable: they appear in metrics and reports.
enum class errc {
    /// the log or engine was closed before or during the call; nothing was appended
    closed = 1,
    /// an earlier write or sync failed; reopen to recover. See log::failure_cause()
    poisoned = 2,
    /// the write of this append failed: only reopening tells whether it is in the log
    outcome_unknown = 3,
    record_too_large = 4,  ///< the payload exceeds log_options.record_size_bytes_max
    /// more than 65,535 records, or more bytes than max_pending_bytes, in one call
    batch_too_large = 5,
    /// no room on the device; what was acknowledged is safe, appends go on when space returns. From
    /// appends; elsewhere the system's ENOSPC. condition::no_space matches both
    no_space = 6,
    offset_out_of_range = 7,  ///< the offset lies outside what the log holds

    /// another process, or another handle in this one, has the log open
    locked = 20,
    log_not_found = 21,           ///< the directory holds no log (or does not exist)
    log_exists = 22,              ///< asked to create a log where there is one already
    not_a_directory = 23,         ///< the path of the log names something else
    unsupported_filesystem = 24,  ///< the file system cannot keep the promise (tmpfs, NFS ...)
    /// written by another program (no STATE): readable, not appendable
    foreign_log = 25,
    foreign_file = 26,     ///< a file that is not ours where only our files belong
    invalid_options = 27,  ///< an option has a value that cannot work

    not_a_segment = 40,          ///< the file does not begin with the magic of a segment
    unsupported_version = 41,    ///< written by a newer format version
    unsupported_algorithm = 42,  ///< a checksum algorithm this build does not know
    checksum_mismatch = 43,      ///< stored bytes do not match their checksum
    truncated = 44,              ///< the bytes end inside a structure
    out_of_order = 45,           ///< a commit's offset is not the one that comes next
    chain_broken = 46,           ///< a commit does not continue the one before it (previous_crc)
    wrong_log = 47,              ///< a commit carries the id of another log
    malformed = 48,              ///< a structure whose checksum is right says something impossible
    epoch_backwards = 49,        ///< an epoch lower than the one before it in a native part

    /// acknowledged data is damaged; nothing was changed. The report names the place
    damaged = 60,
    torn_tail = 61,        ///< an unfinished write at the end, and the policy says to refuse it
    segment_missing = 62,  ///< STATE or its neighbours name a segment that is not there
    segment_gap = 63,      ///< records are missing between two segments
    segment_overlap = 64,  ///< two segments claim the same records
    state_missing = 65,    ///< native segments without a STATE file
    state_damaged = 66,    ///< both slots of STATE are bad
    /// the device returned a read error for a range; never taken for a torn write
    unreadable = 67,

    uring_unavailable = 80,  ///< io_uring is forbidden or missing on this machine
    /// the engine's io_context is run by more than one thread; see engine
    home_on_two_threads = 81,
};

/// What callers branch on; an errc or an errno matches through `code == condition::...`.
enum class condition {
    corrupt = 1,    ///< stored bytes are not what was written
    not_found = 2,  ///< there is no such log
    closed = 3,     ///< the object was closed
    no_space = 4,   ///< the device (or a quota, or a file size limit) is full
    retryable = 5,  ///< the same call may succeed later without any repair
};

/// The one category object of `errc`; the same across every library boundary.
const boost::system::error_category& caisson_category() noexcept;
/// The one category object of `condition`.
const boost::system::error_category& condition_category() noexcept;

inline boost::system::error_code make_error_code(errc value) noexcept {
    return {static_cast<int>(value), caisson_category()};
}
inline boost::system::error_condition make_error_condition(condition value) noexcept {
    return {static_cast<int>(value), condition_category()};
}

}  // namespace caisson

template <>
struct boost::system::is_error_code_enum<caisson::errc> : std::true_type {};
template <>
struct boost::system::is_error_condition_enum<caisson::condition> : std::true_type {};
