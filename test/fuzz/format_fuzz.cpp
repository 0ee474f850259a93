// The decoders of everything that comes from a disk, under libFuzzer. Random bytes rarely pass a
// checksum, so checksums are put right before the bytes are decoded: what lies behind them is to be
// reached. `tools/dev fuzz SECONDS`.

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/endian.hpp"
#include "format/native_codec.hpp"
#include "format/offset_index.hpp"
#include "format/state.hpp"
#include "format/survey.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace caisson::format {
namespace {

constexpr std::uint64_t commit_size_bytes_max = 1 << 16;

using bytes_view = std::span<const std::byte>;

struct commit_shape {
    std::size_t region_bytes_at;
    std::size_t header_bytes;
};

// Every commit that its own lengths allow gets the right checksum.
void correct_checksums(std::span<std::byte> segment, commit_shape shape) {
    std::size_t position = layout::segment_header::size_bytes;
    while (position + shape.header_bytes + layout::checksum_bytes <= segment.size()) {
        std::byte* const commit = segment.data() + position;
        const auto region_bytes = load_le<std::uint32_t>(commit + shape.region_bytes_at);
        const std::size_t covered = shape.header_bytes + std::size_t{region_bytes};
        if (covered + layout::checksum_bytes > segment.size() - position) {
            return;
        }
        store_le<std::uint32_t>(commit + covered, crc32c(bytes_view(commit, covered)));
        position += covered + layout::checksum_bytes;
    }
}

segment_facts survey_by_pieces(bytes_view bytes, const scan_params& params, std::size_t piece) {
    segment_survey survey(params);
    byte_window window;
    while (const auto need = survey.feed(window)) {
        const bytes_view rest = bytes.subspan(need->position_bytes);
        const std::size_t take = std::min<std::size_t>(rest.size(), need->size_bytes_min + piece);
        window = {rest.first(take), need->position_bytes, take == rest.size()};
    }
    return survey.facts();
}

void survey(bytes_view bytes, std::optional<std::uint64_t> log_id, std::size_t piece) {
    scan_params params;
    params.log_id = log_id;
    params.commit_size_bytes_max = commit_size_bytes_max;
    const segment_facts whole = survey_by_pieces(bytes, params, bytes.size());
    const segment_facts pieces = survey_by_pieces(bytes, params, piece);
    CAISSON_ASSERT(whole.prefix.end_position_bytes <= bytes.size());
    CAISSON_ASSERT(whole.why == pieces.why);
    CAISSON_ASSERT(whole.prefix.end_position_bytes == pieces.prefix.end_position_bytes);
    CAISSON_ASSERT(whole.prefix.next == pieces.prefix.next);
    CAISSON_ASSERT(whole.later_commits == pieces.later_commits);
    CAISSON_ASSERT(whole.durable_end_max == pieces.durable_end_max);
}

void decode_segment(bytes_view bytes, std::size_t piece) {
    std::vector<std::byte> segment(bytes.begin(), bytes.end());
    if (segment.size() >= layout::segment_header::size_bytes) {
        std::byte& version = segment[layout::segment_header::version_at];
        const bool is_v0 = version == std::byte{0};
        encode_segment_header(segment);
        version = is_v0 ? std::byte{0} : version;
        correct_checksums(segment, is_v0 ? commit_shape{layout::commit_v0::region_bytes_at,
                                                        layout::commit_v0::header_bytes}
                                         : commit_shape{layout::commit_v1::region_bytes_at,
                                                        layout::commit_v1::header_bytes});
    }
    survey(segment, std::nullopt, piece);
    survey(segment, 0, piece);
}

void decode_index(bytes_view bytes) {
    const auto index = offset_index_view::parse(bytes);
    for (std::size_t i = 0; index && i < index->size(); ++i) {
        const auto found = index->find(index->at(i).key);
        CAISSON_ASSERT(found.has_value());
        CAISSON_ASSERT(found->position_bytes == index->at(i).position_bytes);
    }
}

void decode_state_slot(bytes_view bytes) {
    namespace at = layout::state;
    std::array<std::byte, at::slot_bytes> slot{};
    std::copy_n(bytes.begin(), std::min(bytes.size(), slot.size()), slot.begin());
    store_le<std::uint32_t>(slot.data() + at::checksum_at,
                            crc32c(bytes_view(slot).first(at::checksum_at)));
    const auto decoded = decode_state(slot);
    if (decoded) {
        std::array<std::byte, at::slot_bytes> again{};
        encode_state(again, decoded.value());
        CAISSON_ASSERT(decode_state(again).value() == decoded.value());
    }
}

}  // namespace
}  // namespace caisson::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// The first byte chooses the decoder, the second how large the pieces are that it is fed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
    switch (data[0] % 3) {
    case 0: caisson::format::decode_segment(bytes, data[1]); break;
    case 1: caisson::format::decode_index(bytes); break;
    default: caisson::format::decode_state_slot(bytes); break;
    }
    return 0;
}
