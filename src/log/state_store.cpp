// Reading and writing the slots of STATE.

#include "log/state_store.hpp"

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "base/units.hpp"
#include "format/names.hpp"
#include "io/await.hpp"
#include "log/directory.hpp"
#include "log/log_shared.hpp"
#include "log/recovery_refusal.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace caisson::log_detail {
namespace {

namespace at = format::layout::state;

// One write never covers more than one slot, whatever the device's block: the slots lie 64 KiB
// apart.
constexpr std::uint32_t block_bytes_max = static_cast<std::uint32_t>(at::slot_1_position_bytes);

std::uint64_t slot_write_bytes(const io::file& file) noexcept {
    return round_up(at::slot_bytes, file.block_size_bytes());
}

format::const_state_slot slot_of(const aligned_buffer& buffer) noexcept {
    return buffer.bytes().first<at::slot_bytes>();
}

}  // namespace

state_store::state_store(std::unique_ptr<io::file> file, std::string path,
                         aligned_buffer slot_bytes) noexcept
    : file_(std::move(file)), path_(std::move(path)), slot_bytes_(std::move(slot_bytes)) {}

state_store::~state_store() = default;

net::awaitable<detailed<std::unique_ptr<state_store>>> state_store::load(io::directory& root,
                                                                         bool read_only) {
    const io::open_mode mode = read_only ? io::open_mode::read_direct : io::open_mode::write_direct;
    auto file = co_await io::open(root, std::string(format::state_name), mode);
    if (!file) {
        co_return call_failed(file.error(), root.path(), format::state_name, "open the file");
    }
    CAISSON_ASSERT(file.value()->block_size_bytes() <= block_bytes_max);
    const std::uint64_t buffer_bytes = slot_write_bytes(*file.value());
    aligned_buffer buffer =
        aligned_buffer::allocate(buffer_bytes, file.value()->block_size_bytes());
    if (!buffer) {
        co_return failure(make_error_code(boost::system::errc::not_enough_memory),
                          "no memory to read the file")
            .in_file(path_of(root, format::state_name));
    }
    std::unique_ptr<state_store> store(new state_store(
        std::move(file).value(), path_of(root, format::state_name), std::move(buffer)));
    auto read = co_await store->read_slots();
    if (!read) {
        co_return std::move(read).error();
    }
    co_return std::move(store);
}

net::awaitable<detailed<void>> state_store::read_slots() {
    std::array<std::array<std::byte, at::slot_bytes>, 2> slots{};
    for (unsigned slot = 0; slot < 2; ++slot) {
        std::memset(slot_bytes_.data(), 0, slot_bytes_.size_bytes());
        const std::uint64_t position = format::state_slot_position_bytes(slot);
        // A short read leaves zeros, which are no valid slot. A slot that cannot be read is not a
        // torn one: what it holds may be newer than the other.
        auto read = co_await io::read(*file_, slot_bytes_.bytes(), position);
        if (!read && !planted(planted_bug::read_error_taken_for_torn)) {
            co_return failure(errc::unreadable,
                              "the device cannot read a slot of STATE: " + read.error().message())
                .in_file(path_)
                .at_byte(position)
                .advise("nothing was changed; try again, or put a copy of the directory on "
                        "another device");
        }
        std::memcpy(slots[slot].data(), slot_bytes_.data(), at::slot_bytes);
    }
    auto chosen = format::choose_state(slots[0], slots[1]);
    if (!chosen) {
        co_return describe_bad_state(chosen.error(), path_);
    }
    current_ = chosen.value().state;
    const unsigned other = 1 - format::state_slot_of(current_.generation);
    if (auto decoded = format::decode_state(slots[other])) {
        other_ = decoded.value();
    }
    co_return success();
}

net::awaitable<detailed<std::unique_ptr<state_store>>> state_store::create(
    io::directory& root, format::log_state first) {
    const std::string temporary(format::state_temporary_name);
    auto removed = co_await io::unlink(root, temporary);
    if (!removed) {
        co_return call_failed(removed.error(), root.path(), temporary, "remove the file");
    }
    auto file = co_await io::open(root, temporary, io::open_mode::create_direct);
    if (!file) {
        co_return call_failed(file.error(), root.path(), temporary, "create the file");
    }
    CAISSON_ASSERT(file.value()->block_size_bytes() <= block_bytes_max);
    const std::uint64_t buffer_bytes = slot_write_bytes(*file.value());
    aligned_buffer buffer =
        aligned_buffer::allocate(buffer_bytes, file.value()->block_size_bytes());
    if (!buffer) {
        co_return failure(make_error_code(boost::system::errc::not_enough_memory),
                          "no memory to write the file")
            .in_file(path_of(root, temporary));
    }
    std::unique_ptr<state_store> store(new state_store(
        std::move(file).value(), path_of(root, format::state_name), std::move(buffer)));
    store->current_ = std::move(first);
    auto written = co_await store->settle(store->current_);
    if (!written) {
        co_return std::move(written).error();
    }
    // The name comes last, and only over bytes that are there: a STATE that exists is whole.
    auto synced = co_await store->sync();
    if (!synced) {
        co_return std::move(synced).error();
    }
    auto renamed =
        co_await io::rename(root, temporary, root, std::string(format::state_name), false);
    if (!renamed) {
        co_return call_failed(renamed.error(), root.path(), temporary, "rename the file to STATE");
    }
    auto named = co_await sync_names(root);
    if (!named) {
        co_return std::move(named).error();
    }
    co_return std::move(store);
}

bool state_store::is_settled() const noexcept {
    if (!other_) {
        return false;
    }
    // A mark that only the newest slot has is a gain: without it the log is read instead of
    // trusted.
    format::log_state older = *other_;
    if (!older.mark) {
        older.mark = current_.mark;
    }
    return format::agree_in_settled_facts(current_, older);
}

net::awaitable<detailed<void>> state_store::store(format::log_state changed) {
    format::log_state comparable = current_;
    if (!comparable.mark) {
        comparable.mark = changed.mark;
    }
    CAISSON_ASSERT(format::agree_in_settled_facts(comparable, changed));
    CAISSON_ASSERT(!writing_);
    writing_ = true;
    auto written = co_await write_slot(std::move(changed));
    writing_ = false;
    co_return written;
}

net::awaitable<detailed<void>> state_store::settle(format::log_state changed) {
    CAISSON_ASSERT(!writing_);
    writing_ = true;
    auto written = co_await write_slot(changed);
    if (written && !planted(planted_bug::settled_in_one_slot)) {
        written = co_await write_slot(std::move(changed));
    }
    writing_ = false;
    co_return written;
}

// The slot that is overwritten is always the one that does not count, so a torn write leaves the
// newest state whole.
net::awaitable<detailed<void>> state_store::write_slot(format::log_state changed) {
    if (poisoned_) {
        co_return failure(errc::poisoned, "an earlier write of STATE failed")
            .in_file(path_)
            .advise("reopen the log");
    }
    changed.generation = current_.generation + 1;
    BOOST_OUTCOME_CO_TRYV(co_await put(changed));
    other_ = std::exchange(current_, std::move(changed));
    co_return success();
}

// Into the slot of its generation.
net::awaitable<detailed<void>> state_store::put(const format::log_state& what) {
    std::memset(slot_bytes_.data(), 0, slot_bytes_.size_bytes());
    format::encode_state(slot_bytes_.bytes().first<at::slot_bytes>(), what);
    CAISSON_ASSERT_SLOW(format::decode_state(slot_of(slot_bytes_)).value() == what);

    const std::uint64_t position =
        format::state_slot_position_bytes(format::state_slot_of(what.generation));
    auto written = co_await io::write(*file_, slot_bytes_.bytes(), position, io::write_mode::dsync);
    if (!written) {
        poisoned_ = true;
        co_return failure(written.error(), "cannot write STATE: " + written.error().message())
            .in_file(path_)
            .at_byte(position)
            .advise(advice_after(written.error()));
    }
    co_return success();
}

// The page cache shows what a failed sync has dropped, and another sync finds nothing to do: only
// writing it again makes it true. The slot that counts first: it may be the other one that the disk
// still goes by.
net::awaitable<detailed<void>> state_store::confirm() {
    if (!file_->is_direct()) {
        BOOST_OUTCOME_CO_TRYV(co_await put(current_));
    }
    co_return co_await sync();
}

net::awaitable<detailed<void>> state_store::sync() {
    if (poisoned_) {
        co_return failure(errc::poisoned, "an earlier write of STATE failed")
            .in_file(path_)
            .advise("reopen the log");
    }
    auto synced = co_await io::sync(*file_);
    if (!synced) {
        poisoned_ = true;
        co_return failure(synced.error(), "cannot sync STATE: " + synced.error().message())
            .in_file(path_)
            .advise(advice_after(synced.error()));
    }
    co_return success();
}

}  // namespace caisson::log_detail
