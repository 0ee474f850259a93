// What requests on an open file do to it, and how they fail.

#include "base/units.hpp"
#include "sim/device.hpp"
#include "sim/mix.hpp"

#include <algorithm>
#include <cerrno>

namespace caisson::sim {

namespace {

bool is_hit_by(const request& what, fault::effect effect) {
    return what.fate.is_hit && what.fate.what == effect;
}

/// A sync that fails and takes data along; not one that was merely interrupted.
bool drops_data(const request& what) {
    return what.data.kind == operation_kind::sync && is_hit_by(what, fault::effect::error) &&
           what.fate.error_number != ECANCELED && what.fate.error_number != EINTR;
}

}  // namespace

std::int64_t device::perform_on_file(request& what) {
    node* file = storage_.find_node(what.data.target);
    if (file == nullptr) {
        return -EBADF;
    }
    if (is_hit_by(what, fault::effect::error) && what.data.kind != operation_kind::write &&
        what.data.kind != operation_kind::sync) {
        return -what.fate.error_number;
    }
    switch (what.data.kind) {
    case operation_kind::read: return do_read(what, *file);
    case operation_kind::write: return do_write(what, *file);
    case operation_kind::sync: return do_sync(what, *file);
    case operation_kind::truncate: return do_truncate(what, *file);
    case operation_kind::allocate: return do_allocate(what, *file);
    default: return do_status(what, *file);
    }
}

// At least a block for direct I/O, a byte otherwise; less than asked where that is possible.
std::uint64_t device::shortened(const request& what, std::uint64_t bytes) {
    const bool is_cached = what.data.mode == io::open_mode::create || what.data.flag;
    const std::uint64_t unit = is_cached ? 1 : options().block_size_bytes;
    const std::uint64_t units = bytes / unit;
    return units > 1 ? unit * (1 + random_.below(units - 1)) : bytes;
}

std::int64_t device::do_read(request& what, node& file) {
    const request_data& data = what.data;
    if (data.range.begin >= file.content.length()) {
        return 0;
    }
    hurry_writes_in(what);
    std::uint64_t bytes =
        std::min<std::uint64_t>(data.into.size(), file.content.length() - data.range.begin);
    if (is_hit_by(what, fault::effect::short_count)) {
        bytes = shortened(what, bytes);
    }
    if (file.content.is_unreadable({data.range.begin, data.range.begin + bytes})) {
        return -EIO;
    }
    file.content.read(data.range.begin, data.into.first(bytes), data.flag);
    if (is_hit_by(what, fault::effect::flipped_bit) && bytes > 0) {
        const std::uint64_t position = random_.below(bytes);
        data.into[position] ^= static_cast<std::byte>(1U << random_.below(8));
    }
    return static_cast<std::int64_t>(bytes);
}

// A read beside a write sees any mixture of old and new sectors, and what it has seen stays.
void device::hurry_writes_in(const request& reader) {
    for (request* each : in_flight_) {
        const bool may_land = each->data.kind == operation_kind::write &&
                              each->data.target == reader.data.target &&
                              each->preset_outcome == 0 && !each->fate.is_hit &&
                              each->data.range.overlaps(reader.data.range);
        if (may_land) {
            land_in_part(*each, *storage_.find_node(each->data.target));
        }
    }
}

void device::land_in_part(request& what, node& file) {
    const std::uint64_t sector_bytes = options().sector_size_bytes;
    const byte_range sectors = sectors_of(what.data.range);
    const std::uint64_t count = sectors.end - sectors.begin;
    what.landed.resize(count);
    const std::uint64_t sixteenths = random_.below(17);
    for (std::uint64_t index = 0; index < count; ++index) {
        if (what.landed[index] || !random_.chance(sixteenths, 16)) {
            continue;
        }
        const std::uint64_t begin = (sectors.begin + index) * sector_bytes;
        const byte_range piece =
            byte_range{begin, begin + sector_bytes}.intersection(what.data.range);
        const auto bytes =
            what.data.from.subspan(piece.begin - what.data.range.begin, piece.end - piece.begin);
        file.content.write(storage_.next_origin(what.id), piece.begin, bytes);
        what.landed[index] = true;
    }
}

std::uint64_t device::writable_bytes(const request& what, const node& file, std::uint64_t wanted) {
    if (capacity_bytes_ == 0) {
        return wanted;
    }
    const std::uint64_t used = storage_.used_bytes();
    const std::uint64_t free = used < capacity_bytes_ ? capacity_bytes_ - used : 0;
    const std::uint64_t block = options().block_size_bytes;
    const std::uint64_t begin = what.data.range.begin;
    const auto needed = [&](std::uint64_t bytes) {
        return options().copies_on_write ? round_up(bytes, block)
                                         : file.content.allocation_needed({begin, begin + bytes});
    };
    if (needed(wanted) <= free) {
        return wanted;
    }
    if (random_.chance(1, 2)) {
        return 0;  // ext4 and XFS with direct I/O: all or nothing; others write what fits
    }
    std::uint64_t fits = round_down(wanted, block);
    while (fits > 0 && needed(fits) > free) {
        fits -= block;
    }
    return std::min(fits, wanted);
}

// Makes visible what is not yet, except where a write that was in flight beside it wins the race.
void device::land(request& what, node& file, std::span<const std::byte> bytes,
                  std::uint64_t position) {
    if (what.landed.empty() && what.raced.empty()) {
        file.content.write(storage_.next_origin(), position, bytes);
        return;
    }
    const std::uint64_t sector_bytes = options().sector_size_bytes;
    const byte_range whole{position, position + bytes.size()};
    const byte_range sectors = sectors_of(whole);
    // Of two racing writes either wins as a whole, or each wins some sectors.
    const std::uint64_t wins_of_four = what.raced.empty() ? 4 : 2 * random_.below(3);
    for (std::uint64_t sector = sectors.begin; sector < sectors.end; ++sector) {
        const std::uint64_t index = sector - sectors.begin;
        const bool is_raced =
            std::any_of(what.raced.begin(), what.raced.end(),
                        [&](byte_range each) { return each.begin <= sector && sector < each.end; });
        const bool has_landed = index < what.landed.size() && what.landed[index];
        if (has_landed || (is_raced && !random_.chance(wins_of_four, 4))) {
            continue;
        }
        const byte_range piece =
            byte_range{sector * sector_bytes, (sector + 1) * sector_bytes}.intersection(whole);
        file.content.write(storage_.next_origin(), piece.begin,
                           bytes.subspan(piece.begin - position, piece.end - piece.begin));
    }
    file.content.complete_writer(what.id, storage_.next_sequence());
}

std::int64_t device::do_write(request& what, node& file) {
    const request_data& data = what.data;
    if (hash_bytes(data.from) != what.content_hash) {
        ++counters_.buffers_changed;
    }
    if (what.is_zombie()) {
        ++counters_.zombie_writes;
    }
    if (is_hit_by(what, fault::effect::error)) {
        if (!what.fate.is_clean) {
            land_in_part(what, file);
        }
        file.content.complete_writer(what.id, storage_.next_sequence());
        return -what.fate.error_number;
    }
    std::uint64_t bytes = writable_bytes(what, file, data.from.size());
    if (bytes == 0 && !data.from.empty()) {
        return -capacity_error_;
    }
    if (is_hit_by(what, fault::effect::short_count)) {
        bytes = shortened(what, bytes);
    }
    if (is_hit_by(what, fault::effect::lost)) {
        return static_cast<std::int64_t>(bytes);
    }
    std::uint64_t position = data.range.begin;
    std::vector<std::byte> damaged;
    std::span<const std::byte> content = data.from.first(bytes);
    if (is_hit_by(what, fault::effect::misdirected)) {
        position += bytes;
    } else if (is_hit_by(what, fault::effect::flipped_bit) && bytes > 0) {
        damaged.assign(content.begin(), content.end());
        const std::uint64_t at = random_.below(bytes);
        damaged[at] ^= static_cast<std::byte>(1U << random_.below(8));
        content = damaged;
    }
    land(what, file, content, position);
    if (data.durability == io::write_mode::dsync && !options().lying_flush) {
        file.content.make_durable({position, position + bytes});
    }
    for (request* other : in_flight_) {
        const byte_range shared =
            sectors_of(data.range).intersection(sectors_of(other->data.range));
        if (other != &what && other->data.kind == operation_kind::write &&
            other->data.target == data.target && !shared.is_empty()) {
            other->raced.push_back(shared);
        }
    }
    return static_cast<std::int64_t>(bytes);
}

std::int64_t device::do_sync(request& what, node& file) {
    if (is_hit_by(what, fault::effect::error)) {
        // The kernel reports the failure once, marks the pages clean and forgets (measured on ext4,
        // XFS, btrfs).
        if (drops_data(what)) {
            file.content.drop(what.sequence_at_start);
        }
        return -what.fate.error_number;
    }
    // The error is reported to one of those who sync at the same time. It is not this one: its data
    // is gone as well, and it says that all is well.
    const bool is_swallowed =
        std::any_of(in_flight_.begin(), in_flight_.end(), [&](const auto* other) {
            return other != &what && other->data.target == what.data.target && drops_data(*other) &&
                   &other->process() == &what.process();
        });
    if (is_swallowed) {
        file.content.drop(what.sequence_at_start);
        return 0;
    }
    if (!options().lying_flush) {
        file.content.sync(what.sequence_at_start);
    }
    return 0;
}

std::int64_t device::do_truncate(request& what, node& file) {
    file.content.truncate(storage_.next_origin(), what.data.range.begin);
    return 0;
}

std::int64_t device::do_allocate(request& what, node& file) {
    if (!options().supports_allocate) {
        return -EOPNOTSUPP;
    }
    const std::uint64_t needed = file.content.allocation_needed(what.data.range);
    if (capacity_bytes_ != 0 && storage_.used_bytes() + needed > capacity_bytes_) {
        return -capacity_error_;
    }
    file.content.allocate(what.data.range);
    file.content.extend(storage_.next_origin(), what.data.range.end);
    return 0;
}

std::int64_t device::do_status(request& what, node& file) {
    auto& status = *static_cast<io::file_status*>(what.data.result);
    status.length_bytes = file.content.length();
    status.allocated_bytes = file.content.allocated_bytes();
    status.inode = what.data.target;
    status.links = file.links;
    return 0;
}

}  // namespace caisson::sim
