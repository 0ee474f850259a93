#pragma once
// Seeded pseudo-random numbers, the same on every compiler and machine: simulation and tests repeat
// from a seed. Not for secrets.

#include "base/assert.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace caisson {

/// xoshiro256** seeded by SplitMix64. Source: Blackman and Vigna, "Scrambled linear pseudorandom
/// number generators".
class prng {
public:
    explicit constexpr prng(std::uint64_t seed) noexcept {
        for (auto& word : state_) {
            seed += 0x9e37'79b9'7f4a'7c15;
            std::uint64_t mixed = seed;
            mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11eb;
            word = mixed ^ (mixed >> 31);
        }
    }

    constexpr std::uint64_t next() noexcept {
        const std::uint64_t drawn = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return drawn;
    }

    /// Evenly one of 0 .. bound - 1; `bound` > 0.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept {
        CAISSON_ASSERT(bound > 0);
        // 2^64 mod bound values at the low end would make small results likelier: drawn again.
        const std::uint64_t uneven = (0 - bound) % bound;
        std::uint64_t drawn = next();
        while (drawn < uneven) {
            drawn = next();
        }
        return drawn % bound;
    }

    /// True `numerator` times out of `denominator` on average.
    constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) noexcept {
        return below(denominator) < numerator;
    }

private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace caisson
