#pragma once
// process: an engine, its log, and the coroutines that use it as a server would: writers, readers,
// a client that reads everything after opening, an inspector beside it. Tells the oracle what it
// did and saw. Knows the public interface only.

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>
#include <caisson/sim.hpp>

#include "base/prng.hpp"
#include "simulation/oracle.hpp"
#include "simulation/swarm.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace caisson::sim {

constexpr const char* log_path = "/log";

/// What one process did, and what it found that must not be.
struct process_tally {
    std::string complaint;      ///< empty: nothing
    std::uint64_t appends = 0;  ///< calls made
    std::uint64_t rotations = 0;
};

/// What this process is to do and what it may meet.
struct process_plan {
    bool is_faulty = false;          ///< faults may come: its appends, and its opening, may fail
    bool is_space_limited = false;   ///< appends may be refused for want of space
    bool full_disk_poisons = false;  ///< space cannot be reserved: want of it shows at a write
    bool only_opens = false;         ///< opens, reads everything, and does no more
    /// Before it a process only opened the log: this opening finds nothing to do.
    bool is_second_open = false;
    bool has_direct = true;  ///< direct I/O: recovery writes nothing again
    bool closes = false;     ///< once its writers are done
    bool has_probes = true;  ///< looks at the disk, not only at what the log says
};

/// What this life is held against.
struct disk_state {
    std::uint64_t faults = 0;        ///< that have happened
    std::uint64_t changes = 0;       ///< operations that change a file or a name
    std::uint64_t content_hash = 0;  ///< only for a second open
};

/// Destroyed after the life's end: the world was killed, cut or came to rest.
class process {
public:
    process(world& machine, oracle& judge, const swarm& chosen, std::uint64_t seed,
            process_plan plan);

    [[nodiscard]] const process_tally& tally() const noexcept { return tally_; }
    /// Nothing more is asked of this process.
    [[nodiscard]] bool has_complaint() const noexcept { return !tally_.complaint.empty(); }
    /// Everything this process wanted to do is done (not if it was cut short).
    [[nodiscard]] bool is_finished() const noexcept { return is_finished_; }
    [[nodiscard]] bool was_refused() const noexcept { return was_refused_; }
    [[nodiscard]] bool has_recovered() const noexcept { return has_recovered_; }
    [[nodiscard]] bool has_closed() const noexcept { return has_closed_; }
    /// End of the log when the work was done.
    [[nodiscard]] log_offset end() const noexcept { return end_; }
    /// For a complaint: where the process stands.
    [[nodiscard]] std::string describe() const;

private:
    void spawn(net::awaitable<void> task);
    net::awaitable<void> serve();
    void tell_of_faults();
    void check_second_open();
    void refused(std::optional<failure> why);
    void append_failed(oracle::batch_id batch, error_code why, bool is_too_large);
    void note(std::string complaint);
    net::awaitable<bool> show_content();
    net::awaitable<void> write(std::uint64_t seed);
    net::awaitable<void> append(prng& random);
    payload make_record(prng& random);
    net::awaitable<void> pause(prng& random);
    net::awaitable<void> follow(std::uint64_t seed);
    net::awaitable<void> inspect(std::uint64_t seed);
    net::awaitable<void> look_once(verify_verdict worst);
    net::awaitable<void> finish();

    world& machine_;
    oracle& judge_;
    const swarm& swarm_;
    prng random_;
    process_plan plan_;
    process_tally tally_;
    bool is_finished_ = false;
    bool was_refused_ = false;
    bool has_recovered_ = false;
    bool has_checked_mark_ = false;
    unsigned writers_ = 0;
    log_offset end_;
    bool has_closed_ = false;
    std::optional<failure> refusal_;
    disk_state before_;  ///< when this life began
    std::optional<engine> engine_;
    std::optional<engine> inspecting_;
    log log_;
};

}  // namespace caisson::sim
