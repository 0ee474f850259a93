// The kernel's ring through liburing. Setup flags cannot be asked for, only tried: flag sets go
// from the most capable down. Opcodes are probed, never inferred from a version number
// (distributions backport).
//
// liburing 2.3 as packaged declares io_uring_enable_rings but does not export it: the ring is
// enabled by the raw register call, which every version has.

#include "uring/kernel_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

namespace caisson::uring {

namespace {

struct flag_name {
    unsigned bit;
    const char* name;
};

constexpr std::array flag_names{
    flag_name{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
    flag_name{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
    flag_name{IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
    flag_name{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
    flag_name{IORING_SETUP_R_DISABLED, "R_DISABLED"},
    flag_name{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
    flag_name{IORING_SETUP_CQSIZE, "CQSIZE"},
    flag_name{IORING_SETUP_CLAMP, "CLAMP"},
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

constexpr std::array needed_opcodes{IORING_OP_READ,        IORING_OP_WRITE,
                                    IORING_OP_FSYNC,       IORING_OP_READ_FIXED,
                                    IORING_OP_WRITE_FIXED, IORING_OP_ASYNC_CANCEL};

std::string names_of(unsigned flags) {
    std::string names;
    for (const flag_name& flag : flag_names) {
        if ((flags & flag.bit) != 0) {
            names += names.empty() ? "" : "|";
            names += flag.name;
        }
    }
    return names;
}

__u8 kernel_opcode(opcode code) noexcept {
    switch (code) {
    case opcode::read: return IORING_OP_READ;
    case opcode::read_registered: return IORING_OP_READ_FIXED;
    case opcode::write: return IORING_OP_WRITE;
    case opcode::write_registered: return IORING_OP_WRITE_FIXED;
    case opcode::sync_data: return IORING_OP_FSYNC;
    case opcode::cancel: return IORING_OP_ASYNC_CANCEL;
    }
    return IORING_OP_NOP;
}

class kernel_port final : public ring_port {
public:
    kernel_port() = default;
    kernel_port(const kernel_port&) = delete;
    kernel_port& operator=(const kernel_port&) = delete;
    ~kernel_port() override {
        if (is_set_up_) {
            ::io_uring_queue_exit(&ring_);
        }
        if (event_descriptor_ >= 0) {
            ::close(event_descriptor_);
        }
    }

    /// 0, or -errno with `failed_call` set.
    int set_up(const kernel_port_options& options, const char*& failed_call);

    int enable() noexcept override {
        if ((flags_ & IORING_SETUP_R_DISABLED) == 0) {
            return 0;
        }
        return ::io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                   IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    }

    bool prepare(const submission& what) noexcept override;

    int submit() noexcept override { return ::io_uring_submit(&ring_); }
    int submit_and_get_events() noexcept override {
        return ::io_uring_submit_and_get_events(&ring_);
    }

    std::size_t take(std::span<arrival> into) noexcept override {
        std::size_t taken = 0;
        unsigned head = 0;
        io_uring_cqe* entry = nullptr;
        io_uring_for_each_cqe(&ring_, head, entry) {
            if (taken == into.size()) {
                break;
            }
            into[taken++] = arrival{entry->user_data, entry->res};
        }
        ::io_uring_cq_advance(&ring_, static_cast<unsigned>(taken));
        return taken;
    }

    bool needs_enter() const noexcept override {
        return (IO_URING_READ_ONCE(*ring_.sq.kflags) &
                (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    }
    bool has_overflow() const noexcept override { return ::io_uring_cq_has_overflow(&ring_); }
    bool has_arrivals() const noexcept override { return ::io_uring_cq_ready(&ring_) != 0; }
    void notify(bool wanted) noexcept override { ::io_uring_cq_eventfd_toggle(&ring_, wanted); }
    int event_descriptor() const noexcept override { return event_descriptor_; }

    int update_file(unsigned slot, int descriptor) noexcept override {
        const int updated = ::io_uring_register_files_update(&ring_, slot, &descriptor, 1);
        return updated < 0 ? updated : 0;
    }
    int update_buffer(unsigned slot, std::span<std::byte> memory) noexcept override {
        const iovec range{memory.data(), memory.size()};
        const __u64 no_tag = 0;
        const int updated =
            ::io_uring_register_buffers_update_tag(&ring_, slot, &range, &no_tag, 1);
        return updated < 0 ? updated : 0;
    }

    const agreement& agreed() const noexcept override { return agreed_; }

private:
    int create(const kernel_port_options& options);
    int probe_opcodes();
    void register_tables(const kernel_port_options& options);

    io_uring ring_{};
    unsigned flags_ = 0;
    bool is_set_up_ = false;
    int event_descriptor_ = -1;
    agreement agreed_;
};

int kernel_port::create(const kernel_port_options& options) {
    int result = -EINVAL;
    for (const unsigned flags : flag_sets) {
        for (unsigned entries = options.entries; entries >= 8; entries /= 2) {
            io_uring_params params{};
            params.flags = flags;
            params.cq_entries = entries * options.cq_factor;
            result = ::io_uring_queue_init_params(entries, &ring_, &params);
            if (result == 0) {
                is_set_up_ = true;
                flags_ = flags;
                agreed_.flags = names_of(flags);
                agreed_.features = params.features;
                agreed_.sq_entries = params.sq_entries;
                agreed_.cq_entries = params.cq_entries;
                return 0;
            }
            if (result != -ENOMEM) {
                break;
            }
        }
        if (result != -EINVAL) {
            return result;
        }
    }
    return result;
}

int kernel_port::probe_opcodes() {
    // liburing's io_uring_get_probe_ring says nothing but no: a filter that forbids the call and a
    // kernel that does not know it need different cures.
    constexpr unsigned opcodes_max = 256;
    const auto bytes = sizeof(io_uring_probe) + opcodes_max * sizeof(io_uring_probe_op);
    const std::unique_ptr<void, void (*)(void*)> memory(std::calloc(1, bytes), std::free);
    auto* const probe = static_cast<io_uring_probe*>(memory.get());
    if (probe == nullptr) {
        return -ENOMEM;
    }
    // EINVAL before 5.6, which also lacks IORING_OP_READ and IORING_OP_WRITE.
    if (const int asked = ::io_uring_register_probe(&ring_, probe, opcodes_max); asked < 0) {
        return asked;
    }
    const bool has_all = std::ranges::all_of(
        needed_opcodes, [&](auto code) { return ::io_uring_opcode_supported(probe, code) != 0; });
    return has_all ? 0 : -EOPNOTSUPP;
}

void kernel_port::register_tables(const kernel_port_options& options) {
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    const auto slots =
        static_cast<unsigned>(std::min<rlim_t>(descriptors.rlim_cur, options.file_slots));
    const int files = slots == 0 ? -EMFILE : ::io_uring_register_files_sparse(&ring_, slots);
    if (files < 0) {
        agreed_.why_no_files =
            "the kernel refused a file table (errno " + std::to_string(-files) + ")";
    } else {
        agreed_.file_slots = slots;
    }

    const int buffers = options.buffer_slots == 0
                            ? 0
                            : ::io_uring_register_buffers_sparse(&ring_, options.buffer_slots);
    if (options.buffer_slots == 0) {
        agreed_.why_no_buffers = "switched off";
    } else if (buffers < 0) {
        agreed_.why_no_buffers =
            "the kernel refused a buffer table (errno " + std::to_string(-buffers) + ")";
    } else {
        agreed_.buffer_slots = options.buffer_slots;
    }
}

int kernel_port::set_up(const kernel_port_options& options, const char*& failed_call) {
    failed_call = "io_uring_setup";
    if (const int created = create(options); created < 0) {
        return created;
    }
    failed_call = "the probe of io_uring (io_uring_register)";
    if (const int probed = probe_opcodes(); probed < 0) {
        return probed;
    }
    // A filter may allow the setup and forbid the rest. An empty enter of a disabled ring is
    // refused with EBADFD when it gets through, so a forbidden one is found here and not at the
    // first write.
    failed_call = "io_uring_enter";
    const int entered = ::io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
    if (entered < 0 && entered != -EBADFD) {
        return entered;
    }
    failed_call = "eventfd";
    event_descriptor_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_descriptor_ < 0) {
        return -errno;
    }
    failed_call = "io_uring_register";
    if (const int registered = ::io_uring_register_eventfd(&ring_, event_descriptor_);
        registered < 0) {
        return registered;
    }
    register_tables(options);
    return 0;
}

bool kernel_port::prepare(const submission& what) noexcept {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
        return false;
    }
    *entry = io_uring_sqe{};
    entry->opcode = kernel_opcode(what.code);
    entry->fd = what.file;
    entry->flags = what.file_is_slot ? static_cast<__u8>(IOSQE_FIXED_FILE) : __u8{0};
    entry->user_data = what.id;
    switch (what.code) {
    case opcode::sync_data: entry->fsync_flags = IORING_FSYNC_DATASYNC; break;
    case opcode::cancel:
        entry->fd = -1;
        entry->addr = what.cancel_id;
        break;
    case opcode::read:
    case opcode::read_registered:
    case opcode::write:
    case opcode::write_registered:
        entry->addr = what.address;
        entry->len = what.length_bytes;
        entry->off = what.position_bytes;
        entry->buf_index = what.buffer_slot;
        entry->rw_flags = what.dsync ? RWF_DSYNC : 0;
        break;
    }
    return true;
}

}  // namespace

detailed<std::unique_ptr<ring_port>> make_kernel_port(const kernel_port_options& options) {
    auto port = std::make_unique<kernel_port>();
    const char* failed_call = "";
    if (const int result = port->set_up(options, failed_call); result < 0) {
        return explain_unavailable(-result, failed_call);
    }
    return std::unique_ptr<ring_port>(std::move(port));
}

}  // namespace caisson::uring
