// The ring's tables of registered files and memory. Both are accelerations: whatever does not fit
// goes the plain way, and ring_facts says so. For lock files the table is more than that: a file
// that the ring holds stays open until the last write of a killed process has ended, and its lock
// with it.

#include "uring/ring.hpp"

#include "uring/ring_internal.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace caisson::uring {

namespace {
// the kernel's limit for one registered buffer
constexpr std::size_t buffer_bytes_max = std::size_t{1} << 30;
}  // namespace

std::optional<unsigned> ring::register_file(int descriptor, file_use use) {
    const unsigned slots = use == file_use::lock ? facts_.file_slots : facts_.file_slots / 2;
    const bool may_ask = is_on_home_thread() && !is_broken();
    const bool has_room = facts_.file_slots_used < slots && may_ask;
    const bool reuses = !free_file_slots_.empty();
    const unsigned slot = reuses ? free_file_slots_.back() : file_slots_fresh_;
    const int updated = has_room ? port_->update_file(slot, descriptor) : 0;
    if (!has_room || updated < 0) {
        if (use == file_use::lock) {
            note_unregistered_lock(updated);
        }
        return std::nullopt;
    }
    if (reuses) {
        free_file_slots_.pop_back();
    } else {
        ++file_slots_fresh_;
    }
    ++facts_.file_slots_used;
    return slot;
}

/// Said once: where one lock finds no slot, hundreds may.
void ring::note_unregistered_lock(int refused) {
    if (++facts_.locks_unregistered == 1 && state_->logger) {
        const std::string why =
            facts_.file_slots == 0 ? facts_.why_no_files
            : refused < 0 ? "the kernel refused it (errno " + std::to_string(-refused) + ")"
                          : "the ring's file table is full";
        state_->logger->warn(
            "the lock of a log is not registered with the ring: {}. Should this process be killed, "
            "its locks are given up before its last writes have landed: let them land before a "
            "successor opens the logs, or raise the limit of open files (`ulimit -n`)",
            why);
    }
    publish_description();
}

void ring::release_file(unsigned slot) {
    // On a foreign thread the slot stays taken until the ring goes: the kernel would refuse the
    // call.
    if (!is_on_home_thread() || port_->update_file(slot, -1) < 0) {
        return;
    }
    --facts_.file_slots_used;
    free_file_slots_.push_back(slot);
}

void ring::register_memory(std::span<std::byte> memory) {
    if (!claim_home() || is_broken()) {
        return;
    }
    while (!memory.empty()) {
        const std::span<std::byte> piece = memory.first(std::min(memory.size(), buffer_bytes_max));
        memory = memory.subspan(piece.size());
        if (buffers_.size() == port_->agreed().buffer_slots) {
            facts_.why_no_buffers = port_->agreed().buffer_slots == 0
                                        ? port_->agreed().why_no_buffers
                                        : "the buffer table is full";
            publish_description();
            return;
        }
        const int updated = port_->update_buffer(static_cast<unsigned>(buffers_.size()), piece);
        if (updated < 0) {
            facts_.why_no_buffers = updated == -ENOMEM ? "RLIMIT_MEMLOCK does not allow it"
                                                       : "the kernel refused it (errno " +
                                                             std::to_string(-updated) + ")";
            publish_description();
            return;
        }
        buffers_.push_back({piece.data(), piece.data() + piece.size()});
        facts_.registered_bytes += piece.size();
    }
}

std::optional<std::uint16_t> ring::registered_buffer(
    std::span<const std::byte> memory) const noexcept {
    const std::byte* const end = memory.data() + memory.size();
    for (std::size_t slot = 0; slot < buffers_.size(); ++slot) {
        if (memory.data() >= buffers_[slot].begin && end <= buffers_[slot].end) {
            return static_cast<std::uint16_t>(slot);
        }
    }
    return std::nullopt;
}

ring_facts ring::facts() const { return facts_; }

void ring::publish_description() {
    std::string now = text_of(facts_);
    const std::lock_guard guard(description_mutex_);
    description_ = std::move(now);
}

std::string ring::describe() const {
    const std::lock_guard guard(description_mutex_);
    return description_;
}

std::string text_of(const ring_facts& facts) {
    std::string text =
        "io_uring " + facts.flags + ", " + std::to_string(facts.sq_entries) + " entries";
    text += facts.file_slots > 0 ? ", registered files"
                                 : ", plain descriptors (" + facts.why_no_files + ")";
    text += facts.why_no_buffers.empty() ? ", registered buffers"
                                         : ", plain buffers (" + facts.why_no_buffers + ")";
    if (facts.locks_unregistered > 0) {
        text += ", " + std::to_string(facts.locks_unregistered) +
                " lock(s) not registered: they do not outlive a killed process's writes";
    }
    return text;
}

}  // namespace caisson::uring
