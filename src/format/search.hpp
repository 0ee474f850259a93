#pragma once
// The search for valid commits behind damage. A damaged length cannot be followed and commits are
// not aligned, so every byte is a possible beginning. Knows nothing about verdicts. Read
// docs/format.md, "Behind damage".
//
// Why it stays linear, whatever the bytes are. A place is a *candidate* if its header passes
// comparisons on a few loaded words: offset at or beyond the expected one, n >= 1, length within
// bounds; in a native segment also the log's id at the trailer's place, which the length gives.
// Only candidates are checksummed, and one that is valid moves the search behind itself. Without
// the id a payload can make candidates only by pointing at the few true trailers; candidates with
// an end in common share the work (`known_end`), so each costs the bytes since the one before it.
// What remains needs the id, or a raw segment, where small integers can look like headers. There a
// candidate that is followed by its successor's header, by zeros or by the end of the file
// (*strong*) does not compete with the others (*weak*): each class may checksum in vain at most
// `vain_bytes_per_byte` times the bytes passed plus twice the limit of a commit. What exceeds that
// is not looked at and is_exhausted() says so; then nobody may conclude that nothing valid follows.
// A window is read at most twice.

#include "format/commit.hpp"
#include "format/native_codec.hpp"
#include "format/window.hpp"

#include <caisson/types.hpp>

#include <array>
#include <cstdint>
#include <optional>

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

    /// Every event but `need_bytes` is progress; after `end` every call gives `end`.
    [[nodiscard]] search_event next(const byte_window& window) noexcept;

    /// The first byte that is not zero; absent after `end`: there is none.
    [[nodiscard]] std::optional<std::uint64_t> first_nonzero_bytes() const noexcept {
        return first_nonzero_bytes_;
    }
    /// True if a candidate was passed over because too much was checksummed in vain (hostile or
    /// most unlucky bytes).
    [[nodiscard]] bool is_exhausted() const noexcept { return is_exhausted_; }
    /// Bytes checksummed for candidates that were none; for tests of the bound.
    [[nodiscard]] std::uint64_t vain_bytes() const noexcept {
        return vain_bytes_[0] + vain_bytes_[1];
    }

    static constexpr std::uint64_t vain_bytes_per_byte = 4;
    /// A segment of 1 GiB holds at most 1 GiB / 26 x 65,535 < 2^42 records; farther offsets are not
    /// from here.
    static constexpr std::uint64_t distance_records_max = std::uint64_t{1} << 42;

private:
    struct candidate {
        std::uint64_t size_bytes = 0;
        bool is_strong = false;
    };
    /// The checksum of a candidate that was none: the next one with the same end is this without
    /// the bytes between their beginnings.
    struct known_end {
        std::uint64_t begin_bytes = 0;
        std::uint64_t end_bytes = 0;
        std::uint32_t crc = 0;
    };
    // More ends than there are groups in flight behind a torn one.
    static constexpr std::size_t known_ends_max = 8;

    void note_first_nonzero(const byte_window& window) noexcept;
    const std::byte* next_plausible(const std::byte* from, const std::byte* stop,
                                    const std::byte* window_end) const noexcept;
    std::optional<candidate> test(std::span<const std::byte> bytes) const noexcept;
    bool is_valid(const candidate& what, const byte_window& window) noexcept;
    bool is_affordable(std::uint64_t cost_bytes, bool is_strong) noexcept;
    [[nodiscard]] std::uint64_t reach_bytes() const noexcept;

    search_params params_;
    std::uint64_t from_position_bytes_;
    std::uint64_t position_bytes_;        // the next beginning to try
    std::uint64_t nonzero_looked_bytes_;  // up to here no byte differed from zero
    std::uint64_t vain_bytes_[2] = {0, 0};
    std::optional<std::uint64_t> first_nonzero_bytes_;
    std::array<known_end, known_ends_max> known_ends_{};
    std::size_t known_ends_next_ = 0;
    bool is_exhausted_ = false;
    bool is_ended_ = false;
};

}  // namespace caisson::format
