// One table of fields per structure. A static_assert holds each table gapless and as long as the
// structure.

#include "format/describe.hpp"

#include "format/layout.hpp"

#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

namespace caisson::format {
namespace {

constexpr std::size_t variable = std::numeric_limits<std::size_t>::max();

struct field {
    std::size_t at;    // `variable`: behind a part of variable size
    std::size_t size;  // `variable`: given by another field
    std::string_view type;
    std::string_view name;
    std::string_view meaning;
    std::string_view check;
};

// Fields follow each other without a gap. `fixed_bytes` is the size of the fixed part, before the
// first variable field.
template <std::size_t N>
constexpr bool is_gapless(const std::array<field, N>& fields, std::size_t fixed_bytes) {
    std::size_t at = 0;
    for (const field& each : fields) {
        if (each.size == variable) {
            return each.at == at && at == fixed_bytes;
        }
        if (each.at != at) {
            return false;
        }
        at += each.size;
    }
    return at == fixed_bytes;
}

namespace sh = layout::segment_header;
constexpr std::array<field, 4> segment_header_fields = {{
    {sh::magic_at, sh::magic.size(), "bytes", "magic", "ASCII `(ds)^2`",
     "differs: `not_a_segment`"},
    {sh::version_at, 1, "u8", "version", "layout of the commits; we write 1, and read 0 and 1",
     "above 1: `unsupported_version`"},
    {sh::algorithm_at, 1, "u8", "algorithm", "0 = CRC-32C", "not 0: `unsupported_algorithm`"},
    {sh::reserved_at, sh::reserved_bytes, "bytes", "reserved", "written 0",
     "ignored, as the reference does"},
}};
static_assert(is_gapless(segment_header_fields, sh::size_bytes));

constexpr std::string_view begin_meaning = "offset of the first record";
constexpr std::string_view begin_check =
    "the end of the commit before it, also across segments: else `out_of_order`";
constexpr std::string_view count_meaning = "records, 1 to 65,535";
constexpr std::string_view count_check = "0, or begin + n beyond 2^64: `malformed`";
constexpr std::string_view region_bytes_meaning = "bytes of `records`";
constexpr std::string_view region_bytes_check =
    "against the commit limit before any use, then against the file's end";

namespace c1 = layout::commit_v1;
constexpr std::array<field, 6> commit_v1_fields = {{
    {c1::begin_at, 8, "u64", "min_tx_offset", begin_meaning, begin_check},
    {c1::epoch_at, 8, "u64", "epoch", "leader's term; 0 without one",
     "native: below one before it is `epoch_backwards`; raw: reported"},
    {c1::count_at, 2, "u16", "n", count_meaning, count_check},
    {c1::region_bytes_at, 4, "u32", "len", region_bytes_meaning, region_bytes_check},
    {c1::header_bytes, variable, "bytes", "records",
     "the application's; ours is the native codec below", "by the codec"},
    {variable, layout::checksum_bytes, "u32", "crc", "CRC-32C of all bytes of the commit before it",
     "differs: `checksum_mismatch`"},
}};
static_assert(is_gapless(commit_v1_fields, c1::header_bytes));

namespace c0 = layout::commit_v0;
constexpr std::array<field, 5> commit_v0_fields = {{
    {c0::begin_at, 8, "u64", "min_tx_offset", begin_meaning, begin_check},
    {c0::count_at, 2, "u16", "n", count_meaning, count_check},
    {c0::region_bytes_at, 4, "u32", "len", region_bytes_meaning, region_bytes_check},
    {c0::header_bytes, variable, "bytes", "records", "as in version 1", "by the codec"},
    {variable, layout::checksum_bytes, "u32", "crc", "as in version 1",
     "differs: `checksum_mismatch`"},
}};
static_assert(is_gapless(commit_v0_fields, c0::header_bytes));

namespace na = layout::native;
constexpr std::array<field, 2> record_fields = {{
    {0, na::record_prefix_bytes, "u32", "length", "bytes of the record, 0 or more",
     "against what is left before the trailer: `malformed`"},
    {na::record_prefix_bytes, variable, "bytes", "payload", "the caller's bytes",
     "by the commit's checksum"},
}};
static_assert(is_gapless(record_fields, na::record_prefix_bytes));

constexpr std::array<field, 5> trailer_fields = {{
    {na::trailer_version_at, 1, "u8", "version", "1",
     "above 1: `unsupported_version`; 0: `malformed`"},
    {na::trailer_log_id_at, 8, "u64", "log_id", "random, given at creation; names a lineage",
     "against `STATE`: `wrong_log`"},
    {na::trailer_durable_end_at, 8, "u64", "durable_end",
     "first offset not known durable (local) when this commit was built",
     "beyond its own begin: `malformed`"},
    {na::trailer_timestamp_at, 8, "u64", "timestamp_us",
     "microseconds since 1970, never decreasing in a log",
     "going backwards is reported, never damage"},
    {na::trailer_previous_crc_at, 4, "u32", "previous_crc",
     "crc of the commit before it; 0 for the log's first",
     "wherever the predecessor is known: `chain_broken`"},
}};
static_assert(is_gapless(trailer_fields, na::trailer_bytes));

namespace st = layout::state;
constexpr std::string_view zero_if_absent = "zero when absent";
constexpr std::string_view flag_check = "0 or 1, else `malformed`";
constexpr std::array<field, 27> state_fields = {{
    {st::magic_at, st::magic.size(), "bytes", "magic", "ASCII `CAISSON` and a zero byte",
     "differs: the slot is bad"},
    {st::version_at, 4, "u32", "version", "of this structure: 1", "differs: `unsupported_version`"},
    {st::features_at, 4, "u32", "features", "bits a reader must understand; none yet",
     "not 0: `unsupported_version`"},
    {st::generation_at, 8, "u64", "generation", "grows by one a write; lowest bit = slot",
     "in the other slot's place: the slot is bad"},
    {st::log_id_at, 8, "u64", "log_id", "the id in every native trailer",
     "slots differ: `state_damaged`"},
    {st::native_from_at, 8, "u64", "native_from", "segments from here on are native, before it raw",
     ""},
    {st::purged_before_at, 8, "u64", "purged_before", "records before it were given up on purpose",
     "settled in both"},
    {st::epoch_at, 8, "u64", "epoch", "no later commit has a lower one", "settled in both"},
    {st::remote_end_at, 8, "u64", "remote_end", "end of what object storage is known to hold", ""},
    {st::block_bytes_at, 4, "u32", "block_bytes", "alignment of commits",
     "a power of two, else `malformed`"},
    {st::role_at, 1, "u8", "role", "0 primary, 1 sink",
     "0 or 1, else `malformed`; settled in both"},
    {st::intention_at, 1, "u8", "intention", "0 none, 1 reset in progress",
     "0 or 1, else `malformed`; settled in both"},
    {st::has_segment_at, 1, "u8", "has_segment", "1 when a first segment has been named",
     flag_check},
    {st::has_mark_at, 1, "u8", "has_mark", "1 after a clean close",
     "0 or 1, else `malformed`; settled in both when dropped"},
    {st::segment_begin_at, 8, "u64", "segment_begin", "first offset of the newest segment",
     zero_if_absent},
    {st::predecessor_timestamp_at, 8, "u64", "predecessor_timestamp_us",
     "of the last commit before that segment", zero_if_absent},
    {st::predecessor_crc_at, 4, "u32", "predecessor_crc",
     "of the last commit before that segment; 0 in a new log", zero_if_absent},
    {st::predecessor_known_at, 1, "u8", "predecessor_known", "0 after a restore", flag_check},
    {st::reserved_1_at, st::sink_synced_end_at - st::reserved_1_at, "bytes", "reserved", "0",
     "zero"},
    {st::sink_synced_end_at, 8, "u64", "sink_synced_end", "what a sink has synced itself",
     "zero in a primary"},
    {st::reset_target_at, 8, "u64", "reset_target", "the offset a reset in progress goes to",
     zero_if_absent},
    {st::mark_segment_at, 8, "u64", "mark_segment", "clean mark: the newest segment at close",
     zero_if_absent},
    {st::mark_length_at, 8, "u64", "mark_length_bytes", "clean mark: length of its file",
     zero_if_absent},
    {st::mark_last_commit_at, 8, "u64", "mark_last_commit",
     "clean mark: byte of its last commit; 0: it has none", zero_if_absent},
    {st::mark_crc_at, 4, "u32", "mark_crc", "clean mark: checksum of the log's last commit",
     zero_if_absent},
    {st::reserved_2_at, st::checksum_at - st::reserved_2_at, "bytes", "reserved", "0", "zero"},
    {st::checksum_at, layout::checksum_bytes, "u32", "crc",
     "CRC-32C of all bytes before it; its place never changes", "differs: the slot is bad"},
}};
static_assert(is_gapless(state_fields, st::slot_bytes));

namespace ie = layout::index_entry;
constexpr std::array<field, 2> index_fields = {{
    {ie::key_at, 8, "u64", "key", "offset a commit begins with; 0 ends the index",
     "strictly increasing, else no index; the commit there must begin with it"},
    {ie::position_at, 8, "u64", "position", "byte of that commit in the plain segment",
     "strictly increasing and at least 10, else no index"},
}};
static_assert(is_gapless(index_fields, ie::size_bytes));

std::string number(std::size_t value, std::string_view otherwise) {
    return value == variable ? std::string(otherwise) : std::to_string(value);
}

void describe_structure(std::string& text, const std::string& title,
                        std::span<const field> fields) {
    text += "#### ";
    text += title;
    text += "\n\n| offset | size (bytes) | type | name | meaning | checked how "
            "|\n|---|---|---|---|---|---|\n";
    for (const field& each : fields) {
        text += "| " + number(each.at, "behind it") + " | " + number(each.size, "given") + " | ";
        text += each.type;
        text += " | `";
        text += each.name;
        text += "` | ";
        text += each.meaning;
        text += " | ";
        text += each.check.empty() ? std::string_view("by the checksum") : each.check;
        text += " |\n";
    }
    text += "\n";
}

}  // namespace

std::string describe_format() {
    std::string text;
    describe_structure(text, "Segment header", segment_header_fields);
    describe_structure(text, "Commit, version 1", commit_v1_fields);
    describe_structure(text, "Commit, version 0 (read only)", commit_v0_fields);
    describe_structure(text, "Record of the native codec", record_fields);
    describe_structure(text,
                       "Trailer of the native codec: the last " +
                           std::to_string(na::trailer_bytes) + " bytes of `records`",
                       trailer_fields);
    describe_structure(text,
                       "Slot of `STATE`: at bytes " + std::to_string(st::slot_0_position_bytes) +
                           " and " + std::to_string(st::slot_1_position_bytes),
                       state_fields);
    describe_structure(text, "Entry of an offset index", index_fields);
    text.pop_back();  // one newline at the end, not two
    return text;
}

}  // namespace caisson::format
