#pragma once
// The scan of one segment from its header to the end of its good prefix: commit by commit, each
// held against the one before. Knows nothing about what follows the end (search), about other
// segments, or about verdicts (the log's recovery). Read docs/format.md.

#include "format/commit.hpp"
#include "format/native_codec.hpp"
#include "format/segment_header.hpp"
#include "format/window.hpp"

#include <caisson/errc.hpp>
#include <caisson/types.hpp>

#include <cstdint>
#include <optional>

namespace caisson::format {

struct scan_params {
    log_offset expected_begin;            ///< the offset in the segment's name
    std::optional<std::uint64_t> log_id;  ///< of a native segment; absent for a raw one
    /// checksum before the first commit; absent: that link is not checked
    std::optional<std::uint32_t> previous_crc;
    /// in a native segment no commit may have a lower one
    std::uint64_t epoch = 0;
    /// longer commits are not believed; bounds the windows asked for
    std::uint64_t commit_size_bytes_max = 0;
    bool check_records = true;  ///< walk the record lengths of native commits too
};

/// Why the scan stopped. From `duplicate_offset` on the commit at the end has a valid checksum.
enum class scan_end : std::uint8_t {
    end_of_file,   ///< the file ends with the last commit
    bad_header,    ///< the segment header; see segment_scanner::header_error()
    compressed,    ///< seekable zstd, which this build does not read
    short_header,  ///< fewer bytes than a commit header, not all zero
    /// a commit header of zeros, or fewer zero bytes than one, stands where a commit would
    zeros,
    truncated_commit,  ///< the length leads beyond the end of the file
    too_large,         ///< the length exceeds the limit
    no_records,        ///< a header with n = 0 that is not all zero
    offset_overflow,   ///< begin + n exceeds 2^64
    checksum_mismatch,
    /// begins below the expected offset: stale bytes of a recycled file, or an overlap
    duplicate_offset,
    forked,           ///< raw: the offset of the commit before it with another checksum
    out_of_order,     ///< begins beyond the expected offset: a gap
    wrong_log,        ///< native: the trailer carries another log's id
    chain_broken,     ///< native: previous_crc is not the checksum before it
    epoch_backwards,  ///< native: an epoch lower than one before it
    /// native: no trailer of ours, impossible record lengths, durable_end beyond its own begin
    malformed,
    unsupported_trailer,  ///< native: a trailer version above ours
    /// the header says version 0, the commits are version 1 (the reference's defect D14)
    other_version,
};

/// The error that names an end; success for the ends that are in order in a log (end_of_file,
/// zeros).
[[nodiscard]] error_code to_error(scan_end why) noexcept;

/// What the scan has established so far.
struct segment_prefix {
    std::uint64_t end_position_bytes = 0;  ///< first byte after the last good commit
    log_offset next;                       ///< the offset expected there
    std::uint64_t commits = 0;
    std::uint64_t records = 0;
    std::uint64_t duplicates = 0;   ///< raw: exact repetitions of the commit before, skipped
    std::uint64_t epoch_max = 0;    ///< at least scan_params::epoch
    bool is_epoch_monotone = true;  ///< false only in a raw segment
    /// native; false is a defect of the writer, never damage
    bool is_clock_monotone = true;
    std::uint64_t last_commit_position_bytes = 0;  ///< with commits > 0
    /// scan_params::previous_crc while there is no commit
    std::optional<std::uint32_t> last_crc;
    std::uint64_t last_timestamp_us = 0;  ///< native
    /// native: what the last commit's trailer proves
    log_offset last_durable_end;
};

enum class scan_step : std::uint8_t { commit, need_bytes, end };

struct scan_event {
    scan_step step = scan_step::end;
    /// `commit`: its first byte; `end`: the end of the good prefix
    std::uint64_t position_bytes = 0;
    commit_view commit;                     ///< `commit`: valid until the window's bytes go
    std::optional<native_trailer> trailer;  ///< `commit` in a native segment
    byte_need need;                         ///< `need_bytes`
    scan_end why = scan_end::end_of_file;   ///< `end`
};

/// Walks one segment. Every event but `need_bytes` is progress; after `end` every call gives the
/// same `end`.
class segment_scanner {
public:
    /// From the segment's header on.
    explicit segment_scanner(const scan_params& params) noexcept;
    /// From a commit on that an index (or a reader's memory) places at `position_bytes`; the header
    /// is known. `params.expected_begin` is that commit's offset.
    segment_scanner(const scan_params& params, segment_version version,
                    std::uint64_t position_bytes) noexcept;

    [[nodiscard]] scan_event next(const byte_window& window) noexcept;

    [[nodiscard]] const segment_prefix& prefix() const noexcept { return prefix_; }
    /// The header, once it was read and found good.
    [[nodiscard]] const std::optional<segment_header>& header() const noexcept { return header_; }
    /// For scan_end::bad_header: truncated, not_a_segment, unsupported_version or
    /// unsupported_algorithm.
    [[nodiscard]] error_code header_error() const noexcept { return header_error_; }
    /// After `end`: whether the bytes there begin with the expected offset and are not a header of
    /// zeros.
    [[nodiscard]] bool is_expected_header_at_end() const noexcept {
        return is_expected_header_at_end_;
    }

private:
    scan_event read_header(const byte_window& window) noexcept;
    scan_event read_commit(const byte_window& window) noexcept;
    std::optional<scan_event> look_for_version_1(const byte_window& window) noexcept;
    scan_event accept(const commit_view& commit,
                      const std::optional<native_trailer>& trailer) noexcept;
    std::optional<scan_end> judge_native(const commit_view& commit,
                                         std::optional<native_trailer>& trailer) const noexcept;
    std::optional<scan_end> judge_order(const commit_view& commit) const noexcept;
    [[nodiscard]] bool is_duplicate(const commit_view& commit) const noexcept;
    scan_event stop(scan_end why, std::span<const std::byte> bytes_there) noexcept;
    scan_event end_event() const noexcept;
    static scan_event need(std::uint64_t position_bytes, std::uint64_t size_bytes_min) noexcept;

    scan_params params_;
    std::optional<segment_header> header_;
    error_code header_error_;
    segment_prefix prefix_;
    // where the next commit is looked for: after duplicates, beyond the prefix's end
    std::uint64_t position_bytes_ = 0;
    log_offset last_begin_;  // of the last commit, to recognise duplicates and forks
    std::optional<scan_end> ended_;
    bool is_expected_header_at_end_ = false;
};

}  // namespace caisson::format
