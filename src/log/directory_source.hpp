#pragma once
// directory_source: a log directory opened read-only as a source for readers: what its names and
// its STATE say, looked at again whenever asked. Takes no lock, changes nothing, believes nothing
// it has not read. Read docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/log_view.hpp>

#include "async/event.hpp"
#include "format/state.hpp"
#include "log/read_source.hpp"

#include <boost/asio/awaitable.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace caisson::log_detail {

/// STATE as it was read: both slots, and what counts.
struct state_reading {
    bool is_present = false;
    std::optional<format::log_state> current;  ///< nothing: missing or damaged
    /// why nothing counts although the file is there
    error_code problem;
    std::array<format::slot_condition, 2> slots{format::slot_condition::empty,
                                                format::slot_condition::empty};
    /// a byte outside the slots that is not zero
    std::optional<std::uint64_t> first_stray_bytes;
    /// the first block that the device could not read
    std::optional<std::uint64_t> unreadable_bytes;
    /// of all that was read: the same twice is the same reading twice
    std::uint32_t content_crc = 0;
};

/// What a listing shows.
struct directory_names {
    std::vector<log_offset> segments;    ///< ascending
    std::vector<log_offset> indexes;     ///< ascending
    std::vector<std::string> strangers;  ///< entries that belong to no log, sorted
    std::vector<failure> obstacles;      ///< entries for which the log is not opened, by name
    bool has_state = false;
    bool has_remains = false;  ///< spare/, lost/ or an offset index: made only after STATE
};

class directory_source final : public read_source {
public:
    /// Opens the directory and reads names and STATE.
    ///
    /// Errors: errc::{log_not_found, not_a_directory, state_missing (and no segments either)}; of
    ///         the system. A damaged STATE, or one that is missing beside segments, is no error
    ///         here: state_problem() tells.
    static net::awaitable<detailed<std::shared_ptr<directory_source>>> open(io::environment& world,
                                                                            std::string path);

    [[nodiscard]] io::environment& world() noexcept override { return world_; }
    [[nodiscard]] io::directory& directory() noexcept override { return *root_; }
    [[nodiscard]] log_offset begin() const noexcept override;
    [[nodiscard]] std::optional<log_offset> durable_end() const noexcept override {
        return std::nullopt;
    }
    [[nodiscard]] std::optional<segment_place> locate(log_offset offset) const noexcept override;
    [[nodiscard]] log_lineage lineage() const noexcept override { return lineage_; }
    [[nodiscard]] std::optional<std::uint32_t> crc_before(
        log_offset segment) const noexcept override;
    io::task<void> refresh() override;
    io::task<bool> state_contradicts(segment_end end) override;

    [[nodiscard]] const directory_names& names() const noexcept { return names_; }
    [[nodiscard]] const state_reading& state() const noexcept { return state_; }
    /// Why STATE, when the directory was opened, could not vouch for the log's end. Nothing: it
    /// could, or the log is another program's and never had one.
    [[nodiscard]] const std::optional<failure>& state_problem() const noexcept {
        return state_problem_;
    }
    /// The id to hold a segment's commits against; nothing: it is raw.
    [[nodiscard]] std::optional<std::uint64_t> log_id_of(log_offset segment) const noexcept;
    /// The first segment that begins beyond `offset`, by the last listing.
    [[nodiscard]] std::optional<log_offset> first_after(log_offset offset) const noexcept;
    io::task<void> read_state();

    /// Ends readers and walks with errc::closed and gives up the directory. Idempotent.
    net::awaitable<void> close();

private:
    void on_idle() noexcept override { closed_.notify_all(); }
    directory_source(io::environment& world, std::unique_ptr<io::directory> root) noexcept;
    net::awaitable<detailed<void>> find_lineage();
    net::awaitable<detailed<void>> look();
    net::awaitable<failure> explain_unreadable_state(error_code why);
    void judge_what_counts();

    io::environment& world_;
    std::unique_ptr<io::directory> root_;
    directory_names names_;
    state_reading state_;
    std::optional<failure> state_problem_;
    log_lineage lineage_;
    async::event closed_;
};

/// The id to hold the commits of `segment` against; nothing: it is raw.
[[nodiscard]] std::optional<std::uint64_t> log_id_of(const log_lineage& lineage,
                                                     log_offset segment) noexcept;

}  // namespace caisson::log_detail
