#include "sim/device.hpp"

#include "base/assert.hpp"
#include "sim/mix.hpp"

#include <algorithm>
#include <cerrno>

namespace caisson::sim {

namespace {

bool is_stuck(const request& what) {
    return what.fate.is_hit && what.fate.what == fault::effect::stuck;
}

/// Whether the kernel finishes it although its process is dead: what changes the disk.
bool outlives_process(operation_kind kind) {
    switch (kind) {
    case operation_kind::write:
    case operation_kind::sync:
    case operation_kind::truncate:
    case operation_kind::allocate:
    case operation_kind::create:
    case operation_kind::rename:
    case operation_kind::unlink: return true;
    default: return false;
    }
}

}  // namespace

request::~request() {
    device_->forget(*this);
    if (operation_ != nullptr) {
        operation_->slot.object = nullptr;
        std::exchange(operation_, nullptr)->complete(io::operation::abandoned);
    }
}

void request::run() {
    const std::int64_t outcome = device_->perform(*this);
    device_->record_outcome(*this, outcome);
    device_->forget(*this);
    if (operation_ != nullptr) {
        operation_->slot.object = nullptr;
        std::exchange(operation_, nullptr)->complete(outcome);
    }
}

std::unique_ptr<request> request::make_zombie(life_state& kernel) const {
    auto zombie = std::make_unique<request>(*device_, kernel, nullptr, data);
    zombie->id = id;
    zombie->fate = fate;
    zombie->sequence_at_start = sequence_at_start;
    zombie->content_hash = content_hash;
    zombie->landed = landed;
    zombie->raced = raced;
    zombie->dead_life = life_->number;
    zombie->own_bytes_.assign(data.from.begin(), data.from.end());
    zombie->data.from = zombie->own_bytes_;
    zombie->data.into = {};
    zombie->data.result = nullptr;
    return zombie;
}

device::device(scheduler& on, storage& content, world_counters& counters,
               const world_options& options, std::uint64_t seed)
    : scheduler_(on),
      storage_(content),
      counters_(counters),
      options_(options),
      random_(seed),
      faults_(mix(seed, 1)),
      capacity_error_(ENOSPC) {
    traits_.name = options.file_system_name;
    traits_.block_size_bytes = options.block_size_bytes;
    traits_.keeps_data = options.keeps_data;
    traits_.copies_on_write = options.copies_on_write;
    traits_.supports_direct = options.supports_direct;
}

byte_range device::sectors_of(byte_range bytes) const noexcept {
    const std::uint64_t sector_bytes = options().sector_size_bytes;
    return {bytes.begin / sector_bytes, (bytes.end + sector_bytes - 1) / sector_bytes};
}

std::uint64_t device::draw_latency(const request& what) {
    const world_options& is = options();
    std::uint64_t latency = is.latency_ns_min;
    if (is.latency_ns_max > is.latency_ns_min) {
        latency += random_.below(is.latency_ns_max - is.latency_ns_min + 1);
    }
    if (is.stalls_per_million > 0 && random_.chance(is.stalls_per_million, 1'000'000)) {
        latency += random_.below(is.stall_ns_max + 1);
    }
    if (what.fate.is_hit && what.fate.what == fault::effect::slow) {
        latency += is.stall_ns_max;
    }
    return latency;
}

void device::start(life_state& life, io::operation& op, request_data asked,
                   std::int64_t preset_outcome) {
    auto started = std::make_unique<request>(*this, life, &op, std::move(asked));
    op.slot.object = started.get();
    if (life.is_over) {
        scheduler_.schedule(scheduler::never, std::move(started));
        return;
    }
    request& what = *started;
    what.id = ++last_request_;
    what.preset_outcome = preset_outcome;
    what.sequence_at_start = storage_.sequence();
    if (preset_outcome == 0) {
        what.fate = faults_.decide(what.data.kind, what.data.name);
        if (what.fate.is_hit) {
            ++counters_.faults;
        }
    }
    if (what.data.kind == operation_kind::write) {
        what.content_hash = hash_bytes(what.data.from);
        note_races(what);
    }
    if (what.data.kind == operation_kind::sync) {
        note_overlap(what);
    }
    ++counters_.operations;
    ++counters_.operations_by_kind[static_cast<std::size_t>(what.data.kind)];
    scheduler_.trace(static_cast<std::uint64_t>(what.data.kind));
    scheduler_.trace(what.data.target);
    scheduler_.trace(what.data.range.begin);
    scheduler_.trace(what.data.range.end);
    scheduler_.trace(what.content_hash);
    in_flight_.push_back(&what);
    const std::uint64_t latency = draw_latency(what);
    const std::uint64_t end_ns = is_stuck(what) ? scheduler::never : scheduler_.now_ns() + latency;
    scheduler_.schedule(end_ns, std::move(started));
}

void device::note_races(const request& started) {
    const byte_range mine = sectors_of(started.data.range);
    for (const request* other : in_flight_) {
        const bool is_race = other->data.kind == operation_kind::write &&
                             other->data.target == started.data.target &&
                             sectors_of(other->data.range).overlaps(mine);
        if (is_race) {
            ++counters_.races;
        }
    }
}

void device::note_overlap(const request& started) {
    const bool overlaps = std::any_of(in_flight_.begin(), in_flight_.end(), [&](const auto* other) {
        return other->data.kind == operation_kind::sync &&
               other->data.target == started.data.target && &other->process() == &started.process();
    });
    counters_.overlapping_syncs += overlaps ? 1 : 0;
}

void device::cancel(io::operation& op) {
    auto* what = static_cast<request*>(op.slot.object);
    if (what == nullptr || is_stuck(*what) || what->process().is_over) {
        return;
    }
    if (what->preset_outcome == 0 && !what->fate.is_hit && random_.chance(1, 2)) {
        what->fate = {true, fault::effect::error, ECANCELED, false};
    }
    scheduler_.hasten(*what);
}

std::uint64_t device::in_flight(const life_state& life) const noexcept {
    return static_cast<std::uint64_t>(
        std::count_if(in_flight_.begin(), in_flight_.end(),
                      [&](const request* each) { return &each->process() == &life; }));
}

std::int64_t device::perform(request& what) {
    if (what.preset_outcome < 0) {
        return what.preset_outcome;
    }
    switch (what.data.kind) {
    case operation_kind::read:
    case operation_kind::write:
    case operation_kind::sync:
    case operation_kind::truncate:
    case operation_kind::allocate:
    case operation_kind::status: return perform_on_file(what);
    default: return perform_on_names(what);
    }
}

void device::record_outcome(const request& what, std::int64_t outcome) {
    scheduler_.trace(what.id);
    scheduler_.trace(static_cast<std::uint64_t>(outcome));
}

void device::forget(const request& what) {
    const auto found = std::find(in_flight_.begin(), in_flight_.end(), &what);
    if (found == in_flight_.end()) {
        return;
    }
    in_flight_.erase(found);
    if (!what.is_zombie()) {
        return;
    }
    const bool drains = std::any_of(in_flight_.begin(), in_flight_.end(), [&](const request* each) {
        return each->dead_life == what.dead_life;
    });
    if (!drains) {
        std::erase_if(locks_, [&](const lock_holder& each) {
            return each.is_draining && each.life == what.dead_life;
        });
    }
}

void device::release_handle(node_id id, const life_state& life) {
    node* found = life.is_over ? nullptr : storage_.find_node(id);
    if (found != nullptr) {
        CAISSON_ASSERT(found->handles > 0);
        --found->handles;
    }
}

void device::release_lock(node_id id, std::uint64_t holder) {
    std::erase_if(
        locks_, [&](const lock_holder& each) { return each.file == id && each.holder == holder; });
}

bool device::lock_from_outside(node_id id) {
    const bool is_taken = std::any_of(locks_.begin(), locks_.end(),
                                      [&](const auto& each) { return each.file == id; });
    if (!is_taken) {
        locks_.push_back({id, outsider, 0, false});
    }
    return !is_taken;
}

void device::unlock_from_outside(node_id id) { release_lock(id, outsider); }

void device::set_capacity(std::uint64_t bytes, int error_number) noexcept {
    capacity_bytes_ = bytes;
    capacity_error_ = error_number;
}

void device::absorb_into(storage& into) const {
    for (const request* each : in_flight_) {
        const request_data& data = each->data;
        node* target = into.find_node(data.target);
        const bool does_nothing = each->preset_outcome < 0 || target == nullptr ||
                                  (each->fate.is_hit && each->fate.what != fault::effect::stuck &&
                                   each->fate.what != fault::effect::slow);
        if (does_nothing) {
            continue;
        }
        switch (data.kind) {
        case operation_kind::write:
            target->content.write(into.next_origin(each->id), data.range.begin, data.from);
            break;
        case operation_kind::truncate:
            target->content.truncate(into.next_origin(each->id), data.range.begin);
            break;
        case operation_kind::allocate:
            target->content.extend(into.next_origin(each->id), data.range.end);
            break;
        case operation_kind::create:
            if (into.find_entry(data.target, data.name) == 0) {
                into.create(data.target, data.name, node::kind::file, true);
            }
            break;
        case operation_kind::unlink:
            if (into.find_entry(data.target, data.name) != 0) {
                into.unlink(data.target, data.name, true);
            }
            break;
        case operation_kind::rename:
            if (into.find_entry(data.target, data.name) != 0 &&
                into.find_node(data.directory) != nullptr &&
                (data.flag || into.find_entry(data.directory, data.new_name) == 0)) {
                into.rename(data.target, data.name, data.directory, data.new_name, true);
            }
            break;
        default: break;
        }
    }
}

void device::power_cut(std::uint64_t seed, survival data, name_survival names) {
    absorb_into(storage_);
    storage_.crash(seed, data, names);
    locks_.clear();
    in_flight_.clear();
}

void device::kill_process(const life_state& life) {
    const std::vector<request*> started = in_flight_;
    bool drains = false;
    for (const request* each : started) {
        if (&each->process() != &life) {
            continue;
        }
        // What was queued and not yet submitted, or could still be cancelled, ends with the
        // process.
        const bool goes_on =
            each->preset_outcome == 0 && outlives_process(each->data.kind) && random_.chance(3, 4);
        if (!goes_on) {
            if (node* file = storage_.find_node(each->data.target); file != nullptr) {
                file->content.complete_writer(each->id, storage_.next_sequence());
            }
            continue;
        }
        auto zombie = each->make_zombie(kernel_);
        in_flight_.push_back(zombie.get());
        drains = true;
        const std::uint64_t latency = draw_latency(*zombie);
        const std::uint64_t slowness = 1 + random_.below(16);
        const std::uint64_t end_ns =
            is_stuck(*zombie) ? scheduler::never : scheduler_.now_ns() + latency * slowness;
        scheduler_.schedule(end_ns, std::move(zombie));
    }
    std::erase_if(in_flight_, [&](const request* each) { return &each->process() == &life; });
    for (lock_holder& each : locks_) {
        each.is_draining = each.is_draining || each.life == life.number;
    }
    if (!drains || !options().lock_outlives_owner) {
        std::erase_if(locks_, [&](const lock_holder& each) {
            return each.is_draining && each.life == life.number;
        });
    }
    storage_.forget_handles();
}

}  // namespace caisson::sim
