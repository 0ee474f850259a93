#pragma once
// log_reader: reads the records of a log forwards, one checksummed commit at a time, independent of
// the writer and of every other reader. Knows nothing about who writes. Read docs/architecture.md,
// "Reading".

#include <caisson/config.hpp>
#include <caisson/detail/completion.hpp>
#include <caisson/failure.hpp>
#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace caisson {

namespace log_detail {
class reader_core;
}

/// Where a commit lies and what its frame says.
struct commit_facts {
    /// first offset of the segment that holds it, hence its file
    log_offset segment;
    std::uint64_t position_bytes = 0;  ///< of its first byte in that file
    std::uint64_t size_bytes = 0;      ///< of the whole commit
    log_offset begin;                  ///< its first record
    std::uint32_t record_count = 0;
    std::uint32_t checksum = 0;  ///< CRC-32C of everything before the checksum
    std::uint64_t epoch = 0;
    bool is_raw = false;  ///< no native trailer: what follows is not known
    /// native: first offset not known durable when the commit left
    log_offset durable_end;
    /// native: wall clock since 1970, never decreasing within a log
    std::uint64_t timestamp_us = 0;
    std::uint32_t previous_checksum = 0;  ///< native: of the commit before it in the log

    [[nodiscard]] log_offset end() const noexcept { return begin + record_count; }
};

/// The records of one commit at or beyond the asked offset: a view, cheap to copy.
///
/// Shape:  iteration gives one span of bytes a record, in order of offsets. A raw commit
///         (`facts().is_raw`: written by another program, or appended raw) does not say where its
///         records end: then iteration gives one span, all its bytes undivided, also when it begins
///         below the asked offset.
/// Owner:  the bytes belong to the reader and stay valid until its next operation or its
///         destruction.
class commit_batch {
public:
    class iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using iterator_concept = std::forward_iterator_tag;
        using value_type = std::span<const std::byte>;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = value_type;

        iterator() noexcept = default;
        [[nodiscard]] value_type operator*() const noexcept { return {payload_, payload_bytes_}; }
        iterator& operator++() noexcept {
            if (--remaining_ != 0) {
                load(payload_ + payload_bytes_);
            }
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++*this;
            return before;
        }
        /// Only iterators of one batch are comparable.
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.remaining_ == b.remaining_;
        }

    private:
        friend class commit_batch;
        // The lengths were checked before the batch was handed out.
        void load(const std::byte* prefix) noexcept {
            std::uint32_t length_bytes;
            std::memcpy(&length_bytes, prefix, sizeof length_bytes);
            payload_ = prefix + sizeof length_bytes;
            payload_bytes_ = length_bytes;
        }

        const std::byte* payload_ = nullptr;
        std::size_t payload_bytes_ = 0;
        std::uint32_t remaining_ = 0;
    };

    /// The batch that says: the readable end was reached for now.
    commit_batch() noexcept = default;
    explicit commit_batch(log_offset end) noexcept : first_offset_(end) {}
    /// For the library: `count` records (one undivided span if raw) whose first framed one begins
    /// at `bytes`.
    commit_batch(const commit_facts& facts, log_offset first_offset,
                 std::span<const std::byte> bytes) noexcept
        : facts_(facts), first_offset_(first_offset), bytes_(bytes) {}

    /// The readable end was reached for now; the next operation looks again.
    [[nodiscard]] bool empty() const noexcept { return facts_.record_count == 0; }
    /// Offset of the first record in the batch; of an empty one: the offset that comes next.
    [[nodiscard]] log_offset first_offset() const noexcept { return first_offset_; }
    /// The offset after the last record.
    [[nodiscard]] log_offset end_offset() const noexcept {
        return empty() ? first_offset_ : facts_.end();
    }
    /// Records in the batch; for a raw commit too, although iteration gives its bytes in one piece.
    [[nodiscard]] std::uint64_t record_count() const noexcept {
        return end_offset() - first_offset_;
    }
    /// The commit the records come from; it may begin below first_offset().
    [[nodiscard]] const commit_facts& facts() const noexcept { return facts_; }
    /// A raw commit's bytes.
    [[nodiscard]] std::span<const std::byte> raw_bytes() const noexcept {
        return facts_.is_raw ? bytes_ : std::span<const std::byte>{};
    }

    [[nodiscard]] iterator begin() const noexcept {
        iterator first;
        if (facts_.is_raw) {
            first.payload_ = bytes_.data();
            first.payload_bytes_ = bytes_.size();
            first.remaining_ = 1;
        } else if (!empty()) {
            first.remaining_ = static_cast<std::uint32_t>(record_count());
            first.load(bytes_.data());
        }
        return first;
    }
    [[nodiscard]] iterator end() const noexcept { return {}; }

private:
    commit_facts facts_;
    log_offset first_offset_;
    std::span<const std::byte> bytes_;
};

static_assert(std::is_trivially_copyable_v<commit_batch> &&
              std::is_trivially_destructible_v<commit_batch>);

/// How a reader of a view reads ahead.
class reader_options {
public:
    reader_options() noexcept {}

    /// One read; two are in flight ahead of the one that is consumed. The reader's memory is at
    /// most six times as much, and a commit larger than a window takes its own size more. 64 KiB
    /// ..= 16 MiB, rounded up to 64 KiB.
    std::uint64_t window_size_bytes = 1ull << 20;
};
static_assert(std::is_trivially_destructible_v<reader_options>);

namespace detail {

/// The one operation of a reader that may be in flight.
class next_operation : public completion<commit_batch> {
protected:
    explicit next_operation(end_function end) noexcept : completion(end) {}
    ~next_operation() = default;
};

void start_next(const std::shared_ptr<log_detail::reader_core>& core,
                next_operation& operation) noexcept;
void cancel_next(const std::shared_ptr<log_detail::reader_core>& core,
                 std::uint64_t ticket) noexcept;
[[nodiscard]] std::uint64_t ticket_of_next(const log_detail::reader_core& core) noexcept;
[[nodiscard]] const net::any_io_executor& home_of(const log_detail::reader_core& core) noexcept;

}  // namespace detail

/// Reads a log from an offset forwards. Obtained from log::reader and log_view::reader.
///
/// Lifetime:      may outlive the log or view it came from (its operations then fail with
/// errc::closed), not the engine. Thread safety: one thread at a time; one operation at a time
/// (asserted).
class log_reader {
public:
    using executor_type = net::any_io_executor;
    using default_token = net::deferred_t;

    log_reader() noexcept = default;
    /// For the library: log::reader and log_view::reader make readers.
    explicit log_reader(std::shared_ptr<log_detail::reader_core> core) noexcept
        : core_(std::move(core)) {}
    log_reader(log_reader&&) noexcept = default;
    log_reader& operator=(log_reader&& other) noexcept;
    log_reader(const log_reader&) = delete;
    log_reader& operator=(const log_reader&) = delete;
    /// An operation in flight completes with operation_aborted; reads in flight end in the
    /// background.
    ~log_reader();

    [[nodiscard]] executor_type get_executor() const noexcept { return detail::home_of(*core_); }

    /// The next commit's records, or an empty batch when the readable end was reached for now.
    ///
    /// Shape:        invalidates the batch of the previous call.
    /// Ordering:     every record once, in order of offsets, without gaps. A reader of an open log
    ///               sees what is durable (local); one of a log_view also what a crash may still
    ///               take back (see log_view::proven_durable_end).
    /// Errors:       errc::offset_out_of_range (below the log's begin – a purge passed the reader –
    ///               or above its end); errc::damaged and the other members of condition::corrupt,
    ///               errc::{unreadable, segment_missing, segment_gap, segment_overlap};
    ///               errc::closed; errors of the system. failure_cause() names the place. Nothing
    ///               is skipped: the next call tries the same place again.
    /// Cancellation: total, at any moment, without loss: the records come with the next call.
    /// Executor:     any thread; completes on the handler's associated executor, never inline.
    template <net::completion_token_for<void(result<commit_batch>)> Token = default_token>
    auto async_next(Token&& token = Token()) {
        return net::async_initiate<Token, void(result<commit_batch>)>(initiate_next{core_}, token);
    }

    /// What the last operation that failed found, and where. For the thread that got its
    /// completion.
    [[nodiscard]] const std::optional<failure>& failure_cause() const noexcept;

private:
    struct cancel_next {
        std::shared_ptr<log_detail::reader_core> core;
        std::uint64_t ticket;
        void operator()(net::cancellation_type what) const noexcept {
            if (what != net::cancellation_type::none) {
                detail::cancel_next(core, ticket);
            }
        }
    };

    struct initiate_next {
        using executor_type = net::any_io_executor;
        std::shared_ptr<log_detail::reader_core> core;
        [[nodiscard]] executor_type get_executor() const noexcept { return detail::home_of(*core); }
        template <class Handler>
        void operator()(Handler&& handler) const {
            using operation =
                detail::pending<commit_batch, detail::next_operation, std::decay_t<Handler>>;
            auto slot = net::get_associated_cancellation_slot(handler);
            detail::next_operation& next =
                *operation::create(std::forward<Handler>(handler), detail::home_of(*core));
            if (slot.is_connected()) {
                slot.template emplace<cancel_next>(
                    cancel_next{core, detail::ticket_of_next(*core)});
            }
            detail::start_next(core, next);
        }
    };

    std::shared_ptr<log_detail::reader_core> core_;
};

}  // namespace caisson
