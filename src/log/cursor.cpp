// One segment's commits: file, windows and scanner put together.

#include "log/cursor.hpp"

#include "base/assert.hpp"
#include "format/names.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_category.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace caisson::log_detail {
namespace {

/// The search first takes commits up to this size for possible: its windows are twice as large.
/// Only where that finds nothing and the bytes are not all zero does it look for larger ones, up to
/// the file's length.
constexpr std::uint64_t search_commit_bytes_first = 8ull << 20;

format::byte_need start_of(std::uint64_t position_bytes) noexcept { return {position_bytes, 1}; }

}  // namespace

const char* describe(format::scan_end why) noexcept {
    using enum format::scan_end;
    switch (why) {
    case end_of_file: return "the segment ends";
    case bad_header: return "the segment's header is damaged";
    case compressed:
        return "the segment is compressed (seekable zstd), which this version does not read yet";
    case short_header: return "the bytes end inside a commit's header";
    case zeros: return "there are zeros instead of a commit";
    case truncated_commit: return "the bytes end inside a commit";
    case too_large: return "a commit's length is impossible";
    case no_records: return "a commit says that it holds no records";
    case offset_overflow: return "a commit's offset is impossible";
    case checksum_mismatch: return "a commit's bytes do not match their checksum";
    case duplicate_offset: return "a commit repeats offsets that came before it";
    case forked: return "two different commits have the same offset";
    case out_of_order:
        return "a commit begins beyond the offset that comes next: records are missing";
    case wrong_log: return "a commit carries the id of another log";
    case chain_broken: return "a commit does not continue the one before it";
    case epoch_backwards: return "a commit's epoch is lower than the one before it";
    case malformed: return "a commit's checksum is right but its records or trailer are impossible";
    case unsupported_trailer: return "a commit was written by a newer version";
    case other_version: return "the header says version 0 but the commits are of version 1";
    }
    CAISSON_UNREACHABLE("every end has its words");
}

error_code damage_code(format::scan_end why, const error_code& header_error) noexcept {
    if (why == format::scan_end::bad_header && header_error) {
        return header_error;
    }
    if (why == format::scan_end::compressed) {
        return errc::unsupported_version;
    }
    const error_code code = to_error(why);
    return code ? code : error_code(errc::damaged);
}

segment_cursor::segment_cursor(io::environment& world, io::directory& directory,
                               std::uint64_t window_size_bytes) noexcept
    : directory_(directory), ahead_(world, window_size_bytes) {}

std::string segment_cursor::path() const {
    return directory_.path() + "/" + format::segment_name(segment_);
}

failure segment_cursor::read_failed(const error_code& why) const {
    if (why == net::error::operation_aborted) {
        return failure(why, "reading was stopped");
    }
    if (why == errc::home_on_two_threads) {
        return failure(why, "reading was refused").in_file(path());
    }
    if (why == boost::system::errc::not_enough_memory) {
        return failure(why, "no memory to read with").in_file(path());
    }
    const format::byte_need block = ahead_.unreadable();
    failure found(errc::unreadable, "reading " + std::to_string(block.size_bytes_min) +
                                        " bytes failed: " + why.message());
    return std::move(found)
        .in_file(path())
        .at_byte(block.position_bytes)
        .at_offset(prefix().next)
        .advise("the device reports an error: see the kernel's log and copy the directory before "
                "anything else");
}

format::scan_params segment_cursor::params_for(const commit_link& link) const noexcept {
    format::scan_params params;
    params.expected_begin = link.expected;
    params.log_id = log_id_;
    params.previous_crc = link.previous_crc;
    params.epoch = link.epoch;
    params.commit_size_bytes_max =
        std::max<std::uint64_t>(length_bytes_, format::layout::native::commit_bytes_min);
    return params;
}

net::awaitable<detailed<void>> segment_cursor::look_at_length() {
    auto status = co_await io::status(*file_);
    if (!status) {
        co_return failure(status.error(), "the segment's status could not be read").in_file(path());
    }
    length_bytes_ = status.value().length_bytes;
    inode_ = status.value().inode;
    co_return success();
}

net::awaitable<detailed<void>> segment_cursor::open(log_offset begin,
                                                    std::optional<std::uint64_t> log_id,
                                                    commit_link link) {
    co_await ahead_.settle();
    segment_ = begin;
    log_id_ = log_id;
    file_.reset();
    scanner_.emplace(params_for(link));
    auto opened =
        co_await io::open(directory_, format::segment_name(begin), io::open_mode::read_direct);
    if (!opened) {
        co_return failure(opened.error(),
                          "the segment could not be opened: " + opened.error().message())
            .in_file(path());
    }
    file_ = std::move(opened.value());
    if (auto looked = co_await look_at_length(); !looked) {
        co_return looked;
    }
    scanner_.emplace(params_for(link));
    ahead_.start(file_, 0);
    co_return success();
}

void segment_cursor::jump(std::uint64_t position_bytes, commit_link link,
                          std::optional<format::segment_version> version) {
    const format::segment_header read = header().value_or(format::segment_header{});
    scanner_.emplace(params_for(link), version.value_or(read.version), position_bytes);
    const auto& window = ahead_.window();
    const bool is_at_hand = window.covers(position_bytes) && position_bytes < window.end_bytes();
    if (!is_at_hand) {
        ahead_.start(file_, position_bytes);
    }
}

net::awaitable<detailed<void>> segment_cursor::bring(format::byte_need need) {
    const auto brought = co_await ahead_.bring(need);
    if (!brought) {
        co_return read_failed(brought.error());
    }
    co_return success();
}

net::awaitable<detailed<format::scan_event>> segment_cursor::next() {
    for (;;) {
        const format::scan_event event = try_next();
        if (event.step != format::scan_step::need_bytes) {
            co_return event;
        }
        if (auto brought = co_await bring(event.need); !brought) {
            co_return brought.error();
        }
    }
}

net::awaitable<detailed<void>> segment_cursor::reread() {
    co_await ahead_.settle();
    if (auto looked = co_await look_at_length(); !looked) {
        co_return looked;
    }
    const format::segment_prefix prefix = scanner_->prefix();
    const commit_link link{prefix.next, prefix.last_crc, prefix.epoch_max};
    if (const auto header = scanner_->header()) {
        scanner_.emplace(params_for(link), header->version, prefix.end_position_bytes);
        ahead_.start(file_, prefix.end_position_bytes);
    } else {
        scanner_.emplace(params_for(link));
        ahead_.start(file_, 0);
    }
    co_return success();
}

net::awaitable<detailed<search_outcome>> segment_cursor::search(std::uint64_t from_bytes,
                                                                log_offset expected,
                                                                search_goal goal) {
    format::search_params params;
    params.expected_begin = expected;
    params.log_id = log_id_;
    params.version = header() ? header()->version : format::segment_version::v1;
    const std::uint64_t rest_bytes = length_bytes_ - std::min(length_bytes_, from_bytes);
    const std::uint64_t limit_bytes =
        std::max<std::uint64_t>(rest_bytes, format::layout::native::commit_bytes_min);

    search_outcome outcome;
    for (std::uint64_t size_bytes_max = std::min(limit_bytes, search_commit_bytes_first);;
         size_bytes_max = limit_bytes) {
        params.commit_size_bytes_max = size_bytes_max;
        co_await ahead_.settle();
        ahead_.start(file_, from_bytes);
        format::damage_search search(params, from_bytes);
        if (auto done = co_await run_search(search, expected, goal, outcome); !done) {
            co_return done.error();
        }
        if (outcome.found || !outcome.first_nonzero_bytes || size_bytes_max == limit_bytes) {
            co_return outcome;
        }
    }
}

net::awaitable<detailed<void>> segment_cursor::run_search(format::damage_search& search,
                                                          log_offset expected, search_goal goal,
                                                          search_outcome& into) {
    into = {};
    for (format::byte_need need = start_of(ahead_.window().position_bytes);;) {
        if (auto brought = co_await bring(need); !brought) {
            co_return brought;
        }
        format::search_event event = search.next(ahead_.window());
        while (event.step == format::search_step::found) {
            if (!into.found) {
                into.found = search_outcome::later_commit{event.position_bytes, event.commit.begin,
                                                          event.durable_end};
            }
            into.is_proof = is_native() ? event.durable_end > expected : true;
            if (into.is_proof || goal == search_goal::first_commit) {
                break;
            }
            event = search.next(ahead_.window());
        }
        if (event.step == format::search_step::need_bytes) {
            need = event.need;
            continue;
        }
        into.first_nonzero_bytes = search.first_nonzero_bytes();
        co_return success();
    }
}

net::awaitable<detailed<bool>> segment_cursor::is_same_file() {
    auto named = co_await io::open(directory_, format::segment_name(segment_), io::open_mode::read);
    if (!named) {
        if (named.error() == boost::system::errc::no_such_file_or_directory) {
            co_return false;
        }
        co_return failure(named.error(), "the segment could not be opened again").in_file(path());
    }
    auto status = co_await io::status(*named.value());
    if (!status) {
        co_return failure(status.error(), "the segment's status could not be read").in_file(path());
    }
    co_return status.value().inode == inode_;
}

commit_facts segment_cursor::facts_of(const format::scan_event& event) const noexcept {
    commit_facts facts;
    facts.segment = segment_;
    facts.position_bytes = event.position_bytes;
    facts.size_bytes = event.commit.size_bytes;
    facts.begin = event.commit.begin;
    facts.record_count = event.commit.record_count;
    facts.checksum = event.commit.crc;
    facts.epoch = event.commit.epoch;
    facts.is_raw = !event.trailer.has_value();
    if (event.trailer) {
        facts.durable_end = event.trailer->durable_end;
        facts.timestamp_us = event.trailer->timestamp_us;
        facts.previous_checksum = event.trailer->previous_crc;
    }
    return facts;
}

}  // namespace caisson::log_detail
