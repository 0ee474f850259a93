#pragma once
// lost/: copies of the bytes that recovery cuts off. Bounded in bytes and in files; a copy that
// finds no space is skipped, because a full disk must not keep a log from opening. Read
// docs/recovery.md, "lost/".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/types.hpp>

#include "io/disk.hpp"
#include "log/recovery_scan.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace caisson::log_detail {

/// Files that lost/ keeps.
inline constexpr std::size_t lost_files_max = 8;

/// "SSSSSSSS-NNNNNNNNNNNNNNNNNNNN-PPPPPPPPPP.cut": a sequence number that tells the newest, the
/// segment and the byte where the cut was made.
[[nodiscard]] std::string lost_file_name(std::uint64_t sequence, log_offset segment_begin,
                                         std::uint64_t position_bytes);
/// The sequence number of such a name; absent for names that are none.
[[nodiscard]] std::optional<std::uint64_t> lost_file_sequence(std::string_view name) noexcept;

/// What is to be kept.
struct lost_bytes {
    log_offset segment_begin;
    std::uint64_t begin_bytes = 0;
    std::uint64_t end_bytes = 0;  ///< at most `size_bytes_max` from `begin_bytes` on are copied
    std::uint64_t size_bytes_max = 0;
};

/// Copies `what` from the segment behind `reader` into a new file of lost/ and removes the oldest
/// files there; durable, with its name, when it completes. The value is the file's path below the
/// log's directory, or "" when there was no space for it.
net::awaitable<detailed<std::string>> keep_lost_bytes(io::directory& root, window_reader& reader,
                                                      lost_bytes what);

}  // namespace caisson::log_detail
