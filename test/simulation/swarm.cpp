#include "simulation/swarm.hpp"

#include "base/units.hpp"

namespace caisson::sim {

using namespace caisson::literals;

world_options world_for(std::uint64_t seed) {
    prng random(seed * 2 + 1);
    world_options options = world_options::from_seed(seed);
    options.copies_on_write = random.below(10) == 0;
    options.supports_allocate = random.below(10) != 0;
    options.supports_direct = random.below(10) != 0;
    return options;
}

swarm swarm_for(prng& random, inspection inspects) {
    swarm chosen;
    // Drawn in any case: looking on changes nothing in what the others draw.
    const bool is_inspected_by_chance = random.below(8) == 0;
    chosen.has_inspectors = inspects == inspection::always || is_inspected_by_chance;
    chosen.ends_in_damage = random.below(4) == 0;
    chosen.writers_max = 1 + static_cast<unsigned>(random.below(random.below(3) == 0 ? 40 : 6));
    const std::uint64_t sizes[] = {16, 200, 3'000, 12'000};
    chosen.record_bytes_max = sizes[random.below(4)];
    chosen.batch_records_max = random.below(3) == 0 ? 5 : 1;
    chosen.appends_per_writer = 1 + static_cast<unsigned>(random.below(60));
    chosen.pause_ns_max = random.below(2) == 0 ? 0 : 400'000;
    chosen.has_readers = random.below(3) == 0;
    chosen.has_errors = random.below(4) == 0;
    chosen.has_short_transfers = random.below(4) == 0;
    chosen.runs_out_of_space = random.below(8) == 0;
    chosen.mostly_kills = random.below(4) == 0;
    // Groups beyond the size from which space is no longer zeroed and an unprepared write is DSYNC.
    const bool has_large_groups = random.below(40) == 0;
    if (has_large_groups) {
        chosen.writers_max = 30;
        chosen.record_bytes_max = 60'000;
    }
    chosen.options.segment_size_bytes = has_large_groups ? 1_MiB : 64_KiB;
    chosen.options.alignment =
        random.below(4) == 0 ? commit_alignment::block : commit_alignment::adaptive;
    chosen.options.record_size_bytes_max = 64_KiB;
    chosen.options.max_pending_bytes = random.below(3) == 0 ? 65_KiB : 1_MiB;
    return chosen;
}

}  // namespace caisson::sim
