#pragma once
// A snapshot of one log's counters: plain numbers, with a visitor for exporters. No metrics library
// is forced.

#include <caisson/types.hpp>

#include <cstdint>
#include <string_view>

namespace caisson {

/// All counters start at 0 when the log is opened. A snapshot may be taken on any thread; each
/// value is exact, but values of one snapshot need not be of the same instant.
struct log_stats {
    log_offset begin;         ///< first offset the log holds
    log_offset appended_end;  ///< accepted, in memory
    log_offset durable_end;   ///< on stable storage
    std::uint64_t records_appended = 0;
    std::uint64_t payload_bytes_appended = 0;
    std::uint64_t commits_written = 0;
    /// to segments, whole blocks, without zero-writes
    std::uint64_t bytes_written = 0;
    std::uint64_t padding_bytes_written = 0;
    std::uint64_t zero_bytes_written = 0;  ///< preparing space
    std::uint64_t syncs_issued = 0;        ///< fdatasync calls; DSYNC writes are not counted
    std::uint64_t groups_in_flight = 0;
    std::uint64_t group_threshold_bytes = 0;  ///< at present
    std::uint64_t pending_bytes = 0;
    std::uint64_t appends_waiting = 0;             ///< beyond max_pending_bytes
    std::uint64_t appends_waited = 0;              ///< total
    std::uint64_t appends_outran_preparation = 0;  ///< in groups written beyond the prepared space
    std::uint64_t segments = 0;
    std::uint64_t rotations = 0;
    /// last commit's timestamp minus the wall clock, when positive
    std::uint64_t clock_ahead_us = 0;
    bool poisoned = false;
    bool out_of_space = false;

    /// Calls `visit(name, value)` for every member, names as above, values as std::uint64_t, in a
    /// stable order.
    template <class Visitor>
    void visit(Visitor&& visitor) const {
        visitor(std::string_view{"begin"}, begin.value());
        visitor(std::string_view{"appended_end"}, appended_end.value());
        visitor(std::string_view{"durable_end"}, durable_end.value());
        visitor(std::string_view{"records_appended"}, records_appended);
        visitor(std::string_view{"payload_bytes_appended"}, payload_bytes_appended);
        visitor(std::string_view{"commits_written"}, commits_written);
        visitor(std::string_view{"bytes_written"}, bytes_written);
        visitor(std::string_view{"padding_bytes_written"}, padding_bytes_written);
        visitor(std::string_view{"zero_bytes_written"}, zero_bytes_written);
        visitor(std::string_view{"syncs_issued"}, syncs_issued);
        visitor(std::string_view{"groups_in_flight"}, groups_in_flight);
        visitor(std::string_view{"group_threshold_bytes"}, group_threshold_bytes);
        visitor(std::string_view{"pending_bytes"}, pending_bytes);
        visitor(std::string_view{"appends_waiting"}, appends_waiting);
        visitor(std::string_view{"appends_waited"}, appends_waited);
        visitor(std::string_view{"appends_outran_preparation"}, appends_outran_preparation);
        visitor(std::string_view{"segments"}, segments);
        visitor(std::string_view{"rotations"}, rotations);
        visitor(std::string_view{"clock_ahead_us"}, clock_ahead_us);
        visitor(std::string_view{"poisoned"}, static_cast<std::uint64_t>(poisoned));
        visitor(std::string_view{"out_of_space"}, static_cast<std::uint64_t>(out_of_space));
    }
};

}  // namespace caisson
