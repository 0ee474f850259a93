// Recovery over generated logs: an honest crash never refuses and never loses what was
// acknowledged; damage to what was acknowledged is reported or lies where open does not look. Each
// seed prints itself.

#include "support/recovery_rig.hpp"

#include "base/prng.hpp"

#include <catch2/catch_test_macros.hpp>

namespace caisson::test {
namespace {

log_builder random_log(prng& random, std::uint64_t commits) {
    log_builder log;
    for (std::uint64_t i = 0; i < commits; ++i) {
        if (i > 0 && random.chance(1, 12)) {
            log.rotate();
        }
        std::vector<std::string> records(1 + random.below(4));
        for (std::string& record : records) {
            record.assign(random.below(random.chance(1, 10) ? 9000 : 200),
                          static_cast<char>('a' + random.below(26)));
        }
        log.set_padding(random.chance(1, 5) ? random.below(4096) : 0);
        log.commit(records);
    }
    return log;
}

// The oracle: up to four groups left before the power went and none of them was acknowledged; each
// sector of them may hold its new bytes, zeros, or garbage.
TEST_CASE("after any honest crash the log opens with every acknowledged record and a prefix of the "
          "others",
          "[log][recovery]") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        prng random(seed);
        log_builder log = random_log(random, 1 + random.below(30));
        const log_offset acknowledged = log.next();
        const std::uint64_t acknowledged_bytes = log.newest().bytes.size();
        log.set_durable_end(acknowledged);
        const std::uint64_t in_flight = random.below(5);
        for (std::uint64_t i = 0; i < in_flight; ++i) {
            log.commit({std::string(random.below(6000), 'u')});
        }
        const built_segment whole = log.newest();
        auto& bytes = log.newest().bytes;
        const std::uint64_t sector = random.chance(1, 2) ? 512 : 4096;
        for (std::uint64_t at = acknowledged_bytes; at < bytes.size();
             at = (at / sector + 1) * sector) {
            const std::uint64_t end =
                std::min<std::uint64_t>((at / sector + 1) * sector, bytes.size());
            const std::uint64_t fate = random.below(4);
            for (std::uint64_t i = at; i < end && fate >= 2; ++i) {
                bytes[i] = fate == 2 ? std::byte{0} : static_cast<std::byte>(random.next() >> 56U);
            }
        }
        append(bytes, random.below(3) * 50'000, std::byte{0});

        recovery_rig rig(seed);
        rig.put(log);
        open_outcome opened = rig.open();
        INFO("seed " << seed << ": " << opened.message());
        REQUIRE(opened.is_open());
        REQUIRE(opened.log->end >= acknowledged);
        REQUIRE(opened.log->end <= log.next());
        const std::uint64_t length = opened.log->tail.length_bytes;
        // nothing but what was written
        REQUIRE(rig.segment(whole.begin) == head(whole.bytes, length));
        const directory_image settled = rig.files();
        opened = open_outcome();
        REQUIRE(rig.open().is_open());
        REQUIRE(rig.files() == settled);
    }
}

TEST_CASE("one flipped byte at 1,000 places of a closed log never makes open serve less without "
          "saying so",
          "[log][recovery]") {
    prng shape(7);
    const log_builder log = random_log(shape, 60);
    std::uint64_t size = 0;
    for (const built_segment& segment : log.segments()) {
        size += segment.bytes.size();
    }
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        std::uint64_t at = size * i / 1000;
        log_builder damaged = log;
        std::size_t index = 0;
        while (at >= damaged.segments()[index].bytes.size()) {
            at -= damaged.segments()[index++].bytes.size();
        }
        built_segment& hurt = damaged.segments()[index];
        flip(hurt.bytes, at, std::byte{0x21});
        recovery_rig rig;
        rig.put(damaged, log.closed_state());
        const directory_image before = rig.files();
        open_outcome opened = rig.open();
        INFO("segment " << index << " byte " << at << ": " << opened.message());
        const bool is_newest = index + 1 == log.segments().size();
        const bool is_looked_at =
            is_newest && ((at < 10 && at != 8 && at != 9) ||
                          at >= log.segments()[index].commits.back().position_bytes);
        REQUIRE(opened.is_open() != is_looked_at);
        if (is_looked_at) {
            ++refused;
            REQUIRE(opened.refused->file() == segment_path(log_path, hurt.begin));
            REQUIRE(opened.refused->position_bytes().has_value());
        } else {
            REQUIRE(opened.log->end == log.next());
        }
        REQUIRE(rig.files() == before);  // the damaged bytes stay for verify and repair to see
    }
    CHECK(refused > 0);
}

TEST_CASE("damage to acknowledged bytes of an unclean log is refused or lies in the last commit",
          "[log][recovery]") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        prng random(seed);
        log_builder log;
        log.commits(3 + random.below(20));
        const built_commit last = log.last();
        auto& bytes = log.newest().bytes;
        const std::uint64_t at = 10 + random.below(last.position_bytes - 10);
        const std::uint64_t length =
            std::min<std::uint64_t>(1 + random.below(300), last.position_bytes - at);
        const bool is_zeroed = random.chance(1, 2);
        for (std::uint64_t i = at; i < at + length; ++i) {
            bytes[i] = is_zeroed ? std::byte{0} : static_cast<std::byte>(random.next() >> 56U);
        }
        bytes[at] = bytes[at] == std::byte{0} ? std::byte{1} : bytes[at];
        recovery_rig rig(seed);
        rig.put(log);
        const directory_image before = rig.files();
        const open_outcome opened = rig.open();
        INFO("seed " << seed << " at " << at << ": " << opened.message());
        // A byte that happens to be written as it was is no damage.
        if (opened.is_open()) {
            REQUIRE(opened.log->end == log.next());
        } else {
            REQUIRE(opened.code() == errc::damaged);
            REQUIRE(opened.refused->position_bytes() <= at);
        }
        REQUIRE(rig.files() == before);
    }
}

}  // namespace
}  // namespace caisson::test
