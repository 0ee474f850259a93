// The rules of group commit. Every constant's reason is in the header.

#include "log/group_plan.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace caisson::log_detail {

std::uint64_t group_rules::padding_bytes(std::uint64_t position_bytes,
                                         std::uint64_t unpadded_bytes) const noexcept {
    const bool pads =
        alignment == commit_alignment::block || unpadded_bytes >= padded_blocks_min * block_bytes;
    return pads ? format::padding_to_block(position_bytes, unpadded_bytes, block_bytes) : 0;
}

placement group_rules::place(const gathering_facts& gathering,
                             const segment_facts_for_plan& segment,
                             const append_facts& append) const noexcept {
    CAISSON_ASSERT(append.records > 0);
    std::uint64_t begin_bytes = segment.end_bytes;
    bool segment_is_empty = !segment.has_commits;
    if (gathering.records > 0) {
        const std::uint64_t joined = commit_bytes(gathering.framed_bytes + append.framed_bytes);
        if (gathering.records + append.records <= format::layout::commit_records_max &&
            commit_bytes(gathering.framed_bytes) < group_bytes_max &&
            gathering.position_bytes + joined <= segment_size_bytes) {
            return placement::join;
        }
        const std::uint64_t closed = commit_bytes(gathering.framed_bytes);
        begin_bytes =
            gathering.position_bytes + closed + padding_bytes(gathering.position_bytes, closed);
        segment_is_empty = false;
    }
    // A record that fits into no segment gets one of its own rather than an error.
    const bool fits = begin_bytes + commit_bytes(append.framed_bytes) <= segment_size_bytes;
    return fits || segment_is_empty ? placement::new_group : placement::new_segment;
}

bool group_rules::may_leave(std::uint32_t groups_in_flight, bool shares_block, bool is_closed,
                            std::uint64_t commit_size_bytes,
                            std::uint64_t threshold_bytes) noexcept {
    if (groups_in_flight == 0) {
        return true;
    }
    if (groups_in_flight >= groups_in_flight_max || shares_block) {
        return false;
    }
    return is_closed || commit_size_bytes >= threshold_bytes;
}

void group_threshold::observe(std::uint64_t pending_bytes) noexcept {
    // An average over about eight groups: quick enough to follow a change of load within a
    // millisecond.
    average_bytes_ = average_bytes_ == 0 ? pending_bytes : (7 * average_bytes_ + pending_bytes) / 8;
}

std::uint64_t group_threshold::bytes() const noexcept {
    return std::clamp(average_bytes_ / 2, group_threshold_bytes_min, group_threshold_bytes_max);
}

}  // namespace caisson::log_detail
