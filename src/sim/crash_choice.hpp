#pragma once
// crash_choice: the decisions of one power cut, drawn from a seed: which unsynced changes survive,
// what is garbled.
// Pure: sequence numbers and sector indices in, yes or no out. Read docs/simulation.md, "What a
//       power cut takes".

#include <caisson/sim.hpp>

#include "base/prng.hpp"

#include <cstddef>
#include <cstdint>

namespace caisson::sim {

class crash_choice {
public:
    /// Pending changes have sequence numbers in [`sequence_begin`, `sequence_end`).
    crash_choice(std::uint64_t seed, survival data, name_survival names,
                 const world_options& options, std::uint64_t sequence_begin,
                 std::uint64_t sequence_end);

    /// Whether the `index`-th of `count` sectors of the change survives. A length change has one
    /// "sector".
    [[nodiscard]] bool keeps_data(std::uint64_t sequence, std::uint64_t index, std::uint64_t count);
    [[nodiscard]] bool keeps_name(std::uint64_t sequence);

    enum class garbling : std::uint8_t { none, changed_bytes, whole_sector };
    /// What happens to a sector of a pending write besides; `in_flight`: the write had not
    /// completed.
    [[nodiscard]] garbling garbles(bool in_flight);
    [[nodiscard]] bool leaves_stale_garbage();
    [[nodiscard]] std::byte garbage() { return static_cast<std::byte>(random_.next() >> 56U); }

private:
    prng random_;
    survival data_;
    name_survival names_;
    std::uint32_t percent_;
    bool garble_in_flight_;
    bool rewrite_may_garble_;
    bool stale_garbage_;
    // prefix and suffix: the sequence number at which survival changes ...
    std::uint64_t data_cut_;
    std::uint64_t inner_cut_;  // ... and how far inside that change, in 1/1024
    std::uint64_t names_cut_;
};

}  // namespace caisson::sim
