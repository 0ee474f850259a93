#pragma once
// backend: what every handle of the real disk needs: the ring for data, the pool for everything
// else.

#include "io/blocking_pool.hpp"
#include "uring/ring.hpp"
#include "uring/system_calls.hpp"

#include <utility>

namespace caisson::uring {

/// Lives as long as the disk; handles refer to it.
struct backend {
    uring::ring& ring;
    io::blocking_pool& pool;

    template <class Task>
    void start_blocking(io::operation& op, Task task) {
        op.slot.object = nullptr;  // how disk::cancel tells the pool's operations from the ring's
        if (ring.admit(op)) {
            pool.start(op, std::move(task));
        }
    }
};

/// A descriptor and, if there was room, its slot in the ring's file table. Closed with the handle,
/// unless the kernel may still be using it: then it stays open to the end of the process.
class registered_descriptor {
public:
    registered_descriptor(ring& in, descriptor opened, ring::file_use use)
        : ring_(in),
          descriptor_(std::move(opened)),
          slot_(in.register_file(descriptor_.number(), use)) {}
    registered_descriptor(const registered_descriptor&) = delete;
    registered_descriptor& operator=(const registered_descriptor&) = delete;
    ~registered_descriptor() {
        if (ring_.has_lost_track()) {
            descriptor_.release();
        } else if (slot_) {
            ring_.release_file(*slot_);
        }
    }

    [[nodiscard]] int number() const noexcept { return descriptor_.number(); }
    void address(submission& what) const noexcept {
        what.file_is_slot = slot_.has_value();
        what.file = slot_ ? static_cast<std::int32_t>(*slot_) : descriptor_.number();
    }

private:
    ring& ring_;
    descriptor descriptor_;
    std::optional<unsigned> slot_;
};

}  // namespace caisson::uring
