#pragma once
// home: where an engine lives: the caller's io_context, a thread of its own, or a simulated world.
// Knows nothing about logs.

#include <caisson/failure.hpp>
#include <caisson/options.hpp>

#include "io/environment.hpp"

#include <memory>
#include <string>

namespace boost::asio {
class io_context;
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
    /// After the last log was closed, called on home: nothing more will run. For a home of its own:
    /// its thread ends.
    virtual void end() {}
    /// Waits up to the close deadline for what `end` ends. Never called on home. False: it did not
    /// end.
    virtual bool join() { return true; }
    [[nodiscard]] virtual bool is_own_thread() const noexcept { return false; }
};

detailed<std::unique_ptr<home>> make_context_home(net::io_context& context,
                                                  const engine_options& options);
detailed<std::unique_ptr<home>> make_thread_home(const engine_options& options);
std::unique_ptr<home> make_simulated_home(sim::world& world);

}  // namespace caisson::engine_detail
