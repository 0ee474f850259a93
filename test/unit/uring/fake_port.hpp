#pragma once
// A ring that does what the test says: completions in any order, short or failing, full queues,
// interrupted, busy or refused enters, overflow. The eventfd is a real one, so that the way through
// Asio is the real one too.

#include "uring/ring_port.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace caisson::uring::test {

/// What outlives the port, for the test to look at and to steer with.
struct fake_kernel {
    unsigned sq_entries = 8;
    unsigned cq_entries = 16;
    unsigned file_slots = 4;
    unsigned buffer_slots = 2;
    int enable_result = 0;
    int update_file_result = 0;
    int update_buffer_result = 0;
    std::deque<int> enter_results;  // taken by the next enters; when empty an enter succeeds
    // every submission completes with its length when it is taken
    bool completes_at_once = false;

    std::deque<submission> prepared;    // in the submission queue
    std::vector<submission> in_kernel;  // taken, not completed
    std::deque<arrival> arrivals;       // in the completion queue
    std::deque<arrival> overflown;      // beyond it, until the next enter
    std::map<unsigned, int> files;
    unsigned enters = 0;
    unsigned enabled = 0;
    bool is_notifying = true;
    bool is_alive = true;
    int event = -1;

    void signal() const {
        if (is_notifying) {
            const std::uint64_t one = 1;
            REQUIRE(::write(event, &one, sizeof one) == sizeof one);
        }
    }
    void arrive(arrival what) {
        (arrivals.size() < cq_entries ? arrivals : overflown).push_back(what);
        signal();
    }
    /// Completes the submission at `index` of in_kernel.
    void complete(std::size_t index, std::int32_t outcome) {
        REQUIRE(index < in_kernel.size());
        const std::uint64_t id = in_kernel[index].id;
        in_kernel.erase(in_kernel.begin() + static_cast<std::ptrdiff_t>(index));
        arrive({id, outcome});
    }
};

class fake_port final : public ring_port {
public:
    explicit fake_port(std::shared_ptr<fake_kernel> kernel) : kernel_(std::move(kernel)) {
        kernel_->event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        agreed_.flags = "FAKE";
        agreed_.sq_entries = kernel_->sq_entries;
        agreed_.cq_entries = kernel_->cq_entries;
        agreed_.file_slots = kernel_->file_slots;
        agreed_.why_no_files = kernel_->file_slots == 0 ? "no file table here" : "";
        agreed_.buffer_slots = kernel_->buffer_slots;
    }
    fake_port(const fake_port&) = delete;
    fake_port& operator=(const fake_port&) = delete;
    ~fake_port() override {
        kernel_->is_alive = false;
        ::close(kernel_->event);
    }

    int enable() noexcept override {
        ++kernel_->enabled;
        return kernel_->enable_result;
    }
    bool prepare(const submission& what) noexcept override {
        if (kernel_->prepared.size() == kernel_->sq_entries) {
            return false;
        }
        kernel_->prepared.push_back(what);
        return true;
    }
    int submit() noexcept override { return enter(); }
    int submit_and_get_events() noexcept override {
        while (!kernel_->overflown.empty() && kernel_->arrivals.size() < kernel_->cq_entries) {
            kernel_->arrivals.push_back(kernel_->overflown.front());
            kernel_->overflown.pop_front();
        }
        return enter();
    }
    std::size_t take(std::span<arrival> into) noexcept override {
        std::size_t taken = 0;
        for (; taken < into.size() && !kernel_->arrivals.empty(); ++taken) {
            into[taken] = kernel_->arrivals.front();
            kernel_->arrivals.pop_front();
        }
        return taken;
    }
    bool needs_enter() const noexcept override { return !kernel_->overflown.empty(); }
    bool has_overflow() const noexcept override { return !kernel_->overflown.empty(); }
    bool has_arrivals() const noexcept override { return !kernel_->arrivals.empty(); }
    void notify(bool wanted) noexcept override { kernel_->is_notifying = wanted; }
    int event_descriptor() const noexcept override { return kernel_->event; }
    int update_file(unsigned slot, int descriptor) noexcept override {
        if (kernel_->update_file_result == 0) {
            kernel_->files[slot] = descriptor;
        }
        return kernel_->update_file_result;
    }
    int update_buffer(unsigned, std::span<std::byte>) noexcept override {
        return kernel_->update_buffer_result;
    }
    const agreement& agreed() const noexcept override { return agreed_; }

private:
    int enter() noexcept {
        ++kernel_->enters;
        int allowed = static_cast<int>(kernel_->prepared.size());
        if (!kernel_->enter_results.empty()) {
            allowed = kernel_->enter_results.front();
            kernel_->enter_results.pop_front();
        }
        for (int i = 0; i < allowed; ++i) {
            const submission taken = kernel_->prepared.front();
            kernel_->prepared.pop_front();
            if (taken.code == opcode::cancel) {
                cancel(taken);
            } else if (kernel_->completes_at_once) {
                kernel_->arrive({taken.id, static_cast<std::int32_t>(taken.length_bytes)});
            } else {
                kernel_->in_kernel.push_back(taken);
            }
        }
        return allowed;
    }
    void cancel(const submission& what) {
        for (std::size_t i = 0; i < kernel_->in_kernel.size(); ++i) {
            if (kernel_->in_kernel[i].id == what.cancel_id) {
                kernel_->complete(i, -ECANCELED);
                kernel_->arrive({what.id, 0});
                return;
            }
        }
        kernel_->arrive({what.id, -ENOENT});
    }

    std::shared_ptr<fake_kernel> kernel_;
    agreement agreed_;
};

}  // namespace caisson::uring::test
