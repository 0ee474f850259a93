#pragma once
// segment_chain: the segments that are being written: the target of new groups, the spare that will
// follow it, and the hand-over between them. It executes space_plan ahead of the commits and names
// a successor once its predecessor is whole. Knows nothing about groups' contents. Read
// docs/architecture.md, "Prepared space" and "Rotation".

#include <caisson/failure.hpp>
#include <caisson/types.hpp>

#include "async/task_group.hpp"
#include "log/group_plan.hpp"
#include "log/log_shared.hpp"
#include "log/recovered_log.hpp"
#include "log/segment_file.hpp"
#include "log/space_plan.hpp"
#include "log/state_store.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace caisson::log_detail {

class segment_chain {
public:
    /// `room_changed` is called when waiting for room has an end: there is some, or there is none
    /// to be had.
    segment_chain(log_shared& shared, group_listener& listener, log_directory& directory,
                  state_store& state, segment_tail tail, last_commit last,
                  std::vector<log_offset> named, void (*room_changed)(void*), void* room_listener);
    segment_chain(const segment_chain&) = delete;
    segment_chain& operator=(const segment_chain&) = delete;
    ~segment_chain();

    [[nodiscard]] segment_file& target() noexcept { return *target_; }
    /// Whether `begin_next` may be called: there is a spare, and no other successor still waits for
    /// its name.
    [[nodiscard]] bool can_begin_next() const noexcept {
        return spare_ != nullptr && predecessor_ == nullptr;
    }
    [[nodiscard]] segment_file* spare() noexcept { return spare_.get(); }

    /// Asks for reserved space up to `end_bytes` of `segment` (the target or the spare), or for the
    /// spare. One wish at a time, that of the append which waits first; a new one replaces it.
    /// False: there is none to be had, the device has just refused as little or less.
    [[nodiscard]] bool want_room(segment_file& segment, std::uint64_t end_bytes);
    [[nodiscard]] bool want_next();
    /// Nobody waits for it any more: what was wished for must not stand in the way of less.
    void forget_wish() noexcept;

    /// Makes the spare the target; its first record gets `first`. Everything before it was closed
    /// by the appender. Nothing in it counts as durable before its name is, which follows in the
    /// background.
    segment_file& begin_next(log_offset first);

    /// Groups are about as large as this now: decides whether zeroing ahead is worth its bandwidth.
    void expect_groups_of(std::uint64_t size_bytes) noexcept {
        plan_.set_zeroes_ahead(size_bytes < unzeroed_threshold_bytes_min);
    }

    /// After a group left or ended: prepares further if need be.
    void on_progress();

    /// Whether segments may be written: the clean mark of an earlier close is dropped, in both
    /// slots of STATE. Asking for room brings it about.
    [[nodiscard]] bool is_active() const noexcept { return is_active_; }

    /// First offsets of all named segments, ascending.
    [[nodiscard]] const std::vector<log_offset>& named_segments() const noexcept { return named_; }

    /// Ends the background work. Named successors stay named; after it nothing is in flight on any
    /// segment.
    net::awaitable<void> stop();

    /// After `stop`, of a healthy log with no group left: cuts the target to its exact length,
    /// syncs it, writes its index, removes the spare, and marks the log as cleanly closed.
    net::awaitable<detailed<void>> finish();

    /// After `stop`: closes every segment file.
    void release_files() noexcept;

private:
    net::awaitable<void> prepare_loop();
    net::awaitable<detailed<void>> drop_clean_mark();
    net::awaitable<detailed<void>> execute(space_action action);
    net::awaitable<detailed<void>> create_spare(std::uint64_t reserved_bytes);
    net::awaitable<detailed<void>> allocate(segment_file& segment, std::uint64_t begin_bytes,
                                            std::uint64_t end_bytes);
    net::awaitable<detailed<void>> zero(segment_file& segment, std::uint64_t begin_bytes,
                                        std::uint64_t end_bytes);
    net::awaitable<detailed<void>> sync_prepared(segment_file& segment, std::uint64_t end_bytes);
    net::awaitable<void> rotate();
    net::awaitable<detailed<void>> seal_predecessor();
    net::awaitable<detailed<void>> name_successor();
    net::awaitable<void> write_index_of(segment_file& segment);
    void meet_no_space(const failure& cause);
    void meet_space() noexcept;
    void start_preparing();

    [[nodiscard]] failure trouble(const char* what, error_code code,
                                  const segment_file& segment) const;

    log_shared& shared_;
    group_listener& listener_;
    log_directory& directory_;
    state_store& state_;
    void (*room_changed_)(void*);
    void* room_listener_;
    space_plan plan_;
    std::unique_ptr<segment_file> target_;
    std::unique_ptr<segment_file> predecessor_;  ///< until its successor has a name
    std::unique_ptr<segment_file> spare_;
    const segment_file* prepared_now_ = nullptr;  ///< the segment an action is running on
    std::vector<log_offset> named_;
    async::task_group tasks_;
    std::uint64_t spares_made_ = 0;
    /// What the device has refused lately: so much room (or any spare), at that time.
    class refusal {
    public:
        void note(std::uint64_t bytes, std::uint64_t now_ns) noexcept {
            bytes_ = bytes;
            at_ns_ = now_ns;
        }
        void clear() noexcept { bytes_ = nothing; }
        [[nodiscard]] bool holds_for(std::uint64_t bytes, std::uint64_t now_ns) const noexcept;

    private:
        static constexpr std::uint64_t nothing = UINT64_MAX;
        std::uint64_t bytes_ = nothing;
        std::uint64_t at_ns_ = 0;
    };
    refusal room_refused_;
    refusal spare_refused_;
    bool is_preparing_ = false;  ///< the prepare loop runs
    bool next_is_wanted_ = false;
    /// the last attempt was refused: preparing rests until somebody asks
    bool out_of_space_ = false;
    bool is_stopping_ = false;
    bool has_written_ = false;  ///< something may have been changed since open
    /// the clean mark is dropped, durably in both slots
    bool is_active_ = false;
};

}  // namespace caisson::log_detail
