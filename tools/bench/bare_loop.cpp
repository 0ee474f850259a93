// One thread, one ring, one file, nothing between the completion and the next submission. Best of
// what io_uring offers: SINGLE_ISSUER and DEFER_TASKRUN, registered file, registered buffer,
// preallocated and zero-written blocks (the first write to an unwritten extent changes metadata and
// would measure the journal). Its memory is an ordinary program's, or on huge pages, as the log's
// large groups are.

#include "tools/bench/bare_loop.hpp"

#include "base/aligned_buffer.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace caisson::bench {

namespace {

constexpr std::uint32_t block_multiple_bytes = 4096;

std::uint64_t now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// Every latency counted in a bucket at most 1/128 wide: 128 linear steps for each power of two.
class histogram {
public:
    void add(std::uint64_t value_ns) noexcept {
        ++counts_[bucket_of(value_ns)];
        ++count_;
        sum_ns_ += value_ns;
        max_ns_ = std::max(max_ns_, value_ns);
    }
    [[nodiscard]] std::uint64_t percentile_ns(double fraction) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
            seen += counts_[bucket];
            if (seen > wanted) {
                return std::min(upper_ns(bucket), max_ns_);
            }
        }
        return max_ns_;
    }
    [[nodiscard]] std::uint64_t mean_ns() const noexcept {
        return count_ == 0 ? 0 : sum_ns_ / count_;
    }
    [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }

private:
    static constexpr unsigned step_bits = 7;
    static constexpr std::size_t steps = std::size_t{1} << step_bits;

    static std::size_t bucket_of(std::uint64_t value_ns) noexcept {
        if (value_ns < steps) {
            return static_cast<std::size_t>(value_ns);
        }
        const unsigned shift = static_cast<unsigned>(std::bit_width(value_ns)) - step_bits - 1;
        return (shift + 1) * steps + static_cast<std::size_t>((value_ns >> shift) - steps);
    }
    static std::uint64_t upper_ns(std::size_t bucket) noexcept {
        if (bucket < steps) {
            return bucket;
        }
        const std::size_t shift = bucket / steps - 1;
        return ((bucket % steps + steps + 1) << shift) - 1;
    }

    std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((64 - step_bits + 1) * steps);
    std::uint64_t count_ = 0;
    std::uint64_t sum_ns_ = 0;
    std::uint64_t max_ns_ = 0;
};

/// Memory that nobody had before: what the C library gives again may lie on somebody's huge pages.
class fresh_pages {
public:
    fresh_pages() = default;
    fresh_pages(const fresh_pages&) = delete;
    fresh_pages& operator=(const fresh_pages&) = delete;
    ~fresh_pages() {
        if (mapping_ != nullptr) {
            ::munmap(mapping_, mapping_bytes_);
        }
    }
    /// 0, or an errno: also that of a kernel without huge pages that are wanted.
    int map(std::size_t size_bytes, bool huge) {
        constexpr std::size_t huge_page = aligned_buffer::huge_page_bytes;
        mapping_bytes_ = round_up(size_bytes, huge_page) + huge_page;
        void* const mapped = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) {
            return errno;
        }
        mapping_ = mapped;
        std::size_t space_bytes = mapping_bytes_;
        void* first = mapped;
        std::align(huge_page, size_bytes, first, space_bytes);
        bytes_ = {static_cast<std::byte*>(first), size_bytes};
        const int refused = ::madvise(first, round_up(size_bytes, huge_page),
                                      huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        return refused != 0 && huge ? errno : 0;
    }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    void* mapping_ = nullptr;
    std::size_t mapping_bytes_ = 0;
    std::span<std::byte> bytes_;
};

/// The file, unlinked while it is used, so that nothing stays behind when the bench is interrupted.
class region_file {
public:
    ~region_file() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    region_file() = default;
    region_file(const region_file&) = delete;
    region_file& operator=(const region_file&) = delete;

    int prepare(const std::string& directory, std::uint64_t size_bytes) {
        std::string path = directory + "/bare-loop-XXXXXX";
        descriptor_ = ::mkostemp(path.data(), O_CLOEXEC | O_DIRECT);
        if (descriptor_ < 0) {
            return errno;
        }
        ::unlink(path.c_str());
        ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size_bytes));
        constexpr std::size_t step_bytes = std::size_t{1} << 20;
        aligned_buffer zeros = aligned_buffer::allocate(step_bytes, block_multiple_bytes,
                                                        aligned_buffer::fill::zeroed);
        if (!zeros) {
            return ENOMEM;
        }
        for (std::uint64_t at = 0; at < size_bytes;) {
            const std::size_t part =
                static_cast<std::size_t>(std::min<std::uint64_t>(step_bytes, size_bytes - at));
            const ssize_t written =
                ::pwrite(descriptor_, zeros.data(), part, static_cast<off_t>(at));
            if (written <= 0) {
                return written < 0 ? errno : EIO;
            }
            at += static_cast<std::uint64_t>(written);
        }
        return ::fsync(descriptor_) == 0 ? 0 : errno;
    }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_ = -1;
};

class loop {
public:
    loop(const bare_loop_options& options, std::uint32_t block_bytes)
        : block_bytes_(block_bytes),
          depth_(std::clamp(options.iodepth, 1U, 1024U)),
          region_blocks_(std::max<std::uint64_t>(options.region_bytes / block_bytes, depth_)),
          has_huge_pages_(options.huge_pages),
          runtime_ns_(static_cast<std::uint64_t>(options.runtime_seconds * 1e9)),
          started_ns_(depth_) {}
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;
    ~loop() {
        if (has_ring_) {
            ::io_uring_queue_exit(&ring_);
        }
    }

    /// Both: 0 or an errno, with `result.failed_call` telling whose.
    int set_up(const std::string& directory, bare_loop_result& result);
    int run(bare_loop_result& result);

private:
    void queue_write(unsigned slot) noexcept;

    const std::uint32_t block_bytes_;
    const unsigned depth_;
    const std::uint64_t region_blocks_;
    const bool has_huge_pages_;
    const std::uint64_t runtime_ns_;
    std::vector<std::uint64_t> started_ns_;
    io_uring ring_{};
    bool has_ring_ = false;
    bool has_file_slot_ = false;
    bool has_buffer_slot_ = false;
    region_file file_;
    fresh_pages buffers_;
    std::uint64_t next_block_ = 0;
};

int loop::set_up(const std::string& directory, bare_loop_result& result) {
    if (const int failed = buffers_.map(std::size_t{block_bytes_} * depth_, has_huge_pages_);
        failed != 0) {
        return failed;
    }
    std::ranges::fill(buffers_.bytes(), std::byte{0x5a});
    if (const int failed = file_.prepare(directory, region_blocks_ * block_bytes_); failed != 0) {
        return failed;
    }
    const unsigned entries = std::bit_ceil(depth_);
    std::string& flags = result.flags;
    result.failed_call = "io_uring_setup";
    flags = "SINGLE_ISSUER|DEFER_TASKRUN";
    int created = ::io_uring_queue_init(entries, &ring_,
                                        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (created == -EINVAL) {
        flags = "none";
        created = ::io_uring_queue_init(entries, &ring_, 0);
    }
    if (created < 0) {
        return -created;
    }
    has_ring_ = true;
    const int descriptor = file_.descriptor();
    has_file_slot_ = ::io_uring_register_files(&ring_, &descriptor, 1) == 0;
    const iovec memory{buffers_.bytes().data(), buffers_.bytes().size()};
    has_buffer_slot_ = ::io_uring_register_buffers(&ring_, &memory, 1) == 0;
    flags += has_file_slot_ ? ", registered file" : ", plain file";
    flags += has_buffer_slot_ ? ", registered buffer" : ", plain buffer";
    flags += has_huge_pages_ ? " on huge pages" : "";
    result.failed_call = "";
    return 0;
}

void loop::queue_write(unsigned slot) noexcept {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    *entry = io_uring_sqe{};
    entry->opcode = has_buffer_slot_ ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;
    entry->flags = has_file_slot_ ? static_cast<__u8>(IOSQE_FIXED_FILE) : __u8{0};
    entry->fd = has_file_slot_ ? 0 : file_.descriptor();
    entry->addr = reinterpret_cast<std::uintptr_t>(buffers_.bytes().data() +
                                                   std::size_t{slot} * block_bytes_);
    entry->len = block_bytes_;
    entry->off = next_block_ * block_bytes_;
    entry->rw_flags = RWF_DSYNC;
    entry->user_data = slot;
    next_block_ = next_block_ + 1 == region_blocks_ ? 0 : next_block_ + 1;
    started_ns_[slot] = now_ns();
}

int loop::run(bare_loop_result& result) {
    histogram latencies;
    const std::uint64_t begin_ns = now_ns();
    const std::uint64_t end_ns = begin_ns + runtime_ns_;
    std::uint64_t seen_ns = begin_ns;
    unsigned in_flight = 0;
    for (; in_flight < depth_; ++in_flight) {
        queue_write(in_flight);
    }
    while (in_flight > 0) {
        const int submitted = ::io_uring_submit_and_wait(&ring_, 1);
        if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN) {
            result.failed_call = "io_uring_enter";
            return -submitted;
        }
        seen_ns = now_ns();
        unsigned head = 0;
        unsigned taken = 0;
        io_uring_cqe* entry = nullptr;
        std::array<unsigned, 64> done;
        io_uring_for_each_cqe(&ring_, head, entry) {
            if (taken == done.size()) {
                break;
            }
            if (entry->res != static_cast<int>(block_bytes_)) {
                return entry->res < 0 ? -entry->res : EIO;
            }
            done[taken++] = static_cast<unsigned>(entry->user_data);
        }
        ::io_uring_cq_advance(&ring_, taken);
        for (unsigned i = 0; i < taken; ++i) {
            latencies.add(seen_ns - started_ns_[done[i]]);
            ++result.writes;
            if (seen_ns < end_ns) {
                queue_write(done[i]);
            } else {
                --in_flight;
            }
        }
    }
    result.seconds = static_cast<double>(seen_ns - begin_ns) / 1e9;
    result.iops = static_cast<double>(result.writes) / result.seconds;
    result.bandwidth_bytes = result.iops * block_bytes_;
    result.latency_ns_mean = latencies.mean_ns();
    result.latency_ns_p50 = latencies.percentile_ns(0.5);
    result.latency_ns_p99 = latencies.percentile_ns(0.99);
    result.latency_ns_p999 = latencies.percentile_ns(0.999);
    result.latency_ns_max = latencies.max_ns();
    return 0;
}

}  // namespace

bare_loop_result run_bare_loop(const bare_loop_options& options) {
    bare_loop_result result;
    const std::uint32_t blocks = std::max<std::uint32_t>(
        1, (options.block_bytes + block_multiple_bytes - 1) / block_multiple_bytes);
    loop bare(options, blocks * block_multiple_bytes);
    result.error_number = bare.set_up(options.directory, result);
    if (result.error_number == 0) {
        result.error_number = bare.run(result);
    }
    return result;
}

}  // namespace caisson::bench
