#pragma once
// The seam's calls for coroutines: each wraps one `start_...` in an awaitable, retries
// EINTR/EAGAIN, finishes short transfers, and turns -errno into error_code. For cold paths; the
// append path uses operations directly.
//
// Every function here is a plain coroutine whose reference parameters are long-lived collaborators
// or buffers of the caller's frame: await it in the same full expression in which it is called
// (docs/STYLE.md, coroutines, rule 1).

#include <caisson/config.hpp>
#include <caisson/result.hpp>

#include "io/environment.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::io {

template <class T>
using task = net::awaitable<result<T>>;

/// What a raw outcome below 0 means: the system's error, but errc::home_on_two_threads for
/// -ENOTUNIQ, which the ring gives for that and no file system for anything.
error_code error_of(std::int64_t outcome) noexcept;

task<std::unique_ptr<directory>> open_root(disk& on, std::string path, root_mode mode);
task<std::vector<directory_entry>> list(directory& in);
task<std::unique_ptr<file>> open(directory& in, std::string name, open_mode mode);
task<std::unique_ptr<directory>> open_directory(directory& in, std::string name, bool create);
task<void> rename(directory& in, std::string from, directory& to_directory, std::string to,
                  bool replace);
/// A name that is not there is success: the wish is fulfilled.
task<void> unlink(directory& in, std::string name);
task<void> sync(directory& what);
task<std::unique_ptr<directory_lock>> lock(directory& in, std::string name);

/// Reads until `into` is full or the file ends; the value is the bytes read.
task<std::uint64_t> read(file& from, std::span<std::byte> into, std::uint64_t position_bytes);
/// Writes all of `from`. A short write is continued once at a block boundary; a second one is an
/// error (EIO).
task<void> write(file& to, std::span<const std::byte> from, std::uint64_t position_bytes,
                 write_mode mode);
/// Never retried: see file::start_sync.
task<void> sync(file& what);
task<void> truncate(file& what, std::uint64_t length_bytes);
task<void> allocate(file& what, std::uint64_t begin_bytes, std::uint64_t end_bytes);
task<file_status> status(file& what);

/// Completes after the time, or at once with operation_aborted when the awaiting coroutine is
/// cancelled.
task<void> sleep(clock& by, std::uint64_t duration_ns);

}  // namespace caisson::io
