// Why there is no ring, in words an operator can act on. io_uring is forbidden on many machines on
// purpose (container runtimes, hardened kernels), so a bare EPERM would be the most common report
// of all.

#include "uring/kernel_port.hpp"

#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <cerrno>

namespace caisson::uring {

namespace {

/// The text after `key` in a file of "key value" lines; with an empty key the first line. Empty
/// when there is none.
std::string read_value(const char* path, std::string_view key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) {
            const auto value = line.find_first_not_of(" \t", key.size());
            return value == std::string::npos ? std::string() : line.substr(value);
        }
    }
    return {};
}

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "unknown";
}

std::string limit_text(int which) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(which), &limit) != 0) {
        return "unknown";
    }
    return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

bool has_seccomp_filter() { return read_value("/proc/self/status", "Seccomp:") == "2"; }

failure forbidden(const std::string& what) {
    const std::string sysctl = read_value("/proc/sys/kernel/io_uring_disabled", "");
    if (sysctl == "2") {
        return failure(errc::uring_unavailable,
                       what + ": kernel.io_uring_disabled is 2, which forbids it to everybody")
            .advise("set it to 0 with `sysctl kernel.io_uring_disabled=0`");
    }
    if (sysctl == "1" && !has_seccomp_filter()) {
        return failure(errc::uring_unavailable,
                       what + ": kernel.io_uring_disabled is 1, which forbids it to processes "
                              "without CAP_SYS_ADMIN outside kernel.io_uring_group")
            .advise("add the process to the group named by `sysctl kernel.io_uring_group`, or set "
                    "kernel.io_uring_disabled to 0");
    }
    if (has_seccomp_filter()) {
        return failure(errc::uring_unavailable, what + ": a seccomp filter forbids it (the default "
                                                       "of Docker, containerd and Kubernetes)")
            .advise("run the container with a seccomp profile that allows io_uring_setup, "
                    "io_uring_enter and "
                    "io_uring_register");
    }
    return failure(errc::uring_unavailable,
                   what +
                       ": a security module or sandbox forbids it (no seccomp filter, "
                       "kernel.io_uring_disabled is " +
                       (sysctl.empty() ? std::string("absent") : sysctl) + ")")
        .advise("allow io_uring in the policy of the sandbox or security module");
}

}  // namespace

failure explain_unavailable(int error_number, std::string_view call) {
    const std::string what = "io_uring cannot be used, " + std::string(call) +
                             " says: " + std::generic_category().message(error_number);
    switch (error_number) {
    case EPERM:
    case EACCES: return forbidden(what);
    case ENOSYS:
        if (has_seccomp_filter()) {
            return forbidden(what);
        }
        return failure(errc::uring_unavailable,
                       what + ": kernel " + kernel_release() + " has no io_uring")
            .advise("use a kernel of version 5.6 or newer with CONFIG_IO_URING");
    case ENOMEM:
        return failure(errc::uring_unavailable, what +
                                                    ": no memory for the ring; RLIMIT_MEMLOCK is " +
                                                    limit_text(RLIMIT_MEMLOCK) + " bytes")
            .advise("raise the limit of locked memory (`ulimit -l`, LimitMEMLOCK= in systemd, "
                    "`--ulimit memlock=-1` in "
                    "Docker), or free memory");
    case EMFILE:
        return failure(errc::uring_unavailable,
                       what + ": the process has no descriptor left; RLIMIT_NOFILE is " +
                           limit_text(RLIMIT_NOFILE))
            .advise("raise the limit of open files (`ulimit -n`, LimitNOFILE= in systemd)");
    case ENFILE:
        return failure(errc::uring_unavailable,
                       what + ": the system has no descriptor left (fs.file-max)")
            .advise("raise it with `sysctl fs.file-max`");
    case EOPNOTSUPP:
    case EINVAL:
        return failure(errc::uring_unavailable, what + ": kernel " + kernel_release() +
                                                    " lacks what the engine needs of io_uring")
            .advise("use a kernel of version 5.6 or newer");
    default: return failure(errc::uring_unavailable, what);
    }
}

failure explain_missing_opcode(std::string_view opcode) {
    return failure(errc::uring_unavailable, "io_uring cannot be used: kernel " + kernel_release() +
                                                " lacks " + std::string(opcode))
        .advise("use a kernel of version 5.6 or newer, and nothing that takes opcodes away");
}

}  // namespace caisson::uring
