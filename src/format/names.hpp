#pragma once
// The names of a log directory's entries. Knows nothing about directories or files. Read
// docs/format.md.

#include <caisson/types.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace caisson::format {

inline constexpr std::string_view lock_name = "LOCK";
inline constexpr std::string_view state_name = "STATE";
inline constexpr std::string_view state_temporary_name = "STATE.tmp";
inline constexpr std::string_view spare_directory_name = "spare";
inline constexpr std::string_view lost_directory_name = "lost";
inline constexpr std::string_view segment_suffix = ".stdb.log";
inline constexpr std::string_view index_suffix = ".stdb.ofs";
inline constexpr std::string_view reference_lock_suffix = ".stdb.lock";

/// What an entry of a log directory is, judged by its name alone.
enum class entry_role : std::uint8_t {
    segment,          ///< NNNNNNNNNNNNNNNNNNNN.stdb.log
    index,            ///< NNNNNNNNNNNNNNNNNNNN.stdb.ofs
    lock,             ///< LOCK
    state,            ///< STATE
    state_temporary,  ///< STATE.tmp: a creation that did not finish
    spare_directory,  ///< spare
    lost_directory,   ///< lost
    /// NNNNNNNNNNNNNNNNNNNN.stdb.lock: the reference takes it while it creates a segment
    reference_lock,
    temporary,  ///< .tmp and six letters or digits: the reference's leftovers of a crash
    foreign,    ///< anything else, also what ends like a segment but is not named like one
};

struct classified_name {
    entry_role role = entry_role::foreign;
    log_offset begin;  ///< for segment, index and reference_lock
};

/// "NNNNNNNNNNNNNNNNNNNN.stdb.log" for the segment that begins at `begin`.
[[nodiscard]] std::string segment_name(log_offset begin);
/// "NNNNNNNNNNNNNNNNNNNN.stdb.ofs" for the index of that segment.
[[nodiscard]] std::string index_name(log_offset begin);

/// Only the padded form counts: the reference lists "5.stdb.log" as offset 5 and then fails to open
/// it.
[[nodiscard]] classified_name classify(std::string_view name) noexcept;

}  // namespace caisson::format
