#pragma once
// operation: the completion record of one asynchronous call on the I/O seam, owned by whoever made
// the call. It lets the append path run without an allocation and without a coroutine frame per
// I/O; coroutines get the same calls through io/await.hpp. Knows nothing about disks. Read
// docs/architecture.md, "The seams".

#include <cstdint>

namespace caisson::io {

/// One asynchronous call in flight. The owner keeps it (and every buffer named in the call) alive
/// and unmoved until `on_complete` has run; the callee never touches it afterwards.
///
/// Outcome:  >= 0 is success (bytes transferred, or 0), < 0 is `-errno`.
/// Rules:    a `start_...` call never completes inline; completion runs on the home thread; every
///           started operation completes exactly once, whatever was cancelled – except in a
///           simulated power cut, where the world destroys it with `abandoned`: then memory is
///           released and nothing else happens.
class operation {
public:
    using completion = void (*)(operation& self, std::int64_t outcome) noexcept;

    /// The outcome that only a simulated power cut delivers.
    static constexpr std::int64_t abandoned = INT64_MIN;

    explicit operation(completion on_complete) noexcept : on_complete_(on_complete) {}
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

    /// Called by the disk or clock, once, never from inside the `start_...` call.
    void complete(std::int64_t outcome) noexcept { on_complete_(*this, outcome); }

    /// For the implementation that runs the operation: its own bookkeeping while the operation is
    /// in flight.
    struct implementation_slot {
        operation* next = nullptr;
        void* object = nullptr;
        std::uint64_t word = 0;
    };
    implementation_slot slot;

protected:
    ~operation() = default;

private:
    completion on_complete_;
};

}  // namespace caisson::io
