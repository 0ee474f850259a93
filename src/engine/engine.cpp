// The public handle: makes a home, sends each operation there.

#include <caisson/engine.hpp>

#include "engine/engine_core.hpp"

#include <utility>

namespace caisson {

using engine_detail::engine_core;

namespace {

template <class Operation, void (engine_core::*Arrive)(Operation&)>
void arrive(detail::operation_node& node, void* target) {
    auto& core = *static_cast<engine_core*>(target);
    auto& operation = static_cast<Operation&>(node);
    if (core.gate().is_violated()) {
        operation.complete(make_error_code(errc::home_on_two_threads));
        return;
    }
    (core.*Arrive)(operation);
}

}  // namespace

engine::engine(std::unique_ptr<engine_core> core) noexcept : core_(std::move(core)) {}
engine::engine(engine&&) noexcept = default;

engine::~engine() {
    if (core_ != nullptr) {
        engine_core::let_go(std::move(core_));
    }
}

detailed<engine> engine::on(net::io_context& home, const engine_options& options) {
    BOOST_OUTCOME_TRY(auto made, engine_detail::make_context_home(home, options));
    return engine(std::make_unique<engine_core>(std::move(made), options));
}

detailed<engine> engine::on_own_thread(const engine_options& options) {
    BOOST_OUTCOME_TRY(auto made, engine_detail::make_thread_home(options));
    return engine(std::make_unique<engine_core>(std::move(made), options));
}

engine engine::on(sim::world& world, const engine_options& options) {
    return engine(
        std::make_unique<engine_core>(engine_detail::make_simulated_home(world), options));
}

engine::executor_type engine::get_executor() const noexcept { return core_->executor(); }

std::string engine::describe() const { return core_->describe(); }

const net::any_io_executor& engine::home_of(const engine_core& core) noexcept {
    return core.executor();
}

void engine::start(engine_core& core, engine_detail::open_operation* operation) {
    operation->arrive = &arrive<engine_detail::open_operation, &engine_core::open>;
    operation->target = &core;
    core.gate().enter(*operation);
}
void engine::start(engine_core& core, engine_detail::view_operation* operation) {
    operation->arrive = &arrive<engine_detail::view_operation, &engine_core::open_view>;
    operation->target = &core;
    core.gate().enter(*operation);
}
void engine::start(engine_core& core, engine_detail::shutdown_operation* operation) {
    operation->arrive = &arrive<engine_detail::shutdown_operation, &engine_core::close>;
    operation->target = &core;
    core.gate().enter(*operation);
}

}  // namespace caisson
