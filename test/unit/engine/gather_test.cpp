// Appends of many pieces: several buffers as one record, many records as one atomic unit.

#include "engine_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace caisson::test {
namespace {

template <class Buffers>
answer<append_receipt> start_gather(engine_world& machine, log& to, const Buffers& pieces) {
    return machine.start<append_receipt>(
        [&](auto token) { to.async_append(pieces, std::move(token)); });
}

answer<append_receipt> start_batch(engine_world& machine, log& to,
                                   std::span<const net::const_buffer> records) {
    return machine.start<append_receipt>(
        [&](auto token) { to.async_append_batch(records, std::move(token)); });
}

}  // namespace

TEST_CASE("an append of several buffers is read back as their concatenation", "[engine][gather]") {
    engine_world machine;
    log target = machine.open();
    const std::string pieces[] = {"one ", "", std::string(10'000, '2'), " three"};
    std::vector<std::string> expected;
    std::vector<answer<append_receipt>> answers;

    answers.push_back(
        start_gather(machine, target, std::array{net::buffer(pieces[0]), net::buffer(pieces[3])}));
    expected.push_back(pieces[0] + pieces[3]);
    {
        // The sequence itself is copied: it may go before the append has even arrived.
        auto many = std::make_unique<std::vector<net::const_buffer>>();
        expected.emplace_back();
        for (int k = 0; k < 400; ++k) {
            const std::string& piece = pieces[k % 4];
            many->push_back(net::buffer(piece));
            expected.back() += piece;
        }
        answers.push_back(start_gather(machine, target, *many));
    }
    answers.push_back(start_gather(machine, target, std::vector<net::const_buffer>()));
    expected.emplace_back();
    answers.push_back(start_gather(machine, target, std::vector<net::const_buffer>(3)));
    expected.emplace_back();
    answers.push_back(start_gather(machine, target, net::buffer(pieces[2])));
    expected.push_back(pieces[2]);

    for (std::uint64_t k = 0; k < answers.size(); ++k) {
        REQUIRE(machine.finish(answers[k]));
        REQUIRE(answers[k]->value());
        CHECK(answers[k]->value().value().begin == log_offset{k});
        CHECK(answers[k]->value().value().end == log_offset{k + 1});
    }
    CHECK(machine.read_all(target) == expected);
}

TEST_CASE("the limit of a record counts all its buffers", "[engine][gather]") {
    engine_world machine;
    log_options options;
    options.record_size_bytes_max = 1'000;
    log target = machine.open(options);
    const std::string half(500, 'h');
    const std::string more(501, 'm');
    const auto fits =
        start_gather(machine, target, std::array{net::buffer(half), net::buffer(half)});
    const auto too_large =
        start_gather(machine, target, std::array{net::buffer(half), net::buffer(more)});
    REQUIRE(machine.finish(fits));
    REQUIRE(machine.finish(too_large));
    CHECK(fits->value());
    REQUIRE_FALSE(too_large->value());
    CHECK(too_large->value().error() == errc::record_too_large);
    CHECK(machine.read_all(target) == std::vector{half + half});
}

TEST_CASE("a batch holds 65,535 records in one commit, and not one more", "[engine][gather]") {
    constexpr std::size_t records_max = 65'535;
    engine_world machine;
    log target = machine.open();
    const std::string text = "0123456789";
    std::vector<std::string> expected{"before"};
    std::vector<net::const_buffer> batch;
    for (std::size_t k = 0; k <= records_max; ++k) {
        batch.push_back(net::buffer(text, k % 11));
        expected.push_back(text.substr(0, k % 11));
    }
    expected.pop_back();
    expected.push_back("after");

    REQUIRE(machine.append(target, "before"));
    const auto too_large = start_batch(machine, target, batch);
    const auto fits = start_batch(machine, target, std::span(batch).first(records_max));
    REQUIRE(machine.finish(fits));
    REQUIRE(machine.append(target, "after"));
    REQUIRE(too_large->has_value());
    REQUIRE_FALSE(too_large->value());
    CHECK(too_large->value().error() == errc::batch_too_large);
    REQUIRE(fits->value());
    CHECK(fits->value().value().begin == log_offset{1});
    CHECK(fits->value().value().end == log_offset{1 + records_max});
    CHECK(target.stats().commits_written == 3);

    log_reader reader = target.reader(log_offset{1});
    const auto next = machine.start_read(reader);
    REQUIRE(machine.finish(next));
    REQUIRE(next->value());
    CHECK(next->value().value().facts().begin == log_offset{1});
    CHECK(next->value().value().facts().record_count == records_max);
    CHECK(machine.read_all(target) == expected);
}

}  // namespace caisson::test
