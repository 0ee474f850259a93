#pragma once
// space_plan: which space is prepared next, ahead of the commits. Pure: frontiers in, one action
// out; the segment chain executes it and asks again. Read docs/architecture.md, "Prepared space".
//
// Three frontiers of one segment, in bytes, each a multiple of the block and never beyond the next
//     one: prepared_end <= zeroed_end <= allocated_end
// Below prepared_end every block is written and synced: a DSYNC overwrite there is one device write
// (the fast path). Below allocated_end there is room: a commit may go there, at the price of an
// fdatasync. `submitted_end` runs through them: the end of the blocks that commits were submitted
// to.

#include "base/units.hpp"

#include <cstdint>

namespace caisson::log_detail {

using namespace caisson::literals;

/// First step of preparation: a quiet log owns no more than this beyond its data.
inline constexpr std::uint64_t prepare_step_bytes_min = 1_MiB;
/// Steps double up to this one while the log consumes them: at 1 GB/s one lasts 16 ms.
inline constexpr std::uint64_t prepare_step_bytes_max = 16_MiB;
/// A spare is reserved at once up to this, where only reserving is done: a whole segment of the
/// default size. Bounded: a reader may have to look at all that a crash leaves of it.
inline constexpr std::uint64_t spare_reserve_bytes_max = 64_MiB;
/// One zero-write: short, because a commit may have to wait for it.
inline constexpr std::uint64_t zero_chunk_bytes = 256_KiB;

/// One segment, as the plan sees it.
struct segment_space {
    /// nothing is prepared beyond: the segment's size in whole blocks
    std::uint64_t limit_bytes = 0;
    /// an append waits until allocated_end reaches this; may lie beyond the limit
    std::uint64_t wanted_end = 0;
    std::uint64_t submitted_end = 0;
    std::uint64_t allocated_end = 0;
    std::uint64_t zeroed_end = 0;
    std::uint64_t prepared_end = 0;
    std::uint64_t goal_end = 0;  ///< of the present step of zeroing
};

struct space_action {
    enum class kind : std::uint8_t {
        idle,
        create_spare,  ///< make the next segment's file and try to reserve [begin, end) of it
        allocate,      ///< reserve [begin, end)
        zero,          ///< zero-write [begin, end)
        sync,          ///< fdatasync: what was zeroed becomes prepared
    };
    kind what = kind::idle;
    bool of_spare = false;
    std::uint64_t begin_bytes = 0;
    std::uint64_t end_bytes = 0;
};

class space_plan {
public:
    /// `copies_on_write`: preparing space is useless, only the spare's file is made.
    explicit space_plan(bool copies_on_write) noexcept : copies_on_write_(copies_on_write) {}

    /// The most urgent thing to do. `spare` is null while there is none; `spare_is_wanted`: an
    /// append waits for it. May begin a new step in `target` or `spare` (their goal_end).
    [[nodiscard]] space_action next(segment_space& target, segment_space* spare,
                                    bool spare_is_wanted) noexcept;

    /// False while groups are so large that zeroing costs as much as it saves: then space is only
    /// reserved ahead.
    void set_zeroes_ahead(bool does) noexcept { zeroes_ahead_ = does; }
    [[nodiscard]] bool zeroes_ahead() const noexcept { return zeroes_ahead_; }

    [[nodiscard]] std::uint64_t step_bytes() const noexcept { return step_bytes_; }

private:
    [[nodiscard]] space_action create(const segment_space& target) const noexcept;
    [[nodiscard]] space_action allocate(const segment_space& segment, bool of_spare,
                                        std::uint64_t ahead_bytes) const noexcept;
    [[nodiscard]] space_action prepare(segment_space& segment, bool of_spare) noexcept;

    bool copies_on_write_;
    bool zeroes_ahead_ = true;
    std::uint64_t step_bytes_ = prepare_step_bytes_min;
};

}  // namespace caisson::log_detail
