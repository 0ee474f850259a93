#pragma once
// history: one seed's life of one log in the simulated world: writers, readers, crashes, kills,
// clean closes and faults, judged by the oracle. Knows the public interface only. Read
// docs/simulation.md.

#include "simulation/swarm.hpp"

#include <cstdint>
#include <string>

namespace caisson::sim {

struct history_report {
    std::string complaint;  ///< empty: the promise was kept
    std::uint64_t trace_hash = 0;
    std::uint64_t appends = 0;       ///< calls made
    std::uint64_t acknowledged = 0;  ///< records
    std::uint64_t crashes = 0;       ///< power cuts and kills
    std::uint64_t recoveries = 0;
    std::uint64_t rotations = 0;
    std::uint64_t steps = 0;
    std::uint64_t faults = 0;
    /// two writes in flight to one sector: the engine never does that
    std::uint64_t races = 0;
};

/// Runs the history of `seed`. The same seed gives the same report, on every machine and compiler.
history_report run_history(std::uint64_t seed, inspection inspects = inspection::by_seed);

}  // namespace caisson::sim
