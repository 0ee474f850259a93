#pragma once
// oracle: judges the history of one log from outside: what was submitted, what was answered, what
// came back after each crash. Knows the promise (docs/simulation.md, "The oracle") and nothing of
// segments, recovery or the log's code.

#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace caisson::sim {

using payload = std::vector<std::byte>;

/// What an open log holds: all its records, read from the first one to the end.
struct recovered_log {
    log_offset first;
    std::vector<payload> records;
};

/// Told everything that happens to a log, in order; remembers the first thing that was not legal.
class oracle {
public:
    using batch_id = std::size_t;

    /// The log's first record will have the offset `first`.
    explicit oracle(log_offset first = log_offset{}) noexcept : settled_first_(first) {}

    // What the client did. Calls in the order of the calls to the log.
    /// One append call: all of its records or none. At least one record.
    batch_id submit(std::vector<payload> records);
    /// The call may legally answer that nothing was written (it was cancelled, or space was short).
    void may_be_refused(batch_id id);

    // How the log answered. Once a batch.
    void acknowledged(batch_id id, log_offset first);
    /// Refused or withdrawn: none of it is in the log, ever.
    void not_written(batch_id id);
    /// Legal only after `fault_happened`.
    void outcome_unknown(batch_id id);

    // What readers were given, as durable.
    void durable_end_seen(log_offset end);
    void read(log_offset first, std::span<const payload> records);

    // What the world did.
    /// An I/O error or the like: until the end of this life appends may fail, and an open may.
    void fault_happened();
    /// `close()` returned: every call was answered before.
    void closed();
    /// The process ended by a crash or kill: what was not answered never will be. Faults of this
    /// life excuse nothing in the next one.
    void crashed();
    /// The records of [begin, end) were damaged on the disk. With a `witness` the log must notice
    /// at open or read; without, it may take the damage for a torn write and end at `begin`.
    void damaged(log_offset begin, log_offset end, bool has_witness);
    /// Records before `end` may be gone from now on.
    void purged(log_offset end);

    // What came of it.
    /// An open succeeded and its whole content was read.
    void recovered(const recovered_log& log);
    /// An open, or a read of all records, failed and named the place of the damage (or none).
    void refused(std::optional<log_offset> place);
    /// After a recovery the log was opened again, nothing else, and that wrote so often.
    void opened_again(std::uint64_t writes);
    /// Two runs of one seed.
    void ran_twice(std::uint64_t first_trace, std::uint64_t second_trace);

    [[nodiscard]] bool is_content() const noexcept { return complaint_.empty(); }
    /// The first thing that was not legal, in a sentence; empty when all was.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    [[nodiscard]] std::uint64_t records_acknowledged() const noexcept {
        return records_acknowledged_;
    }
    [[nodiscard]] std::uint64_t recoveries() const noexcept { return recoveries_; }
    /// The end of what the last recovery showed; new records come here.
    [[nodiscard]] log_offset settled_end() const noexcept {
        return settled_first_ + settled_.size();
    }

private:
    enum class fate : std::uint8_t { pending, acknowledged, not_written, unknown };
    struct batch {
        std::vector<payload> records;
        fate answered = fate::pending;
        bool may_be_refused = false;
        log_offset first;  // acknowledged: where
    };
    struct seen_record {
        log_offset offset;
        payload bytes;
    };
    struct damage {
        log_offset begin;
        log_offset end;
        bool has_witness = false;
    };

    void complain(std::string what);
    [[nodiscard]] batch* answer(batch_id id, fate how);
    [[nodiscard]] bool has_settled_part(const recovered_log& log);
    [[nodiscard]] bool continues_legally(const recovered_log& log);
    [[nodiscard]] bool has_what_was_seen(const recovered_log& log);
    [[nodiscard]] bool lies_at(const batch& what, log_offset begin, const recovered_log& log) const;
    [[nodiscard]] std::vector<log_offset> ends_after(const batch& next,
                                                     const std::vector<log_offset>& begins,
                                                     const recovered_log& log) const;
    [[nodiscard]] std::string describe(batch_id id) const;

    // What the last recovery showed: fixed for ever, synced before it was shown.
    log_offset settled_first_;
    std::vector<payload> settled_;
    // of this life, in the order of the calls; those of before are settled
    std::vector<batch> batches_;
    batch_id batches_begin_ = 0;  // id of batches_[0]: ids are never used again
    std::vector<seen_record> seen_;
    log_offset durable_end_seen_;
    log_offset purged_end_;
    std::optional<damage> damage_;
    bool had_fault_ = false;
    bool is_closed_ = false;
    std::uint64_t records_acknowledged_ = 0;
    std::uint64_t recoveries_ = 0;
    std::string complaint_;
};

}  // namespace caisson::sim
