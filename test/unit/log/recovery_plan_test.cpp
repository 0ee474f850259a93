// The decision tables: every combination of facts, judged by rules written from the promise and not
// from the table.

#include "log/recovery_plan.hpp"

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <set>
#include <string>

namespace caisson::log_detail {
namespace {

template <class Enum>
Enum value(int number) {
    return static_cast<Enum>(number);
}

void for_every_segment(const std::function<void(const segment_facts&)>& visit) {
    segment_facts f;
    for (int bits = 0; bits < 1 << 8; ++bits) {
        f.is_unreadable = (bits & 1) != 0;
        f.part = (bits & 2) != 0 ? segment_part::raw : segment_part::native;
        f.is_mark_beyond = (bits & 4) != 0;
        f.is_known_durable_beyond = (bits & 8) != 0;
        f.is_sink_end_beyond = (bits & 16) != 0;
        f.is_named_by_state = (bits & 32) != 0;
        f.role = (bits & 64) != 0 ? format::log_role::sink : format::log_role::primary;
        f.policy = (bits & 128) != 0 ? torn_tail_policy::refuse : torn_tail_policy::trim;
        for (int header = 0; header < 4; ++header) {
            f.header = value<header_fact>(header);
            for (int end = 0; end < 9; ++end) {
                f.end = value<end_fact>(end);
                for (int later = 0; later < 3; ++later) {
                    f.later = value<later_fact>(later);
                    for (int successor = 0; successor < 4; ++successor) {
                        f.successor = value<successor_fact>(successor);
                        visit(f);
                    }
                }
            }
        }
    }
}

// Were records at or beyond the end of the good prefix acknowledged, as far as anybody can prove?
bool is_proven(const segment_facts& f) {
    if (f.role == format::log_role::sink) {
        return f.is_sink_end_beyond;  // trailers speak of another machine's disk
    }
    if (f.is_mark_beyond || f.is_known_durable_beyond || f.later == later_fact::proof) {
        return true;
    }
    if (f.part == segment_part::raw && f.later == later_fact::unproven) {
        return true;
    }
    if (f.successor == successor_fact::beyond_end) {
        return true;  // a successor gets its name only when its predecessor is whole
    }
    return f.header == header_fact::too_short && f.is_named_by_state;
}

// What the promise demands: acknowledged data is never given up, unreadable is never torn, and an
// honest crash never keeps a log from opening.
segment_verdict demanded(const segment_facts& f) {
    using v = segment_verdict;
    if (f.is_unreadable) {
        return v::refuse_unreadable;
    }
    if (f.header == header_fact::foreign_version) {
        return v::refuse_header;
    }
    if (f.header != header_fact::good) {
        const bool is_empty_last =
            f.later == later_fact::none && f.successor == successor_fact::none;
        return is_empty_last && !is_proven(f) ? v::start_anew : v::refuse_damaged;
    }
    switch (f.end) {
    case end_fact::epoch_backwards: return v::refuse_epoch;
    case end_fact::stranger_first: return v::refuse_wrong_log;
    case end_fact::unchained_first: return v::refuse_chain;
    case end_fact::newer_trailer: return v::refuse_version;
    case end_fact::forked: return v::refuse_damaged;
    case end_fact::nothing:
    case end_fact::zeros:
    case end_fact::leftovers:
    case end_fact::expected_header: break;
    }
    if (f.successor == successor_fact::at_end) {
        return v::whole;
    }
    if (f.successor == successor_fact::before_end) {
        return v::refuse_overlap;
    }
    if (f.successor == successor_fact::beyond_end) {
        const bool is_only_short = f.end == end_fact::nothing && f.later == later_fact::none;
        return is_only_short || !is_proven(f) ? v::refuse_gap : v::refuse_damaged;
    }
    if (is_proven(f)) {
        return v::refuse_damaged;
    }
    if (f.later == later_fact::none && f.end != end_fact::expected_header) {
        return v::clean_end;
    }
    return f.policy == torn_tail_policy::trim ? v::cut : v::refuse_torn;
}

bool changes_the_disk(segment_verdict verdict) {
    return verdict == segment_verdict::clean_end || verdict == segment_verdict::cut ||
           verdict == segment_verdict::start_anew;
}

TEST_CASE("every combination of segment facts has exactly one row and the verdict that the promise "
          "demands",
          "[log][recovery]") {
    std::uint64_t combinations = 0;
    std::set<std::string> labels;
    std::string wrong;
    for_every_segment([&](const segment_facts& facts) {
        ++combinations;
        if (rows_matching(facts) != 1) {
            wrong = "rows: " + std::to_string(rows_matching(facts));
            return;
        }
        const segment_decision decision = judge_segment(facts);
        labels.insert(std::string(decision.label));
        if (decision.verdict != demanded(facts)) {
            wrong = std::string(decision.label) + " for end " +
                    std::to_string(static_cast<int>(facts.end)) + ", later " +
                    std::to_string(static_cast<int>(facts.later)) + ", successor " +
                    std::to_string(static_cast<int>(facts.successor));
        }
    });
    CHECK(wrong == "");
    CHECK(combinations == 256 * 4 * 9 * 3 * 4);
    CHECK(labels.size() == 23);  // no row is dead
}

TEST_CASE("no verdict that changes a segment is ever given against a witness or a read error",
          "[log][recovery]") {
    std::uint64_t violations = 0;
    for_every_segment([&](const segment_facts& facts) {
        const bool changes = changes_the_disk(judge_segment(facts).verdict);
        if (changes && (is_proven(facts) || facts.is_unreadable)) {
            ++violations;
        }
    });
    CHECK(violations == 0);
}

directory_verdict demanded(const directory_facts& f) {
    using v = directory_verdict;
    if (!f.has_state) {
        if (f.orphans == orphan_content::native) {
            return v::refuse_state_missing;
        }
        if (f.orphans == orphan_content::raw) {
            return v::refuse_foreign;
        }
        if (f.has_remains) {
            return v::refuse_state_missing;  // never start an empty log where one was
        }
        if (f.existing == open_existing::only) {
            return v::refuse_not_found;
        }
        return f.has_others ? v::refuse_occupied : v::create;
    }
    if (f.has_reset) {
        return v::refuse_reset;
    }
    if (f.role == format::log_role::sink) {
        return v::refuse_sink;
    }
    switch (f.fit) {
    case state_fit::no_segment_yet: return v::finish_creation;
    case state_fit::unexpected_segments: return v::refuse_unexpected;
    case state_fit::named_missing:
    case state_fit::first_missing: return v::refuse_segment_missing;
    case state_fit::fits: break;
    }
    return f.existing == open_existing::never ? v::refuse_exists : v::recover;
}

TEST_CASE("every combination of directory facts has exactly one row and the verdict that the "
          "promise demands",
          "[log][recovery]") {
    for (int bits = 0; bits < 32; ++bits) {
        for (int orphans = 0; orphans < 3; ++orphans) {
            for (int fit = 0; fit < 5; ++fit) {
                for (int existing = 0; existing < 3; ++existing) {
                    directory_facts f;
                    f.has_state = (bits & 1) != 0;
                    f.has_remains = (bits & 2) != 0;
                    f.has_reset = (bits & 4) != 0;
                    f.has_others = (bits & 16) != 0;
                    f.role = (bits & 8) != 0 ? format::log_role::sink : format::log_role::primary;
                    f.orphans = value<orphan_content>(orphans);
                    f.fit = value<state_fit>(fit);
                    f.existing = value<open_existing>(existing);
                    REQUIRE(rows_matching(f) == 1);
                    REQUIRE(judge_directory(f) == demanded(f));
                }
            }
        }
    }
}

TEST_CASE("the fit of STATE and the segments is told from names alone", "[log][recovery]") {
    const auto at = [](std::uint64_t offset) {
        return log_offset{offset};
    };
    format::log_state state;
    CHECK(fit_of(state, {}) == state_fit::no_segment_yet);
    const std::vector<log_offset> first{at(0)};
    CHECK(fit_of(state, first) == state_fit::no_segment_yet);
    const std::vector<log_offset> others{at(0), at(7)};
    CHECK(fit_of(state, others) == state_fit::unexpected_segments);
    const std::vector<log_offset> strange{at(7)};
    CHECK(fit_of(state, strange) == state_fit::unexpected_segments);

    format::newest_segment newest;
    newest.begin = at(7);
    state.segment = newest;
    CHECK(fit_of(state, others) == state_fit::fits);
    CHECK(fit_of(state, {}) == state_fit::named_missing);
    CHECK(fit_of(state, first) == state_fit::named_missing);
    CHECK(fit_of(state, strange) == state_fit::first_missing);
    state.purged_before = at(7);
    CHECK(fit_of(state, strange) == state_fit::fits);
    state.purged_before = at(9);
    CHECK(fit_of(state, strange) == state_fit::fits);
    const std::vector<log_offset> newer{at(0), at(7), at(12)};
    CHECK(fit_of(state, newer) == state_fit::fits);
}

TEST_CASE("commits with a right checksum at a segment's begin are never taken for a torn write",
          "[log][recovery]") {
    using format::scan_end;
    CHECK(end_fact_of(scan_end::wrong_log, true, true, false) == end_fact::stranger_first);
    CHECK(end_fact_of(scan_end::malformed, true, true, false) == end_fact::stranger_first);
    CHECK(end_fact_of(scan_end::chain_broken, true, true, false) == end_fact::unchained_first);
    CHECK(end_fact_of(scan_end::wrong_log, true, false, false) == end_fact::expected_header);
    CHECK(end_fact_of(scan_end::chain_broken, true, false, false) == end_fact::expected_header);
    CHECK(end_fact_of(scan_end::duplicate_offset, false, false, false) == end_fact::leftovers);
    CHECK(end_fact_of(scan_end::zeros, false, false, true) == end_fact::zeros);
    CHECK(end_fact_of(scan_end::zeros, false, false, false) == end_fact::leftovers);
    CHECK(end_fact_of(scan_end::checksum_mismatch, true, false, false) ==
          end_fact::expected_header);
    CHECK(end_fact_of(scan_end::checksum_mismatch, false, false, false) == end_fact::leftovers);
}

}  // namespace
}  // namespace caisson::log_detail
