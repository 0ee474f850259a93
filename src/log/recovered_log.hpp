#pragma once
// What recovery hands to the appender: an open, locked, consistent log directory and the exact end
// of the log. Data only. Read docs/architecture.md, "One recovery".

#include <caisson/options.hpp>
#include <caisson/types.hpp>

#include "format/offset_index.hpp"
#include "io/disk.hpp"
#include "log/index_file.hpp"
#include "log/state_store.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace caisson::log_detail {

/// The open directories and the lock of one log. `lock` outlives every operation on the files.
struct log_directory {
    std::unique_ptr<io::directory> root;
    std::unique_ptr<io::directory> spare;      ///< spare/, emptied by recovery
    std::unique_ptr<io::directory_lock> lock;  ///< null when opened read-only
};

/// The newest segment, where appending goes on.
struct segment_tail {
    /// open_mode::write_direct, cut to `length_bytes`, synced
    std::unique_ptr<io::file> file;
    log_offset begin;                ///< its first offset, hence its name
    std::uint64_t length_bytes = 0;  ///< end of its last commit (10: header only)
    std::uint64_t commits = 0;
    /// of its last commit's first byte; 0: header only
    std::uint64_t last_commit_position_bytes = 0;
    /// The bytes from the last block boundary to `length_bytes`: the next group rewrites this
    /// block.
    std::vector<std::byte> tail_block;
    /// of what was read: all of it after an unclean stop, nothing after a clean one
    format::offset_index_builder index = new_index(0);
};

/// A log that is consistent, locked, synced and named by STATE. Nothing of it has been appended to
/// yet; the clean mark, if STATE still holds one, must be dropped (state_store) before the first
/// write to any segment.
struct recovered_log {
    log_directory directory;
    std::unique_ptr<state_store> state;
    /// first offsets, ascending; the last one is `tail`
    std::vector<log_offset> segments;
    segment_tail tail;
    log_offset begin;  ///< first offset the log holds
    log_offset end;    ///< the offset that the next record gets
    std::uint64_t log_id = 0;
    std::uint64_t epoch = 0;
    /// of the log's last commit; 0 when there is none
    std::uint32_t last_checksum = 0;
    std::uint64_t last_timestamp_us = 0;
    open_report report;
};

}  // namespace caisson::log_detail
