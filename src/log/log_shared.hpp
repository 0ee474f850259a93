#pragma once
// log_shared: what the parts of one open log have in common: the world, the options, the counters,
// and its health. Knows nothing about groups or segments.

#include <caisson/failure.hpp>
#include <caisson/options.hpp>

#include "async/event.hpp"
#include "base/counter.hpp"
#include "io/environment.hpp"
#include "log/buffer_pool.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace caisson::log_detail {

struct log_counters {
    counter begin, appended_end, durable_end;
    counter records_appended, payload_bytes_appended, commits_written, bytes_written,
        padding_bytes_written;
    counter zero_bytes_written, syncs_issued, groups_in_flight, group_threshold_bytes,
        pending_bytes;
    counter appends_waiting, appends_waited, appends_outran_preparation, segments, rotations,
        clock_ahead_us;
    counter poisoned, out_of_space;
};

/// What to do once a write or sync of the log's data has failed with `why`.
inline const char* advice_after(error_code why) noexcept {
    if (why == condition::no_space) {
        return "free space (or raise the quota or file size limit), then reopen the log: recovery "
               "finds what the disk holds";
    }
    if (why == boost::system::errc::io_error) {
        // Seen on btrfs: the data had its space, the metadata of the write had none.
        return "the log takes no more appends; close it, look at the kernel's log and at the free "
               "space (btrfs reports a full file system this way too), and reopen it: recovery "
               "finds what the disk holds";
    }
    return "the log takes no more appends; close it, look at the device, and reopen it: recovery "
           "finds what the disk holds";
}

/// The first failure of a log; sticky. `report` at home only, `cause` on any thread.
class log_health {
public:
    /// Keeps the first failure and tells `listener`, once. Later ones are consequences.
    void poison(failure cause) {
        {
            const std::lock_guard guard(mutex_);
            if (cause_) {
                return;
            }
            cause_.emplace(std::move(cause));
        }
        is_poisoned_ = true;
        if (listener_ != nullptr) {
            listener_(listener_self_);
        }
    }
    [[nodiscard]] bool is_poisoned() const noexcept { return is_poisoned_; }
    [[nodiscard]] std::optional<failure> cause() const {
        const std::lock_guard guard(mutex_);
        return cause_;
    }
    void set_listener(void (*listener)(void*), void* self) noexcept {
        listener_ = listener;
        listener_self_ = self;
    }

private:
    /// held for a copy of the cause only; never on the append path
    mutable std::mutex mutex_;
    std::optional<failure> cause_;
    bool is_poisoned_ = false;  ///< home's own copy
    void (*listener_)(void*) = nullptr;
    void* listener_self_ = nullptr;
};

struct log_shared {
    log_shared(io::environment& world_, const log_options& options_, std::string path_,
               buffer_pool& buffers_)
        : world(world_),
          options(options_),
          path(std::move(path_)),
          buffers(buffers_),
          changed(world_.home) {}

    io::environment& world;
    log_options options;
    std::string path;  ///< of the directory, for messages
    buffer_pool& buffers;
    log_counters counters;
    log_health health;
    std::weak_ptr<void> owner;  ///< the log as a whole: what a posted turn keeps alive
    async::event changed;       ///< something a coroutine of this log may wait for has happened
};

}  // namespace caisson::log_detail
