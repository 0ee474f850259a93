#pragma once
// Everything recovery must know about one segment, gathered in one pass: the good prefix (scan),
// what follows it and whether anything behind it is valid (search). Facts only; the verdict is the
// log's. Read docs/format.md.

#include "format/offset_index.hpp"
#include "format/scan.hpp"
#include "format/search.hpp"
#include "format/window.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace caisson::format {

/// What stands between the end of the good prefix and the end of the file.
enum class tail_content : std::uint8_t { nothing, zeros, bytes };

struct later_commit {
    std::uint64_t position_bytes = 0;
    log_offset begin;
    log_offset end;
    log_offset durable_end;  ///< native
    std::uint32_t crc = 0;
};

struct segment_facts {
    scan_end why = scan_end::end_of_file;  ///< why the good prefix ends where it does
    error_code header_error;               ///< for scan_end::bad_header
    std::optional<segment_header> header;
    /// end position, next offset, last checksum, clock, epochs, counts
    segment_prefix prefix;
    std::uint64_t file_length_bytes = 0;

    tail_content tail = tail_content::nothing;
    std::optional<std::uint64_t> first_nonzero_bytes;  ///< of the tail
    bool is_expected_header_at_frontier = false;

    /// Commits of this log with a valid checksum at or beyond the expected offset, wherever behind
    /// the frontier.
    std::uint64_t later_commits = 0;
    std::optional<later_commit> first_later;
    std::optional<later_commit> last_later;
    /// the largest that a later commit's trailer says (native)
    log_offset durable_end_max;

    /// The log ends here without a trace of anything more: nothing, zeros, or leftovers that are
    /// none of this place's.
    [[nodiscard]] bool is_clean_end() const noexcept {
        return !is_expected_header_at_frontier && later_commits == 0;
    }
    /// A later commit proves that the record expected at the frontier was once durable here.
    [[nodiscard]] bool is_frontier_proved_durable() const noexcept {
        return durable_end_max > prefix.next;
    }
};

/// Runs scan and search over one segment, window by window.
class segment_survey {
public:
    /// `index`, if given, is told every commit of the good prefix; it must outlive the survey.
    explicit segment_survey(const scan_params& params,
                            offset_index_builder* index = nullptr) noexcept;
    /// From a known good commit boundary on, as the scanner's second constructor.
    segment_survey(const scan_params& params, segment_version version, std::uint64_t position_bytes,
                   offset_index_builder* index = nullptr) noexcept;

    /// Takes in what it can. Gives what it needs next, or nothing when facts() are complete.
    [[nodiscard]] std::optional<byte_need> feed(const byte_window& window) noexcept;

    [[nodiscard]] const segment_facts& facts() const noexcept { return facts_; }
    [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }

private:
    std::optional<byte_need> run_scan(const byte_window& window) noexcept;
    std::optional<byte_need> run_search(const byte_window& window) noexcept;
    void begin_search(const scan_event& end) noexcept;
    void note_later(const search_event& found) noexcept;

    scan_params params_;
    segment_scanner scanner_;
    offset_index_builder* index_;
    std::optional<damage_search> search_;
    segment_facts facts_;
    bool is_complete_ = false;
};

/// The survey of a segment that lies in memory as a whole.
[[nodiscard]] segment_facts survey_segment(std::span<const std::byte> whole_file,
                                           const scan_params& params,
                                           offset_index_builder* index = nullptr) noexcept;

}  // namespace caisson::format
