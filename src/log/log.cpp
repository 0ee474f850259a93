// The public handle: sends each operation home, and answers snapshots.

#include <caisson/log.hpp>

#include "async/complete_later.hpp"
#include "format/layout.hpp"
#include "log/log_core.hpp"
#include "log/reader.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace caisson {

static_assert(detail::record_frame_bytes == format::layout::native::record_prefix_bytes);

namespace {

/// Arrival at home: on the one thread where state may be touched, or not at all.
template <class Operation, void (log_detail::log_core::*Arrive)(Operation&)>
void arrive(detail::operation_node& node, void* target) {
    auto& core = *static_cast<log_detail::log_core*>(target);
    auto& operation = static_cast<Operation&>(node);
    if (core.gate().is_violated()) {
        async::complete_later(core.home(), operation, make_error_code(errc::home_on_two_threads));
        return;
    }
    (core.*Arrive)(operation);
}

void send_home(log_detail::log_core& core, detail::operation_node& operation) {
    operation.target = &core;
    if (!core.gate().arrive_now(operation)) {
        operation.travels_with = core.shared_from_this();
        core.gate().enter(operation);
    }
}

/// A request that carries itself home.
struct request final : detail::operation_node {
    explicit request(std::shared_ptr<log_detail::log_core> of, std::uint64_t ticket_)
        : core(std::move(of)) {
        ticket = ticket_;
        arrive = &request::run;
        discard = [](operation_node& self) noexcept {
            delete static_cast<request*>(&self);
        };
    }
    static void run(operation_node& self, void*) {
        const std::unique_ptr<request> mine(static_cast<request*>(&self));
        log_detail::log_core& target = *mine->core;
        if (mine->ticket == 0) {
            if (!target.gate().is_violated()) {
                target.handle_lost();
            }
        } else if (target.gate().is_home()) {
            target.cancel(mine->ticket);
        } else {
            // What was accepted before a second thread came can still be withdrawn.
            net::post(target.guarded_home(), [core = std::move(mine->core), ticket = mine->ticket] {
                core->cancel(ticket);
            });
        }
    }
    std::shared_ptr<log_detail::log_core> core;
};

void send(std::shared_ptr<log_detail::log_core> core, std::uint64_t ticket) {
    async::home_gate& gate = core->gate();
    gate.enter(*new request(std::move(core), ticket));
}

}  // namespace

log::log(std::shared_ptr<log_detail::log_core> core) noexcept : core_(std::move(core)) {}

log& log::operator=(log&& other) noexcept {
    log old(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
}

log::~log() {
    if (core_ != nullptr && !core_->is_closed() && !core_->is_dead()) {
        send(std::move(core_), 0);
    }
}

log::executor_type log::get_executor() const noexcept { return core_->home(); }

bool log::is_open() const noexcept { return core_ != nullptr && !core_->is_closed(); }

log_reader log::reader(log_offset from) const {
    return log_reader(log_detail::reader_core::make(core_, core_->entry(), from, reader_options()));
}

log_offset log::begin() const noexcept { return core_->stats().begin; }
log_offset log::appended_end() const noexcept { return core_->stats().appended_end; }
log_offset log::durable_end(durability) const noexcept { return core_->stats().durable_end; }
log_stats log::stats() const { return core_->stats(); }
std::optional<failure> log::failure_cause() const { return core_->failure_cause(); }

const net::any_io_executor& log::home_of(const log_detail::log_core& core) noexcept {
    return core.home();
}
std::uint64_t log::ticket_of(log_detail::log_core& core) noexcept { return core.next_ticket(); }
std::shared_ptr<log_detail::log_core> log::share(log_detail::log_core& core) noexcept {
    return core.shared_from_this();
}
void log::cancel(const std::shared_ptr<log_detail::log_core>& core, std::uint64_t ticket) {
    send(core, ticket);
}

void log::start(log_detail::log_core& core, detail::append_operation* operation) {
    operation->arrive = &arrive<detail::append_operation, &log_detail::log_core::append>;
    send_home(core, *operation);
}
void log::start(log_detail::log_core& core, detail::wait_operation* operation) {
    operation->arrive = &arrive<detail::wait_operation, &log_detail::log_core::wait>;
    send_home(core, *operation);
}
void log::start(log_detail::log_core& core, detail::close_operation* operation) {
    operation->arrive = &arrive<detail::close_operation, &log_detail::log_core::close>;
    send_home(core, *operation);
}

}  // namespace caisson
