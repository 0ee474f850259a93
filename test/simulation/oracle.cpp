#include "simulation/oracle.hpp"

#include <algorithm>
#include <utility>

namespace caisson::sim {

namespace {

std::string text_of(log_offset offset) { return std::to_string(offset.value()); }

const payload* record_at(const recovered_log& log, log_offset offset) {
    if (offset < log.first || offset - log.first >= log.records.size()) {
        return nullptr;
    }
    return &log.records[offset - log.first];
}

}  // namespace

void oracle::complain(std::string what) {
    if (complaint_.empty()) {
        complaint_ = std::move(what);
    }
}

std::string oracle::describe(batch_id id) const {
    const batch& told = batches_[id - batches_begin_];
    return "batch " + std::to_string(id) + " (" + std::to_string(told.records.size()) + " records" +
           (told.answered == fate::acknowledged ? ", acknowledged at offset " + text_of(told.first)
                                                : "") +
           ")";
}

oracle::batch_id oracle::submit(std::vector<payload> records) {
    const batch_id id = batches_begin_ + batches_.size();
    batch submitted;
    submitted.records = std::move(records);
    batches_.push_back(std::move(submitted));
    is_closed_ = false;
    return id;
}

void oracle::may_be_refused(batch_id id) {
    if (id >= batches_begin_) {
        batches_[id - batches_begin_].may_be_refused = true;
    }
}

oracle::batch* oracle::answer(batch_id id, fate how) {
    if (id < batches_begin_) {
        complain("batch " + std::to_string(id) +
                 " of an earlier life was answered after the crash");
        return nullptr;
    }
    batch& told = batches_[id - batches_begin_];
    if (told.answered != fate::pending) {
        complain(describe(id) + " was answered twice");
        return nullptr;
    }
    if (is_closed_) {
        complain(describe(id) + " was answered after close had returned");
        return nullptr;
    }
    told.answered = how;
    return &told;
}

void oracle::acknowledged(batch_id id, log_offset first) {
    batch* told = answer(id, fate::acknowledged);
    if (told == nullptr) {
        return;
    }
    told->first = first;
    records_acknowledged_ += told->records.size();
    if (first < settled_end()) {
        complain(describe(id) + " was given an offset below the end of the recovered log, " +
                 text_of(settled_end()));
    }
    for (batch_id other = batches_begin_; other < batches_begin_ + batches_.size(); ++other) {
        const batch& each = batches_[other - batches_begin_];
        const bool is_ordered = other < id ? each.first + each.records.size() <= first
                                           : first + told->records.size() <= each.first;
        if (other != id && each.answered == fate::acknowledged && !is_ordered) {
            complain(describe(id) + " and " + describe(other) +
                     " have offsets out of the order of their calls");
        }
    }
}

void oracle::not_written(batch_id id) {
    if (batch* told = answer(id, fate::not_written);
        told != nullptr && !told->may_be_refused && !had_fault_) {
        complain(describe(id) + " was refused without a cause");
    }
}

void oracle::outcome_unknown(batch_id id) {
    if (answer(id, fate::unknown) != nullptr && !had_fault_) {
        complain(describe(id) + " has an unknown outcome although no fault happened");
    }
}

void oracle::durable_end_seen(log_offset end) {
    log_offset submitted_end = settled_end();
    for (const batch& each : batches_) {
        submitted_end += each.answered == fate::not_written ? 0 : each.records.size();
    }
    if (end > submitted_end) {
        complain("durable end " + text_of(end) + " lies beyond everything submitted, " +
                 text_of(submitted_end));
    }
    durable_end_seen_ = std::max(durable_end_seen_, end);
}

void oracle::read(log_offset first, std::span<const payload> records) {
    for (std::size_t i = 0; i < records.size(); ++i) {
        const log_offset offset = first + i;
        if (offset < settled_end()) {
            if (offset >= settled_first_ && settled_[offset - settled_first_] != records[i]) {
                complain("a reader was given other bytes at offset " + text_of(offset) +
                         " than recovery showed");
            }
            continue;
        }
        const auto before = std::find_if(seen_.begin(), seen_.end(),
                                         [&](const auto& each) { return each.offset == offset; });
        if (before == seen_.end()) {
            seen_.push_back({offset, records[i]});
        } else if (before->bytes != records[i]) {
            complain("two reads of offset " + text_of(offset) + " gave different bytes");
        }
    }
}

void oracle::fault_happened() { had_fault_ = true; }

void oracle::closed() {
    for (batch_id id = batches_begin_; id < batches_begin_ + batches_.size(); ++id) {
        if (batches_[id - batches_begin_].answered == fate::pending) {
            complain(describe(id) + " was not answered before close returned");
        }
    }
    is_closed_ = true;
}

void oracle::crashed() {
    is_closed_ = true;
    had_fault_ = false;
}

void oracle::damaged(log_offset begin, log_offset end, bool has_witness) {
    damage_ = damage{begin, end, has_witness};
}

void oracle::purged(log_offset end) { purged_end_ = std::max(purged_end_, end); }

bool oracle::has_settled_part(const recovered_log& log) {
    if (log.first > std::max(settled_first_, purged_end_) || log.first < settled_first_) {
        complain("the log begins at offset " + text_of(log.first) + ", it may begin at " +
                 text_of(settled_first_) +
                 (purged_end_ > settled_first_ ? " to " + text_of(purged_end_) : std::string()));
        return false;
    }
    for (log_offset offset = log.first; offset < settled_end(); offset += 1) {
        const payload* found = record_at(log, offset);
        if (found == nullptr) {
            complain("offset " + text_of(offset) +
                     " was there after an earlier recovery and is gone");
            return false;
        }
        if (*found != settled_[offset - settled_first_]) {
            complain("offset " + text_of(offset) +
                     " has other bytes than after an earlier recovery");
            return false;
        }
    }
    return true;
}

bool oracle::lies_at(const batch& what, log_offset begin, const recovered_log& log) const {
    if (what.answered == fate::not_written ||
        (what.answered == fate::acknowledged && what.first != begin)) {
        return false;
    }
    for (std::size_t i = 0; i < what.records.size(); ++i) {
        const log_offset offset = begin + i;
        const payload* found = record_at(log, offset);
        const bool is_purged = offset < log.first;  // that it may be was checked before
        if (!is_purged && (found == nullptr || *found != what.records[i])) {
            return false;
        }
    }
    return true;
}

// Where the batches up to and including `next` can end, given where those before it can.
std::vector<log_offset> oracle::ends_after(const batch& next, const std::vector<log_offset>& begins,
                                           const recovered_log& log) const {
    const log_offset log_end = log.first + log.records.size();
    std::vector<log_offset> ends;
    for (const log_offset begin : begins) {
        if (lies_at(next, begin, log)) {
            ends.push_back(begin + next.records.size());
        }
        // A batch may be missing when the log ends before it, or when it was, or may have been,
        // refused.
        const bool may_be_missing = next.answered == fate::not_written ||
                                    (next.answered != fate::acknowledged && begin == log_end) ||
                                    (next.answered == fate::pending && next.may_be_refused);
        if (may_be_missing) {
            ends.push_back(begin);
        }
    }
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    return ends;
}

bool oracle::continues_legally(const recovered_log& log) {
    const log_offset log_end = log.first + log.records.size();
    std::vector<log_offset> begins = {std::min(settled_end(), log_end)};
    for (batch_id id = batches_begin_; id < batches_begin_ + batches_.size(); ++id) {
        const batch& next = batches_[id - batches_begin_];
        std::vector<log_offset> ends = ends_after(next, begins, log);
        if (!ends.empty()) {
            begins = std::move(ends);
            continue;
        }
        if (next.answered == fate::acknowledged && next.first + next.records.size() > log_end) {
            complain("ACKNOWLEDGED LOST: " + describe(id) + ", the log ends at " +
                     text_of(log_end));
        } else {
            complain("at offset " + text_of(begins.back()) + " the log does not hold " +
                     describe(id) +
                     ", which comes next there: a hole, a foreign record, a torn batch or another "
                     "order");
        }
        return false;
    }
    if (begins.back() != log_end) {
        complain(
            "offset " + text_of(begins.back()) +
            " holds a record that was never submitted, was refused, or had been absent before");
        return false;
    }
    return true;
}

bool oracle::has_what_was_seen(const recovered_log& log) {
    const log_offset end = log.first + log.records.size();
    if (end < durable_end_seen_) {
        complain("the log ends at " + text_of(end) + ", but its durable end had been " +
                 text_of(durable_end_seen_));
        return false;
    }
    for (const seen_record& each : seen_) {
        const payload* found = record_at(log, each.offset);
        if (each.offset >= log.first && (found == nullptr || *found != each.bytes)) {
            complain("offset " + text_of(each.offset) +
                     " was read as durable and is gone or different");
            return false;
        }
    }
    return true;
}

void oracle::recovered(const recovered_log& log) {
    ++recoveries_;
    const log_offset end = log.first + log.records.size();
    if (damage_ && damage_->has_witness) {
        complain("offsets " + text_of(damage_->begin) + " to " + text_of(damage_->end) +
                 " are damaged, and the log opened and read to " + text_of(end) +
                 " without an error");
        return;
    }
    // Damage without a witness: ending where it begins is as good as what was promised.
    const bool is_cut_at_damage = damage_ && end == damage_->begin;
    if (is_cut_at_damage) {
        for (batch& each : batches_) {
            if (each.answered == fate::acknowledged && each.first >= damage_->begin) {
                each.answered = fate::unknown;
            }
        }
        settled_.resize(std::min<std::size_t>(settled_.size(),
                                              end < settled_first_ ? 0 : end - settled_first_));
        std::erase_if(seen_, [&](const seen_record& each) { return each.offset >= end; });
        durable_end_seen_ = std::min(durable_end_seen_, end);
    }
    if (!has_settled_part(log) || !continues_legally(log) || !has_what_was_seen(log)) {
        return;
    }
    settled_first_ = log.first;
    settled_ = log.records;
    batches_begin_ += batches_.size();
    batches_.clear();
    seen_.clear();
    damage_.reset();
    is_closed_ = false;
}

void oracle::refused(std::optional<log_offset> place) {
    if (damage_) {
        if (!place) {
            complain("offsets " + text_of(damage_->begin) + " to " + text_of(damage_->end) +
                     " are damaged, and the error names no place");
        } else if (*place < damage_->begin || *place >= damage_->end) {
            complain("offsets " + text_of(damage_->begin) + " to " + text_of(damage_->end) +
                     " are damaged, and the error names " + text_of(*place));
        }
        return;
    }
    if (!had_fault_) {
        complain("the log was refused" + (place ? " at offset " + text_of(*place) : std::string()) +
                 " although nothing was damaged and no fault happened");
    }
}

void oracle::opened_again(std::uint64_t writes) {
    if (writes != 0) {
        complain("opening a recovered log again wrote " + std::to_string(writes) + " times");
    }
}

void oracle::ran_twice(std::uint64_t first_trace, std::uint64_t second_trace) {
    if (first_trace != second_trace) {
        complain("the same seed gave two histories");
    }
}

}  // namespace caisson::sim
