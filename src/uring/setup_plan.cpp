// The flag sets and opcodes. Opcodes are probed, never inferred from a version number
// (distributions backport).

#include "uring/setup_plan.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <liburing.h>

namespace caisson::uring {

namespace {

struct named_value {
    unsigned value;
    const char* name;
};

constexpr std::array flag_names{
    named_value{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
    named_value{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
    named_value{IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
    named_value{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
    named_value{IORING_SETUP_R_DISABLED, "R_DISABLED"},
    named_value{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
    named_value{IORING_SETUP_CQSIZE, "CQSIZE"},
    named_value{IORING_SETUP_CLAMP, "CLAMP"},
};

constexpr unsigned basic_flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

/// Most capable first; the comment says the kernel that brought the set. Without DEFER_TASKRUN
/// completions interrupt the home thread (or, with COOP_TASKRUN, wait for its next system call).
constexpr std::array flag_sets{
    basic_flags | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,       // 6.1
    basic_flags | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL,  // 5.18
    basic_flags | IORING_SETUP_R_DISABLED,                            // 5.10
    basic_flags,                                                      // 5.6
};

constexpr std::array needed_opcodes{
    named_value{IORING_OP_READ, "IORING_OP_READ"},
    named_value{IORING_OP_WRITE, "IORING_OP_WRITE"},
    named_value{IORING_OP_FSYNC, "IORING_OP_FSYNC"},
    named_value{IORING_OP_READ_FIXED, "IORING_OP_READ_FIXED"},
    named_value{IORING_OP_WRITE_FIXED, "IORING_OP_WRITE_FIXED"},
    named_value{IORING_OP_ASYNC_CANCEL, "IORING_OP_ASYNC_CANCEL"},
};

}  // namespace

int agree_on_setup(unsigned entries, const std::function<int(const ring_setup&)>& attempt) {
    const unsigned wanted = std::clamp(entries, ring_entries_min, ring_entries_max);
    int result = -EINVAL;
    for (const unsigned flags : flag_sets) {
        for (ring_setup asked{flags, wanted}; asked.entries >= ring_entries_min;
             asked.entries /= 2) {
            result = attempt(asked);
            if (result != -ENOMEM) {
                break;
            }
        }
        if (result != -EINVAL) {
            break;
        }
    }
    return result;
}

std::string names_of_setup_flags(unsigned flags) {
    std::string names;
    for (const named_value& flag : flag_names) {
        if ((flags & flag.value) != 0) {
            names += names.empty() ? "" : "|";
            names += flag.name;
        }
    }
    return names;
}

const char* find_missing_opcode(const std::function<bool(int)>& is_supported) {
    for (const named_value& opcode : needed_opcodes) {
        if (!is_supported(static_cast<int>(opcode.value))) {
            return opcode.name;
        }
    }
    return nullptr;
}

}  // namespace caisson::uring
