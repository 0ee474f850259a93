#pragma once
// What a reader needs from whoever owns the log's files: an open log in this process, or a
// directory opened read-only. Data and promises only; reader.hpp reads, view.hpp is the directory's
// source, the log core is the other one.

#include <caisson/config.hpp>
#include <caisson/types.hpp>

#include "io/await.hpp"
#include "io/environment.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <optional>

namespace caisson::log_detail {

/// Work that travels to the home thread without an allocation: embedded in the object it belongs
/// to, which stays alive until `run` was called.
class home_task {
public:
    enum class arrival : std::uint8_t {
        at_home,
        /// a second thread runs the home: answer with errc::home_on_two_threads, touch nothing else
        wrong_thread,
        engine_gone,  ///< the home is no more: free memory, touch neither files nor executor
    };
    using function = void (*)(home_task& self, arrival how) noexcept;

    explicit home_task(function what) noexcept : what_(what) {}
    home_task(const home_task&) = delete;
    home_task& operator=(const home_task&) = delete;

    void run(arrival how) noexcept { what_(*this, how); }

    home_task* next = nullptr;  ///< for the queue it travels in

protected:
    ~home_task() = default;

private:
    function what_;
};

/// The way to the home thread, for objects that outlive their log: hold it by shared_ptr.
class home_entry {
public:
    virtual ~home_entry() = default;
    [[nodiscard]] virtual const net::any_io_executor& executor() const noexcept = 0;
    /// Runs `task` soon on the home thread, never inside this call, in order of the calls made on
    /// one thread. Callable on any thread. After the engine has ended it runs `task` inside the
    /// call, with `engine_gone`.
    virtual void enter(home_task& task) noexcept = 0;
};

/// A segment that is expected to hold an offset.
struct segment_place {
    log_offset begin;                ///< first offset, hence its name
    std::optional<log_offset> next;  ///< first offset of the segment after it; nothing: the newest
};

/// Whose commits a reader accepts.
struct log_lineage {
    /// nothing: foreign, or not known (then native commits must agree)
    std::optional<std::uint64_t> log_id;
    /// segments from here on are native; nothing: none is known to be
    std::optional<log_offset> native_from;
    /// Commits prove by their trailers that earlier ones were durable here. False in a sink: its
    /// trailers speak of the source's disk.
    bool are_trailers_proof = true;
    /// What STATE knows to have been durable: everything below is a witness against a torn tail.
    log_offset known_durable_end;
};

class read_source;

/// A reader, as its source knows it: an entry of a list, told when the source ends.
class source_client {
public:
    source_client(const source_client&) = delete;
    source_client& operator=(const source_client&) = delete;

    /// The source ends: fail the operation in flight with errc::closed, cancel what the kernel has,
    /// and call read_source::detach (perhaps from inside this call) once nothing is in flight and
    /// no file is open.
    virtual void source_closing() noexcept = 0;

protected:
    source_client() = default;
    virtual ~source_client() = default;

private:
    friend class read_source;
    source_client* previous_ = nullptr;
    source_client* next_ = nullptr;
};

/// One log's files, for reading. At home only. Outlives every attached client.
class read_source {
public:
    read_source() = default;
    read_source(const read_source&) = delete;
    read_source& operator=(const read_source&) = delete;
    virtual ~read_source();

    [[nodiscard]] virtual io::environment& world() noexcept = 0;
    /// The log's directory.
    [[nodiscard]] virtual io::directory& directory() noexcept = 0;

    /// First offset the log holds. Grows when a prefix is purged.
    [[nodiscard]] virtual log_offset begin() const noexcept = 0;
    /// Readers stop here; what lies below is durable (local), in a named segment, and its absence
    /// is damage. Nothing: the source does not know; readers go as far as valid commits go and need
    /// a witness before they claim damage.
    [[nodiscard]] virtual std::optional<log_offset> durable_end() const noexcept = 0;
    /// The segment whose range holds `offset`: the last named one that begins at or below it;
    /// nothing when there is none. For `offset` == durable_end that may be the predecessor of a
    /// segment that will be named later.
    [[nodiscard]] virtual std::optional<segment_place> locate(log_offset offset) const noexcept = 0;
    [[nodiscard]] virtual log_lineage lineage() const noexcept = 0;
    /// Checksum of the commit before the first one of `segment`, where it is known without reading
    /// that: STATE remembers it for the newest segment.
    [[nodiscard]] virtual std::optional<std::uint32_t> crc_before(
        log_offset segment) const noexcept {
        static_cast<void>(segment);
        return std::nullopt;
    }

    /// Looks at the directory again. For a source that always knows (the log core) this does
    /// nothing.
    virtual io::task<void> refresh() = 0;
    /// Where the valid commits of a segment end, for STATE to contradict.
    struct segment_end {
        log_offset segment;
        std::uint64_t position_bytes = 0;
        std::optional<std::uint32_t> last_crc;  ///< of the last commit; absent: not known
        bool is_header_cut_off = false;         ///< the file ends inside the segment's header
    };
    /// Whether STATE, read anew, proves that there was more: by a clean mark, or by naming a
    /// segment whose header is not there. Asked only where there is no durable_end.
    virtual io::task<bool> state_contradicts(segment_end end) = 0;
    /// A commit of the segment `in` that is believed to begin at or below `wanted`: a shortcut,
    /// verified before use, for segments that have no index file yet.
    struct position_hint {
        log_offset begin;
        std::uint64_t position_bytes = 0;
    };
    [[nodiscard]] virtual std::optional<position_hint> hint(log_offset in,
                                                            log_offset wanted) const noexcept {
        static_cast<void>(in);
        static_cast<void>(wanted);
        return std::nullopt;
    }

    void attach(source_client& client) noexcept;
    void detach(source_client& client) noexcept;
    [[nodiscard]] bool has_clients() const noexcept { return first_ != nullptr; }
    /// Tells every client to end; `on_idle()` follows, perhaps from inside this call, when the last
    /// one has detached.
    void close_clients() noexcept;
    [[nodiscard]] bool is_closing() const noexcept { return closing_; }

protected:
    /// The last client detached after close_clients(). The source may be destroyed from here on.
    virtual void on_idle() noexcept {}

private:
    source_client* first_ = nullptr;
    bool closing_ = false;
    bool idle_reported_ = false;
};

}  // namespace caisson::log_detail
