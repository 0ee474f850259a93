#pragma once
// What users may set. Every default has its reason in docs/architecture.md ("Defaults"); units are
// in the names. Classes with constructors, not aggregates, where a member is not trivially
// destructible (GCC 12, docs/STYLE.md).

#include <caisson/failure.hpp>
#include <caisson/types.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace spdlog {
class logger;
}

namespace caisson {

/// What `async_open` found and did. Filled before the operation completes, on success and on
/// failure.
class open_report {
public:
    open_report() noexcept {}

    std::optional<failure> refused;  ///< why the log was not opened; empty on success
    bool created = false;            ///< the log was new (or its creation was finished)
    /// the clean mark matched: only the last commit was read
    bool was_closed_cleanly = false;
    std::uint64_t segments = 0;  ///< segment files in the directory
    /// bytes of the last segment that were read and verified
    std::uint64_t recovered_bytes = 0;
    std::uint64_t cut_bytes = 0;           ///< bytes of an unfinished write that were cut
    std::string cut_segment;               ///< the segment they were cut from
    std::uint64_t cut_position_bytes = 0;  ///< where the cut was made
    /// where a copy of them is kept, below the log's directory; empty: none
    std::string lost_file;
    /// how far the log's last timestamp lies ahead of the wall clock, which is also logged
    std::uint64_t clock_ahead_us = 0;
};

/// What `async_open` does where there is a log already, or none.
enum class open_existing : std::uint8_t {
    or_create,  ///< open the log, or create it when the directory is empty or missing
    only,       ///< errc::log_not_found when there is none
    never,      ///< errc::log_exists when there is one
};

/// What recovery does with an unfinished write at the end of the log.
enum class torn_tail_policy : std::uint8_t {
    trim,    ///< cut it; its bytes are kept in lost/
    refuse,  ///< errc::torn_tail; nothing is changed
};

/// When commits are padded to a block boundary.
enum class commit_alignment : std::uint8_t {
    /// groups of 16 blocks or more; smaller ones share their last block with the next group
    adaptive,
    /// always: no acknowledged block is ever written again, at up to a block of space a group
    block,
};

/// How one log is opened and written. Nothing of it is stored: each open chooses anew.
class log_options {
public:
    log_options() noexcept {}

    open_existing existing = open_existing::or_create;
    torn_tail_policy torn_tail = torn_tail_policy::trim;
    commit_alignment alignment = commit_alignment::adaptive;
    /// 64 KiB ..= 1 GiB; a larger record gets a segment of its own
    std::uint64_t segment_size_bytes = 64ull << 20;
    std::uint64_t record_size_bytes_max = 16ull << 20;  ///< 1 ..= 256 MiB
    /// appended and not yet durable; beyond it appends wait. record_size_bytes_max + 4 ..= 1 GiB
    std::uint64_t max_pending_bytes = 32ull << 20;
    /// how long open waits for a previous owner
    std::chrono::nanoseconds lock_wait = std::chrono::seconds{5};
    /// open on a file system that may not keep what it acknowledged
    bool allow_unsafe_filesystem = false;
    /// every record below it is known to have been durable
    std::optional<log_offset> known_durable_end;
    /// optional; must live until async_open completes
    open_report* report = nullptr;
};

/// How an engine uses the machine.
class engine_options {
public:
    engine_options() noexcept {}

    std::shared_ptr<spdlog::logger> logger;  ///< null: silent
    /// of the ring's submission queue, 8 or more; the kernel rounds up to a power of two. Four
    /// times as many operations may be in flight (the completion queue), further ones wait. Halved
    /// while the kernel has no memory for the ring
    std::uint32_t ring_entries = 256;
    /// how long close waits for the device
    std::chrono::nanoseconds close_deadline = std::chrono::seconds{30};
    /// registered buffers, if RLIMIT_MEMLOCK allows
    bool register_memory = true;
};

}  // namespace caisson
