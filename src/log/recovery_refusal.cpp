// The texts of refusals.

#include "log/recovery_refusal.hpp"

#include "base/assert.hpp"
#include "format/names.hpp"

#include <utility>

namespace caisson::log_detail {
namespace {

// Advice names only what this version can do: there is no repair and no adoption yet.
constexpr const char* keep_and_restore = "nothing was changed; save the directory as it is, then "
                                         "put a good copy of the segment in place";

std::string end_text(end_fact end) {
    switch (end) {
    case end_fact::nothing: return "the file ends";
    case end_fact::zeros: return "only zeros follow";
    case end_fact::leftovers: return "bytes follow that are no commit";
    case end_fact::expected_header:
        return "a commit begins whose checksum, length or chain is wrong";
    case end_fact::stranger_first:
    case end_fact::unchained_first:
    case end_fact::epoch_backwards:
    case end_fact::newer_trailer:
    case end_fact::forked: return "a commit follows that cannot be there";
    }
    CAISSON_UNREACHABLE("every end has its text");
}

std::string witness_text(const segment_scan& scan, const segment_facts& facts) {
    if (facts.later != later_fact::none && scan.later) {
        return "a valid commit of this log at byte " + std::to_string(scan.later->position_bytes) +
               " (offset " + std::to_string(scan.later->begin.value()) +
               ") proves that records were acknowledged here";
    }
    if (facts.is_mark_beyond) {
        return "the log was closed cleanly with more in this segment, or with another last commit";
    }
    if (facts.is_known_durable_beyond) {
        return "records beyond this offset are known to have been durable";
    }
    if (facts.successor == successor_fact::beyond_end) {
        return "the next segment begins at a later offset";
    }
    if (facts.is_sink_end_beyond) {
        return "this copy had synced records beyond this offset";
    }
    return "STATE names this segment, so its header was durable";
}

std::string damage_text(const segment_scan& scan, const segment_facts& facts) {
    if (facts.header == header_fact::bad || facts.header == header_fact::too_short) {
        return "the segment's header is damaged (" + scan.header_error.message() + "), and " +
               witness_text(scan, facts);
    }
    return "acknowledged data is damaged: after the last good commit " + end_text(facts.end) +
           ", but " + witness_text(scan, facts);
}

}  // namespace

failure describe_refusal(directory_verdict verdict, const std::string& directory_path,
                         const std::optional<format::log_state>& state) {
    const std::string state_path = directory_path + "/" + std::string(format::state_name);
    switch (verdict) {
    case directory_verdict::refuse_not_found:
        return failure(errc::log_not_found, "the directory holds no log")
            .in_file(directory_path)
            .advise("check the path, or open with open_existing::or_create");
    case directory_verdict::refuse_exists:
        return failure(errc::log_exists, "there is a log already")
            .in_file(directory_path)
            .advise("open it with open_existing::or_create or ::only, or choose another directory");
    case directory_verdict::refuse_occupied:
        return failure(
                   errc::foreign_file,
                   "the directory holds other files and nothing of a log, so none is made there")
            .in_file(directory_path)
            .advise("name a new or an empty directory");
    case directory_verdict::refuse_foreign:
        return failure(errc::foreign_log,
                       "segments without STATE and without this program's trailers: "
                       "another program wrote this log")
            .in_file(directory_path)
            .advise("read it with the read-only commands; this version does not append to it");
    case directory_verdict::refuse_state_missing:
        return failure(errc::state_missing, "STATE is missing from a log that this program wrote")
            .in_file(state_path)
            .advise("nothing was changed; put a copy of the file in place, this version cannot "
                    "rebuild it");
    case directory_verdict::refuse_segment_missing: {
        CAISSON_ASSERT(state.has_value());
        CAISSON_ASSERT(state->segment.has_value());
        const log_offset named = state->segment->begin;
        return failure(
                   errc::segment_missing,
                   "segments are missing: STATE says that the log holds the records from offset " +
                       std::to_string(state->purged_before.value()) +
                       " on and that its newest segment is " + format::segment_name(named))
            .in_file(directory_path)
            .at_offset(state->purged_before)
            .advise("nothing was changed; put the missing segment files back");
    }
    case directory_verdict::refuse_unexpected:
        return failure(errc::foreign_file,
                       "STATE says that no segment was made yet, but there are some")
            .in_file(directory_path)
            .advise("nothing was changed; move the segments that do not belong here away");
    case directory_verdict::refuse_reset:
        CAISSON_ASSERT(state.has_value());
        return failure(errc::unsupported_version,
                       "a reset of the log was begun and not finished, which this version "
                       "of the program cannot do")
            .in_file(state_path)
            .at_offset(state->reset_target.value_or(log_offset{}))
            .advise("open the log with the version that began the reset");
    case directory_verdict::refuse_sink:
        return failure(errc::unsupported_version,
                       "the log is a mirror's copy, to which only its source may append")
            .in_file(state_path)
            .advise("append to the source, or promote the copy with a version that can");
    case directory_verdict::create:
    case directory_verdict::finish_creation:
    case directory_verdict::recover: break;
    }
    CAISSON_UNREACHABLE("not a refusal");
}

failure describe_bad_state(const error_code& why, const std::string& state_path) {
    const bool is_newer = why == errc::unsupported_version;
    return failure(why, is_newer ? "written by a newer version of this program"
                                 : "neither slot of STATE is what was written")
        .in_file(state_path)
        .at_byte(0)
        .advise(is_newer ? advice_for_newer
                         : "nothing was changed; put a copy of STATE in place, this version "
                           "cannot rebuild it");
}

failure describe_reading_without_state(const failure& refusal) {
    return failure(refusal.code(),
                   refusal.detail() +
                       "; without what it says nobody can tell whether acknowledged records "
                       "are missing at the end")
        .in_file(refusal.file())
        .advise(refusal.advice());
}

failure describe_refusal(segment_verdict verdict, const std::string& segment_path,
                         const segment_scan& scan, const segment_facts& facts) {
    const auto refuse = [&](error_code code, std::string detail, const char* advice) {
        return failure(code, std::move(detail))
            .in_file(segment_path)
            .at_byte(scan.prefix.end_position_bytes)
            .at_offset(scan.prefix.next)
            .advise(advice);
    };
    switch (verdict) {
    case segment_verdict::refuse_unreadable:
        CAISSON_ASSERT(scan.unreadable.has_value());
        return failure(*scan.unreadable).at_offset(scan.prefix.next);
    case segment_verdict::refuse_damaged:
        return refuse(errc::damaged, damage_text(scan, facts), keep_and_restore);
    case segment_verdict::refuse_torn:
        return refuse(
            errc::torn_tail, "an unfinished write ends the log",
            "nothing was changed; open with torn_tail_policy::trim to cut it, a copy is kept");
    case segment_verdict::refuse_header:
        return refuse(scan.header_error, "the segment's header: " + scan.header_error.message(),
                      advice_for_newer);
    case segment_verdict::refuse_version:
        return refuse(errc::unsupported_version, "a commit was written by a newer version",
                      advice_for_newer);
    case segment_verdict::refuse_wrong_log:
        return refuse(errc::wrong_log, "the segment holds another log's commits",
                      "nothing was changed; move the file away and put this log's segment back");
    case segment_verdict::refuse_chain:
        return refuse(errc::chain_broken,
                      "the segment does not continue the one before it (STATE has its checksum)",
                      keep_and_restore);
    case segment_verdict::refuse_epoch:
        return refuse(errc::epoch_backwards, "a commit continues the log with a lower epoch",
                      keep_and_restore);
    case segment_verdict::refuse_gap:
        return refuse(errc::segment_gap, "records are missing between this segment and the next",
                      keep_and_restore);
    case segment_verdict::refuse_overlap:
        return refuse(errc::segment_overlap,
                      "the segment holds records that the next one claims too", keep_and_restore);
    case segment_verdict::whole:
    case segment_verdict::clean_end:
    case segment_verdict::cut:
    case segment_verdict::start_anew: break;
    }
    CAISSON_UNREACHABLE("not a refusal");
}

}  // namespace caisson::log_detail
