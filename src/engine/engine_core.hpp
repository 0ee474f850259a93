#pragma once
// engine_core: the wiring: one world (real or simulated), one home, its logs and views, and the
// order in which they end. The only place where concrete types meet. Read docs/architecture.md,
// also "Closing".

#include <caisson/engine.hpp>
#include <caisson/options.hpp>

#include "async/home_gate.hpp"
#include "async/task_group.hpp"
#include "engine/home.hpp"
#include "io/deadline.hpp"
#include "io/environment.hpp"
#include "log/buffer_pool.hpp"
#include "log/directory_source.hpp"
#include "log/gate_entry.hpp"
#include "log/log_core.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace caisson::engine_detail {

class engine_core final : public log_detail::log_owner,
                          public std::enable_shared_from_this<engine_core> {
public:
    /// The handle of a new engine.
    static engine make(std::unique_ptr<home> where, const engine_options& options);

    engine_core(std::unique_ptr<home> where, const engine_options& options);
    engine_core(const engine_core&) = delete;
    engine_core& operator=(const engine_core&) = delete;
    /// Closed and nothing given up, or the simulated machine has no power.
    ~engine_core();

    [[nodiscard]] async::home_gate& gate() noexcept { return *gate_; }
    [[nodiscard]] const net::any_io_executor& executor() const noexcept { return gate_->home(); }
    [[nodiscard]] std::string describe() const { return home_->describe(); }

    // ---- arriving at home
    void open(open_operation& operation);
    void open_view(view_operation& operation);
    void close(shutdown_operation& operation);

    void on_log_closed(log_detail::log_core& closed) noexcept override;

    /// The handle goes away, on any thread. Closed, the engine ends on home; otherwise it closes in
    /// the background first, and what the device does not give back in time is kept for ever. With
    /// a home thread of its own, waits a short while for all that.
    static void let_go(std::shared_ptr<engine_core> core);

private:
    /// Only forwards. See "Closing" in engine_core.cpp.
    enum class phase : std::uint8_t {
        open,
        closing,  ///< nothing is opened any more; logs, views and openings end
        ended,    ///< nothing of ours runs any more, or it was given up; answers are on their way
        closed,   ///< answered
    };
    class owed_opening;
    template <class Operation>
    class owed;
    struct farewell;

    net::awaitable<void> open_log(std::unique_ptr<owed<open_operation>> asked);
    net::awaitable<void> open_log_view(std::unique_ptr<owed<view_operation>> asked);
    void begin_close();
    net::awaitable<void> close_all();
    static void on_deadline(void* self);
    void give_up();
    void answer_later();
    void answer() noexcept;
    static void handle_lost(std::shared_ptr<engine_core> core);
    static void end(std::shared_ptr<engine_core> core);

    engine_options options_;
    /// Before the home, hence freed after it: the ring holds registered memory.
    log_detail::buffer_pool buffers_;
    std::unique_ptr<home> home_;
    io::environment& world_;
    std::shared_ptr<async::home_gate> gate_;
    std::shared_ptr<log_detail::gate_entry> entry_;
    async::task_group tasks_;    ///< opening logs and views, closing views
    async::task_group closing_;  ///< the one that closes the engine
    io::deadline deadline_;
    std::vector<std::shared_ptr<log_detail::log_core>> logs_;  ///< until each has closed
    std::vector<std::weak_ptr<log_detail::directory_source>> views_;
    /// kept until they have given up their directories
    std::vector<std::shared_ptr<log_detail::directory_source>> closing_views_;
    std::vector<owed_opening*> openings_;  ///< in the frames of their coroutines
    std::vector<open_operation*> late_logs_;
    std::vector<view_operation*> late_views_;
    std::vector<shutdown_operation*> closers_;
    std::atomic<phase> phase_{phase::open};  ///< home's; a handle looks at it to choose its words
    bool has_given_up_ = false;              ///< the engine's own deadline has passed
    bool has_leaked_ = false;                ///< the kernel may still use something of this engine
    result<void> close_outcome_ = success();
};

}  // namespace caisson::engine_detail
