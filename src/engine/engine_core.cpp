// Opening and closing. The close order: intake, logs (each drains, settles, gives up its lock),
// background work, home.

#include "engine/engine_core.hpp"

#include "base/assert.hpp"
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

/// An operation that a coroutine answers for. Dropped unanswered (the world ended), its handler is
/// destroyed.
template <class Operation>
class owed {
public:
    explicit owed(Operation* operation) noexcept : operation_(operation) {}
    owed(const owed&) = delete;
    owed& operator=(const owed&) = delete;
    ~owed() {
        if (operation_ != nullptr) {
            operation_->abandon();
        }
    }
    Operation* operator->() const noexcept { return operation_; }
    template <class Outcome>
    void answer(Outcome&& outcome) noexcept {
        std::exchange(operation_, nullptr)->complete(std::forward<Outcome>(outcome));
    }

private:
    Operation* operation_;
};

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
        options.max_pending_bytes > 2_GiB) {
        return refuse("max_pending_bytes is not between record_size_bytes_max (plus 4) and 2 GiB");
    }
    if (options.lock_wait.count() < 0) {
        return refuse("lock_wait is negative");
    }
    return std::nullopt;
}

}  // namespace

engine_core::engine_core(std::unique_ptr<home> where, const engine_options& options)
    : options_(options),
      home_(std::move(where)),
      world_(home_->environment()),
      gate_(std::make_shared<async::home_gate>(world_.home)),
      entry_(std::make_shared<log_detail::gate_entry>(gate_)),
      tasks_(world_.home),
      closing_(world_.home) {
    if (options_.logger) {
        world_.logger = options_.logger;
    }
}

engine_core::~engine_core() {
    entry_->end();
    if (world_.disk.powered_off()) {
        tasks_.abandon();
        closing_.abandon();
    }
    for (shutdown_operation* left : closers_) {
        left->abandon();
    }
}

// ---- opening

void engine_core::open(open_operation& operation) { tasks_.spawn(open_log(&operation)); }

net::awaitable<void> engine_core::open_log(open_operation* operation) {
    owed<open_operation> asked(operation);
    if (phase_ != phase::open) {
        asked.answer(make_error_code(errc::closed));
        co_return;
    }
    open_report* const report = asked->options.report;
    if (auto objection = objection_to(asked->options)) {
        const error_code code = objection->code();
        if (report != nullptr) {
            report->refused = std::move(objection);
        }
        asked.answer(code);
        co_return;
    }
    auto recovered = co_await log_detail::open_log(world_, asked->path, asked->options);
    if (!recovered) {
        const error_code code = recovered.error().code();
        if (report != nullptr) {
            report->refused = std::move(recovered).error();
        }
        asked.answer(code);
        co_return;
    }
    if (report != nullptr) {
        *report = recovered.value().report;
    }
    auto core = std::make_shared<log_detail::log_core>(
        gate_, entry_, world_, buffers_, asked->options, asked->path, std::move(recovered).value(),
        tasks_, options_.close_deadline);
    core->adopt_owner();
    std::erase_if(logs_, [](const auto& each) { return each->is_closed(); });
    logs_.push_back(core);
    if (phase_ != phase::open) {
        core->begin_close();  // the engine began to close while the log was being opened
    }
    asked.answer(log(std::move(core)));
}

void engine_core::open_view(view_operation& operation) { tasks_.spawn(open_log_view(&operation)); }

net::awaitable<void> engine_core::open_log_view(view_operation* operation) {
    owed<view_operation> asked(operation);
    if (phase_ != phase::open) {
        asked.answer(make_error_code(errc::closed));
        co_return;
    }
    auto view = co_await log_detail::open_view(world_, entry_, asked->path);
    if (!view) {
        const error_code code = view.error().code();
        if (asked->report != nullptr) {
            asked->report->refused = std::move(view).error();
        }
        asked.answer(code);
        co_return;
    }
    asked.answer(log_view(std::move(view).value()));
}

// ---- closing

void engine_core::close(shutdown_operation& operation) {
    closers_.push_back(&operation);
    if (phase_ == phase::closed) {
        deliver_closed_later();
    } else {
        begin_close();
    }
}

void engine_core::begin_close() {
    if (phase_ == phase::open) {
        phase_ = phase::closing;
        closing_.spawn(close_all());
    }
}

net::awaitable<void> engine_core::close_all() {
    // A log that is being opened now closes itself when it is; so look again until none is left.
    while (tasks_.running() > 0 || !logs_.empty()) {
        for (const auto& each : logs_) {
            each->begin_close();
        }
        if (!logs_.empty()) {
            const std::shared_ptr<log_detail::log_core> first = logs_.front();
            while (!first->is_closed()) {
                co_await first->closed_event().wait();
            }
            if (!first->close_outcome() && close_outcome_) {
                close_outcome_ = first->close_outcome();
            }
            std::erase(logs_, first);
        } else {
            co_await tasks_.join();
        }
    }
    phase_ = phase::closed;
    deliver_closed_later();
}

void engine_core::deliver_closed_later() {
    // Not from inside close_all: whoever hears of the close may destroy the engine, and with it
    // that coroutine's owner.
    net::post(world_.home, [this] {
        if (closing_.running() > 0) {
            deliver_closed_later();
            return;
        }
        const result<void> outcome = close_outcome_;
        for (shutdown_operation* each : std::exchange(closers_, {})) {
            each->complete(outcome);
        }
    });
}

namespace {

/// Carries the order to close to an engine whose handle is gone.
struct farewell final : detail::operation_node {
    farewell(engine_core& of, void (*run)(operation_node&, void*)) {
        arrive = run;
        target = &of;
        discard = [](operation_node& self) noexcept {
            delete static_cast<farewell*>(&self);
        };
    }
};

}  // namespace

void engine_core::let_go(std::unique_ptr<engine_core> core) {
    const bool is_dead = core->world_.disk.powered_off();
    if (is_dead || core->phase_ == phase::closed) {
        if (!is_dead && core->home_->is_own_thread()) {
            core->home_->end();
            if (core->gate_->is_home() || !core->home_->join()) {
                // called on its own thread, or it is stuck: leaked, never freed under it
                (void)core.release();
            }
        }
        return;
    }
    if (core->options_.logger) {
        core->options_.logger->warn(
            "the engine was destroyed without async_close: it closes in the background");
    }
    // Owned by itself from here on.
    engine_core* const alone = core.release();
    auto* const order = new farewell(*alone, [](detail::operation_node& self, void* of) {
        delete static_cast<farewell*>(&self);
        auto& orphan = *static_cast<engine_core*>(of);
        if (!orphan.gate_->is_violated()) {
            orphan.begin_close();
        }
    });
    alone->gate_->enter(*order);
}

}  // namespace caisson::engine_detail
