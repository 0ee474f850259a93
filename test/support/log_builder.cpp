// The bytes of a log, by the format layer's encoders.

#include "support/log_builder.hpp"

#include "base/crc32c.hpp"
#include "base/endian.hpp"
#include "format/commit.hpp"
#include "format/names.hpp"
#include "format/native_codec.hpp"
#include "format/segment_header.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace caisson::test {
namespace {

std::vector<std::byte> header_bytes() {
    std::vector<std::byte> bytes(format::layout::segment_header::size_bytes);
    format::encode_segment_header(bytes);
    return bytes;
}

}  // namespace

log_builder::log_builder(std::uint64_t log_id, log_offset first) : log_id_(log_id), next_(first) {
    segments_.push_back({first, header_bytes(), {}});
}

log_builder& log_builder::commit(const std::vector<std::string>& records) {
    std::uint64_t payload_bytes = 0;
    for (const std::string& record : records) {
        payload_bytes += record.size();
    }
    const std::uint64_t whole_bytes =
        format::native_commit_bytes(payload_bytes, records.size(), padding_bytes_);
    std::vector<std::byte> bytes(static_cast<std::size_t>(whole_bytes));
    std::byte* at = bytes.data() + format::native_records_at;
    for (const std::string& record : records) {
        format::encode_record_prefix(at, static_cast<std::uint32_t>(record.size()));
        at += format::layout::native::record_prefix_bytes;
        std::memcpy(at, record.data(), record.size());
        at += record.size();
    }
    ++timestamp_us_;
    format::native_commit what;
    what.begin = next_;
    what.epoch = epoch_;
    what.record_count = static_cast<std::uint16_t>(records.size());
    what.framed_bytes = static_cast<std::uint64_t>(at - bytes.data()) - format::native_records_at;
    what.trailer.log_id = log_id_;
    what.trailer.durable_end = has_durable_end_ ? durable_end_ : next_;
    what.trailer.timestamp_us = timestamp_us_;
    what.trailer.previous_crc = last_crc_;
    last_crc_ = format::finish_commit(bytes, what);
    last_timestamp_us_ = timestamp_us_;

    built_commit built;
    built.records = records;
    add(std::move(bytes), std::move(built));
    return *this;
}

log_builder& log_builder::commits(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        commit({"record " + std::to_string(next_.value())});
    }
    return *this;
}

log_builder& log_builder::raw_commit(std::uint16_t record_count, std::string_view region) {
    constexpr auto version = format::segment_version::v1;
    const std::size_t header_size = format::commit_header_bytes(version);
    std::vector<std::byte> bytes(header_size + region.size() + format::layout::checksum_bytes);
    format::commit_header header;
    header.begin = next_;
    header.epoch = epoch_;
    header.record_count = record_count;
    header.region_bytes = static_cast<std::uint32_t>(region.size());
    format::encode_commit_header(bytes, version, header);
    std::memcpy(bytes.data() + header_size, region.data(), region.size());
    const std::span<const std::byte> covered(bytes.data(), header_size + region.size());
    last_crc_ = crc32c(covered);
    store_le(bytes.data() + covered.size(), last_crc_);

    built_commit built;
    built.records.assign(record_count, std::string());
    add(std::move(bytes), std::move(built));
    return *this;
}

void log_builder::add(std::vector<std::byte> bytes, built_commit what) {
    built_segment& segment = segments_.back();
    what.begin = next_;
    next_ += what.records.size();
    what.end = next_;
    what.position_bytes = segment.bytes.size();
    what.size_bytes = bytes.size();
    what.crc = last_crc_;
    segment.bytes.insert(segment.bytes.end(), bytes.begin(), bytes.end());
    segment.commits.push_back(std::move(what));
}

log_builder& log_builder::rotate() {
    predecessor_crc_ = last_crc_;
    predecessor_timestamp_us_ = last_timestamp_us_;
    segments_.push_back({next_, header_bytes(), {}});
    return *this;
}

std::vector<std::string> log_builder::records() const {
    std::vector<std::string> all;
    for (const built_segment& segment : segments_) {
        for (const built_commit& commit : segment.commits) {
            all.insert(all.end(), commit.records.begin(), commit.records.end());
        }
    }
    return all;
}

format::log_state log_builder::running_state() const {
    format::log_state state;
    state.generation = 8;
    state.log_id = log_id_;
    state.purged_before = segments_.front().begin;
    state.epoch = epoch_;
    format::newest_segment newest;
    newest.begin = segments_.back().begin;
    newest.predecessor_crc = predecessor_crc_;
    newest.predecessor_timestamp_us = predecessor_timestamp_us_;
    state.segment = newest;
    return state;
}

format::log_state log_builder::closed_state() const {
    format::log_state state = running_state();
    const built_segment& newest = segments_.back();
    format::clean_mark mark;
    mark.segment_begin = newest.begin;
    mark.length_bytes = newest.bytes.size();
    mark.last_commit_position_bytes =
        newest.commits.empty() ? 0 : newest.commits.back().position_bytes;
    mark.last_crc = last_crc_;
    state.mark = mark;
    return state;
}

void log_builder::write_segments_to(sim::disk_image& disk, std::string_view path) const {
    disk.make_directory(path);
    for (const built_segment& segment : segments_) {
        disk.write_file(segment_path(path, segment.begin), segment.bytes);
    }
}

void log_builder::write_to(sim::disk_image& disk, std::string_view path,
                           const format::log_state& state) const {
    write_segments_to(disk, path);
    const std::string base(path);
    disk.write_file(base + "/LOCK", {});
    disk.make_directory(base + "/spare");
    disk.write_file(base + "/STATE", state_file(state));
}

std::vector<std::byte> state_file(const format::log_state& newest, const format::log_state& older) {
    namespace at = format::layout::state;
    std::vector<std::byte> bytes(at::slot_1_position_bytes + at::slot_bytes);
    const unsigned slot = format::state_slot_of(newest.generation);
    const auto slot_bytes = [&](unsigned which) {
        const std::span<std::byte> all(bytes);
        return all.subspan(static_cast<std::size_t>(format::state_slot_position_bytes(which)))
            .first<at::slot_bytes>();
    };
    format::encode_state(slot_bytes(slot), newest);
    format::encode_state(slot_bytes(1 - slot), older);
    return bytes;
}

std::vector<std::byte> state_file(const format::log_state& settled) {
    format::log_state older = settled;
    --older.generation;
    return state_file(settled, older);
}

std::string segment_path(std::string_view path, log_offset begin) {
    return std::string(path) + "/" + format::segment_name(begin);
}

}  // namespace caisson::test
