#pragma once
// What recovery concludes, as two decision tables: one for a directory, one for a segment. Facts
// in, verdict out; pure. Every row has its reason in docs/recovery.md under the row's label. Knows
// nothing about files.

#include <caisson/options.hpp>
#include <caisson/types.hpp>

#include "format/scan.hpp"
#include "format/state.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace caisson::log_detail {

// ---- the directory

/// What the segments of a directory without STATE hold.
enum class orphan_content : std::uint8_t {
    none,    ///< there are no segments
    raw,     ///< no commit with a trailer of ours was found
    native,  ///< at least one was
};

/// How STATE's newest segment and the segment files fit together.
enum class state_fit : std::uint8_t {
    /// STATE names none and there is none, or just the first: an unfinished creation
    no_segment_yet,
    unexpected_segments,  ///< STATE names none, but there are others than the first
    fits,                 ///< the named segment is there
    named_missing,        ///< the named segment is not there, or there is none at all
    /// the named one is there; the first one begins beyond what STATE says was purged
    first_missing,
};

struct directory_facts {
    bool has_state = false;
    bool has_remains = false;  ///< spare/, lost/ or an offset index: made only after STATE
    /// without STATE: other files, and not even the beginning of a log among them
    bool has_others = false;
    orphan_content orphans = orphan_content::none;      ///< without STATE
    state_fit fit = state_fit::no_segment_yet;          ///< with STATE
    bool has_reset = false;                             ///< with STATE: a reset was begun
    format::log_role role = format::log_role::primary;  ///< with STATE
    open_existing existing = open_existing::or_create;
};

enum class directory_verdict : std::uint8_t {
    create,  ///< there is no log: make one
    /// STATE is there, nothing was ever appended: go on with the first segment
    finish_creation,
    recover,                 ///< there is a log: look at its end
    refuse_not_found,        ///< errc::log_not_found
    refuse_exists,           ///< errc::log_exists
    refuse_occupied,         ///< errc::foreign_file: the directory is somebody else's
    refuse_foreign,          ///< errc::foreign_log
    refuse_state_missing,    ///< errc::state_missing
    refuse_segment_missing,  ///< errc::segment_missing
    refuse_unexpected,       ///< errc::foreign_file
    refuse_reset,            ///< errc::unsupported_version: a reset that this version cannot finish
    /// errc::unsupported_version: a mirror's copy, which this version cannot promote
    refuse_sink,
};

/// How STATE (of which only `segment` and `purged_before` count) and the segments (ascending) fit.
[[nodiscard]] state_fit fit_of(const format::log_state& state,
                               std::span<const log_offset> segments) noexcept;

[[nodiscard]] directory_verdict judge_directory(const directory_facts& facts) noexcept;

// ---- one segment

enum class segment_part : std::uint8_t { native, raw };

enum class header_fact : std::uint8_t {
    good,
    /// a version, algorithm or compression that this build does not write into newest segments
    foreign_version,
    bad,        ///< long enough, but no header
    too_short,  ///< the file ends inside the header
};

/// What stands where the good prefix ends.
enum class end_fact : std::uint8_t {
    nothing,  ///< the file ends there
    zeros,    ///< only zeros up to the file's end
    /// other bytes, none of which begins with the expected offset at the end of the prefix
    leftovers,
    /// a commit header with the expected offset, and no commit that continues the log
    expected_header,
    /// the segment's first commit has a right checksum and another log's id, or no trailer of ours
    stranger_first,
    /// the segment's first commit is ours and does not continue the segment before it
    unchained_first,
    epoch_backwards,  ///< a commit that continues the log with a lower epoch
    newer_trailer,    ///< a commit with a trailer version above ours
    forked,           ///< raw: the offset of the commit before it with another checksum
};

/// The best that the search behind the good prefix found, and a commit at its end that does not
/// continue it.
enum class later_fact : std::uint8_t {
    none,
    /// a valid commit of this log at or beyond the expected offset, which proves nothing durable
    /// beyond it
    unproven,
    proof,  ///< one whose durable_end lies beyond the expected offset
};

/// Where the next segment begins, seen from the end of the good prefix.
enum class successor_fact : std::uint8_t { none, at_end, beyond_end, before_end };

struct segment_facts {
    bool is_unreadable = false;  ///< the device could not read some of it
    segment_part part = segment_part::native;
    header_fact header = header_fact::good;
    end_fact end = end_fact::nothing;
    later_fact later = later_fact::none;
    successor_fact successor = successor_fact::none;
    /// a clean mark for this segment reaches beyond the good prefix, or differs
    bool is_mark_beyond = false;
    /// known_durable_end, or STATE's remote end, lies beyond the good prefix
    bool is_known_durable_beyond = false;
    bool is_sink_end_beyond = false;  ///< a sink: its own synced end lies beyond the good prefix
    bool is_named_by_state = false;   ///< STATE names it: its header was durable before that
    format::log_role role = format::log_role::primary;
    torn_tail_policy policy = torn_tail_policy::trim;
};

enum class segment_verdict : std::uint8_t {
    whole,              ///< ends where its successor begins
    clean_end,          ///< what follows the good prefix was never a commit
    cut,                ///< an unfinished write: keep a copy, cut it
    start_anew,         ///< never finished and nothing in it: keep a copy, make it anew
    refuse_torn,        ///< errc::torn_tail
    refuse_damaged,     ///< errc::damaged
    refuse_unreadable,  ///< errc::unreadable
    refuse_header,      ///< the header's own error
    refuse_version,     ///< errc::unsupported_version
    refuse_wrong_log,   ///< errc::wrong_log
    refuse_chain,       ///< errc::chain_broken
    refuse_epoch,       ///< errc::epoch_backwards
    refuse_gap,         ///< errc::segment_gap
    refuse_overlap,     ///< errc::segment_overlap
};

/// Whether anything proves that records at or beyond the end of the good prefix were acknowledged.
[[nodiscard]] bool has_witness(const segment_facts& facts) noexcept;

struct segment_decision {
    segment_verdict verdict;
    std::string_view label;  ///< of the row, as in docs/recovery.md
};

[[nodiscard]] segment_decision judge_segment(const segment_facts& facts) noexcept;

/// How many rows match: 1 for every combination that can occur. For the test of the table.
[[nodiscard]] int rows_matching(const segment_facts& facts) noexcept;
[[nodiscard]] int rows_matching(const directory_facts& facts) noexcept;

// ---- facts from what the scan says

/// The end as a fact, before the search behind it has run: zeros are confirmed or denied by
/// `is_zero_to_the_end`.
[[nodiscard]] end_fact end_fact_of(format::scan_end why, bool is_expected_header_at_end,
                                   bool is_first_commit, bool is_zero_to_the_end) noexcept;

/// Whether a clean mark speaks of this segment at this length, so that reading its last commit is
/// enough.
[[nodiscard]] bool is_mark_for(const std::optional<format::clean_mark>& mark,
                               log_offset segment_begin, std::uint64_t length_bytes) noexcept;

/// Whether a mark for this segment proves that its good prefix, which ends at `end_bytes` behind a
/// commit with `last_crc` (absent: not known), is not what was closed. What lies behind the mark's
/// end the mark says nothing about.
[[nodiscard]] bool is_mark_contradicted(const format::clean_mark& mark, std::uint64_t end_bytes,
                                        std::optional<std::uint32_t> last_crc) noexcept;

}  // namespace caisson::log_detail
