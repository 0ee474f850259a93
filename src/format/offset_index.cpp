// The offset index: building by the reference's rule, reading without trust.

#include "format/offset_index.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "format/layout.hpp"

namespace caisson::format {

namespace entry_at = layout::index_entry;

void encode_index_entry(std::span<std::byte> into, const index_entry& entry) noexcept {
    store_le<std::uint64_t>(into.data() + entry_at::key_at, entry.key.value());
    store_le<std::uint64_t>(into.data() + entry_at::position_at, entry.position_bytes);
}

bool offset_index_builder::add_commit(log_offset begin, std::uint64_t position_bytes,
                                      std::uint64_t size_bytes) {
    if (!entries_.empty())
        CAISSON_ASSERT(begin > entries_.back().key);
    gathered_bytes_ += size_bytes;
    if (!pending_ && begin.value() != 0) {
        pending_ = index_entry{begin, position_bytes};
    }
    if (!pending_ || gathered_bytes_ < interval_bytes_ || entries_.size() >= capacity_) {
        return false;
    }
    entries_.push_back(*pending_);
    pending_.reset();
    gathered_bytes_ = 0;
    return true;
}

std::vector<std::byte> offset_index_builder::encode() const {
    std::vector<std::byte> bytes(static_cast<std::size_t>(capacity_) * entry_at::size_bytes,
                                 std::byte{0});
    std::span<std::byte> rest = bytes;
    for (const index_entry& entry : entries_) {
        encode_index_entry(rest, entry);
        rest = rest.subspan(entry_at::size_bytes);
    }
    return bytes;
}

std::optional<offset_index_view> offset_index_view::parse(
    std::span<const std::byte> bytes) noexcept {
    if (bytes.size() % entry_at::size_bytes != 0) {
        return std::nullopt;
    }
    offset_index_view view(bytes.data(), 0);
    std::uint64_t last_key = 0;
    std::uint64_t last_position = layout::segment_header::size_bytes - 1;
    for (std::size_t i = 0; i < bytes.size() / entry_at::size_bytes; ++i) {
        const index_entry entry = view.at(i);
        if (entry.key.value() == 0) {
            break;
        }
        if (entry.key.value() <= last_key || entry.position_bytes <= last_position) {
            return std::nullopt;
        }
        last_key = entry.key.value();
        last_position = entry.position_bytes;
        ++view.entry_count_;
    }
    return view;
}

index_entry offset_index_view::at(std::size_t i) const noexcept {
    const std::byte* const from = from_ + i * entry_at::size_bytes;
    return {log_offset{load_le<std::uint64_t>(from + entry_at::key_at)},
            load_le<std::uint64_t>(from + entry_at::position_at)};
}

std::optional<index_entry> offset_index_view::find(log_offset wanted) const noexcept {
    std::size_t low = 0;
    // entries below `low` have keys <= wanted, those from `high` on have not
    std::size_t high = entry_count_;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (at(middle).key <= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return std::nullopt;
    }
    return at(low - 1);
}

}  // namespace caisson::format
