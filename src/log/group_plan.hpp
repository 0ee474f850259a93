#pragma once
// group_plan: what forms the next commit, where it goes, when it leaves, and how it is padded. Pure
// decisions: sizes in, actions out; no Asio, no clock, no allocation, no bytes. The appender
// executes them. Read docs/architecture.md, "Group commit".

#include <caisson/options.hpp>

#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/native_codec.hpp"

#include <cstdint>

namespace caisson::log_detail {

using namespace caisson::literals;

/// Groups that may be in flight at once. The prototype gained nothing beyond 4 on one device queue.
inline constexpr std::uint32_t groups_in_flight_max = 4;
/// A group this long is padded to a block boundary, so that the next can be in flight beside it
/// (waste <= 1/16).
inline constexpr std::uint64_t padded_blocks_min = 16;
/// Bounds of the threshold past which a group leaves beside another one. A single larger call still
/// becomes one commit. Measured with 64 x 16 KiB on fresh ext4: two groups of 512 KiB beat four of
/// 256 KiB, whose writes split the segment into more extents than an inode holds, and one of 1 MiB,
/// which leaves the device idle while the next one is encoded.
inline constexpr std::uint64_t group_threshold_bytes_min = 16_KiB;
inline constexpr std::uint64_t group_threshold_bytes_max = 512_KiB;
/// From this threshold on nothing is zero-written ahead: zeroing would take as much of the device
/// as the metadata changes that it saves (measured: equal at 256 KiB a write).
inline constexpr std::uint64_t unzeroed_threshold_bytes_min = 256_KiB;

/// The group that gathers, as the plan sees it. `framed_bytes == 0` and `records == 0`: there is
/// none yet.
struct gathering_facts {
    std::uint64_t position_bytes = 0;  ///< of its commit in its segment
    std::uint64_t framed_bytes = 0;
    std::uint64_t records = 0;
};

/// Where the next group of the present segment would begin.
struct segment_facts_for_plan {
    std::uint64_t end_bytes = 0;  ///< end of its last group
    bool has_commits = false;
};

/// One call that appends.
struct append_facts {
    std::uint64_t framed_bytes = 0;
    std::uint64_t records = 0;
};

enum class placement : std::uint8_t {
    join,         ///< into the gathering group
    new_group,    ///< close the gathering group, if any; begin one behind it
    new_segment,  ///< close the gathering group, if any; begin one in the next segment
};

struct group_rules {
    std::uint64_t block_bytes = 4096;
    std::uint64_t segment_size_bytes = 64_MiB;
    commit_alignment alignment = commit_alignment::adaptive;
    /// A gathering group that has reached this takes no more: what comes next leaves beside it.
    /// Never below padded_blocks_min blocks: behind an unpadded group nothing could.
    std::uint64_t group_bytes_max = 64_KiB;

    /// Size of a commit with this content, unpadded.
    [[nodiscard]] static constexpr std::uint64_t commit_bytes(std::uint64_t framed_bytes) noexcept {
        return format::native_commit_bytes(framed_bytes, 0);
    }

    /// Padding of a commit of `unpadded_bytes` that begins at `position_bytes` of its segment.
    [[nodiscard]] std::uint64_t padding_bytes(std::uint64_t position_bytes,
                                              std::uint64_t unpadded_bytes) const noexcept;

    /// Where an append goes.
    [[nodiscard]] placement place(const gathering_facts& gathering,
                                  const segment_facts_for_plan& segment,
                                  const append_facts& append) const noexcept;

    /// Whether the oldest group that has not left may leave now.
    ///
    /// `shares_block`: it begins inside a block that a group in flight ends in.
    [[nodiscard]] static bool may_leave(std::uint32_t groups_in_flight, bool shares_block,
                                        bool is_closed, std::uint64_t commit_size_bytes,
                                        std::uint64_t threshold_bytes) noexcept;
};

/// The adaptive threshold: about half of what is pending, so that two groups overlap: one is
/// encoded while the device has the other. Fed once per group that leaves. What is pending, not
/// what gathers while one group is in flight: with several in flight that shrinks with the groups
/// themselves.
class group_threshold {
public:
    /// `pending_bytes` are admitted and not acknowledged as a group leaves, the group included.
    void observe(std::uint64_t pending_bytes) noexcept;
    [[nodiscard]] std::uint64_t bytes() const noexcept;

private:
    std::uint64_t average_bytes_ = 0;
};

}  // namespace caisson::log_detail
