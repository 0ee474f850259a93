#pragma once
// Builds segments byte by byte for the tests of `format` and of what reads it. Knows nothing about
// files. It writes through the codecs under test; the golden files are what holds those against
// fixed bytes.

#include "format/commit.hpp"
#include "format/native_codec.hpp"
#include "format/segment_header.hpp"

#include "base/crc32c.hpp"
#include "base/endian.hpp"

#include <caisson/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::test {

using byte_vector = std::vector<std::byte>;

/// Bytes from hexadecimal digits; blanks are ignored.
inline byte_vector from_hex(std::string_view digits) {
    const auto value = [](char c) {
        return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    };
    byte_vector bytes;
    bool has_high = false;
    unsigned high = 0;
    for (const char c : digits) {
        if (c == ' ' || c == '\n') {
            continue;
        }
        if (has_high) {
            bytes.push_back(static_cast<std::byte>(high << 4 | value(c)));
        }
        high = value(c);
        has_high = !has_high;
    }
    return bytes;
}

inline byte_vector from_text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

inline std::string to_text(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) {
        text += static_cast<char>(b);
    }
    return text;
}

/// One segment under construction. Its public members are the next commit's circumstances; change
/// them to forge.
class segment_builder {
public:
    static constexpr std::uint64_t default_log_id = 0x1122'3344'5566'7788;

    explicit segment_builder(log_offset first = log_offset{0}) : next(first), durable_end(first) {
        bytes.resize(format::layout::segment_header::size_bytes);
        format::encode_segment_header(bytes);
    }

    /// Appends a native commit of these records; returns the position of its first byte.
    std::size_t commit(const std::vector<std::string>& records, std::size_t padding_bytes = 0) {
        std::size_t payload_bytes = 0;
        for (const std::string& record : records) {
            payload_bytes += record.size();
        }
        const std::size_t size_bytes = static_cast<std::size_t>(
            format::native_commit_bytes(payload_bytes, records.size(), padding_bytes));
        const std::size_t position_bytes = bytes.size();
        // finish_commit has to overwrite all of it
        bytes.resize(position_bytes + size_bytes, std::byte{0xee});
        const std::span<std::byte> whole = std::span(bytes).subspan(position_bytes);
        std::byte* to = whole.data() + format::native_records_at;
        for (const std::string& record : records) {
            format::encode_record_prefix(to, static_cast<std::uint32_t>(record.size()));
            to += format::layout::native::record_prefix_bytes;
            to = std::copy_n(reinterpret_cast<const std::byte*>(record.data()), record.size(), to);
        }
        format::native_commit fields;
        fields.begin = next;
        fields.epoch = epoch;
        fields.record_count = static_cast<std::uint16_t>(records.size());
        fields.framed_bytes =
            static_cast<std::uint64_t>(to - whole.data()) - format::native_records_at;
        fields.trailer = {log_id, durable_end, timestamp_us, previous_crc};
        previous_crc = format::finish_commit(whole, fields);
        next += records.size();
        if (!is_pipelined) {
            durable_end = next;
        }
        timestamp_us += 1'000;
        positions.push_back(position_bytes);
        return position_bytes;
    }

    /// Appends a commit with any region; returns the position of its first byte.
    std::size_t raw_commit(std::uint16_t record_count, std::span<const std::byte> region,
                           format::segment_version version = format::segment_version::v1) {
        const std::size_t position_bytes = bytes.size();
        const std::size_t header_bytes = format::commit_header_bytes(version);
        bytes.resize(position_bytes + header_bytes);
        format::encode_commit_header(
            std::span(bytes).subspan(position_bytes), version,
            {next, epoch, record_count, static_cast<std::uint32_t>(region.size())});
        bytes.insert(bytes.end(), region.begin(), region.end());
        append_crc(position_bytes);
        next += record_count;
        positions.push_back(position_bytes);
        return position_bytes;
    }

    std::size_t raw_commit(std::string_view region) {
        return raw_commit(1, std::as_bytes(std::span(region)));
    }

    /// Ends the commit that began at `position_bytes` with the right checksum.
    void append_crc(std::size_t position_bytes) {
        previous_crc = crc32c(std::span<const std::byte>(bytes).subspan(position_bytes));
        bytes.resize(bytes.size() + 4);
        store_le<std::uint32_t>(bytes.data() + bytes.size() - 4, previous_crc);
    }

    void zeros(std::size_t count) { bytes.resize(bytes.size() + count, std::byte{0}); }
    void flip(std::size_t position_bytes, unsigned mask = 1) {
        bytes[position_bytes] ^= static_cast<std::byte>(mask);
    }
    void append(std::span<const std::byte> more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
    }

    byte_vector bytes;
    std::vector<std::size_t> positions;
    std::uint64_t log_id = default_log_id;
    log_offset next;
    log_offset durable_end;
    std::uint64_t epoch = 0;
    std::uint64_t timestamp_us = 1'700'000'000'000'000;
    std::uint32_t previous_crc = 0;
    /// true: durable_end stays where it is, as with several groups in flight
    bool is_pipelined = false;
};

}  // namespace caisson::test
