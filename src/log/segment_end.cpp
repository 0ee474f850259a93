// The order of looks that makes a claim of damage safe beside a live writer: bytes, directory,
// bytes again, name.

#include "log/segment_end.hpp"

#include "format/names.hpp"
#include "log/directory.hpp"
#include "log/recovery_plan.hpp"
#include "log/recovery_refusal.hpp"

#include <string>
#include <utility>

namespace caisson::log_detail {
namespace {

using format::scan_end;

/// Verdict on the tail of the newest segment before it is confirmed, and the witness in words.
struct tail_opinion {
    end_kind kind = end_kind::clean;
    const char* witness = nullptr;
    std::optional<std::uint64_t> first_nonzero_bytes;
};

// Refused whatever follows: no unfinished write looks like this.
bool is_damage_by_itself(const segment_cursor& cursor, const format::scan_event& event) noexcept {
    if (!cursor.is_native() &&
        (event.why == scan_end::duplicate_offset || event.why == scan_end::other_version)) {
        return true;  // ours may be the remains of a recycled file
    }
    const bool is_first = event.position_bytes == format::layout::segment_header::size_bytes;
    switch (end_fact_of(event.why, cursor.is_expected_header_at_end(), is_first, false)) {
    case end_fact::stranger_first:
    case end_fact::unchained_first:
    case end_fact::epoch_backwards:
    case end_fact::newer_trailer:
    case end_fact::forked: return true;
    case end_fact::nothing:
    case end_fact::zeros:
    case end_fact::leftovers:
    case end_fact::expected_header: break;
    }
    return event.why == scan_end::compressed;
}

// The rows of the decision table (docs/recovery.md) as far as a reader can see them.
tail_opinion judge_bytes(const segment_cursor& cursor, const format::scan_event& event,
                         const search_outcome& behind, bool is_known_durable,
                         bool are_trailers_proof) noexcept {
    tail_opinion opinion{end_kind::clean, nullptr, behind.first_nonzero_bytes};
    const bool has_later = behind.found.has_value();
    if (is_known_durable) {
        opinion.witness = "STATE says that acknowledged records stood here";
    } else if (has_later && behind.is_proof && are_trailers_proof) {
        opinion.witness = cursor.is_native()
                              ? "a later commit says that this place was acknowledged"
                              : "a valid commit follows";
    } else if (is_damage_by_itself(cursor, event)) {
        opinion.witness = "no unfinished write looks like this";
    } else if (event.why == scan_end::bad_header) {
        // A segment gets its header before its name, and its name before its first commit.
        if (has_later || is_newer_version(cursor.header_error()) ||
            (!cursor.is_native() && behind.first_nonzero_bytes.has_value())) {
            opinion.witness = "the segment is in use";
        } else {
            opinion.kind = end_kind::unfinished;
        }
    } else if (has_later || cursor.is_expected_header_at_end()) {
        opinion.kind = end_kind::unfinished;
    } else if (!cursor.is_native() && behind.first_nonzero_bytes.has_value()) {
        opinion.kind = end_kind::unfinished;  // nobody recycles files of a foreign log
    }
    if (opinion.witness != nullptr) {
        opinion.kind = end_kind::damaged;
    }
    return opinion;
}

net::awaitable<detailed<tail_opinion>> judge_tail(segment_cursor& cursor, read_source& source,
                                                  format::scan_event event) {
    const log_offset expected = cursor.prefix().next;
    const log_lineage lineage = source.lineage();
    read_source::segment_end end;
    end.segment = cursor.segment();
    end.position_bytes = event.position_bytes;
    end.last_crc = cursor.prefix().last_crc;
    end.is_header_cut_off = event.why == scan_end::bad_header &&
                            cursor.length_bytes() < format::layout::segment_header::size_bytes;
    auto contradicted = co_await source.state_contradicts(end);
    if (!contradicted) {
        co_return call_failed(contradicted.error(), source.directory().path(), format::state_name,
                              "read the file");
    }
    const bool is_known_durable = contradicted.value() || lineage.known_durable_end > expected;
    search_outcome behind;
    if (event.why != scan_end::end_of_file && event.why != scan_end::compressed) {
        const std::uint64_t from_bytes =
            cursor.header() ? event.position_bytes : format::layout::segment_header::size_bytes;
        auto searched = co_await cursor.search(
            event.why == scan_end::bad_header ? from_bytes : event.position_bytes, expected,
            segment_cursor::search_goal::proof);
        if (!searched) {
            co_return searched.error();
        }
        behind = searched.value();
    }
    co_return judge_bytes(cursor, event, behind, is_known_durable, lineage.are_trailers_proof);
}

}  // namespace

failure damage_at(const segment_cursor& cursor, const format::scan_event& event) {
    // A newer version is named as such: whoever wrote it can read it, nothing is damaged.
    const error_code code = damage_code(event.why, cursor.header_error());
    const bool is_newer = is_newer_version(code);
    return failure(code, is_newer && event.why == scan_end::bad_header
                             ? "the segment's header: " + cursor.header_error().message()
                             : std::string(describe(event.why)))
        .in_file(cursor.path())
        .at_byte(event.position_bytes)
        .at_offset(cursor.prefix().next)
        .advise(is_newer ? advice_for_newer : "");
}

namespace {

failure missing_between(const segment_cursor& cursor, const format::scan_event& event,
                        log_offset next) {
    const bool is_short = event.why == scan_end::end_of_file || event.why == scan_end::zeros;
    if (!is_short) {
        return damage_at(cursor, event);
    }
    return failure(errc::segment_gap,
                   "the segment ends here, but the next one begins with offset " +
                       std::to_string(next.value()) + ": records are missing")
        .in_file(cursor.path())
        .at_byte(event.position_bytes)
        .at_offset(cursor.prefix().next);
}

failure overlapping(const segment_cursor& cursor, const format::scan_event& event,
                    log_offset next) {
    return failure(errc::segment_overlap,
                   "the segment reaches to offset " + std::to_string(cursor.prefix().next.value()) +
                       ", but the next one begins with " + std::to_string(next.value()))
        .in_file(cursor.path())
        .at_byte(event.position_bytes)
        .at_offset(next);
}

/// Reads the place again: a commit now, or what stands there.
net::awaitable<detailed<format::scan_event>> look_again(segment_cursor& cursor,
                                                        format::scan_event event) {
    if (auto done = co_await cursor.reread(); !done) {
        co_return done.error();
    }
    auto now = co_await cursor.next();
    if (now && event.why == scan_end::forked && now.value().step == format::scan_step::end &&
        now.value().why == scan_end::duplicate_offset &&
        now.value().position_bytes == event.position_bytes) {
        now.value().why = scan_end::forked;  // reading again forgets the commit before
    }
    co_return now;
}

/// What one look concludes.
struct opinion {
    end_verdict verdict;
    /// What is said against the bytes, and by which witness; nothing: no damage is claimed. Two
    /// looks that say the same have this and `about_offset` in common.
    const char* claim = nullptr;
    log_offset about_offset;

    [[nodiscard]] bool is_same_claim(const opinion& other) const noexcept {
        return claim == other.claim && about_offset == other.about_offset &&
               verdict.event.why == other.verdict.event.why &&
               verdict.event.position_bytes == other.verdict.event.position_bytes;
    }
};

opinion against_successor(const segment_cursor& cursor, const format::scan_event& event,
                          log_offset next) {
    const log_offset expected = cursor.prefix().next;
    opinion made;
    made.about_offset = next;
    made.verdict.next = next;
    if (next == expected && cursor.header()) {
        made.verdict.kind = end_kind::next_segment;
        return made;
    }
    made.verdict.kind = end_kind::damaged;
    made.claim = "the next segment says so";
    made.verdict.found =
        next < expected ? overlapping(cursor, event, next) : missing_between(cursor, event, next);
    return made;
}

net::awaitable<detailed<opinion>> look_at_end(segment_cursor& cursor, read_source& source,
                                              format::scan_event event) {
    opinion made;
    auto seen = co_await look_again(cursor, event);
    if (!seen) {
        co_return seen.error();
    }
    if (seen.value().step == format::scan_step::commit) {
        made.verdict.kind = end_kind::commit;
        made.verdict.event = seen.value();
        co_return made;
    }
    if (auto refreshed = co_await source.refresh(); !refreshed) {
        co_return call_failed(refreshed.error(), source.directory().path(), "",
                              "list the directory");
    }
    const auto place = source.locate(cursor.segment());
    if (!place || place->begin != cursor.segment()) {
        made.verdict.kind = end_kind::moved;
    } else if (place->next) {
        made = against_successor(cursor, seen.value(), *place->next);
    } else {
        auto judged = co_await judge_tail(cursor, source, seen.value());
        if (!judged) {
            co_return judged.error();
        }
        const tail_opinion& tail = judged.value();
        made.claim = tail.witness;
        made.verdict.kind = tail.kind;
        made.verdict.first_nonzero_bytes = tail.first_nonzero_bytes;
        if (tail.kind == end_kind::damaged) {
            failure found = damage_at(cursor, seen.value());
            made.verdict.found = is_newer_version(found.code())
                                     ? std::move(found)
                                     : std::move(found).advise(tail.witness);
        } else if (tail.kind == end_kind::unfinished) {
            made.verdict.found = damage_at(cursor, seen.value());
        }
    }
    made.verdict.event = seen.value();
    co_return made;
}

/// Looks that may differ before the last one counts: no writer changes a place that often without
/// leaving a commit there.
constexpr int looks_max = 8;

}  // namespace

net::awaitable<detailed<end_verdict>> judge_end(segment_cursor& cursor, read_source& source,
                                                format::scan_event event) {
    // A claim counts when the next look makes the same one: its bytes were read after the witness
    // was seen. A look that claims something else has to be confirmed in its turn.
    std::optional<opinion> before;
    for (int look = 1;; ++look) {
        auto looked = co_await look_at_end(cursor, source, event);
        if (!looked) {
            co_return looked.error();
        }
        opinion& made = looked.value();
        event = made.verdict.event;
        if (made.verdict.kind == end_kind::commit || made.verdict.kind == end_kind::moved) {
            co_return std::move(made.verdict);
        }
        if (made.claim != nullptr) {
            if ((!before || !made.is_same_claim(*before)) && look < looks_max) {
                before = std::move(made);
                continue;
            }
            auto same = co_await cursor.is_same_file();
            if (!same) {
                co_return same.error();
            }
            if (!same.value()) {
                made.verdict.kind = end_kind::moved;
            }
        }
        // The search may have left the cursor behind the end; and a segment is cut before the next
        // one gets its name, so its length counts only when it is taken after that.
        if (auto done = co_await cursor.reread(); !done) {
            co_return done.error();
        }
        co_return std::move(made.verdict);
    }
}

}  // namespace caisson::log_detail
