#pragma once
// home: where an engine lives: the caller's io_context, a thread of its own, or a simulated world.
// Knows nothing about logs.

#include <caisson/failure.hpp>
#include <caisson/options.hpp>

#include "io/environment.hpp"

#include <functional>
#include <future>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace caisson::uring {
class real_world;
}

namespace caisson::sim {
class world;
}

namespace caisson::engine_detail {

class home {
public:
    virtual ~home() = default;
    [[nodiscard]] virtual io::environment& environment() noexcept = 0;
    [[nodiscard]] virtual std::string describe() const = 0;
    /// On home, once: the device kept operations past the close deadline. From now on none of them
    /// completes and none keeps the home executor running. The home must be kept for ever.
    virtual void abandon() noexcept {}
    /// On home, last: drops `engine`, which owns this home (null: it is kept for ever). A home that
    /// is a thread ends first, and drops it there.
    virtual void retire(std::shared_ptr<void> engine) noexcept { engine.reset(); }
    /// For a home that is a thread: ready when the thread has ended and dropped its engine.
    [[nodiscard]] virtual std::shared_future<void> thread_ended() const { return {}; }
};

/// Makes the real world of a home; tests put one there whose device stands still.
using world_maker = std::function<detailed<std::unique_ptr<uring::real_world>>(net::io_context&)>;

detailed<std::unique_ptr<home>> make_context_home(net::io_context& context,
                                                  const world_maker& make_world);
detailed<std::unique_ptr<home>> make_thread_home(const world_maker& make_world);
/// A world on the kernel's ring.
world_maker make_ring_world(const engine_options& options);
std::unique_ptr<home> make_simulated_home(sim::world& world);

}  // namespace caisson::engine_detail
