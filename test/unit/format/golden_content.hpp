#pragma once
// The log whose bytes are checked in under test/golden/v1: built from fixed values, so that every
// later build must make the same bytes. Changing it means a new version of the format.

#include "format/state.hpp"
#include "unit/format/segment_builder.hpp"

#include <array>
#include <cstddef>

namespace caisson::test {

/// Offsets 1,000 to 1,009 in four commits: several records, an empty one, padding to a block, a
/// raised epoch, groups in flight.
inline segment_builder golden_segment() {
    segment_builder segment(log_offset{1'000});
    segment.log_id = 0x0123'4567'89ab'cdef;
    segment.previous_crc = 0xcafe'f00d;
    segment.commit({"first", "second", ""});
    const auto unpadded = static_cast<std::size_t>(format::native_commit_bytes(300, 1));
    segment.commit({std::string(300, 'p')}, static_cast<std::size_t>(format::padding_to_block(
                                                segment.bytes.size(), unpadded, 512)));
    segment.epoch = 7;
    segment.is_pipelined = true;
    segment.commit({"a", "bb", "ccc", "dddd", "eeeee"});
    segment.commit({std::string("\0\x01\xff", 3)});
    return segment;
}

/// Both slots of the STATE beside it, slot 0 first: a clean close written over a state without
/// mark.
inline std::array<std::array<std::byte, format::layout::state::slot_bytes>, 2> golden_state() {
    const segment_builder segment = golden_segment();
    format::log_state state;
    state.generation = 41;
    state.log_id = segment.log_id;
    state.native_from = log_offset{500};
    state.purged_before = log_offset{600};
    state.epoch = 7;
    state.remote_end = log_offset{1'000};
    state.segment = format::newest_segment{log_offset{1'000}, 0xcafe'f00dU, 1'699'999'999'000'000};
    std::array<std::array<std::byte, format::layout::state::slot_bytes>, 2> slots;
    format::encode_state(slots[1], state);
    state.generation = 42;
    state.mark = format::clean_mark{log_offset{1'000}, segment.bytes.size(),
                                    segment.positions.back(), segment.previous_crc};
    format::encode_state(slots[0], state);
    return slots;
}

}  // namespace caisson::test
