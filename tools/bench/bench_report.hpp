#pragma once
// What the bench prints: for people, and as JSON with fio's keys, so that what reads fio's output
// reads ours. Knows nothing about how anything was measured.

#include "tools/bench/bench_append.hpp"
#include "tools/bench/bench_open.hpp"
#include "tools/bench/bench_options.hpp"
#include "tools/bench/bench_read.hpp"
#include "tools/json.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::tools {

/// One run of ours beside one run of the bare loop, one right after the other.
struct measured_pair {
    append_figures ours;
    std::optional<bare_figures> bare;  ///< with --baseline
};

/// Ours over the bare loop's; of several pairs the median of each ratio.
struct ratios {
    double p50 = 0;  ///< latency: lower is better
    double iops = 0;
    double bandwidth = 0;  ///< payload bytes
};

[[nodiscard]] ratios ratios_of(const append_figures& ours, const bare_figures& bare);
/// Shape: not empty.
[[nodiscard]] ratios median_ratios(const std::vector<measured_pair>& pairs);

/// What one pair measured, printed as soon as it is known.
void put_append_text(output& out, const bench_options& options, const measured_pair& pair);
void put_ratio_text(output& out, const std::vector<measured_pair>& pairs);
/// jobs[0] is the last pair's run of ours.
[[nodiscard]] json::object append_to_json(const bench_options& options,
                                          const std::vector<measured_pair>& pairs);

void put_bare_text(output& out, const bench_options& options, const bare_figures& bare);
[[nodiscard]] json::object bare_to_json(const bench_options& options, const bare_figures& bare);

void put_read_text(output& out, const replay_figures& disk, const memory_figures& memory);
[[nodiscard]] json::object read_to_json(const bench_options& options, const replay_figures& disk,
                                        const memory_figures& memory);

void put_open_text(output& out, const std::vector<open_figures>& logs);
[[nodiscard]] json::object open_to_json(const std::vector<open_figures>& logs);

}  // namespace caisson::tools
