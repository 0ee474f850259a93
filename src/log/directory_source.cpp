// Names, STATE, and whose log it is.

#include "log/directory_source.hpp"

#include "base/aligned_buffer.hpp"
#include "base/crc32c.hpp"
#include "base/units.hpp"
#include "format/names.hpp"
#include "format/native_codec.hpp"
#include "log/cursor.hpp"
#include "log/directory.hpp"
#include "log/recovery_plan.hpp"
#include "log/recovery_refusal.hpp"

#include <algorithm>
#include <utility>

namespace caisson::log_detail {
namespace {

namespace at = format::layout::state;

/// A file that is not ours is not read further than this: our STATE ends with its second slot.
constexpr std::size_t state_bytes_max = at::slot_1_position_bytes + at::slot_bytes;
/// Beside a writer STATE may be met in the middle of a write more than once; hardly so often.
constexpr int looks_max = 16;

bool is_slot_byte(std::size_t position_bytes) noexcept {
    return position_bytes < at::slot_bytes || position_bytes >= at::slot_1_position_bytes;
}

format::slot_condition condition_of(std::span<const std::byte> bytes, unsigned slot,
                                    const result<format::log_state>& decoded) noexcept {
    if (decoded && format::state_slot_of(decoded.value().generation) == slot) {
        return format::slot_condition::valid;
    }
    const bool is_zero =
        std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    return is_zero ? format::slot_condition::empty : format::slot_condition::bad;
}

state_reading judge_state(std::span<const std::byte> file) {
    state_reading reading;
    reading.is_present = true;
    reading.content_crc = crc32c(file);
    const auto slot_0 =
        format::const_state_slot(file.subspan(at::slot_0_position_bytes, at::slot_bytes));
    const auto slot_1 =
        format::const_state_slot(file.subspan(at::slot_1_position_bytes, at::slot_bytes));
    reading.slots[0] = condition_of(slot_0, 0, format::decode_state(slot_0));
    reading.slots[1] = condition_of(slot_1, 1, format::decode_state(slot_1));
    auto chosen = format::choose_state(slot_0, slot_1);
    if (chosen) {
        reading.current = chosen.value().state;
    } else {
        reading.problem = chosen.error();
    }
    for (std::size_t i = 0; i < file.size(); ++i) {
        if (!is_slot_byte(i) && file[i] != std::byte{0}) {
            reading.first_stray_bytes = i;
            break;
        }
    }
    return reading;
}

directory_names sort_names(const io::directory& root, std::vector<io::directory_entry> entries) {
    directory_names names;
    std::ranges::sort(entries, {}, &io::directory_entry::name);
    for (auto& entry : entries) {
        const auto known = format::classify(entry.name);
        const bool is_file = entry.kind == io::entry_kind::file;
        using enum format::entry_role;
        names.has_remains = names.has_remains || known.role == index ||
                            known.role == spare_directory || known.role == lost_directory;
        if (auto obstacle = obstacle_in(root, entry)) {
            names.obstacles.push_back(std::move(*obstacle));
        } else if (known.role == segment && is_file) {
            names.segments.push_back(known.begin);
        } else if (known.role == index && is_file) {
            names.indexes.push_back(known.begin);
        } else if (known.role == state && is_file) {
            names.has_state = true;
        } else if (known.role == foreign || known.role == index) {
            names.strangers.push_back(std::move(entry.name));
        }
    }
    std::sort(names.segments.begin(), names.segments.end());
    std::sort(names.indexes.begin(), names.indexes.end());
    return names;
}

/// The id in the trailer of a segment's first commit, if the commit is ours from the first length
/// to the last padding.
net::awaitable<detailed<std::optional<std::uint64_t>>> sniff(io::environment& world,
                                                             io::directory& directory,
                                                             log_offset segment) {
    segment_cursor cursor(world, directory, read_ahead::first_read_bytes);
    commit_link link;
    link.expected = segment;
    std::optional<std::uint64_t> log_id;
    if (auto opened = co_await cursor.open(segment, std::nullopt, link); !opened) {
        if (opened.error().code() == boost::system::errc::no_such_file_or_directory) {
            co_return log_id;
        }
        co_return opened.error();
    }
    auto event = co_await cursor.next();
    if (event && event.value().step == format::scan_step::commit) {
        const auto trailer = format::decode_trailer(event.value().commit);
        if (trailer && format::decode_records(event.value().commit)) {
            log_id = trailer.value().log_id;
        }
    }
    co_await cursor.settle();
    co_return log_id;
}

}  // namespace

std::optional<std::uint64_t> log_id_of(const log_lineage& lineage, log_offset segment) noexcept {
    if (lineage.native_from && *lineage.native_from <= segment) {
        return lineage.log_id;
    }
    return std::nullopt;
}

directory_source::directory_source(io::environment& world,
                                   std::unique_ptr<io::directory> root) noexcept
    : world_(world), root_(std::move(root)), closed_(world.home) {}

net::awaitable<detailed<std::shared_ptr<directory_source>>> directory_source::open(
    io::environment& world, std::string path) {
    auto root = co_await open_root(world, path, false, true);
    if (!root) {
        co_return root.error();
    }
    std::shared_ptr<directory_source> source(new directory_source(world, std::move(root.value())));
    if (auto looked = co_await source->look(); !looked) {
        co_return looked.error();
    }
    const directory_names& names = source->names_;
    if (!source->state_.is_present && names.segments.empty()) {
        if (names.has_remains) {
            co_return describe_refusal(directory_verdict::refuse_state_missing, path, {});
        }
        co_return failure(errc::log_not_found, "the directory holds no log").in_file(path);
    }
    if (auto found = co_await source->find_lineage(); !found) {
        co_return found.error();
    }
    source->judge_what_counts();
    co_return source;
}

// A writer may be at work on STATE, or have made it between the looks: that none counts is what
// two looks in a row show, with the same bytes.
net::awaitable<detailed<void>> directory_source::look() {
    std::optional<state_reading> before;
    for (int look = 1; look <= looks_max; ++look) {
        if (auto state = co_await read_state(); !state) {
            co_return co_await explain_unreadable_state(state.error());
        }
        if (auto listed = co_await refresh(); !listed) {
            co_return call_failed(listed.error(), root_->path(), "", "list the directory");
        }
        const bool is_nothing =
            !state_.is_present && names_.segments.empty() && !names_.has_remains;
        const bool is_same = before && before->is_present == state_.is_present &&
                             before->content_crc == state_.content_crc;
        if (state_.current || is_nothing || is_same) {
            break;
        }
        before = state_;
    }
    co_return success();
}

net::awaitable<failure> directory_source::explain_unreadable_state(error_code why) {
    const std::string path = path_of(*root_, format::state_name);
    // Something else in its place cannot be opened as a file, for a reason that says nothing.
    if (auto listed = co_await refresh()) {
        const auto& obstacles = names_.obstacles;
        const auto found = std::ranges::find(obstacles, path, &failure::file);
        if (found != obstacles.end()) {
            co_return *found;
        }
    }
    co_return call_failed(why, root_->path(), format::state_name, "read the file");
}

void directory_source::judge_what_counts() {
    if (state_.current || (!state_.is_present && !lineage_.native_from)) {
        return;
    }
    state_problem_ = describe_reading_without_state(
        state_.is_present
            ? describe_bad_state(state_.problem, path_of(*root_, format::state_name))
            : describe_refusal(directory_verdict::refuse_state_missing, root_->path(), {}));
}

net::awaitable<void> directory_source::close() {
    close_clients();
    while (has_clients()) {
        co_await closed_.wait();
    }
    root_.reset();
}

net::awaitable<detailed<void>> directory_source::find_lineage() {
    if (const auto& state = state_.current) {
        lineage_.log_id = state->log_id;
        lineage_.native_from = state->native_from;
        co_return success();
    }
    // Without STATE only the commits tell: ours carry an id that no payload can fake.
    for (auto segment = names_.segments.rbegin(); segment != names_.segments.rend(); ++segment) {
        auto id = co_await sniff(world_, *root_, *segment);
        if (!id) {
            co_return id.error();
        }
        const bool is_newest = segment == names_.segments.rbegin();
        const bool continues =
            id.value().has_value() && (!lineage_.log_id || lineage_.log_id == id.value());
        if (!continues && !is_newest) {
            break;
        }
        if (continues) {
            lineage_.log_id = id.value();
            lineage_.native_from = *segment;
        }
    }
    co_return success();
}

log_offset directory_source::begin() const noexcept {
    const log_offset purged_before = state_.current ? state_.current->purged_before : log_offset{};
    if (names_.segments.empty()) {
        return purged_before;
    }
    // Segments wholly below it are about to be removed.
    auto first = std::upper_bound(names_.segments.begin(), names_.segments.end(), purged_before);
    if (first != names_.segments.begin()) {
        --first;
    }
    return std::max(*first, purged_before);
}

std::optional<segment_place> directory_source::locate(log_offset offset) const noexcept {
    const auto after = std::upper_bound(names_.segments.begin(), names_.segments.end(), offset);
    if (after == names_.segments.begin()) {
        return std::nullopt;
    }
    segment_place place;
    place.begin = *std::prev(after);
    if (after != names_.segments.end()) {
        place.next = *after;
    }
    return place;
}

std::optional<std::uint32_t> directory_source::crc_before(log_offset segment) const noexcept {
    return state_.current ? format::crc_before(*state_.current, segment) : std::nullopt;
}

std::optional<log_offset> directory_source::first_after(log_offset offset) const noexcept {
    const auto after = std::upper_bound(names_.segments.begin(), names_.segments.end(), offset);
    return after == names_.segments.end() ? std::nullopt : std::optional(*after);
}

std::optional<std::uint64_t> directory_source::log_id_of(log_offset segment) const noexcept {
    return log_detail::log_id_of(lineage_, segment);
}

io::task<void> directory_source::refresh() {
    BOOST_OUTCOME_CO_TRY(auto entries, co_await io::list(*root_));
    names_ = sort_names(*root_, std::move(entries));
    co_return success();
}

io::task<void> directory_source::read_state() {
    auto file =
        co_await io::open(*root_, std::string(format::state_name), io::open_mode::read_direct);
    if (!file) {
        if (file.error() == boost::system::errc::no_such_file_or_directory) {
            state_ = {};
            co_return success();
        }
        co_return file.error();
    }
    const std::size_t block_bytes =
        std::max<std::size_t>(file.value()->block_size_bytes(), at::slot_bytes);
    auto memory = aligned_buffer::allocate(round_up(state_bytes_max, block_bytes), block_bytes,
                                           aligned_buffer::fill::zeroed);
    if (!memory) {
        co_return make_error_code(boost::system::errc::not_enough_memory);
    }
    // In one read, so that the slots are of one time; block by block where that fails: a block that
    // cannot be read must not hide the other slot.
    error_code unreadable;
    std::optional<std::uint64_t> unreadable_bytes;
    if (auto whole = co_await io::read(*file.value(), memory.bytes(), 0); !whole) {
        for (std::size_t position = 0; position < state_bytes_max; position += block_bytes) {
            const auto part = memory.bytes().subspan(position, block_bytes);
            auto read = co_await io::read(*file.value(), part, position);
            if (!read) {
                unreadable = read.error();
                unreadable_bytes = unreadable_bytes.value_or(position);
                std::fill(part.begin(), part.end(), std::byte{0});
            }
        }
    }
    state_ = judge_state(memory.bytes().first(state_bytes_max));
    state_.unreadable_bytes = unreadable_bytes;
    if (!state_.current && unreadable) {
        co_return unreadable;
    }
    if (state_.current) {
        lineage_.are_trailers_proof = state_.current->role == format::log_role::primary;
        lineage_.known_durable_end = lineage_.are_trailers_proof ? state_.current->remote_end
                                                                 : state_.current->sink_synced_end;
    }
    co_return success();
}

io::task<bool> directory_source::state_contradicts(segment_end end) {
    BOOST_OUTCOME_CO_TRYV(co_await read_state());
    if (!state_.current) {
        co_return false;
    }
    const format::log_state& state = *state_.current;
    const bool is_named = state.segment && state.segment->begin == end.segment;
    co_return (end.is_header_cut_off && is_named) ||
        (state.mark && state.mark->segment_begin == end.segment &&
         is_mark_contradicted(*state.mark, end.position_bytes, end.last_crc));
}

}  // namespace caisson::log_detail
