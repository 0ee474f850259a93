#pragma once
// Opening a log: creation, recovery, and the refusals. The driver of recovery_plan: it reads facts,
// asks the plan and does what the plan says, in an order in which a crash between any two steps
// leaves a log that opens again. Knows nothing about appending. Read docs/recovery.md.

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/options.hpp>

#include "io/environment.hpp"
#include "log/recovered_log.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace caisson::log_detail {

/// Opens the log in directory `path`, or creates it, as `options` say; the value is locked,
/// consistent and durable.
///
/// Ordering:     on success every byte and name the value speaks of is on stable storage.
/// Errors:       a refusal (damage, a gap, a foreign file ...) has changed nothing on disk; it
///               names file, byte and offset and says what to do. `options.report` is filled on
///               success and on failure.
/// Cancellation: only while it waits for the lock.
net::awaitable<detailed<recovered_log>> open_log(io::environment& world, std::string path,
                                                 log_options options);

}  // namespace caisson::log_detail
