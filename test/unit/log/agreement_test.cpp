// Recovery, verification, views and walks judge the same directory: what one of them calls damage,
// an unfinished write or a clean end, all of them do.

#include "reader_fixture.hpp"

#include "base/prng.hpp"
#include "log/recovery.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <functional>
#include <string>

namespace caisson::test {
namespace {

template <class T>
net::awaitable<void> keep_value(net::awaitable<T> work, std::optional<T>& into) {
    into.emplace(co_await std::move(work));
}

/// A directory to be judged: the newest segment's bytes and STATE are the test's to change.
struct judged_directory {
    log_builder log;
    format::log_state state;

    void put(reading_world& machine) const { log.write_to(machine.disk(), log_path, state); }
};

struct opening {
    tail_state tail = tail_state::clean;
    log_offset end;
    std::string words;
    bool was_closed_cleanly = false;
};

opening open_and_recover(const judged_directory& what) {
    reading_world machine;
    what.put(machine);
    open_report report;
    log_options options;
    options.report = &report;
    std::optional<detailed<log_detail::recovered_log>> done;
    net::co_spawn(
        machine.world.executor(),
        keep_value(log_detail::open_log(machine.world.environment(), log_path, options), done),
        [](const std::exception_ptr&) {});
    while (!done && machine.world.step()) {
    }
    opening outcome;
    outcome.was_closed_cleanly = report.was_closed_cleanly;
    if (!*done) {
        outcome.tail = tail_state::damaged;
        outcome.words = done->error().message();
        return outcome;
    }
    outcome.tail = report.cut_bytes > 0 ? tail_state::unfinished : tail_state::clean;
    outcome.end = done->value().end;
    return outcome;
}

tail_state tail_of(verify_verdict verdict) {
    switch (verdict) {
    case verify_verdict::clean: return tail_state::clean;
    case verify_verdict::torn_tail: return tail_state::unfinished;
    case verify_verdict::not_openable:
    case verify_verdict::damaged: break;
    }
    return tail_state::damaged;
}

tail_state walk(reading_world& machine) {
    tail_state worst = tail_state::clean;
    const walk_callback visit = [&](const walk_item& item) {
        if (item.what == walk_item::kind::damage) {
            worst = tail_state::damaged;
        } else if (item.what == walk_item::kind::unfinished) {
            worst = std::max(worst, tail_state::unfinished);
        }
        return true;
    };
    log_view view = machine.open();
    CHECK(*machine.finish<void>([&](auto token) { view.async_walk(visit, std::move(token)); }));
    return worst;
}

/// What all of them say.
tail_state judge(const judged_directory& what) {
    opening opened = open_and_recover(what);
    reading_world machine;
    what.put(machine);
    const verify_report report = machine.verify();
    const view_facts facts = machine.open().facts();
    INFO("open: " << (opened.words.empty() ? "opened" : opened.words));
    INFO("verify: " << (report.findings.empty() ? "nothing"
                                                : report.findings.front().found.message()));
    if (opened.was_closed_cleanly && report.verdict == verify_verdict::damaged) {
        // Behind a matching mark open reads the last commit only; whoever reads the others tells.
        opened.tail = tail_state::damaged;
        opened.was_closed_cleanly = false;
    }
    CHECK(tail_of(report.verdict) == opened.tail);
    CHECK(facts.tail == opened.tail);
    CHECK(facts.was_closed_cleanly == opened.was_closed_cleanly);
    CHECK(walk(machine) == opened.tail);
    const read_outcome got = machine.read_from(machine.open(), log_offset{0});
    CHECK((got.error == condition::corrupt) == (opened.tail == tail_state::damaged));
    if (opened.tail != tail_state::damaged) {
        CHECK(report.end == opened.end);
        CHECK(facts.end == opened.end);
        CHECK(got.end == opened.end);
    }
    return opened.tail;
}

std::vector<std::byte> noise(prng& random, std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::generate(bytes.begin(), bytes.end(), [&] { return std::byte(random.below(256)); });
    return bytes;
}

/// A closed log of two segments.
judged_directory closed_log() {
    judged_directory what;
    what.log.commits(3).rotate().commits(4);
    what.state = what.log.closed_state();
    return what;
}

void append(judged_directory& to, const std::vector<std::byte>& bytes) {
    auto& segment = to.log.newest().bytes;
    segment.insert(segment.end(), bytes.begin(), bytes.end());
}

/// The first bytes of the commit that would come next.
std::vector<std::byte> next_header(const judged_directory& of) {
    log_builder longer = of.log;
    const std::size_t size = longer.newest().bytes.size();
    longer.commits(1);
    const auto& bytes = longer.newest().bytes;
    return {bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end() - 5};
}

TEST_CASE("what lies behind the end of a closed log is judged as if it had not been closed",
          "[log][verify][recovery]") {
    prng random(7);
    judged_directory what = closed_log();
    tail_state expected = tail_state::clean;
    SECTION("nothing") {}
    SECTION("zeros") { append(what, std::vector<std::byte>(5'000)); }
    SECTION("bytes that are no commit") { append(what, noise(random, 300)); }
    SECTION("the beginning of a commit that would continue the log") {
        append(what, next_header(what));
        expected = tail_state::unfinished;
    }
    SECTION("commits that continue the log: STATE was put back from a copy") {
        what.log.commits(2);
    }
    SECTION("commits that continue the log, one of them damaged: the next one is the witness") {
        what.log.commits(3);
        what.log.newest().bytes[what.log.newest().commits[5].position_bytes + 40] ^= std::byte{1};
        expected = tail_state::damaged;
    }
    CHECK(judge(what) == expected);
    reading_world machine;
    what.put(machine);
    // Said all the same, because nobody who closed the log wrote them.
    const bool is_longer = what.log.newest().bytes.size() != what.state.mark->length_bytes;
    CHECK(machine.verify().findings.empty() != is_longer);
}

TEST_CASE("what a clean mark says of the bytes before its end must be so",
          "[log][verify][recovery]") {
    judged_directory what = closed_log();
    SECTION("a commit less") { what.log.newest().bytes.resize(what.log.last().position_bytes); }
    SECTION("another last commit") { what.state.mark->last_crc ^= 1; }
    SECTION("another last commit, and more behind it") {
        what.log.newest().bytes[what.log.last().position_bytes + 40] ^= std::byte{1};
        append(what, std::vector<std::byte>(5'000));
    }
    CHECK(judge(what) == tail_state::damaged);
}

TEST_CASE("a first commit that is not this log's, or does not continue it, is damage to all",
          "[log][verify][recovery]") {
    judged_directory what;
    what.log.commits(3).rotate();
    SECTION("another log's") {
        what.log.set_log_id(log_builder::default_log_id + 1);
        what.log.commits(2);
        what.log.set_log_id(log_builder::default_log_id);
    }
    SECTION("ours, but not the next") {
        what.log.set_previous_crc(what.log.last_crc() ^ 1);
        what.log.commits(2);
    }
    what.state = what.log.running_state();
    CHECK(judge(what) == tail_state::damaged);
}

TEST_CASE("random damage to the newest segment is judged alike", "[log][verify][recovery]") {
    std::uint64_t seen[3] = {};
    for (std::uint64_t seed = 1; seed <= 1'500; ++seed) {
        prng random(seed);
        judged_directory what;
        what.log.commits(random.below(4));
        if (random.below(2) == 0) {
            what.log.rotate().commits(random.below(5));
        }
        if (random.below(3) == 0) {
            what.log.set_durable_end(what.log.next());  // groups in flight together
        }
        const format::log_state closed_before = what.log.closed_state();
        what.log.commits(random.below(3));
        what.state = what.log.running_state();
        const std::uint64_t how_it_ended = random.below(4);
        if (how_it_ended == 1) {
            what.state = what.log.closed_state();
        } else if (how_it_ended == 2) {
            what.state = closed_before;
        } else if (how_it_ended == 3) {
            what.state.remote_end = log_offset{random.below(what.log.next().value() + 1)};
        }
        auto& bytes = what.log.newest().bytes;
        constexpr std::size_t header_bytes = format::layout::segment_header::size_bytes;
        const std::uint64_t damage = random.below(9);
        const std::size_t at = damage == 8
                                   ? random.below(header_bytes + 1)
                                   : header_bytes + random.below(bytes.size() - header_bytes + 1);
        const std::size_t size = random.below(400);
        const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        if (damage == 1 || damage == 8) {
            bytes.resize(at);
        } else if (damage == 2) {
            bytes.resize(bytes.size() + size);
        } else if (damage == 3) {
            append(what, noise(random, size));
        } else if (damage == 4) {
            append(what, next_header(what));
        } else if (damage == 5 && at < bytes.size()) {
            bytes[at] ^= std::byte(1 + random.below(255));
        } else if (damage == 6) {
            std::fill(begin, bytes.end(), std::byte{0});
        } else if (damage == 7) {
            std::fill_n(begin, std::min(size, bytes.size() - at), std::byte{0});
        }
        INFO("seed " << seed << ", damage " << damage << " at byte " << at << " of " << bytes.size()
                     << ", ended " << how_it_ended);
        ++seen[static_cast<std::size_t>(judge(what))];
    }
    for (const std::uint64_t count : seen) {
        CHECK(count > 100);
    }
}

}  // namespace
}  // namespace caisson::test
