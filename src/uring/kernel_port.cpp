// The kernel's ring through liburing. What is asked for stands in setup_plan.cpp.
//
// liburing 2.3 as packaged declares io_uring_enable_rings but does not export it: the ring is
// enabled by the raw register call, which every version has.

#include "uring/kernel_port.hpp"

#include "uring/setup_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

namespace caisson::uring {

namespace {

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

    detailed<void> set_up(const kernel_port_options& options);

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
    detailed<void> probe_opcodes();
    void register_tables(const kernel_port_options& options);

    io_uring ring_{};
    unsigned flags_ = 0;
    bool is_set_up_ = false;
    int event_descriptor_ = -1;
    agreement agreed_;
};

int kernel_port::create(const kernel_port_options& options) {
    return agree_on_setup(options.entries, [&](const ring_setup& asked) {
        if ((asked.flags & options.unknown_flags) != 0) {
            return -EINVAL;
        }
        io_uring_params params{};
        params.flags = asked.flags;
        params.cq_entries = asked.entries * options.cq_factor;
        const int result = ::io_uring_queue_init_params(asked.entries, &ring_, &params);
        if (result == 0) {
            is_set_up_ = true;
            flags_ = asked.flags;
            agreed_.flags = names_of_setup_flags(asked.flags);
            agreed_.features = params.features;
            agreed_.sq_entries = params.sq_entries;
            agreed_.cq_entries = params.cq_entries;
        }
        return result;
    });
}

detailed<void> kernel_port::probe_opcodes() {
    // liburing's io_uring_get_probe_ring says nothing but no: a filter that forbids the call and a
    // kernel that does not know it need different cures.
    constexpr std::string_view call = "the probe of io_uring (io_uring_register)";
    constexpr unsigned opcodes_max = 256;
    const auto bytes = sizeof(io_uring_probe) + opcodes_max * sizeof(io_uring_probe_op);
    const std::unique_ptr<void, void (*)(void*)> memory(std::calloc(1, bytes), std::free);
    auto* const probe = static_cast<io_uring_probe*>(memory.get());
    if (probe == nullptr) {
        return explain_unavailable(ENOMEM, call);
    }
    // EINVAL before 5.6, which also lacks IORING_OP_READ and IORING_OP_WRITE.
    if (const int asked = ::io_uring_register_probe(&ring_, probe, opcodes_max); asked < 0) {
        return explain_unavailable(-asked, call);
    }
    const char* const missing = find_missing_opcode(
        [probe](int code) { return ::io_uring_opcode_supported(probe, code) != 0; });
    if (missing != nullptr) {
        return explain_missing_opcode(missing);
    }
    return success();
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

detailed<void> kernel_port::set_up(const kernel_port_options& options) {
    if (const int created = create(options); created < 0) {
        return explain_unavailable(-created, "io_uring_setup");
    }
    BOOST_OUTCOME_TRY(probe_opcodes());
    // A filter may allow the setup and forbid the rest. An empty enter of a disabled ring is
    // refused with EBADFD when it gets through, so a forbidden one is found here and not at the
    // first write.
    const int entered = ::io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
    if (entered < 0 && entered != -EBADFD) {
        return explain_unavailable(-entered, "io_uring_enter");
    }
    event_descriptor_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_descriptor_ < 0) {
        return explain_unavailable(errno, "eventfd");
    }
    if (const int registered = ::io_uring_register_eventfd(&ring_, event_descriptor_);
        registered < 0) {
        return explain_unavailable(-registered, "io_uring_register");
    }
    register_tables(options);
    return success();
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
    BOOST_OUTCOME_TRY(port->set_up(options));
    return std::unique_ptr<ring_port>(std::move(port));
}

}  // namespace caisson::uring
