#pragma once
// ring_facts: what was agreed with the kernel and what has happened since, for `stat`, `bench` and
// the log.

#include <cstdint>
#include <string>

namespace caisson::uring {

/// A snapshot; counters count from the creation of the ring.
struct ring_facts {
    std::string flags;           ///< setup flags in use
    std::uint32_t features = 0;  ///< IORING_FEAT_ bits of the kernel
    unsigned sq_entries = 0;
    unsigned cq_entries = 0;
    unsigned file_slots = 0;  ///< 0: plain descriptors, see why_no_files
    unsigned file_slots_used = 0;
    std::string why_no_files;
    std::uint64_t registered_bytes = 0;  ///< memory registered by register_memory
    std::string why_no_buffers;          ///< why some memory is not registered; empty when all is

    std::uint64_t submissions = 0;  ///< requests the kernel took
    std::uint64_t enters = 0;       ///< system calls into the ring
    std::uint64_t arrivals = 0;     ///< completions taken
    std::uint64_t wakeups = 0;      ///< times the home context was woken for completions
    std::uint64_t sq_full = 0;      ///< a request found the submission queue full
    /// a request waited because the completion queue could not hold more
    std::uint64_t cq_full = 0;
    /// the kernel overflowed the completion queue; a bug when not 0
    std::uint64_t cq_overflow = 0;
    std::uint64_t enter_retries = 0;  ///< EINTR, EAGAIN, EBUSY of enter
    /// locks that do not outlive a killed process's writes: they were refused a slot
    std::uint64_t locks_unregistered = 0;
};

/// What was agreed and where it falls back, in one line.
std::string text_of(const ring_facts& facts);

}  // namespace caisson::uring
