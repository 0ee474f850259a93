// Windows in flight, their order, and the copy that joins two of them.

#include "log/read_ahead.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"
#include "io/transfer.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/errc.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace caisson::log_detail {
namespace {

error_code no_memory() noexcept { return make_error_code(boost::system::errc::not_enough_memory); }

}  // namespace

/// One read that may outlive its owner: memory and file belong to the kernel until it completes.
class read_ahead::read_window final : public io::operation {
public:
    enum class phase : std::uint8_t { idle, in_flight, ready };

    explicit read_window(read_ahead& owner) noexcept
        : operation(&read_window::done), owner_(&owner) {}

    /// Room for `window_size_bytes` and as much in front; false without memory.
    bool prepare(std::uint64_t window_size_bytes, std::uint32_t block_size_bytes) noexcept {
        if (!memory_ || block_size_bytes > alignment_bytes_) {
            alignment_bytes_ = std::max(alignment_bytes_, block_size_bytes);
            data_at_ = window_size_bytes;
            memory_ = aligned_buffer::allocate(static_cast<std::size_t>(2 * window_size_bytes),
                                               alignment_bytes_);
        }
        return static_cast<bool>(memory_);
    }

    void submit(std::shared_ptr<io::file> file, std::uint64_t position_bytes,
                std::uint64_t size_bytes) noexcept {
        CAISSON_ASSERT(state_ != phase::in_flight);
        file_ = std::move(file);
        position_bytes_ = position_bytes;
        wanted_bytes_ = size_bytes;
        filled_bytes_ = 0;
        attempts_ = 0;
        error_ = {};
        is_at_end_ = false;
        state_ = phase::in_flight;
        start();
    }

    [[nodiscard]] phase state() const noexcept { return state_; }
    void release() noexcept {
        state_ = phase::idle;
        file_.reset();
    }
    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] bool is_at_end() const noexcept { return is_at_end_; }
    [[nodiscard]] std::uint64_t position_bytes() const noexcept { return position_bytes_; }
    [[nodiscard]] std::uint64_t wanted_bytes() const noexcept { return wanted_bytes_; }
    [[nodiscard]] std::uint64_t memory_bytes() const noexcept { return memory_.size_bytes(); }

    /// The bytes read, with `before` copied in front of them.
    std::span<const std::byte> joined(std::span<const std::byte> before) noexcept {
        CAISSON_ASSERT(before.size() <= data_at_);
        std::byte* const from = memory_.data() + data_at_ - before.size();
        if (!before.empty()) {
            std::memcpy(from, before.data(), before.size());
        }
        return {from, before.size() + static_cast<std::size_t>(filled_bytes_)};
    }

    /// The owner goes away.
    void disown() noexcept {
        owner_ = nullptr;
        if (state_ != phase::in_flight) {
            delete this;
        }
    }

private:
    ~read_window() = default;

    void start() noexcept {
        const auto into =
            memory_.bytes().subspan(static_cast<std::size_t>(data_at_ + filled_bytes_),
                                    static_cast<std::size_t>(wanted_bytes_ - filled_bytes_));
        file_->start_read(*this, into, position_bytes_ + filled_bytes_);
    }

    static void done(operation& base, std::int64_t outcome) noexcept {
        static_cast<read_window&>(base).complete_read(outcome);
    }

    void complete_read(std::int64_t outcome) noexcept {
        if (owner_ != nullptr && !owner_->is_stopped_ && go_on(outcome)) {
            start();
            return;
        }
        state_ = phase::ready;
        if (owner_ == nullptr) {
            delete this;
        } else if (outcome == abandoned) {
            error_ = net::error::operation_aborted;
            // Destroys the waiting coroutine, which may own all of this: nothing may follow.
            auto waiting = std::exchange(owner_->waiter_, std::nullopt);
        } else {
            owner_->on_window_done();
        }
    }

    /// Whether the read must be continued.
    bool go_on(std::int64_t outcome) noexcept {
        if (outcome == abandoned) {
            return false;
        }
        if ((outcome == -EINTR || outcome == -EAGAIN) && ++attempts_ < io::transfer_attempts_max) {
            return true;
        }
        if (outcome < 0) {
            error_ = io::error_of(outcome);
            return false;
        }
        filled_bytes_ += static_cast<std::uint64_t>(outcome);
        // As in io/await.cpp: through the page cache a short count is no end of the file.
        is_at_end_ =
            outcome == 0 || (file_->is_direct() && filled_bytes_ % file_->block_size_bytes() != 0);
        return !is_at_end_ && filled_bytes_ < wanted_bytes_;
    }

    read_ahead* owner_;
    aligned_buffer memory_;
    std::uint32_t alignment_bytes_ = 4096;
    std::uint64_t data_at_ = 0;
    std::shared_ptr<io::file> file_;
    std::uint64_t position_bytes_ = 0;
    std::uint64_t wanted_bytes_ = 0;
    std::uint64_t filled_bytes_ = 0;
    error_code error_;
    int attempts_ = 0;
    phase state_ = phase::idle;
    bool is_at_end_ = false;
};

void read_ahead::window_release::operator()(read_window* window) const noexcept {
    window->disown();
}

/// A named type: see io/await.cpp.
struct read_ahead::initiate_wait {
    read_ahead* self;
    void operator()(waiter&& handler) const {
        CAISSON_ASSERT(!self->waiter_.has_value());
        self->waiter_.emplace(std::move(handler));
    }
};

read_ahead::read_ahead(io::environment& world, std::uint64_t window_size_bytes) noexcept
    : world_(world), window_size_bytes_(window_size_bytes) {
    CAISSON_ASSERT(window_size_bytes_ > 0);
    CAISSON_ASSERT(window_size_bytes_ % first_read_bytes == 0);
}

read_ahead::~read_ahead() = default;

void read_ahead::start(std::shared_ptr<io::file> file, std::uint64_t position_bytes) {
    file_ = std::move(file);
    for (auto& window : windows_) {
        if (window && window->state() == read_window::phase::in_flight) {
            window.reset();
        }
    }
    careful_until_bytes_ = 0;
    reset(position_bytes);
}

void read_ahead::reset(std::uint64_t position_bytes) noexcept {
    for (auto& window : windows_) {
        if (window && window->state() == read_window::phase::ready) {
            window->release();
        }
    }
    large_ = {};
    front_ = 0;
    queued_ = 0;
    is_front_in_view_ = false;
    is_end_known_ = false;
    windows_taken_ = 0;
    next_size_bytes_ = first_read_bytes;
    next_read_bytes_ = position_bytes;
    window_ = {};
    if (file_) {
        next_read_bytes_ = round_down(position_bytes, file_->block_size_bytes());
    }
    window_.position_bytes = next_read_bytes_;
}

io::task<void> read_ahead::bring(format::byte_need need) {
    CAISSON_ASSERT(file_ != nullptr);
    CAISSON_ASSERT(need.position_bytes >= window_.position_bytes);
    for (;;) {
        if (is_stopped_) {
            co_return net::error::operation_aborted;
        }
        const bool is_covered = window_.covers(need.position_bytes);
        if (is_covered &&
            (window_.is_last || window_.from(need.position_bytes).size() >= need.size_bytes_min)) {
            co_return success();
        }
        if (!is_covered && window_.is_last) {
            // Behind the end of the file: nothing is there.
            window_ = {window_.bytes.last(0), need.position_bytes, true};
            co_return success();
        }
        if (need.size_bytes_min > window_size_bytes_) {
            BOOST_OUTCOME_CO_TRYV(co_await bring_large(need));
        } else {
            BOOST_OUTCOME_CO_TRYV(co_await next_window(need));
        }
    }
}

read_ahead::read_window& read_ahead::queued(std::size_t index) noexcept {
    return *windows_[(front_ + index) % windows_max];
}

bool read_ahead::is_sequential() const noexcept {
    return windows_taken_ >= windows_before_read_ahead;
}

void read_ahead::drop_front() noexcept {
    queued(0).release();
    front_ = (front_ + 1) % windows_max;
    --queued_;
}

// False without memory for even one.
bool read_ahead::submit_reads() {
    const bool is_careful = next_read_bytes_ < careful_until_bytes_;
    const std::size_t depth =
        is_sequential() && !is_careful ? windows_max : (is_front_in_view_ ? 2 : 1);
    CAISSON_ASSERT(depth <= windows_max);
    bool has_submitted = false;
    while (queued_ < depth && !is_end_known_) {
        auto& window = windows_[(front_ + queued_) % windows_max];
        if (!window) {
            window.reset(new (std::nothrow) read_window(*this));
        }
        if (!window || !window->prepare(window_size_bytes_, file_->block_size_bytes())) {
            return queued_ > (is_front_in_view_ ? 1U : 0U);
        }
        const std::uint64_t size_bytes = is_careful ? file_->block_size_bytes() : next_size_bytes_;
        window->submit(file_, next_read_bytes_, size_bytes);
        ++queued_;
        next_read_bytes_ += size_bytes;
        if (!is_careful) {
            next_size_bytes_ = std::min(window_size_bytes_, 4 * next_size_bytes_);
        }
        has_submitted = true;
    }
    if (has_submitted) {
        world_.disk.submit();
    }
    return true;
}

// Replaces the window by what is left of it from need.position_bytes on, followed by the next one
// read.
io::task<void> read_ahead::next_window(format::byte_need need) {
    if (!submit_reads()) {
        co_return no_memory();
    }
    const std::size_t next = is_front_in_view_ ? 1 : 0;
    CAISSON_ASSERT(queued_ > next);
    while (queued(next).state() == read_window::phase::in_flight) {
        co_await wait();
    }
    if (is_stopped_) {
        co_return net::error::operation_aborted;
    }
    read_window& arrived = queued(next);
    if (arrived.error()) {
        const error_code why = arrived.error();
        const std::uint64_t begin_bytes = arrived.position_bytes();
        const std::uint64_t wanted_bytes = arrived.wanted_bytes();
        const std::uint64_t window_begin_bytes = window_.position_bytes;
        co_await settle();
        const std::uint64_t block_bytes = file_->block_size_bytes();
        if (wanted_bytes == block_bytes) {
            unreadable_ = {begin_bytes, block_bytes};
            reset(window_begin_bytes);
            co_return why;
        }
        // Some block of the window cannot be read; deliver what comes before it.
        careful_until_bytes_ = begin_bytes + wanted_bytes;
        reset(std::min(begin_bytes, round_down(need.position_bytes, block_bytes)));
        co_return success();
    }
    const std::uint64_t keep_bytes = std::min(need.position_bytes, window_.end_bytes());
    const auto left = window_.from(keep_bytes);
    window_ = {arrived.joined(left), keep_bytes, arrived.is_at_end()};
    if (is_front_in_view_) {
        drop_front();
    }
    is_front_in_view_ = true;
    is_end_known_ = is_end_known_ || arrived.is_at_end();
    large_ = {};
    ++windows_taken_;
    if (is_sequential()) {
        submit_reads();  // without memory the next call says so
    }
    co_return success();
}

io::task<void> read_ahead::bring_large(format::byte_need need) {
    co_await settle();
    if (is_stopped_) {
        co_return net::error::operation_aborted;
    }
    const std::uint64_t block_bytes = file_->block_size_bytes();
    const std::uint64_t begin_bytes = round_down(need.position_bytes, block_bytes);
    // The file bounds the memory, whatever a length field in it says.
    BOOST_OUTCOME_CO_TRY(auto status, co_await io::status(*file_));
    const std::uint64_t end_bytes =
        std::min(round_up(need.position_bytes + need.size_bytes_min, block_bytes),
                 round_up(std::max(status.length_bytes, begin_bytes), block_bytes) + block_bytes);
    reset(begin_bytes);
    large_ = aligned_buffer::allocate(static_cast<std::size_t>(end_bytes - begin_bytes),
                                      std::max<std::size_t>(block_bytes, 4096));
    if (!large_) {
        co_return no_memory();
    }
    BOOST_OUTCOME_CO_TRY(auto read_bytes, co_await read_carefully(large_.bytes(), begin_bytes));
    if (is_stopped_) {
        co_return net::error::operation_aborted;
    }
    window_ = {std::span<const std::byte>(large_.data(), static_cast<std::size_t>(read_bytes)),
               begin_bytes, read_bytes < large_.size_bytes()};
    is_end_known_ = window_.is_last;
    next_read_bytes_ = end_bytes;
    next_size_bytes_ = window_size_bytes_;
    windows_taken_ = windows_before_read_ahead;
    co_return success();
}

// All of it, or an error with the block in unreadable_.
io::task<std::uint64_t> read_ahead::read_carefully(std::span<std::byte> into,
                                                   std::uint64_t position_bytes) {
    auto whole = co_await io::read(*file_, into, position_bytes);
    if (whole) {
        co_return whole;
    }
    const std::uint64_t block_bytes = file_->block_size_bytes();
    std::uint64_t done_bytes = 0;
    while (done_bytes < into.size() && !is_stopped_) {
        const auto block = into.subspan(static_cast<std::size_t>(done_bytes),
                                        static_cast<std::size_t>(block_bytes));
        auto part = co_await io::read(*file_, block, position_bytes + done_bytes);
        if (!part) {
            unreadable_ = {position_bytes + done_bytes, block_bytes};
            co_return part;
        }
        done_bytes += part.value();
        if (part.value() < block_bytes) {
            break;
        }
    }
    co_return done_bytes;
}

void read_ahead::on_window_done() noexcept {
    if (waiter_) {
        auto waiting = std::move(*waiter_);
        waiter_.reset();
        std::move(waiting)();
    }
}

net::awaitable<void> read_ahead::wait() {
    return net::async_initiate<const net::use_awaitable_t<>, void()>(initiate_wait{this},
                                                                     net::use_awaitable);
}

bool read_ahead::is_in_flight() const noexcept {
    return std::any_of(windows_.begin(), windows_.end(), [](const window_pointer& window) {
        return window && window->state() == read_window::phase::in_flight;
    });
}

void read_ahead::stop() noexcept {
    is_stopped_ = true;
    for (auto& window : windows_) {
        if (window && window->state() == read_window::phase::in_flight) {
            world_.disk.cancel(*window);
        }
    }
}

net::awaitable<void> read_ahead::settle() {
    while (is_in_flight()) {
        co_await wait();
    }
}

std::uint64_t read_ahead::memory_bytes() const noexcept {
    std::uint64_t sum_bytes = large_.size_bytes();
    for (const auto& window : windows_) {
        sum_bytes += window ? window->memory_bytes() : 0;
    }
    return sum_bytes;
}

}  // namespace caisson::log_detail
