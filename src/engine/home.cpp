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

std::string text_of(const uring::ring_facts& facts) {
    std::string text =
        "io_uring " + facts.flags + ", " + std::to_string(facts.sq_entries) + " entries";
    text += facts.file_slots > 0 ? ", registered files"
                                 : ", plain descriptors (" + facts.why_no_files + ")";
    text += facts.why_no_buffers.empty() ? ", registered buffers"
                                         : ", plain buffers (" + facts.why_no_buffers + ")";
    return text;
}

class context_home final : public home {
public:
    explicit context_home(std::unique_ptr<uring::real_world> world) : world_(std::move(world)) {}
    [[nodiscard]] io::environment& environment() noexcept override { return world_->environment(); }
    [[nodiscard]] std::string describe() const override { return text_of(world_->facts()); }

private:
    std::unique_ptr<uring::real_world> world_;
};

/// Owns the thread. The thread runs until `end`, which is when the engine has closed.
class thread_home final : public home {
public:
    static detailed<std::unique_ptr<home>> make(const engine_options& options) {
        auto made = std::make_unique<thread_home>();
        BOOST_OUTCOME_TRY(made->world_,
                          uring::real_world::create(made->context_, ring_options(options)));
        made->description_ = text_of(made->world_->facts()) + ", own thread";
        made->guard_.emplace(made->context_.get_executor());
        made->ended_ = made->has_ended_.get_future();
        made->thread_ = std::thread([self = made.get()] {
            pthread_setname_np(pthread_self(), "caisson");
            self->context_.run();
            self->has_ended_.set_value();
        });
        return std::unique_ptr<home>(std::move(made));
    }

    ~thread_home() override {
        if (thread_.joinable()) {
            guard_.reset();
            thread_.join();
        }
    }

    [[nodiscard]] io::environment& environment() noexcept override { return world_->environment(); }
    [[nodiscard]] std::string describe() const override { return description_; }
    [[nodiscard]] bool is_own_thread() const noexcept override { return true; }
    void end() override { guard_.reset(); }
    bool join() override {
        if (ended_.wait_for(std::chrono::seconds(2)) != std::future_status::ready) {
            return false;
        }
        thread_.join();
        return true;
    }

private:
    net::io_context context_{1};
    std::unique_ptr<uring::real_world> world_;
    std::string description_;
    std::optional<net::executor_work_guard<net::io_context::executor_type>> guard_;
    std::promise<void> has_ended_;
    std::future<void> ended_;
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
                                                  const engine_options& options) {
    BOOST_OUTCOME_TRY(auto world, uring::real_world::create(context, ring_options(options)));
    return std::unique_ptr<home>(std::make_unique<context_home>(std::move(world)));
}

detailed<std::unique_ptr<home>> make_thread_home(const engine_options& options) {
    return thread_home::make(options);
}

std::unique_ptr<home> make_simulated_home(sim::world& world) {
    return std::make_unique<simulated_home>(world);
}

}  // namespace caisson::engine_detail
