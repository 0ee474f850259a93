#pragma once
// The search for valid commits behind damage. A damaged length cannot be followed and commits are
// not aligned, so every byte is a possible beginning. Knows nothing about verdicts. Read
// docs/format.md, "Behind damage".
//
// Why it stays linear, whatever the bytes are. A place is a *candidate* if its header passes
// comparisons on a few loaded words: offset at or beyond the expected one, n >= 1, length within
// bounds; in a native segment also the log's id at the trailer's place, which the length gives.
// Only candidates are checksummed, and what a checksum costs does not depend on the length that a
// candidate claims: the window is checksummed once, with a *checkpoint* every 128 bytes, and the
// checksum of what lies between two places follows from those of what lies before each. So a
// candidate costs 256 bytes at most, one that is valid moves the search behind itself, and a window
// is read at most twice.

#include "format/commit.hpp"
#include "format/native_codec.hpp"
#include "format/window.hpp"

#include <caisson/types.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace caisson::format {

struct search_params {
    log_offset expected_begin;            ///< commits that begin before it are old news
    std::optional<std::uint64_t> log_id;  ///< of a native segment; absent for a raw one
    segment_version version = segment_version::v1;
    std::uint64_t commit_size_bytes_max = 0;
};

enum class search_step : std::uint8_t { found, need_bytes, end };

struct search_event {
    search_step step = search_step::end;
    std::uint64_t position_bytes = 0;  ///< `found`: the commit's first byte
    commit_view commit;                ///< `found`: valid until the window's bytes go
    log_offset durable_end;            ///< `found` in a native segment
    byte_need need;                    ///< `need_bytes`
};

/// Finds the commits at or behind `from_position_bytes` whose checksum is right and which are this
/// log's, in order of position. They need not be chained to anything.
class damage_search {
public:
    damage_search(const search_params& params, std::uint64_t from_position_bytes) noexcept;

    /// Every event but `need_bytes` is progress; after `end` every call gives `end`. The window
    /// stays the same until `need_bytes` asks for another one.
    [[nodiscard]] search_event next(const byte_window& window) noexcept;

    /// The first byte that is not zero; absent after `end`: there is none.
    [[nodiscard]] std::optional<std::uint64_t> first_nonzero_bytes() const noexcept {
        return first_nonzero_bytes_;
    }
    /// Bytes that went through the checksum; for tests of the bound.
    [[nodiscard]] std::uint64_t checksummed_bytes() const noexcept { return checksummed_bytes_; }

    /// A checkpoint takes 4 bytes of memory; half of this is what the way to one costs.
    static constexpr std::uint64_t checkpoint_bytes = 128;
    /// A segment of 1 GiB holds at most 1 GiB / 26 x 65,535 < 2^42 records; farther offsets are not
    /// from here.
    static constexpr std::uint64_t distance_records_max = std::uint64_t{1} << 42;

private:
    void note_first_nonzero(const byte_window& window) noexcept;
    const std::byte* next_plausible(const std::byte* from, const std::byte* stop,
                                    const std::byte* window_end) const noexcept;
    std::optional<std::uint64_t> test(std::span<const std::byte> bytes) const noexcept;
    bool is_valid(std::uint64_t size_bytes, const byte_window& window) noexcept;
    std::uint32_t checksum(const byte_window& window, std::uint64_t from,
                           std::uint64_t to) noexcept;
    std::uint32_t checksum_until(const byte_window& window, std::uint64_t position_bytes) noexcept;
    [[nodiscard]] std::uint64_t reach_bytes() const noexcept;

    search_params params_;
    std::uint64_t position_bytes_;        // the next beginning to try
    std::uint64_t nonzero_looked_bytes_;  // up to here no byte differed from zero
    std::uint64_t checksummed_bytes_ = 0;
    std::optional<std::uint64_t> first_nonzero_bytes_;
    /// of the present window: the checksum of its first k * checkpoint_bytes, as far as it was
    /// needed
    std::vector<std::uint32_t> checkpoints_;
    bool is_ended_ = false;
};

}  // namespace caisson::format
