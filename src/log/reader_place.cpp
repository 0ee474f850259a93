// Where a reader stands and how it goes on: finding an offset, taking commits, crossing segments,
// meeting ends.

#include "log/reader.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "format/names.hpp"
#include "log/directory_source.hpp"
#include "log/segment_end.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace caisson::log_detail {
namespace {

/// How often in a row a name may turn out to mean another file before the segment counts as
/// missing.
constexpr int moves_max = 4;
/// Wrong index entries in a row before the segment is scanned from its start.
constexpr std::size_t index_entries_tried_max = 4;

using no_batch = std::optional<commit_batch>;

bool is_not_there(const error_code& why) noexcept {
    return why == boost::system::errc::no_such_file_or_directory;
}

failure stopped() { return {net::error::operation_aborted, "reading was stopped"}; }

}  // namespace

failure reader_core::out_of_range(std::optional<log_offset> end) const {
    const std::string begin = std::to_string(source_->begin().value());
    return failure(errc::offset_out_of_range,
                   end ? "the log holds [" + begin + ", " + std::to_string(end->value()) + ")"
                       : "the log begins with " + begin)
        .in_file(source_->directory().path())
        .at_offset(wanted_);
}

/// An outcome that needs no look into a segment, if there is one.
std::optional<detailed<commit_batch>> reader_core::check_range() const {
    const auto durable_end = source_->durable_end();
    if (wanted_ < source_->begin()) {
        return out_of_range(durable_end);
    }
    if (durable_end && wanted_ > *durable_end) {
        return out_of_range(*durable_end);
    }
    if (durable_end && wanted_ == *durable_end) {
        return commit_batch(wanted_);
    }
    return std::nullopt;
}

/// The batch of a commit; nothing when all its records lie below `wanted_`.
std::optional<commit_batch> reader_core::take(const format::scan_event& event) noexcept {
    const format::commit_view& commit = event.commit;
    reread_at_.reset();
    moves_ = 0;
    if (commit.end() <= wanted_) {
        return std::nullopt;
    }
    CAISSON_ASSERT(commit.begin <= wanted_);
    std::span<const std::byte> bytes = commit.region;
    if (event.trailer) {
        // The scanner has checked every length.
        for (std::uint64_t skip = wanted_ - commit.begin; skip > 0; --skip) {
            const std::size_t framed_bytes =
                format::layout::native::record_prefix_bytes + load_le<std::uint32_t>(bytes.data());
            bytes = bytes.subspan(framed_bytes);
        }
    }
    const commit_batch batch(cursor_->facts_of(event), wanted_, bytes);
    wanted_ = commit.end();
    return batch;
}

/// The next batch from what is in memory.
std::optional<commit_batch> reader_core::try_without_io() {
    if (!has_place_ || is_stale_ || check_range()) {
        return std::nullopt;
    }
    for (;;) {
        const format::scan_event event = cursor_->try_next();
        if (event.step != format::scan_step::commit) {
            return std::nullopt;
        }
        if (const auto batch = take(event)) {
            return batch;
        }
    }
}

net::awaitable<detailed<commit_batch>> reader_core::advance() {
    for (;;) {
        if (is_closed_ || is_retired_) {
            co_return stopped();
        }
        if (auto known = check_range()) {
            // what was read ahead of the end is out of date when the end has moved
            is_stale_ = true;
            co_return std::move(*known);
        }
        if (!has_place_) {
            if (auto found = co_await find_place(); !found) {
                co_return found.error();
            }
            if (!has_place_) {
                co_return commit_batch(wanted_);
            }
            continue;
        }
        if (is_stale_) {
            if (auto done = co_await cursor_->reread(); !done) {
                co_return done.error();
            }
            is_stale_ = false;
        }
        const format::scan_event event = cursor_->try_next();
        if (event.step == format::scan_step::need_bytes) {
            if (auto brought = co_await cursor_->bring(event.need); !brought) {
                is_stale_ = true;
                co_return brought.error();
            }
            continue;
        }
        if (event.step == format::scan_step::commit) {
            if (const auto batch = take(event)) {
                co_return *batch;
            }
            continue;
        }
        auto ended = co_await on_end(event);
        if (!ended) {
            is_stale_ = true;
            co_return ended.error();
        }
        if (ended.value()) {
            co_return *ended.value();
        }
    }
}

/// Nothing: go on.
net::awaitable<detailed<no_batch>> reader_core::on_end(format::scan_event event) {
    if (source_->durable_end()) {
        co_return co_await on_end_of_open_log(event);
    }
    co_return co_await on_end_of_directory(event);
}

// The log itself says that `wanted_` is durable: the bytes at hand are old, or the segment is
// finished, or it is damage.
net::awaitable<detailed<no_batch>> reader_core::on_end_of_open_log(format::scan_event event) {
    const log_offset expected = cursor_->prefix().next;
    const auto place = source_->locate(expected);
    if (place && place->begin == expected && place->begin != cursor_->segment()) {
        if (auto moved = co_await move_to(place->begin); !moved) {
            co_return moved.error();
        }
        co_return no_batch{};
    }
    if (reread_at_ != event.position_bytes) {
        reread_at_ = event.position_bytes;
        is_stale_ = true;
        co_return no_batch{};
    }
    reread_at_.reset();
    if (wanted_ < source_->begin()) {
        co_return no_batch{};  // a purge passed by: the range check says so
    }
    auto same = co_await cursor_->is_same_file();
    if (!same) {
        co_return same.error();
    }
    if (!same.value() && ++moves_ < moves_max) {
        has_place_ = false;
        co_return no_batch{};
    }
    failure found = damage_at(*cursor_, event).advise("the log says that this offset is durable");
    co_return co_await go_behind(std::move(found));
}

/// Past damage that lies below `wanted_`: whoever asks for later records is not kept from those
/// that are there. Otherwise what was `found` is reported. Only native commits are believed: no
/// payload can fake one.
net::awaitable<detailed<no_batch>> reader_core::go_behind(failure found) {
    const format::segment_prefix& prefix = cursor_->prefix();
    const log_offset expected = prefix.next;
    if (wanted_ <= expected || !cursor_->is_native()) {
        co_return found;
    }
    const std::uint64_t from_bytes =
        std::max(prefix.end_position_bytes, format::layout::segment_header::size_bytes);
    auto searched =
        co_await cursor_->search(from_bytes, expected, segment_cursor::search_goal::first_commit);
    if (!searched) {
        co_return searched.error();
    }
    const auto& later = searched.value().found;
    if (!later || later->begin <= expected || later->begin > wanted_) {
        co_return found;  // one that begins where it should was refused for what it follows
    }
    commit_link link;
    link.expected = later->begin;
    co_await cursor_->settle();
    cursor_->jump(later->position_bytes, link);
    co_return no_batch{};
}

net::awaitable<detailed<no_batch>> reader_core::on_end_of_directory(format::scan_event event) {
    auto judged = co_await judge_end(*cursor_, *source_, event);
    if (!judged) {
        co_return judged.error();
    }
    end_verdict& verdict = judged.value();
    switch (verdict.kind) {
    case end_kind::commit: co_return take(verdict.event);
    case end_kind::damaged: co_return co_await go_behind(std::move(*verdict.found));
    case end_kind::next_segment: {
        auto moved = co_await move_to(*verdict.next);
        if (!moved) {
            co_return moved.error();
        }
        co_return no_batch{};
    }
    case end_kind::moved:
        if (++moves_ == moves_max) {
            co_return failure(errc::segment_missing, "the segment is not there any more")
                .in_file(cursor_->path())
                .at_offset(wanted_);
        }
        has_place_ = false;
        co_return no_batch{};
    case end_kind::clean:
    case end_kind::unfinished: break;
    }
    is_stale_ = true;
    const log_offset end = cursor_->prefix().next;
    if (wanted_ > end && !has_delivered_) {
        co_return out_of_range(end);
    }
    co_return commit_batch(wanted_);
}

net::awaitable<detailed<void>> reader_core::move_to(log_offset segment) {
    const format::segment_prefix& prefix = cursor_->prefix();
    commit_link link;
    link.expected = prefix.next;
    link.previous_crc = prefix.last_crc;
    const auto log_id = log_id_of(source_->lineage(), segment);
    link.epoch = log_id && cursor_->is_native() ? prefix.epoch_max : 0;
    auto opened = co_await cursor_->open(segment, log_id, link);
    if (opened) {
        co_return opened;
    }
    has_place_ = false;
    if (!is_not_there(opened.error().code())) {
        co_return opened;
    }
    co_return success();  // gone meanwhile: find_place tells why
}

/// What a segment's first commit is held against when the reader does not come from the one before.
commit_link reader_core::link_to(log_offset segment) const noexcept {
    commit_link link;
    link.expected = segment;
    link.previous_crc = source_->crc_before(segment);
    return link;
}

/// Opens the segment that holds `wanted_` and goes to a commit at or before it. Without a place
/// afterwards the log is empty.
net::awaitable<detailed<void>> reader_core::find_place() {
    for (;;) {
        if (auto refreshed = co_await source_->refresh(); !refreshed) {
            co_return failure(refreshed.error(), "the directory could not be listed")
                .in_file(source_->directory().path());
        }
        const auto place = source_->locate(wanted_);
        if (!place) {
            if (wanted_ == source_->begin()) {
                co_return success();
            }
            co_return out_of_range(std::nullopt);
        }
        if (!cursor_) {
            cursor_.emplace(source_->world(), source_->directory(), window_size_bytes_);
        }
        auto opened = co_await cursor_->open(
            place->begin, log_id_of(source_->lineage(), place->begin), link_to(place->begin));
        if (opened) {
            break;
        }
        if (!is_not_there(opened.error().code())) {
            co_return opened;
        }
        if (wanted_ < source_->begin()) {
            co_return out_of_range(source_->durable_end());
        }
        if (++moves_ >= moves_max) {
            moves_ = 0;
            co_return failure(errc::segment_missing, "the segment is not there")
                .in_file(cursor_->path())
                .at_offset(wanted_);
        }
    }
    auto found = co_await find_commit();
    if (!found) {
        co_return found;
    }
    has_place_ = true;
    is_stale_ = false;
    co_return success();
}

// From the segment's header to a commit near `wanted_`: by the log's hint, by the index, else from
// the first commit.
net::awaitable<detailed<void>> reader_core::find_commit() {
    if (wanted_ == cursor_->segment()) {
        co_return success();
    }
    auto first = co_await cursor_->next();
    if (!first) {
        co_return first.error();
    }
    if (first.value().step != format::scan_step::commit) {
        co_return co_await cursor_->reread();  // the walk meets it again and judges it
    }
    bool is_found = first.value().commit.contains(wanted_);
    if (const auto hint = source_->hint(cursor_->segment(), wanted_); hint && !is_found) {
        const format::index_entry hinted{hint->begin, hint->position_bytes};
        is_found = co_await try_position(hinted);
    }
    if (is_found) {
        if (first.value().commit.contains(wanted_)) {
            go_to_first_commit();
        }
        co_return success();
    }
    if (const auto index = co_await load_index(source_->directory(), cursor_->segment())) {
        const auto& entries = index->entries();
        std::size_t above = 0;
        for (std::size_t high = entries.size(); above < high;) {
            const std::size_t middle = above + (high - above) / 2;
            if (entries.at(middle).key <= wanted_) {
                above = middle + 1;
            } else {
                high = middle;
            }
        }
        for (std::size_t tried = 0; tried < index_entries_tried_max && above > 0 && !is_found;
             ++tried) {
            is_found = co_await try_position(entries.at(--above));
        }
    }
    if (!is_found) {
        co_await cursor_->settle();
        go_to_first_commit();
    }
    co_return success();
}

void reader_core::go_to_first_commit() {
    cursor_->jump(format::layout::segment_header::size_bytes, link_to(cursor_->segment()));
}

/// Whether a valid commit with the entry's offset begins there. Then the cursor stands before it.
net::awaitable<bool> reader_core::try_position(format::index_entry entry) {
    if (entry.position_bytes < format::layout::segment_header::size_bytes || entry.key > wanted_ ||
        entry.key < cursor_->segment()) {
        co_return false;
    }
    commit_link link;
    link.expected = entry.key;
    co_await cursor_->settle();
    cursor_->jump(entry.position_bytes, link);
    const auto event = co_await cursor_->next();
    if (!event || event.value().step != format::scan_step::commit) {
        co_return false;
    }
    co_await cursor_->settle();
    cursor_->jump(entry.position_bytes, link);
    co_return true;
}

}  // namespace caisson::log_detail
