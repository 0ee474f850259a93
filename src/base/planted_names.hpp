#pragma once
// The planted bugs by name, for programs that are told which one to show. Knows nothing about the
// bugs. Read docs/reliability.md.

#include "base/planted.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace caisson {

inline constexpr std::array<std::pair<std::string_view, planted_bug>, 12> planted_bugs = {{
    {"ack_before_sync", planted_bug::ack_before_sync},
    {"sync_beside_write", planted_bug::sync_beside_write},
    {"no_directory_sync", planted_bug::no_directory_sync},
    {"dsync_taken_for_flush", planted_bug::dsync_taken_for_flush},
    {"zero_write_over_commit", planted_bug::zero_write_over_commit},
    {"cut_not_synced", planted_bug::cut_not_synced},
    {"read_error_taken_for_torn", planted_bug::read_error_taken_for_torn},
    {"zeros_clean_despite_witness", planted_bug::zeros_clean_despite_witness},
    {"short_write_taken_as_full", planted_bug::short_write_taken_as_full},
    {"successor_named_early", planted_bug::successor_named_early},
    {"settled_in_one_slot", planted_bug::settled_in_one_slot},
    {"open_skips_directory_sync", planted_bug::open_skips_directory_sync},
}};

/// Turns a bug on. False: unknown, or the build has none.
inline bool plant([[maybe_unused]] std::string_view name) {
#if defined(CAISSON_PLANTED_BUGS)
    for (const auto& [known, bug] : planted_bugs) {
        if (known == name) {
            planted_bug_active = bug;
            return true;
        }
    }
#endif
    return false;
}

}  // namespace caisson
