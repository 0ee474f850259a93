#pragma once
// An operation of the I/O seam that remembers what became of it.

#include "io/operation.hpp"

#include <cstdint>
#include <functional>

namespace caisson::test {

/// Counts its completions; the outcome is INT64_MAX before the first.
struct remembering_operation final : io::operation {
    remembering_operation() : io::operation(&remember) {}
    static void remember(io::operation& self, std::int64_t outcome) noexcept {
        auto& mine = static_cast<remembering_operation&>(self);
        mine.outcome = outcome;
        ++mine.completions;
        if (mine.then) {
            mine.then();
        }
    }
    std::int64_t outcome = INT64_MAX;
    int completions = 0;
    std::function<void()> then;
};

}  // namespace caisson::test
