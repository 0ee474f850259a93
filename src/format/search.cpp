// The search behind damage: a filter of two loads a byte, then the O(1) test, then the checksum.

#include "format/search.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/endian.hpp"

#include <algorithm>
#include <limits>

namespace caisson::format {
namespace {

namespace at = layout::native;

std::size_t count_at(segment_version version) noexcept {
    return version == segment_version::v0 ? layout::commit_v0::count_at
                                          : layout::commit_v1::count_at;
}

// First byte in [from, to) that is not zero, or `to`.
const std::byte* find_nonzero(const std::byte* from, const std::byte* to) noexcept {
    // a cache line; the compiler makes vector code of the inner loop
    constexpr std::ptrdiff_t stride = 64;
    for (; to - from >= stride; from += stride) {
        std::uint64_t any = 0;
        for (std::ptrdiff_t i = 0; i < stride; i += 8) {
            any |= load_le<std::uint64_t>(from + i);
        }
        if (any != 0) {
            break;
        }
    }
    return std::find_if(from, to, [](std::byte b) { return b != std::byte{0}; });
}

}  // namespace

damage_search::damage_search(const search_params& params,
                             std::uint64_t from_position_bytes) noexcept
    : params_(params),
      position_bytes_(from_position_bytes),
      nonzero_looked_bytes_(from_position_bytes) {
    CAISSON_ASSERT(params_.commit_size_bytes_max >= at::commit_bytes_min);
}

// How far the test of one beginning looks: its commit, and the header behind it.
std::uint64_t damage_search::reach_bytes() const noexcept {
    return params_.commit_size_bytes_max + commit_header_bytes(params_.version);
}

search_event damage_search::next(const byte_window& window) noexcept {
    search_event event;
    if (is_ended_) {
        return event;
    }
    const std::uint64_t reach =
        window.is_last ? commit_overhead_bytes(params_.version) : reach_bytes();
    const bool is_covered = window.covers(position_bytes_);
    if (is_covered) {
        note_first_nonzero(window);
    }
    // Beginnings in [position, stop) can be tested with the bytes at hand; at the end of the file,
    // all there are.
    const std::uint64_t stop_bytes =
        window.end_bytes() >= reach ? window.end_bytes() - reach + 1 : 0;
    if (is_covered && position_bytes_ < stop_bytes) {
        const std::byte* const base = window.bytes.data();
        const std::byte* const stop = base + (stop_bytes - window.position_bytes);
        const std::byte* const window_end = base + window.bytes.size();
        const std::byte* place = base + (position_bytes_ - window.position_bytes);
        while ((place = next_plausible(place, stop, window_end)) < stop) {
            position_bytes_ = window.position_bytes + static_cast<std::uint64_t>(place - base);
            const auto bytes = window.from(position_bytes_);
            const auto possible = test(bytes);
            if (possible && is_valid(*possible, window)) {
                const commit_probe probe =
                    probe_commit(bytes, params_.version, params_.commit_size_bytes_max);
                CAISSON_ASSERT(probe.status == commit_status::valid);
                event.step = search_step::found;
                event.position_bytes = position_bytes_;
                event.commit = probe.commit;
                if (params_.log_id) {
                    const std::byte* const trailer =
                        &probe.commit.region.back() + 1 - at::trailer_bytes;
                    event.durable_end =
                        log_offset{load_le<std::uint64_t>(trailer + at::trailer_durable_end_at)};
                }
                position_bytes_ += probe.commit.size_bytes;
                return event;
            }
            ++place;
        }
        position_bytes_ = stop_bytes;
    }
    if (is_covered && window.is_last) {
        is_ended_ = true;
        return event;
    }
    checkpoints_.clear();
    event.step = search_step::need_bytes;
    event.need = {position_bytes_, 2 * reach_bytes()};
    return event;
}

void damage_search::note_first_nonzero(const byte_window& window) noexcept {
    if (first_nonzero_bytes_ || !window.covers(nonzero_looked_bytes_)) {
        return;
    }
    const auto bytes = window.from(nonzero_looked_bytes_);
    const std::byte* const end = bytes.data() + bytes.size();
    const std::byte* const found = find_nonzero(bytes.data(), end);
    if (found != end) {
        first_nonzero_bytes_ =
            nonzero_looked_bytes_ + static_cast<std::uint64_t>(found - bytes.data());
    }
    nonzero_looked_bytes_ = window.end_bytes();
}

// First place in [from, stop) whose offset lies in range and whose count and length are not all
// zero, or `stop`. Each place has at least a header and a checksum before `window_end`, so the
// loads stay inside.
const std::byte* damage_search::next_plausible(const std::byte* from, const std::byte* stop,
                                               const std::byte* window_end) const noexcept {
    const std::uint64_t expected = params_.expected_begin.value();
    const std::size_t count_position = count_at(params_.version);
    while (from < stop) {
        const auto offset = load_le<std::uint64_t>(from);
        if (offset - expected <= distance_records_max) {  // wraps to a huge number below `expected`
            const auto count_and_length = load_le<std::uint64_t>(from + count_position);
            if (count_and_length != 0) {
                return from;
            }
            // n cannot be zero: the nearest beginning has the next non-zero byte as the high byte
            // of its n.
            const std::byte* const nonzero = find_nonzero(from + count_position + 8, window_end);
            from = nonzero - (count_position + 1);
        } else if (offset == 0) {
            // Not 0 was expected: the nearest beginning has the next non-zero byte as its offset's
            // highest.
            from = find_nonzero(from + 8, window_end) - 7;
        } else {
            ++from;
        }
    }
    return stop;
}

/// The size of the commit that may begin here.
std::optional<std::uint64_t> damage_search::test(std::span<const std::byte> bytes) const noexcept {
    const commit_header header = decode_commit_header(bytes, params_.version);
    const std::uint64_t begin = header.begin.value();
    const std::uint64_t size_bytes =
        commit_overhead_bytes(params_.version) + std::uint64_t{header.region_bytes};
    if (header.record_count == 0 ||
        begin > std::numeric_limits<std::uint64_t>::max() - header.record_count ||
        size_bytes > params_.commit_size_bytes_max || size_bytes > bytes.size()) {
        return std::nullopt;
    }
    const std::size_t header_bytes = commit_header_bytes(params_.version);
    if (params_.log_id) {
        if (header.region_bytes <
            at::trailer_bytes + header.record_count * at::record_prefix_bytes) {
            return std::nullopt;
        }
        const std::byte* const trailer =
            bytes.data() + header_bytes + header.region_bytes - at::trailer_bytes;
        if (load_le<std::uint64_t>(trailer + at::trailer_log_id_at) != *params_.log_id ||
            trailer[at::trailer_version_at] != std::byte{at::trailer_version}) {
            return std::nullopt;
        }
    }
    return size_bytes;
}

bool damage_search::is_valid(std::uint64_t size_bytes, const byte_window& window) noexcept {
    const std::uint64_t end = position_bytes_ + size_bytes - layout::checksum_bytes;
    return checksum(window, position_bytes_, end) ==
           load_le<std::uint32_t>(window.from(end).data());
}

std::uint32_t damage_search::checksum(const byte_window& window, std::uint64_t from,
                                      std::uint64_t to) noexcept {
    const std::uint64_t size_bytes = to - from;
    if (size_bytes <= 2 * checkpoint_bytes) {
        checksummed_bytes_ += size_bytes;
        return crc32c(window.from(from).first(static_cast<std::size_t>(size_bytes)));
    }
    // crc(a b) = crc(a 0...0) ^ crc(b), with as many zeros as b is long; solved for crc(b).
    const std::uint32_t before = checksum_until(window, from);
    return checksum_until(window, to) ^ crc32c_combine(before, 0, size_bytes);
}

/// Of the window's bytes before `position_bytes`.
std::uint32_t damage_search::checksum_until(const byte_window& window,
                                            std::uint64_t position_bytes) noexcept {
    const std::uint64_t size_bytes = position_bytes - window.position_bytes;
    const std::size_t wanted = static_cast<std::size_t>(size_bytes / checkpoint_bytes);
    if (checkpoints_.empty()) {
        checkpoints_.push_back(0);
    }
    while (checkpoints_.size() <= wanted) {
        const std::size_t done = (checkpoints_.size() - 1) * checkpoint_bytes;
        checkpoints_.push_back(
            crc32c(window.bytes.subspan(done, checkpoint_bytes), checkpoints_.back()));
        checksummed_bytes_ += checkpoint_bytes;
    }
    const std::size_t at = wanted * checkpoint_bytes;
    checksummed_bytes_ += size_bytes - at;
    return crc32c(window.bytes.subspan(at, static_cast<std::size_t>(size_bytes) - at),
                  checkpoints_[wanted]);
}

}  // namespace caisson::format
