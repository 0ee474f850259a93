#pragma once
// executor: the simulated world as an Asio executor. Never runs a handler inside `execute`. One
// process's handlers carry its life, so that they end with it; what a dead process posts is kept
// until it can be destroyed in peace.

#include <caisson/config.hpp>

#include "sim/scheduler.hpp"

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace caisson::sim {

/// The context that Asio's services attach to; the world owns it.
class execution_host final : public net::execution_context {
public:
    ~execution_host() {
        shutdown();
        destroy();
    }
};

template <class Handler>
class handler_task final : public task {
public:
    handler_task(std::uint64_t life, Handler&& handler)
        : task(life), handler_(std::move(handler)) {}
    void run() override {
        // Moved out first: whatever the handler owns is gone when it has run.
        Handler running(std::move(handler_));
        std::move(running)();
    }

private:
    Handler handler_;
};

/// Which process an executor, a handle or a request belongs to. Kept until the world ends.
struct life_state {
    std::uint64_t number = 0;
    bool is_over = false;
};

class executor {
public:
    executor(scheduler& on, execution_host& host, const life_state& life) noexcept
        : scheduler_(&on), host_(&host), life_(&life) {}

    net::execution_context& query(net::execution::context_t) const noexcept { return *host_; }
    static constexpr net::execution::blocking_t query(net::execution::blocking_t) noexcept {
        return net::execution::blocking.never;
    }

    template <class Handler>
    void execute(Handler handler) const {
        auto added = std::make_unique<handler_task<Handler>>(life_->number, std::move(handler));
        if (life_->is_over) {
            scheduler_->schedule(scheduler::never, std::move(added));
        } else {
            scheduler_->make_ready(std::move(added));
        }
    }

    friend bool operator==(const executor& a, const executor& b) noexcept {
        return a.life_ == b.life_;
    }
    friend bool operator!=(const executor& a, const executor& b) noexcept {
        return a.life_ != b.life_;
    }

private:
    scheduler* scheduler_;
    execution_host* host_;
    const life_state* life_;
};

}  // namespace caisson::sim
