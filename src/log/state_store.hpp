#pragma once
// The file STATE: two slots of which the newest valid one counts. Here is how slots are written and
// in which order; format/state.hpp knows their bytes, recovery and appender know what the facts
// mean. Read docs/format.md, "STATE".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>

#include "base/aligned_buffer.hpp"
#include "format/state.hpp"
#include "io/disk.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace caisson::log_detail {

/// The open STATE of one log and the facts it holds.
///
/// One call of `store` or `settle` at a time: callers are serialised by the log, and it is
/// asserted. The first failure of a write poisons the object: what the slots hold is then unknown
/// until the log is opened again.
class state_store {
public:
    /// Reads both slots of an existing STATE, past the page cache.
    ///
    /// Errors: errc::{state_damaged, unreadable, unsupported_version}; of the system when it cannot
    ///         be opened.
    static net::awaitable<detailed<std::unique_ptr<state_store>>> load(io::directory& root,
                                                                       bool read_only);

    /// Makes STATE with `first` in both slots: temporary name, sync, rename, directory sync. A
    /// temporary file that an earlier attempt left is replaced.
    static net::awaitable<detailed<std::unique_ptr<state_store>>> create(io::directory& root,
                                                                         format::log_state first);

    state_store(const state_store&) = delete;
    state_store& operator=(const state_store&) = delete;
    ~state_store();

    /// The facts as of the last completed `store` or `settle`.
    [[nodiscard]] const format::log_state& current() const noexcept { return current_; }

    /// Whether losing either slot would bring back no fact that was taken back. False after a crash
    /// between the two writes of `settle` and after a torn write; recovery then settles `current()`
    /// again.
    [[nodiscard]] bool is_settled() const noexcept;

    /// Writes one slot; durable when it completes. The generation of `changed` is ignored: it
    /// becomes current()'s + 1.
    ///
    /// Only for facts that take nothing back: the newest segment, a raised remote end, a clean mark
    /// set. Asserted.
    net::awaitable<detailed<void>> store(format::log_state changed);

    /// Writes both slots, one after the other; durable in both when it completes. For facts that
    /// take something back: the first segment, mark dropped, intention begun or ended, role, epoch,
    /// purged_before.
    net::awaitable<detailed<void>> settle(format::log_state changed);

    /// After a failed write: every later one fails with errc::poisoned.
    [[nodiscard]] bool is_poisoned() const noexcept { return poisoned_; }

    /// Makes an existing STATE durable as it was read: a killed predecessor's last write may not
    /// be.
    net::awaitable<detailed<void>> confirm();

private:
    state_store(std::unique_ptr<io::file> file, std::string path,
                aligned_buffer slot_bytes) noexcept;

    net::awaitable<detailed<void>> read_slots();
    net::awaitable<detailed<void>> write_slot(format::log_state changed);
    net::awaitable<detailed<void>> put(const format::log_state& what);
    net::awaitable<detailed<void>> sync();

    std::unique_ptr<io::file> file_;
    std::string path_;           ///< for messages
    aligned_buffer slot_bytes_;  ///< the slot being read or written; whole blocks
    format::log_state current_;
    /// what the slot that does not count holds, when it is valid
    std::optional<format::log_state> other_;
    bool writing_ = false;  ///< a `store` or `settle` is running
    bool poisoned_ = false;
};

}  // namespace caisson::log_detail
