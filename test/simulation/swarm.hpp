#pragma once
// swarm: what kind of history a seed is, and on what device. The workload is widened by settings
// drawn from the seed: a bug that needs many writers, tiny records and a kill is rarely met by an
// average of everything. Read docs/simulation.md.

#include <caisson/options.hpp>
#include <caisson/sim.hpp>

#include "base/prng.hpp"

#include <cstdint>

namespace caisson::sim {

/// Whether another process verifies and reads the directory beside the writers, from before it is
/// opened until after it was closed.
enum class inspection : std::uint8_t { by_seed, always };

/// What kind of history this seed is.
struct swarm {
    unsigned writers_max = 0;
    std::uint64_t record_bytes_max = 0;
    unsigned batch_records_max = 0;
    unsigned appends_per_writer = 0;
    std::uint64_t pause_ns_max = 0;
    bool has_readers = false;
    bool has_inspectors = false;  ///< another process verifies the directory all the while
    bool has_errors = false;      ///< I/O errors in some lives
    bool has_short_transfers = false;
    bool runs_out_of_space = false;
    bool mostly_kills = false;
    bool ends_in_damage = false;  ///< the closed log loses its newest records in the end
    log_options options;
};

world_options world_for(std::uint64_t seed);
swarm swarm_for(prng& random, inspection inspects);

}  // namespace caisson::sim
