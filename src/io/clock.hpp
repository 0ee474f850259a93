#pragma once
// The seams for time and randomness. Engine code asks these and nothing else, or a simulation would
// not replay.

#include "io/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::io {

class clock {
public:
    virtual ~clock() = default;
    /// Never goes back; only differences have a meaning.
    [[nodiscard]] virtual std::uint64_t monotonic_ns() const noexcept = 0;
    /// Microseconds since 1970; may jump either way. No correctness may depend on it.
    [[nodiscard]] virtual std::uint64_t wall_us() const noexcept = 0;
    /// Completes with 0 after `duration_ns`, or with -ECANCELED after `cancel_sleep`.
    virtual void start_sleep(operation& op, std::uint64_t duration_ns) = 0;
    virtual void cancel_sleep(operation& op) = 0;
};

class random {
public:
    virtual ~random() = default;
    virtual void fill(std::span<std::byte> into) noexcept = 0;
};

}  // namespace caisson::io
