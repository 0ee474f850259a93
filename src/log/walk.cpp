// The walk through all segments, and the ways on behind each kind of damage.

#include "log/walk.hpp"

#include "format/names.hpp"
#include "log/directory.hpp"
#include "log/recovery_refusal.hpp"
#include "log/segment_end.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace caisson::log_detail {
namespace {

using format::scan_end;
using format::scan_event;
using format::scan_step;

constexpr std::uint64_t walk_window_bytes = 1ull << 20;

class walker {
public:
    walker(directory_source& source, walk_visitor& visitor) noexcept
        : source_(source),
          visitor_(visitor),
          cursor_(source.world(), source.directory(), walk_window_bytes) {}

    net::awaitable<detailed<void>> run();

private:
    net::awaitable<detailed<void>> walk_segment(log_offset segment);
    net::awaitable<detailed<bool>> open_segment(log_offset segment);
    net::awaitable<detailed<void>> on_end(scan_event event);
    net::awaitable<detailed<void>> on_unreadable(failure where);
    net::awaitable<void> resume_at(search_outcome::later_commit next,
                                   std::optional<format::segment_version> version);
    net::awaitable<detailed<void>> go_on_behind(scan_event event, failure found);
    net::awaitable<detailed<std::optional<search_outcome::later_commit>>> find_behind(
        std::uint64_t from_bytes);
    void check_reserved_bytes();
    void visit_commit(const scan_event& event);
    void visit_duplicates(std::uint64_t end_bytes);
    void visit(walk_item::kind what, std::uint64_t position_bytes, std::uint64_t size_bytes,
               std::optional<failure> found = std::nullopt);
    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_ || !visitor_.go_on(); }

    directory_source& source_;
    walk_visitor& visitor_;
    segment_cursor cursor_;
    commit_link link_;  // what the next segment's first commit is held against
    bool is_segment_over_ = false;
    bool is_stopped_ = false;  // the visitor has seen enough
    bool is_header_checked_ = false;
    std::uint64_t duplicates_seen_ = 0;
    std::uint64_t last_end_bytes_ = 0;    // of the last item in this segment
    std::uint64_t resumed_at_bytes_ = 0;  // where the walk last went on behind damage
};

void walker::visit(walk_item::kind what, std::uint64_t position_bytes, std::uint64_t size_bytes,
                   std::optional<failure> found) {
    walk_item item;
    item.what = what;
    item.facts.segment = cursor_.segment();
    item.position_bytes = position_bytes;
    item.size_bytes = size_bytes;
    if (found) {
        item.found.emplace(std::move(*found));
    }
    is_stopped_ = is_stopped_ || !visitor_.on_item(item);
}

void walker::visit_commit(const scan_event& event) {
    check_reserved_bytes();
    visit_duplicates(event.position_bytes);
    walk_item item;
    item.what = walk_item::kind::commit;
    item.facts = cursor_.facts_of(event);
    item.position_bytes = event.position_bytes;
    item.size_bytes = event.commit.size_bytes;
    last_end_bytes_ = event.position_bytes + event.commit.size_bytes;
    is_stopped_ = is_stopped_ || !visitor_.on_item(item);
}

// The scanner passes over them on its way to `end_bytes`, and forgets them when it begins anew.
void walker::visit_duplicates(std::uint64_t end_bytes) {
    const std::uint64_t duplicates = cursor_.prefix().duplicates;
    if (duplicates > duplicates_seen_) {
        visit(walk_item::kind::duplicate, last_end_bytes_, end_bytes - last_end_bytes_);
    }
    duplicates_seen_ = duplicates;
}

// Readers ignore them, as the reference does; we write zeros, so anything else is damage.
void walker::check_reserved_bytes() {
    const auto& window = cursor_.window();
    if (is_header_checked_ || !cursor_.is_native() || window.position_bytes != 0 ||
        window.bytes.size() < format::layout::segment_header::size_bytes) {
        return;
    }
    is_header_checked_ = true;
    for (std::size_t i = 0; i < format::layout::segment_header::reserved_bytes; ++i) {
        const std::size_t position = format::layout::segment_header::reserved_at + i;
        if (window.bytes[position] != std::byte{0}) {
            visit(walk_item::kind::damage, position, 1,
                  failure(errc::malformed, "a reserved byte of the segment's header is not zero")
                      .in_file(cursor_.path())
                      .at_byte(position));
        }
    }
}

net::awaitable<detailed<void>> walker::run() {
    if (auto refreshed = co_await source_.refresh(); !refreshed) {
        co_return call_failed(refreshed.error(), source_.directory().path(), "",
                              "list the directory");
    }
    auto place = source_.locate(source_.begin());
    if (place) {
        link_.expected = place->begin;
        link_.previous_crc = source_.crc_before(place->begin);
    }
    while (place && !is_stopped()) {
        const log_offset segment = place->begin;
        auto walked = co_await walk_segment(segment);
        co_await cursor_.settle();
        if (!walked) {
            co_return walked;
        }
        // By the names alone: the segment itself may have been purged meanwhile.
        const auto next = source_.first_after(segment);
        place = next ? source_.locate(*next) : std::nullopt;
    }
    if (!visitor_.go_on()) {
        co_return failure(errc::closed, "the view was closed");
    }
    co_return success();
}

/// False: it is gone, and that is in order.
net::awaitable<detailed<bool>> walker::open_segment(log_offset segment) {
    commit_link link = link_;
    // damage lies between: nothing to hold the first commit against
    if (link.expected != segment) {
        link = {};
        link.expected = segment;
    }
    const auto log_id = source_.log_id_of(segment);
    link.epoch = log_id ? link.epoch : 0;
    auto opened = co_await cursor_.open(segment, log_id, link);
    if (opened) {
        co_return true;
    }
    if (opened.error().code() == boost::system::errc::no_such_file_or_directory) {
        if (auto refreshed = co_await source_.refresh(); refreshed && source_.begin() > segment) {
            co_return false;
        }
    }
    visit(walk_item::kind::damage, 0, 0, std::move(opened).error());
    co_return false;
}

net::awaitable<detailed<void>> walker::walk_segment(log_offset segment) {
    co_await visitor_.on_segment(segment);
    auto opened = co_await open_segment(segment);
    if (!opened) {
        co_return opened.error();
    }
    if (!opened.value()) {
        co_return success();
    }
    is_segment_over_ = false;
    is_header_checked_ = false;
    duplicates_seen_ = 0;
    resumed_at_bytes_ = 0;
    last_end_bytes_ = format::layout::segment_header::size_bytes;
    visit(walk_item::kind::segment, 0, cursor_.length_bytes());
    while (!is_segment_over_ && !is_stopped()) {
        const scan_event event = cursor_.try_next();
        detailed<void> done = success();
        if (event.step == scan_step::commit) {
            visit_commit(event);
        } else if (event.step == scan_step::need_bytes) {
            done = co_await cursor_.bring(event.need);
        } else {
            check_reserved_bytes();
            done = co_await on_end(event);
        }
        if (!done && done.error().code() == errc::unreadable) {
            done = co_await on_unreadable(done.error());
        }
        if (!done) {
            co_return done;
        }
    }
    const format::segment_prefix& prefix = cursor_.prefix();
    link_.expected = prefix.next;
    link_.previous_crc = prefix.last_crc;
    link_.epoch = cursor_.is_native() ? prefix.epoch_max : 0;
    co_return success();
}

net::awaitable<detailed<void>> walker::on_end(scan_event event) {
    visit_duplicates(event.position_bytes);
    duplicates_seen_ = 0;
    auto judged = co_await judge_end(cursor_, source_, event);
    if (!judged) {
        co_return judged.error();
    }
    end_verdict& verdict = judged.value();
    const std::uint64_t position_bytes = verdict.event.position_bytes;
    const std::uint64_t rest_bytes =
        cursor_.length_bytes() - std::min(cursor_.length_bytes(), position_bytes);
    switch (verdict.kind) {
    case end_kind::commit: visit_commit(verdict.event); co_return success();
    case end_kind::damaged:
        co_return co_await go_on_behind(verdict.event, std::move(*verdict.found));
    case end_kind::unfinished:
        visit(walk_item::kind::unfinished, position_bytes, rest_bytes, std::move(verdict.found));
        break;
    case end_kind::clean:
        if (rest_bytes > 0) {
            visit(walk_item::kind::prepared, position_bytes, rest_bytes);
        }
        break;
    case end_kind::next_segment:
        if (rest_bytes > 0) {
            visit(cursor_.is_native() ? walk_item::kind::damage : walk_item::kind::abandoned,
                  position_bytes, rest_bytes,
                  failure(verdict.event.why == scan_end::zeros ? error_code(errc::malformed)
                                                               : damage_code(verdict.event.why, {}),
                          "there are bytes behind the last commit of a sealed segment")
                      .in_file(cursor_.path())
                      .at_byte(position_bytes)
                      .at_offset(cursor_.prefix().next));
        }
        break;
    case end_kind::moved: break;  // purged or recycled while we looked
    }
    is_segment_over_ = true;
    co_return success();
}

/// The next valid commit at or behind a byte; unreadable blocks on the way are visited and passed.
net::awaitable<detailed<std::optional<search_outcome::later_commit>>> walker::find_behind(
    std::uint64_t from_bytes) {
    for (;;) {
        auto searched = co_await cursor_.search(from_bytes, cursor_.prefix().next,
                                                segment_cursor::search_goal::first_commit);
        if (searched) {
            co_return searched.value().found;
        }
        const auto position_bytes = searched.error().position_bytes();
        if (searched.error().code() != errc::unreadable || !position_bytes) {
            co_return searched.error();
        }
        visit(walk_item::kind::damage, *position_bytes, 0, searched.error());
        if (is_stopped()) {
            co_return std::nullopt;
        }
        from_bytes = *position_bytes + cursor_.block_size_bytes();
    }
}

net::awaitable<detailed<void>> walker::on_unreadable(failure where) {
    const std::uint64_t position_bytes = where.position_bytes().value_or(0);
    auto found = co_await find_behind(
        std::max(position_bytes + cursor_.block_size_bytes(), cursor_.prefix().end_position_bytes));
    if (!found) {
        co_return found.error();
    }
    const auto& next = found.value();
    const std::uint64_t end_bytes =
        next ? next->position_bytes : std::max(cursor_.length_bytes(), position_bytes);
    visit(walk_item::kind::damage, position_bytes, end_bytes - std::min(position_bytes, end_bytes),
          std::move(where));
    if (!next) {
        is_segment_over_ = true;
        co_return success();
    }
    co_await resume_at(*next, std::nullopt);
    co_return success();
}

/// Behind damage there is nothing to hold the commit against but its own offset.
net::awaitable<void> walker::resume_at(search_outcome::later_commit next,
                                       std::optional<format::segment_version> version) {
    commit_link link;
    link.expected = next.begin;
    co_await cursor_.settle();
    cursor_.jump(next.position_bytes, link, version);
    resumed_at_bytes_ = next.position_bytes;
}

net::awaitable<detailed<void>> walker::go_on_behind(scan_event event, failure found) {
    const auto what =
        is_newer_version(found.code()) ? walk_item::kind::unsupported : walk_item::kind::damage;
    std::uint64_t position_bytes = event.position_bytes;
    std::optional<format::segment_version> version;
    if (event.why == scan_end::bad_header || event.why == scan_end::other_version) {
        version = format::segment_version::v1;
    }
    if (event.why == scan_end::compressed) {
        visit(what, 0, cursor_.length_bytes(), std::move(found));
        is_segment_over_ = true;
        co_return success();
    }
    if (version) {
        // A damaged header costs nothing but itself: the commits behind it speak for themselves.
        co_await cursor_.settle();
        commit_link link;
        link.expected = cursor_.prefix().next;
        cursor_.jump(format::layout::segment_header::size_bytes, link, version);
        position_bytes = format::layout::segment_header::size_bytes;
    }
    const bool is_stuck = position_bytes <= resumed_at_bytes_ && !version;
    auto later = co_await find_behind(is_stuck ? resumed_at_bytes_ + 1 : position_bytes);
    if (!later) {
        co_return later.error();
    }
    const auto& next = later.value();
    const std::uint64_t end_bytes = next ? next->position_bytes : cursor_.length_bytes();
    const std::uint64_t begin_bytes = version ? 0 : event.position_bytes;
    visit(what, begin_bytes, end_bytes - std::min(begin_bytes, end_bytes), std::move(found));
    if (!next) {
        is_segment_over_ = true;
        co_return success();
    }
    co_await resume_at(*next, version);
    co_return success();
}

}  // namespace

net::awaitable<void> walk_visitor::on_segment(log_offset) { co_return; }

net::awaitable<detailed<void>> walk_log(directory_source& source, walk_visitor& visitor) {
    walker walking(source, visitor);
    co_return co_await walking.run();
}

}  // namespace caisson::log_detail
