#pragma once
// The simulated world: one seed gives one history of handlers, time, I/O and faults, the same on
// every machine. Crash your own server in it: build everything on `world::executor()`, step, cut
// the power, start again, compare. Knows nothing about logs. Read docs/simulation.md for what a
// crash may and may not take.

#include <caisson/config.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::io {
struct environment;
}

namespace caisson::sim {

/// Which unsynced sectors, lengths and cuts a power cut keeps.
enum class survival : std::uint8_t {
    by_seed,     ///< one of the others, drawn anew at every power cut
    nothing,     ///< only what is durable
    everything,  ///< all that was completed or on its way
    each,        ///< each sector version by itself, with `survival_percent`
    prefix,      ///< what was written before a random moment
    suffix,      ///< what was written after a random moment
};

/// Which unsynced directory changes a power cut keeps. A rename within one directory is always
/// whole.
enum class name_survival : std::uint8_t {
    by_seed,  ///< one of the others, drawn anew at every power cut
    nothing,  ///< only what is durable
    prefix,   ///< the changes before a random moment, as a journal keeps them
    subset,   ///< any subset in which every change finds the names it needs
};

/// What the world is like. The constructor gives a quiet, ordinary machine; `from_seed` an
/// unfriendly random one.
struct world_options {
    world_options() noexcept {}
    /// Draws sector size, survival modes and the distribution of latencies; leaves faults and
    /// controls off.
    [[nodiscard]] static world_options from_seed(std::uint64_t seed) noexcept;

    /// what the device writes whole or not at all: 512 or 4096
    std::uint32_t sector_size_bytes = 512;
    /// direct I/O alignment and unit of space, a power of two >= 512
    std::uint32_t block_size_bytes = 4096;
    survival data = survival::by_seed;
    std::uint32_t survival_percent = 50;
    name_survival names = name_survival::by_seed;
    /// A sector under way at the power cut may hold garbage in those bytes that the write was to
    /// change.
    bool garble_in_flight = true;
    /// Control: a sector under way or unsynced may be garbage as a whole. Breaks every log that
    ///          rewrites a block.
    bool rewrite_may_garble = false;
    /// A kept length over lost data shows garbage instead of zeros.
    bool stale_garbage = false;
    /// Control: syncs succeed and do nothing.
    bool lying_flush = false;
    /// The directory lock of a killed process stays taken until its last write has landed.
    bool lock_outlives_owner = true;

    std::uint64_t latency_ns_min = 10'000;
    std::uint64_t latency_ns_max = 200'000;
    std::uint64_t stall_ns_max = 50'000'000;  ///< how long a rare operation hangs
    std::uint32_t stalls_per_million = 1'000;
    /// How often an event of the future is taken although handlers are ready: the processor was
    /// slow.
    std::uint32_t early_events_per_million = 30'000;

    const char* file_system_name = "simulated";
    bool keeps_data = true;
    bool copies_on_write = false;  ///< also: overwriting needs free space
    bool supports_direct = true;
    bool supports_allocate = true;
    std::uint64_t wall_us_at_start = 1'700'000'000'000'000;
};

/// What was asked of the disk: by kind faults are injected and operations counted.
enum class operation_kind : std::uint8_t {
    any,  ///< for faults only: whichever
    open_root,
    open_directory,
    list,
    open,
    create,
    rename,
    unlink,
    directory_sync,
    lock,
    read,
    write,
    sync,
    truncate,
    allocate,
    status,
};
inline constexpr std::size_t operation_kind_count = 16;

/// One fault to come: hits the `nth` operation of `kind` started after `world::inject` (1 is the
/// next one).
///
/// Example: `fault(operation_kind::sync, 3).fails_with(EIO)`.
class fault {
public:
    enum class effect : std::uint8_t {
        /// the operation fails; a write may have landed in part, a failed sync drops its data
        error,
        stuck,        ///< never completes, whatever is cancelled
        short_count,  ///< transfers less than asked, at least one block
        lost,         ///< a write reports success and does nothing
        misdirected,  ///< a write lands one length further
        flipped_bit,  ///< one bit of what is read or written is wrong
        slow,         ///< takes `stall_ns_max`
    };

    explicit fault(operation_kind kind, std::uint64_t nth = 1) noexcept : kind_(kind), nth_(nth) {}
    fault&& fails_with(int error_number) && {
        effect_ = effect::error;
        error_ = error_number;
        return std::move(*this);
    }
    fault&& does(effect what) && {
        effect_ = what;
        return std::move(*this);
    }
    /// Only operations on a file or directory of this name (last component; the old name of a
    /// rename).
    fault&& on(std::string name) && {
        name_ = std::move(name);
        return std::move(*this);
    }
    /// Also every later one.
    fault&& from_then_on() && {
        lasts_ = true;
        return std::move(*this);
    }

    [[nodiscard]] operation_kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::uint64_t nth() const noexcept { return nth_; }
    [[nodiscard]] effect what() const noexcept { return effect_; }
    [[nodiscard]] int error_number() const noexcept { return error_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] bool lasts() const noexcept { return lasts_; }

private:
    operation_kind kind_;
    std::uint64_t nth_;
    effect effect_ = effect::error;
    int error_ = 5;  // EIO
    std::string name_;
    bool lasts_ = false;
};

/// Faults that come by themselves, each per million operations of its kind. All zero: none.
struct fault_rates {
    fault_rates() noexcept {}
    std::uint32_t read_errors = 0;
    std::uint32_t write_errors = 0;
    std::uint32_t sync_errors = 0;
    std::uint32_t name_errors = 0;    ///< create, rename, unlink, directory sync
    std::uint32_t interruptions = 0;  ///< -EINTR or -EAGAIN from a read or write that did nothing
    std::uint32_t short_transfers = 0;
};

/// The whole content of a disk: what is durable and every change that is not. A value: copy it,
/// crash the copies.
///
/// Paths are absolute. Views: `now` is what direct reads of the running system see, `durable` what
/// survives anyhow.
class disk_image {
public:
    enum class view : std::uint8_t { now, durable };

    explicit disk_image(const world_options& options = {});
    disk_image(const disk_image& other);
    disk_image(disk_image&& other) noexcept;
    disk_image& operator=(const disk_image& other);
    disk_image& operator=(disk_image&& other) noexcept;
    ~disk_image();

    /// A power cut: chooses by `seed` among what `mode` and `names` allow; afterwards everything
    /// left is durable.
    void crash(std::uint64_t seed, survival mode, name_survival names);
    /// Makes everything durable.
    void settle();

    [[nodiscard]] std::optional<std::vector<std::byte>> read_file(std::string_view path,
                                                                  view which = view::now) const;
    /// Names in a directory, sorted; nothing when it does not exist.
    [[nodiscard]] std::optional<std::vector<std::string>> list(std::string_view path,
                                                               view which = view::now) const;
    [[nodiscard]] bool exists(std::string_view path, view which = view::now) const;

    // Crafting, durable at once. False when the path cannot be used that way.
    bool make_directory(std::string_view path);
    bool write_file(std::string_view path, std::span<const std::byte> content);
    bool make_symlink(std::string_view path);
    bool link(std::string_view existing, std::string_view added);
    bool remove(std::string_view path);
    bool set_length(std::string_view path, std::uint64_t length_bytes);

    // Damage, below every checksum of the file system. False when there is no such byte.
    bool corrupt(std::string_view path, std::uint64_t position_bytes, std::byte mask);
    bool zero(std::string_view path, std::uint64_t begin_bytes, std::uint64_t end_bytes);
    /// Reads of these sectors fail with EIO until they are written again.
    bool make_unreadable(std::string_view path, std::uint64_t begin_bytes, std::uint64_t end_bytes);

    /// Changes (sector ranges, lengths, names) that a power cut now could take.
    [[nodiscard]] std::uint64_t changes_unsynced() const noexcept;
    /// The same for equal durable contents (names and bytes), on every machine.
    [[nodiscard]] std::uint64_t durable_hash() const noexcept;

    class impl;
    [[nodiscard]] impl& internals() noexcept { return *impl_; }
    [[nodiscard]] const impl& internals() const noexcept { return *impl_; }

private:
    std::unique_ptr<impl> impl_;
};

/// What happened so far, for assertions about the code under test.
struct world_counters {
    std::uint64_t steps = 0;
    std::uint64_t operations = 0;  ///< started on the disk
    std::uint64_t operations_by_kind[operation_kind_count] = {};
    std::uint64_t power_cuts = 0;
    std::uint64_t kills = 0;
    std::uint64_t zombie_writes = 0;  ///< landed after their process was dead
    std::uint64_t races = 0;          ///< two writes in flight to one sector
    /// two syncs of one file in flight: one may hide an error
    std::uint64_t overlapping_syncs = 0;
    std::uint64_t buffers_changed = 0;  ///< a buffer was modified while a write of it was in flight
    std::uint64_t faults = 0;           ///< injected ones that happened
};

/// A machine with one disk, and the process on it. One thread. Outlives everything that was built
/// on it.
///
/// Lives: the constructor begins the first; `crash` or `kill` ends one, `power_on` begins the next.
/// Ending destroys every pending handler without running it and abandons every operation; then
/// destroy the objects that lived there.
class world {
public:
    explicit world(std::uint64_t seed, const world_options& options = {});
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    ~world();

    /// The executor of the present life. Handlers given to it run in an order chosen by the seed.
    [[nodiscard]] net::any_io_executor executor() const;
    /// The seams of the present life, for the engine. Valid until the world is destroyed, dead
    /// after the life's end.
    [[nodiscard]] io::environment& environment() noexcept;

    /// Runs one ready handler; when there is none, goes on in time to the next event. False: there
    /// is nothing to do.
    bool step();
    /// Steps until nothing is left.
    void run();
    /// Steps until `duration_ns` of virtual time are over, or nothing is left; the clock then
    /// stands at that moment.
    void run_for(std::uint64_t duration_ns);
    /// Time passes and nothing runs: the process is stopped (SIGSTOP, a paused virtual machine).
    /// What has become due meanwhile is ready at once afterwards.
    void stand_still(std::uint64_t duration_ns);
    [[nodiscard]] bool idle() const noexcept;

    [[nodiscard]] std::uint64_t now_ns() const noexcept;
    /// Moves the wall clock; the monotonic clock goes on as before.
    void jump_wall_clock(std::int64_t microseconds);

    /// Power cut. Never from inside a handler.
    void crash();
    /// As `crash()`, with this choice of what survives.
    void crash(survival mode, name_survival names);
    /// The process dies (SIGKILL), the machine goes on: what was submitted may land later, in the
    /// next life.
    void kill();
    /// Begins the next life, some time later.
    void power_on();
    /// True between the end of a life and the next one.
    [[nodiscard]] bool powered_off() const noexcept;

    void inject(fault what);
    void clear_faults();
    void set_fault_rates(const fault_rates& rates) noexcept;
    /// Space of the file system, 0 for no limit; running out gives `error_number` (default ENOSPC).
    void set_capacity(std::uint64_t bytes, int error_number = 28);
    [[nodiscard]] std::uint64_t used_bytes() const noexcept;
    void set_read_only(bool read_only) noexcept;
    /// Takes or gives back the lock on a file, as another process would.
    bool lock_from_outside(std::string_view path);
    void unlock_from_outside(std::string_view path);

    /// The disk as it is. Operations in flight are not part of it; see `snapshot`.
    [[nodiscard]] disk_image& disk() noexcept;
    /// A copy in which operations in flight are unsynced changes: what a power cut now would start
    /// from.
    [[nodiscard]] disk_image snapshot() const;
    /// Puts another content in place, made with the same sector and block size. Only while powered
    /// off.
    void replace_disk(disk_image content);

    /// Equal for equal histories: choices, times, and every operation's kind, place, bytes and
    /// outcome.
    [[nodiscard]] std::uint64_t trace_hash() const noexcept;
    [[nodiscard]] const world_counters& counters() const noexcept;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace caisson::sim
