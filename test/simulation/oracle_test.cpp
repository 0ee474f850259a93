// The oracle itself: it is content with every legal history and objects to each way of breaking the
// promise. Method: short histories told by hand; letters stand for records.

#include "simulation/oracle.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace caisson::sim {
namespace {

using Catch::Matchers::ContainsSubstring;

payload record(char letter) { return payload(3, static_cast<std::byte>(letter)); }

std::vector<payload> records(const std::string& letters) {
    std::vector<payload> all;
    for (const char letter : letters) {
        all.push_back(record(letter));
    }
    return all;
}

recovered_log log_of(const std::string& letters, std::uint64_t first = 0) {
    return {log_offset{first}, records(letters)};
}

log_offset at(std::uint64_t offset) { return log_offset{offset}; }

/// "ab" acknowledged at 0, "c" acknowledged at 2, "de" and "f" not answered; then a crash.
oracle four_batches() {
    oracle judge;
    const auto ab = judge.submit(records("ab"));
    const auto c = judge.submit(records("c"));
    judge.submit(records("de"));
    judge.submit(records("f"));
    judge.acknowledged(ab, at(0));
    judge.acknowledged(c, at(2));
    judge.crashed();
    return judge;
}

std::string complaint_about(const recovered_log& log) {
    oracle judge = four_batches();
    judge.recovered(log);
    return judge.complaint();
}

TEST_CASE("everything acknowledged and any whole prefix of the rest is legal", "[oracle]") {
    CHECK(complaint_about(log_of("abc")).empty());
    CHECK(complaint_about(log_of("abcde")).empty());
    CHECK(complaint_about(log_of("abcdef")).empty());
}

TEST_CASE("an acknowledged record that is gone is an acknowledged loss", "[oracle]") {
    CHECK_THAT(complaint_about(log_of("ab")), ContainsSubstring("ACKNOWLEDGED LOST"));
    CHECK_THAT(complaint_about(log_of("a")), ContainsSubstring("ACKNOWLEDGED LOST"));
    CHECK_THAT(complaint_about(log_of("")), ContainsSubstring("ACKNOWLEDGED LOST"));
}

TEST_CASE("holes, other orders, other bytes, doubles and torn batches are illegal", "[oracle]") {
    CHECK_THAT(complaint_about(log_of("abcf")), ContainsSubstring("offset 3"));  // a hole
    CHECK_THAT(complaint_about(log_of("abcd")), ContainsSubstring("torn batch"));
    CHECK_THAT(complaint_about(log_of("abced")), ContainsSubstring("offset 3"));
    CHECK_THAT(complaint_about(log_of("acb")),
               !ContainsSubstring("ACKNOWLEDGED") && ContainsSubstring("offset 0"));
    CHECK_THAT(complaint_about(log_of("abx")), ContainsSubstring("offset 2"));
    CHECK_THAT(complaint_about(log_of("abcdeff")), ContainsSubstring("never submitted"));
    CHECK_THAT(complaint_about(log_of("abcx")), ContainsSubstring("offset 3"));
    CHECK_THAT(complaint_about(log_of("bc", 1)), ContainsSubstring("begins at offset 1"));
}

TEST_CASE("what a recovery showed stays, acknowledged or not", "[oracle]") {
    oracle judge = four_batches();
    judge.recovered(log_of("abcde"));
    judge.crashed();
    SECTION("the same again") {
        judge.recovered(log_of("abcde"));
        CHECK(judge.is_content());
    }
    SECTION("it is gone") {
        judge.recovered(log_of("abc"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 3 was there"));
    }
    SECTION("it is different") {
        judge.recovered(log_of("abcdx"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 4 has other bytes"));
    }
}

TEST_CASE("what a recovery did not show never comes back", "[oracle]") {
    oracle judge = four_batches();
    judge.recovered(log_of("abc"));
    SECTION("by itself") {
        judge.crashed();
        judge.recovered(log_of("abcde"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 3 holds a record"));
    }
    SECTION("under new records") {
        const auto g = judge.submit(records("g"));
        judge.acknowledged(g, at(3));
        judge.crashed();
        judge.recovered(log_of("abcgf"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 4 holds a record"));
    }
}

TEST_CASE("new records continue what recovery showed", "[oracle]") {
    oracle judge = four_batches();
    judge.recovered(log_of("abcde"));
    REQUIRE(judge.settled_end() == at(5));
    const auto g = judge.submit(records("g"));
    SECTION("at the next offset") {
        judge.acknowledged(g, at(5));
        judge.crashed();
        judge.recovered(log_of("abcdeg"));
        CHECK(judge.is_content());
        CHECK(judge.records_acknowledged() == 4);
        CHECK(judge.recoveries() == 2);
    }
    SECTION("not below it") {
        judge.acknowledged(g, at(4));
        CHECK_THAT(judge.complaint(), ContainsSubstring("below the end"));
    }
    SECTION("not beyond it") {
        judge.acknowledged(g, at(6));
        judge.crashed();
        judge.recovered(log_of("abcdexg"));
        CHECK_FALSE(judge.is_content());
    }
}

TEST_CASE("offsets follow the order of the calls, whatever the order of the answers", "[oracle]") {
    oracle judge;
    const auto a = judge.submit(records("a"));
    const auto b = judge.submit(records("b"));
    SECTION("kept") {
        judge.acknowledged(b, at(1));
        judge.acknowledged(a, at(0));
        CHECK(judge.is_content());
    }
    SECTION("broken") {
        judge.acknowledged(b, at(0));
        judge.acknowledged(a, at(1));
        CHECK_THAT(judge.complaint(), ContainsSubstring("out of the order"));
    }
}

TEST_CASE("a refused batch is nowhere, and those after it close the gap", "[oracle]") {
    oracle judge;
    const auto a = judge.submit(records("a"));
    const auto b = judge.submit(records("b"));
    const auto c = judge.submit(records("c"));
    judge.may_be_refused(b);
    judge.acknowledged(a, at(0));
    SECTION("answered") {
        judge.not_written(b);
        judge.acknowledged(c, at(1));
        judge.crashed();
        oracle other = judge;
        judge.recovered(log_of("ac"));
        CHECK(judge.is_content());
        other.recovered(log_of("abc"));
        CHECK_FALSE(other.is_content());
    }
    SECTION("refused, but the crash came before the answer") {
        judge.crashed();
        for (const char* legal : {"a", "ab", "abc", "ac"}) {
            oracle each = judge;
            each.recovered(log_of(legal));
            CHECK(each.is_content());
        }
    }
}

TEST_CASE("a batch may be refused only with a cause", "[oracle]") {
    oracle judge;
    const auto a = judge.submit(records("a"));
    SECTION("none") {
        judge.not_written(a);
        CHECK_THAT(judge.complaint(), ContainsSubstring("without a cause"));
    }
    SECTION("a fault") {
        judge.fault_happened();
        judge.not_written(a);
        CHECK(judge.is_content());
    }
}

TEST_CASE("an unknown outcome needs a fault, and both outcomes are legal", "[oracle]") {
    oracle judge;
    const auto a = judge.submit(records("a"));
    SECTION("without a fault") {
        judge.outcome_unknown(a);
        CHECK_THAT(judge.complaint(), ContainsSubstring("no fault"));
    }
    SECTION("with one") {
        judge.fault_happened();
        judge.outcome_unknown(a);
        judge.closed();
        for (const char* legal : {"", "a"}) {
            oracle each = judge;
            each.recovered(log_of(legal));
            CHECK(each.is_content());
        }
    }
    SECTION("a fault of an earlier life is no excuse") {
        judge.fault_happened();
        judge.outcome_unknown(a);
        judge.crashed();
        judge.recovered(log_of("a"));
        judge.outcome_unknown(judge.submit(records("b")));
        CHECK_FALSE(judge.is_content());
    }
}

TEST_CASE("every call is answered once, before close returns, and never after the end of its life",
          "[oracle]") {
    oracle judge;
    const auto a = judge.submit(records("a"));
    SECTION("twice") {
        judge.acknowledged(a, at(0));
        judge.acknowledged(a, at(0));
        CHECK_THAT(judge.complaint(), ContainsSubstring("twice"));
    }
    SECTION("not at all") {
        judge.closed();
        CHECK_THAT(judge.complaint(), ContainsSubstring("not answered"));
    }
    SECTION("after close") {
        judge.crashed();
        judge.acknowledged(a, at(0));
        CHECK_THAT(judge.complaint(), ContainsSubstring("after close"));
    }
    SECTION("in the next life") {
        judge.crashed();
        judge.recovered(log_of(""));
        judge.acknowledged(a, at(0));
        CHECK_THAT(judge.complaint(), ContainsSubstring("earlier life"));
    }
}

TEST_CASE("what readers were given as durable stays", "[oracle]") {
    oracle judge = four_batches();
    SECTION("a durable end beyond the acknowledged") {
        judge.durable_end_seen(at(5));
        judge.recovered(log_of("abc"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("durable end had been 5"));
    }
    SECTION("a durable end beyond the submitted") {
        judge.durable_end_seen(at(7));
        CHECK_THAT(judge.complaint(), ContainsSubstring("beyond everything"));
    }
    SECTION("a record") {
        judge.read(at(3), records("d"));
        oracle other = judge;
        judge.recovered(log_of("abc"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 3 was read"));
        other.recovered(log_of("abcde"));
        CHECK(other.is_content());
    }
    SECTION("two reads that differ") {
        judge.read(at(3), records("d"));
        judge.read(at(3), records("x"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("two reads"));
    }
    SECTION("a read that differs from recovery") {
        judge.recovered(log_of("abc"));
        judge.read(at(1), records("bx"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("offset 2"));
    }
}

TEST_CASE("damage with a witness must be named, and with its place", "[oracle]") {
    oracle judge = four_batches();
    judge.damaged(at(1), at(2), true);
    SECTION("named") {
        judge.refused(at(1));
        CHECK(judge.is_content());
    }
    SECTION("shortened in silence") {
        judge.recovered(log_of("a"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("without an error"));
    }
    SECTION("served as if whole") {
        judge.recovered(log_of("abc"));
        CHECK_THAT(judge.complaint(), ContainsSubstring("without an error"));
    }
    SECTION("at another place") {
        judge.refused(at(2));
        CHECK_THAT(judge.complaint(), ContainsSubstring("names 2"));
    }
    SECTION("without a place") {
        judge.refused(std::nullopt);
        CHECK_THAT(judge.complaint(), ContainsSubstring("no place"));
    }
}

TEST_CASE("damage without a witness may end the log where it begins, and nowhere else",
          "[oracle]") {
    oracle judge = four_batches();
    judge.damaged(at(2), at(3), false);
    SECTION("cut") {
        judge.recovered(log_of("ab"));
        CHECK(judge.is_content());
    }
    SECTION("refused") {
        judge.refused(at(2));
        CHECK(judge.is_content());
    }
    SECTION("cut too far") {
        judge.recovered(log_of(""));
        CHECK_THAT(judge.complaint(), ContainsSubstring("ACKNOWLEDGED LOST"));
    }
}

TEST_CASE("a log is refused only with a cause", "[oracle]") {
    oracle judge = four_batches();
    SECTION("none") {
        judge.refused(at(1));
        CHECK_THAT(judge.complaint(), ContainsSubstring("nothing was damaged"));
    }
    SECTION("a fault") {
        judge.fault_happened();
        judge.refused(std::nullopt);
        CHECK(judge.is_content());
    }
    SECTION("a fault of this life, before the log was recovered") {
        judge.fault_happened();
        judge.recovered(log_of("abc"));
        judge.refused(at(1));
        CHECK(judge.is_content());
    }
    SECTION("a fault of an earlier life is none, recovered or not") {
        judge.fault_happened();
        oracle other = judge;
        judge.crashed();
        judge.refused(std::nullopt);
        CHECK_THAT(judge.complaint(), ContainsSubstring("no fault"));
        other.recovered(log_of("abc"));
        other.fault_happened();
        other.crashed();
        other.refused(std::nullopt);
        CHECK_THAT(other.complaint(), ContainsSubstring("no fault"));
    }
}

TEST_CASE("a purge lets the beginning go, and no more than it named", "[oracle]") {
    oracle judge = four_batches();
    judge.purged(at(2));
    for (std::uint64_t first = 0; first <= 3; ++first) {
        oracle each = judge;
        each.recovered(log_of(std::string("abc").substr(first), first));
        CHECK(each.is_content() == (first <= 2));
        if (each.is_content()) {
            each.recovered(log_of("bc", 1));
            CHECK(each.is_content() == (first <= 1));  // what was gone stays gone
        }
    }
}

TEST_CASE("a second open writes nothing, and a seed has one history", "[oracle]") {
    oracle judge;
    judge.opened_again(0);
    judge.ran_twice(7, 7);
    REQUIRE(judge.is_content());
    oracle other = judge;
    judge.opened_again(1);
    CHECK_THAT(judge.complaint(), ContainsSubstring("wrote 1"));
    other.ran_twice(7, 8);
    CHECK_THAT(other.complaint(), ContainsSubstring("two histories"));
}

TEST_CASE("a log may begin at another offset than 0, and records may be empty or alike",
          "[oracle]") {
    oracle judge(at(100));
    const auto first = judge.submit({payload{}, payload{}});
    const auto second = judge.submit({payload{}});
    judge.submit({payload{}});
    judge.may_be_refused(first);
    judge.acknowledged(second, at(100));
    judge.crashed();
    SECTION("the acknowledged offset tells which of equal records is missing") {
        judge.recovered({at(100), {payload{}}});
        CHECK(judge.is_content());
    }
    SECTION("too many of them") {
        judge.recovered({at(100), {payload{}, payload{}, payload{}}});
        CHECK_FALSE(judge.is_content());
    }
}

}  // namespace
}  // namespace caisson::sim
