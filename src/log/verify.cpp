// The checks that go beyond what one walk through the segments shows: STATE, names, the clean mark,
// indexes, the clock.

#include "log/verify.hpp"

#include "format/names.hpp"
#include "log/directory.hpp"
#include "log/index_file.hpp"
#include "log/recovery_plan.hpp"
#include "log/recovery_refusal.hpp"
#include "log/walk.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace caisson::log_detail {
namespace {

constexpr std::uint64_t progress_step_bytes = 1ull << 20;
/// Beside a writer STATE may be met in the middle of a write more than once; hardly so often.
constexpr int looks_max = 16;

class verification final : public walk_visitor {
public:
    verification(directory_source& source, verify_options options) noexcept
        : source_(source), options_(std::move(options)) {}

    net::awaitable<detailed<verify_report>> run();

    net::awaitable<void> on_segment(log_offset begin) override;
    bool on_item(const walk_item& item) override;
    [[nodiscard]] bool go_on() const noexcept override { return !source_.is_closing(); }

private:
    net::awaitable<detailed<void>> check_state();
    net::awaitable<bool> look_at_state();
    [[nodiscard]] bool is_state_in_order() const noexcept;
    [[nodiscard]] bool is_named_missing() const noexcept;
    [[nodiscard]] bool is_first_missing() const noexcept;
    void check_slots(const state_reading& reading);
    void check_named_segments();
    void check_names();
    net::awaitable<detailed<void>> check_clean_mark();
    void finish_index();
    void on_commit(const commit_facts& facts);
    void check_index_entry(const commit_facts& facts);
    void advance_to(std::uint64_t done_bytes);
    void report(finding_severity how_bad, failure what, std::uint64_t size_bytes = 0);
    [[nodiscard]] std::string path_to(std::string_view name) const {
        return source_.directory().path() + "/" + std::string(name);
    }

    directory_source& source_;
    verify_options options_;
    verify_report report_;
    std::uint64_t bytes_total_ = 0;
    std::uint64_t bytes_reported_ = 0;
    std::uint64_t segment_begin_bytes_ = 0;  // sum of the segments before the present one
    std::uint64_t segment_length_bytes_ = 0;
    log_offset segment_;
    /// first segment by the listing before STATE was read last: a purge is in STATE before it is in
    /// the directory
    std::optional<log_offset> first_before_;
    std::optional<std::uint64_t> marked_generation_;  ///< of a STATE with a clean mark
    std::uint64_t last_timestamp_us_ = 0;
    std::optional<commit_facts> last_commit_;
    std::optional<log_offset> newer_in_;  ///< last segment with something of a newer version
    std::optional<loaded_index> index_;
    std::size_t index_at_ = 0;
    bool is_index_wrong_ = false;
};

verify_verdict verdict_of(finding_severity severity) noexcept {
    switch (severity) {
    case finding_severity::damage: return verify_verdict::damaged;
    case finding_severity::obstacle: return verify_verdict::not_openable;
    case finding_severity::torn_tail: return verify_verdict::torn_tail;
    case finding_severity::warning: break;
    }
    return verify_verdict::clean;
}

void verification::report(finding_severity how_bad, failure what, std::uint64_t size_bytes) {
    report_.verdict = std::max(report_.verdict, verdict_of(how_bad));
    if (report_.findings.size() < options_.findings_max) {
        report_.findings.emplace_back(how_bad, std::move(what), size_bytes);
    } else {
        ++report_.findings_dropped;
    }
}

// ---- STATE

bool verification::is_named_missing() const noexcept {
    const auto& state = source_.state().current;
    const auto& segments = source_.names().segments;
    return state && state->segment &&
           !std::binary_search(segments.begin(), segments.end(), state->segment->begin);
}

bool verification::is_first_missing() const noexcept {
    const auto& state = source_.state().current;
    return state && state->segment && first_before_ && *first_before_ > state->purged_before;
}

bool verification::is_state_in_order() const noexcept {
    const state_reading& reading = source_.state();
    const bool is_whole =
        !reading.is_present || (reading.current && !reading.unreadable_bytes &&
                                reading.slots[0] == format::slot_condition::valid &&
                                reading.slots[1] == format::slot_condition::valid);
    return is_whole && !is_named_missing() && !is_first_missing();
}

// The names are listed after STATE was read, because a segment is named before STATE tells of it;
// what STATE says was purged is held against an earlier listing. False: it could not be read, which
// has been reported.
net::awaitable<bool> verification::look_at_state() {
    const auto& before = source_.names().segments;
    first_before_ = before.empty() ? std::nullopt : std::optional(before.front());
    if (auto read = co_await source_.read_state(); !read) {
        report(finding_severity::damage,
               failure(errc::unreadable, "STATE could not be read: " + read.error().message())
                   .in_file(path_to(format::state_name)));
        co_return false;
    }
    if (auto listed = co_await source_.refresh(); !listed) {
        report(finding_severity::damage,
               failure(errc::unreadable,
                       "the directory could not be listed: " + listed.error().message())
                   .in_file(source_.directory().path()));
        co_return false;
    }
    co_return true;
}

// A writer may be at work on it: what is said against STATE is what two looks in a row show, with
// the same bytes.
net::awaitable<detailed<void>> verification::check_state() {
    std::optional<std::uint32_t> content_before;
    for (int look = 1; look <= looks_max; ++look) {
        if (!co_await look_at_state()) {
            co_return success();
        }
        const state_reading& reading = source_.state();
        if (is_state_in_order() || (reading.is_present && content_before == reading.content_crc)) {
            break;
        }
        content_before = reading.content_crc;
    }
    const state_reading& reading = source_.state();
    if (!reading.is_present) {
        if (source_.lineage().native_from) {
            report(finding_severity::damage,
                   failure(errc::state_missing, "the log's own segments are here, but no STATE")
                       .in_file(path_to(format::state_name))
                       .advise("put a copy of the file in place, this version cannot rebuild it"));
        }
        co_return success();
    }
    check_slots(reading);
    check_named_segments();
    if (reading.current && reading.current->mark) {
        marked_generation_ = reading.current->generation;
    }
    co_return success();
}

void verification::check_slots(const state_reading& reading) {
    const std::string path = path_to(format::state_name);
    if (reading.unreadable_bytes) {
        report(finding_severity::damage,
               failure(errc::unreadable, "the device cannot read STATE here")
                   .in_file(path)
                   .at_byte(*reading.unreadable_bytes));
    }
    if (is_newer_version(reading.problem)) {
        report(finding_severity::obstacle, describe_bad_state(reading.problem, path));
        return;  // what the rest should be only the newer version can tell
    }
    for (unsigned slot = 0; slot < 2; ++slot) {
        const std::uint64_t position_bytes = format::state_slot_position_bytes(slot);
        if (reading.slots[slot] == format::slot_condition::valid ||
            reading.unreadable_bytes == position_bytes) {
            continue;
        }
        // Beside a valid slot it is what a write leaves that a crash met, or one that goes on: also
        // beside a clean mark, which the next open takes back in the other slot first.
        report(reading.current ? finding_severity::torn_tail : finding_severity::damage,
               failure(reading.current ? errc::checksum_mismatch : errc::state_damaged,
                       reading.current
                           ? "one of the two slots is torn or rotten; the other one is valid"
                           : "neither slot is valid: " + reading.problem.message())
                   .in_file(path)
                   .at_byte(position_bytes),
               format::layout::state::slot_bytes);
    }
    if (!reading.current && reading.slots[0] == format::slot_condition::valid &&
        reading.slots[1] == format::slot_condition::valid) {
        report(finding_severity::damage,
               failure(reading.problem, "the two slots do not belong together").in_file(path));
    }
    if (reading.first_stray_bytes) {
        report(finding_severity::damage,
               failure(errc::malformed, "a byte outside the slots is not zero")
                   .in_file(path)
                   .at_byte(*reading.first_stray_bytes),
               1);
    }
}

// The segments that STATE speaks of.
void verification::check_named_segments() {
    const auto& state = source_.state().current;
    if (is_named_missing()) {
        const log_offset newest = state->segment->begin;
        report(finding_severity::damage,
               failure(errc::segment_missing, "STATE names this segment, but it is not there")
                   .in_file(path_to(format::segment_name(newest)))
                   .at_offset(newest));
    }
    if (is_first_missing()) {
        report(finding_severity::damage,
               failure(errc::segment_missing, "the log begins with offset " +
                                                  std::to_string(state->purged_before.value()) +
                                                  ", but its first segment with " +
                                                  std::to_string(first_before_->value()))
                   .in_file(source_.directory().path())
                   .at_offset(state->purged_before));
    }
}

void verification::check_names() {
    const directory_names& names = source_.names();
    for (const failure& obstacle : names.obstacles) {
        report(finding_severity::obstacle,
               failure(obstacle.code(),
                       obstacle.detail() + "; the log is not opened while it is there")
                   .in_file(obstacle.file())
                   .advise("move it out of the log's directory"));
    }
    for (const std::string& stranger : names.strangers) {
        report(finding_severity::warning,
               failure(errc::foreign_file, "this does not belong to the log")
                   .in_file(path_to(stranger)));
    }
    for (const log_offset index : names.indexes) {
        if (!std::binary_search(names.segments.begin(), names.segments.end(), index)) {
            report(finding_severity::warning,
                   failure(errc::foreign_file, "an index without its segment")
                       .in_file(path_to(format::index_name(index))));
        }
    }
}

// ---- the walk

net::awaitable<void> verification::on_segment(log_offset begin) {
    finish_index();
    segment_begin_bytes_ += segment_length_bytes_;
    segment_length_bytes_ = 0;
    segment_ = begin;
    const auto& indexes = source_.names().indexes;
    if (!std::binary_search(indexes.begin(), indexes.end(), begin)) {
        co_return;
    }
    index_ = co_await load_index(source_.directory(), begin);
    is_index_wrong_ = !index_ || index_->has_stray_bytes();
    if (is_index_wrong_) {
        report(finding_severity::warning,
               failure(errc::malformed, "this is no offset index; readers scan the segment instead")
                   .in_file(path_to(format::index_name(begin))));
    }
}

bool verification::on_item(const walk_item& item) {
    using enum walk_item::kind;
    switch (item.what) {
    case segment:
        ++report_.segments;
        segment_length_bytes_ = item.size_bytes;
        break;
    case commit: on_commit(item.facts); break;
    case damage: report(finding_severity::damage, *item.found, item.size_bytes); break;
    case unsupported:
        newer_in_ = item.facts.segment;
        report(finding_severity::obstacle, *item.found, item.size_bytes);
        break;
    case unfinished: report(finding_severity::torn_tail, *item.found, item.size_bytes); break;
    case abandoned: report(finding_severity::warning, *item.found, item.size_bytes); break;
    case duplicate:
    case prepared: break;
    }
    if (item.what != segment) {
        advance_to(segment_begin_bytes_ + item.position_bytes + item.size_bytes);
    }
    return true;
}

void verification::on_commit(const commit_facts& facts) {
    ++report_.commits;
    report_.records += facts.record_count;
    report_.end = facts.end();
    report_.epoch_max = std::max(report_.epoch_max, facts.epoch);
    if (!facts.is_raw) {
        if (facts.timestamp_us < last_timestamp_us_) {
            report(finding_severity::warning,
                   failure(errc::malformed,
                           "the commit's time is earlier than that of the one before it")
                       .in_file(path_to(format::segment_name(facts.segment)))
                       .at_byte(facts.position_bytes)
                       .at_offset(facts.begin));
        }
        last_timestamp_us_ = facts.timestamp_us;
    }
    last_commit_ = facts;
    check_index_entry(facts);
}

void verification::check_index_entry(const commit_facts& facts) {
    if (!index_ || is_index_wrong_ || index_at_ >= index_->entries().size()) {
        return;
    }
    const format::index_entry entry = index_->entries().at(index_at_);
    if (entry.position_bytes > facts.position_bytes) {
        return;
    }
    is_index_wrong_ = entry.position_bytes != facts.position_bytes || entry.key != facts.begin;
    ++index_at_;
    if (is_index_wrong_) {
        --index_at_;
        finish_index();
    }
}

// At the end of a segment, or at the first wrong entry.
void verification::finish_index() {
    if (index_ && index_at_ < index_->entries().size()) {
        const format::index_entry entry = index_->entries().at(index_at_);
        report(
            finding_severity::warning,
            failure(
                errc::malformed,
                "an index entry points to byte " + std::to_string(entry.position_bytes) +
                    ", where no commit with its offset begins; readers find their way without it")
                .in_file(path_to(format::index_name(segment_)))
                .at_byte(index_at_ * format::layout::index_entry::size_bytes)
                .at_offset(entry.key),
            format::layout::index_entry::size_bytes);
    }
    index_.reset();
    index_at_ = 0;
    is_index_wrong_ = false;
}

void verification::advance_to(std::uint64_t done_bytes) {
    report_.bytes_read = std::max(report_.bytes_read, done_bytes);
    if (options_.on_progress && report_.bytes_read - bytes_reported_ >= progress_step_bytes) {
        bytes_reported_ = report_.bytes_read;
        verify_progress progress;
        progress.bytes_done = report_.bytes_read;
        progress.bytes_total = std::max(bytes_total_, report_.bytes_read);
        options_.on_progress(progress);
    }
}

// ---- the clean mark

// Only `close` writes one, after everything else, and the next open drops it before it writes
// anything: what the walk has read is held against a mark that was there before and after it. What
// lies behind the mark's end is judged as if there were no mark (docs/recovery.md).
net::awaitable<detailed<void>> verification::check_clean_mark() {
    if (!marked_generation_ || source_.names().segments.empty()) {
        co_return success();
    }
    if (auto read = co_await source_.read_state(); !read || !source_.state().current) {
        co_return success();  // it was readable before: the next verification tells
    }
    const format::log_state& state = *source_.state().current;
    if (state.generation != *marked_generation_ || !state.mark) {
        co_return success();  // a writer has opened the log meanwhile
    }
    const format::clean_mark mark = *state.mark;
    const log_offset newest = source_.names().segments.back();
    if (newer_in_ == newest) {
        co_return success();  // where it ends only the newer version can tell
    }
    const bool has_commit = last_commit_ && last_commit_->segment == newest;
    const std::uint64_t end_bytes = has_commit
                                        ? last_commit_->position_bytes + last_commit_->size_bytes
                                        : std::uint64_t{format::layout::segment_header::size_bytes};
    const bool is_contradicted =
        mark.segment_begin == newest &&
        is_mark_contradicted(mark, end_bytes,
                             has_commit ? std::optional(last_commit_->checksum) : std::nullopt);
    if (mark.segment_begin == newest && !is_contradicted &&
        mark.length_bytes == segment_length_bytes_) {
        co_return success();
    }
    if (report_.verdict == verify_verdict::damaged) {
        co_return success();  // the walk has named the place
    }
    report(is_contradicted ? finding_severity::damage : finding_severity::warning,
           failure(is_contradicted ? errc::damaged : errc::malformed,
                   "the log was closed with " + std::to_string(mark.length_bytes) +
                       " bytes and its last commit at byte " +
                       std::to_string(mark.last_commit_position_bytes) + " of segment " +
                       std::to_string(mark.segment_begin.value()) +
                       (is_contradicted ? ", which is not what is there"
                                        : "; nothing of that is missing, but there is more"))
               .in_file(path_to(format::segment_name(newest)))
               .at_byte(std::min(mark.length_bytes, segment_length_bytes_)));
    co_return success();
}

net::awaitable<detailed<verify_report>> verification::run() {
    if (auto listed = co_await source_.refresh(); !listed) {
        co_return call_failed(listed.error(), source_.directory().path(), "", "list the directory");
    }
    if (auto checked = co_await check_state(); !checked) {
        co_return checked.error();
    }
    check_names();
    report_.begin = source_.begin();
    report_.end = report_.begin;
    auto sizes = co_await measure_segments(source_);
    if (!sizes) {
        co_return sizes.error();
    }
    for (const segment_summary& each : sizes.value()) {
        bytes_total_ += each.size_bytes;
    }
    if (auto walked = co_await walk_log(source_, *this); !walked) {
        co_return walked.error();
    }
    finish_index();
    if (auto checked = co_await check_clean_mark(); !checked) {
        co_return checked.error();
    }
    report_.bytes_read = std::max(report_.bytes_read, segment_begin_bytes_ + segment_length_bytes_);
    if (options_.on_progress) {
        verify_progress done;
        done.bytes_done = report_.bytes_read;
        done.bytes_total = report_.bytes_read;
        options_.on_progress(done);
    }
    co_return std::move(report_);
}

}  // namespace

net::awaitable<detailed<std::vector<segment_summary>>> measure_segments(directory_source& source) {
    std::vector<segment_summary> summaries;
    const directory_names names = source.names();
    for (const log_offset begin : names.segments) {
        segment_summary summary;
        summary.begin = begin;
        summary.name = format::segment_name(begin);
        summary.has_index = std::binary_search(names.indexes.begin(), names.indexes.end(), begin);
        auto file = co_await io::open(source.directory(), summary.name, io::open_mode::read);
        if (!file) {
            if (file.error() == boost::system::errc::no_such_file_or_directory) {
                continue;  // purged meanwhile
            }
            co_return call_failed(file.error(), source.directory().path(), summary.name,
                                  "open the segment");
        }
        auto status = co_await io::status(*file.value());
        if (!status) {
            co_return call_failed(status.error(), source.directory().path(), summary.name,
                                  "look at the segment");
        }
        summary.size_bytes = status.value().length_bytes;
        summaries.push_back(std::move(summary));
    }
    co_return summaries;
}

net::awaitable<detailed<verify_report>> verify_log(std::shared_ptr<directory_source> source,
                                                   verify_options options) {
    verification verifying(*source, std::move(options));
    co_return co_await verifying.run();
}

}  // namespace caisson::log_detail
