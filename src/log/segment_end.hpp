#pragma once
// What it means that the scan of a segment stopped: go on in the next segment, the end of the log,
// an unfinished write, or damage. For readers that do not own the log: they may run beside its
// writer, so nothing is called damage before it was read again behind the witness, and found to be
// the same. Recovery has its own table. Read docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/log_view.hpp>

#include "log/cursor.hpp"
#include "log/read_source.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>

namespace caisson::log_detail {

enum class end_kind : std::uint8_t {
    commit,        ///< reading again showed one: `event`
    next_segment,  ///< the segment after this one begins with the expected offset
    clean,         ///< the log ends here
    unfinished,    ///< the log ends here, before a write that did not finish or is still going on
    damaged,       ///< `found` says what
    moved,         ///< the name means another file now, or none: purged or recycled
};

struct end_verdict {
    end_kind kind = end_kind::clean;
    /// `commit`: the commit; otherwise the end as read last
    format::scan_event event;
    std::optional<failure> found;    ///< `damaged`; `unfinished`: what stands there
    std::optional<log_offset> next;  ///< first offset of the segment after this one
    /// newest segment: of what follows the last commit
    std::optional<std::uint64_t> first_nonzero_bytes;
};

/// Judges `event`, an end that `cursor` gave. For sources without a durable_end. With
/// `next_segment`, what length_bytes() says beyond the end was there when the file had been cut.
/// Afterwards the cursor stands behind the commit (`commit`), or at the end of the good prefix with
/// bytes that it read anew.
///
/// Errors: errc::unreadable; of the system.
net::awaitable<detailed<end_verdict>> judge_end(segment_cursor& cursor, read_source& source,
                                                format::scan_event event);

/// The failure that names the place where `cursor` stopped.
[[nodiscard]] failure damage_at(const segment_cursor& cursor, const format::scan_event& event);

}  // namespace caisson::log_detail
