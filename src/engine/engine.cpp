// The public handle: makes a home, sends each operation there.

#include <caisson/engine.hpp>

#include "async/complete_later.hpp"
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
        async::complete_later(core.executor(), operation,
                              make_error_code(errc::home_on_two_threads));
        return;
    }
    (core.*Arrive)(operation);
}

template <class Operation, void (engine_core::*Arrive)(Operation&)>
void send_home(engine_core& core, Operation* operation) {
    operation->arrive = &arrive<Operation, Arrive>;
    operation->target = &core;
    if (!core.gate().is_home()) {
        operation->travels_with = core.shared_from_this();
    }
    core.gate().enter(*operation);
}

}  // namespace

engine::engine(std::shared_ptr<engine_core> core) noexcept : core_(std::move(core)) {}
engine::engine(engine&&) noexcept = default;

engine::~engine() {
    if (core_ != nullptr) {
        engine_core::let_go(std::move(core_));
    }
}

detailed<engine> engine::on(net::io_context& home, const engine_options& options) {
    BOOST_OUTCOME_TRY(
        auto made, engine_detail::make_context_home(home, engine_detail::make_ring_world(options)));
    return engine_core::make(std::move(made), options);
}

detailed<engine> engine::on_own_thread(const engine_options& options) {
    BOOST_OUTCOME_TRY(auto made,
                      engine_detail::make_thread_home(engine_detail::make_ring_world(options)));
    return engine_core::make(std::move(made), options);
}

engine engine::on(sim::world& world, const engine_options& options) {
    return engine_core::make(engine_detail::make_simulated_home(world), options);
}

engine::executor_type engine::get_executor() const noexcept { return core_->executor(); }

std::string engine::describe() const { return core_->describe(); }

const net::any_io_executor& engine::home_of(const engine_core& core) noexcept {
    return core.executor();
}

void engine::start(engine_core& core, engine_detail::open_operation* operation) {
    send_home<engine_detail::open_operation, &engine_core::open>(core, operation);
}
void engine::start(engine_core& core, engine_detail::view_operation* operation) {
    send_home<engine_detail::view_operation, &engine_core::open_view>(core, operation);
}
void engine::start(engine_core& core, engine_detail::shutdown_operation* operation) {
    send_home<engine_detail::shutdown_operation, &engine_core::close>(core, operation);
}

}  // namespace caisson
