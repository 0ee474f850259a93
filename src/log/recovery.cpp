// The driver of recovery. Everything up to the verdict only reads; what changes the disk comes
// after it, in `settle`.

#include "log/recovery.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "base/planted.hpp"
#include "base/units.hpp"
#include "format/names.hpp"
#include "io/await.hpp"
#include "log/creation.hpp"
#include "log/directory.hpp"
#include "log/lost_found.hpp"
#include "log/recovery_plan.hpp"
#include "log/recovery_refusal.hpp"
#include "log/recovery_scan.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace caisson::log_detail {
namespace {

/// What precedes a segment's first commit.
struct lineage {
    std::optional<std::uint32_t> crc;
    std::uint64_t timestamp_us = 0;
};

header_fact header_fact_of(const segment_scan& scan) noexcept {
    if (scan.has_header) {
        return header_fact::good;
    }
    if (scan.header_error == errc::unsupported_version ||
        scan.header_error == errc::unsupported_algorithm) {
        return header_fact::foreign_version;
    }
    return scan.length_bytes < format::layout::segment_header::size_bytes ? header_fact::too_short
                                                                          : header_fact::bad;
}

later_fact later_fact_of(const segment_scan& scan) noexcept {
    if (scan.is_later_proof) {
        return later_fact::proof;
    }
    return scan.later ? later_fact::unproven : later_fact::none;
}

class opener {
public:
    opener(io::environment& world, std::string path, log_options options)
        : world_(world), path_(std::move(path)), options_(std::move(options)) {}

    net::awaitable<detailed<void>> open();
    recovered_log& log() noexcept { return log_; }

private:
    // finding out
    net::awaitable<detailed<void>> open_directory();
    net::awaitable<detailed<directory_verdict>> look();
    net::awaitable<detailed<orphan_content>> judge_orphans(const directory_listing& listing);
    net::awaitable<detailed<void>> create();
    net::awaitable<detailed<lineage>> walk_to_newest();
    net::awaitable<detailed<void>> recover_newest(lineage before);
    net::awaitable<detailed<segment_scan>> scan_newest(window_reader& reader,
                                                       format::scan_params params);
    [[nodiscard]] segment_facts facts_of(const segment_scan& scan, log_offset begin) const;
    // changing
    net::awaitable<detailed<void>> execute(segment_verdict verdict, window_reader& reader,
                                           const segment_scan& scan);
    net::awaitable<detailed<void>> keep(window_reader& reader, std::uint64_t begin_bytes,
                                        std::uint64_t end_bytes);
    net::awaitable<detailed<void>> settle(lineage before);
    net::awaitable<detailed<void>> write_tail_again();
    net::awaitable<detailed<void>> read_tail_block();

    [[nodiscard]] format::scan_params params_for(log_offset begin, const lineage& before) const;
    [[nodiscard]] bool is_native(log_offset begin) const { return begin >= state().native_from; }
    [[nodiscard]] const format::log_state& state() const { return log_.state->current(); }
    [[nodiscard]] io::directory& root() const { return *log_.directory.root; }

    io::environment& world_;
    std::string path_;
    log_options options_;
    recovered_log log_;
    bool was_cut_ = false;
};

}  // namespace

net::awaitable<detailed<recovered_log>> open_log(io::environment& world, std::string path,
                                                 log_options options) {
    open_report* const report = options.report;
    opener run(world, std::move(path), std::move(options));
    auto opened = co_await run.open();
    if (!opened) {
        run.log().report.refused = opened.error();
    }
    if (report != nullptr) {
        *report = run.log().report;
    }
    if (!opened) {
        co_return std::move(opened).error();
    }
    co_return std::move(run.log());
}

namespace {

net::awaitable<detailed<void>> opener::open() {
    BOOST_OUTCOME_CO_TRYV(co_await open_directory());
    BOOST_OUTCOME_CO_TRY(auto verdict, co_await look());
    if (verdict == directory_verdict::create) {
        BOOST_OUTCOME_CO_TRYV(co_await create());
    } else if (verdict == directory_verdict::finish_creation) {
        // Who began may have named STATE without a sync. Nothing is put beside it before the name
        // is durable: without STATE that would be the remains of a log.
        BOOST_OUTCOME_CO_TRYV(co_await sync_names(root()));
    } else if (verdict != directory_verdict::recover) {
        co_return describe_refusal(verdict, path_,
                                   log_.state ? std::optional(state()) : std::nullopt);
    }
    if (verdict != directory_verdict::recover) {
        log_.report.created = true;
        if (log_.segments.empty()) {
            BOOST_OUTCOME_CO_TRYV(co_await make_segment(root(), state().purged_before));
            log_.segments.push_back(state().purged_before);
        }
    }
    log_.report.segments = log_.segments.size();
    BOOST_OUTCOME_CO_TRY(auto before, co_await walk_to_newest());
    BOOST_OUTCOME_CO_TRYV(co_await recover_newest(before));
    BOOST_OUTCOME_CO_TRYV(co_await settle(before));
    co_return co_await read_tail_block();
}

// A directory is made only when a log may be: a refusal leaves nothing behind.
net::awaitable<detailed<void>> opener::open_directory() {
    auto opened = co_await open_root(world_, path_, false, options_.allow_unsafe_filesystem);
    const bool is_missing = !opened && opened.error().code() == errc::log_not_found;
    if (is_missing && options_.existing != open_existing::only) {
        opened = co_await open_root(world_, path_, true, options_.allow_unsafe_filesystem);
    }
    if (!opened) {
        co_return std::move(opened).error();
    }
    log_.directory.root = std::move(opened).value();
    co_return success();
}

// Everything before the lock only decides whether this is a place to put a lock file in. What
// counts is read under it.
net::awaitable<detailed<directory_verdict>> opener::look() {
    auto has_state =
        co_await io::open(root(), std::string(format::state_name), io::open_mode::read);
    directory_facts facts;
    facts.existing = options_.existing;
    if (!has_state) {
        BOOST_OUTCOME_CO_TRY(auto listing, co_await list_log(root()));
        // there, but it cannot be opened: loading it will tell why
        facts.has_state = listing.has_state;
        facts.has_remains = listing.has_spare || listing.has_lost || listing.has_index;
        // A creation that was interrupted goes on, whatever has come to lie beside it.
        facts.has_others = listing.has_others && !listing.has_lock && !listing.has_state_temporary;
        if (!facts.has_state) {
            BOOST_OUTCOME_CO_TRY(facts.orphans, co_await judge_orphans(listing));
            if (const auto verdict = judge_directory(facts); verdict != directory_verdict::create) {
                log_.report.segments = listing.segments.size();
                co_return verdict;
            }
        }
    }
    BOOST_OUTCOME_CO_TRY(log_.directory.lock,
                         co_await take_lock(world_, root(), options_.lock_wait));
    BOOST_OUTCOME_CO_TRY(auto listing, co_await list_log(root()));
    log_.segments = std::move(listing.segments);
    log_.report.segments = log_.segments.size();
    facts.has_state = listing.has_state;
    if (facts.has_state) {
        BOOST_OUTCOME_CO_TRY(log_.state, co_await state_store::load(root(), false));
        facts.fit = fit_of(state(), log_.segments);
        facts.has_reset = state().reset_target.has_value();
        facts.role = state().role;
    }
    co_return judge_directory(facts);
}

// Without STATE: whose segments are these? The newest commit that begins a segment tells; an
// adopted log's older segments are raw.
net::awaitable<detailed<orphan_content>> opener::judge_orphans(const directory_listing& listing) {
    if (listing.segments.empty()) {
        co_return orphan_content::none;
    }
    for (auto begin = listing.segments.rbegin(); begin != listing.segments.rend(); ++begin) {
        BOOST_OUTCOME_CO_TRY(auto opened,
                             co_await open_segment(root(), *begin, io::open_mode::read_direct));
        window_reader reader(*opened.file, path_of(root(), format::segment_name(*begin)),
                             opened.length_bytes);
        BOOST_OUTCOME_CO_TRY(auto kind, co_await look_for_trailer(reader, *begin));
        if (kind != orphan_content::none) {
            co_return kind;
        }
    }
    co_return orphan_content::raw;
}

// The directory's own name first (opening it for creation syncs the one above), then what is in it.
net::awaitable<detailed<void>> opener::create() {
    BOOST_OUTCOME_CO_TRYV(
        co_await open_root(world_, path_, true, options_.allow_unsafe_filesystem));
    BOOST_OUTCOME_CO_TRY(log_.state, co_await make_state(world_.random, root()));
    co_return success();
}

// A segment may be newer than STATE knows: its name was durable before STATE could say so. Then
// every segment from the one that STATE names up to it must be whole, which only reading shows.
net::awaitable<detailed<lineage>> opener::walk_to_newest() {
    lineage before;
    before.crc = 0;
    log_offset from = log_.segments.front();
    if (state().segment) {
        before.crc = state().segment->predecessor_crc;
        before.timestamp_us = state().segment->predecessor_timestamp_us;
        from = state().segment->begin;
    }
    auto at = std::lower_bound(log_.segments.begin(), log_.segments.end(), from);
    for (; std::next(at) != log_.segments.end(); ++at) {
        BOOST_OUTCOME_CO_TRY(auto opened,
                             co_await open_segment(root(), *at, io::open_mode::read_direct));
        window_reader reader(*opened.file, path_of(root(), format::segment_name(*at)),
                             opened.length_bytes);
        BOOST_OUTCOME_CO_TRY(auto scan, co_await scan_segment(reader, params_for(*at, before)));
        segment_facts facts = facts_of(scan, *at);
        const log_offset next = *std::next(at);
        facts.successor = scan.prefix.next == next  ? successor_fact::at_end
                          : scan.prefix.next < next ? successor_fact::beyond_end
                                                    : successor_fact::before_end;
        if (const auto decision = judge_segment(facts);
            decision.verdict != segment_verdict::whole) {
            co_return describe_refusal(decision.verdict, reader.path(), scan, facts);
        }
        before.crc = scan.prefix.last_crc;
        before.timestamp_us = std::max(before.timestamp_us, scan.prefix.last_timestamp_us);
    }
    co_return before;
}

format::scan_params opener::params_for(log_offset begin, const lineage& before) const {
    format::scan_params params;
    params.expected_begin = begin;
    if (is_native(begin)) {
        params.log_id = state().log_id;
        params.previous_crc = before.crc;
    }
    return params;
}

segment_facts opener::facts_of(const segment_scan& scan, log_offset begin) const {
    segment_facts facts;
    facts.is_unreadable = scan.unreadable.has_value();
    facts.part = is_native(begin) ? segment_part::native : segment_part::raw;
    facts.header = header_fact_of(scan);
    facts.end = end_fact_of(scan.why, scan.is_expected_header_at_end, scan.prefix.commits == 0,
                            scan.is_zero_to_the_end());
    facts.later = later_fact_of(scan);
    const auto& mark = state().mark;
    facts.is_mark_beyond =
        mark && mark->segment_begin == begin &&
        is_mark_contradicted(*mark, scan.prefix.end_position_bytes, scan.prefix.last_crc);
    const log_offset known =
        std::max(options_.known_durable_end.value_or(log_offset{}), state().remote_end);
    facts.is_known_durable_beyond = known > scan.prefix.next;
    facts.is_sink_end_beyond = state().sink_synced_end > scan.prefix.next;
    facts.is_named_by_state = state().segment && state().segment->begin == begin;
    facts.role = state().role;
    facts.policy = options_.torn_tail;
    return facts;
}

net::awaitable<detailed<segment_scan>> opener::scan_newest(window_reader& reader,
                                                           format::scan_params params) {
    if (is_mark_for(state().mark, params.expected_begin, reader.length_bytes())) {
        auto marked = co_await read_marked_end(reader, params, *state().mark);
        // What cannot be read here cannot be read below either, where it becomes a fact.
        if (marked && marked.value()) {
            log_.report.was_closed_cleanly = true;
            co_return std::move(*marked.value());
        }
    }
    co_return co_await scan_segment(reader, params, &log_.tail.index);
}

net::awaitable<detailed<void>> opener::recover_newest(lineage before) {
    const log_offset begin = log_.segments.back();
    BOOST_OUTCOME_CO_TRY(auto opened,
                         co_await open_segment(root(), begin, io::open_mode::write_direct));
    log_.tail.file = std::move(opened.file);
    window_reader reader(*log_.tail.file, path_of(root(), format::segment_name(begin)),
                         opened.length_bytes);
    // A segment made under a larger limit keeps every entry.
    log_.tail.index = new_index(std::max(options_.segment_size_bytes, opened.length_bytes));
    BOOST_OUTCOME_CO_TRY(auto scan, co_await scan_newest(reader, params_for(begin, before)));
    log_.report.recovered_bytes = log_.report.was_closed_cleanly
                                      ? scan.length_bytes - scan.prefix.last_commit_position_bytes
                                      : scan.prefix.end_position_bytes;
    const segment_facts facts = facts_of(scan, begin);
    const segment_decision decision = judge_segment(facts);
    log_.tail.begin = begin;
    log_.tail.length_bytes = scan.prefix.end_position_bytes;
    log_.tail.commits = scan.prefix.commits;
    log_.tail.last_commit_position_bytes =
        scan.prefix.commits > 0 ? scan.prefix.last_commit_position_bytes : 0;
    log_.begin = std::max(log_.segments.front(), state().purged_before);
    log_.end = scan.prefix.next;
    log_.log_id = state().log_id;
    log_.epoch = std::max(state().epoch, scan.prefix.epoch_max);
    log_.last_checksum = scan.prefix.last_crc.value_or(0);
    log_.last_timestamp_us = std::max(before.timestamp_us, scan.prefix.last_timestamp_us);
    const std::uint64_t wall_us = world_.clock.wall_us();
    log_.report.clock_ahead_us =
        log_.last_timestamp_us > wall_us ? log_.last_timestamp_us - wall_us : 0;
    switch (decision.verdict) {
    case segment_verdict::clean_end:
    case segment_verdict::cut:
    case segment_verdict::start_anew: co_return co_await execute(decision.verdict, reader, scan);
    default: co_return describe_refusal(decision.verdict, reader.path(), scan, facts);
    }
}

net::awaitable<detailed<void>> opener::keep(window_reader& reader, std::uint64_t begin_bytes,
                                            std::uint64_t end_bytes) {
    log_.report.cut_bytes = end_bytes - begin_bytes;
    log_.report.cut_segment = format::segment_name(log_.tail.begin);
    log_.report.cut_position_bytes = begin_bytes;
    if (begin_bytes == end_bytes) {
        co_return success();
    }
    lost_bytes what;
    what.segment_begin = log_.tail.begin;
    what.begin_bytes = begin_bytes;
    what.end_bytes = end_bytes;
    what.size_bytes_max = options_.max_pending_bytes;
    BOOST_OUTCOME_CO_TRY(log_.report.lost_file, co_await keep_lost_bytes(root(), reader, what));
    co_return success();
}

// The first change of an existing log. The copy in lost/ is durable before a byte is cut.
net::awaitable<detailed<void>> opener::execute(segment_verdict verdict, window_reader& reader,
                                               const segment_scan& scan) {
    if (verdict == segment_verdict::start_anew) {
        BOOST_OUTCOME_CO_TRYV(co_await keep(reader, 0, scan.data_end_bytes));
        log_.tail.file.reset();
        BOOST_OUTCOME_CO_TRYV(co_await make_segment(root(), log_.tail.begin));
        BOOST_OUTCOME_CO_TRY(auto opened, co_await open_segment(root(), log_.tail.begin,
                                                                io::open_mode::write_direct));
        log_.tail.file = std::move(opened.file);
        log_.tail.length_bytes = opened.length_bytes;
        co_return success();
    }
    if (verdict == segment_verdict::cut) {
        BOOST_OUTCOME_CO_TRYV(co_await keep(reader, log_.tail.length_bytes, scan.data_end_bytes));
    }
    if (scan.length_bytes > log_.tail.length_bytes) {
        auto cut = co_await io::truncate(*log_.tail.file, log_.tail.length_bytes);
        if (!cut) {
            co_return call_failed(cut.error(), path_, format::segment_name(log_.tail.begin),
                                  "cut the segment");
        }
        was_cut_ = true;
    }
    co_return success();
}

// Makes durable what the value will speak of. A killed predecessor may have written, cut or renamed
// without a sync, and what is read now must not vanish in a power cut later.
net::awaitable<detailed<void>> opener::settle(lineage before) {
    BOOST_OUTCOME_CO_TRY(log_.directory.spare,
                         co_await open_below(root(), format::spare_directory_name));
    BOOST_OUTCOME_CO_TRYV(co_await empty_spare(*log_.directory.spare));

    if (!log_.tail.file->is_direct() && !log_.report.was_closed_cleanly) {
        BOOST_OUTCOME_CO_TRYV(co_await write_tail_again());
    }
    // The cut before anything is appended: bytes that come back behind new commits would be judged
    // as theirs.
    if (!was_cut_ || !planted(planted_bug::cut_not_synced)) {
        auto synced = co_await io::sync(*log_.tail.file);
        if (!synced) {
            co_return call_failed(synced.error(), path_, format::segment_name(log_.tail.begin),
                                  "sync the segment");
        }
    }
    // Names before STATE: what STATE names must be there.
    if (!planted(planted_bug::open_skips_directory_sync)) {
        BOOST_OUTCOME_CO_TRYV(co_await sync_names(*log_.directory.spare));
        BOOST_OUTCOME_CO_TRYV(co_await sync_names(root()));
    }
    BOOST_OUTCOME_CO_TRYV(co_await log_.state->confirm());
    format::log_state changed = state();
    format::newest_segment newest;
    newest.begin = log_.tail.begin;
    newest.predecessor_crc = before.crc;
    newest.predecessor_timestamp_us = before.timestamp_us;
    changed.segment = newest;
    if (!log_.state->is_settled() || !format::agree_in_settled_facts(changed, state())) {
        co_return co_await log_.state->settle(changed);
    }
    if (changed != state()) {
        co_return co_await log_.state->store(changed);
    }
    co_return success();
}

// The page cache shows what a failed sync of the predecessor has dropped, and another sync finds
// nothing to do. Written again it is true, or the sync that follows fails. A segment with a
// successor was synced before that got its name; one that was closed, before it was marked.
net::awaitable<detailed<void>> opener::write_tail_again() {
    io::file& file = *log_.tail.file;
    const std::string name = format::segment_name(log_.tail.begin);
    window_reader reader(file, path_of(root(), name), log_.tail.length_bytes);
    for (std::uint64_t position = 0; position < log_.tail.length_bytes;) {
        format::byte_need need{position, 1};
        BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
        const auto bytes = reader.window().from(position);
        auto written = co_await io::write(file, bytes, position, io::write_mode::plain);
        if (!written) {
            co_return call_failed(written.error(), path_, name, "write the segment's end again");
        }
        position += bytes.size();
    }
    co_return success();
}

net::awaitable<detailed<void>> opener::read_tail_block() {
    io::file& file = *log_.tail.file;
    const std::uint64_t block = file.block_size_bytes();
    const std::uint64_t begin = round_down(log_.tail.length_bytes, block);
    aligned_buffer buffer = aligned_buffer::allocate(block, block, aligned_buffer::fill::zeroed);
    if (!buffer) {
        co_return no_memory(path_of(root(), format::segment_name(log_.tail.begin)));
    }
    auto read = co_await io::read(file, buffer.bytes(), begin);
    if (!read) {
        co_return call_failed(read.error(), path_, format::segment_name(log_.tail.begin),
                              "read the last block");
    }
    if (read.value() < log_.tail.length_bytes - begin) {
        // The next group rewrites this block: what was not read would be lost.
        co_return failure(errc::unreadable, "the last block ends before the log does")
            .in_file(path_of(root(), format::segment_name(log_.tail.begin)))
            .at_byte(begin + read.value());
    }
    const auto used = buffer.bytes().first(log_.tail.length_bytes - begin);
    log_.tail.tail_block.assign(used.begin(), used.end());
    co_return success();
}

}  // namespace
}  // namespace caisson::log_detail
