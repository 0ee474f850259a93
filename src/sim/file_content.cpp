#include "sim/file_content.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <cstring>

namespace caisson::sim {

namespace {

void copy_or_zero(const std::vector<std::byte>& from, std::uint64_t position,
                  std::span<std::byte> into) {
    std::size_t present = 0;
    if (position < from.size()) {
        present = std::min<std::size_t>(into.size(), from.size() - position);
        std::memcpy(into.data(), from.data() + position, present);
    }
    std::fill(into.begin() + static_cast<std::ptrdiff_t>(present), into.end(), std::byte{0});
}

void zero_bytes(std::vector<std::byte>& bytes, byte_range range) {
    const byte_range present = range.intersection({0, bytes.size()});
    if (!present.is_empty()) {
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(present.begin),
                  bytes.begin() + static_cast<std::ptrdiff_t>(present.end), std::byte{0});
    }
}

}  // namespace

byte_range file_content::sectors_of(byte_range bytes) const noexcept {
    return {bytes.begin / sector_bytes_, (bytes.end + sector_bytes_ - 1) / sector_bytes_};
}

std::span<const std::byte> file_content::bytes_of(const change& data,
                                                  std::uint64_t sector) const noexcept {
    const std::uint64_t begin = data.bytes_begin + (sector - data.sectors.begin) * sector_bytes_;
    return std::span(*data.bytes).subspan(begin, sector_bytes_);
}

void file_content::put(std::vector<std::byte>& where, std::uint64_t position,
                       std::span<const std::byte> bytes) const {
    if (where.size() < position + bytes.size()) {
        where.resize(position + bytes.size());
    }
    std::memcpy(where.data() + position, bytes.data(), bytes.size());
}

void file_content::read(std::uint64_t position, std::span<std::byte> into, bool cached) const {
    copy_or_zero(visible_, position, into);
    if (!cached) {
        return;
    }
    const byte_range wanted{position, position + into.size()};
    for (const change& ghost : ghosts_) {
        for (std::uint64_t sector = ghost.sectors.begin; sector < ghost.sectors.end; ++sector) {
            const std::uint64_t sector_begin = sector * sector_bytes_;
            const byte_range shared =
                wanted.intersection({sector_begin, sector_begin + sector_bytes_});
            if (!shared.is_empty()) {
                const auto source = bytes_of(ghost, sector).subspan(shared.begin - sector_begin);
                std::memcpy(into.data() + (shared.begin - position), source.data(),
                            shared.end - shared.begin);
            }
        }
    }
}

bool file_content::is_unreadable(byte_range bytes) const noexcept {
    const byte_range sectors = sectors_of(bytes);
    return std::any_of(unreadable_sectors_.begin(), unreadable_sectors_.end(),
                       [&](byte_range bad) { return bad.overlaps(sectors); });
}

void file_content::write(const change_origin& origin, std::uint64_t position,
                         std::span<const std::byte> bytes) {
    if (bytes.empty()) {
        return;
    }
    const byte_range written{position, position + bytes.size()};
    change data;
    data.origin = origin;
    data.sectors = sectors_of(written);
    data.length = written.end;
    // A part of a sector is written by rewriting the whole sector, as the page cache does.
    std::vector<std::byte> whole((data.sectors.end - data.sectors.begin) * sector_bytes_);
    const std::uint64_t whole_begin = data.sectors.begin * sector_bytes_;
    if (whole.size() != bytes.size()) {
        copy_or_zero(visible_, whole_begin, whole);
    }
    std::memcpy(whole.data() + (position - whole_begin), bytes.data(), bytes.size());
    put(visible_, whole_begin, whole);
    data.bytes = std::make_shared<const std::vector<std::byte>>(std::move(whole));

    subtract_from_data(ghosts_, data.sectors);
    if (!unreadable_sectors_.empty()) {
        subtract(unreadable_sectors_, data.sectors);
    }
    allocate(written);
    changes_.push_back(std::move(data));
    extend(origin, written.end);
}

void file_content::make_durable(byte_range bytes) {
    const byte_range sectors = sectors_of(bytes);
    const std::uint64_t begin = sectors.begin * sector_bytes_;
    std::vector<std::byte> content((sectors.end - sectors.begin) * sector_bytes_);
    copy_or_zero(visible_, begin, content);
    put(durable_, begin, content);
    const std::uint64_t end = std::min(bytes.end, length_);
    durable_length_ = std::max(durable_length_, end);
    subtract_from_data(changes_, sectors);
    // A cut that is not yet durable must not take these bytes with it when it becomes so.
    for (change& earlier : changes_) {
        if (earlier.what == change::kind::cut) {
            subtract(earlier.zeroed, {begin, begin + content.size()});
            earlier.length = std::max(earlier.length, end);
        }
    }
}

void file_content::truncate(const change_origin& origin, std::uint64_t length_bytes) {
    if (length_bytes >= length_) {
        extend(origin, length_bytes);
        return;
    }
    change cut;
    cut.what = change::kind::cut;
    cut.origin = origin;
    cut.length = length_bytes;
    cut.zeroed = {{length_bytes, UINT64_MAX}};
    apply(cut, visible_, length_);
    changes_.push_back(std::move(cut));
    subtract_from_data(ghosts_, {sectors_of({0, length_bytes}).end, UINT64_MAX});
    const std::uint64_t blocks_left = round_up(length_bytes, block_bytes_) / block_bytes_;
    blocks_.resize(std::min<std::size_t>(blocks_.size(), blocks_left));
}

void file_content::extend(const change_origin& origin, std::uint64_t length_bytes) {
    if (length_bytes <= length_) {
        return;
    }
    change growth;
    growth.what = change::kind::growth;
    growth.origin = origin;
    growth.length = length_bytes;
    length_ = length_bytes;
    changes_.push_back(std::move(growth));
}

void file_content::complete_writer(std::uint64_t writer, std::uint64_t covered_from) {
    for (change& made : changes_) {
        if (made.origin.writer == writer) {
            made.origin.writer = 0;
            made.origin.covered_from = covered_from;
        }
    }
}

void file_content::apply(const change& what, std::vector<std::byte>& bytes,
                         std::uint64_t& length) const {
    switch (what.what) {
    case change::kind::data:
        put(bytes, what.sectors.begin * sector_bytes_,
            std::span(*what.bytes)
                .subspan(what.bytes_begin,
                         (what.sectors.end - what.sectors.begin) * sector_bytes_));
        break;
    case change::kind::growth: length = std::max(length, what.length); break;
    case change::kind::cut:
        for (const byte_range& zeroed : what.zeroed) {
            zero_bytes(bytes, zeroed);
        }
        length = what.length;
        break;
    }
}

void file_content::subtract_from_data(std::vector<change>& from, byte_range sectors) const {
    const auto is_hit = [&](const change& each) {
        return each.what == change::kind::data && each.sectors.overlaps(sectors);
    };
    if (std::none_of(from.begin(), from.end(), is_hit)) {
        return;
    }
    std::vector<change> left;
    for (change& each : from) {
        if (!is_hit(each)) {
            left.push_back(std::move(each));
            continue;
        }
        if (each.sectors.begin < sectors.begin) {
            left.push_back(each);
            left.back().sectors.end = sectors.begin;
            left.back().length = std::min(each.length, sectors.begin * sector_bytes_);
        }
        if (sectors.end < each.sectors.end) {
            left.push_back(each);
            left.back().bytes_begin += (sectors.end - each.sectors.begin) * sector_bytes_;
            left.back().sectors.begin = sectors.end;
        }
    }
    from = std::move(left);
}

void file_content::sync(std::uint64_t sequence) {
    // Lengths are one register: when a later length change counts, the earlier ones are history.
    std::size_t lengths_end = 0;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (changes_[i].what != change::kind::data && changes_[i].origin.covered_from <= sequence) {
            lengths_end = i + 1;
        }
    }
    std::vector<change> left;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        change& each = changes_[i];
        const bool covered = each.origin.covered_from <= sequence ||
                             (each.what != change::kind::data && i < lengths_end);
        if (!covered) {
            left.push_back(std::move(each));
            continue;
        }
        apply(each, durable_, durable_length_);
        // What is durable is no longer overtaken by an older version that never was.
        if (each.what == change::kind::data) {
            // The growth may belong to another write, still in flight: what is synced is readable
            // all the same.
            durable_length_ = std::max(durable_length_, each.length);
            subtract_from_data(left, each.sectors);
        } else if (each.what == change::kind::cut) {
            for (const byte_range& zeroed : each.zeroed) {
                subtract_from_data(left,
                                   {sectors_of({0, zeroed.begin}).end, zeroed.end / sector_bytes_});
            }
        }
    }
    changes_ = std::move(left);
}

void file_content::drop(std::uint64_t sequence) {
    std::vector<change> left;
    for (change& each : changes_) {
        const bool dropped =
            each.what == change::kind::data && each.origin.covered_from <= sequence;
        if (dropped) {
            subtract_from_data(ghosts_, each.sectors);
        }
        (dropped ? ghosts_ : left).push_back(std::move(each));
    }
    changes_ = std::move(left);
    rebuild_visible();
}

void file_content::rebuild_visible() {
    const std::uint64_t length_before = length_;
    visible_ = durable_;
    length_ = durable_length_;
    for (const change& each : changes_) {
        apply(each, visible_, length_);
    }
    zero_bytes(visible_, {length_, UINT64_MAX});
    CAISSON_ASSERT(length_ == length_before);
}

void file_content::settle() {
    for (const change& each : changes_) {
        apply(each, durable_, durable_length_);
    }
    changes_.clear();
    ghosts_.clear();
}

void file_content::keep_sectors(const change& data, crash_choice& choice,
                                std::vector<bool>& written) {
    const std::uint64_t count = data.sectors.end - data.sectors.begin;
    const bool in_flight = data.origin.covered_from == change_origin::never;
    std::vector<std::byte> content(sector_bytes_);
    for (std::uint64_t index = 0; index < count; ++index) {
        if (!choice.keeps_data(data.origin.sequence, index, count)) {
            continue;
        }
        const std::uint64_t sector = data.sectors.begin + index;
        const auto wanted = bytes_of(data, sector);
        const crash_choice::garbling garbling = choice.garbles(in_flight);
        copy_or_zero(durable_, sector * sector_bytes_, content);
        for (std::size_t i = 0; i < content.size(); ++i) {
            const bool garbled =
                garbling == crash_choice::garbling::whole_sector ||
                (garbling == crash_choice::garbling::changed_bytes && content[i] != wanted[i]);
            content[i] = garbled ? choice.garbage() : wanted[i];
        }
        put(durable_, sector * sector_bytes_, content);
        if (written.size() <= sector) {
            written.resize(sector + 1);
        }
        written[sector] = true;
    }
}

void file_content::crash(crash_choice& choice) {
    const std::uint64_t length_before = durable_length_;
    std::vector<bool> written;
    for (const change& each : changes_) {
        if (each.what == change::kind::data) {
            keep_sectors(each, choice, written);
        } else if (choice.keeps_data(each.origin.sequence, 0, 1)) {
            apply(each, durable_, durable_length_);
        }
    }
    const byte_range grown = sectors_of({round_up(length_before, sector_bytes_), durable_length_});
    for (std::uint64_t sector = grown.begin; sector < grown.end; ++sector) {
        if ((sector >= written.size() || !written[sector]) && choice.leaves_stale_garbage()) {
            std::vector<std::byte> garbage(sector_bytes_);
            std::generate(garbage.begin(), garbage.end(), [&] { return choice.garbage(); });
            put(durable_, sector * sector_bytes_, garbage);
        }
    }
    if (durable_.size() > durable_length_) {
        durable_.resize(durable_length_);
    }
    changes_.clear();
    ghosts_.clear();
    visible_ = durable_;
    length_ = durable_length_;
    blocks_.resize(
        std::min<std::size_t>(blocks_.size(), round_up(length_, block_bytes_) / block_bytes_));
    allocate({0, durable_.size()});
}

std::uint64_t file_content::allocated_bytes() const noexcept {
    return static_cast<std::uint64_t>(std::count(blocks_.begin(), blocks_.end(), true)) *
           block_bytes_;
}

std::uint64_t file_content::allocation_needed(byte_range bytes) const noexcept {
    std::uint64_t needed = 0;
    for (std::uint64_t block = bytes.begin / block_bytes_; block * block_bytes_ < bytes.end;
         ++block) {
        needed += block < blocks_.size() && blocks_[block] ? 0 : block_bytes_;
    }
    return needed;
}

void file_content::allocate(byte_range bytes) {
    const std::uint64_t end = (bytes.end + block_bytes_ - 1) / block_bytes_;
    if (blocks_.size() < end) {
        blocks_.resize(end);
    }
    for (std::uint64_t block = bytes.begin / block_bytes_; block < end; ++block) {
        blocks_[block] = true;
    }
}

void file_content::corrupt(std::uint64_t position, std::byte mask) {
    for (std::vector<std::byte>* bytes : {&durable_, &visible_}) {
        if (bytes->size() <= position) {
            bytes->resize(position + 1);
        }
        (*bytes)[position] ^= mask;
    }
}

void file_content::zero(byte_range bytes) {
    zero_bytes(durable_, bytes);
    zero_bytes(visible_, bytes);
}

void file_content::make_unreadable(byte_range bytes) {
    unreadable_sectors_.push_back(sectors_of(bytes));
}

}  // namespace caisson::sim
