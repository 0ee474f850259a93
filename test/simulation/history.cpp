// One life after the other, each ended by a power cut, a kill or a close; then what the world
// itself counted against the engine.

#include "simulation/history.hpp"

#include "base/prng.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "format/state.hpp"
#include "simulation/oracle.hpp"
#include "simulation/process.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace caisson::sim {

namespace {

using namespace caisson::literals;

constexpr unsigned lives_max = 1'000;

/// Faults of one life, and what it may fail for.
void arm_faults(world& machine, const world_options& device, const swarm& chosen, prng& random,
                process_plan& plan) {
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
        rates.sync_errors = 10'000;
        rates.name_errors = 10'000;
    }
    machine.set_fault_rates(rates);
    if (chosen.runs_out_of_space && random.below(2) == 0) {
        machine.set_capacity(200_KiB + random.below(300) * 1024);
        plan.is_space_limited = true;
        // Where space cannot be reserved, a full disk shows at a commit's write, which poisons.
        plan.full_disk_poisons = device.copies_on_write || !device.supports_allocate;
    } else {
        machine.set_capacity(0);
    }
    plan.is_faulty = is_faulty || plan.full_disk_poisons;
}

/// One slot of STATE rots while the machine is off, the one that counts or the other, where both
/// are whole: the log bears one bad slot. True: it did.
bool rot_a_slot(world& machine, prng& random) {
    constexpr std::size_t slot_bytes = format::layout::state::slot_bytes;
    const std::string path = std::string(log_path) + "/STATE";
    const auto content = machine.disk().read_file(path);
    const std::uint64_t rotten = format::state_slot_position_bytes(random.below(2) == 0 ? 0 : 1);
    for (unsigned slot = 0; slot < 2; ++slot) {
        const std::uint64_t position = format::state_slot_position_bytes(slot);
        if (!content || position + slot_bytes > content->size() ||
            !format::decode_state(std::span(*content).subspan(position).first<slot_bytes>())) {
            return false;
        }
    }
    return machine.disk().corrupt(path, rotten + random.below(slot_bytes), std::byte{4});
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
    process server(machine, judge, chosen, random.next(), {});
    while (!server.is_finished() && judge.is_content() && machine.step()) {
    }
    const bool was_refused = server.was_refused();
    machine.crash();
    return was_refused || !judge.is_content() ? std::string()
                                              : "damage with a witness was not refused";
}

/// What one seed's lives share.
struct scene {
    scene(std::uint64_t seed, const history_options& how)
        : options(how),
          device(world_for(seed)),
          random(seed),
          chosen(swarm_for(random, how.inspects)),
          machine(seed, device) {}

    const history_options options;
    const world_options device;
    prng random;
    const swarm chosen;
    world machine;
    oracle judge;
    log_offset end;                ///< of the log, when the last process had done its work
    bool has_closed = false;       ///< the last process closed it
    bool was_only_opened = false;  ///< and read, by the last process, which did no more
};

process_plan plan_life(scene& here, bool is_last) {
    process_plan plan;
    plan.has_probes = here.options.has_probes;
    plan.has_direct = here.device.supports_direct;
    if (is_last) {
        here.machine.set_fault_rates({});
        here.machine.set_capacity(0);
    } else {
        arm_faults(here.machine, here.device, here.chosen, here.random, plan);
        plan.only_opens = here.random.below(10) == 0;
    }
    plan.is_second_open = here.was_only_opened && !plan.is_faulty;
    plan.closes = is_last || here.random.below(4) == 0;
    return plan;
}

/// What is wrong with how a life ended; empty: nothing.
std::string judge_end(const scene& here, const process& server, bool is_last, bool is_at_rest) {
    if (!here.judge.is_content()) {
        return here.judge.complaint() + " (" + server.describe() + ")";
    }
    if (server.has_complaint()) {
        return server.tally().complaint;
    }
    if ((is_last || is_at_rest) && !server.is_finished()) {
        return "a life came to rest before its work was done: " + server.describe();
    }
    if (is_last && !server.has_recovered()) {
        return "without a fault the log did not recover: " + server.describe();
    }
    return {};
}

void live_once(scene& here, bool is_last, history_report& report) {
    const process_plan plan = plan_life(here, is_last);
    process server(here.machine, here.judge, here.chosen, here.random.next(), plan);
    // A crash at any moment, often early: in the middle of opening and recovery.
    const std::uint64_t steps =
        is_last ? UINT64_MAX : here.random.below(here.random.below(4) == 0 ? 60 : 6'000);
    bool is_at_rest = false;
    for (std::uint64_t step = 0; step < steps && !is_at_rest && here.judge.is_content() &&
                                 !server.is_finished() && !server.has_complaint();
         ++step) {
        is_at_rest = !here.machine.step();
    }
    report.appends += server.tally().appends;
    report.rotations += server.tally().rotations;
    report.second_opens += plan.is_second_open && server.has_recovered() ? 1u : 0u;
    report.complaint = judge_end(here, server, is_last, is_at_rest);
    here.end = server.end();
    here.has_closed = server.has_closed();
    here.was_only_opened = plan.only_opens && server.has_recovered();
    here.judge.crashed();
    const std::uint64_t cuts = here.machine.counters().power_cuts;
    end_life(here.machine, here.chosen, here.random);
    // Not in the end, where the slot that goes may be the witness of the damage to come; not after
    // a kill, whose last write may still tear the other slot.
    if (!is_last && here.machine.counters().power_cuts > cuts && here.random.below(8) == 0 &&
        rot_a_slot(here.machine, here.random)) {
        here.was_only_opened = false;  // the next one has a slot to write
        ++report.rotten_slots;
    }
    if (!server.has_closed()) {
        ++report.crashes;
    }
}

/// What the world saw the engine do, whatever came of it.
std::string misconduct(const world_counters& counted) {
    if (counted.races > 0) {
        return "two writes were in flight to one sector";
    }
    if (counted.overlapping_syncs > 0) {
        return "two syncs of one file were in flight beside each other";
    }
    if (counted.buffers_changed > 0) {
        return "a buffer was changed while a write of it was in flight";
    }
    return {};
}

}  // namespace

history_report run_history(std::uint64_t seed, const history_options& how) {
    scene here(seed, how);
    history_report report;
    for (unsigned life = 0; report.complaint.empty(); ++life) {
        const bool is_long_enough = report.appends >= appends_per_history || life >= lives_max;
        const bool is_last = report.crashes >= crashes_per_history && is_long_enough;
        live_once(here, is_last, report);
        if (is_last) {
            break;
        }
        here.machine.power_on();
    }
    if (here.chosen.ends_in_damage && here.has_closed && report.complaint.empty()) {
        report.complaint =
            end_in_damage(here.machine, here.judge, here.chosen, here.random, here.end);
    }
    if (report.complaint.empty()) {
        report.complaint = here.judge.complaint();
    }
    const world_counters counted = here.machine.counters();
    if (report.complaint.empty() && how.has_probes) {
        report.complaint = misconduct(counted);
    }
    report.trace_hash = here.machine.trace_hash();
    report.acknowledged = here.judge.records_acknowledged();
    report.recoveries = here.judge.recoveries();
    report.steps = counted.steps;
    report.faults = counted.faults;
    report.races = counted.races;
    return report;
}

history_report run_history_twice(std::uint64_t seed, const history_options& how) {
    history_report report = run_history(seed, how);
    oracle judge;
    judge.ran_twice(report.trace_hash, run_history(seed, how).trace_hash);
    if (report.complaint.empty()) {
        report.complaint = judge.complaint();
    }
    return report;
}

std::string shortcoming(const history_report& report) {
    if (report.appends < appends_per_history || report.crashes < crashes_per_history) {
        return "too short a history: " + std::to_string(report.appends) + " appends of " +
               std::to_string(appends_per_history) + ", " + std::to_string(report.crashes) +
               " crashes of " + std::to_string(crashes_per_history);
    }
    return {};
}

}  // namespace caisson::sim
