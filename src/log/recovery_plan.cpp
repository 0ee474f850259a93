// The decision tables. A row matches when every fact lies in the row's set; the rows are disjoint,
// so their order says nothing. Read docs/recovery.md.

#include "log/recovery_plan.hpp"

#include "base/assert.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace caisson::log_detail {
namespace {

/// A set of enumerators (or of false and true), one bit each.
using fact_set = std::uint32_t;

template <class Fact>
constexpr fact_set one(Fact fact) noexcept {
    return fact_set{1} << static_cast<unsigned>(fact);
}
template <class... Facts>
constexpr fact_set of(Facts... facts) noexcept {
    return (one(facts) | ...);
}
constexpr fact_set any = ~fact_set{0};
constexpr fact_set no = of(false);
constexpr fact_set yes = of(true);

template <class Fact>
constexpr bool holds(fact_set set, Fact fact) noexcept {
    return (set & one(fact)) != 0;
}

// ---- the directory

struct directory_row {
    std::string_view label;
    fact_set has_state, has_remains, has_others, orphans, fit, has_reset, role, existing;
    directory_verdict verdict;
};

using oc = orphan_content;
using sf = state_fit;
using ex = open_existing;
using fr = format::log_role;
using dv = directory_verdict;

constexpr fact_set can_create = of(ex::or_create, ex::never);
constexpr fact_set may_exist = of(ex::or_create, ex::only);

// clang-format off
constexpr directory_row directory_rows[] = {
//  label                    STATE  remains others orphans                  fit                          reset role            existing        verdict
  {"D-new",                  no,    no,     no,    of(oc::none),            any,                         any,  any,            can_create,     dv::create},
  {"D-occupied",             no,    no,     yes,   of(oc::none),            any,                         any,  any,            can_create,     dv::refuse_occupied},
  {"D-not-found",            no,    no,     any,   of(oc::none),            any,                         any,  any,            of(ex::only),   dv::refuse_not_found},
  {"D-remains",              no,    yes,    any,   of(oc::none),            any,                         any,  any,            any,            dv::refuse_state_missing},
  {"D-foreign",              no,    any,    any,   of(oc::raw),             any,                         any,  any,            any,            dv::refuse_foreign},
  {"D-state-missing",        no,    any,    any,   of(oc::native),          any,                         any,  any,            any,            dv::refuse_state_missing},
  {"D-reset",                yes,   any,    any,   any,                     any,                         yes,  any,            any,            dv::refuse_reset},
  {"D-sink",                 yes,   any,    any,   any,                     any,                         no,   of(fr::sink),   any,            dv::refuse_sink},
  {"D-unfinished",           yes,   any,    any,   any,                     of(sf::no_segment_yet),      no,   of(fr::primary),any,            dv::finish_creation},
  {"D-unexpected",           yes,   any,    any,   any,                     of(sf::unexpected_segments), no,   of(fr::primary),any,            dv::refuse_unexpected},
  {"D-segment-missing",      yes,   any,    any,   any,                     of(sf::named_missing, sf::first_missing),
                                                                                                         no,   of(fr::primary),any,            dv::refuse_segment_missing},
  {"D-exists",               yes,   any,    any,   any,                     of(sf::fits),                no,   of(fr::primary),of(ex::never),  dv::refuse_exists},
  {"D-log",                  yes,   any,    any,   any,                     of(sf::fits),                no,   of(fr::primary),may_exist,      dv::recover},
};
// clang-format on

bool matches(const directory_row& row, const directory_facts& facts) noexcept {
    return holds(row.has_state, facts.has_state) && holds(row.has_remains, facts.has_remains) &&
           holds(row.has_others, facts.has_others) && holds(row.orphans, facts.orphans) &&
           holds(row.fit, facts.fit) && holds(row.has_reset, facts.has_reset) &&
           holds(row.role, facts.role) && holds(row.existing, facts.existing);
}

// ---- one segment

struct segment_row {
    std::string_view label;
    fact_set unreadable, header, end, later, successor, witness, policy;
    segment_verdict verdict;
};

using hf = header_fact;
using ef = end_fact;
using lf = later_fact;
using su = successor_fact;
using tp = torn_tail_policy;
using sv = segment_verdict;

constexpr fact_set no_header = of(hf::bad, hf::too_short);
constexpr fact_set good = of(hf::good);
// Ends that carry a reason of their own to refuse, whatever follows.
constexpr fact_set never_torn =
    of(ef::stranger_first, ef::unchained_first, ef::epoch_backwards, ef::newer_trailer, ef::forked);
constexpr fact_set may_be_torn = any & ~never_torn;
constexpr fact_set no_commit = of(ef::nothing, ef::zeros, ef::leftovers);
constexpr fact_set torn_header = of(ef::expected_header);
constexpr fact_set last = of(su::none);
constexpr fact_set incomplete = of(su::none, su::beyond_end);
constexpr fact_set found = of(lf::unproven, lf::proof);

// clang-format off
constexpr segment_row segment_rows[] = {
//  label               unread. header                  end                       later
//  successor           witness policy          verdict
  {"S-unreadable",      yes,    any,                    any,                      any,                 any,                any,    any,            sv::refuse_unreadable},
  {"S-version",         no,     of(hf::foreign_version),any,                      any,                 any,                any,    any,            sv::refuse_header},
  {"S-never-finished",  no,     no_header,              any,                      of(lf::none),        last,               no,     any,            sv::start_anew},
  {"S-header-lost",     no,     no_header,              any,                      of(lf::none),        last,               yes,    any,            sv::refuse_damaged},
  {"S-header-damaged",  no,     no_header,              any,                      found,               last,               any,    any,            sv::refuse_damaged},
  {"S-older-header",    no,     no_header,              any,                      any,                 any & ~last,        any,    any,            sv::refuse_damaged},
  {"S-epoch",           no,     good,                   of(ef::epoch_backwards),  any,                 any,                any,    any,            sv::refuse_epoch},
  {"S-stranger",        no,     good,                   of(ef::stranger_first),   any,                 any,                any,    any,            sv::refuse_wrong_log},
  {"S-unchained",       no,     good,                   of(ef::unchained_first),  any,                 any,                any,    any,            sv::refuse_chain},
  {"S-newer",           no,     good,                   of(ef::newer_trailer),    any,                 any,                any,    any,            sv::refuse_version},
  {"S-fork",            no,     good,                   of(ef::forked),           any,                 any,                any,    any,            sv::refuse_damaged},
  {"S-whole",           no,     good,                   may_be_torn,              any,                 of(su::at_end),     any,    any,            sv::whole},
  {"S-overlap",         no,     good,                   may_be_torn,              any,                 of(su::before_end), any,    any,            sv::refuse_overlap},
  {"S-gap",             no,     good,                   of(ef::nothing),          of(lf::none),        of(su::beyond_end), yes,    any,            sv::refuse_gap},
  {"S-older-damaged",   no,     good,                   may_be_torn & ~of(ef::nothing), of(lf::none),  of(su::beyond_end), yes,    any,            sv::refuse_damaged},
  {"S-clean",           no,     good,                   no_commit,                of(lf::none),        last,               no,     any,            sv::clean_end},
  {"S-end-damaged",     no,     good,                   may_be_torn,              of(lf::none),        last,               yes,    any,            sv::refuse_damaged},
  {"S-torn",            no,     good,                   torn_header,              of(lf::none),        last,               no,     of(tp::trim),   sv::cut},
  {"S-torn-refused",    no,     good,                   torn_header,              of(lf::none),        last,               no,     of(tp::refuse), sv::refuse_torn},
  {"S-torn-later",      no,     good,                   may_be_torn,              found,               last,               no,     of(tp::trim),   sv::cut},
  {"S-torn-later-refused",no,   good,                   may_be_torn,              found,               last,               no,     of(tp::refuse), sv::refuse_torn},
  {"S-damaged",         no,     good,                   may_be_torn,              found,               incomplete,         yes,    any,            sv::refuse_damaged},
// A sink's records come again from its source, whatever was cut; only what it synced itself is a
// witness there.
  {"S-sink-behind",     no,     good,                   may_be_torn,              any,                 of(su::beyond_end), no,     any,            sv::refuse_gap},
};
// clang-format on

bool matches(const segment_row& row, const segment_facts& facts) noexcept {
    return holds(row.unreadable, facts.is_unreadable) && holds(row.header, facts.header) &&
           holds(row.end, facts.end) && holds(row.later, facts.later) &&
           holds(row.successor, facts.successor) && holds(row.witness, has_witness(facts)) &&
           holds(row.policy, facts.policy);
}

template <class Rows, class Facts>
int count_matching(const Rows& rows, const Facts& facts) noexcept {
    return static_cast<int>(std::count_if(std::begin(rows), std::end(rows),
                                          [&](const auto& row) { return matches(row, facts); }));
}

template <class Rows, class Facts>
const auto& row_for(const Rows& rows, const Facts& facts) noexcept {
    const auto* const found_row = std::find_if(
        std::begin(rows), std::end(rows), [&](const auto& row) { return matches(row, facts); });
    CAISSON_ASSERT(found_row != std::end(rows));
    return *found_row;
}

}  // namespace

state_fit fit_of(const format::log_state& state, std::span<const log_offset> segments) noexcept {
    if (!state.segment) {
        const bool is_only_the_first =
            segments.size() == 1 && segments.front() == state.purged_before;
        return segments.empty() || is_only_the_first ? state_fit::no_segment_yet
                                                     : state_fit::unexpected_segments;
    }
    if (!std::binary_search(segments.begin(), segments.end(), state.segment->begin)) {
        return state_fit::named_missing;
    }
    return segments.front() > state.purged_before ? state_fit::first_missing : state_fit::fits;
}

directory_verdict judge_directory(const directory_facts& facts) noexcept {
    return row_for(directory_rows, facts).verdict;
}

bool has_witness(const segment_facts& facts) noexcept {
    if (facts.role == format::log_role::sink) {
        return facts.is_sink_end_beyond;
    }
    if (planted(planted_bug::zeros_clean_despite_witness) && facts.end == end_fact::zeros) {
        return false;
    }
    const bool is_proven_by_commit =
        facts.later == later_fact::proof ||
        (facts.part == segment_part::raw && facts.later == later_fact::unproven);
    // A header is durable before its segment gets a name, and the name before STATE tells it.
    const bool is_header_known = facts.header == header_fact::too_short && facts.is_named_by_state;
    return is_proven_by_commit || facts.successor == successor_fact::beyond_end ||
           facts.is_mark_beyond || facts.is_known_durable_beyond || is_header_known;
}

segment_decision judge_segment(const segment_facts& facts) noexcept {
    const segment_row& row = row_for(segment_rows, facts);
    return {row.verdict, row.label};
}

int rows_matching(const segment_facts& facts) noexcept {
    return count_matching(segment_rows, facts);
}
int rows_matching(const directory_facts& facts) noexcept {
    return count_matching(directory_rows, facts);
}

end_fact end_fact_of(format::scan_end why, bool is_expected_header_at_end, bool is_first_commit,
                     bool is_zero_to_the_end) noexcept {
    using format::scan_end;
    switch (why) {
    case scan_end::end_of_file: return end_fact::nothing;
    case scan_end::zeros: return is_zero_to_the_end ? end_fact::zeros : end_fact::leftovers;
    case scan_end::wrong_log:
    case scan_end::malformed:
        // Behind other commits of this segment such bytes may be what a payload left in a
        // recycled file, where they follow a torn write like any others.
        if (is_first_commit && is_expected_header_at_end) {
            return end_fact::stranger_first;
        }
        break;
    case scan_end::chain_broken:
        if (is_first_commit) {
            return end_fact::unchained_first;
        }
        break;
    case scan_end::epoch_backwards: return end_fact::epoch_backwards;
    case scan_end::unsupported_trailer: return end_fact::newer_trailer;
    case scan_end::forked: return end_fact::forked;
    case scan_end::bad_header:
    case scan_end::compressed:
    case scan_end::short_header:
    case scan_end::truncated_commit:
    case scan_end::too_large:
    case scan_end::no_records:
    case scan_end::offset_overflow:
    case scan_end::checksum_mismatch:
    case scan_end::duplicate_offset:
    case scan_end::out_of_order:
    case scan_end::other_version: break;
    }
    return is_expected_header_at_end ? end_fact::expected_header : end_fact::leftovers;
}

bool is_mark_for(const std::optional<format::clean_mark>& mark, log_offset segment_begin,
                 std::uint64_t length_bytes) noexcept {
    return mark && mark->segment_begin == segment_begin && mark->length_bytes == length_bytes;
}

bool is_mark_contradicted(const format::clean_mark& mark, std::uint64_t end_bytes,
                          std::optional<std::uint32_t> last_crc) noexcept {
    if (end_bytes != mark.length_bytes) {
        return end_bytes < mark.length_bytes;
    }
    return last_crc && *last_crc != mark.last_crc;
}

}  // namespace caisson::log_detail
