// Opening and closing. The close order: intake, logs (each drains, settles, gives up its lock) and
// views, background work, home.

#include "engine/engine_core.hpp"

#include "async/complete_later.hpp"
#include "base/assert.hpp"
#include "base/keep.hpp"
#include "base/units.hpp"
#include "log/recovery.hpp"
#include "log/view.hpp"

#include <boost/asio/post.hpp>
#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace caisson::engine_detail {

namespace {

using namespace caisson::literals;

/// What cannot work is refused by name before anything is touched.
std::optional<failure> objection_to(const log_options& options) {
    const auto refuse = [](const char* what) {
        return failure(errc::invalid_options, what);
    };
    if (options.segment_size_bytes < 64_KiB || options.segment_size_bytes > 1_GiB) {
        return refuse("segment_size_bytes is not between 64 KiB and 1 GiB");
    }
    if (options.record_size_bytes_max < 1 || options.record_size_bytes_max > 256_MiB) {
        return refuse("record_size_bytes_max is not between 1 byte and 256 MiB");
    }
    if (options.max_pending_bytes < options.record_size_bytes_max + detail::record_frame_bytes ||
        options.max_pending_bytes > 1_GiB) {
        return refuse("max_pending_bytes is not between record_size_bytes_max (plus 4) and 1 GiB");
    }
    if (options.lock_wait.count() < 0) {
        return refuse("lock_wait is negative");
    }
    return std::nullopt;
}

}  // namespace

/// An operation that a coroutine answers for, from before it runs. Whoever comes first does: the
/// coroutine, or the deadline of the engine's close.
class engine_core::owed_opening {
public:
    explicit owed_opening(engine_core& core) : core_(core) { core_.openings_.push_back(this); }
    owed_opening(const owed_opening&) = delete;
    owed_opening& operator=(const owed_opening&) = delete;
    virtual void hand_over() noexcept = 0;

protected:
    ~owed_opening() = default;
    void forget() noexcept { std::erase(core_.openings_, this); }
    engine_core& core_;
};

/// Dropped unanswered (the world ended), its handler is destroyed.
template <class Operation>
class engine_core::owed final : public owed_opening {
public:
    owed(engine_core& core, Operation* operation) : owed_opening(core), operation_(operation) {}
    ~owed() {
        forget();  // first: the handler that is destroyed may own the engine
        if (operation_ != nullptr) {
            operation_->abandon();
        }
    }
    /// Null once it was handed over: what it points to is the caller's again.
    [[nodiscard]] Operation* get() const noexcept { return operation_; }
    template <class Outcome>
    void answer(Outcome&& outcome) noexcept {
        if (operation_ != nullptr) {
            std::exchange(operation_, nullptr)->complete(std::forward<Outcome>(outcome));
        }
    }
    void hand_over() noexcept override {
        if constexpr (std::is_same_v<Operation, open_operation>) {
            core_.late_logs_.push_back(std::exchange(operation_, nullptr));
        } else {
            core_.late_views_.push_back(std::exchange(operation_, nullptr));
        }
    }

private:
    Operation* operation_;
};

engine engine_core::make(std::unique_ptr<home> where, const engine_options& options) {
    return engine(std::make_shared<engine_core>(std::move(where), options));
}

engine_core::engine_core(std::unique_ptr<home> where, const engine_options& options)
    : options_(options),
      home_(std::move(where)),
      world_(home_->environment()),
      gate_(std::make_shared<async::home_gate>(world_.given_home, world_.thread)),
      entry_(std::make_shared<log_detail::gate_entry>(gate_)),
      tasks_(world_.home),
      closing_(world_.home),
      deadline_(world_.clock, &engine_core::on_deadline, this) {
    if (options_.logger) {
        world_.logger = options_.logger;
    }
}

engine_core::~engine_core() {
    entry_->end();
    if (world_.disk.powered_off()) {
        tasks_.abandon();
        closing_.abandon();
        for (const auto& each : std::exchange(logs_, {})) {
            each->abandon_calls();
        }
    } else {
        CAISSON_ASSERT(!has_leaked_);
    }
    for (open_operation* left : late_logs_) {
        left->abandon();
    }
    for (view_operation* left : late_views_) {
        left->abandon();
    }
    for (shutdown_operation* left : closers_) {
        left->abandon();
    }
}

// ---- opening

void engine_core::open(open_operation& operation) {
    if (phase_ != phase::open) {
        async::complete_later(executor(), operation, make_error_code(errc::closed));
        return;
    }
    tasks_.spawn(open_log(std::make_unique<owed<open_operation>>(*this, &operation)));
}

net::awaitable<void> engine_core::open_log(std::unique_ptr<owed<open_operation>> asked) {
    if (asked->get() == nullptr) {
        co_return;
    }
    const std::string path = asked->get()->path;
    log_options options = asked->get()->options;
    open_report found;  // not the caller's: that one is his again once he is answered
    const auto refuse = [&](failure why) {
        const error_code code = why.code();
        if (asked->get() != nullptr && asked->get()->options.report != nullptr) {
            found.refused = std::move(why);
            *asked->get()->options.report = std::move(found);
        }
        asked->answer(code);
    };
    if (phase_ != phase::open) {
        refuse(failure(errc::closed, "the engine was closed"));
        co_return;
    }
    if (auto objection = objection_to(options)) {
        refuse(std::move(*objection));
        co_return;
    }
    options.report = &found;
    auto recovered = co_await log_detail::open_log(world_, path, options);
    if (!recovered) {
        refuse(std::move(recovered).error());
        co_return;
    }
    if (phase_ != phase::open) {
        // Nothing was written to it since it was recovered: it is let go as it is.
        recovered = failure(errc::closed, "the engine was closed while the log was being opened");
        refuse(std::move(recovered).error());
        co_return;
    }
    found = recovered.value().report;
    if (open_report* const report = asked->get()->options.report) {
        *report = std::move(found);
    }
    auto core = std::make_shared<log_detail::log_core>(gate_, entry_, world_, buffers_, options,
                                                       path, std::move(recovered).value(), *this,
                                                       options_.close_deadline);
    core->adopt_owner();
    logs_.push_back(core);
    asked->answer(log(std::move(core)));
}

void engine_core::open_view(view_operation& operation) {
    if (phase_ != phase::open) {
        async::complete_later(executor(), operation, make_error_code(errc::closed));
        return;
    }
    tasks_.spawn(open_log_view(std::make_unique<owed<view_operation>>(*this, &operation)));
}

net::awaitable<void> engine_core::open_log_view(std::unique_ptr<owed<view_operation>> asked) {
    if (asked->get() == nullptr) {
        co_return;
    }
    const std::string path = asked->get()->path;
    auto view = co_await log_detail::open_view(world_, entry_, path);
    if (view && phase_ != phase::open) {
        co_await view.value()->source()->close();
        view = failure(errc::closed, "the engine was closed while the view was being opened");
    }
    if (!view) {
        const error_code code = view.error().code();
        if (asked->get() != nullptr && asked->get()->report != nullptr) {
            asked->get()->report->refused = std::move(view).error();
        }
        asked->answer(code);
        co_return;
    }
    std::erase_if(views_, [](const auto& each) { return each.expired(); });
    views_.push_back(view.value()->source());
    asked->answer(log_view(std::move(view).value()));
}

// ---- closing
//
//   open ------> closing ------> ended ------> closed ------> (end)
//        begin_close     close_all      answer        on home, once the handle is gone
//
// close_all waits for logs, views and openings, and for nothing that only the device can end beyond
// the deadline: then give_up tells every log to, and takes the answers that openings owe. Whatever
// of this engine the kernel may still use is `has_leaked_`: then the world is told to stay silent,
// and the engine with all its memory is kept for ever.
//
// The handle may go away in any phase. The engine then belongs to itself (base/keep.hpp)
// until it has answered.

void engine_core::close(shutdown_operation& operation) {
    closers_.push_back(&operation);
    if (phase_ == phase::closed) {
        answer_later();
    } else {
        begin_close();
    }
}

void engine_core::begin_close() {
    if (phase_ != phase::open) {
        return;
    }
    phase_ = phase::closing;
    world_.is_closing = true;
    deadline_.start(options_.close_deadline);
    for (const auto& each : logs_) {
        each->begin_close();
    }
    for (const auto& each : views_) {
        if (auto source = each.lock()) {
            tasks_.spawn(source->close());
            closing_views_.push_back(std::move(source));
        }
    }
    closing_.spawn(close_all());
}

void engine_core::on_log_closed(log_detail::log_core& closed) noexcept {
    has_leaked_ = has_leaked_ || closed.has_given_up();
    if (phase_ != phase::open && !closed.close_outcome() && close_outcome_) {
        close_outcome_ = closed.close_outcome();
    }
    std::erase_if(logs_, [&](const auto& each) { return each.get() == &closed; });
    tasks_.changed().notify_all();
}

net::awaitable<void> engine_core::close_all() {
    while (!logs_.empty() || (tasks_.running() > 0 && !has_given_up_)) {
        co_await tasks_.changed().wait();
    }
    deadline_.stop();
    while (deadline_.is_running()) {
        co_await tasks_.changed().wait();
    }
    has_leaked_ = has_leaked_ || tasks_.running() > 0;
    if (has_leaked_) {
        home_->abandon();
        if (close_outcome_) {
            close_outcome_ = errc::outcome_unknown;
        }
    } else {
        closing_views_.clear();
    }
    phase_ = phase::ended;
    answer_later();
}

void engine_core::on_deadline(void* self) {
    auto& mine = *static_cast<engine_core*>(self);
    if (mine.deadline_.has_passed()) {
        mine.give_up();
    }
    mine.tasks_.changed().notify_all();
}

void engine_core::give_up() {
    has_given_up_ = true;
    for (const auto& each : logs_) {
        each->give_up();
    }
    for (owed_opening* each : openings_) {
        each->hand_over();
    }
    openings_.clear();
}

void engine_core::answer_later() {
    net::post(world_.home, [self = shared_from_this()] { self->answer(); });
}

void engine_core::answer() noexcept {
    if (closing_.running() > 0) {
        answer_later();  // the frame of close_all is not quite gone
        return;
    }
    // An answer may do anything, also destroy the handle; this turn keeps the engine.
    for (open_operation* each : std::exchange(late_logs_, {})) {
        each->complete(make_error_code(errc::closed));
    }
    for (view_operation* each : std::exchange(late_views_, {})) {
        each->complete(make_error_code(errc::closed));
    }
    phase_ = phase::closed;
    const result<void> outcome = close_outcome_;
    for (shutdown_operation* each : std::exchange(closers_, {})) {
        each->complete(outcome);
    }
    if (auto mine = std::static_pointer_cast<engine_core>(take_back(this))) {
        end(std::move(mine));
    }
}

// ---- the end

/// Carries the news home that the handle is gone.
struct engine_core::farewell final : detail::operation_node {
    explicit farewell(std::shared_ptr<engine_core> of) : core(std::move(of)) {
        arrive = [](operation_node& self, void*) {
            const std::unique_ptr<farewell> mine(static_cast<farewell*>(&self));
            handle_lost(std::move(mine->core));
        };
        discard = [](operation_node& self) noexcept {
            // The home executor is gone. What has not closed never will.
            const std::unique_ptr<farewell> mine(static_cast<farewell*>(&self));
            mine->core->entry_->end();
            if (mine->core->phase_ != phase::closed || mine->core->has_leaked_) {
                keep(std::move(mine->core));
            }
        };
    }
    std::shared_ptr<engine_core> core;
};

void engine_core::let_go(std::shared_ptr<engine_core> core) {
    if (core->world_.disk.powered_off()) {
        return;
    }
    const phase now = core->phase_;
    if (now != phase::closed && core->options_.logger) {
        core->options_.logger->warn(
            "the engine was destroyed without async_close: it closes in the background");
    }
    const auto gate = core->gate_;
    const std::shared_future<void> ended =
        gate->is_home() ? std::shared_future<void>() : core->home_->thread_ended();
    gate->enter(*new farewell(std::move(core)));
    if (ended.valid()) {
        // What was accepted is finished meanwhile, if the device lets it.
        ended.wait_for(std::chrono::seconds(2));
    }
}

void engine_core::handle_lost(std::shared_ptr<engine_core> core) {
    engine_core& mine = *core;
    if (mine.gate_->is_violated()) {
        keep(std::move(core));  // nothing of it may be touched on a wrong thread
    } else if (mine.phase_ == phase::closed) {
        end(std::move(core));
    } else {
        keep(std::move(core));
        mine.begin_close();
    }
}

void engine_core::end(std::shared_ptr<engine_core> core) {
    core->entry_->end();
    home& where = *core->home_;
    if (core->has_leaked_) {
        keep(std::move(core));
        where.retire(nullptr);
    } else {
        where.retire(std::move(core));
    }
}

}  // namespace caisson::engine_detail
