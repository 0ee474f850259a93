#pragma once
// verify_log: reads and checks everything a directory holds and reports every place that is not as
// it was written. Changes nothing; works beside a live writer. Read docs/architecture.md,
// "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/log_view.hpp>

#include "log/directory_source.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>

namespace caisson::log_detail {

/// Bytes of all segment files.
net::awaitable<detailed<std::vector<segment_summary>>> measure_segments(directory_source& source);

/// Errors: of the system, where it cannot look at all; errc::closed when the source closes. Damage
///         is in the report.
net::awaitable<detailed<verify_report>> verify_log(std::shared_ptr<directory_source> source,
                                                   verify_options options);

}  // namespace caisson::log_detail
