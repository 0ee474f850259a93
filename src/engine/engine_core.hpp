#pragma once
// engine_core: the wiring: one world (real or simulated), one home, its logs, and the order in
// which they end. The only place where concrete types meet. Read docs/architecture.md.

#include <caisson/engine.hpp>
#include <caisson/options.hpp>

#include "async/home_gate.hpp"
#include "async/task_group.hpp"
#include "engine/home.hpp"
#include "io/environment.hpp"
#include "log/buffer_pool.hpp"
#include "log/gate_entry.hpp"
#include "log/log_core.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace caisson::engine_detail {

class engine_core {
public:
    engine_core(std::unique_ptr<home> where, const engine_options& options);
    engine_core(const engine_core&) = delete;
    engine_core& operator=(const engine_core&) = delete;
    ~engine_core();

    [[nodiscard]] async::home_gate& gate() noexcept { return *gate_; }
    [[nodiscard]] const net::any_io_executor& executor() const noexcept { return gate_->home(); }
    [[nodiscard]] std::string describe() const { return home_->describe(); }

    // ---- arriving at home
    void open(open_operation& operation);
    void open_view(view_operation& operation);
    void close(shutdown_operation& operation);

    /// Ends the engine behind a handle that is gone: at once when it was closed or its world has no
    /// power; otherwise the engine closes itself in the background, and its memory stays until the
    /// process ends.
    static void let_go(std::unique_ptr<engine_core> core);

private:
    enum class phase : std::uint8_t { open, closing, closed };

    net::awaitable<void> open_log(open_operation* operation);
    net::awaitable<void> open_log_view(view_operation* operation);
    net::awaitable<void> close_all();
    void begin_close();
    void deliver_closed_later();

    engine_options options_;
    /// Before the home, hence freed after it: the ring holds registered memory.
    log_detail::buffer_pool buffers_;
    std::unique_ptr<home> home_;
    io::environment& world_;
    std::shared_ptr<async::home_gate> gate_;
    std::shared_ptr<log_detail::gate_entry> entry_;
    async::task_group tasks_;    ///< opening and closing logs
    async::task_group closing_;  ///< the one that closes the engine
    std::vector<std::shared_ptr<log_detail::log_core>> logs_;
    std::vector<shutdown_operation*> closers_;
    std::atomic<phase> phase_{phase::open};
    result<void> close_outcome_ = success();
};

}  // namespace caisson::engine_detail
