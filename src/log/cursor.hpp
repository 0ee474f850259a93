#pragma once
// segment_cursor: walks the commits of one segment file, forwards, reading ahead. Joins the scanner
// (format/scan) with the windows (read_ahead); decides nothing about what an end means. Read
// docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/reader.hpp>
#include <caisson/types.hpp>

#include "format/scan.hpp"
#include "format/search.hpp"
#include "io/environment.hpp"
#include "log/read_ahead.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace caisson::log_detail {

/// What the first commit of a walk is held against.
struct commit_link {
    log_offset expected;
    std::optional<std::uint32_t> previous_crc;  ///< absent: the predecessor is not at hand
    std::uint64_t epoch = 0;                    ///< lowest that may come (native)
};

/// What a search behind damage found.
struct search_outcome {
    struct later_commit {
        std::uint64_t position_bytes = 0;
        log_offset begin;
        log_offset durable_end;  ///< native
    };
    std::optional<later_commit> found;  ///< the first
    /// one of them says that the expected offset was durable
    bool is_proof = false;
    std::optional<std::uint64_t> first_nonzero_bytes;
};

/// What is wrong where the scanner stopped, in words.
[[nodiscard]] const char* describe(format::scan_end why) noexcept;
/// The error for an end at a place where there must be a commit: never success.
[[nodiscard]] error_code damage_code(format::scan_end why, const error_code& header_error) noexcept;

class segment_cursor {
public:
    segment_cursor(io::environment& world, io::directory& directory,
                   std::uint64_t window_size_bytes) noexcept;

    /// Opens the segment `begin` and stands before its header.
    ///
    /// Errors: of the system; ENOENT when there is no such file.
    net::awaitable<detailed<void>> open(log_offset begin, std::optional<std::uint64_t> log_id,
                                        commit_link link);
    /// Stands before a commit that an index (or a search) places at `position_bytes`. Commits are
    /// read as the header says; where it is damaged, or `version` is given, as that.
    void jump(std::uint64_t position_bytes, commit_link link,
              std::optional<format::segment_version> version = std::nullopt);

    /// The next event without I/O; `need_bytes` when that is not possible.
    [[nodiscard]] format::scan_event try_next() noexcept { return scanner_->next(ahead_.window()); }
    /// Brings what a `need_bytes` event asked for.
    ///
    /// Errors: errc::unreadable with the place; operation_aborted after stop(); of the system.
    net::awaitable<detailed<void>> bring(format::byte_need need);
    /// The next event that is progress. After `end`, only reread() and jump() go on.
    net::awaitable<detailed<format::scan_event>> next();

    /// Stands again at the end of the good prefix (or before the header), with nothing remembered
    /// of the bytes there.
    net::awaitable<detailed<void>> reread();
    enum class search_goal : std::uint8_t {
        first_commit,  ///< stop at the first
        proof,         ///< go on to one whose trailer proves that `expected` was durable
    };
    /// Looks for valid commits at or behind `from_bytes` that begin at or beyond `expected`. Where
    /// the cursor stands is lost: jump() or reread() follows.
    net::awaitable<detailed<search_outcome>> search(std::uint64_t from_bytes, log_offset expected,
                                                    search_goal goal);

    /// Whether the name still means the file that is open.
    net::awaitable<detailed<bool>> is_same_file();
    /// Completes when no read is in flight.
    net::awaitable<void> settle() { return ahead_.settle(); }
    void stop() noexcept { ahead_.stop(); }
    [[nodiscard]] bool is_in_flight() const noexcept { return ahead_.is_in_flight(); }

    [[nodiscard]] bool is_open() const noexcept { return file_ != nullptr; }
    [[nodiscard]] log_offset segment() const noexcept { return segment_; }
    [[nodiscard]] bool is_native() const noexcept { return log_id_.has_value(); }
    [[nodiscard]] std::optional<std::uint64_t> log_id() const noexcept { return log_id_; }
    [[nodiscard]] std::uint64_t block_size_bytes() const noexcept {
        return file_->block_size_bytes();
    }
    [[nodiscard]] std::uint64_t length_bytes() const noexcept { return length_bytes_; }
    [[nodiscard]] std::string path() const;
    [[nodiscard]] const format::segment_prefix& prefix() const noexcept {
        return scanner_->prefix();
    }
    [[nodiscard]] const std::optional<format::segment_header>& header() const noexcept {
        return scanner_->header();
    }
    [[nodiscard]] error_code header_error() const noexcept { return scanner_->header_error(); }
    [[nodiscard]] bool is_expected_header_at_end() const noexcept {
        return scanner_->is_expected_header_at_end();
    }
    [[nodiscard]] const format::byte_window& window() const noexcept { return ahead_.window(); }
    [[nodiscard]] std::uint64_t memory_bytes() const noexcept { return ahead_.memory_bytes(); }

    /// How a commit event reads in public.
    [[nodiscard]] commit_facts facts_of(const format::scan_event& event) const noexcept;

private:
    [[nodiscard]] format::scan_params params_for(const commit_link& link) const noexcept;
    net::awaitable<detailed<void>> look_at_length();
    net::awaitable<detailed<void>> run_search(format::damage_search& search, log_offset expected,
                                              search_goal goal, search_outcome& into);
    [[nodiscard]] failure read_failed(const error_code& why) const;

    io::directory& directory_;
    read_ahead ahead_;
    std::shared_ptr<io::file> file_;
    std::uint64_t inode_ = 0;
    std::uint64_t length_bytes_ = 0;
    log_offset segment_;
    std::optional<std::uint64_t> log_id_;
    std::optional<format::segment_scanner> scanner_;
};

}  // namespace caisson::log_detail
