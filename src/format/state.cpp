// STATE's codec and the choice between its slots.

#include "format/state.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/endian.hpp"

#include <caisson/errc.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace caisson::format {
namespace {

namespace at = layout::state;

bool is_all_zero(std::span<const std::byte> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

template <class T>
T load(const_state_slot slot, std::size_t position) noexcept {
    return load_le<T>(slot.data() + position);
}
log_offset load_offset(const_state_slot slot, std::size_t position) noexcept {
    return log_offset{load<std::uint64_t>(slot, position)};
}
/// A byte that is 0 or 1; anything else sets `is_sane` to false.
bool load_flag(const_state_slot slot, std::size_t position, bool& is_sane) noexcept {
    const auto value = load<std::uint8_t>(slot, position);
    is_sane = is_sane && value <= 1;
    return value == 1;
}

log_state read_fields(const_state_slot slot, bool& is_sane) noexcept {
    log_state state;
    state.generation = load<std::uint64_t>(slot, at::generation_at);
    state.log_id = load<std::uint64_t>(slot, at::log_id_at);
    state.native_from = load_offset(slot, at::native_from_at);
    state.purged_before = load_offset(slot, at::purged_before_at);
    state.epoch = load<std::uint64_t>(slot, at::epoch_at);
    state.remote_end = load_offset(slot, at::remote_end_at);
    state.block_size_bytes = load<std::uint32_t>(slot, at::block_bytes_at);
    state.role = load_flag(slot, at::role_at, is_sane) ? log_role::sink : log_role::primary;
    state.sink_synced_end = load_offset(slot, at::sink_synced_end_at);
    if (load_flag(slot, at::has_segment_at, is_sane)) {
        newest_segment segment;
        segment.begin = load_offset(slot, at::segment_begin_at);
        if (load_flag(slot, at::predecessor_known_at, is_sane)) {
            segment.predecessor_crc = load<std::uint32_t>(slot, at::predecessor_crc_at);
        }
        segment.predecessor_timestamp_us = load<std::uint64_t>(slot, at::predecessor_timestamp_at);
        state.segment = segment;
    }
    if (load_flag(slot, at::intention_at, is_sane)) {
        state.reset_target = load_offset(slot, at::reset_target_at);
    }
    if (load_flag(slot, at::has_mark_at, is_sane)) {
        state.mark = clean_mark{load_offset(slot, at::mark_segment_at),
                                load<std::uint64_t>(slot, at::mark_length_at),
                                load<std::uint64_t>(slot, at::mark_last_commit_at),
                                load<std::uint32_t>(slot, at::mark_crc_at)};
    }
    return state;
}

slot_condition condition_of(const_state_slot slot, bool is_valid) noexcept {
    if (is_valid) {
        return slot_condition::valid;
    }
    return is_all_zero(slot) ? slot_condition::empty : slot_condition::bad;
}

}  // namespace

void encode_state(state_slot into, const log_state& state) noexcept {
    CAISSON_ASSERT(std::has_single_bit(state.block_size_bytes));
    if (state.role == log_role::primary)
        CAISSON_ASSERT(state.sink_synced_end == log_offset{0});
    std::byte* const to = into.data();
    std::memset(to, 0, into.size());
    std::memcpy(to + at::magic_at, at::magic.data(), at::magic.size());
    store_le<std::uint32_t>(to + at::version_at, at::version);
    store_le<std::uint64_t>(to + at::generation_at, state.generation);
    store_le<std::uint64_t>(to + at::log_id_at, state.log_id);
    store_le<std::uint64_t>(to + at::native_from_at, state.native_from.value());
    store_le<std::uint64_t>(to + at::purged_before_at, state.purged_before.value());
    store_le<std::uint64_t>(to + at::epoch_at, state.epoch);
    store_le<std::uint64_t>(to + at::remote_end_at, state.remote_end.value());
    store_le<std::uint32_t>(to + at::block_bytes_at, state.block_size_bytes);
    store_le<std::uint8_t>(to + at::role_at, static_cast<std::uint8_t>(state.role));
    store_le<std::uint64_t>(to + at::sink_synced_end_at, state.sink_synced_end.value());
    if (state.segment) {
        store_le<std::uint8_t>(to + at::has_segment_at, 1);
        store_le<std::uint64_t>(to + at::segment_begin_at, state.segment->begin.value());
        store_le<std::uint64_t>(to + at::predecessor_timestamp_at,
                                state.segment->predecessor_timestamp_us);
        if (state.segment->predecessor_crc) {
            store_le<std::uint8_t>(to + at::predecessor_known_at, 1);
            store_le<std::uint32_t>(to + at::predecessor_crc_at, *state.segment->predecessor_crc);
        }
    }
    if (state.reset_target) {
        store_le<std::uint8_t>(to + at::intention_at, 1);
        store_le<std::uint64_t>(to + at::reset_target_at, state.reset_target->value());
    }
    if (state.mark) {
        store_le<std::uint8_t>(to + at::has_mark_at, 1);
        store_le<std::uint64_t>(to + at::mark_segment_at, state.mark->segment_begin.value());
        store_le<std::uint64_t>(to + at::mark_length_at, state.mark->length_bytes);
        store_le<std::uint64_t>(to + at::mark_last_commit_at,
                                state.mark->last_commit_position_bytes);
        store_le<std::uint32_t>(to + at::mark_crc_at, state.mark->last_crc);
    }
    store_le<std::uint32_t>(to + at::checksum_at, crc32c(into.first<at::checksum_at>()));
}

result<log_state> decode_state(const_state_slot slot) noexcept {
    if (std::memcmp(slot.data() + at::magic_at, at::magic.data(), at::magic.size()) != 0 ||
        load<std::uint32_t>(slot, at::checksum_at) != crc32c(slot.first<at::checksum_at>())) {
        return errc::checksum_mismatch;
    }
    if (load<std::uint32_t>(slot, at::version_at) != at::version ||
        load<std::uint32_t>(slot, at::features_at) != 0) {
        return errc::unsupported_version;
    }
    bool is_sane = true;
    const log_state state = read_fields(slot, is_sane);
    if (!is_sane || !std::has_single_bit(state.block_size_bytes) ||
        (state.role == log_role::primary && state.sink_synced_end != log_offset{0})) {
        return errc::malformed;
    }
    // Whatever the fields do not explain (reserved bytes, fields of absent parts) must be zero:
    // encode and compare.
    std::array<std::byte, at::slot_bytes> again;
    encode_state(again, state);
    if (std::memcmp(again.data(), slot.data(), at::slot_bytes) != 0) {
        return errc::malformed;
    }
    return state;
}

bool agree_in_settled_facts(const log_state& a, const log_state& b) noexcept {
    return a.mark == b.mark && a.reset_target == b.reset_target && a.role == b.role &&
           a.epoch == b.epoch && a.purged_before == b.purged_before &&
           a.segment.has_value() == b.segment.has_value();
}

result<chosen_state> choose_state(const_state_slot slot_0, const_state_slot slot_1) noexcept {
    const result<log_state> decoded[2] = {decode_state(slot_0), decode_state(slot_1)};
    bool is_valid[2] = {false, false};
    for (unsigned slot = 0; slot < 2; ++slot) {
        if (decoded[slot]) {
            // else a misdirected write
            is_valid[slot] = state_slot_of(decoded[slot].value().generation) == slot;
        } else if (decoded[slot].error() == errc::unsupported_version) {
            return errc::unsupported_version;
        }
    }
    if (!is_valid[0] && !is_valid[1]) {
        return errc::state_damaged;
    }
    if (is_valid[0] && is_valid[1]) {
        const log_state& first = decoded[0].value();
        const log_state& second = decoded[1].value();
        if (first.log_id != second.log_id) {
            return errc::state_damaged;
        }
        return chosen_state{first.generation > second.generation ? first : second,
                            slot_condition::valid, agree_in_settled_facts(first, second)};
    }
    const unsigned good = is_valid[0] ? 0 : 1;
    return chosen_state{decoded[good].value(), condition_of(good == 0 ? slot_1 : slot_0, false),
                        false};
}

}  // namespace caisson::format
