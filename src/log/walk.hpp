#pragma once
// walk_log: visits everything in the segments of a directory, in order, going on behind damaged
// places. What the visitor makes of it (a dump, a verification) is not known here. Read
// docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/log_view.hpp>

#include "log/cursor.hpp"
#include "log/directory_source.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>

namespace caisson::log_detail {

class walk_visitor {
public:
    virtual ~walk_visitor() = default;
    /// A segment is about to be walked; called before its `segment` item.
    virtual net::awaitable<void> on_segment(log_offset begin);
    /// False ends the walk.
    virtual bool on_item(const walk_item& item) = 0;
    /// False ends the walk as well: the source is closing. Asked between commits.
    [[nodiscard]] virtual bool go_on() const noexcept { return true; }
};

/// Visits every segment from the log's begin to its newest. Damage is an item.
///
/// Errors: of the system, where it cannot look at all; errc::closed when go_on() said no.
net::awaitable<detailed<void>> walk_log(directory_source& source, walk_visitor& visitor);

}  // namespace caisson::log_detail
