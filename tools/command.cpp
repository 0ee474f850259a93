// How errors reach the person at the terminal: one line, the thing first, the cure last.

#include "tools/command.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace caisson::tools {
namespace {

std::string cure_of_no_space() {
    rlimit limit{};
    const bool is_limited =
        ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return (is_limited ? "raise the file size limit of this process (ulimit -f; it is " +
                             std::to_string(limit.rlim_cur) + " bytes) or free some space there"
                       : std::string("free some space there")) +
           " and run the command again";
}

std::string cure_of_too_many_files() {
    rlimit limit{};
    const bool is_known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
    return "raise the limit of open files (ulimit -n, LimitNOFILE= in systemd" +
           (is_known ? "; it is " + std::to_string(limit.rlim_cur) : std::string()) + ")";
}

// What to do about an error that comes without a story of its own.
std::string cure_of(std::string_view verb, const error_code& code) {
    if (code == errc::log_not_found) {
        return "check the path; 'caisson append' creates a log";
    }
    if (code == errc::locked) {
        return "close the program that has the log open, or wait until the kernel has finished its "
               "writes";
    }
    if (code == errc::foreign_log) {
        return "'caisson cat', 'dump', 'stat' and 'verify' read it; append to a log of its own";
    }
    if (code == errc::not_a_directory || code == boost::system::errc::not_a_directory) {
        return "name the directory of the log";
    }
    if (code == errc::uring_unavailable) {
        return "allow io_uring (sysctl kernel.io_uring_disabled=0; container seccomp profile)";
    }
    if (code == condition::corrupt) {
        return "nothing was changed; 'caisson verify' lists every finding";
    }
    if (code == condition::no_space) {
        return cure_of_no_space();
    }
    if (code == boost::system::errc::too_many_symbolic_link_levels) {
        return "put the file itself in place of the symbolic link";
    }
    if (code == boost::system::errc::too_many_files_open ||
        code == boost::system::errc::too_many_files_open_in_system) {
        return cure_of_too_many_files();
    }
    const bool is_denied = code == boost::system::errc::permission_denied;
    if (is_denied && verb != "append" && verb != "bench") {
        return "give this user the right to read the directory and the files in it";
    }
    if (is_denied || code == boost::system::errc::read_only_file_system) {
        return "make the directory writable, or use the verbs that only read";
    }
    return {};
}

}  // namespace

exit_code to_exit_code(const error_code& code) noexcept {
    if (!code) {
        return exit_code::ok;
    }
    if (code == errc::torn_tail) {
        return exit_code::torn_tail;
    }
    return code == condition::corrupt ? exit_code::damage : exit_code::error;
}

std::string describe_error(std::string_view verb, std::string_view subject, const error_code& code,
                           const std::optional<failure>& story) {
    std::string text = story ? story->message() : code.message();
    const bool has_advice = story && !story->advice().empty();
    // What the system says is the cause, and not every story repeats it.
    if (!has_advice && code.category() == boost::system::system_category() &&
        text.find(code.message()) == std::string::npos) {
        text += ": " + code.message();
    }
    const std::string cure = cure_of(verb, code);
    if (!cure.empty() && !has_advice) {
        text += "; ";
        text += cure;
    }
    if (subject.empty() || text.find(subject) != std::string::npos) {
        return text;
    }
    return std::string(subject) + ": " + text;
}

void print_error(std::string_view verb, std::string_view text) {
    std::string line = "caisson";
    if (!verb.empty()) {
        line += ' ';
        line += verb;
    }
    line += ": ";
    for (const char c : text) {
        line += c == '\n' ? ' ' : c;  // one line, whatever a message holds
    }
    line += '\n';
    // One write, so that lines of several processes do not mix. Nobody is left to tell when it
    // fails.
    while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
    }
}

exit_code fail(std::string_view verb, std::string_view subject, const error_code& code,
               const std::optional<failure>& story) {
    print_error(verb, describe_error(verb, subject, code, story));
    return to_exit_code(code);
}

}  // namespace caisson::tools
