// The rules by which one commit follows another.

#include "format/scan.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"

#include <algorithm>

namespace caisson::format {
namespace {

bool is_all_zero(std::span<const std::byte> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

scan_end end_for(commit_status status) noexcept {
    switch (status) {
    case commit_status::short_header: return scan_end::short_header;
    case commit_status::zero_header: return scan_end::zeros;
    case commit_status::no_records: return scan_end::no_records;
    case commit_status::offset_overflow: return scan_end::offset_overflow;
    case commit_status::too_large: return scan_end::too_large;
    case commit_status::short_body: return scan_end::truncated_commit;
    case commit_status::checksum_mismatch: return scan_end::checksum_mismatch;
    case commit_status::valid: break;
    }
    CAISSON_UNREACHABLE("a valid commit ends no scan by its status");
}

}  // namespace

error_code to_error(scan_end why) noexcept {
    switch (why) {
    case scan_end::end_of_file:
    case scan_end::zeros: return {};
    case scan_end::bad_header:
    case scan_end::compressed: return errc::not_a_segment;
    case scan_end::short_header:
    case scan_end::truncated_commit: return errc::truncated;
    case scan_end::checksum_mismatch: return errc::checksum_mismatch;
    case scan_end::duplicate_offset:
    case scan_end::forked:
    case scan_end::out_of_order: return errc::out_of_order;
    case scan_end::wrong_log: return errc::wrong_log;
    case scan_end::chain_broken: return errc::chain_broken;
    case scan_end::epoch_backwards: return errc::epoch_backwards;
    case scan_end::unsupported_trailer: return errc::unsupported_version;
    case scan_end::too_large:
    case scan_end::no_records:
    case scan_end::offset_overflow:
    case scan_end::malformed:
    case scan_end::other_version: return errc::malformed;
    }
    CAISSON_UNREACHABLE("every end has its error");
}

segment_scanner::segment_scanner(const scan_params& params) noexcept : params_(params) {
    CAISSON_ASSERT(params_.commit_size_bytes_max >= layout::native::commit_bytes_min);
    prefix_.next = params_.expected_begin;
    prefix_.epoch_max = params_.epoch;
    prefix_.last_crc = params_.previous_crc;
}

segment_scanner::segment_scanner(const scan_params& params, segment_version version,
                                 std::uint64_t position_bytes) noexcept
    : segment_scanner(params) {
    CAISSON_ASSERT(position_bytes >= layout::segment_header::size_bytes);
    header_ = segment_header{version};
    prefix_.end_position_bytes = position_bytes;
    position_bytes_ = position_bytes;
}

scan_event segment_scanner::next(const byte_window& window) noexcept {
    if (ended_) {
        return end_event();
    }
    if (!header_) {
        if (scan_event event = read_header(window); event.step != scan_step::commit) {
            return event;
        }
    }
    return read_commit(window);
}

// Gives `commit` as the sign to go on.
scan_event segment_scanner::read_header(const byte_window& window) noexcept {
    constexpr std::size_t header_bytes = layout::segment_header::size_bytes;
    if (window.position_bytes != 0 || (window.bytes.size() < header_bytes && !window.is_last)) {
        return need(0, header_bytes);
    }
    if (is_seekable_zstd(window.bytes)) {
        return stop(scan_end::compressed, {});
    }
    const auto header = decode_segment_header(window.bytes);
    if (!header) {
        header_error_ = header.error();
        return stop(scan_end::bad_header, {});
    }
    header_ = header.value();
    position_bytes_ = header_bytes;
    prefix_.end_position_bytes = header_bytes;
    scan_event go_on;
    go_on.step = scan_step::commit;
    return go_on;
}

scan_event segment_scanner::read_commit(const byte_window& window) noexcept {
    for (;;) {
        const segment_version version = header_->version;
        if (!window.covers(position_bytes_)) {
            return need(position_bytes_, commit_header_bytes(version));
        }
        const auto bytes = window.from(position_bytes_);
        if (bytes.empty() && window.is_last) {
            return stop(scan_end::end_of_file, bytes);
        }
        const commit_probe probe = probe_commit(bytes, version, params_.commit_size_bytes_max);
        if (probe.size_bytes_needed > 0 && !window.is_last) {
            return need(position_bytes_, probe.size_bytes_needed);
        }
        if (probe.status != commit_status::valid) {
            if (version == segment_version::v0 && prefix_.commits == 0) {
                if (const auto event = look_for_version_1(window)) {
                    return *event;
                }
            }
            const bool is_zero_tail =
                probe.status == commit_status::short_header && is_all_zero(bytes);
            return stop(is_zero_tail ? scan_end::zeros : end_for(probe.status), bytes);
        }
        if (is_duplicate(probe.commit)) {
            position_bytes_ += probe.commit.size_bytes;
            prefix_.end_position_bytes = position_bytes_;
            ++prefix_.duplicates;
            continue;
        }
        std::optional<native_trailer> trailer;
        if (params_.log_id) {
            if (const auto why = judge_native(probe.commit, trailer)) {
                return stop(*why, bytes);
            }
        } else if (const auto why = judge_order(probe.commit)) {
            return stop(*why, bytes);
        }
        return accept(probe.commit, trailer);
    }
}

// The reference, told to write version 0, writes its header and then commits of version 1. Read as
// version 0 the first one is a header of zeros or has n = 0: an empty log to the reference's
// readers, although it holds everything.
std::optional<scan_event> segment_scanner::look_for_version_1(const byte_window& window) noexcept {
    const auto bytes = window.from(position_bytes_);
    const commit_probe probe =
        probe_commit(bytes, segment_version::v1, params_.commit_size_bytes_max);
    if (probe.size_bytes_needed > 0 && !window.is_last) {
        return need(position_bytes_, probe.size_bytes_needed);
    }
    if (probe.status == commit_status::valid && probe.commit.begin == prefix_.next) {
        return stop(scan_end::other_version, bytes);
    }
    return std::nullopt;
}

// The log's id comes first: of a stranger's commit no other field means anything to us.
std::optional<scan_end> segment_scanner::judge_native(
    const commit_view& commit, std::optional<native_trailer>& trailer) const noexcept {
    const auto decoded = decode_trailer(commit);
    if (!decoded) {
        const bool is_newer =
            decoded.error() == errc::unsupported_version && carries_log_id(commit, *params_.log_id);
        return is_newer ? scan_end::unsupported_trailer : scan_end::malformed;
    }
    trailer = decoded.value();
    if (trailer->log_id != *params_.log_id) {
        return scan_end::wrong_log;
    }
    if (const auto why = judge_order(commit)) {
        return why;
    }
    if (prefix_.last_crc && trailer->previous_crc != *prefix_.last_crc) {
        return scan_end::chain_broken;
    }
    if (commit.epoch < prefix_.epoch_max) {
        return scan_end::epoch_backwards;
    }
    if (params_.check_records && !decode_records(commit)) {
        return scan_end::malformed;
    }
    return std::nullopt;
}

std::optional<scan_end> segment_scanner::judge_order(const commit_view& commit) const noexcept {
    if (commit.begin > prefix_.next) {
        return scan_end::out_of_order;
    }
    if (commit.begin < prefix_.next) {
        const bool repeats_last = prefix_.commits > 0 && commit.begin == last_begin_;
        return repeats_last && !params_.log_id ? scan_end::forked : scan_end::duplicate_offset;
    }
    return std::nullopt;
}

// The reference's readers skip an exact repetition of the commit before it. Our writer never makes
// one.
bool segment_scanner::is_duplicate(const commit_view& commit) const noexcept {
    return !params_.log_id && prefix_.commits > 0 && commit.begin == last_begin_ &&
           commit.crc == prefix_.last_crc;
}

scan_event segment_scanner::accept(const commit_view& commit,
                                   const std::optional<native_trailer>& trailer) noexcept {
    scan_event event;
    event.step = scan_step::commit;
    event.position_bytes = position_bytes_;
    event.commit = commit;
    event.trailer = trailer;

    if (commit.epoch < prefix_.epoch_max) {
        prefix_.is_epoch_monotone = false;
    }
    if (trailer) {
        if (trailer->timestamp_us < prefix_.last_timestamp_us) {
            prefix_.is_clock_monotone = false;
        }
        prefix_.last_timestamp_us = trailer->timestamp_us;
        prefix_.last_durable_end = trailer->durable_end;
    }
    prefix_.last_commit_position_bytes = position_bytes_;
    prefix_.last_crc = commit.crc;
    prefix_.epoch_max = std::max(prefix_.epoch_max, commit.epoch);
    prefix_.next = commit.end();
    ++prefix_.commits;
    prefix_.records += commit.record_count;
    last_begin_ = commit.begin;
    position_bytes_ += commit.size_bytes;
    prefix_.end_position_bytes = position_bytes_;
    return event;
}

scan_event segment_scanner::stop(scan_end why, std::span<const std::byte> bytes_there) noexcept {
    constexpr std::size_t offset_bytes = sizeof(std::uint64_t);
    if (header_ && bytes_there.size() >= offset_bytes) {
        const auto header =
            bytes_there.first(std::min(bytes_there.size(), commit_header_bytes(header_->version)));
        is_expected_header_at_end_ =
            load_le<std::uint64_t>(header.data()) == prefix_.next.value() && !is_all_zero(header);
    }
    ended_ = why;
    return end_event();
}

scan_event segment_scanner::end_event() const noexcept {
    scan_event event;
    event.step = scan_step::end;
    event.position_bytes = prefix_.end_position_bytes;
    event.why = *ended_;
    return event;
}

scan_event segment_scanner::need(std::uint64_t position_bytes,
                                 std::uint64_t size_bytes_min) noexcept {
    scan_event event;
    event.step = scan_step::need_bytes;
    event.need = {position_bytes, size_bytes_min};
    return event;
}

}  // namespace caisson::format
