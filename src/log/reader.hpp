#pragma once
// reader_core: the home side of one log_reader. Finds the place, hands out commits, and decides
// what an end means by its source: an open log knows what must be there, a directory needs a
// witness. Knows nothing about who writes. Read docs/architecture.md, "Reading".
//
// The user's side (any thread) touches only what is marked so; all else happens on the home thread.
// An operation that is cancelled is taken away from the work, not the work from the reader: what it
// brings is the next call's.

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/reader.hpp>

#include "log/cursor.hpp"
#include "log/index_file.hpp"
#include "log/read_source.hpp"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace caisson::log_detail {

class reader_core final : public source_client {
public:
    /// Callable on any thread. The object ends itself on the home thread after the last reference
    /// is gone.
    [[nodiscard]] static std::shared_ptr<reader_core> make(std::shared_ptr<read_source> source,
                                                           std::shared_ptr<home_entry> entry,
                                                           log_offset from,
                                                           const reader_options& options);

    // ---- the user's side
    void start(std::shared_ptr<reader_core> self, detail::next_operation& operation) noexcept;
    void cancel(std::shared_ptr<reader_core> self, std::uint64_t ticket) noexcept;
    [[nodiscard]] std::uint64_t next_ticket() const noexcept { return tickets_ + 1; }
    [[nodiscard]] std::uint64_t last_ticket() const noexcept { return tickets_; }
    [[nodiscard]] const net::any_io_executor& home() const noexcept { return entry_->executor(); }
    [[nodiscard]] const std::optional<failure>& failure_cause() const noexcept { return failure_; }

    // ---- at home
    void source_closing() noexcept override;
    /// For tests of the bound.
    [[nodiscard]] std::uint64_t memory_bytes() const noexcept {
        return cursor_ ? cursor_->memory_bytes() : 0;
    }

private:
    template <void (reader_core::*Run)(home_task::arrival)>
    class travelling final : public home_task {
    public:
        explicit travelling(reader_core& core) noexcept
            : home_task(&travelling::arrived), core_(core) {}
        std::shared_ptr<reader_core> self;  ///< keeps the core alive on the way

    private:
        static void arrived(home_task& task, arrival how) noexcept {
            auto& mine = static_cast<travelling&>(task);
            const auto keep = std::move(mine.self);
            (mine.core_.*Run)(how);
        }
        reader_core& core_;
    };
    struct run_ended;

    reader_core(std::shared_ptr<read_source> source, std::shared_ptr<home_entry> entry,
                log_offset from, const reader_options& options);
    ~reader_core() override;

    void on_start(home_task::arrival how);
    void on_cancel(home_task::arrival how);
    void on_retire(home_task::arrival how);

    // The operation.
    void finish(detailed<commit_batch> outcome) noexcept;
    void fail(failure why) noexcept;
    std::optional<commit_batch> try_without_io();
    void spawn(net::awaitable<void> work);
    void on_run_ended() noexcept;
    void on_run_destroyed() noexcept;
    void wind_down() noexcept;
    net::awaitable<void> settle();
    net::awaitable<void> run();

    // Reading.
    net::awaitable<detailed<commit_batch>> advance();
    net::awaitable<detailed<std::optional<commit_batch>>> on_end(format::scan_event event);
    net::awaitable<detailed<std::optional<commit_batch>>> on_end_of_open_log(
        format::scan_event event);
    net::awaitable<detailed<std::optional<commit_batch>>> on_end_of_directory(
        format::scan_event event);
    net::awaitable<detailed<std::optional<commit_batch>>> go_behind(failure found);
    net::awaitable<detailed<void>> find_place();
    net::awaitable<detailed<void>> find_commit();
    void go_to_first_commit();
    net::awaitable<bool> try_position(format::index_entry entry);
    net::awaitable<detailed<void>> move_to(log_offset segment);
    [[nodiscard]] commit_link link_to(log_offset segment) const noexcept;
    std::optional<detailed<commit_batch>> check_range() const;
    std::optional<commit_batch> take(const format::scan_event& event) noexcept;
    [[nodiscard]] failure out_of_range(std::optional<log_offset> end) const;

    // The user's side writes these before `enter`, home reads them after.
    std::shared_ptr<home_entry> entry_;
    std::uint64_t tickets_ = 0;
    detail::next_operation* arriving_ = nullptr;
    std::atomic<std::uint64_t> cancelled_ticket_{0};
    std::atomic<bool> is_cancel_travelling_{false};
    travelling<&reader_core::on_start> start_task_{*this};
    travelling<&reader_core::on_cancel> cancel_task_{*this};
    travelling<&reader_core::on_retire> retire_task_{*this};

    // Home only.
    std::shared_ptr<read_source> source_;  ///< null once it has closed
    std::uint64_t window_size_bytes_;
    detail::next_operation* operation_ = nullptr;
    std::uint64_t operation_ticket_ = 0;
    /// of the last operation; written only while it completes
    std::optional<failure> failure_;
    /// brought for an operation that was cancelled
    std::optional<detailed<commit_batch>> outcome_;
    bool is_running_ = false;  ///< a coroutine of this reader exists
    bool is_attached_ = false;
    bool is_closed_ = false;   ///< the source has ended, or is about to
    bool is_retired_ = false;  ///< nobody holds the reader any more

    std::optional<segment_cursor> cursor_;
    log_offset wanted_;  ///< the next record to deliver
    /// the cursor is in the segment that holds `wanted_`, at or before it
    bool has_place_ = false;
    bool has_delivered_ = false;
    bool is_stale_ = false;                   ///< what the cursor has read may be out of date
    std::optional<std::uint64_t> reread_at_;  ///< where the last end was read again (open log)
    /// times in a row that the directory changed under the reader
    int moves_ = 0;
};

}  // namespace caisson::log_detail
