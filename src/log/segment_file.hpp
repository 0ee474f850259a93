#pragma once
// segment_file: one segment that is being written: its file, its frontiers, and the I/O of groups
// on it – which write mode a group gets, when a sync is due, and which groups a sync has made
// durable. No policy about what a group holds or when it leaves. Read docs/architecture.md, "One
// append".
//
// At most one sync of the file is in flight, whoever asked for it: the kernel reports a failed
// write-back once for each open file, to one of those who ask. Beside another sync ours might be
// told that all is well, and acknowledge what is lost.

#include <caisson/types.hpp>

#include "format/offset_index.hpp"
#include "io/disk.hpp"
#include "log/group.hpp"
#include "log/log_shared.hpp"
#include "log/space_plan.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace caisson::log_detail {

/// Who hears of a group's end. Implemented by the appender; calls arrive on home, never inside a
/// start.
class group_listener {
public:
    virtual ~group_listener() = default;
    /// `done.phase` is group_phase::durable, or the log is poisoned and the group's I/O has ended.
    virtual void on_group_ended(group& done) noexcept = 0;
};

/// What the next commit's trailer and STATE need of the commit before it.
struct last_commit {
    std::uint32_t checksum = 0;
    std::uint64_t timestamp_us = 0;
};

class segment_file {
public:
    segment_file(log_shared& shared, group_listener& listener, std::unique_ptr<io::file> file,
                 log_offset begin, std::uint64_t end_bytes, const io::file_system_traits& on);
    segment_file(const segment_file&) = delete;
    segment_file& operator=(const segment_file&) = delete;
    ~segment_file();

    /// Writes a finished group (its buffer is complete, from the block it begins in). Nothing else
    /// may be in flight to those blocks, which is the caller's rule and asserted here.
    void start(group& leaving);

    /// Asks for a sync that covers every write which has completed by now: its number. At once, or
    /// after the one in flight, which may have begun before.
    [[nodiscard]] std::uint64_t request_sync();
    /// Whether that one has ended, well or not; then the log is poisoned. A log that is poisoned
    /// before it began never has it: see is_quiet().
    [[nodiscard]] bool has_ended(std::uint64_t sync_number) const noexcept {
        return syncs_ended_ >= sync_number;
    }

    /// Whether a zero-write in flight covers a block of the group.
    [[nodiscard]] bool is_being_zeroed(const group& waiting) const noexcept;
    /// Whether a commit with these bounds lies wholly in reserved space.
    [[nodiscard]] bool has_room_until(std::uint64_t wanted_end_bytes) const noexcept {
        return copies_on_write_ || round_up(wanted_end_bytes, block_bytes_) <= space.allocated_end;
    }
    /// Groups that were started and are not durable.
    [[nodiscard]] std::uint32_t groups_in_flight() const noexcept { return groups_in_flight_; }
    [[nodiscard]] bool is_quiet() const noexcept {
        return groups_in_flight_ == 0 && !sync_.is_running;
    }
    /// Prepared or not, a group's write is plain and followed by a sync.
    [[nodiscard]] bool is_always_synced() const noexcept { return copies_on_write_ || is_cached_; }
    [[nodiscard]] std::string name() const;

    // Facts that the appender and the segment chain keep; see the comments for who changes what.
    std::unique_ptr<io::file> file;
    log_offset begin;          ///< its first offset
    std::uint64_t end_bytes;   ///< end of its last closed group (appender)
    bool has_commits = false;  ///< (appender)
    /// closed or in flight, not durable (appender adds, this class subtracts)
    std::uint64_t groups_unfinished = 0;
    bool is_named = false;            ///< under its own name, durably (chain)
    segment_space space;              ///< (chain; submitted_end: `start`)
    std::uint64_t zeroing_begin = 0;  ///< the zero-write in flight, empty when equal (chain)
    std::uint64_t zeroing_end = 0;
    std::vector<std::byte> tail;         ///< bytes of the last, partly filled block (appender)
    std::string spare_name;              ///< while it has no name of its own (chain)
    format::offset_index_builder index;  ///< (appender)
    /// the last commit that left, here or before this segment (appender)
    last_commit last;
    /// of the last commit that left; 0: none in this segment (appender)
    std::uint64_t last_commit_position_bytes = 0;

private:
    class sync_operation final : public io::operation {
    public:
        explicit sync_operation(segment_file& segment) noexcept
            : operation(&sync_operation::ended), segment_(&segment) {}
        bool is_running = false;

    private:
        static void ended(io::operation& self, std::int64_t outcome) noexcept;
        segment_file* segment_;
    };

    friend class group;
    void start_transfer(group& writing);
    void on_write_ended(group& written, std::int64_t outcome) noexcept;
    void on_sync_ended(std::int64_t outcome) noexcept;
    void start_sync();
    /// Starts the sync that groups wait for, unless a plain write or a sync in flight will.
    void sync_what_is_written();
    void finish(group& done) noexcept;
    void fail(const char* what, int problem, std::uint64_t position_bytes,
              log_offset offset) noexcept;

    log_shared& shared_;
    group_listener& listener_;
    std::uint32_t block_bytes_;
    bool copies_on_write_;
    bool is_cached_;  ///< its writes go through the page cache
    std::uint32_t groups_in_flight_ = 0;
    std::uint32_t plain_writes_in_flight_ = 0;  ///< not `written` yet
    /// written without DSYNC, in order; bounded by groups_in_flight_max
    std::array<group*, 8> awaiting_sync_{};
    std::uint32_t awaiting_sync_count_ = 0;
    std::uint32_t covered_by_sync_ = 0;  ///< how many of them the running sync covers
    std::uint64_t syncs_started_ = 0;
    std::uint64_t syncs_ended_ = 0;
    bool is_sync_requested_ = false;  ///< another one is to follow the running one
    sync_operation sync_{*this};
};

}  // namespace caisson::log_detail
