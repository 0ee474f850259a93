#include "sim/crash_choice.hpp"

#include <array>

namespace caisson::sim {

namespace {

std::uint64_t draw_between(prng& random, std::uint64_t begin, std::uint64_t end) {
    return begin + random.below(end - begin + 1);
}

}  // namespace

crash_choice::crash_choice(std::uint64_t seed, survival data, name_survival names,
                           const world_options& options, std::uint64_t sequence_begin,
                           std::uint64_t sequence_end)
    : random_(seed),
      data_(data),
      names_(names),
      percent_(options.survival_percent),
      garble_in_flight_(options.garble_in_flight),
      rewrite_may_garble_(options.rewrite_may_garble),
      stale_garbage_(options.stale_garbage) {
    if (data_ == survival::by_seed) {
        // `each` three times: few, half and most sectors find different bugs.
        constexpr std::array modes = {survival::nothing, survival::everything, survival::prefix,
                                      survival::suffix,  survival::each,       survival::each,
                                      survival::each};
        constexpr std::array<std::uint32_t, 3> percents = {10, 50, 90};
        data_ = modes[random_.below(modes.size())];
        percent_ = percents[random_.below(percents.size())];
    }
    if (names_ == name_survival::by_seed) {
        constexpr std::array modes = {name_survival::nothing, name_survival::prefix,
                                      name_survival::subset, name_survival::subset};
        names_ = modes[random_.below(modes.size())];
    }
    data_cut_ = draw_between(random_, sequence_begin, sequence_end);
    inner_cut_ = random_.below(1024);
    names_cut_ = draw_between(random_, sequence_begin, sequence_end);
}

bool crash_choice::keeps_data(std::uint64_t sequence, std::uint64_t index, std::uint64_t count) {
    // Of `count` sectors 0 to `count` come before the moment.
    const bool is_before =
        sequence < data_cut_ || (sequence == data_cut_ && index < inner_cut_ * (count + 1) / 1024);
    switch (data_) {
    case survival::nothing: return false;
    case survival::everything: return true;
    case survival::each: return random_.chance(percent_, 100);
    case survival::prefix: return is_before;
    case survival::suffix: return !is_before;
    case survival::by_seed: break;
    }
    CAISSON_UNREACHABLE("by_seed was resolved by the constructor");
}

bool crash_choice::keeps_name(std::uint64_t sequence) {
    switch (names_) {
    case name_survival::nothing: return false;
    case name_survival::prefix: return sequence < names_cut_;
    case name_survival::subset: return random_.chance(1, 2);
    case name_survival::by_seed: break;
    }
    CAISSON_UNREACHABLE("by_seed was resolved by the constructor");
}

crash_choice::garbling crash_choice::garbles(bool in_flight) {
    if (rewrite_may_garble_ && random_.chance(1, 8)) {
        return garbling::whole_sector;
    }
    if (in_flight && garble_in_flight_ && random_.chance(1, 8)) {
        return garbling::changed_bytes;
    }
    return garbling::none;
}

bool crash_choice::leaves_stale_garbage() { return stale_garbage_ && random_.chance(1, 2); }

}  // namespace caisson::sim
