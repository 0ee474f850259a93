#pragma once
// granting_kernel: rings as kernels of several ages grant them, made on the one that is here. For
// tests that must hold whatever flags a ring has; knows nothing about what is done with it.

#include "uring/kernel_port.hpp"
#include "uring/setup_plan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cerrno>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

namespace caisson::test {

/// A kernel that grants one flag set of the plan and none before it.
struct granting_kernel {
    unsigned flags = 0;          ///< granted
    unsigned unknown_flags = 0;  ///< which makes it so

    friend std::ostream& operator<<(std::ostream& out, const granting_kernel& printed) {
        return out << uring::names_of_setup_flags(printed.flags);
    }
};

/// One for every flag set that the plan may end with, the most capable first.
inline std::vector<granting_kernel> every_kernel() {
    std::vector<granting_kernel> kernels;
    uring::agree_on_setup(uring::ring_entries_min, [&](const uring::ring_setup& asked) {
        const unsigned before = kernels.empty() ? asked.flags : kernels.back().flags;
        kernels.push_back({asked.flags, before & ~asked.flags});
        return -EINVAL;
    });
    return kernels;
}

inline std::unique_ptr<uring::ring_port> make_port_of(const granting_kernel& kernel) {
    uring::kernel_port_options options;
    options.unknown_flags = kernel.unknown_flags;
    auto made = uring::make_kernel_port(options);
    if (!made) {
        FAIL(made.error().message());
    }
    return std::move(made.value());
}

}  // namespace caisson::test
