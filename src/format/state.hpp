#pragma once
// The file STATE: what a log must know that its segments cannot prove. Two slots, each one
// checksummed block; the newest valid one counts. Knows nothing about files or when a slot is
// written. Read docs/format.md.

#include "format/layout.hpp"

#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace caisson::format {

enum class log_role : std::uint8_t {
    primary = 0,
    sink = 1,  ///< fed by a mirror: its trailers speak of another machine's disk
};

/// The newest segment that has a name.
struct newest_segment {
    log_offset begin;
    /// Checksum of the last commit before the segment: 0 in a new log, absent where nobody knows it
    /// (after a restore).
    std::optional<std::uint32_t> predecessor_crc;
    std::uint64_t predecessor_timestamp_us = 0;

    friend bool operator==(const newest_segment&, const newest_segment&) = default;
};

/// What `close` found to be the end of the log. Proof that everything up to there was durable.
struct clean_mark {
    log_offset segment_begin;
    std::uint64_t length_bytes = 0;                ///< of the segment's file
    std::uint64_t last_commit_position_bytes = 0;  ///< 0: the segment holds only its header
    /// of the last commit, in this segment or before it
    std::uint32_t last_crc = 0;

    friend bool operator==(const clean_mark&, const clean_mark&) = default;
};

struct log_state {
    /// grows by one a write; its lowest bit names the slot
    std::uint64_t generation = 0;
    std::uint64_t log_id = 0;
    /// segments that begin at or beyond it are native, those before raw
    log_offset native_from;
    log_offset purged_before;
    std::uint64_t epoch = 0;
    /// exclusive end of what object storage is known to hold
    log_offset remote_end;
    std::uint32_t block_size_bytes = 4096;  ///< alignment of commits
    log_role role = log_role::primary;
    /// of a sink: what it has synced itself; 0 in a primary
    log_offset sink_synced_end;
    /// absent: the creation has not come to the first segment
    std::optional<newest_segment> segment;
    std::optional<log_offset> reset_target;  ///< present: a reset to this offset is in progress
    std::optional<clean_mark> mark;

    friend bool operator==(const log_state&, const log_state&) = default;
};

/// Checksum of the commit before the first one of `segment`; nothing: this state does not tell.
[[nodiscard]] inline std::optional<std::uint32_t> crc_before(const log_state& state,
                                                             log_offset segment) noexcept {
    if (state.segment && state.segment->begin == segment) {
        return state.segment->predecessor_crc;
    }
    return std::nullopt;
}

using state_slot = std::span<std::byte, layout::state::slot_bytes>;
using const_state_slot = std::span<const std::byte, layout::state::slot_bytes>;

/// Which of the two slots holds a generation.
[[nodiscard]] constexpr unsigned state_slot_of(std::uint64_t generation) noexcept {
    return static_cast<unsigned>(generation & 1);
}
[[nodiscard]] constexpr std::uint64_t state_slot_position_bytes(unsigned slot) noexcept {
    return slot == 0 ? layout::state::slot_0_position_bytes : layout::state::slot_1_position_bytes;
}

/// Fills all 4096 bytes; what the state does not have is zero.
void encode_state(state_slot into, const log_state& state) noexcept;

/// Errors: errc::{checksum_mismatch: torn, rotten or never written, unsupported_version (or
///         feature): written by a newer build, malformed: a right checksum over an impossible
///         state}.
[[nodiscard]] result<log_state> decode_state(const_state_slot slot) noexcept;

/// What was found in the slot that does not count.
enum class slot_condition : std::uint8_t {
    valid,
    empty,  ///< zeros: never written
    bad,    ///< torn, rotten, or in the wrong place
};

struct chosen_state {
    log_state state;
    slot_condition other = slot_condition::empty;
    /// Both slots hold the same mark, intention, role, epoch and purged_before, and know of a
    /// segment or of none. Until they do, a slot that rots could bring an old fact back: nothing
    /// may be appended before the other slot is written again.
    bool is_settled = false;
};

/// True if two states agree in everything that takes something back.
[[nodiscard]] bool agree_in_settled_facts(const log_state& a, const log_state& b) noexcept;

/// The newest valid state of the two slots.
///
/// Errors: errc::state_damaged (no valid slot, or two that speak of different logs),
///         errc::unsupported_version (either slot was written by a newer build: what the other says
///         may be out of date).
[[nodiscard]] result<chosen_state> choose_state(const_state_slot slot_0,
                                                const_state_slot slot_1) noexcept;

}  // namespace caisson::format
