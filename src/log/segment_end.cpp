// The order of looks that makes a claim of damage safe beside a live writer: bytes, directory,
// bytes again, name.

#include "log/segment_end.hpp"

#include "base/assert.hpp"

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
bool is_damage_by_itself(scan_end why, bool is_native) noexcept {
    if (why == scan_end::duplicate_offset) {
        return !is_native;  // ours may be the remains of a recycled file
    }
    return why == scan_end::compressed || why == scan_end::forked ||
           why == scan_end::epoch_backwards || why == scan_end::unsupported_trailer ||
           why == scan_end::other_version;
}

bool is_newer_version(const error_code& header_error) noexcept {
    return header_error == errc::unsupported_version || header_error == errc::unsupported_algorithm;
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
    } else if (behind.is_exhausted) {
        opinion.witness = "the bytes behind it are such that a valid commit cannot be excluded";
    } else if (is_damage_by_itself(event.why, cursor.is_native())) {
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
    auto marked = co_await source.clean_mark_proves(cursor.segment(), event.position_bytes);
    if (!marked) {
        co_return failure(marked.error(), "STATE could not be read");
    }
    const bool is_known_durable = marked.value() || lineage.known_durable_end > expected;
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
    const bool is_newer =
        event.why == scan_end::bad_header && is_newer_version(cursor.header_error());
    return failure(damage_code(event.why, cursor.header_error()),
                   is_newer ? "the segment's header: " + cursor.header_error().message()
                            : std::string(describe(event.why)))
        .in_file(cursor.path())
        .at_byte(event.position_bytes)
        .at_offset(cursor.prefix().next);
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

failure with_witness(failure found, const char* witness) {
    return std::move(found).advise(witness);
}

/// Reads the place again. True: `event` is now a commit, or another end than before.
net::awaitable<detailed<bool>> look_again(segment_cursor& cursor, format::scan_event& event) {
    if (auto done = co_await cursor.reread(); !done) {
        co_return done.error();
    }
    auto now = co_await cursor.next();
    if (!now) {
        co_return now.error();
    }
    const bool has_changed = now.value().step == format::scan_step::commit ||
                             now.value().why != event.why ||
                             now.value().position_bytes != event.position_bytes;
    const bool was_forked =
        event.why == scan_end::forked && event.position_bytes == now.value().position_bytes;
    event = now.value();
    if (was_forked && event.step == format::scan_step::end &&
        event.why == scan_end::duplicate_offset) {
        event.why = scan_end::forked;  // reading again forgets the commit before
        co_return false;
    }
    co_return has_changed;
}

end_verdict verdict_of(end_kind kind, const format::scan_event& event,
                       std::optional<log_offset> next) {
    end_verdict verdict;
    verdict.kind = kind;
    verdict.event = event;
    verdict.next = next;
    return verdict;
}

}  // namespace

net::awaitable<detailed<end_verdict>> judge_end(segment_cursor& cursor, read_source& source,
                                                format::scan_event event) {
    // Twice: what a first round concludes, a second one must confirm on bytes read after the
    //        witness was seen.
    for (int round = 0;; ++round) {
        if (auto again = co_await look_again(cursor, event); !again) {
            co_return again.error();
        }
        if (event.step == format::scan_step::commit) {
            co_return verdict_of(end_kind::commit, event, std::nullopt);
        }
        if (auto refreshed = co_await source.refresh(); !refreshed) {
            co_return failure(refreshed.error(), "the directory could not be listed");
        }
        const auto place = source.locate(cursor.segment());
        if (!place || place->begin != cursor.segment()) {
            co_return verdict_of(end_kind::moved, event, std::nullopt);
        }
        const log_offset expected = cursor.prefix().next;
        end_verdict verdict = verdict_of(end_kind::damaged, event, place->next);
        if (place->next && *place->next == expected && cursor.header()) {
            verdict.kind = end_kind::next_segment;
            co_return verdict;
        }
        if (place->next) {
            verdict.found = *place->next < expected ? overlapping(cursor, event, *place->next)
                                                    : missing_between(cursor, event, *place->next);
        } else {
            auto opinion = co_await judge_tail(cursor, source, event);
            if (!opinion) {
                co_return opinion.error();
            }
            verdict.kind = opinion.value().kind;
            verdict.first_nonzero_bytes = opinion.value().first_nonzero_bytes;
            if (verdict.kind == end_kind::damaged) {
                verdict.found = with_witness(damage_at(cursor, event), opinion.value().witness);
            } else if (verdict.kind == end_kind::unfinished) {
                verdict.found = damage_at(cursor, event);
            }
        }
        const bool is_claim = verdict.kind == end_kind::damaged;
        if (is_claim && round == 0) {
            continue;
        }
        if (is_claim) {
            auto same = co_await cursor.is_same_file();
            if (!same) {
                co_return same.error();
            }
            if (!same.value()) {
                verdict.kind = end_kind::moved;
            }
        }
        // The search may have left the cursor behind the end.
        if (auto done = co_await cursor.reread(); !done) {
            co_return done.error();
        }
        co_return verdict;
    }
}

}  // namespace caisson::log_detail
