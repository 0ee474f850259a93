// What a log that is opened again does as its new options say, not as those it was made with.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

constexpr std::uint64_t kib = 1024;

/// Opens, appends that much in records of 8 KiB, closes; what the log counted.
log_stats live(engine_world& machine, const log_options& options, std::uint64_t records) {
    log opened = machine.open(options);
    for (std::uint64_t k = 0; k < records; ++k) {
        REQUIRE(machine.append(opened, std::string(8 * kib, 'r')));
    }
    const auto closed = machine.start_close(opened);
    REQUIRE(machine.finish(closed));
    CHECK(closed->value());
    return opened.stats();
}

log_options with_segments_of(std::uint64_t size_bytes) {
    log_options options;
    options.segment_size_bytes = size_bytes;
    return options;
}

log_options with_alignment(commit_alignment alignment) {
    log_options options;
    options.alignment = alignment;
    return options;
}

}  // namespace

TEST_CASE("D17: a log opened again has segments of the size asked for now", "[engine][resume]") {
    engine_world machine;
    CHECK(live(machine, with_segments_of(64 * kib), 4).rotations == 0);
    // The segment that was begun goes on to the new limit, and so do those that follow.
    CHECK(live(machine, with_segments_of(512 * kib), 40).rotations == 0);
    CHECK(live(machine, with_segments_of(512 * kib), 40).rotations == 1);
    CHECK(live(machine, with_segments_of(64 * kib), 40).rotations >= 5);
}

TEST_CASE("D17: a log opened again aligns commits as asked for now", "[engine][resume]") {
    engine_world machine;
    CHECK(live(machine, with_alignment(commit_alignment::adaptive), 4).padding_bytes_written == 0);
    CHECK(live(machine, with_alignment(commit_alignment::block), 4).padding_bytes_written > 0);
    CHECK(live(machine, with_alignment(commit_alignment::adaptive), 4).padding_bytes_written == 0);
}

}  // namespace caisson::test
