// The three homes.

#include "engine/home.hpp"

#include <caisson/config.hpp>
#include <caisson/sim.hpp>

#include "uring/real_world.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <pthread.h>

#include <chrono>
#include <future>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace caisson::engine_detail {

namespace {

uring::real_world_options ring_options(const engine_options& options) {
    uring::real_world_options chosen;
    chosen.ring_entries = options.ring_entries;
    chosen.register_buffers = options.register_memory;
    chosen.logger = options.logger;
    return chosen;
}

class context_home final : public home {
public:
    explicit context_home(std::unique_ptr<uring::real_world> world) : world_(std::move(world)) {}
    [[nodiscard]] io::environment& environment() noexcept override { return world_->environment(); }
    [[nodiscard]] std::string describe() const override { return world_->describe(); }
    void abandon() noexcept override { world_->abandon(); }

private:
    std::unique_ptr<uring::real_world> world_;
};

/// Owns the thread; the thread owns the engine, and with it this home, once that has retired.
class thread_home final : public home {
public:
    static detailed<std::unique_ptr<home>> make(const world_maker& make_world) {
        auto made = std::make_unique<thread_home>();
        BOOST_OUTCOME_TRY(made->world_, make_world(made->context_));
        made->guard_.emplace(made->context_.get_executor());
        std::promise<void> has_ended;
        made->ended_ = has_ended.get_future().share();
        auto body = [self = made.get(), ended = std::move(has_ended)]() mutable {
            pthread_setname_np(pthread_self(), "caisson");
            self->context_.run();
            {
                const std::shared_ptr<void> engine = std::move(self->retired_);
            }
            ended.set_value();  // nothing of `self` is touched here: it may be gone
        };
        try {
            made->thread_ = std::thread(std::move(body));
        } catch (const std::system_error& problem) {
            return failure(problem.code(),
                           "cannot start the engine's thread: " + problem.code().message())
                .advise("raise the limit of processes (ulimit -u, pids.max of the container)");
        }
        return std::unique_ptr<home>(std::move(made));
    }

    ~thread_home() override {
        if (thread_.joinable()) {  // no engine has retired on it
            guard_.reset();
            thread_.join();
        }
    }

    [[nodiscard]] io::environment& environment() noexcept override { return world_->environment(); }
    [[nodiscard]] std::string describe() const override {
        return world_->describe() + ", own thread";
    }
    void abandon() noexcept override { world_->abandon(); }
    void retire(std::shared_ptr<void> engine) noexcept override {
        retired_ = std::move(engine);
        thread_.detach();
        guard_.reset();
    }
    [[nodiscard]] std::shared_future<void> thread_ended() const override { return ended_; }

private:
    net::io_context context_{1};
    std::unique_ptr<uring::real_world> world_;
    std::optional<net::executor_work_guard<net::io_context::executor_type>> guard_;
    std::shared_future<void> ended_;
    std::shared_ptr<void> retired_;  ///< home only
    std::thread thread_;
};

class simulated_home final : public home {
public:
    explicit simulated_home(sim::world& world) : environment_(world.environment()) {}
    [[nodiscard]] io::environment& environment() noexcept override { return environment_; }
    [[nodiscard]] std::string describe() const override { return "simulated"; }

private:
    io::environment& environment_;
};

}  // namespace

detailed<std::unique_ptr<home>> make_context_home(net::io_context& context,
                                                  const world_maker& make_world) {
    BOOST_OUTCOME_TRY(auto world, make_world(context));
    return std::unique_ptr<home>(std::make_unique<context_home>(std::move(world)));
}

detailed<std::unique_ptr<home>> make_thread_home(const world_maker& make_world) {
    return thread_home::make(make_world);
}

world_maker make_ring_world(const engine_options& options) {
    return [chosen = ring_options(options)](net::io_context& context) {
        return uring::real_world::create(context, chosen);
    };
}

std::unique_ptr<home> make_simulated_home(sim::world& world) {
    return std::make_unique<simulated_home>(world);
}

}  // namespace caisson::engine_detail
