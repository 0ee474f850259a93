// Windows, the scan, and the search behind it.

#include "log/recovery_scan.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "base/planted.hpp"
#include "base/units.hpp"
#include "io/await.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace caisson::log_detail {
namespace {

constexpr std::uint64_t window_bytes = 1_MiB;
/// Up to here a commit is read without looking first whether its end is really there.
constexpr std::uint64_t trusted_commit_bytes = 4_MiB;
/// The first search assumes commits up to this length, which is what groups are; only when it
/// proves nothing a second one, with larger windows, looks for longer ones.
constexpr std::uint64_t common_commit_bytes = 1_MiB;
/// A commit may end in zeros (of a timestamp, a payload, a checksum), but a native one has its
/// random id in the last 33 bytes; a block leaves ample room.
constexpr std::uint64_t zeros_after_data_bytes = 4096;

std::uint64_t first_nonzero_from_behind(std::span<const std::byte> bytes) noexcept {
    const auto last =
        std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{0}; });
    return static_cast<std::uint64_t>(bytes.rend() - last);
}

// Behind `from_bytes`: where the last byte that is not zero ends.
net::awaitable<detailed<std::uint64_t>> find_data_end(window_reader& reader,
                                                      std::uint64_t from_bytes) {
    std::uint64_t data_end = from_bytes;
    std::uint64_t position = from_bytes;
    while (position < reader.length_bytes()) {
        format::byte_need need{position, window_bytes};
        BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
        const auto bytes = reader.window().from(position);
        if (const std::uint64_t used = first_nonzero_from_behind(bytes)) {
            data_end = position + used;
        }
        position += bytes.size();
    }
    co_return data_end;
}

// Whether a commit that says it ends at `end_bytes` has this log's id where its trailer would be. A
// torn or damaged length must not decide how much memory is taken.
net::awaitable<detailed<bool>> is_trailer_there(window_reader& reader, std::uint64_t end_bytes,
                                                std::uint64_t log_id) {
    namespace at = format::layout::native;
    constexpr std::uint64_t tail_bytes = at::trailer_bytes + format::layout::checksum_bytes;
    if (end_bytes > reader.length_bytes()) {
        co_return false;
    }
    format::byte_need need{end_bytes - tail_bytes, tail_bytes};
    BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
    const auto tail = reader.window().from(need.position_bytes);
    co_return load_le<std::uint64_t>(tail.data() + at::trailer_log_id_at) == log_id;
}

net::awaitable<detailed<void>> scan_prefix(window_reader& reader, format::scan_params params,
                                           format::segment_scanner& scanner,
                                           format::offset_index_builder* index) {
    format::byte_need need{0, window_bytes};
    BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
    for (;;) {
        const format::scan_event event = scanner.next(reader.window());
        if (event.step == format::scan_step::end) {
            co_return success();
        }
        if (event.step == format::scan_step::commit) {
            if (index != nullptr) {
                index->add_commit(event.commit.begin, event.position_bytes,
                                  event.commit.size_bytes);
            }
            continue;
        }
        if (params.log_id && event.need.size_bytes_min > trusted_commit_bytes) {
            const std::uint64_t end_bytes = event.need.position_bytes + event.need.size_bytes_min;
            BOOST_OUTCOME_CO_TRY(auto there,
                                 co_await is_trailer_there(reader, end_bytes, *params.log_id));
            if (!there) {
                // A window that ends inside the commit lets the scanner conclude what it is: cut
                // off.
                reader.end_at(
                    std::min(reader.length_bytes(), event.need.position_bytes + window_bytes));
            }
        }
        BOOST_OUTCOME_CO_TRYV(co_await reader.bring(event.need));
    }
}

struct search_outcome {
    std::optional<later_commit> later;
    bool is_proof = false;
};

net::awaitable<detailed<search_outcome>> search_behind(window_reader& reader,
                                                       format::search_params params,
                                                       std::uint64_t from_bytes) {
    search_outcome outcome;
    format::damage_search search(params, from_bytes);
    format::byte_need need{from_bytes, window_bytes};
    BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
    for (;;) {
        const format::search_event event = search.next(reader.window());
        if (event.step == format::search_step::end) {
            break;
        }
        if (event.step == format::search_step::need_bytes) {
            BOOST_OUTCOME_CO_TRYV(co_await reader.bring(event.need));
            continue;
        }
        later_commit found;
        found.position_bytes = event.position_bytes;
        found.begin = event.commit.begin;
        found.durable_end = event.durable_end;
        outcome.is_proof = params.log_id && found.durable_end > params.expected_begin;
        if (!outcome.later || outcome.is_proof) {
            outcome.later = found;
        }
        if (outcome.is_proof || !params.log_id) {
            break;  // nothing can be found that says more
        }
    }
    co_return outcome;
}

// Fills in what lies behind the good prefix, or behind the header's place when there is none.
net::awaitable<detailed<void>> look_behind(window_reader& reader, format::scan_params params,
                                           segment_scan& scan) {
    const std::uint64_t from_bytes = scan.prefix.end_position_bytes;
    BOOST_OUTCOME_CO_TRY(auto data_end, co_await find_data_end(reader, from_bytes));
    scan.data_end_bytes = data_end;
    if (scan.is_zero_to_the_end()) {
        co_return success();
    }
    const std::uint64_t end_bytes =
        std::min(reader.length_bytes(), scan.data_end_bytes + zeros_after_data_bytes);
    reader.end_at(end_bytes);
    format::search_params search;
    search.expected_begin = scan.prefix.next;
    search.log_id = params.log_id;
    const std::uint64_t longest_bytes =
        std::max<std::uint64_t>(end_bytes - from_bytes, common_commit_bytes);
    for (search.commit_size_bytes_max = common_commit_bytes;;
         search.commit_size_bytes_max = longest_bytes) {
        BOOST_OUTCOME_CO_TRY(auto outcome, co_await search_behind(reader, search, from_bytes));
        if (outcome.later && (!scan.later || outcome.is_proof)) {
            scan.later = outcome.later;
        }
        scan.is_later_proof = outcome.is_proof;
        if (scan.is_later_proof || search.commit_size_bytes_max == longest_bytes) {
            co_return success();
        }
    }
}

}  // namespace

void window_reader::end_at(std::uint64_t end_bytes) noexcept {
    CAISSON_ASSERT(end_bytes <= length_bytes_);
    end_bytes_ = end_bytes;
    window_ = {};
}

net::awaitable<detailed<void>> window_reader::bring(format::byte_need need) {
    const std::uint64_t block = file_.block_size_bytes();
    const std::uint64_t begin = round_down(std::min(need.position_bytes, end_bytes_), block);
    const std::uint64_t least =
        std::max(need.size_bytes_min, window_bytes) + (need.position_bytes - begin);
    // Reads whole blocks; what the last one holds beyond the end is cut off below.
    const std::uint64_t wanted = round_up(std::min(least, end_bytes_ - begin), block);
    if (buffer_.size_bytes() < wanted || !buffer_) {
        buffer_ = aligned_buffer::allocate(std::max(wanted, block), block);
        if (!buffer_) {
            window_ = {};
            co_return failure(make_error_code(boost::system::errc::not_enough_memory),
                              "no memory for " + std::to_string(wanted) + " bytes of the segment")
                .in_file(path_)
                .at_byte(begin);
        }
    }
    auto read = co_await io::read(file_, buffer_.bytes().first(wanted), begin);
    if (!read) {
        BOOST_OUTCOME_CO_TRYV(co_await read_by_blocks(begin, wanted));
    } else if (begin + read.value() < std::min(begin + wanted, end_bytes_)) {
        co_return failure(errc::unreadable, "the file became shorter while it was read")
            .in_file(path_)
            .at_byte(begin + read.value())
            .advise("nothing was changed; look for who else writes to the directory");
    }
    const std::uint64_t size = std::min(wanted, end_bytes_ - begin);
    window_.bytes = buffer_.bytes().first(size);
    window_.position_bytes = begin;
    window_.is_last = begin + size == end_bytes_;
    co_return success();
}

// The large read failed: block by block the good parts are found and the bad place gets its name.
net::awaitable<detailed<void>> window_reader::read_by_blocks(std::uint64_t begin_bytes,
                                                             std::uint64_t wanted_bytes) {
    const std::uint64_t block = file_.block_size_bytes();
    for (std::uint64_t done = 0; done < wanted_bytes; done += block) {
        const auto into = buffer_.bytes().subspan(done, block);
        auto read = co_await io::read(file_, into, begin_bytes + done);
        if (read) {
            continue;
        }
        if (planted(planted_bug::read_error_taken_for_torn)) {
            std::memset(into.data(), 0, into.size());
            continue;
        }
        const std::uint64_t bad = begin_bytes + done;
        co_return failure(errc::unreadable, "the device cannot read bytes " + std::to_string(bad) +
                                                " to " + std::to_string(bad + block) + ": " +
                                                read.error().message())
            .in_file(path_)
            .at_byte(bad)
            .advise("nothing was changed; try again, or put a copy of the directory on another "
                    "device");
    }
    co_return success();
}

net::awaitable<detailed<segment_scan>> scan_segment(window_reader& reader,
                                                    format::scan_params params,
                                                    format::offset_index_builder* index) {
    params.commit_size_bytes_max =
        std::max<std::uint64_t>(reader.length_bytes(), common_commit_bytes);
    segment_scan scan;
    scan.length_bytes = reader.length_bytes();
    format::segment_scanner scanner(params);
    auto scanned = co_await scan_prefix(reader, params, scanner, index);
    reader.end_at(reader.length_bytes());
    scan.prefix = scanner.prefix();
    scan.data_end_bytes = scan.prefix.end_position_bytes;
    if (scanned) {
        const format::scan_event end = scanner.next(reader.window());
        scan.why = end.why;
        scan.header_error = scanner.header_error();
        scan.has_header = scanner.header().has_value();
        if (scan.why == format::scan_end::compressed) {
            // the newest segment is never compressed by us
            scan.header_error = errc::unsupported_version;
        }
        scan.is_expected_header_at_end = scanner.is_expected_header_at_end();
        if (scan.has_header && params.log_id &&
            scanner.header()->version != format::segment_version::v1) {
            // Native segments are of version 1: this header is damaged, and nothing after it was
            // read rightly.
            scan.has_header = false;
            scan.prefix = {};
            scan.prefix.next = params.expected_begin;
            scan.prefix.last_crc = params.previous_crc;  // the segment that takes its place goes on
            scan.why = format::scan_end::bad_header;
            scan.header_error = errc::not_a_segment;
        }
        scanned = co_await look_behind(reader, params, scan);
        reader.end_at(reader.length_bytes());
    }
    if (!scanned) {
        if (scanned.error().code() != errc::unreadable) {
            co_return std::move(scanned).error();
        }
        scan.unreadable = std::move(scanned).error();
    }
    co_return std::move(scan);
}

net::awaitable<detailed<std::optional<segment_scan>>> read_marked_end(window_reader& reader,
                                                                      format::scan_params params,
                                                                      format::clean_mark mark) {
    constexpr std::uint64_t header_bytes = format::layout::segment_header::size_bytes;
    const std::optional<segment_scan> differs;
    format::byte_need need{0, header_bytes};
    BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
    const auto header = format::decode_segment_header(reader.window().from(0));
    if (!header || header.value().version != format::segment_version::v1) {
        co_return differs;
    }
    segment_scan scan;
    scan.has_header = true;
    scan.length_bytes = mark.length_bytes;
    scan.data_end_bytes = mark.length_bytes;
    scan.prefix.end_position_bytes = mark.length_bytes;
    scan.prefix.next = params.expected_begin;
    scan.prefix.last_crc = mark.last_crc;
    if (mark.last_commit_position_bytes == 0) {
        const bool is_in_order = mark.length_bytes == header_bytes &&
                                 params.previous_crc.value_or(mark.last_crc) == mark.last_crc;
        co_return is_in_order ? std::optional(std::move(scan)) : differs;
    }
    if (mark.last_commit_position_bytes < header_bytes ||
        mark.last_commit_position_bytes >= mark.length_bytes) {
        co_return differs;
    }
    // Scanned as a segment that begins here: the same checks, without the link to a commit that was
    // not read.
    const auto commit_bytes = mark.length_bytes - mark.last_commit_position_bytes;
    need = {mark.last_commit_position_bytes, commit_bytes};
    BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
    const auto bytes = reader.window().from(mark.last_commit_position_bytes);
    const auto commit = format::decode_commit(bytes, format::segment_version::v1, commit_bytes);
    if (!commit || commit.value().begin < params.expected_begin) {
        co_return differs;
    }
    params.expected_begin = commit.value().begin;
    params.previous_crc.reset();
    params.commit_size_bytes_max = std::max<std::uint64_t>(commit_bytes, common_commit_bytes);
    format::segment_scanner scanner(params, format::segment_version::v1,
                                    mark.last_commit_position_bytes);
    const format::scan_event event = scanner.next(reader.window());
    const format::segment_prefix& prefix = scanner.prefix();
    if (event.step != format::scan_step::commit || prefix.end_position_bytes != mark.length_bytes ||
        prefix.last_crc != mark.last_crc) {
        co_return differs;
    }
    scan.prefix = prefix;
    co_return std::optional(std::move(scan));
}

net::awaitable<detailed<orphan_content>> look_for_trailer(window_reader& reader, log_offset begin) {
    format::scan_params params;
    params.expected_begin = begin;
    params.commit_size_bytes_max =
        std::max<std::uint64_t>(reader.length_bytes(), common_commit_bytes);
    format::segment_scanner scanner(params);
    format::byte_need need{0, window_bytes};
    for (;;) {
        BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
        const format::scan_event event = scanner.next(reader.window());
        if (event.step == format::scan_step::need_bytes) {
            need = event.need;
            continue;
        }
        if (event.step == format::scan_step::end) {
            co_return orphan_content::none;
        }
        const bool is_ours = format::decode_trailer(event.commit).has_value() &&
                             format::decode_records(event.commit).has_value();
        co_return is_ours ? orphan_content::native : orphan_content::raw;
    }
}

}  // namespace caisson::log_detail
