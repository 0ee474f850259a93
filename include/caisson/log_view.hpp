#pragma once
// log_view: a log directory opened for reading only, ours or a foreign one, at rest or beside a
// live writer, and the verification of everything in it. Changes nothing and takes no lock. Read
// docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/detail/completion.hpp>
#include <caisson/failure.hpp>
#include <caisson/reader.hpp>
#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caisson {

namespace log_detail {
class view_core;
}

/// One segment file, as the directory showed it when the view was opened.
struct segment_summary {
    log_offset begin;  ///< from its name
    std::string name;
    /// of the file; the newest one of a live log includes prepared space
    std::uint64_t size_bytes = 0;
    bool has_index = false;
};

/// What STATE says.
struct state_facts {
    std::uint64_t generation = 0;
    std::uint64_t log_id = 0;
    log_offset native_from;
    log_offset purged_before;
    std::uint64_t epoch = 0;
    log_offset remote_end;
    std::uint32_t block_size_bytes = 0;
    bool is_sink = false;
    bool is_reset_in_progress = false;
    bool has_clean_mark = false;
    bool are_both_slots_valid = false;
};

/// What follows the last valid commit of the newest segment.
enum class tail_state : std::uint8_t {
    clean,          ///< nothing, or prepared space
    unfinished,     ///< a write that did not finish (or, beside a live writer, has not yet)
    damaged,        ///< a witness says that acknowledged records stood there
    newer_version,  ///< something that only a newer version can read
};

/// What a view found when it was opened; beside a live writer the log has gone on since.
struct view_facts {
    std::string path;
    /// no STATE and no commit of ours: written by another program
    bool is_foreign = false;
    std::optional<state_facts> state;
    /// STATE is missing from a log of ours, damaged, or newer than this build: what is readable may
    /// end before what was acknowledged, and nothing here could tell. Whoever shows records says so
    std::optional<failure> state_problem;
    /// from STATE, else from the first commit found; 0: foreign or empty
    std::uint64_t log_id = 0;
    std::uint8_t format_version = 1;  ///< of the newest segment's header
    bool was_closed_cleanly = false;  ///< the clean mark matches the newest segment
    log_offset begin;                 ///< first readable offset
    log_offset end;                   ///< end of the last valid commit
    /// What is proven to have been acknowledged, by the last commit's trailer or the clean mark.
    /// Records at or beyond it are readable but may be gone after a crash of the machine.
    log_offset proven_durable_end;
    std::uint64_t last_timestamp_us = 0;  ///< of the last commit, when native
    tail_state tail = tail_state::clean;
    std::uint64_t tail_position_bytes = 0;  ///< where in the newest segment valid commits end
    std::vector<segment_summary> segments;  ///< ascending
};

/// One thing met on the way through a directory's segments.
class walk_item {
public:
    enum class kind : std::uint8_t {
        segment,  ///< a segment begins; `facts.segment`, `size_bytes` of the file
        commit,   ///< a valid commit: `facts`
        /// a foreign log's exact repetitions of the commit before: `position_bytes`, `size_bytes`
        duplicate,
        /// bytes that should be a commit and are none: `found`, `position_bytes`, `size_bytes`
        damage,
        unfinished,  ///< the newest segment's torn write: `found`, `position_bytes`, `size_bytes`
        /// zeros or a recycled file's remains behind the last commit: `position_bytes`,
        /// `size_bytes`
        prepared,
        /// a foreign segment's damaged tail, where the next segment goes on: as `damage`
        abandoned,
        unsupported,  ///< bytes of a newer version: as `damage`, but nothing is damaged
    };

    walk_item() noexcept {}

    kind what = kind::segment;
    commit_facts facts;
    std::uint64_t position_bytes = 0;
    std::uint64_t size_bytes = 0;
    std::optional<failure> found;
};

/// Called on the engine's home thread; false ends the walk. The item is valid during the call.
using walk_callback = std::function<bool(const walk_item&)>;

/// How bad what `async_verify` found is.
enum class finding_severity : std::uint8_t {
    damage,     ///< stored data is not what was written
    torn_tail,  ///< an unfinished write at the end of the log; opening the log cuts it
    /// something derived or unneeded is wrong (an index, a stray file); no record is affected
    warning,
    /// no damage, but the log is not opened as it is: a name in its way, a newer version
    obstacle,
};

/// One thing that `async_verify` found wrong, and where.
class finding {
public:
    finding(finding_severity how_bad, failure what, std::uint64_t bytes = 0)
        : severity(how_bad), found(std::move(what)), size_bytes(bytes) {}

    finding_severity severity;
    failure found;             ///< file, byte, offset, what
    std::uint64_t size_bytes;  ///< bytes affected from there on, when known
};

/// The worst of what `async_verify` found.
enum class verify_verdict : std::uint8_t {
    clean,      ///< every byte is as it was written; warnings may remain
    torn_tail,  ///< only an unfinished write at the end
    /// no damage was found, but opening the log is refused as it is
    not_openable,
    damaged,
};

/// What `async_verify` read and found.
class verify_report {
public:
    verify_report() noexcept {}

    verify_verdict verdict = verify_verdict::clean;
    log_offset begin;
    log_offset end;  ///< end of the last valid commit
    std::uint64_t segments = 0;
    std::uint64_t commits = 0;  ///< valid ones
    std::uint64_t records = 0;  ///< in valid commits
    std::uint64_t bytes_read = 0;
    std::uint64_t epoch_max = 0;
    std::uint64_t findings_dropped = 0;  ///< beyond verify_options.findings_max
    std::vector<finding> findings;       ///< in order of place
};

/// How far a verification is.
/// Units: bytes of segment files.
struct verify_progress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
};

/// How `async_verify` reports.
class verify_options {
public:
    verify_options() noexcept {}

    /// Called on the engine's home thread about once a MiB.
    std::function<void(const verify_progress&)> on_progress;
    std::size_t findings_max = 10'000;
};

namespace detail {

class verify_operation : public completion<verify_report> {
public:
    verify_options options;

protected:
    verify_operation(end_function end, verify_options chosen)
        : completion(end), options(std::move(chosen)) {}
    ~verify_operation() = default;
};

class walk_operation : public completion<void> {
public:
    walk_callback visit;

protected:
    walk_operation(end_function end, walk_callback callback)
        : completion(end), visit(std::move(callback)) {}
    ~walk_operation() = default;
};

void start_verify(const std::shared_ptr<log_detail::view_core>& core,
                  verify_operation& operation) noexcept;
void start_walk(const std::shared_ptr<log_detail::view_core>& core,
                walk_operation& operation) noexcept;
[[nodiscard]] const net::any_io_executor& home_of(const log_detail::view_core& core) noexcept;

}  // namespace detail

/// A log directory opened for reading only. Obtained from engine::async_open_view.
///
/// Facts:         as they were when the view was opened. Readers, walks and verification look at
///                the directory as it is when they run: beside a live writer they see more.
/// Lifetime:      readers, walks and verifications keep what they need; the engine outlives all of
/// them. Thread safety: every member function may be called from any thread, concurrently.
class log_view {
public:
    using executor_type = net::any_io_executor;
    using default_token = net::deferred_t;

    log_view() noexcept = default;
    /// For the library: engine::async_open_view makes views.
    explicit log_view(std::shared_ptr<log_detail::view_core> core) noexcept
        : core_(std::move(core)) {}

    [[nodiscard]] executor_type get_executor() const noexcept { return detail::home_of(*core_); }

    [[nodiscard]] const view_facts& facts() const noexcept;
    [[nodiscard]] log_offset begin() const noexcept { return facts().begin; }
    [[nodiscard]] log_offset end() const noexcept { return facts().end; }
    [[nodiscard]] log_offset proven_durable_end() const noexcept {
        return facts().proven_durable_end;
    }

    /// A reader from `from`. It follows a live writer's log as far as valid commits go. Beside a
    /// writer in another process it claims damage only after reading the place again behind the
    /// witness.
    [[nodiscard]] log_reader reader(log_offset from, const reader_options& options = {}) const;

    /// Visits every commit of every segment, going on behind damaged places.
    ///
    /// Errors:       errors of the system while opening; what is wrong in the files is an item, not
    ///               an error.
    /// Cancellation: none; the callback ends the walk.
    template <net::completion_token_for<void(result<void>)> Token = default_token>
    auto async_walk(walk_callback visit, Token&& token = Token()) {
        return net::async_initiate<Token, void(result<void>)>(initiate_walk{core_}, token,
                                                              std::move(visit));
    }

    /// Reads and checks everything: names, both slots of STATE, every byte of every segment, the
    /// chain across segments, the clean mark, indexes. Goes on behind damage; the report names
    /// every place.
    ///
    /// Errors:       errors of the system that keep it from looking at all; damage is in the
    ///               report.
    /// Cancellation: none.
    template <net::completion_token_for<void(result<verify_report>)> Token = default_token>
    auto async_verify(verify_options options = {}, Token&& token = Token()) {
        return net::async_initiate<Token, void(result<verify_report>)>(initiate_verify{core_},
                                                                       token, std::move(options));
    }

private:
    struct initiate_walk {
        using executor_type = net::any_io_executor;
        std::shared_ptr<log_detail::view_core> core;
        [[nodiscard]] executor_type get_executor() const noexcept { return detail::home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler, walk_callback visit) const {
            using operation = detail::pending<void, detail::walk_operation, std::decay_t<Handler>>;
            detail::start_walk(core, *operation::create(std::forward<Handler>(handler),
                                                        detail::home_of(*core), std::move(visit)));
        }
    };
    struct initiate_verify {
        using executor_type = net::any_io_executor;
        std::shared_ptr<log_detail::view_core> core;
        [[nodiscard]] executor_type get_executor() const noexcept { return detail::home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler, verify_options options) const {
            using operation =
                detail::pending<verify_report, detail::verify_operation, std::decay_t<Handler>>;
            detail::start_verify(core,
                                 *operation::create(std::forward<Handler>(handler),
                                                    detail::home_of(*core), std::move(options)));
        }
    };

    std::shared_ptr<log_detail::view_core> core_;
};

}  // namespace caisson
