#pragma once
// forwarding_port: the kernel's ring as it is, for tests that change a part of what it does.

#include "uring/ring_port.hpp"

#include <memory>
#include <utility>

namespace caisson::test {

class forwarding_port : public uring::ring_port {
public:
    explicit forwarding_port(std::unique_ptr<uring::ring_port> kernel)
        : kernel_(std::move(kernel)) {}

    int enable() noexcept override { return kernel_->enable(); }
    bool prepare(const uring::submission& what) noexcept override { return kernel_->prepare(what); }
    int submit() noexcept override { return kernel_->submit(); }
    int submit_and_get_events() noexcept override { return kernel_->submit_and_get_events(); }
    std::size_t take(std::span<uring::arrival> into) noexcept override {
        return kernel_->take(into);
    }
    bool needs_enter() const noexcept override { return kernel_->needs_enter(); }
    bool has_overflow() const noexcept override { return kernel_->has_overflow(); }
    bool has_arrivals() const noexcept override { return kernel_->has_arrivals(); }
    void notify(bool wanted) noexcept override { kernel_->notify(wanted); }
    int event_descriptor() const noexcept override { return kernel_->event_descriptor(); }
    int update_file(unsigned slot, int descriptor) noexcept override {
        return kernel_->update_file(slot, descriptor);
    }
    int update_buffer(unsigned slot, std::span<std::byte> memory) noexcept override {
        return kernel_->update_buffer(slot, memory);
    }
    const agreement& agreed() const noexcept override { return kernel_->agreed(); }

private:
    std::unique_ptr<uring::ring_port> kernel_;
};

}  // namespace caisson::test
