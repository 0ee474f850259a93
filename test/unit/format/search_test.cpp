// The search behind damage: what it finds, what it must not take for a commit, and that it stays
// linear.

#include "format/search.hpp"

#include "base/prng.hpp"
#include "format/scan.hpp"
#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

using namespace caisson;
using namespace caisson::format;
using caisson::test::byte_vector;
using caisson::test::segment_builder;

namespace {

constexpr std::uint64_t size_limit = 64 << 10;

search_params native_beyond(std::uint64_t expected) {
    return {log_offset{expected}, segment_builder::default_log_id, segment_version::v1, size_limit};
}
search_params raw_beyond(std::uint64_t expected) {
    return {log_offset{expected}, std::nullopt, segment_version::v1, size_limit};
}

std::vector<std::uint64_t> find_all(std::span<const std::byte> bytes, const search_params& params,
                                    std::uint64_t from = 0) {
    damage_search search(params, from);
    std::vector<std::uint64_t> positions;
    for (;;) {
        const auto event = search.next({bytes, 0, true});
        if (event.step == search_step::end) {
            return positions;
        }
        REQUIRE(event.step == search_step::found);
        positions.push_back(event.position_bytes);
    }
}

byte_vector noise(std::size_t size, std::uint64_t seed) {
    prng random(seed);
    byte_vector bytes(size);
    for (std::byte& b : bytes) {
        b = static_cast<std::byte>(random.next());
    }
    return bytes;
}

byte_vector golden(const std::string& name) {
    std::ifstream file(std::string(CAISSON_SOURCE_DIR "/test/golden/") + name, std::ios::binary);
    REQUIRE(file.is_open());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return test::from_text(text);
}

std::string as_record(std::span<const std::byte> bytes) { return test::to_text(bytes); }

}  // namespace

TEST_CASE("valid commits are found at every alignment behind noise and zeros", "[format][search]") {
    for (std::size_t shift = 0; shift < 20; ++shift) {
        for (const std::uint64_t expected : {std::uint64_t{0}, std::uint64_t{70'000}}) {
            segment_builder segment(log_offset{expected});
            segment.bytes = noise(200 + shift, shift);
            segment.zeros(300 + 3 * shift);
            const auto first = segment.commit({"x"});
            segment.zeros(17);
            const auto second = segment.commit({"y", "z"});
            segment.append(noise(30, 99));
            CHECK(find_all(segment.bytes, native_beyond(expected)) ==
                  std::vector<std::uint64_t>{first, second});
            CHECK(find_all(segment.bytes, native_beyond(expected + 1)) ==
                  std::vector<std::uint64_t>{second});
            CHECK(find_all(segment.bytes, native_beyond(expected + 3)).empty());
        }
    }
}

TEST_CASE("a commit with n = 256 behind zeros is not skipped with them", "[format][search]") {
    // The low byte of n is zero, so the first byte that is not zero stands at n's high byte.
    segment_builder segment;
    segment.bytes.assign(100, std::byte{0});
    const auto position = segment.commit(std::vector<std::string>(256));
    CHECK(find_all(segment.bytes, native_beyond(0)) == std::vector<std::uint64_t>{position});
}

TEST_CASE("an offset whose only byte is its highest is found behind zeros", "[format][search]") {
    segment_builder segment(log_offset{std::uint64_t{0x40} << 56});
    segment.bytes.assign(100, std::byte{0});
    const auto position = segment.commit({"far out"});
    CHECK(find_all(segment.bytes, native_beyond(std::uint64_t{0x40} << 56)) ==
          std::vector<std::uint64_t>{position});
}

TEST_CASE("windows give the same findings as the whole, and ask for a bounded size",
          "[format][search]") {
    segment_builder segment(log_offset{500});
    segment.bytes = noise(3'000, 5);
    for (int i = 0; i < 30; ++i) {
        segment.commit({std::string(static_cast<std::size_t>(i) * 20, 'r')});
        segment.append(noise(static_cast<std::size_t>(i) * 13, 6));
        segment.zeros(200);
    }
    auto params = native_beyond(500);
    params.commit_size_bytes_max = 1'000;
    const auto whole = find_all(segment.bytes, params);
    REQUIRE(whole.size() == 30);

    damage_search search(params, 0);
    std::vector<std::uint64_t> found;
    byte_window window;
    std::uint64_t bytes_read = 0;
    for (;;) {
        const auto event = search.next(window);
        if (event.step == search_step::end) {
            break;
        }
        if (event.step == search_step::found) {
            found.push_back(event.position_bytes);
            CHECK(event.durable_end <= event.commit.begin);
            continue;
        }
        CHECK(event.need.size_bytes_min <= 2 * (1'000 + 22));
        const auto rest =
            std::span<const std::byte>(segment.bytes).subspan(event.need.position_bytes);
        const auto take = std::min<std::size_t>(rest.size(), event.need.size_bytes_min);
        window = {rest.first(take), event.need.position_bytes, take == rest.size()};
        bytes_read += take;
    }
    CHECK(found == whole);
    CHECK(bytes_read <= 2 * segment.bytes.size() + 2 * (1'000 + 22));
}

TEST_CASE("the first byte that is not zero is named, across windows too", "[format][search]") {
    byte_vector bytes(9'000);
    damage_search zeros(native_beyond(1), 10);
    CHECK(zeros.next({bytes, 0, true}).step == search_step::end);
    CHECK_FALSE(zeros.first_nonzero_bytes());

    bytes[8'123] = std::byte{1};
    auto params = native_beyond(1);
    params.commit_size_bytes_max = 100;
    damage_search search(params, 10);
    CHECK(search.next({std::span<const std::byte>(bytes).first(8'000), 0, false}).step ==
          search_step::need_bytes);
    CHECK(search.next({std::span<const std::byte>(bytes).subspan(7'800), 7'800, true}).step ==
          search_step::end);
    CHECK(search.first_nonzero_bytes() == 8'123U);
}

TEST_CASE("a payload that holds another log's commits is no witness", "[format][search]") {
    segment_builder inner(log_offset{1'000'000});  // offsets beyond everything expected here
    inner.log_id = 4'711;
    inner.commit({"one"});
    inner.commit({"two"});
    segment_builder outer(log_offset{50});
    const auto damaged = outer.commit({as_record(inner.bytes), as_record(inner.bytes)});
    outer.flip(damaged + 30);
    CHECK(find_all(outer.bytes, native_beyond(50)).empty());
}

TEST_CASE("a payload that holds this log's own earlier bytes is no witness", "[format][search]") {
    segment_builder log(log_offset{0});
    log.commit({"one"});
    log.commit({"two", "three"});
    const std::string backup = as_record(log.bytes);
    const auto damaged = log.commit({backup, backup});
    log.flip(damaged);
    CHECK(find_all(log.bytes, native_beyond(3), damaged).empty());
    const auto next = log.commit({"a true successor"});
    CHECK(find_all(log.bytes, native_beyond(3), damaged) == std::vector<std::uint64_t>{next});
}

namespace {

// A record full of headers that look like this log's next commits, each with the length that
// `region_bytes_of` gives for a header at that byte of the record.
template <class RegionBytesOf>
void fill_with_headers(std::span<std::byte> record, RegionBytesOf region_bytes_of) {
    for (std::size_t at = 0; at + 22 <= record.size(); at += 22) {
        encode_commit_header(
            record.subspan(at), segment_version::v1,
            {log_offset{1'000}, 0, 1, static_cast<std::uint32_t>(region_bytes_of(at))});
    }
}

constexpr std::size_t first_record_at = native_records_at + layout::native::record_prefix_bytes;

}  // namespace

TEST_CASE("headers in a payload that point at the true trailers hide nothing and cost little",
          "[format][search]") {
    // Whoever writes a payload may know where the trailers will stand, though not the id in them.
    segment_builder log(log_offset{7});
    std::string record(60'000, '\0');
    const std::size_t own_region_end =
        first_record_at + record.size() + layout::native::trailer_bytes;
    const std::size_t next_commit_bytes =
        static_cast<std::size_t>(native_commit_bytes(std::string("a true successor").size(), 1));
    const auto bytes = std::as_writable_bytes(std::span(record));
    fill_with_headers(bytes, [&](std::size_t at) {
        const std::size_t to_own = own_region_end - (first_record_at + at + 22);
        return at / 22 % 2 == 0 ? to_own : to_own + next_commit_bytes;
    });
    const auto position = log.commit({record});
    log.flip(position + 5);
    const auto later = log.commit({"a true successor"});

    damage_search search(native_beyond(7), position);
    const auto event = search.next({log.bytes, 0, true});
    CHECK(search.checksummed_bytes() > 300'000);  // two ends for each of 2,700 headers
    CHECK(search.checksummed_bytes() < 1'000'000);
    REQUIRE(event.step == search_step::found);
    CHECK(event.position_bytes == later);
}

TEST_CASE("bytes made by somebody who knows the id cost little", "[format][search]") {
    // Many trailers, and headers that point at them in turn.
    constexpr std::size_t trailers = 64;
    segment_builder log(log_offset{7});
    std::string record(60'000, '\0');
    const auto bytes = std::as_writable_bytes(std::span(record));
    const std::size_t headers_bytes = record.size() - trailers * layout::native::trailer_bytes;
    for (std::size_t i = 0; i < trailers; ++i) {
        std::byte* const trailer = bytes.data() + headers_bytes + i * layout::native::trailer_bytes;
        trailer[layout::native::trailer_version_at] = std::byte{layout::native::trailer_version};
        store_le<std::uint64_t>(trailer + layout::native::trailer_log_id_at, log.log_id);
    }
    fill_with_headers(bytes.first(headers_bytes), [&](std::size_t at) {
        const std::size_t trailer = at / 22 % trailers;
        return headers_bytes + (trailer + 1) * layout::native::trailer_bytes - (at + 22);
    });
    const auto position = log.commit({record});
    log.flip(position + 5);
    const auto later = log.commit({"a true successor"});

    damage_search search(native_beyond(7), position);
    const auto event = search.next({log.bytes, 0, true});
    REQUIRE(event.step == search_step::found);
    CHECK(event.position_bytes == later);
    CHECK(search.checksummed_bytes() < 16 * log.bytes.size());
}

TEST_CASE("raw: a column of numbers that look like headers hides nothing and costs little",
          "[format][search]") {
    // Small numbers of 4 bytes: each is the offset of a candidate, with a length of up to 768 KiB.
    // Checksummed by itself, they would read 5 * 10^10 bytes, for 10^6.
    prng random(5);
    segment_builder segment;
    byte_vector numbers(1'000'000);
    for (std::size_t at = 0; at + 4 <= numbers.size(); at += 4) {
        store_le<std::uint32_t>(numbers.data() + at,
                                static_cast<std::uint32_t>(1 + random.below(12)));
    }
    const auto first = segment.raw_commit(1, numbers);
    const auto second = segment.raw_commit(1, test::from_text("fine"));
    segment.flip(first + 30'000);
    auto params = raw_beyond(0);
    params.commit_size_bytes_max = segment.bytes.size();
    damage_search search(params, first);
    const auto event = search.next({segment.bytes, 0, true});
    REQUIRE(event.step == search_step::found);
    CHECK(event.position_bytes == second);
    CHECK(search.checksummed_bytes() > 8 * segment.bytes.size());
    CHECK(search.checksummed_bytes() < 64 * segment.bytes.size());
}

TEST_CASE("raw: the search behind damage to a real log decides, whatever was hit",
          "[format][search]") {
    // Method: bytes in the middle or at the end of a real segment overwritten with noise or zeros,
    // or lost with all that follows; the commits behind the damage are exactly those that the bytes
    // hold.
    const byte_vector real = golden("spacetimedb-v1.2/00000000000000000000.stdb.log");
    const std::uint64_t ends[] = {164'965, 165'166, 165'328, 165'490,    165'670,
                                  165'832, 166'075, 166'240, real.size()};
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        prng random(seed);
        byte_vector bytes = real;
        const std::size_t at = random.chance(1, 2) ? 10 + random.below(bytes.size() - 10)
                                                   : bytes.size() - 1 - random.below(1'500);
        const std::size_t size = std::min<std::size_t>(1 + random.below(2'000), bytes.size() - at);
        for (std::size_t k = at; k < at + size; ++k) {
            bytes[k] = random.chance(1, 3) ? std::byte{0} : static_cast<std::byte>(random.next());
        }
        if (random.chance(1, 3)) {
            bytes.resize(at + size);
        }
        std::vector<std::uint64_t> expected;
        std::uint64_t begin = 10;
        std::uint64_t frontier = bytes.size();
        for (const std::uint64_t end : ends) {
            const bool is_whole = end <= bytes.size() &&
                                  std::equal(real.begin() + static_cast<std::ptrdiff_t>(begin),
                                             real.begin() + static_cast<std::ptrdiff_t>(end),
                                             bytes.begin() + static_cast<std::ptrdiff_t>(begin));
            if (!is_whole) {
                frontier = std::min(frontier, begin);
            } else if (begin > frontier) {
                expected.push_back(begin);
            }
            begin = end;
        }
        INFO("seed " << seed << ", " << size << " bytes at " << at);
        scan_params scan;
        scan.commit_size_bytes_max = bytes.size();
        segment_scanner scanner(scan);
        while (scanner.next({bytes, 0, true}).step == scan_step::commit) {
        }
        CHECK(scanner.prefix().end_position_bytes ==
              std::min<std::uint64_t>(frontier, bytes.size()));
        auto params = raw_beyond(scanner.prefix().next.value());
        params.commit_size_bytes_max = bytes.size();
        CHECK(find_all(bytes, params, scanner.prefix().end_position_bytes) == expected);
    }
}

TEST_CASE("a damaged commit with header and trailer intact costs its own bytes once",
          "[format][search]") {
    segment_builder log(log_offset{7});
    constexpr int commits = 20;
    for (int i = 0; i < commits; ++i) {
        const auto position = log.commit({std::string(2'000, 'x')});
        log.flip(position + 500);
    }
    damage_search search(native_beyond(7), 10);
    CHECK(search.next({log.bytes, 0, true}).step == search_step::end);
    CHECK(search.checksummed_bytes() <=
          log.bytes.size() + commits * 2 * damage_search::checkpoint_bytes);
}

TEST_CASE("raw: later commits are found, between low numbers that look like headers too",
          "[format][search]") {
    prng random(3);
    segment_builder segment;
    byte_vector numbers(40'000);
    for (std::size_t at = 0; at + 8 <= numbers.size(); at += 8) {
        store_le<std::uint64_t>(numbers.data() + at,
                                random.below(1'000) * (random.chance(1, 50) ? 70'000 : 1));
    }
    const auto first = segment.raw_commit(1, numbers);
    const auto second = segment.raw_commit(1, numbers);
    const auto third = segment.raw_commit("end");
    segment.flip(first + 100);
    const auto found = find_all(segment.bytes, raw_beyond(0), first);
    CHECK(found == std::vector<std::uint64_t>{second, third});
}

TEST_CASE("raw: version 0 commits are found behind damage", "[format][search]") {
    segment_builder segment;
    const auto first = segment.raw_commit(1, test::from_text("damaged"), segment_version::v0);
    const auto second = segment.raw_commit(1, test::from_text("fine"), segment_version::v0);
    segment.flip(first + 20);
    auto params = raw_beyond(0);
    params.version = segment_version::v0;
    CHECK(find_all(segment.bytes, params, first) == std::vector<std::uint64_t>{second});
}

TEST_CASE("files too short for a commit end the search", "[format][search]") {
    for (std::size_t size = 0; size < 60; ++size) {
        CHECK(find_all(noise(size, size), native_beyond(0)).empty());
        CHECK(find_all(noise(size, size), raw_beyond(0)).empty());
        CHECK(find_all(byte_vector(size), raw_beyond(0)).empty());
    }
}
