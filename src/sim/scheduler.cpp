#include "sim/scheduler.hpp"

#include "base/assert.hpp"
#include "sim/mix.hpp"

#include <algorithm>
#include <utility>

namespace caisson::sim {

scheduler::scheduler(std::uint64_t seed, const world_options& options) noexcept
    : random_(seed), early_events_per_million_(options.early_events_per_million) {}

scheduler::~scheduler() {
    CAISSON_ASSERT(ready_.empty());
    CAISSON_ASSERT(events_.empty());
}

bool scheduler::is_later(const event& a, const event& b) noexcept {
    return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.order > b.order;
}

void scheduler::make_ready(std::unique_ptr<task> what) { ready_.push_back(std::move(what)); }

void scheduler::schedule(std::uint64_t at_ns, std::unique_ptr<task> what) {
    CAISSON_ASSERT(at_ns >= now_ns_);
    events_.push_back({at_ns, ++orders_, std::move(what)});
    std::push_heap(events_.begin(), events_.end(), is_later);
}

void scheduler::hasten(const task& what) {
    const auto found = std::find_if(events_.begin(), events_.end(),
                                    [&](const event& each) { return each.what.get() == &what; });
    if (found == events_.end()) {
        return;
    }
    make_ready(std::move(found->what));
    events_.erase(found);
    std::make_heap(events_.begin(), events_.end(), is_later);
}

std::uint64_t scheduler::next_ns() const noexcept {
    if (!ready_.empty()) {
        return now_ns_;
    }
    return events_.empty() ? never : events_.front().at_ns;
}

void scheduler::advance_to(std::uint64_t at_ns) noexcept { now_ns_ = std::max(now_ns_, at_ns); }

void scheduler::move_due_events() {
    advance_to(events_.front().at_ns);
    while (!events_.empty() && events_.front().at_ns <= now_ns_) {
        std::pop_heap(events_.begin(), events_.end(), is_later);
        ready_.push_back(std::move(events_.back().what));
        events_.pop_back();
    }
    trace(now_ns_);
}

bool scheduler::step(std::uint64_t limit_ns) {
    CAISSON_ASSERT(!is_running_);
    const bool has_event = !events_.empty() && events_.front().at_ns <= limit_ns;
    if (has_event && (ready_.empty() || random_.chance(early_events_per_million_, 1'000'000))) {
        move_due_events();
    }
    if (ready_.empty()) {
        return false;
    }
    const std::uint64_t chosen = random_.below(ready_.size());
    trace(chosen);
    std::swap(ready_[chosen], ready_.back());
    const std::unique_ptr<task> next = std::move(ready_.back());
    ready_.pop_back();
    ++steps_;

    struct running_mark {
        bool& is_running;
        explicit running_mark(bool& mark) noexcept : is_running(mark) { is_running = true; }
        // a handler may throw: a failed assertion of a test does
        ~running_mark() { is_running = false; }
    } const mark(is_running_);
    next->run();
    return true;
}

void scheduler::end_life(std::uint64_t life) {
    CAISSON_ASSERT(!is_running_);
    // Destroying a handler destroys what it owns, for example a suspended coroutine, whose
    // destructors may post again: so the tasks are moved out before they are destroyed, until
    // nothing is added.
    while (true) {
        std::vector<std::unique_ptr<task>> ended;
        for (auto& each : ready_) {
            if (each->life() == life) {
                ended.push_back(std::move(each));
            }
        }
        std::erase(ready_, nullptr);
        for (auto& each : events_) {
            if (each.what->life() == life) {
                ended.push_back(std::move(each.what));
            }
        }
        if (ended.empty()) {
            return;
        }
        std::erase_if(events_, [](const event& each) { return each.what == nullptr; });
        std::make_heap(events_.begin(), events_.end(), is_later);
        for (auto& each : ended) {
            each.reset();
        }
    }
}

void scheduler::trace(std::uint64_t value) noexcept { trace_ = mix(trace_, value); }

}  // namespace caisson::sim
