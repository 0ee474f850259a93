#pragma once
// setup_plan: what to ask the kernel for when a ring is created, and what the answers mean. Makes
// no call itself. Read docs/architecture.md, "The ring".

#include <functional>
#include <string>

namespace caisson::uring {

/// What a ring is asked for.
struct ring_setup {
    unsigned flags = 0;    ///< IORING_SETUP_ bits
    unsigned entries = 0;  ///< of the submission queue
};

/// Entries below it are not worth a ring; above it the kernel cuts (IORING_MAX_ENTRIES).
inline constexpr unsigned ring_entries_min = 8;
inline constexpr unsigned ring_entries_max = 32'768;

/// Setup flags cannot be asked for, only tried: flag sets go from the most capable down as long as
/// the kernel does not know one (-EINVAL), and each with fewer entries as long as it has no memory
/// (-ENOMEM; RLIMIT_MEMLOCK before 5.12).
///
/// Shape:  `attempt` creates a ring: 0, or -errno.
/// Errors: 0 once an attempt succeeded, which was the last then; otherwise the last one's -errno.
int agree_on_setup(unsigned entries, const std::function<int(const ring_setup&)>& attempt);

/// "SINGLE_ISSUER|DEFER_TASKRUN|..."
std::string names_of_setup_flags(unsigned flags);

/// The name of an opcode that the engine cannot do without and that the kernel lacks; null when it
/// has all.
const char* find_missing_opcode(const std::function<bool(int)>& is_supported);

}  // namespace caisson::uring
