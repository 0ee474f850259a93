#pragma once
// kernel_port: a real ring behind ring_port. Chooses the most capable setup the kernel grants, and
// says in words why there is none. Knows nothing about operations or Asio. Read
// docs/architecture.md, "The ring".

#include "uring/ring_port.hpp"

#include <caisson/failure.hpp>

#include <memory>
#include <string_view>

namespace caisson::uring {

class kernel_port_options {
public:
    kernel_port_options() noexcept {}

    /// of the submission queue; halved until the kernel has the memory
    unsigned entries = 256;
    unsigned cq_factor = 4;        ///< completion queue entries per submission queue entry
    unsigned file_slots = 16'384;  ///< cut to RLIMIT_NOFILE
    unsigned buffer_slots = 64;    ///< 0: register no memory
    /// IORING_SETUP_ bits that the kernel is taken not to know, so that a test does real I/O on the
    /// rings of older ones
    unsigned unknown_flags = 0;
};

/// Creates a disabled ring: whichever thread calls `enable` owns it.
///
/// Errors: errc::uring_unavailable; detail and advice name what forbids it and what lifts that.
detailed<std::unique_ptr<ring_port>> make_kernel_port(const kernel_port_options& options);

/// The story of a ring that could not be had, from the errno of the call that failed and what the
/// system says about itself (sysctl, seccomp mode, limits).
failure explain_unavailable(int error_number, std::string_view call);
/// The same for a kernel whose rings lack an opcode that the engine cannot do without.
failure explain_missing_opcode(std::string_view opcode);

}  // namespace caisson::uring
