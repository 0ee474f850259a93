// Names of a log directory's entries.

#include "format/names.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>

using namespace caisson;
using namespace caisson::format;

TEST_CASE("names carry twenty digits and read back", "[format][names]") {
    CHECK(segment_name(log_offset{0}) == "00000000000000000000.stdb.log");
    CHECK(index_name(log_offset{1'234}) == "00000000000000001234.stdb.ofs");
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{9}, std::uint64_t{12'345'678'901'234'567'890U},
          std::numeric_limits<std::uint64_t>::max()}) {
        const auto segment = classify(segment_name(log_offset{value}));
        CHECK(segment.role == entry_role::segment);
        CHECK(segment.begin.value() == value);
        const auto index = classify(index_name(log_offset{value}));
        CHECK(index.role == entry_role::index);
        CHECK(index.begin.value() == value);
    }
}

TEST_CASE("a name that only resembles a segment is foreign", "[format][names]") {
    for (const auto* name :
         {"5.stdb.log", "000000000000000000001.stdb.log", "0000000000000000001.stdb.log",
          "18446744073709551616.stdb.log", "99999999999999999999.stdb.log",
          "0000000000000000000x.stdb.log", "-0000000000000000001.stdb.log",
          "00000000000000000001.stdb.log ", "00000000000000000001.STDB.LOG", ".stdb.log", ""}) {
        INFO(name);
        CHECK(classify(name).role == entry_role::foreign);
    }
}

TEST_CASE("every entry of a log directory is known by its name", "[format][names]") {
    CHECK(classify("LOCK").role == entry_role::lock);
    CHECK(classify("STATE").role == entry_role::state);
    CHECK(classify("STATE.tmp").role == entry_role::state_temporary);
    CHECK(classify("spare").role == entry_role::spare_directory);
    CHECK(classify("lost").role == entry_role::lost_directory);
    CHECK(classify("00000000000000000007.stdb.lock").role == entry_role::reference_lock);
    CHECK(classify("00000000000000000007.stdb.lock").begin == log_offset{7});
    CHECK(classify(".tmpaZ09bc").role == entry_role::temporary);
}

TEST_CASE("names near the known ones are foreign", "[format][names]") {
    for (const auto* name : {"lock", "STATE2", "STATE.tmp1", "spare/", "Lost", ".tmpaZ09b",
                             ".tmpaZ09bcd", ".tmpaZ09b-", "notes.txt"}) {
        INFO(name);
        CHECK(classify(name).role == entry_role::foreign);
    }
}
