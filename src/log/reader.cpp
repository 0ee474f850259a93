// The operation of a reader: arrival, completion, cancellation, the end. What it reads is in
// reader_place.cpp.

#include "log/reader.hpp"

#include "async/complete_later.hpp"
#include "async/untracked_executor.hpp"
#include "base/assert.hpp"
#include "base/keep.hpp"
#include "base/units.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace caisson {

namespace detail {

void start_next(const std::shared_ptr<log_detail::reader_core>& core,
                next_operation& operation) noexcept {
    core->start(core, operation);
}
void cancel_next(const std::shared_ptr<log_detail::reader_core>& core,
                 std::uint64_t ticket) noexcept {
    core->cancel(core, ticket);
}
std::uint64_t ticket_of_next(const log_detail::reader_core& core) noexcept {
    return core.next_ticket();
}
const net::any_io_executor& home_of(const log_detail::reader_core& core) noexcept {
    return core.home();
}

}  // namespace detail

log_reader::~log_reader() {
    if (core_) {
        core_->cancel(core_, core_->last_ticket());
    }
}

log_reader& log_reader::operator=(log_reader&& other) noexcept {
    if (this != &other) {
        log_reader ended(std::move(*this));
        core_ = std::move(other.core_);
    }
    return *this;
}

const std::optional<failure>& log_reader::failure_cause() const noexcept {
    return core_->failure_cause();
}

namespace log_detail {

read_source::~read_source() { CAISSON_ASSERT(first_ == nullptr); }

void read_source::attach(source_client& client) noexcept {
    CAISSON_ASSERT(!closing_);
    client.previous_ = nullptr;
    client.next_ = first_;
    if (first_ != nullptr) {
        first_->previous_ = &client;
    }
    first_ = &client;
}

void read_source::detach(source_client& client) noexcept {
    if (client.previous_ != nullptr) {
        client.previous_->next_ = client.next_;
    } else {
        CAISSON_ASSERT(first_ == &client);
        first_ = client.next_;
    }
    if (client.next_ != nullptr) {
        client.next_->previous_ = client.previous_;
    }
    client.previous_ = nullptr;
    client.next_ = nullptr;
    if (closing_ && first_ == nullptr && !std::exchange(idle_reported_, true)) {
        on_idle();
    }
}

void read_source::close_clients() noexcept {
    if (std::exchange(closing_, true)) {
        return;
    }
    for (source_client* client = first_; client != nullptr;) {
        source_client* const next = client->next_;
        client->source_closing();  // may detach itself
        client = next;
    }
    if (first_ == nullptr && !std::exchange(idle_reported_, true)) {
        on_idle();
    }
}

/// Tells the core that its coroutine is over; when it was destroyed instead (simulated power cut),
/// that nothing comes.
struct reader_core::run_ended {
    explicit run_ended(reader_core& core) noexcept : core_(&core) {}
    run_ended(run_ended&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    run_ended& operator=(run_ended&&) = delete;
    ~run_ended() {
        if (core_ != nullptr) {
            core_->on_run_destroyed();
        }
    }
    void operator()(const std::exception_ptr& thrown) noexcept {
        if (thrown) {
            std::terminate();  // nothing in the library throws
        }
        std::exchange(core_, nullptr)->on_run_ended();
    }

private:
    reader_core* core_;
};

std::shared_ptr<reader_core> reader_core::make(std::shared_ptr<read_source> source,
                                               std::shared_ptr<home_entry> entry, log_offset from,
                                               const reader_options& options) {
    struct retire {
        void operator()(reader_core* core) const noexcept {
            const auto entry = core->entry_;  // the task may end the core before the call returns
            entry->enter(core->retire_task_);
        }
    };
    return {new reader_core(std::move(source), std::move(entry), from, options), retire{}};
}

reader_core::reader_core(std::shared_ptr<read_source> source, std::shared_ptr<home_entry> entry,
                         log_offset from, const reader_options& options)
    : entry_(std::move(entry)), source_(std::move(source)), wanted_(from) {
    constexpr std::uint64_t window_bytes_max = 16ull << 20;
    window_size_bytes_ = round_up(
        std::clamp(options.window_size_bytes, read_ahead::first_read_bytes, window_bytes_max),
        read_ahead::first_read_bytes);
}

reader_core::~reader_core() {
    if (is_attached_ && source_) {
        source_->detach(*this);
    }
    if (operation_ != nullptr) {
        operation_->abandon();
    }
}

// ---- the user's side

void reader_core::start(std::shared_ptr<reader_core> self,
                        detail::next_operation& operation) noexcept {
    CAISSON_ASSERT(arriving_ == nullptr);  // one operation at a time
    ++tickets_;
    arriving_ = &operation;
    start_task_.self = std::move(self);
    entry_->enter(start_task_);
}

void reader_core::cancel(std::shared_ptr<reader_core> self, std::uint64_t ticket) noexcept {
    cancelled_ticket_.store(ticket, std::memory_order_release);
    if (is_cancel_travelling_.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    cancel_task_.self = std::move(self);
    const auto entry = entry_;
    entry->enter(cancel_task_);
}

// ---- at home

void reader_core::on_start(home_task::arrival how) {
    detail::next_operation* const arrived = std::exchange(arriving_, nullptr);
    if (how == home_task::arrival::engine_gone) {
        arrived->abandon();
        return;
    }
    if (how == home_task::arrival::wrong_thread) {
        async::complete_later(entry_->executor(), *arrived,
                              make_error_code(errc::home_on_two_threads));
        return;
    }
    CAISSON_ASSERT(operation_ == nullptr);
    operation_ = arrived;
    operation_ticket_ = tickets_;
    if (!is_closed_ && !is_attached_) {
        if (source_->is_closing()) {
            is_closed_ = true;
        } else {
            source_->attach(*this);
            is_attached_ = true;
        }
    }
    if (is_closed_) {
        fail(failure(errc::closed, "the log was closed"));
    } else if (cancelled_ticket_.load(std::memory_order_acquire) == operation_ticket_) {
        fail(failure(net::error::operation_aborted, "the operation was cancelled"));
    } else if (outcome_) {
        auto kept = std::move(*outcome_);
        outcome_.reset();
        finish(std::move(kept));
    } else if (!is_running_) {
        if (const auto batch = try_without_io()) {
            finish(*batch);
        } else {
            spawn(run());
        }
    }
}

void reader_core::on_cancel(home_task::arrival how) {
    // An exchange, so that a cancellation that found the task on its way has its ticket seen below.
    is_cancel_travelling_.exchange(false, std::memory_order_acq_rel);
    if (how != home_task::arrival::at_home || operation_ == nullptr) {
        return;
    }
    if (cancelled_ticket_.load(std::memory_order_acquire) == operation_ticket_) {
        fail(failure(net::error::operation_aborted, "the operation was cancelled"));
    }
}

void reader_core::on_retire(home_task::arrival how) {
    if (how == home_task::arrival::wrong_thread) {
        keep(std::shared_ptr<void>(this, [](void*) {}));  // nothing of it may be touched here
        return;
    }
    if (how == home_task::arrival::engine_gone) {
        if (is_running_ || (cursor_ && cursor_->is_in_flight())) {
            // The engine gave up on a device that has reads of ours: their memory stays.
            keep(std::shared_ptr<void>(this, [](void*) {}));
        } else {
            delete this;
        }
        return;
    }
    is_retired_ = true;
    wind_down();
}

void reader_core::source_closing() noexcept {
    is_closed_ = true;
    outcome_.reset();
    if (operation_ != nullptr) {
        // Not here: whoever closes the log may be inside the call that asks for it.
        failure_ = failure(errc::closed, "the log was closed");
        async::complete_later(entry_->executor(), *std::exchange(operation_, nullptr),
                              make_error_code(errc::closed));
    }
    wind_down();
}

// Ends what the kernel has of ours, then lets go of the source, and of itself when nobody holds the
// reader.
void reader_core::wind_down() noexcept {
    if (cursor_) {
        cursor_->stop();
    }
    if (is_running_) {
        return;  // on_run_ended comes back
    }
    if (cursor_ && cursor_->is_in_flight()) {
        spawn(settle());
        return;
    }
    cursor_.reset();
    has_place_ = false;
    if (std::exchange(is_attached_, false)) {
        const auto source = std::move(source_);
        source->detach(*this);
    }
    if (is_retired_) {
        delete this;
    }
}

net::awaitable<void> reader_core::settle() { co_await cursor_->settle(); }

void reader_core::spawn(net::awaitable<void> work) {
    CAISSON_ASSERT(!is_running_);
    is_running_ = true;
    net::co_spawn(async::untracked(source_->world().home), std::move(work), run_ended(*this));
}

net::awaitable<void> reader_core::run() { outcome_.emplace(co_await advance()); }

void reader_core::on_run_ended() noexcept {
    is_running_ = false;
    if (is_closed_ || is_retired_) {
        outcome_.reset();
        wind_down();
        return;
    }
    if (operation_ != nullptr && outcome_) {
        auto outcome = std::move(*outcome_);
        outcome_.reset();
        finish(std::move(outcome));
    }
}

// The handler may own the reader, and this coroutine's frame is being destroyed: so its end comes
// in a turn of its own, which destroys it when nothing runs any more.
void reader_core::on_run_destroyed() noexcept {
    is_running_ = false;
    if (operation_ != nullptr) {
        async::complete_later(entry_->executor(), *std::exchange(operation_, nullptr),
                              error_code(errc::closed));
    }
}

void reader_core::finish(detailed<commit_batch> outcome) noexcept {
    if (!outcome) {
        fail(std::move(outcome).error());
        return;
    }
    failure_.reset();
    has_delivered_ = has_delivered_ || !outcome.value().empty();
    std::exchange(operation_, nullptr)->complete(outcome.value());
}

void reader_core::fail(failure why) noexcept {
    const error_code code = why.code();
    failure_ = std::move(why);
    std::exchange(operation_, nullptr)->complete(code);
}

}  // namespace log_detail
}  // namespace caisson
