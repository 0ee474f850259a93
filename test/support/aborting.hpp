#pragma once
// Runs code that must abort the process, in a child, and returns what it wrote to standard error.
// Knows nothing about assertions; any death by SIGABRT counts.

#include <csignal>
#include <string>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace caisson::test {

struct ending {
    bool aborted = false;
    std::string message;
};

template <class Function>
ending run_to_its_end(Function function) {
    ending seen;
    int ends[2];
    if (::pipe(ends) != 0) {
        return seen;
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        ::signal(SIGABRT, SIG_DFL);  // the test framework's handler would report a failed test
        function();
        ::_exit(0);
    }
    ::close(ends[1]);
    char piece[512];
    for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;) {
        seen.message.append(piece, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    seen.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    return seen;
}

}  // namespace caisson::test
