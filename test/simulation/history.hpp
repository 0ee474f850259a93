#pragma once
// history: one seed's life of one log in the simulated world: writers, readers, crashes, kills,
// clean closes and faults, judged by the oracle. Knows the public interface only. Read
// docs/simulation.md.

#include "simulation/swarm.hpp"

#include <cstdint>
#include <string>

namespace caisson::sim {

/// What every history has at least.
inline constexpr std::uint64_t appends_per_history = 200;
inline constexpr std::uint64_t crashes_per_history = 5;

struct history_options {
    inspection inspects = inspection::by_seed;
    /// Looks at the disk and the world's counters beside the oracle. Without them a history is
    /// illegal only by what the log said and held: shows which planted bug is seen by whom.
    bool has_probes = true;
};

struct history_report {
    std::string complaint;  ///< empty: the promise was kept
    std::uint64_t trace_hash = 0;
    std::uint64_t appends = 0;       ///< calls made
    std::uint64_t acknowledged = 0;  ///< records
    /// power cuts and kills of a process that had not closed the log
    std::uint64_t crashes = 0;
    std::uint64_t recoveries = 0;
    std::uint64_t second_opens = 0;  ///< right after one that did no more
    std::uint64_t rotations = 0;
    std::uint64_t rotten_slots = 0;  ///< of STATE, between two lives
    std::uint64_t steps = 0;
    std::uint64_t faults = 0;
    /// two writes in flight to one sector: the engine never does that
    std::uint64_t races = 0;
};

/// Runs the history of `seed`. The same seed gives the same report, on every machine and compiler.
history_report run_history(std::uint64_t seed, const history_options& how = {});

/// The same, twice: complains also when the two differ.
history_report run_history_twice(std::uint64_t seed, const history_options& how = {});

/// Why the history shows less than it claims; empty: it does not.
std::string shortcoming(const history_report& report);

}  // namespace caisson::sim
