// Opening a view, and its operations.

#include "log/view.hpp"

#include "async/complete_later.hpp"
#include "async/untracked_executor.hpp"
#include "base/assert.hpp"
#include "base/keep.hpp"
#include "format/names.hpp"
#include "log/directory.hpp"
#include "log/reader.hpp"
#include "log/recovery_refusal.hpp"
#include "log/segment_end.hpp"
#include "log/verify.hpp"
#include "log/walk.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <type_traits>
#include <utility>

namespace caisson {

namespace detail {

void start_verify(const std::shared_ptr<log_detail::view_core>& core,
                  verify_operation& operation) noexcept {
    core->start(core, operation);
}
void start_walk(const std::shared_ptr<log_detail::view_core>& core,
                walk_operation& operation) noexcept {
    core->start(core, operation);
}
const net::any_io_executor& home_of(const log_detail::view_core& core) noexcept {
    return core.home();
}

}  // namespace detail

const view_facts& log_view::facts() const noexcept { return core_->facts(); }

log_reader log_view::reader(log_offset from, const reader_options& options) const {
    return log_reader(
        log_detail::reader_core::make(core_->source(), core_->entry(), from, options));
}

namespace log_detail {
namespace {

/// How often in a row the newest segment may be gone when it is opened.
constexpr int misses_max = 4;

class callback_visitor final : public walk_visitor {
public:
    callback_visitor(const directory_source& source, walk_callback visit) noexcept
        : source_(source), visit_(std::move(visit)) {}
    /// Not once the source is closing: the operation may have been answered then.
    bool on_item(const walk_item& item) override { return go_on() && visit_(item); }
    [[nodiscard]] bool go_on() const noexcept override { return !source_.is_closing(); }

private:
    const directory_source& source_;
    walk_callback visit_;
};

/// Holds what the operation brought, or aborts it when the coroutine that owned this was destroyed.
template <class T>
result<T> to_result(detailed<T> outcome) {
    if (!outcome) {
        return outcome.error().code();
    }
    if constexpr (std::is_void_v<T>) {
        return success();
    } else {
        return std::move(outcome).value();
    }
}

}  // namespace

/// The way of one operation to the home thread.
template <class Operation>
class view_core::arriving final : public home_task {
public:
    arriving(std::shared_ptr<view_core> core, Operation& operation) noexcept
        : home_task(&arriving::arrived), core_(std::move(core)), operation_(operation) {}

private:
    static void arrived(home_task& task, arrival how) noexcept {
        const std::unique_ptr<arriving> mine(static_cast<arriving*>(&task));
        if (how == home_task::arrival::engine_gone) {
            mine->operation_.abandon();
        } else if (how == home_task::arrival::wrong_thread) {
            async::complete_later(mine->core_->home(), mine->operation_,
                                  make_error_code(errc::home_on_two_threads));
        } else {
            view_core& core = *mine->core_;
            core.run(std::move(mine->core_), mine->operation_);
        }
    }

    std::shared_ptr<view_core> core_;
    Operation& operation_;
};

/// An operation that runs: completes it, or frees it when its coroutine was destroyed (simulated
/// power cut), unless the source closed before.
template <class Operation>
class view_core::answering {
public:
    answering(std::shared_ptr<view_core> core, Operation& operation) noexcept
        : core_(std::move(core)), operation_(&operation) {
        ++core_->operations_running_;
        core_->owed_.push_back(
            {operation_, [](detail::operation_node& node, const net::any_io_executor& home) {
                 async::complete_later(home, static_cast<Operation&>(node),
                                       make_error_code(errc::closed));
             }});
    }
    answering(answering&& other) noexcept
        : core_(std::move(other.core_)), operation_(std::exchange(other.operation_, nullptr)) {}
    answering& operator=(answering&&) = delete;
    ~answering() {
        if (core_) {
            if (core_->claim(operation_)) {
                operation_->abandon();
            }
            --core_->operations_running_;
        }
    }

    /// Null: it was answered before this began.
    [[nodiscard]] Operation* operation() noexcept {
        return core_->source_->is_closing() ? nullptr : operation_;
    }
    [[nodiscard]] view_core& core() noexcept { return *core_; }
    template <class Outcome>
    void answer(Outcome outcome) noexcept {
        const auto core = std::move(core_);
        auto* const ended = std::exchange(operation_, nullptr);
        const bool is_owed = core->claim(ended);
        --core->operations_running_;
        core->on_operation_ended();
        if (is_owed) {
            ended->complete(std::move(outcome));
        }
    }

private:
    std::shared_ptr<view_core> core_;
    Operation* operation_;
};

namespace {

struct terminate_on_exception {
    void operator()(const std::exception_ptr& thrown) const noexcept {
        if (thrown) {
            std::terminate();  // out of a user's callback, or a bug
        }
    }
};

template <class Answering>
net::awaitable<void> run_verify(Answering asked) {
    auto source = asked.core().source();
    detailed<verify_report> report = failure(errc::closed, "the view was closed");
    if (auto* const operation = asked.operation()) {
        verify_options options = std::move(operation->options);
        if (options.on_progress) {
            options.on_progress = [source = source.get(), tell = std::move(options.on_progress)](
                                      const verify_progress& progress) {
                if (!source->is_closing()) {
                    tell(progress);
                }
            };
        }
        report = co_await verify_log(source, std::move(options));
    }
    asked.answer(to_result(std::move(report)));
}

template <class Answering>
net::awaitable<void> run_walk(Answering asked) {
    auto source = asked.core().source();
    detailed<void> walked = failure(errc::closed, "the view was closed");
    if (auto* const operation = asked.operation()) {
        callback_visitor visitor(*source, std::move(operation->visit));
        walked = co_await walk_log(*source, visitor);
    }
    asked.answer(to_result(std::move(walked)));
}

}  // namespace

view_core::view_core(std::shared_ptr<directory_source> source, std::shared_ptr<home_entry> entry)
    : entry_(std::move(entry)), source_(std::move(source)) {
    source_->attach(*this);
    is_attached_ = true;
}

view_core::~view_core() { let_go(); }

void view_core::let_go() noexcept {
    if (std::exchange(is_attached_, false)) {
        source_->detach(*this);
    }
}

void view_core::retiring::arrived(home_task& task, arrival how) noexcept {
    view_core* const core = &static_cast<retiring&>(task).core_;
    if (how == arrival::wrong_thread) {
        keep(std::shared_ptr<void>(core, [](void*) {}));  // nothing of it may be touched here
    } else {
        delete core;
    }
}

bool view_core::claim(const detail::operation_node* operation) noexcept {
    return std::erase_if(
               owed_, [&](const owed_operation& each) { return each.operation == operation; }) > 0;
}

void view_core::source_closing() noexcept {
    // Answered at once; the coroutines end when the device lets them. Nothing is added from here
    // on, so an address in `owed_` is never that of a later operation.
    for (const owed_operation& each : std::exchange(owed_, {})) {
        each.end(*each.operation, entry_->executor());
    }
    if (operations_running_ == 0) {
        let_go();
    }
}

void view_core::on_operation_ended() noexcept {
    if (source_->is_closing() && operations_running_ == 0) {
        let_go();
    }
}

template <class Operation>
void view_core::enter(std::shared_ptr<view_core> self, Operation& operation) noexcept {
    const auto entry = entry_;
    entry->enter(*new arriving<Operation>(std::move(self), operation));
}

void view_core::start(std::shared_ptr<view_core> self,
                      detail::verify_operation& operation) noexcept {
    enter(std::move(self), operation);
}

void view_core::start(std::shared_ptr<view_core> self, detail::walk_operation& operation) noexcept {
    enter(std::move(self), operation);
}

void view_core::run(std::shared_ptr<view_core> self, detail::verify_operation& operation) {
    if (source_->is_closing()) {
        operation.complete(errc::closed);
        return;
    }
    const auto home = async::untracked(source_->world().home);
    net::co_spawn(home, run_verify(answering<detail::verify_operation>(std::move(self), operation)),
                  terminate_on_exception{});
}

void view_core::run(std::shared_ptr<view_core> self, detail::walk_operation& operation) {
    if (source_->is_closing()) {
        operation.complete(errc::closed);
        return;
    }
    const auto home = async::untracked(source_->world().home);
    net::co_spawn(home, run_walk(answering<detail::walk_operation>(std::move(self), operation)),
                  terminate_on_exception{});
}

// ---- opening

net::awaitable<detailed<std::shared_ptr<view_core>>> view_core::open(
    io::environment& world, std::shared_ptr<home_entry> entry, std::string path) {
    auto source = co_await directory_source::open(world, std::move(path));
    if (!source) {
        co_return source.error();
    }
    struct retire {
        void operator()(view_core* core) const noexcept {
            const auto home = core->entry_;  // the task may end the core before the call returns
            home->enter(core->retire_task_);
        }
    };
    const std::shared_ptr<directory_source> directory = std::move(source).value();
    std::shared_ptr<view_core> core(new view_core(directory, std::move(entry)), retire{});
    if (auto looked = co_await core->look(); !looked) {
        co_await directory->close();  // the core goes later, perhaps after the engine
        co_return looked.error();
    }
    co_return core;
}

net::awaitable<detailed<std::shared_ptr<view_core>>> open_view(io::environment& world,
                                                               std::shared_ptr<home_entry> entry,
                                                               std::string path) {
    return view_core::open(world, std::move(entry), std::move(path));
}

void view_core::take_state() {
    const state_reading& reading = source_->state();
    const auto& state = reading.current;
    const log_lineage lineage = source_->lineage();
    facts_.path = source_->directory().path();
    facts_.is_foreign = !reading.is_present && !lineage.native_from;
    facts_.log_id = lineage.log_id.value_or(0);
    facts_.state_problem = source_->state_problem();
    if (!state) {
        return;
    }
    state_facts known;
    known.generation = state->generation;
    known.log_id = state->log_id;
    known.native_from = state->native_from;
    known.purged_before = state->purged_before;
    known.epoch = state->epoch;
    known.remote_end = state->remote_end;
    known.block_size_bytes = state->block_size_bytes;
    known.is_sink = state->role == format::log_role::sink;
    known.is_reset_in_progress = state->reset_target.has_value();
    known.has_clean_mark = state->mark.has_value();
    known.are_both_slots_valid =
        std::all_of(reading.slots.begin(), reading.slots.end(),
                    [](auto slot) { return slot == format::slot_condition::valid; });
    facts_.state = known;
}

net::awaitable<detailed<void>> view_core::look() {
    auto segments = co_await measure_segments(*source_);
    if (!segments) {
        co_return segments.error();
    }
    facts_.segments = std::move(segments).value();
    if (auto looked = co_await look_at_tail(); !looked) {
        co_return looked;
    }
    take_state();
    facts_.begin = source_->begin();
    facts_.end = std::max(facts_.end, facts_.begin);
    facts_.proven_durable_end = std::clamp(facts_.proven_durable_end, facts_.begin, facts_.end);
    co_return success();
}

void view_core::take_tail(const segment_cursor& cursor, const end_verdict& verdict,
                          const commit_facts& last) {
    const format::segment_prefix& prefix = cursor.prefix();
    const auto& state = source_->state().current;
    const format::clean_mark* const mark = state && state->mark ? &*state->mark : nullptr;
    const bool is_newer = verdict.found && is_newer_version(verdict.found->code());
    facts_.tail = verdict.kind == end_kind::damaged
                      ? (is_newer ? tail_state::newer_version : tail_state::damaged)
                  : verdict.kind == end_kind::unfinished ? tail_state::unfinished
                                                         : tail_state::clean;
    facts_.tail_position_bytes = prefix.end_position_bytes;
    facts_.end = prefix.next;
    facts_.last_timestamp_us = last.timestamp_us;
    facts_.format_version =
        cursor.header() ? static_cast<std::uint8_t>(cursor.header()->version) : 1;
    facts_.was_closed_cleanly = facts_.tail == tail_state::clean && mark != nullptr &&
                                mark->segment_begin == cursor.segment() &&
                                mark->length_bytes == prefix.end_position_bytes &&
                                mark->length_bytes == cursor.length_bytes();
    // A named successor proves its predecessor whole.
    facts_.proven_durable_end = facts_.was_closed_cleanly ? prefix.next
                                : cursor.is_native() ? std::max(last.durable_end, cursor.segment())
                                                     : log_offset{};
}

// Walks the newest segment; when a live writer has begun another one meanwhile, that one too.
net::awaitable<detailed<void>> view_core::look_at_tail() {
    if (source_->names().segments.empty()) {
        co_return success();
    }
    segment_cursor cursor(source_->world(), source_->directory(), read_ahead::first_read_bytes * 4);
    int misses = 0;
    for (log_offset segment = source_->names().segments.back();;) {
        commit_link link;
        link.expected = segment;
        const auto& state = source_->state().current;
        if (state && state->segment && state->segment->begin == segment) {
            link.previous_crc = state->segment->predecessor_crc;
        }
        auto opened = co_await cursor.open(segment, source_->log_id_of(segment), link);
        if (!opened) {
            const bool is_gone =
                opened.error().code() == boost::system::errc::no_such_file_or_directory;
            if (!is_gone || ++misses == misses_max) {
                co_return opened;
            }
            // It was rotated and purged since it was listed.
            if (auto refreshed = co_await source_->refresh(); !refreshed) {
                co_return call_failed(refreshed.error(), source_->directory().path(), "",
                                      "list the directory");
            }
            if (source_->names().segments.empty()) {
                co_return success();
            }
            segment = source_->names().segments.back();
            continue;
        }
        commit_facts last;  // reading again forgets what the scanner knew of it
        end_verdict verdict;
        verdict.kind = end_kind::commit;
        while (verdict.kind == end_kind::commit) {
            auto event = co_await cursor.next();
            if (event && event.value().step == format::scan_step::commit) {
                last = cursor.facts_of(event.value());
                continue;
            }
            // an unreadable block is no reason not to open the view
            verdict.kind = end_kind::damaged;
            if (!event && event.error().code() != errc::unreadable) {
                co_return event.error();
            }
            if (!event) {
                break;
            }
            auto judged = co_await judge_end(cursor, *source_, event.value());
            if (!judged && judged.error().code() != errc::unreadable) {
                co_return judged.error();
            }
            if (judged) {
                verdict = std::move(judged).value();
            }
            if (verdict.kind == end_kind::commit) {
                last = cursor.facts_of(verdict.event);
            }
        }
        co_await cursor.settle();
        if (verdict.kind == end_kind::next_segment || verdict.kind == end_kind::moved) {
            if (source_->names().segments.empty()) {
                co_return success();
            }
            segment = source_->names().segments.back();
            continue;
        }
        take_tail(cursor, verdict, last);
        co_return success();
    }
}

}  // namespace log_detail
}  // namespace caisson
