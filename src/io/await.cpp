// Coroutine forms of the seam's calls. One operation object per call, allocated with its handler;
// all policy about interrupted and short transfers is here and in io/transfer.hpp.

#include "io/await.hpp"

#include <caisson/errc.hpp>

#include "base/units.hpp"
#include "io/transfer.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_category.hpp>

#include <cerrno>
#include <utility>

namespace caisson::io {

error_code error_of(std::int64_t outcome) noexcept {
    if (outcome == -ENOTUNIQ) {
        return errc::home_on_two_threads;
    }
    return {static_cast<int>(-outcome), boost::system::system_category()};
}

namespace {

/// An operation that resumes whoever waits for it.
template <class Handler>
class awaited final : public operation {
public:
    explicit awaited(Handler&& handler) : operation(&awaited::done), handler_(std::move(handler)) {}

private:
    static void done(operation& base, std::int64_t outcome) noexcept {
        auto* self = static_cast<awaited*>(&base);
        Handler handler(std::move(self->handler_));
        delete self;
        if (outcome != operation::abandoned) {
            std::move(handler)(outcome);
        }
    }

    Handler handler_;
};

/// A named type, not a lambda: GCC 12 destroys lambdas inside co_await expressions twice.
struct initiate {
    template <class Handler, class Start>
    void operator()(Handler&& handler, Start start) const {
        start(*new awaited<std::decay_t<Handler>>(std::forward<Handler>(handler)));
    }
};

template <class Start>
net::awaitable<std::int64_t> perform(Start start) {
    return net::async_initiate<const net::use_awaitable_t<>, void(std::int64_t)>(
        initiate{}, net::use_awaitable, std::move(start));
}

/// Runs `start` again while the outcome says "try again", a bounded number of times. Not for fsync
/// of a file: EINTR there leaves open what reached the disk.
template <class Start>
net::awaitable<std::int64_t> perform_patiently(Start start) {
    for (int attempt = 1;; ++attempt) {
        const std::int64_t outcome = co_await perform(start);
        if ((outcome != -EINTR && outcome != -EAGAIN) || attempt == transfer_attempts_max) {
            co_return outcome;
        }
    }
}

template <class Start>
task<void> perform_void(Start start) {
    const std::int64_t outcome = co_await perform_patiently(std::move(start));
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return success();
}

/// What `start` fills in. It is given the operation and where to put it.
template <class T, class Start>
task<T> perform_for(Start start) {
    T filled;
    auto start_filling = [&](operation& op) {
        start(op, filled);
    };
    const std::int64_t outcome = co_await perform_patiently(start_filling);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return std::move(filled);
}

}  // namespace

task<std::unique_ptr<directory>> open_root(disk& on, std::string path, root_mode mode) {
    auto start = [&](operation& op, std::unique_ptr<directory>& into) {
        on.start_open_root(op, path, mode, into);
    };
    co_return co_await perform_for<std::unique_ptr<directory>>(start);
}

task<std::vector<directory_entry>> list(directory& in) {
    auto start = [&](operation& op, std::vector<directory_entry>& into) {
        in.start_list(op, into);
    };
    co_return co_await perform_for<std::vector<directory_entry>>(start);
}

task<std::unique_ptr<file>> open(directory& in, std::string name, open_mode mode) {
    auto start = [&](operation& op, std::unique_ptr<file>& into) {
        in.start_open(op, name, mode, into);
    };
    co_return co_await perform_for<std::unique_ptr<file>>(start);
}

task<std::unique_ptr<directory>> open_directory(directory& in, std::string name, bool create) {
    auto start = [&](operation& op, std::unique_ptr<directory>& into) {
        in.start_open_directory(op, name, create, into);
    };
    co_return co_await perform_for<std::unique_ptr<directory>>(start);
}

task<void> rename(directory& in, std::string from, directory& to_directory, std::string to,
                  bool replace) {
    auto start = [&](operation& op) {
        in.start_rename(op, from, to_directory, to, replace);
    };
    co_return co_await perform_void(start);
}

task<void> unlink(directory& in, std::string name) {
    auto start = [&](operation& op) {
        in.start_unlink(op, name);
    };
    const std::int64_t outcome = co_await perform_patiently(start);
    if (outcome < 0 && outcome != -ENOENT) {
        co_return error_of(outcome);
    }
    co_return success();
}

task<void> sync(directory& what) {
    auto start = [&](operation& op) {
        what.start_sync(op);
    };
    const std::int64_t outcome = co_await perform(start);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return success();
}

task<std::unique_ptr<directory_lock>> lock(directory& in, std::string name) {
    std::unique_ptr<directory_lock> taken;
    auto start = [&](operation& op) {
        in.start_lock(op, name, taken);
    };
    // Not perform_patiently: EWOULDBLOCK is EAGAIN, and waiting for a lock is the caller's policy.
    const std::int64_t outcome = co_await perform(start);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return std::move(taken);
}

task<std::uint64_t> read(file& from, std::span<std::byte> into, std::uint64_t position_bytes) {
    std::uint64_t done_bytes = 0;
    while (done_bytes < into.size()) {
        auto start = [&](operation& op) {
            from.start_read(op, into.subspan(done_bytes), position_bytes + done_bytes);
        };
        const std::int64_t outcome = co_await perform_patiently(start);
        if (outcome < 0) {
            co_return error_of(outcome);
        }
        done_bytes += static_cast<std::uint64_t>(outcome);
        // A direct read that ends off a block boundary has met the end of the file; going on from
        // there would be misaligned. Through the page cache a short count says nothing.
        if (outcome == 0 || (from.is_direct() && done_bytes % from.block_size_bytes() != 0)) {
            break;
        }
    }
    co_return done_bytes;
}

task<void> write(file& to, std::span<const std::byte> from, std::uint64_t position_bytes,
                 write_mode mode) {
    transfer_progress progress(from.size(), to.block_size_bytes());
    while (!progress.is_complete()) {
        auto start = [&](operation& op) {
            to.start_write(op, from.subspan(progress.next_bytes()),
                           position_bytes + progress.next_bytes(), mode);
        };
        const std::int64_t outcome = co_await perform(start);
        if (const int problem = progress.advance(outcome); problem != 0) {
            co_return error_of(-problem);
        }
    }
    co_return success();
}

task<void> sync(file& what) {
    auto start = [&](operation& op) {
        what.start_sync(op);
    };
    const std::int64_t outcome = co_await perform(start);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return success();
}

task<void> truncate(file& what, std::uint64_t length_bytes) {
    auto start = [&](operation& op) {
        what.start_truncate(op, length_bytes);
    };
    co_return co_await perform_void(start);
}

task<void> allocate(file& what, std::uint64_t begin_bytes, std::uint64_t end_bytes) {
    auto start = [&](operation& op) {
        what.start_allocate(op, begin_bytes, end_bytes);
    };
    co_return co_await perform_void(start);
}

task<file_status> status(file& what) {
    file_status found;
    auto start = [&](operation& op) {
        what.start_status(op, found);
    };
    const std::int64_t outcome = co_await perform_patiently(start);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return found;
}

task<void> sleep(clock& by, std::uint64_t duration_ns) {
    auto start = [&](operation& op) {
        by.start_sleep(op, duration_ns);
    };
    const std::int64_t outcome = co_await perform(start);
    if (outcome < 0) {
        co_return error_of(outcome);
    }
    co_return success();
}

}  // namespace caisson::io
