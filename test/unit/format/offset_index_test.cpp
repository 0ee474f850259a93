// The offset index: the reference's rule for entries, and files nobody may trust.

#include "format/offset_index.hpp"

#include "base/endian.hpp"
#include "unit/format/segment_builder.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace caisson;
using namespace caisson::format;
using caisson::test::byte_vector;

namespace {

byte_vector image(std::initializer_list<index_entry> entries, std::size_t zero_entries = 0) {
    byte_vector bytes((entries.size() + zero_entries) * 16);
    std::span<std::byte> rest = bytes;
    for (const auto& entry : entries) {
        encode_index_entry(rest, entry);
        rest = rest.subspan(16);
    }
    return bytes;
}

}  // namespace

TEST_CASE("entries are made where the reference makes them", "[format][index]") {
    offset_index_builder index(100, 64);
    for (std::uint64_t i = 0; i < 20; ++i) {
        index.add_commit(log_offset{i}, 10 + 34 * i, 34);
    }
    const std::vector<index_entry> expected = {{log_offset{1}, 44},   {log_offset{3}, 112},
                                               {log_offset{6}, 214},  {log_offset{9}, 316},
                                               {log_offset{12}, 418}, {log_offset{15}, 520}};
    CHECK(std::vector(index.entries().begin(), index.entries().end()) == expected);
}

TEST_CASE("the commit at offset 0 never gets an entry, however large", "[format][index]") {
    offset_index_builder index(100, 64);
    CHECK_FALSE(index.add_commit(log_offset{0}, 10, 1'000));
    CHECK(index.add_commit(log_offset{1}, 1'010, 30));
    CHECK(index.entries().front() == index_entry{log_offset{1}, 1'010});
}

TEST_CASE("an index file has the length of its capacity and reads back", "[format][index]") {
    CHECK(index_capacity(1 << 30, 4'096) == 262'144);
    offset_index_builder index(1, 5);
    for (std::uint64_t i = 1; i < 10; ++i) {
        CHECK(index.add_commit(log_offset{i}, 10 * i, 10) == (i <= 5));  // full after five
    }
    const auto bytes = index.encode();
    CHECK(bytes.size() == 5 * 16);
    const auto view = offset_index_view::parse(bytes);
    REQUIRE(view);
    REQUIRE(view->size() == 5);
    CHECK(view->at(4) == index_entry{log_offset{5}, 50});
}

TEST_CASE("lookup gives the greatest key at or below", "[format][index]") {
    const auto bytes =
        image({{log_offset{3}, 100}, {log_offset{7}, 200}, {log_offset{20}, 300}}, 4);
    const auto view = offset_index_view::parse(bytes);
    REQUIRE(view);
    CHECK(view->size() == 3);
    CHECK_FALSE(view->find(log_offset{0}));
    CHECK_FALSE(view->find(log_offset{2}));
    CHECK(view->find(log_offset{3})->position_bytes == 100);
    CHECK(view->find(log_offset{6})->position_bytes == 100);
    CHECK(view->find(log_offset{7})->position_bytes == 200);
    CHECK(view->find(log_offset{19})->position_bytes == 200);
    CHECK(view->find(log_offset{1'000})->position_bytes == 300);
}

TEST_CASE("D9: entries of an older index are put before newer ones, or none of them",
          "[format][index]") {
    const auto bytes = image({{log_offset{3}, 100}, {log_offset{7}, 200}});
    const auto older = offset_index_view::parse(bytes);
    const auto with = [&](std::uint64_t capacity, index_entry added, std::uint64_t size_bytes) {
        offset_index_builder index(100, capacity);
        index.add_commit(added.key, added.position_bytes, size_bytes);
        index.put_before(&*older);
        const auto encoded = index.encode();
        CHECK(encoded.size() >= index.entries().size() * 16);
        return std::vector(index.entries().begin(), index.entries().end());
    };
    const index_entry first{log_offset{3}, 100};
    const index_entry second{log_offset{7}, 200};
    const index_entry added{log_offset{9}, 300};
    const index_entry near{log_offset{9}, 299};
    CHECK(with(64, added, 500) == std::vector{first, second, added});
    CHECK(with(1, added, 500) == std::vector{first, second, added});  // none is dropped for room
    // One that was not due yet is, if it lies an interval behind the last of the older ones.
    CHECK(with(64, added, 50) == std::vector{first, second, added});
    CHECK(with(64, near, 50) == std::vector{first, second});
    // What the older one says of bytes that were written since is wrong, and so may be the rest.
    const index_entry same_key{log_offset{7}, 300};
    const index_entry same_position{log_offset{9}, 200};
    CHECK(with(64, same_key, 500) == std::vector{same_key});
    CHECK(with(64, same_position, 500) == std::vector{same_position});
    offset_index_builder alone(100, 64);
    alone.add_commit(log_offset{9}, 110, 50);
    alone.put_before(nullptr);
    CHECK(alone.entries().size() == 1);
    offset_index_builder empty(100, 64);
    CHECK(empty.is_empty());
    empty.put_before(&*older);
    CHECK(empty.is_empty());
}

TEST_CASE("empty and all-zero indexes find nothing", "[format][index]") {
    const byte_vector zeros(64);
    for (const auto bytes : {std::span<const std::byte>(), std::span<const std::byte>(zeros)}) {
        const auto view = offset_index_view::parse(bytes);
        REQUIRE(view);
        CHECK(view->size() == 0);
        CHECK_FALSE(view->find(log_offset{5}));
    }
}

TEST_CASE("what is no index is not used as one", "[format][index]") {
    auto bytes = image({{log_offset{3}, 100}, {log_offset{7}, 200}});
    bytes.push_back(std::byte{0});
    // length
    CHECK_FALSE(offset_index_view::parse(bytes));
    // in the header
    CHECK_FALSE(offset_index_view::parse(image({{log_offset{3}, 9}})));
    // keys
    CHECK_FALSE(offset_index_view::parse(image({{log_offset{7}, 100}, {log_offset{3}, 200}})));
    // equal keys
    CHECK_FALSE(offset_index_view::parse(image({{log_offset{3}, 100}, {log_offset{3}, 200}})));
    // positions
    CHECK_FALSE(offset_index_view::parse(image({{log_offset{3}, 200}, {log_offset{7}, 200}})));
    CHECK_FALSE(offset_index_view::parse(test::from_hex("ffffffffffffffffffffffffffffffff"
                                                        "ffffffffffffffffffffffffffffffff")));
}
