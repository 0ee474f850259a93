// What recovery and readers make of a damaged log, over all combinations of how it stopped, what
// was acknowledged, what is hurt and how, and what lies behind. The verdict that is expected comes
// from the oracle, which knows what was promised and whether this disk can prove it, and nothing of
// decision tables.

#include "simulation/oracle.hpp"
#include "support/log_builder.hpp"
#include "unit/engine/engine_world.hpp"

#include "base/crc32c.hpp"
#include "base/endian.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <functional>

namespace caisson::test {
namespace {

using namespace caisson::literals;

constexpr std::uint64_t commits_before = 2;  // in the first segment; never hurt
constexpr std::uint64_t commits_in_question = 4;
constexpr std::uint64_t epoch = 5;

enum class stop : std::uint8_t {
    running,            ///< the process or the machine died
    closed,             ///< by close(): all of it was acknowledged, and STATE says where it ends
    succeeded,          ///< running, and a successor of the segment in question was named
    succeeded_unknown,  ///< the same, before STATE named the successor
};
enum class harm : std::uint8_t {
    flipped_offset,
    flipped_length,
    flipped_payload,
    flipped_checksum,
    zeroed,
    stale,  ///< an older commit of this log stands there
    zeroed_to_the_end,
    cut_off,
    unreadable,
    // The segment's header.
    header_flipped,
    header_newer,  ///< a version that nobody here knows
    header_cut_off,
    // A whole commit in its place that nobody wrote there: right checksum, another record.
    of_another_log,
    unchained,
    of_lower_epoch,
    of_newer_trailer,
};
constexpr int harms = static_cast<int>(harm::of_newer_trailer) + 1;
enum class behind : std::uint8_t { nothing, zeros, garbage };

struct scene {
    stop how = stop::running;
    std::uint64_t acknowledged = 0;  ///< of the commits in question
    std::uint64_t in_flight = 0;     ///< beside each commit when it left: its trailer lags so far
    std::uint64_t hurt = 0;          ///< which commit in question; their number: none
    harm kind = harm::zeroed;
    behind tail = behind::nothing;
    bool is_known = false;  ///< the caller says up to where it knows the log to be durable
    torn_tail_policy policy = torn_tail_policy::trim;

    [[nodiscard]] bool is_hurt() const { return hurt < commits_in_question; }
    [[nodiscard]] bool has_successor() const {
        return how == stop::succeeded || how == stop::succeeded_unknown;
    }
    /// Nothing behind the hurt commit is left.
    [[nodiscard]] bool takes_the_rest() const {
        return kind == harm::zeroed_to_the_end || kind == harm::cut_off ||
               kind == harm::header_cut_off;
    }
    [[nodiscard]] bool is_of_header() const {
        return kind == harm::header_flipped || kind == harm::header_newer ||
               kind == harm::header_cut_off;
    }
    [[nodiscard]] bool is_forged() const { return kind >= harm::of_another_log; }
    [[nodiscard]] log_offset hurt_begin() const { return log_offset{commits_before + hurt}; }
    [[nodiscard]] log_offset acknowledged_end() const {
        return log_offset{commits_before + acknowledged + (has_successor() ? 1u : 0u)};
    }
    /// Whether this disk, or the caller, can prove that the hurt record was acknowledged.
    [[nodiscard]] bool has_witness() const {
        if (how == stop::closed || has_successor()) {
            return true;  // close and naming a successor come after everything before is durable
        }
        if (is_known && acknowledged_end() > hurt_begin()) {
            return true;
        }
        if (is_of_header()) {
            // Its commits are there, or STATE names a segment that is shorter than its header.
            return !takes_the_rest() || tail == behind::nothing;
        }
        const std::uint64_t last = commits_in_question - 1;
        return !takes_the_rest() && last > hurt &&
               trailer_of(last) > hurt_begin();  // the last one says the most
    }
    /// What the trailer of a commit in question says was durable when it left.
    [[nodiscard]] log_offset trailer_of(std::uint64_t commit) const {
        return log_offset{commits_before + commit - std::min(commit, in_flight)};
    }
    [[nodiscard]] std::string text() const {
        return "stop " + std::to_string(static_cast<int>(how)) + ", acknowledged " +
               std::to_string(acknowledged) + ", in flight " + std::to_string(in_flight) +
               ", hurt " + std::to_string(hurt) + ", harm " +
               std::to_string(static_cast<int>(kind)) + ", behind " +
               std::to_string(static_cast<int>(tail)) + (is_known ? ", known" : "") +
               (policy == torn_tail_policy::refuse ? ", policy refuse" : "");
    }
};

void for_every_damage(const scene& base, const std::function<void(const scene&)>& visit) {
    scene each = base;
    for (each.hurt = 0; each.hurt <= commits_in_question; ++each.hurt) {
        for (int kind = 0; kind < harms; ++kind) {
            each.kind = static_cast<harm>(kind);
            if (each.is_of_header() && each.hurt > 0) {
                continue;
            }
            for (int tail = 0; tail < 3; ++tail) {
                each.tail = static_cast<behind>(tail);
                for (const bool is_known : {false, true}) {
                    each.is_known = is_known;
                    for (const auto policy : {torn_tail_policy::trim, torn_tail_policy::refuse}) {
                        each.policy = policy;
                        visit(each);
                    }
                }
            }
            if (!each.is_hurt()) {
                break;
            }
        }
    }
}

void for_every_scene(const std::function<void(const scene&)>& visit) {
    for (int how = 0; how < 4; ++how) {
        for (const std::uint64_t in_flight : {0u, 2u}) {
            scene base;
            base.how = static_cast<stop>(how);
            base.in_flight = in_flight;
            // A trailer that says so proves that it was acknowledged.
            const std::uint64_t least = base.how == stop::running
                                            ? commits_in_question - 1 - in_flight
                                            : commits_in_question;
            for (base.acknowledged = least; base.acknowledged <= commits_in_question;
                 ++base.acknowledged) {
                for_every_damage(base, visit);
            }
        }
    }
}

std::string record_at(std::uint64_t offset, char first = 'a') {
    return std::string(40 + offset * 7, static_cast<char>(first + static_cast<int>(offset)));
}

/// As long as the commit in question of the scene, and wrong in the scene's way.
std::vector<std::byte> forged_commit(const scene& in, std::uint32_t previous_crc) {
    const std::uint64_t log_id =
        log_builder::default_log_id + (in.kind == harm::of_another_log ? 1u : 0u);
    log_builder other(log_id, in.hurt_begin());
    other.set_durable_end(in.trailer_of(in.hurt))
        .set_epoch(in.kind == harm::of_lower_epoch ? epoch - 1 : epoch)
        .set_previous_crc(in.kind == harm::unchained ? ~previous_crc : previous_crc)
        .commit({record_at(in.hurt_begin().value(), 'A')});
    const built_commit& made = other.last();
    const auto begin =
        other.newest().bytes.begin() + static_cast<std::ptrdiff_t>(made.position_bytes);
    std::vector<std::byte> bytes(begin, begin + static_cast<std::ptrdiff_t>(made.size_bytes));
    if (in.kind == harm::of_newer_trailer) {
        const std::size_t checksum_at = bytes.size() - format::layout::checksum_bytes;
        bytes[checksum_at - format::layout::native::trailer_bytes] =
            std::byte{format::layout::native::trailer_version + 1};
        store_le(bytes.data() + checksum_at, crc32c(std::span(bytes).first(checksum_at)));
    }
    return bytes;
}

/// The log of a scene on a disk, and what the oracle was told of it.
class stage {
public:
    explicit stage(const scene& played) : scene_(played) {
        log_.set_epoch(epoch);
        for (std::uint64_t k = 0; k < commits_before; ++k) {
            log_.commit({record_at(k)});
        }
        log_.rotate();
        format::log_state state = log_.running_state();
        for (std::uint64_t k = 0; k < commits_in_question; ++k) {
            log_.set_durable_end(played.trailer_of(k)).commit({record_at(commits_before + k)});
        }
        log_.clear_durable_end();
        if (played.has_successor()) {
            log_.rotate().commit({record_at(commits_before + commits_in_question)});
        }
        if (played.how == stop::closed) {
            state = log_.closed_state();
        } else if (played.how != stop::succeeded_unknown) {
            state = log_.running_state();
        }
        hurt();
        lengthen();
        log_.write_to(machine_.world.disk(), log_path, state);
        if (played.is_hurt() && played.kind == harm::unreadable) {
            const built_commit& commit = segment().commits[played.hurt];
            machine_.world.disk().make_unreadable(segment_path(log_path, segment().begin),
                                                  commit.position_bytes, commit.end_bytes());
        }
        tell_the_oracle();
    }

    [[nodiscard]] std::string judge() {
        open_report report;
        log_options options;
        options.report = &report;
        options.torn_tail = scene_.policy;
        options.existing = open_existing::only;
        if (scene_.is_known) {
            options.known_durable_end = scene_.acknowledged_end();
        }
        const auto opened = machine_.start_open(options);
        REQUIRE(machine_.finish(opened));
        if (!opened->value()) {
            judge_.refused(report.refused ? report.refused->offset() : std::nullopt);
            return judge_.complaint();
        }
        log served = std::move(opened->value()).value();
        read_all(served);
        return judge_.complaint();
    }

private:
    built_segment& segment() { return log_.segments()[1]; }

    void hurt() {
        if (!scene_.is_hurt()) {
            return;
        }
        auto& bytes = segment().bytes;
        const built_commit& commit = segment().commits[scene_.hurt];
        const auto at = [&](std::uint64_t position) {
            return bytes.begin() + static_cast<std::ptrdiff_t>(commit.position_bytes + position);
        };
        switch (scene_.kind) {
        case harm::flipped_offset: *at(0) ^= std::byte{0x40}; break;
        case harm::flipped_length: *at(19) ^= std::byte{0x40}; break;
        case harm::flipped_payload: *at(40) ^= std::byte{0x40}; break;
        case harm::flipped_checksum: *at(commit.size_bytes - 1) ^= std::byte{0x40}; break;
        case harm::zeroed: std::fill(at(0), at(commit.size_bytes), std::byte{0}); break;
        case harm::stale: {
            const auto& older = log_.segments()[0];
            const built_commit& stale = older.commits[0];
            std::fill(at(0), at(commit.size_bytes), std::byte{0});
            std::copy_n(older.bytes.begin() + static_cast<std::ptrdiff_t>(stale.position_bytes),
                        std::min(stale.size_bytes, commit.size_bytes), at(0));
            break;
        }
        case harm::zeroed_to_the_end: std::fill(at(0), bytes.end(), std::byte{0}); break;
        case harm::cut_off: bytes.erase(at(0), bytes.end()); break;
        case harm::unreadable: break;
        case harm::header_flipped: bytes[2] ^= std::byte{0x40}; break;
        case harm::header_newer:
            bytes[format::layout::segment_header::version_at] = std::byte{9};
            break;
        case harm::header_cut_off: bytes.resize(4); break;
        case harm::of_another_log:
        case harm::unchained:
        case harm::of_lower_epoch:
        case harm::of_newer_trailer: {
            const std::uint32_t before = scene_.hurt > 0
                                             ? segment().commits[scene_.hurt - 1].crc
                                             : log_.segments()[0].commits[commits_before - 1].crc;
            std::ranges::copy(forged_commit(scene_, before), at(0));
            break;
        }
        }
    }
    // Behind a segment that has a successor, or was closed, is nothing: both cut it.
    void lengthen() {
        auto& bytes = log_.newest().bytes;
        if (scene_.how == stop::closed || scene_.tail == behind::nothing) {
            return;
        }
        bytes.resize(bytes.size() + 20'000);
        for (std::size_t k = bytes.size() - 20'000;
             scene_.tail == behind::garbage && k < bytes.size(); ++k) {
            bytes[k] = static_cast<std::byte>(k * 131 + 7);
        }
    }

    void tell_the_oracle() {
        for (std::uint64_t offset = 0; offset < log_.next().value(); ++offset) {
            const std::string text = record_at(offset);
            sim::payload record(text.size());
            std::memcpy(record.data(), text.data(), text.size());
            const auto id = judge_.submit({record});
            if (log_offset{offset} < scene_.acknowledged_end()) {
                judge_.acknowledged(id, log_offset{offset});
            }
        }
        judge_.crashed();
        if (!scene_.is_hurt()) {
            if (scene_.policy == torn_tail_policy::refuse && scene_.tail == behind::garbage) {
                judge_.fault_happened();
            }
            return;
        }
        const bool is_acknowledged = scene_.hurt_begin() < scene_.acknowledged_end();
        if (scene_.kind == harm::unreadable) {
            // What cannot be read may be anything: it is never given up. The device cannot read a
            // block, and all commits in question lie in one.
            judge_.damaged(log_offset{commits_before}, log_.next(), true);
        } else if (is_acknowledged) {
            judge_.damaged(scene_.hurt_begin(), log_.next(), scene_.has_witness());
        } else if (scene_.is_forged() || scene_.policy == torn_tail_policy::refuse) {
            // No crash forges; and a torn write is the fault that this policy does not bear.
            judge_.fault_happened();
        }
    }

    void read_all(log& served) {
        sim::recovered_log content;
        content.first = served.begin();
        log_reader reader = served.reader(served.begin());
        for (;;) {
            const auto next = machine_.start_read(reader);
            REQUIRE(machine_.finish(next));
            if (!next->value()) {
                const auto& cause = reader.failure_cause();
                return judge_.refused(cause ? cause->offset() : std::nullopt);
            }
            if (next->value().value().empty()) {
                return judge_.recovered(content);
            }
            for (const auto record : next->value().value()) {
                content.records.emplace_back(record.begin(), record.end());
            }
        }
    }

    scene scene_;
    log_builder log_;
    engine_world machine_;
    sim::oracle judge_;
};

TEST_CASE("every damaged end of a log is met as the promise demands", "[simulation][recovery]") {
    std::uint64_t scenes = 0;
    for_every_scene([&](const scene& each) {
        ++scenes;
        INFO(each.text());
        stage played(each);
        CHECK(played.judge() == "");
    });
    CHECK(scenes == 8'064);
}

}  // namespace
}  // namespace caisson::test
