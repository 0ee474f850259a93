// The coroutines of a server on one log. They end with the process: at a power cut they are
// destroyed where they stand.

#include "simulation/process.hpp"

#include "format/layout.hpp"
#include "format/state.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>
#include <utility>
#include <vector>

namespace caisson::sim {

namespace {

constexpr unsigned inspections_per_life = 4;

std::optional<std::uint64_t> durable_length(world& machine, const std::string& name) {
    const auto content =
        machine.disk().read_file(std::string(log_path) + "/" + name, disk_image::view::durable);
    return content ? std::optional<std::uint64_t>(content->size()) : std::nullopt;
}

/// As the limit of what is pending counts it (docs/format.md: a length before each record).
std::uint64_t framed_bytes(const std::vector<payload>& records) {
    std::uint64_t total = 0;
    for (const payload& each : records) {
        total += 4 + each.size();
    }
    return total;
}

std::uint64_t changes_started(const world& machine) {
    const world_counters& counted = machine.counters();
    std::uint64_t changes = 0;
    for (const operation_kind each :
         {operation_kind::create, operation_kind::rename, operation_kind::unlink,
          operation_kind::write, operation_kind::truncate, operation_kind::allocate}) {
        changes += counted.operations_by_kind[static_cast<std::size_t>(each)];
    }
    return changes;
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

}  // namespace

process::process(world& machine, oracle& judge, const swarm& chosen, std::uint64_t seed,
                 process_plan plan)
    : machine_(machine), judge_(judge), swarm_(chosen), random_(seed), plan_(plan) {
    before_.faults = machine_.counters().faults;
    before_.changes = changes_started(machine_);
    before_.content_hash = plan_.is_second_open ? machine_.disk().durable_hash() : 0;
    if (plan_.full_disk_poisons) {
        judge_.fault_happened();
    }
    engine_.emplace(engine::on(machine));
    if (swarm_.has_inspectors && !plan_.is_faulty) {
        inspecting_.emplace(engine::on(machine));
        spawn(inspect(seed));
    }
    spawn(serve());
}

std::string process::describe() const {
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

void process::spawn(net::awaitable<void> task) {
    net::co_spawn(machine_.executor(), std::move(task), [](std::exception_ptr problem) {
        if (problem != nullptr) {
            std::rethrow_exception(problem);
        }
    });
}

net::awaitable<void> process::serve() {
    open_report report;
    log_options options = swarm_.options;
    options.report = &report;
    auto opened = co_await engine_->async_open(log_path, options);
    if (!opened) {
        refused(report.refused);
        is_finished_ = true;
        co_return;
    }
    log_ = std::move(opened).value();
    check_second_open();
    if (plan_.has_probes && report.cut_bytes > 0 &&
        durable_length(machine_, report.cut_segment) != report.cut_position_bytes) {
        note("a cut was not durable when the log was opened");
    }
    if (!co_await show_content() || plan_.only_opens) {
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

void process::note(std::string complaint) {
    if (tally_.complaint.empty()) {
        tally_.complaint = std::move(complaint);
    }
}

// Only what happened in this life, and before the answer that it is to excuse.
void process::tell_of_faults() {
    if (machine_.counters().faults > before_.faults) {
        judge_.fault_happened();
    }
}

void process::refused(std::optional<failure> why) {
    refusal_ = std::move(why);
    was_refused_ = true;
    tell_of_faults();
    judge_.refused(refusal_ ? refusal_->offset() : std::nullopt);
}

// Through the page cache recovery writes again what it found, whatever it knows: there nothing may
// have changed.
void process::check_second_open() {
    if (!plan_.is_second_open) {
        return;
    }
    const bool is_same = machine_.disk().durable_hash() == before_.content_hash;
    const std::uint64_t changes = changes_started(machine_) - before_.changes;
    judge_.opened_again(!plan_.has_direct && is_same ? 0 : changes);
}

// Reads all there is, as a client would after opening, and tells the oracle.
net::awaitable<bool> process::show_content() {
    recovered_log content;
    content.first = log_.begin();
    log_reader reader = log_.reader(log_.begin());
    for (;;) {
        auto batch = co_await reader.async_next();
        if (!batch) {
            refused(reader.failure_cause());
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
    has_recovered_ = true;
    co_return true;
}

net::awaitable<void> process::write(std::uint64_t seed) {
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

net::awaitable<void> process::append(prng& random) {
    std::vector<payload> records(1 + random.below(swarm_.batch_records_max));
    for (payload& record : records) {
        record = make_record(random);
    }
    std::vector<net::const_buffer> buffers;
    for (const payload& record : records) {
        buffers.emplace_back(record.data(), record.size());
    }
    const oracle::batch_id batch = judge_.submit(records);
    const bool is_too_large = framed_bytes(records) > swarm_.options.max_pending_bytes;
    if (plan_.is_space_limited || is_too_large) {
        judge_.may_be_refused(batch);
    }
    ++tally_.appends;
    const auto outcome = co_await log_.async_append_batch(buffers);
    if (outcome) {
        judge_.acknowledged(batch, outcome.value().begin);
        if (plan_.has_probes && !std::exchange(has_checked_mark_, true) &&
            holds_clean_mark(machine_)) {
            note("an append was acknowledged while a slot of STATE still held the clean mark");
        }
    } else {
        append_failed(batch, outcome.error(), is_too_large);
    }
}

void process::append_failed(oracle::batch_id batch, error_code why, bool is_too_large) {
    tell_of_faults();
    if (why == errc::outcome_unknown) {
        judge_.outcome_unknown(batch);
        return;
    }
    judge_.not_written(batch);
    // The causes there are in this workload: nothing here closes under an append or cancels it.
    if (is_too_large ? why != errc::batch_too_large && why != errc::poisoned
                     : why != errc::no_space && why != errc::poisoned) {
        note("an append was refused for another reason: " + why.message());
    }
}

// Unique bytes of random length: their number, then what a generator makes of it.
payload process::make_record(prng& random) {
    payload record(random.below(swarm_.record_bytes_max + 1));
    prng filler(random.next());
    for (std::size_t k = 0; k < record.size(); k += 8) {
        const std::uint64_t word = filler.next();
        std::memcpy(record.data() + k, &word, std::min<std::size_t>(8, record.size() - k));
    }
    return record;
}

net::awaitable<void> process::pause(prng& random) {
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

net::awaitable<void> process::follow(std::uint64_t seed) {
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

// A process of its own that looks at the directory, from before it is opened until after it
// was closed: whatever it meets on the way, nothing is damaged.
net::awaitable<void> process::inspect(std::uint64_t seed) {
    prng random(seed);
    for (unsigned round = 0; round < inspections_per_life && !has_complaint(); ++round) {
        for (std::uint64_t left = random.below(round == 0 ? 20 : 300); left > 0; --left) {
            co_await net::post(machine_.executor(), net::deferred);
        }
        co_await look_once(verify_verdict::torn_tail);
    }
}

net::awaitable<void> process::look_once(verify_verdict worst) {
    auto view = co_await inspecting_->async_open_view(log_path);
    if (!view) {
        if (view.error() != errc::log_not_found) {
            note("a view could not be opened: " + view.error().message());
        }
        co_return;
    }
    if (view.value().facts().tail == tail_state::damaged) {
        tally_.complaint = "a view took the tail of a sound log for damaged";
    }
    auto report = co_await view.value().async_verify();
    if (!report) {
        tally_.complaint = "a verification failed: " + report.error().message();
    } else if (report.value().verdict > worst) {
        tally_.complaint = "a verification complains of a sound log: " +
                           report.value().findings.front().found.message();
    }
    log_reader reader = view.value().reader(view.value().begin());
    for (bool has_more = true; has_more && !has_complaint();) {
        auto batch = co_await reader.async_next();
        if (!batch) {
            tally_.complaint =
                "a reader complains of a sound log: " +
                (reader.failure_cause() ? reader.failure_cause()->message() : std::string());
        }
        has_more = batch && !batch.value().empty();
    }
}

net::awaitable<void> process::finish() {
    tally_.rotations += log_.stats().rotations;
    end_ = log_.durable_end();
    if (plan_.closes) {
        const auto closed = co_await log_.async_close();
        if (closed) {
            judge_.closed();
            has_closed_ = true;
        } else if (!plan_.is_faulty && closed.error() != errc::outcome_unknown) {
            // Past the close deadline the outcome is unknown: the seed let this process stand
            // still.
            tally_.complaint = "a healthy log did not close: " + closed.error().message();
        }
        (void)co_await engine_->async_close();
    }
    if (has_closed_ && inspecting_) {
        co_await look_once(verify_verdict::clean);
    }
    is_finished_ = true;
}

}  // namespace caisson::sim
