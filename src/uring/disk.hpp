#pragma once
// disk: the machine's storage behind the seam, over one ring and one blocking pool.

#include "io/disk.hpp"
#include "uring/backend.hpp"

namespace caisson::uring {

class disk final : public io::disk {
public:
    disk(ring& on, io::blocking_pool& pool) : backend_{on, pool} {}

    void start_open_root(io::operation& op, std::string_view path, io::root_mode mode,
                         std::unique_ptr<io::directory>& into) override;
    void submit() override { backend_.ring.submit(); }
    void cancel(io::operation& op) override;
    void register_memory(std::span<std::byte> memory) override {
        backend_.ring.register_memory(memory);
    }
    std::uint64_t operations_in_flight() const noexcept override {
        return backend_.ring.operations_in_flight() + backend_.pool.jobs_in_flight();
    }

private:
    struct open_root_task;

    backend backend_;
};

}  // namespace caisson::uring
