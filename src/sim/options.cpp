// world_options::from_seed: the unfriendly random worlds. Every knob here widened what the
// simulation can find.

#include <caisson/sim.hpp>

#include "base/prng.hpp"

namespace caisson::sim {

world_options world_options::from_seed(std::uint64_t seed) noexcept {
    // not the numbers that the world itself draws from this seed
    prng random(seed ^ 0x776f'726c'6473ULL);
    world_options drawn;
    drawn.sector_size_bytes = random.chance(1, 2) ? 512 : 4096;
    drawn.garble_in_flight = random.chance(1, 2);
    drawn.stale_garbage = random.chance(1, 4);
    switch (random.below(5)) {
    case 0:  // all alike: bugs that need two operations to meet exactly
        drawn.latency_ns_min = 50'000;
        drawn.latency_ns_max = 50'000;
        break;
    case 1:  // no time at all: completions compete with handlers
        drawn.latency_ns_min = 0;
        drawn.latency_ns_max = 1;
        break;
    case 2:  // wide: far overtaking
        drawn.latency_ns_min = 1'000;
        drawn.latency_ns_max = 5'000'000;
        break;
    default: break;
    }
    drawn.stalls_per_million = random.chance(1, 4) ? 20'000 : 500;
    drawn.early_events_per_million =
        random.chance(1, 4) ? 0 : static_cast<std::uint32_t>(random.below(200'000));
    return drawn;
}

}  // namespace caisson::sim
