#pragma once
// Reading one segment for recovery: from its header to the end of its good prefix, then behind it
// for anything that proves more was there. Collects facts; what they mean is recovery_plan's.
// Memory is bounded by the largest commit that is really there. Read docs/recovery.md, "What is
// read".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>

#include "base/aligned_buffer.hpp"
#include "format/offset_index.hpp"
#include "format/scan.hpp"
#include "format/search.hpp"
#include "format/state.hpp"
#include "format/window.hpp"
#include "io/disk.hpp"
#include "log/recovery_plan.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace caisson::log_detail {

/// Brings the bytes of one file, window by window, past the page cache where the file was opened
/// that way.
class window_reader {
public:
    /// `file` outlives the reader; `path` is for messages.
    window_reader(io::file& file, std::string path, std::uint64_t length_bytes)
        : file_(file),
          path_(std::move(path)),
          length_bytes_(length_bytes),
          end_bytes_(length_bytes) {}

    /// Reads the window that `need` asks for (or more); then `window()` has it.
    ///
    /// Errors: errc::unreadable with the first byte that cannot be read; of the system when there
    ///         is no memory.
    net::awaitable<detailed<void>> bring(format::byte_need need);

    [[nodiscard]] const format::byte_window& window() const noexcept { return window_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::uint64_t length_bytes() const noexcept { return length_bytes_; }

    /// From now on the file seems to end at `end_bytes`; what is beyond is not read.
    void end_at(std::uint64_t end_bytes) noexcept;

private:
    net::awaitable<detailed<void>> read_by_blocks(std::uint64_t begin_bytes,
                                                  std::uint64_t wanted_bytes);

    io::file& file_;
    std::string path_;
    std::uint64_t length_bytes_;
    std::uint64_t end_bytes_;
    aligned_buffer buffer_;
    format::byte_window window_;
};

/// A commit behind the good prefix.
struct later_commit {
    std::uint64_t position_bytes = 0;
    log_offset begin;
    log_offset durable_end;
};

struct segment_scan {
    format::segment_prefix prefix;
    format::scan_end why = format::scan_end::end_of_file;
    error_code header_error;
    bool has_header = false;
    bool is_expected_header_at_end = false;
    std::uint64_t length_bytes = 0;  ///< of the file
    /// behind the last byte that is not zero; the prefix's end if there is none
    std::uint64_t data_end_bytes = 0;
    std::optional<later_commit> later;  ///< the first one, or the first that proves something
    bool is_later_proof = false;        ///< its durable_end lies beyond the prefix
    /// the scan could not go on here; everything above is as far as it came
    std::optional<failure> unreadable;

    [[nodiscard]] bool is_zero_to_the_end() const noexcept {
        return data_end_bytes == prefix.end_position_bytes;
    }
};

/// Reads the whole segment behind `reader`. `params.commit_size_bytes_max` is set here: nothing in
/// a file is longer. The good prefix's commits are noted in `index`, if there is one.
net::awaitable<detailed<segment_scan>> scan_segment(window_reader& reader,
                                                    format::scan_params params,
                                                    format::offset_index_builder* index = nullptr);

/// Reads only the header and the commit that `mark` says is the last one. No value: they are not
/// what the mark says, and the whole segment has to be read. The prefix then counts one commit,
/// which stands for all.
net::awaitable<detailed<std::optional<segment_scan>>> read_marked_end(window_reader& reader,
                                                                      format::scan_params params,
                                                                      format::clean_mark mark);

/// What the first commit of a segment in a directory without STATE is; `none` if it has no valid
/// first commit.
net::awaitable<detailed<orphan_content>> look_for_trailer(window_reader& reader, log_offset begin);

}  // namespace caisson::log_detail
