// The workload is widened by swarm settings drawn from the seed: a bug that needs many writers,
// tiny records and a kill is rarely met by an average of everything.

#include "simulation/history.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>
#include <caisson/sim.hpp>

#include "base/prng.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "format/state.hpp"
#include "simulation/oracle.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace caisson::sim {

namespace {

using namespace caisson::literals;

constexpr unsigned crashes_per_history = 5;
constexpr unsigned appends_per_history = 200;
constexpr unsigned lives_max = 100;
constexpr unsigned inspections_per_life = 4;
constexpr const char* log_path = "/log";

/// What kind of history this seed is.
struct swarm {
    unsigned writers_max = 0;
    std::uint64_t record_bytes_max = 0;
    unsigned batch_records_max = 0;
    unsigned appends_per_writer = 0;
    std::uint64_t pause_ns_max = 0;
    bool has_readers = false;
    bool has_inspectors = false;  ///< another process verifies the directory all the while
    bool has_errors = false;      ///< I/O errors in some lives
    bool has_short_transfers = false;
    bool runs_out_of_space = false;
    bool mostly_kills = false;
    log_options options;
};

world_options world_for(std::uint64_t seed) {
    prng random(seed * 2 + 1);
    world_options options = world_options::from_seed(seed);
    options.sector_size_bytes = seed % 2 == 0 ? 512 : 4096;
    options.copies_on_write = random.below(10) == 0;
    options.supports_allocate = random.below(10) != 0;
    options.supports_direct = random.below(10) != 0;
    return options;
}

swarm swarm_for(std::uint64_t seed, prng& random, inspection inspects) {
    swarm chosen;
    // Not from `random`: looking on changes nothing in what the others draw.
    chosen.has_inspectors = inspects == inspection::always || seed % 8 == 3;
    chosen.writers_max = 1 + static_cast<unsigned>(random.below(random.below(3) == 0 ? 40 : 6));
    const std::uint64_t sizes[] = {16, 200, 3'000, 12'000};
    chosen.record_bytes_max = sizes[random.below(4)];
    chosen.batch_records_max = random.below(3) == 0 ? 5 : 1;
    chosen.appends_per_writer = 1 + static_cast<unsigned>(random.below(60));
    chosen.pause_ns_max = random.below(2) == 0 ? 0 : 400'000;
    chosen.has_readers = random.below(3) == 0;
    chosen.has_errors = random.below(4) == 0;
    chosen.has_short_transfers = random.below(4) == 0;
    chosen.runs_out_of_space = random.below(8) == 0;
    chosen.mostly_kills = random.below(4) == 0;
    // Groups beyond the size from which space is no longer zeroed and an unprepared write is DSYNC.
    const bool has_large_groups = random.below(40) == 0;
    if (has_large_groups) {
        chosen.writers_max = 30;
        chosen.record_bytes_max = 60'000;
    }
    chosen.options.segment_size_bytes = has_large_groups ? 1_MiB : 64_KiB;
    chosen.options.alignment =
        random.below(4) == 0 ? commit_alignment::block : commit_alignment::adaptive;
    chosen.options.record_size_bytes_max = 64_KiB;
    chosen.options.max_pending_bytes = random.below(3) == 0 ? 65_KiB : 1_MiB;
    return chosen;
}

std::optional<std::uint64_t> durable_length(world& machine, const std::string& name) {
    const auto content =
        machine.disk().read_file(std::string(log_path) + "/" + name, disk_image::view::durable);
    return content ? std::optional<std::uint64_t>(content->size()) : std::nullopt;
}

/// A fact that STATE took back is settled in both slots before an append is acknowledged: no slot
/// that rots may bring it back. Here: the clean mark, which every append takes back.
bool holds_clean_mark(world& machine) {
    namespace at = format::layout::state;
    const auto content =
        machine.disk().read_file(std::string(log_path) + "/STATE", disk_image::view::durable);
    for (unsigned slot = 0; content && slot < 2; ++slot) {
        const std::uint64_t position = format::state_slot_position_bytes(slot);
        if (position + at::slot_bytes > content->size()) {
            continue;
        }
        const auto bytes = std::span(*content).subspan(position).first<at::slot_bytes>();
        const auto state = format::decode_state(bytes);
        if (state && state.value().mark) {
            return true;
        }
    }
    return false;
}

/// One process: an engine, its log, and the coroutines that use it. Destroyed after the life's end.
class process {
public:
    process(world& machine, oracle& judge, const swarm& chosen, std::uint64_t seed, bool is_faulty,
            bool closes)
        : machine_(machine),
          judge_(judge),
          swarm_(chosen),
          random_(seed),
          is_faulty_(is_faulty),
          closes_(closes) {
        if (is_faulty_) {
            judge_.fault_happened();
        }
        engine_.emplace(engine::on(machine));
        if (swarm_.has_inspectors && !is_faulty_) {
            inspecting_.emplace(engine::on(machine));
            spawn(inspect(seed));
        }
        spawn(serve());
    }

    history_report tally;

    /// Nothing more is asked of this process.
    [[nodiscard]] bool has_complaint() const noexcept { return !tally.complaint.empty(); }
    /// Everything this process wanted to do is done (not if it was cut short).
    [[nodiscard]] bool is_finished() const noexcept { return is_finished_; }
    [[nodiscard]] bool was_refused() const noexcept { return was_refused_; }
    [[nodiscard]] bool has_closed() const noexcept { return has_closed_; }
    /// End of the log when the work was done.
    [[nodiscard]] log_offset end() const noexcept { return end_; }
    /// For a complaint: where the process stands.
    [[nodiscard]] std::string describe() const {
        std::string text = "writers " + std::to_string(writers_);
        if (refusal_) {
            text += ", refused: " + refusal_->message();
        }
        if (const auto cause = log_.is_open() ? log_.failure_cause() : std::nullopt) {
            text += ", poisoned: " + cause->message();
        }
        if (log_.is_open()) {
            log_.stats().visit([&](std::string_view name, std::uint64_t value) {
                text += ", " + std::string(name) + " " + std::to_string(value);
            });
        }
        return text;
    }

private:
    void spawn(net::awaitable<void> task) {
        net::co_spawn(machine_.executor(), std::move(task), [](std::exception_ptr problem) {
            if (problem != nullptr) {
                std::rethrow_exception(problem);
            }
        });
    }

    net::awaitable<void> serve() {
        open_report report;
        log_options options = swarm_.options;
        options.report = &report;
        auto opened = co_await engine_->async_open(log_path, options);
        if (!opened) {
            refusal_ = report.refused;
            judge_.refused(report.refused ? report.refused->offset() : std::nullopt);
            was_refused_ = true;
            is_finished_ = true;
            co_return;
        }
        log_ = std::move(opened).value();
        if (report.cut_bytes > 0 &&
            durable_length(machine_, report.cut_segment) != report.cut_position_bytes) {
            tally.complaint = "a cut was not durable when the log was opened";
        }
        if (!co_await show_content()) {
            is_finished_ = true;
            co_return;
        }
        writers_ = 1 + static_cast<unsigned>(random_.below(swarm_.writers_max));
        for (unsigned k = 0; k < writers_; ++k) {
            spawn(write(random_.next()));
        }
        if (swarm_.has_readers) {
            spawn(follow(random_.next()));
        }
    }

    /// Reads all there is, as a client would after opening, and tells the oracle.
    net::awaitable<bool> show_content() {
        recovered_log content;
        content.first = log_.begin();
        log_reader reader = log_.reader(log_.begin());
        for (;;) {
            auto batch = co_await reader.async_next();
            if (!batch) {
                refusal_ = reader.failure_cause();
                judge_.refused(refusal_ ? refusal_->offset() : std::nullopt);
                was_refused_ = true;
                co_return false;
            }
            if (batch.value().empty()) {
                break;
            }
            for (const auto record : batch.value()) {
                content.records.emplace_back(record.begin(), record.end());
            }
        }
        judge_.recovered(content);
        if (is_faulty_) {
            judge_.fault_happened();  // the oracle forgets faults at a recovery; this life's go on
        }
        co_return true;
    }

    net::awaitable<void> write(std::uint64_t seed) {
        prng random(seed);
        const auto appends = 1 + random.below(swarm_.appends_per_writer);
        for (std::uint64_t k = 0; k < appends && judge_.is_content(); ++k) {
            co_await pause(random);
            co_await append(random);
            judge_.durable_end_seen(log_.durable_end());
        }
        if (--writers_ == 0) {
            co_await finish();
        }
    }

    net::awaitable<void> append(prng& random) {
        std::vector<payload> records(1 + random.below(swarm_.batch_records_max));
        for (payload& record : records) {
            record = make_record(random);
        }
        std::vector<net::const_buffer> buffers;
        for (const payload& record : records) {
            buffers.emplace_back(record.data(), record.size());
        }
        const oracle::batch_id batch = judge_.submit(records);
        judge_.may_be_refused(batch);
        ++tally.appends;
        const auto outcome = co_await log_.async_append_batch(buffers);
        if (outcome) {
            judge_.acknowledged(batch, outcome.value().begin);
            if (!std::exchange(has_checked_mark_, true) && holds_clean_mark(machine_)) {
                tally.complaint =
                    "an append was acknowledged while a slot of STATE still held the clean mark";
            }
        } else if (outcome.error() == errc::outcome_unknown) {
            judge_.outcome_unknown(batch);
        } else {
            judge_.not_written(batch);
        }
    }

    /// Unique bytes of random length: their number, then what a generator makes of it.
    payload make_record(prng& random) {
        payload record(random.below(swarm_.record_bytes_max + 1));
        prng filler(random.next());
        for (std::size_t k = 0; k < record.size(); k += 8) {
            const std::uint64_t word = filler.next();
            std::memcpy(record.data() + k, &word, std::min<std::size_t>(8, record.size() - k));
        }
        return record;
    }

    net::awaitable<void> pause(prng& random) {
        if (swarm_.pause_ns_max == 0 || random.below(4) != 0) {
            co_return;
        }
        // A log of one's own time: waits on the durable end pass time too, but need something to
        // wait for.
        const std::uint64_t steps = random.below(30);
        for (std::uint64_t k = 0; k < steps; ++k) {
            co_await net::post(machine_.executor(), net::deferred);
        }
    }

    net::awaitable<void> follow(std::uint64_t seed) {
        prng random(seed);
        log_reader reader =
            log_.reader(log_.begin() + random.below(1 + (log_.durable_end() - log_.begin())));
        while (writers_ > 0) {
            auto batch = co_await reader.async_next();
            if (!batch) {
                co_return;  // closed under it, or an injected read error
            }
            if (batch.value().empty()) {
                auto more = co_await log_.async_wait_durable(batch.value().first_offset() + 1);
                if (!more) {
                    co_return;
                }
                continue;
            }
            std::vector<payload> records;
            for (const auto record : batch.value()) {
                records.emplace_back(record.begin(), record.end());
            }
            judge_.read(batch.value().first_offset(), records);
        }
    }

    /// A process of its own that looks at the directory, from before it is opened until after it
    /// was closed: whatever it meets on the way, nothing is damaged.
    net::awaitable<void> inspect(std::uint64_t seed) {
        prng random(seed);
        for (unsigned round = 0; round < inspections_per_life && !has_complaint(); ++round) {
            for (std::uint64_t left = random.below(round == 0 ? 20 : 300); left > 0; --left) {
                co_await net::post(machine_.executor(), net::deferred);
            }
            co_await look_once(verify_verdict::torn_tail);
        }
    }

    net::awaitable<void> look_once(verify_verdict worst) {
        auto view = co_await inspecting_->async_open_view(log_path);
        if (!view) {
            if (view.error() != errc::log_not_found) {
                tally.complaint = "a view could not be opened: " + view.error().message();
            }
            co_return;
        }
        if (view.value().facts().tail == tail_state::damaged) {
            tally.complaint = "a view took the tail of a sound log for damaged";
        }
        auto report = co_await view.value().async_verify();
        if (!report) {
            tally.complaint = "a verification failed: " + report.error().message();
        } else if (report.value().verdict > worst) {
            tally.complaint = "a verification complains of a sound log: " +
                              report.value().findings.front().found.message();
        }
        log_reader reader = view.value().reader(view.value().begin());
        for (bool has_more = true; has_more && !has_complaint();) {
            auto batch = co_await reader.async_next();
            if (!batch) {
                tally.complaint =
                    "a reader complains of a sound log: " +
                    (reader.failure_cause() ? reader.failure_cause()->message() : std::string());
            }
            has_more = batch && !batch.value().empty();
        }
    }

    net::awaitable<void> finish() {
        tally.rotations += log_.stats().rotations;
        end_ = log_.durable_end();
        if (closes_) {
            const auto closed = co_await log_.async_close();
            if (closed) {
                judge_.closed();
                has_closed_ = true;
            } else if (!is_faulty_ && closed.error() != errc::outcome_unknown) {
                // Past the close deadline the outcome is unknown: the seed let this process stand
                // still.
                tally.complaint = "a healthy log did not close: " + closed.error().message();
            }
            (void)co_await engine_->async_close();
        }
        if (has_closed_ && inspecting_) {
            co_await look_once(verify_verdict::clean);
        }
        is_finished_ = true;
    }

    world& machine_;
    oracle& judge_;
    const swarm& swarm_;
    prng random_;
    bool is_faulty_;
    bool closes_;
    bool is_finished_ = false;
    bool was_refused_ = false;
    bool has_checked_mark_ = false;
    unsigned writers_ = 0;
    log_offset end_;
    bool has_closed_ = false;
    std::optional<failure> refusal_;
    std::optional<engine> engine_;
    std::optional<engine> inspecting_;
    log log_;
};

/// Faults of one life. True: its appends, and its opening, may fail.
bool arm_faults(world& machine, const world_options& device, const swarm& chosen, prng& random) {
    fault_rates rates;
    bool is_faulty = false;
    if (chosen.has_short_transfers && random.below(2) == 0) {
        is_faulty = true;  // two short counts in a row are an error
        rates.short_transfers = 20'000;
        rates.interruptions = 20'000;
    }
    if (chosen.has_errors && random.below(2) == 0) {
        is_faulty = true;
        rates.read_errors = random.below(2) == 0 ? 2'000 : 100'000;
        rates.write_errors = 5'000;
        // Past the page cache recovery reads what the disk holds. Through it, what a failed sync
        // has dropped still shows after a kill: such a file system does not let anybody see the
        // truth.
        rates.sync_errors = device.supports_direct ? 10'000 : 0;
        rates.name_errors = 10'000;
    }
    machine.set_fault_rates(rates);
    if (chosen.runs_out_of_space && random.below(2) == 0) {
        machine.set_capacity(200_KiB + random.below(300) * 1024);
        // Where space cannot be reserved, a full disk shows at a commit's write, which poisons.
        is_faulty = is_faulty || device.copies_on_write || !device.supports_allocate;
    } else {
        machine.set_capacity(0);
    }
    return is_faulty;
}

void end_life(world& machine, const swarm& chosen, prng& random) {
    if (random.below(4) < (chosen.mostly_kills ? 3u : 1u)) {
        machine.kill();
    } else {
        machine.crash();
    }
}

/// Every history of this kind ends with a closed log whose newest segment loses its records to
/// zeros. The clean mark is the witness: opening must refuse and name a place in it. Empty: it did.
std::string end_in_damage(world& machine, oracle& judge, const swarm& chosen, prng& random,
                          log_offset end) {
    const auto names = machine.disk().list(log_path);
    log_offset newest;
    for (const std::string& name : *names) {
        const format::classified_name known = format::classify(name);
        newest = known.role == format::entry_role::segment ? std::max(newest, known.begin) : newest;
    }
    const std::string path = std::string(log_path) + "/" + format::segment_name(newest);
    const std::uint64_t length = machine.disk().read_file(path)->size();
    if (length == format::layout::segment_header::size_bytes) {
        return {};
    }
    machine.disk().zero(path, format::layout::segment_header::size_bytes, length);
    judge.damaged(newest, end, true);
    machine.power_on();
    process server(machine, judge, chosen, random.next(), false, false);
    while (!server.is_finished() && judge.is_content() && machine.step()) {
    }
    const bool was_refused = server.was_refused();
    machine.crash();
    return was_refused || !judge.is_content() ? std::string()
                                              : "damage with a witness was not refused";
}

}  // namespace

history_report run_history(std::uint64_t seed, inspection inspects) {
    prng random(seed);
    const swarm chosen = swarm_for(seed, random, inspects);
    const world_options device = world_for(seed);
    world machine(seed, device);
    oracle judge;
    history_report report;
    log_offset end;
    bool has_closed = false;

    for (unsigned life = 0; judge.is_content() && report.complaint.empty(); ++life) {
        const bool is_long_enough = report.appends >= appends_per_history || life >= lives_max;
        const bool is_last = report.crashes >= crashes_per_history && is_long_enough;
        bool is_faulty = false;
        if (is_last) {
            machine.set_fault_rates({});
            machine.set_capacity(0);
        } else {
            is_faulty = arm_faults(machine, device, chosen, random);
        }
        const bool closes = is_last || random.below(4) == 0;
        process server(machine, judge, chosen, random.next(), is_faulty, closes);
        // A crash at any moment, often early: in the middle of opening and recovery.
        const std::uint64_t steps =
            is_last ? UINT64_MAX : random.below(random.below(4) == 0 ? 60 : 6'000);
        std::uint64_t step = 0;
        while (step < steps && judge.is_content() && !server.is_finished() &&
               !server.has_complaint() && machine.step()) {
            ++step;
        }
        report.appends += server.tally.appends;
        report.rotations += server.tally.rotations;
        end = server.end();
        has_closed = server.has_closed();
        if (report.complaint.empty()) {
            report.complaint = server.tally.complaint;
        }
        if (is_last && !server.is_finished() && judge.is_content() && report.complaint.empty()) {
            report.complaint =
                "the last life came to rest before its work was done: " + server.describe();
        }
        if (judge.is_content()) {
            judge.crashed();
        } else {
            report.complaint = judge.complaint() + " (" + server.describe() + ")";
        }
        end_life(machine, chosen, random);
        ++report.crashes;
        if (is_last) {
            break;
        }
        machine.power_on();
    }
    if (seed % 4 == 0 && has_closed && judge.is_content() && report.complaint.empty()) {
        report.complaint = end_in_damage(machine, judge, chosen, random, end);
    }
    if (!judge.is_content() && report.complaint.empty()) {
        report.complaint = judge.complaint();
    }
    report.trace_hash = machine.trace_hash();
    report.acknowledged = judge.records_acknowledged();
    report.recoveries = judge.recoveries();
    report.steps = machine.counters().steps;
    report.faults = machine.counters().faults;
    report.races = machine.counters().races;
    if (report.complaint.empty() && report.races > 0) {
        report.complaint = "two writes were in flight to one sector";
    }
    if (report.complaint.empty() && machine.counters().overlapping_syncs > 0) {
        report.complaint = "two syncs of one file were in flight beside each other";
    }
    if (report.complaint.empty() && machine.counters().buffers_changed > 0) {
        report.complaint = "a buffer was changed while a write of it was in flight";
    }
    return report;
}

}  // namespace caisson::sim
