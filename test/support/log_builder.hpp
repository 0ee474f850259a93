#pragma once
// Builds the bytes of a log from the format layer's encoders alone, to be damaged and opened by
// tests. Knows nothing of the log's own code, so that both can be held against each other.

#include <caisson/sim.hpp>
#include <caisson/types.hpp>

#include "format/state.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::test {

struct built_commit {
    log_offset begin;
    log_offset end;
    std::uint64_t position_bytes = 0;
    std::uint64_t size_bytes = 0;
    std::uint32_t crc = 0;
    std::vector<std::string> records;

    [[nodiscard]] std::uint64_t end_bytes() const { return position_bytes + size_bytes; }
};

struct built_segment {
    log_offset begin;
    std::vector<std::byte> bytes;
    std::vector<built_commit> commits;
};

/// One log, grown commit by commit. The setters hold for the commits that follow.
class log_builder {
public:
    static constexpr std::uint64_t default_log_id = 0x1122'3344'5566'7788;

    explicit log_builder(std::uint64_t log_id = default_log_id, log_offset first = log_offset{0});

    /// A native commit of these records.
    log_builder& commit(const std::vector<std::string>& records);
    /// `count` native commits of one record each; the text tells the offset.
    log_builder& commits(std::uint64_t count);
    /// A commit without a trailer, of `record_count` records in `region`.
    log_builder& raw_commit(std::uint16_t record_count, std::string_view region);
    /// The next commit begins a new segment.
    log_builder& rotate();

    log_builder& set_epoch(std::uint64_t epoch) {
        epoch_ = epoch;
        return *this;
    }
    log_builder& set_padding(std::uint64_t bytes) {
        padding_bytes_ = bytes;
        return *this;
    }
    log_builder& set_timestamp(std::uint64_t us) {
        timestamp_us_ = us;
        return *this;
    }
    log_builder& set_log_id(std::uint64_t log_id) {
        log_id_ = log_id;
        return *this;
    }
    /// What the following commits' trailers say was durable; without it, everything before the
    /// commit itself.
    log_builder& set_durable_end(log_offset end) {
        durable_end_ = end;
        has_durable_end_ = true;
        return *this;
    }
    log_builder& clear_durable_end() {
        has_durable_end_ = false;
        return *this;
    }
    /// The offset of the next commit, right or wrong.
    log_builder& set_next(log_offset next) {
        next_ = next;
        return *this;
    }
    /// What the next commit's trailer calls the commit before it, right or wrong.
    log_builder& set_previous_crc(std::uint32_t crc) {
        last_crc_ = crc;
        return *this;
    }

    [[nodiscard]] const std::vector<built_segment>& segments() const { return segments_; }
    [[nodiscard]] std::vector<built_segment>& segments() { return segments_; }
    [[nodiscard]] built_segment& newest() { return segments_.back(); }
    [[nodiscard]] const built_commit& last() const { return segments_.back().commits.back(); }
    [[nodiscard]] log_offset next() const { return next_; }
    [[nodiscard]] std::uint32_t last_crc() const { return last_crc_; }
    /// Every record of every commit, in order.
    [[nodiscard]] std::vector<std::string> records() const;

    /// STATE as an unclean stop leaves it: the newest segment is named, there is no mark.
    [[nodiscard]] format::log_state running_state() const;
    /// STATE as `close` leaves it.
    [[nodiscard]] format::log_state closed_state() const;

    /// Segments, LOCK, spare/ and STATE (`state` in both slots) in directory `path` of `disk`.
    void write_to(sim::disk_image& disk, std::string_view path,
                  const format::log_state& state) const;
    /// The same without STATE.
    void write_segments_to(sim::disk_image& disk, std::string_view path) const;

private:
    void add(std::vector<std::byte> bytes, built_commit what);

    std::uint64_t log_id_;
    log_offset next_;
    std::uint64_t epoch_ = 0;
    std::uint64_t padding_bytes_ = 0;
    std::uint64_t timestamp_us_ = 1'600'000'000'000'000;
    log_offset durable_end_;
    bool has_durable_end_ = false;
    std::uint32_t last_crc_ = 0;
    std::uint32_t predecessor_crc_ = 0;  ///< of the commit before the newest segment
    std::uint64_t predecessor_timestamp_us_ = 0;
    std::uint64_t last_timestamp_us_ = 0;
    std::vector<built_segment> segments_;
};

/// The file STATE with these slots; slot of `newest` by its generation, the other one `older`.
std::vector<std::byte> state_file(const format::log_state& newest, const format::log_state& older);
/// Both slots say the same, one generation apart.
std::vector<std::byte> state_file(const format::log_state& settled);

/// "PATH/NNNNNNNNNNNNNNNNNNNN.stdb.log"
std::string segment_path(std::string_view path, log_offset begin);

}  // namespace caisson::test
