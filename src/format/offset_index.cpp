// The offset index: building by the reference's rule, reading without trust.

#include "format/offset_index.hpp"

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "format/layout.hpp"

#include <algorithm>
#include <utility>

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

void offset_index_builder::put_before(const offset_index_view* older) {
    const std::optional<index_entry> first = entries_.empty() ? pending_ : entries_.front();
    if (!first) {
        return;
    }
    std::uint64_t indexed_end_bytes = layout::segment_header::size_bytes;
    if (older != nullptr && older->size() > 0) {
        const index_entry last = older->at(older->size() - 1);
        if (last.key < first->key && last.position_bytes < first->position_bytes) {
            std::vector<index_entry> all;
            all.reserve(older->size() + entries_.size() + 1);
            for (std::size_t i = 0; i < older->size(); ++i) {
                all.push_back(older->at(i));
            }
            all.insert(all.end(), entries_.begin(), entries_.end());
            entries_ = std::move(all);
            indexed_end_bytes = last.position_bytes;
        }
    }
    // Else a log that is opened for a few records at a time would never get an entry.
    if (pending_ == first && first->position_bytes - indexed_end_bytes >= interval_bytes_ &&
        entries_.size() < capacity_) {
        entries_.push_back(*first);
        pending_.reset();
    }
}

std::vector<std::byte> offset_index_builder::encode() const {
    const std::size_t entry_count = std::max(static_cast<std::size_t>(capacity_), entries_.size());
    std::vector<std::byte> bytes(entry_count * entry_at::size_bytes, std::byte{0});
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
