#pragma once
// appender: admits appends, gathers them into groups, lets groups leave, and acknowledges in order.
// It executes group_plan; segments, space and rotation are the segment chain's. Read
// docs/architecture.md, "One append".
//
// The life of an append: waiting (no room yet; may be withdrawn) -> in a gathering group (has its
// offsets; not cancellable) -> its group leaves -> durable -> acknowledged when everything before
// it is.

#include <caisson/detail/append_operation.hpp>
#include <caisson/types.hpp>

#include "log/commit_encoder.hpp"
#include "log/group.hpp"
#include "log/group_plan.hpp"
#include "log/log_shared.hpp"
#include "log/recovered_log.hpp"
#include "log/segment_chain.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace caisson::log_detail {

class appender final : public group_listener {
public:
    /// `on_durable` is called after the durable end has moved or the log was poisoned.
    appender(log_shared& shared, recovered_log& recovered, void (*on_durable)(void*),
             void* durable_listener);
    appender(const appender&) = delete;
    appender& operator=(const appender&) = delete;
    ~appender() override;

    /// Takes an append. Never completes it inside the call.
    void admit(detail::append_operation& append);
    /// Withdraws a waiting append: it completes with operation_aborted. No effect on an admitted
    /// one.
    void withdraw(std::uint64_t ticket);
    /// No more appends: later ones fail with errc::closed.
    void stop_intake() noexcept { is_closed_ = true; }
    /// Nothing waits, gathers or is in flight.
    [[nodiscard]] bool is_drained() const noexcept;
    /// Completes what was refused up to now. At the end of each turn, and before a log that gave up
    /// says that it is closed.
    void deliver_refusals() noexcept;

    /// Fails everything that was taken: admitted appends with errc::outcome_unknown, waiting ones
    /// with errc::poisoned. Groups in flight stay until the device lets go of them.
    void fail_all();

    /// The world has ended: destroys the handlers of all calls without calling them.
    void abandon_calls() noexcept;

    [[nodiscard]] segment_chain& chain() noexcept { return chain_; }
    [[nodiscard]] log_offset appended_end() const noexcept { return next_offset_; }
    [[nodiscard]] log_offset durable_end() const noexcept { return durable_end_; }
    /// Where the log ends if everything that was taken is appended, what waits included.
    [[nodiscard]] log_offset accepted_end() const noexcept;

    void on_group_ended(group& done) noexcept override;

private:
    enum class admission : std::uint8_t { done, wait, no_space, no_memory };

    static void on_room_changed(void* self);
    [[nodiscard]] error_code refusal_of(const detail::append_operation& append) const noexcept;
    [[nodiscard]] static error_code reason_of(admission refused) noexcept;
    admission try_admit(detail::append_operation& append);
    admission ensure_room(segment_file& segment, std::uint64_t end_bytes);
    void admit_waiting();
    void refuse(detail::append_operation& append, error_code why);

    [[nodiscard]] bool begin_group(segment_file& segment, std::uint64_t framed_bytes);
    void gather(detail::append_operation& append);
    void close_gathering();
    void release(group& done) noexcept;
    void drop(group& unsent) noexcept;
    void take_admitted(append_queue& into) noexcept;

    void schedule_turn();
    void end_of_turn() noexcept;
    void let_groups_leave();
    [[nodiscard]] bool may_leave(const group& oldest) const noexcept;
    void adapt_to_load() noexcept;
    void advance() noexcept;
    /// Returns how many appends it completed.
    std::uint64_t acknowledge(group& durable) noexcept;

    log_shared& shared_;
    void (*on_durable_)(void*);
    void* durable_listener_;
    group_rules rules_;
    group_threshold threshold_;
    commit_encoder encoder_;

    append_queue waiting_;              ///< not admitted, in order of call
    append_queue refused_;              ///< to be completed at the end of the turn
    std::vector<error_code> refusals_;  ///< the reasons, in the order of refused_
    // Groups in order of offsets: those that left, those that are closed, the one that gathers.
    std::vector<std::unique_ptr<group>> free_groups_;
    group_queue left_;    ///< in flight, or durable and held back by an earlier one
    group_queue closed_;  ///< not left yet
    group* gathering_ = nullptr;
    /// the newest group that left, while it is in flight
    group* last_left_ = nullptr;
    std::uint32_t in_flight_ = 0;
    std::uint64_t admitted_appends_ = 0;  ///< total since open
    std::uint64_t pending_bytes_ = 0;     ///< admitted and not acknowledged
    log_offset next_offset_;
    log_offset durable_end_;
    bool is_closed_ = false;
    bool turn_is_scheduled_ = false;
    segment_chain chain_;
};

}  // namespace caisson::log_detail
