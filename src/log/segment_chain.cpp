// Preparation runs as one coroutine, rotation as another; both belong to the task group, which
// stop() joins.

#include "log/segment_chain.hpp"

#include "base/aligned_buffer.hpp"
#include "base/assert.hpp"
#include "base/planted.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "format/segment_header.hpp"
#include "io/await.hpp"
#include "log/index_file.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace caisson::log_detail {

namespace {

/// After a refusal, how long the device is left alone before an append makes it try again.
constexpr std::uint64_t space_retry_ns = 100'000'000;

/// Not const, so that it lies where memory costs nothing until it is read, and cannot be missing.
std::span<const std::byte> zeros() {
    alignas(4096) static std::array<std::byte, zero_chunk_bytes> block{};
    return block;
}

/// Reasons to try again later rather than to give up on the log: nothing that was stored is touched
/// by them.
bool is_shortage(error_code code) noexcept {
    return code == condition::no_space || code == boost::system::errc::too_many_files_open ||
           code == boost::system::errc::too_many_files_open_in_system ||
           code == boost::system::errc::not_enough_memory;
}

}  // namespace

segment_chain::segment_chain(log_shared& shared, group_listener& listener, log_directory& directory,
                             state_store& state, segment_tail tail, last_commit last,
                             std::vector<log_offset> named, void (*room_changed)(void*),
                             void* room_listener)
    : shared_(shared),
      listener_(listener),
      directory_(directory),
      state_(state),
      room_changed_(room_changed),
      room_listener_(room_listener),
      plan_(directory.root->traits().copies_on_write),
      named_(std::move(named)),
      tasks_(shared.world.home) {
    target_ = std::make_unique<segment_file>(shared, listener, std::move(tail.file), tail.begin,
                                             tail.length_bytes, directory.root->traits());
    target_->tail = std::move(tail.tail_block);
    target_->has_commits = tail.commits > 0;
    target_->last = last;
    target_->last_commit_position_bytes = tail.last_commit_position_bytes;
    target_->index = std::move(tail.index);
    target_->is_named = true;
}

segment_chain::~segment_chain() {
    if (tasks_.running() > 0 && shared_.world.disk.powered_off()) {
        tasks_.abandon();
    }
}

failure segment_chain::trouble(const char* what, error_code code,
                               const segment_file& segment) const {
    return failure(code, std::string(what) + ": " + code.message())
        .in_file(segment.name())
        .advise(advice_after(code));
}

// ---- asking for room

bool segment_chain::refusal::holds_for(std::uint64_t bytes, std::uint64_t now_ns) const noexcept {
    return bytes_ != nothing && bytes >= bytes_ && now_ns - at_ns_ < space_retry_ns;
}

bool segment_chain::want_room(segment_file& segment, std::uint64_t end_bytes) {
    const std::uint64_t wanted_end = round_up(end_bytes, segment.file->block_size_bytes());
    const std::uint64_t missing = wanted_end - std::min(wanted_end, segment.space.allocated_end);
    forget_wish();
    if (room_refused_.holds_for(missing, shared_.world.clock.monotonic_ns())) {
        return false;
    }
    segment.space.wanted_end = wanted_end;
    start_preparing();
    return true;
}

bool segment_chain::want_next() {
    forget_wish();
    if (spare_) {
        // it is the name of the one before that is waited for: the rotation's end asks
        return true;
    }
    if (spare_refused_.holds_for(0, shared_.world.clock.monotonic_ns())) {
        return false;
    }
    next_is_wanted_ = true;
    start_preparing();
    return true;
}

void segment_chain::forget_wish() noexcept {
    target_->space.wanted_end = 0;
    if (spare_) {
        spare_->space.wanted_end = 0;
    }
    next_is_wanted_ = false;
}

void segment_chain::start_preparing() {
    if (is_stopping_) {
        return;
    }
    out_of_space_ = false;
    // One at a time; it ends when there is nothing to do, so that an idle log keeps no coroutine
    // and io_context::run can return.
    if (!std::exchange(is_preparing_, true)) {
        tasks_.spawn(prepare_loop());
    }
}

void segment_chain::on_progress() {
    if (is_preparing_ || !is_active_ || is_stopping_ || out_of_space_) {
        return;
    }
    const segment_space& space = target_->space;
    const std::uint64_t half_step = plan_.step_bytes() / 2;
    const std::uint64_t ready_end = plan_.zeroes_ahead()
                                        ? std::min(space.prepared_end, space.allocated_end)
                                        : space.allocated_end;
    if (space.submitted_end + half_step > ready_end ||
        (spare_ == nullptr && space.submitted_end + plan_.step_bytes() >= space.limit_bytes)) {
        start_preparing();
    }
}

// ---- preparing

net::awaitable<void> segment_chain::prepare_loop() {
    if (!is_active_) {
        auto dropped = co_await drop_clean_mark();
        if (dropped) {
            is_active_ = true;
            room_changed_(room_listener_);
        } else {
            shared_.health.poison(std::move(dropped).error());
        }
    }
    while (!is_stopping_ && !shared_.health.is_poisoned()) {
        const space_action action =
            out_of_space_
                ? space_action{}
                : plan_.next(target_->space, spare_ ? &spare_->space : nullptr, next_is_wanted_);
        if (action.what == space_action::kind::idle) {
            break;
        }
        segment_file* const segment = action.of_spare ? spare_.get() : target_.get();
        prepared_now_ = segment;
        auto executed = co_await execute(action);
        prepared_now_ = nullptr;
        shared_.changed.notify_all();
        if (!executed) {
            if (is_shortage(executed.error().code())) {
                if (action.what == space_action::kind::create_spare) {
                    spare_refused_.note(0, shared_.world.clock.monotonic_ns());
                }
                meet_no_space(executed.error());
            } else {
                shared_.health.poison(std::move(executed).error());
            }
        }
        room_changed_(room_listener_);
    }
    is_preparing_ = false;
}

void segment_chain::meet_no_space(const failure& cause) {
    if (shared_.counters.out_of_space == 0 && shared_.world.logger) {
        shared_.world.logger->warn("{}: no room for further records: {}", shared_.path,
                                   cause.message());
    }
    out_of_space_ = true;
    shared_.counters.out_of_space = 1;
    forget_wish();
}

void segment_chain::meet_space() noexcept {
    out_of_space_ = false;
    shared_.counters.out_of_space = 0;
}

net::awaitable<detailed<void>> segment_chain::drop_clean_mark() {
    // Before the first write since open: a mark that outlives a write would vouch for bytes it has
    // not seen. Settled in both slots, or a slot that rots would bring it back.
    has_written_ = true;
    if (!state_.current().mark) {
        co_return success();
    }
    auto changed = state_.current();
    changed.mark.reset();
    co_return co_await state_.settle(std::move(changed));
}

net::awaitable<detailed<void>> segment_chain::execute(space_action action) {
    segment_file& segment = action.of_spare && spare_ ? *spare_ : *target_;
    switch (action.what) {
    case space_action::kind::create_spare: co_return co_await create_spare(action.end_bytes);
    case space_action::kind::allocate:
        co_return co_await allocate(segment, action.begin_bytes, action.end_bytes);
    case space_action::kind::zero:
        co_return co_await zero(segment, action.begin_bytes, action.end_bytes);
    case space_action::kind::sync: co_return co_await sync_prepared(segment, action.end_bytes);
    case space_action::kind::idle: break;
    }
    co_return success();
}

net::awaitable<detailed<void>> segment_chain::create_spare(std::uint64_t reserved_bytes) {
    const std::uint64_t block_bytes = directory_.root->traits().block_size_bytes;
    aligned_buffer first_block =
        aligned_buffer::allocate(block_bytes, block_bytes, aligned_buffer::fill::zeroed);
    if (!first_block) {
        co_return failure(make_error_code(boost::system::errc::not_enough_memory),
                          "no memory for a block");
    }
    const std::string name = "next-" + std::to_string(spares_made_++);
    auto opened = co_await io::open(*directory_.spare, name, io::open_mode::create_direct);
    if (!opened) {
        co_return failure(opened.error(),
                          "cannot create the next segment: " + opened.error().message())
            .in_file(shared_.path + "/spare/" + name);
    }
    auto made = std::make_unique<segment_file>(
        shared_, listener_, std::move(opened).value(), log_offset{},
        format::layout::segment_header::size_bytes, directory_.root->traits());
    made->spare_name = name;
    if (reserved_bytes > 0) {
        // Before the first block is written: what is reserved in one piece lies in one piece, and
        // few extents fit into the inode (ext4 has room for four there). What cannot be had is
        // asked for again, with its error, when it is needed.
        const auto reserved = co_await io::allocate(*made->file, 0, reserved_bytes);
        if (reserved) {
            made->space.allocated_end = reserved_bytes;
        }
    }
    made->tail.resize(format::layout::segment_header::size_bytes);
    format::encode_segment_header(made->tail);
    // The header is durable before the file can get a name, so a named segment has a header. The
    // block is written whole, as direct I/O wants; what lies behind the header is zero.
    std::copy(made->tail.begin(), made->tail.end(), first_block.data());
    const auto written =
        co_await io::write(*made->file, first_block.bytes(), 0, io::write_mode::dsync);
    if (!written) {
        const failure cause =
            trouble("cannot write the header of the next segment", written.error(), *made);
        // Try again with a fresh file; this one is removed here or at the next open.
        made.reset();
        (void)co_await io::unlink(*directory_.spare, name);
        co_return cause;
    }
    next_is_wanted_ = false;
    spare_refused_.clear();
    meet_space();
    spare_ = std::move(made);
    co_return success();
}

net::awaitable<detailed<void>> segment_chain::allocate(segment_file& segment,
                                                       std::uint64_t begin_bytes,
                                                       std::uint64_t end_bytes) {
    const std::uint64_t block_bytes = segment.file->block_size_bytes();
    for (std::uint64_t end = end_bytes;;) {
        const auto reserved = co_await io::allocate(*segment.file, begin_bytes, end);
        if (reserved || reserved.error() == boost::system::errc::operation_not_supported) {
            // Where space cannot be reserved, zero-writing reserves it; a full disk then shows at a
            // commit's write.
            segment.space.allocated_end = end;
            room_refused_.clear();
            meet_space();
            co_return success();
        }
        // What fits still commits: try for less before giving up. The wish may have changed.
        const std::uint64_t least = std::max(segment.space.wanted_end, begin_bytes + block_bytes);
        const bool is_short = is_shortage(reserved.error());
        if (!is_short || end <= least) {
            if (is_short) {
                room_refused_.note(end - begin_bytes, shared_.world.clock.monotonic_ns());
            }
            co_return trouble("cannot reserve space", reserved.error(), segment);
        }
        end = std::max(least, begin_bytes + round_down((end - begin_bytes) / 2, block_bytes));
    }
}

net::awaitable<detailed<void>> segment_chain::zero(segment_file& segment, std::uint64_t begin_bytes,
                                                   std::uint64_t end_bytes) {
    const std::span<const std::byte> chunk = zeros().first(end_bytes - begin_bytes);
    // From here until the write has completed no commit is submitted to these blocks
    // (segment_file::start asserts it).
    segment.zeroing_begin = begin_bytes;
    segment.zeroing_end = end_bytes;
    if (!planted(planted_bug::zero_write_over_commit)) {
        CAISSON_ASSERT(begin_bytes >= segment.space.submitted_end);
    }
    const auto written =
        co_await io::write(*segment.file, chunk, begin_bytes, io::write_mode::plain);
    segment.zeroing_begin = segment.zeroing_end = 0;
    if (!written) {
        co_return trouble("cannot prepare space", written.error(), segment);
    }
    segment.space.zeroed_end = end_bytes;
    shared_.counters.zero_bytes_written += end_bytes - begin_bytes;
    co_return success();
}

net::awaitable<detailed<void>> segment_chain::sync_prepared(segment_file& segment,
                                                            std::uint64_t end_bytes) {
    // The blocks count as written only when they and their extents are on stable storage: a DSYNC
    // overwrite would otherwise have to commit the file system's journal, which is what preparing
    // avoids.
    const std::uint64_t sync_number = segment.request_sync();
    while (!segment.has_ended(sync_number) &&
           (!shared_.health.is_poisoned() || !segment.is_quiet())) {
        co_await shared_.changed.wait();
    }
    // A failure has poisoned the log, also ENOSPC: a sync reports once, and what it dropped may
    // have been a commit's plain write.
    if (!shared_.health.is_poisoned()) {
        segment.space.prepared_end = end_bytes;
    }
    co_return success();
}

// ---- rotation

segment_file& segment_chain::begin_next(log_offset first) {
    CAISSON_ASSERT(can_begin_next());
    CAISSON_ASSERT(predecessor_ == nullptr);
    predecessor_ = std::exchange(target_, std::move(spare_));
    target_->begin = first;
    tasks_.spawn(rotate());
    on_progress();
    return *target_;
}

net::awaitable<void> segment_chain::rotate() {
    auto sealed = co_await seal_predecessor();
    if (sealed) {
        sealed = co_await name_successor();
    }
    if (!sealed) {
        shared_.health.poison(std::move(sealed).error());
    } else if (!shared_.health.is_poisoned()) {
        // Acknowledgements of the new segment are held back until here.
        target_->is_named = true;
        shared_.counters.rotations += 1;
        named_.push_back(target_->begin);
        shared_.counters.segments = named_.size();
        room_changed_(room_listener_);
        co_await write_index_of(*predecessor_);
        while (planted(planted_bug::successor_named_early) && predecessor_->groups_unfinished > 0) {
            co_await shared_.changed.wait();
        }
        predecessor_.reset();
    }
    shared_.changed.notify_all();
    room_changed_(room_listener_);
}

net::awaitable<detailed<void>> segment_chain::seal_predecessor() {
    segment_file& old = *predecessor_;
    // A named successor proves its predecessor whole, so every commit of it is durable first; and
    // no zero-write may land behind the cut.
    while ((old.groups_unfinished > 0 && !planted(planted_bug::successor_named_early)) ||
           prepared_now_ == &old) {
        if (shared_.health.is_poisoned()) {
            co_return success();
        }
        co_await shared_.changed.wait();
    }
    if (!planted(planted_bug::successor_named_early)) {
        CAISSON_ASSERT(old.is_quiet());  // no other sync is in flight on it
    }
    const auto cut = co_await io::truncate(*old.file, old.end_bytes);
    if (!cut) {
        co_return trouble("cannot cut the full segment to its length", cut.error(), old);
    }
    shared_.counters.syncs_issued += 1;
    const auto synced = co_await io::sync(*old.file);
    if (!synced) {
        co_return trouble("cannot sync the full segment", synced.error(), old);
    }
    co_return success();
}

net::awaitable<detailed<void>> segment_chain::name_successor() {
    if (shared_.health.is_poisoned()) {
        co_return success();
    }
    segment_file& fresh = *target_;
    const auto renamed = co_await io::rename(*directory_.spare, fresh.spare_name, *directory_.root,
                                             format::segment_name(fresh.begin), false);
    if (!renamed) {
        co_return trouble("cannot name the next segment", renamed.error(), fresh);
    }
    if (!planted(planted_bug::no_directory_sync)) {
        // The new name, then the old one's absence: a crash between leaves both, and open empties
        // spare/.
        const auto there = co_await io::sync(*directory_.root);
        if (!there) {
            co_return trouble("cannot sync the log's directory", there.error(), fresh);
        }
        const auto gone = co_await io::sync(*directory_.spare);
        if (!gone) {
            co_return trouble("cannot sync the directory of spare files", gone.error(), fresh);
        }
    }
    if (fresh.last_commit_position_bytes == 0) {
        fresh.last = predecessor_->last;  // no commit has left to it, and perhaps none ever will
    }
    auto changed = state_.current();
    changed.segment = format::newest_segment{fresh.begin, predecessor_->last.checksum,
                                             predecessor_->last.timestamp_us};
    co_return co_await state_.store(std::move(changed));
}

net::awaitable<void> segment_chain::write_index_of(segment_file& segment) {
    if (segment.index.is_empty()) {
        co_return;  // opened after a clean close and not added to: the file stays as it is
    }
    // What was there before a clean open was not read by it: the file may know it.
    const auto older = co_await load_index(*directory_.root, segment.begin);
    segment.index.put_before(older ? &older->entries() : nullptr);
    const auto written =
        co_await log_detail::write_index(*directory_.root, segment.begin, segment.index);
    if (!written && shared_.world.logger) {
        // Derived: a reader scans instead.
        shared_.world.logger->warn("{}: cannot write the offset index: {}", segment.name(),
                                   written.error().message());
    }
}

// ---- closing

void segment_chain::release_files() noexcept {
    spare_.reset();
    predecessor_.reset();
    target_->file.reset();
}

net::awaitable<void> segment_chain::stop() {
    is_stopping_ = true;
    shared_.changed.notify_all();
    co_await tasks_.join();
}

net::awaitable<detailed<void>> segment_chain::finish() {
    CAISSON_ASSERT(!is_preparing_);
    CAISSON_ASSERT(target_->is_named);
    CAISSON_ASSERT(target_->groups_unfinished == 0);
    CAISSON_ASSERT(target_->is_quiet());
    if (has_written_) {
        const auto cut = co_await io::truncate(*target_->file, target_->end_bytes);
        if (!cut) {
            co_return trouble("cannot cut the newest segment to its length", cut.error(), *target_);
        }
        // The mark vouches for this length and these bytes; both are durable before it is written.
        const auto synced = co_await io::sync(*target_->file);
        if (!synced) {
            co_return trouble("cannot sync the newest segment", synced.error(), *target_);
        }
        co_await write_index_of(*target_);
        if (spare_) {
            const std::string name = spare_->spare_name;
            spare_.reset();
            (void)co_await io::unlink(*directory_.spare, name);  // open empties spare/ anyway
        }
    }
    if (!state_.current().mark) {
        auto changed = state_.current();
        changed.mark =
            format::clean_mark{target_->begin, target_->end_bytes,
                               target_->last_commit_position_bytes, target_->last.checksum};
        co_return co_await state_.store(std::move(changed));
    }
    co_return success();
}

}  // namespace caisson::log_detail
