// fio's names where fio has them: iops, bw_bytes, clat_ns.percentile ...; everything else is in the
// object "caisson".

#include "tools/bench/bench_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace caisson::tools {
namespace {

constexpr std::array<double, 12> percentiles = {1,  5,  10, 25,   50,   75,
                                                90, 95, 99, 99.5, 99.9, 99.99};

template <class... Values>
std::string text_of(const char* form, Values... values) {
    std::array<char, 512> buffer;
    const int length = std::snprintf(buffer.data(), buffer.size(), form, values...);
    return std::string(buffer.data(),
                       std::min(static_cast<std::size_t>(std::max(length, 0)), buffer.size() - 1));
}

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1000; }
double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

json::object latency_to_json(const latency_histogram& clat) {
    json::object percentile;
    for (const double p : percentiles) {
        percentile[text_of("%.6f", p)] = clat.percentile_ns(p);
    }
    json::object object;
    object["min"] = clat.min_ns();
    object["max"] = clat.max_ns();
    object["mean"] = clat.mean_ns();
    object["stddev"] = clat.stddev_ns();
    object["N"] = clat.count();
    object["percentile"] = std::move(percentile);
    return object;
}

json::object io_to_json(const io_figures& io) {
    json::object object;
    object["io_bytes"] = io.io_bytes;
    object["bw_bytes"] = static_cast<std::uint64_t>(io.bytes_per_second());
    object["bw"] =
        static_cast<std::uint64_t>(io.bytes_per_second() / 1024);  // fio's unit: KiB a second
    object["iops"] = io.iops();
    object["runtime"] = std::chrono::duration_cast<std::chrono::milliseconds>(io.runtime).count();
    object["total_ios"] = io.total_ios;
    object["clat_ns"] = latency_to_json(io.clat);
    return object;
}

json::object bare_io_to_json(const bare_figures& bare) {
    json::object percentile;
    percentile["50.000000"] = bare.p50_ns;
    percentile["99.000000"] = bare.p99_ns;
    percentile["99.900000"] = bare.p999_ns;
    json::object clat;
    clat["max"] = bare.max_ns;
    clat["mean"] = bare.mean_ns;
    clat["N"] = bare.writes;
    clat["percentile"] = std::move(percentile);
    json::object object;
    object["bw_bytes"] = static_cast<std::uint64_t>(bare.bytes_per_second);
    object["bw"] = static_cast<std::uint64_t>(bare.bytes_per_second / 1024);
    object["iops"] = bare.iops;
    object["runtime"] = std::chrono::duration_cast<std::chrono::milliseconds>(bare.runtime).count();
    object["total_ios"] = bare.writes;
    object["clat_ns"] = std::move(clat);
    return object;
}

json::object frame(const bench_options& options, const char* name, const char* side,
                   json::object figures) {
    json::object chosen;
    chosen["rw"] = name;
    chosen["bs"] = options.block_size_bytes;
    chosen["iodepth"] = options.iodepth;
    chosen["numjobs"] = options.numjobs;
    chosen["runtime_ns"] = options.runtime.count();
    chosen["segment_size"] = options.segment_size_bytes;
    chosen["own_thread"] = options.own_thread;
    json::object job;
    job["jobname"] = name;
    job["error"] = 0;
    job["job options"] = std::move(chosen);
    job[side] = std::move(figures);
    json::object document;
    document["caisson version"] = CAISSON_VERSION;
    document["jobs"] = json::array{std::move(job)};
    return document;
}

json::object own_to_json(const append_figures& ours) {
    json::object stats;
    ours.stats.visit([&stats](std::string_view name, std::uint64_t value) {
        stats[json::string_view(name.data(), name.size())] = value;
    });
    json::object object;
    object["engine"] = ours.engine;
    object["rotations"] = ours.stats.rotations;
    object["appends_outran_preparation"] = ours.stats.appends_outran_preparation;
    object["commits"] = ours.stats.commits_written;
    object["bytes_written"] = ours.stats.bytes_written;
    object["cpu_us_per_append"] = ours.cpu_us_per_append();
    object["stats"] = std::move(stats);
    return object;
}

json::object to_json(const ratios& of) {
    json::object object;
    object["clat_p50"] = of.p50;
    object["iops"] = of.iops;
    object["bw_bytes"] = of.bandwidth;
    return object;
}

std::string io_line(const io_figures& io) {
    return text_of("  ours: %.0f/s, %.1f MB/s, p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f "
                   "us, %llu in %.2f s\n",
                   io.iops(), io.bytes_per_second() / 1e6, us(io.clat.percentile_ns(50)),
                   us(io.clat.percentile_ns(99)), us(io.clat.percentile_ns(99.9)),
                   us(io.clat.max_ns()), static_cast<unsigned long long>(io.total_ios),
                   io.seconds());
}

std::string bare_line(const bare_figures& bare) {
    return text_of("  bare: %.0f/s, %.1f MB/s, p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f "
                   "us, %llu in %.2f s\n",
                   bare.iops, bare.bytes_per_second / 1e6, us(bare.p50_ns), us(bare.p99_ns),
                   us(bare.p999_ns), us(bare.max_ns), static_cast<unsigned long long>(bare.writes),
                   std::chrono::duration<double>(bare.runtime).count());
}

std::string ratio_line(const char* name, const ratios& of) {
    return text_of("%s: p50 %.3f x, iops %.2f x, bandwidth %.3f x of the bare loop\n", name, of.p50,
                   of.iops, of.bandwidth);
}

}  // namespace

ratios ratios_of(const append_figures& ours, const bare_figures& bare) {
    const auto over = [](double a, double b) {
        return b == 0 ? 0 : a / b;
    };
    ratios result;
    result.p50 =
        over(static_cast<double>(ours.io.clat.percentile_ns(50)), static_cast<double>(bare.p50_ns));
    result.iops = over(ours.io.iops(), bare.iops);
    result.bandwidth = over(ours.io.bytes_per_second(), bare.bytes_per_second);
    return result;
}

ratios median_ratios(const std::vector<measured_pair>& pairs) {
    std::vector<double> p50;
    std::vector<double> iops;
    std::vector<double> bandwidth;
    for (const measured_pair& pair : pairs) {
        const ratios of = ratios_of(pair.ours, *pair.bare);
        p50.push_back(of.p50);
        iops.push_back(of.iops);
        bandwidth.push_back(of.bandwidth);
    }
    ratios result;
    result.p50 = median(std::move(p50));
    result.iops = median(std::move(iops));
    result.bandwidth = median(std::move(bandwidth));
    return result;
}

void put_append_text(output& out, const bench_options& options, const measured_pair& pair) {
    const append_figures& ours = pair.ours;
    out.put(text_of("append: bs=%llu, iodepth=%u, jobs=%u, segments of %llu bytes, ",
                    static_cast<unsigned long long>(options.block_size_bytes), options.iodepth,
                    ours.jobs, static_cast<unsigned long long>(options.segment_size_bytes)));
    out.put(ours.engine + "\n");
    out.put(io_line(ours.io));
    out.put(text_of("  commits %llu, rotations %llu, appends that outran preparation %llu, cpu "
                    "%.3f us/append\n",
                    static_cast<unsigned long long>(ours.stats.commits_written),
                    static_cast<unsigned long long>(ours.stats.rotations),
                    static_cast<unsigned long long>(ours.stats.appends_outran_preparation),
                    ours.cpu_us_per_append()));
    if (pair.bare) {
        out.put(bare_line(*pair.bare));
        out.put(ratio_line("  ratio", ratios_of(ours, *pair.bare)));
    }
}

void put_ratio_text(output& out, const std::vector<measured_pair>& pairs) {
    const std::string name = "median of " + std::to_string(pairs.size()) + " ratios";
    out.put(ratio_line(name.c_str(), median_ratios(pairs)));
}

json::object append_to_json(const bench_options& options, const std::vector<measured_pair>& pairs) {
    const measured_pair& last = pairs.back();
    json::object document = frame(options, "append", "write", io_to_json(last.ours.io));
    document["caisson"] = own_to_json(last.ours);
    if (last.bare) {
        document["baseline"] = bare_io_to_json(*last.bare);
        json::array list;
        for (const measured_pair& pair : pairs) {
            json::object entry = to_json(ratios_of(pair.ours, *pair.bare));
            entry["ours"] = io_to_json(pair.ours.io);
            entry["bare"] = bare_io_to_json(*pair.bare);
            entry["caisson"] = own_to_json(pair.ours);
            list.push_back(std::move(entry));
        }
        document["pairs"] = std::move(list);
        document["ratio_median"] = to_json(median_ratios(pairs));
    }
    return document;
}

void put_bare_text(output& out, const bench_options& options, const bare_figures& bare) {
    out.put(text_of("bare io_uring loop: bs=%llu, iodepth=%u, O_DIRECT, RWF_DSYNC, overwriting; ",
                    static_cast<unsigned long long>(options.baseline_block_size_bytes),
                    options.baseline_iodepth));
    out.put(bare.flags + "\n");
    out.put(bare_line(bare));
}

json::object bare_to_json(const bench_options& options, const bare_figures& bare) {
    json::object document = frame(options, "bare", "write", bare_io_to_json(bare));
    json::object own;
    own["bs"] = options.baseline_block_size_bytes;
    own["iodepth"] = options.baseline_iodepth;
    own["flags"] = bare.flags;
    document["caisson"] = std::move(own);
    return document;
}

void put_read_text(output& out, const replay_figures& disk, const memory_figures& memory) {
    out.put(text_of(
        "replay from disk: %.2f GB/s, %llu commits, %llu records, %llu bytes in %.2f s, verified\n",
        disk.io.bytes_per_second() / 1e9, static_cast<unsigned long long>(disk.io.total_ios),
        static_cast<unsigned long long>(disk.records),
        static_cast<unsigned long long>(disk.io.io_bytes), disk.io.seconds()));
    out.put(text_of(
        "replay from memory: %.2f GB/s a core, %llu bytes, median of %llu passes, verified\n",
        memory.bytes_per_second() / 1e9, static_cast<unsigned long long>(memory.bytes),
        static_cast<unsigned long long>(memory.passes)));
}

json::object read_to_json(const bench_options& options, const replay_figures& disk,
                          const memory_figures& memory) {
    json::object document = frame(options, "read", "read", io_to_json(disk.io));
    json::object own;
    own["records"] = disk.records;
    own["payload_bytes"] = disk.payload_bytes;
    own["memory_bytes"] = memory.bytes;
    own["memory_passes"] = memory.passes;
    own["memory_bw_bytes"] = static_cast<std::uint64_t>(memory.bytes_per_second());
    document["caisson"] = std::move(own);
    return document;
}

void put_open_text(output& out, const std::vector<open_figures>& logs) {
    for (const open_figures& log : logs) {
        out.put(text_of("open after a clean close, %u sealed segments: %.1f us (median of %u)\n",
                        log.sealed_segments, us(static_cast<std::uint64_t>(log.open_time.count())),
                        log.repetitions));
    }
    out.put(text_of("each further sealed segment: %.3f us\n", open_us_per_segment(logs)));
}

json::object open_to_json(const std::vector<open_figures>& logs) {
    json::array list;
    for (const open_figures& log : logs) {
        json::object entry;
        entry["sealed_segments"] = log.sealed_segments;
        entry["repetitions"] = log.repetitions;
        entry["open_ns_median"] = log.open_time.count();
        list.push_back(std::move(entry));
    }
    json::object own;
    own["open"] = std::move(list);
    own["open_us_per_segment"] = open_us_per_segment(logs);
    json::object document;
    document["caisson version"] = CAISSON_VERSION;
    document["caisson"] = std::move(own);
    return document;
}

}  // namespace caisson::tools
