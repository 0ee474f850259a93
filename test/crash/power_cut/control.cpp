// Parses the fault disk's commands strictly: a misspelt command that did nothing would make a test
// pass for nothing. Knows nothing about FUSE. Read control.hpp for the commands.

#include "control.hpp"

#include "volatile_disk.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

namespace caisson::power_cut {
namespace {

using words = std::vector<std::string>;

words split(std::string_view line) {
    std::istringstream stream{std::string(line)};
    words found;
    for (std::string word; stream >> word;) {
        found.push_back(word);
    }
    return found;
}

std::optional<std::uint64_t> number(const std::string& word) {
    std::uint64_t value = 0;
    const char* const end = word.data() + word.size();
    const auto [stopped_at, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc{} || stopped_at != end) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::uint64_t> percent(const std::string& word) {
    const auto value = number(word);
    return value && *value <= 100 ? value : std::nullopt;
}

std::optional<disk_operation> kind_of(const std::string& word) {
    if (word == "read") {
        return disk_operation::read;
    }
    if (word == "write") {
        return disk_operation::write;
    }
    if (word == "flush") {
        return disk_operation::flush;
    }
    return std::nullopt;
}

int crash(volatile_disk& disk, const words& given) {
    if (given.size() != 3) {
        return -EINVAL;
    }
    const auto seed = number(given[1]);
    const auto keep_percent = percent(given[2]);
    return seed && keep_percent ? disk.cut_power(*seed, *keep_percent) : -EINVAL;
}

int fail(volatile_disk& disk, const words& given) {
    if (given.size() != 3 && given.size() != 5) {
        return -EINVAL;
    }
    const auto kind = kind_of(given[1]);
    const auto count = number(given[2]);
    if (!kind || !count) {
        return -EINVAL;
    }
    sector_range range;
    if (given.size() == 5) {
        const auto begin = number(given[3]);
        const auto end = number(given[4]);
        if (!begin || !end) {
            return -EINVAL;
        }
        range = {*begin, *end};
    }
    disk.fail_next(*kind, *count, range);
    return 0;
}

int delay(volatile_disk& disk, const words& given) {
    if (given.size() != 3) {
        return -EINVAL;
    }
    const auto kind = kind_of(given[1]);
    const auto duration_us = number(given[2]);
    if (!kind || !duration_us) {
        return -EINVAL;
    }
    disk.delay(*kind, std::chrono::microseconds(*duration_us));
    return 0;
}

int evict(volatile_disk& disk, const words& given) {
    const auto chosen = given.size() == 2 ? percent(given[1]) : std::nullopt;
    if (!chosen) {
        return -EINVAL;
    }
    disk.evict(*chosen);
    return 0;
}

int tear_between_blocks(volatile_disk& disk, const words& given) {
    const auto sectors = given.size() == 2 ? number(given[1]) : std::nullopt;
    if (!sectors || *sectors == 0) {
        return -EINVAL;
    }
    disk.tear_between_blocks_of(*sectors);
    return 0;
}

}  // namespace

int run_command(volatile_disk& disk, std::string_view line) {
    const words given = split(line);
    if (given.empty()) {
        return -EINVAL;
    }
    if (given[0] == "crash") {
        return crash(disk, given);
    }
    if (given[0] == "eio") {
        return fail(disk, given);
    }
    if (given[0] == "delay") {
        return delay(disk, given);
    }
    if (given[0] == "evict") {
        return evict(disk, given);
    }
    if (given[0] == "block") {
        return tear_between_blocks(disk, given);
    }
    if (given == words{"power", "on"}) {
        disk.restore_power();
        return 0;
    }
    if (given == words{"lie", "on"} || given == words{"lie", "off"}) {
        disk.lie(given[1] == "on");
        return 0;
    }
    return -EINVAL;
}

std::string describe(const disk_statistics& statistics) {
    std::ostringstream text;
    text << "reads " << statistics.operations[static_cast<std::size_t>(disk_operation::read)]
         << '\n'
         << "writes " << statistics.operations[static_cast<std::size_t>(disk_operation::write)]
         << '\n'
         << "flushes " << statistics.operations[static_cast<std::size_t>(disk_operation::flush)]
         << '\n'
         << "operations_waiting " << statistics.operations_waiting << '\n'
         << "power_cuts " << statistics.power_cuts << '\n'
         << "sectors_kept " << statistics.sectors_kept << '\n'
         << "sectors_dropped " << statistics.sectors_dropped << '\n'
         << "sectors_evicted " << statistics.sectors_evicted << '\n'
         << "sectors_unflushed " << statistics.sectors_unflushed << '\n'
         << "errors_injected " << statistics.errors_injected << '\n'
         << "is_powered " << (statistics.is_powered ? 1 : 0) << '\n';
    return text.str();
}

}  // namespace caisson::power_cut
