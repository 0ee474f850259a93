// `caisson stat DIR`: what a log holds and how its directory stands, without reading its records.
// Reads only.

#include "tools/command_line.hpp"
#include "tools/json.hpp"
#include "tools/output.hpp"
#include "tools/read_only.hpp"

#include <caisson/engine.hpp>
#include <caisson/log_view.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace caisson::tools {
namespace {

struct stat_options {
    std::string directory;
    bool json = false;
};

/// What the directory occupies, everything in it counted: segments, indexes, spare files, kept
/// remains.
struct disk_usage {
    std::uint64_t files = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t allocated_bytes = 0;
};

disk_usage measure(const std::string& directory) {
    namespace fs = std::filesystem;
    disk_usage usage;
    // A live writer renames and removes files while we look; what is gone does not count.
    std::error_code ignored;
    fs::recursive_directory_iterator entry(directory, fs::directory_options::skip_permission_denied,
                                           ignored);
    while (!ignored && entry != fs::recursive_directory_iterator()) {
        struct ::stat status{};
        if (::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
            ++usage.files;
            usage.size_bytes += static_cast<std::uint64_t>(status.st_size);
            usage.allocated_bytes +=
                static_cast<std::uint64_t>(status.st_blocks) * 512;  // st_blocks counts 512 bytes
        }
        entry.increment(ignored);
    }
    return usage;
}

const char* name_of(tail_state tail) {
    switch (tail) {
    case tail_state::clean: return "clean";
    case tail_state::unfinished: return "unfinished";
    case tail_state::damaged: return "damaged";
    case tail_state::newer_version: return "newer version";
    }
    return "unknown";
}

json::object state_to_json(const state_facts& state) {
    json::object object;
    object["generation"] = state.generation;
    object["native_from"] = state.native_from.value();
    object["purged_before"] = state.purged_before.value();
    object["epoch"] = state.epoch;
    object["remote_end"] = state.remote_end.value();
    object["block_size_bytes"] = state.block_size_bytes;
    object["role"] = state.is_sink ? "sink" : "primary";
    object["reset_in_progress"] = state.is_reset_in_progress;
    object["clean_mark"] = state.has_clean_mark;
    object["both_slots_valid"] = state.are_both_slots_valid;
    return object;
}

json::object to_json(const std::string& directory, const view_facts& facts) {
    std::uint64_t segment_bytes = 0;
    json::array segments;
    for (const segment_summary& segment : facts.segments) {
        segment_bytes += segment.size_bytes;
        json::object entry;
        entry["name"] = segment.name;
        entry["begin"] = segment.begin.value();
        entry["bytes"] = segment.size_bytes;
        entry["has_index"] = segment.has_index;
        segments.push_back(std::move(entry));
    }
    const disk_usage usage = measure(directory);
    json::object object;
    object["directory"] = directory;
    object["begin"] = facts.begin.value();
    object["end"] = facts.end.value();
    object["records"] = facts.end - facts.begin;
    object["proven_durable_end"] = facts.proven_durable_end.value();
    object["format_version"] = facts.format_version;
    object["foreign"] = facts.is_foreign;
    object["has_log_id"] = facts.log_id != 0;
    object["closed_cleanly"] = facts.was_closed_cleanly;
    object["tail"] = name_of(facts.tail);
    object["tail_position_bytes"] = facts.tail_position_bytes;
    object["last_timestamp_us"] = facts.last_timestamp_us;
    object["segment_count"] = facts.segments.size();
    object["segment_bytes"] = segment_bytes;
    object["file_count"] = usage.files;
    object["file_bytes"] = usage.size_bytes;
    object["allocated_bytes"] = usage.allocated_bytes;
    object["state"] = facts.state ? json::value(state_to_json(*facts.state)) : json::value(nullptr);
    object["segments"] = std::move(segments);
    return object;
}

/// The same facts as "key: value" lines; of nested objects "outer.key". The segments are counted
/// above, not listed.
void put_text(output& out, const json::object& object, const std::string& prefix) {
    for (const auto& [key, value] : object) {
        const std::string name = prefix + std::string(std::string_view(key.data(), key.size()));
        if (value.is_object()) {
            put_text(out, value.get_object(), name + ".");
        } else if (!value.is_array()) {
            out.put(name + ": " +
                    (value.is_string() ? std::string(value.get_string().c_str())
                                       : json::serialize(value)) +
                    "\n");
        }
    }
}

net::awaitable<exit_code> stat(const stat_options& options, engine& machine) {
    const result<log_view> view = co_await open_view("stat", options.directory, machine);
    if (!view) {
        co_return to_exit_code(view.error());
    }
    const json::object facts = to_json(options.directory, view.value().facts());
    output out(STDOUT_FILENO);
    if (options.json) {
        put_json_pretty(out, facts);
    } else {
        put_text(out, facts, {});
    }
    if (const error_code failed = out.flush()) {
        print_error("stat", "standard output: " + failed.message());
        co_return exit_code::error;
    }
    co_return finish_reading("stat", view.value(), exit_code::ok);
}

}  // namespace

void add_stat_command(CLI::App& app, chosen_command& chosen) {
    const auto options = std::make_shared<stat_options>();
    const auto run = [options] {
        return run_read_only("stat",
                             [options](engine& machine) { return stat(*options, machine); });
    };
    CLI::App& verb = add_verb(app, chosen,
                              {"stat", "Say what a log holds and how it was closed",
                               R"(Offsets are half-open: the log holds [begin, end). Records below
proven_durable_end are proven to have been acknowledged; those from there on
may vanish in a crash of the machine if the writer is still running. Sizes are
bytes. Looks only at names, STATE and the newest segment: 'caisson verify'
checks the rest.

Examples:
  caisson stat /var/lib/app/log
  caisson stat /var/lib/app/log --json | jq .end)"},
                              run);
    add_directory(verb, options->directory);
    add_flag(verb, "--json", options->json, "Print one JSON object, with the list of segments");
}

}  // namespace caisson::tools
