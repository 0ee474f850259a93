#pragma once
// ring_port: what `ring` needs from a kernel ring, so that a test can put a ring in its place that
// is out of order, full, interrupted or broken on demand. Knows nothing about files or Asio. Read
// docs/architecture.md, "The ring".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace caisson::uring {

enum class opcode : std::uint8_t {
    read,
    read_registered,  ///< into memory registered as buffer `buffer_slot`
    write,
    write_registered,  ///< from memory registered as buffer `buffer_slot`
    sync_data,         ///< fdatasync of the whole file
    cancel,            ///< of the submission whose id is `cancel_id`
};

/// One request to the kernel.
struct submission {
    opcode code = opcode::read;
    bool file_is_slot =
        false;           ///< `file` is a slot of the registered table, otherwise a descriptor
    bool dsync = false;  ///< of a write: RWF_DSYNC
    std::uint16_t buffer_slot = 0;
    std::int32_t file = -1;
    std::uint32_t length_bytes = 0;
    std::uint64_t address = 0;
    std::uint64_t position_bytes = 0;
    std::uint64_t id = 0;  ///< comes back in the arrival
    std::uint64_t cancel_id = 0;
};

/// One completion from the kernel.
struct arrival {
    std::uint64_t id = 0;
    std::int32_t outcome = 0;
};

/// All calls on the home thread once `enable` was called there. Results below 0 are -errno.
class ring_port {
public:
    virtual ~ring_port() = default;

    virtual int enable() noexcept = 0;

    /// False when the submission queue is full.
    [[nodiscard]] virtual bool prepare(const submission& what) noexcept = 0;
    /// Gives everything prepared to the kernel; the value is how many it took. What it did not take
    /// stays prepared.
    virtual int submit() noexcept = 0;
    /// As `submit`, and lets the kernel post completions that are ready, overflowed ones included.
    virtual int submit_and_get_events() noexcept = 0;
    /// Takes up to `into.size()` completions.
    virtual std::size_t take(std::span<arrival> into) noexcept = 0;
    /// Whether the kernel has completions that only `submit_and_get_events` brings to light.
    [[nodiscard]] virtual bool needs_enter() const noexcept = 0;
    /// Whether completions have overflowed the completion queue.
    [[nodiscard]] virtual bool has_overflow() const noexcept = 0;
    /// Whether `take` would find something.
    [[nodiscard]] virtual bool has_arrivals() const noexcept = 0;
    /// Whether new completions signal `event_descriptor`.
    virtual void notify(bool wanted) noexcept = 0;
    [[nodiscard]] virtual int event_descriptor() const noexcept = 0;

    virtual int update_file(unsigned slot, int descriptor) noexcept = 0;
    virtual int update_buffer(unsigned slot, std::span<std::byte> memory) noexcept = 0;

    /// What was agreed with the kernel at creation.
    struct agreement {
        std::string flags;           ///< names of the setup flags, "|" between them
        std::uint32_t features = 0;  ///< IORING_FEAT_ bits
        unsigned sq_entries = 0;
        unsigned cq_entries = 0;
        unsigned file_slots = 0;     ///< 0: files cannot be registered
        std::string why_no_files;    ///< set when file_slots == 0
        unsigned buffer_slots = 0;   ///< 0: memory cannot be registered
        std::string why_no_buffers;  ///< set when buffer_slots == 0
    };
    [[nodiscard]] virtual const agreement& agreed() const noexcept = 0;
};

}  // namespace caisson::uring
