// Counts heap allocations between two moments of a steady run: the append path makes none beyond
// what the handler's allocator serves. The counting heap is this program's own, so the test lives
// in a program of its own.

#include "support/temp_directory.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {
std::atomic<std::uint64_t> allocations = 0;
}

// NOLINTBEGIN: every way to the C library's heap; operator new is one, Asio takes aligned_alloc
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
    ++allocations;
    return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    ++allocations;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** into, std::size_t alignment, std::size_t size) {
    ++allocations;
    *into = __libc_memalign(alignment, size);
    return *into == nullptr ? ENOMEM : 0;
}
}
// NOLINTEND

using namespace caisson;

namespace {

/// A fixed pool of blocks: what a careful handler brings along.
struct handler_memory {
    static constexpr std::size_t block_bytes = 512;
    std::array<std::array<std::byte, block_bytes>, 64> blocks;
    std::array<bool, 64> is_taken{};
};

template <class T>
struct handler_allocator {
    using value_type = T;
    handler_memory* memory;
    explicit handler_allocator(handler_memory& from) noexcept : memory(&from) {}
    template <class U>
    handler_allocator(const handler_allocator<U>& other) noexcept : memory(other.memory) {}
    T* allocate(std::size_t count) {
        for (std::size_t k = 0; k < memory->is_taken.size(); ++k) {
            if (!memory->is_taken[k] && count * sizeof(T) <= handler_memory::block_bytes) {
                memory->is_taken[k] = true;
                return reinterpret_cast<T*>(memory->blocks[k].data());
            }
        }
        throw std::bad_alloc();
    }
    void deallocate(T* at, std::size_t) noexcept {
        for (std::size_t k = 0; k < memory->is_taken.size(); ++k) {
            if (static_cast<void*>(memory->blocks[k].data()) == static_cast<void*>(at)) {
                memory->is_taken[k] = false;
            }
        }
    }
    template <class U>
    bool operator==(const handler_allocator<U>& other) const noexcept {
        return memory == other.memory;
    }
};

/// A writer without coroutines: appends again from its own completion.
struct writer {
    struct completion {
        writer* self;
        using allocator_type = handler_allocator<void*>;
        [[nodiscard]] allocator_type get_allocator() const noexcept {
            return allocator_type(self->memory);
        }
        void operator()(result<append_receipt> outcome) const { self->on_appended(outcome); }
    };

    void start() {
        ++*active;
        into->async_append(net::buffer(record), completion{this});
    }
    void on_appended(const result<append_receipt>& outcome) {
        REQUIRE(outcome);
        --*active;
        if (*left > 0) {
            --*left;
            start();
        } else if (*active == 0) {
            context->stop();
        }
    }

    net::io_context* context;
    log* into;
    std::uint64_t* left;
    std::uint64_t* active;
    handler_memory& memory;
    std::string record;
};

std::uint64_t allocations_of(net::io_context& context, log& into, handler_memory& memory,
                             std::size_t writers_count, std::uint64_t appends) {
    std::uint64_t left = appends;
    std::uint64_t active = 0;
    std::vector<writer> writers;
    for (std::size_t k = 0; k < writers_count; ++k) {
        writers.push_back(writer{&context, &into, &left, &active, memory, std::string(100, 'a')});
    }
    const std::uint64_t before = allocations;
    for (writer& each : writers) {
        each.start();
    }
    context.restart();
    context.run();  // not step by step: Asio keeps memory for handlers until this returns
    return allocations - before;
}

std::uint64_t bytes_moved(const log& of) {
    const log_stats stats = of.stats();
    return stats.bytes_written + stats.zero_bytes_written;
}

}  // namespace

TEST_CASE("a steady append allocates nothing beyond its handler's memory", "[engine][allocation]") {
    // Two runs on a warm log, one ten times as long: what the longer one allocates more comes from
    // the appends.
    const test::temp_directory where;
    net::io_context context(1);
    engine mine = std::move(engine::on(context)).value();
    log into;
    mine.async_open(where.log(), log_options(),
                    [&](result<log> opened) { into = std::move(opened).value(); });
    context.run();
    const auto memory = std::make_unique<handler_memory>();
    for (const std::size_t writers : {1u, 2u, 8u, 48u}) {
        (void)allocations_of(context, into, *memory, writers, 5'000);  // warms everything up
        const std::uint64_t few = allocations_of(context, into, *memory, writers, 200);
        const std::uint64_t before_bytes = bytes_moved(into);
        const std::uint64_t many = allocations_of(context, into, *memory, writers, 10'200);
        const std::uint64_t moved_mib = (bytes_moved(into) - before_bytes) >> 20;
        // Preparation of space and the offset index go on in the background and allocate per
        // megabyte, not per append or group.
        CAPTURE(writers, few, many, moved_mib);
        CHECK(many < few + 100 + 8 * moved_mib);
    }
    bool is_closed = false;
    mine.async_close([&](result<void> outcome) { is_closed = outcome.has_value(); });
    context.restart();
    context.run();
    CHECK(is_closed);
}
