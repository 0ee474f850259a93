#pragma once
// Deliberate bugs that the simulation must be able to see, behind the build option `planted_bugs`;
// never for production. Without the option `planted` is a constant false and every branch on it
// disappears. Read docs/reliability.md.

#include <cstdint>

namespace caisson {

/// One deliberate bug each; the name says what the engine then does wrong.
enum class planted_bug : std::uint8_t {
    none,
    ack_before_sync,  ///< appends are acknowledged when written, not when durable
    /// a sync is submitted while the write it is to cover is in flight
    sync_beside_write,
    no_directory_sync,  ///< names are created and renamed without syncing their directory
    /// a DSYNC write is taken to make earlier plain writes durable too
    dsync_taken_for_flush,
    /// a zero-write of the preparation meets a block that holds a commit
    zero_write_over_commit,
    cut_not_synced,               ///< recovery goes on after a cut without syncing it
    read_error_taken_for_torn,    ///< recovery takes an unreadable block for a torn one
    zeros_clean_despite_witness,  ///< recovery takes zeros for a clean end whatever a witness says
    short_write_taken_as_full,    ///< the count of bytes written is not looked at
    successor_named_early,  ///< rotation names the successor before its predecessor is durable
    /// a fact of STATE that takes something back is written to one slot only
    settled_in_one_slot,
    /// open does not sync the directory that a killed predecessor changed
    open_skips_directory_sync,
};

#if defined(CAISSON_PLANTED_BUGS)
/// The bug that is on at present; tests set it, one at a time, while no log is open.
inline planted_bug planted_bug_active = planted_bug::none;

inline bool planted(planted_bug bug) noexcept { return planted_bug_active == bug; }
#else
constexpr bool planted(planted_bug) noexcept { return false; }
#endif

}  // namespace caisson
