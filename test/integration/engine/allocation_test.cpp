// Counts heap allocations between two moments of a steady run: the append path makes none beyond
// what the handler's allocator serves. The counting operator new is this program's own, so the test
// lives in a program of its own.

#include "support/temp_directory.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace {
std::uint64_t allocations = 0;
}

// NOLINTBEGIN: replacements of the global functions
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
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
        }
    }

    log* into;
    std::uint64_t* left;
    std::uint64_t* active;
    handler_memory& memory;
    std::string record;
};

std::uint64_t allocations_of(net::io_context& context, log& into, handler_memory& memory,
                             std::uint64_t appends) {
    std::uint64_t left = appends;
    std::uint64_t active = 0;
    std::array<writer, 8> writers = {writer{&into, &left, &active, memory, std::string(100, 'a')},
                                     writer{&into, &left, &active, memory, std::string(100, 'b')},
                                     writer{&into, &left, &active, memory, std::string(100, 'c')},
                                     writer{&into, &left, &active, memory, std::string(100, 'd')},
                                     writer{&into, &left, &active, memory, std::string(100, 'e')},
                                     writer{&into, &left, &active, memory, std::string(100, 'f')},
                                     writer{&into, &left, &active, memory, std::string(100, 'g')},
                                     writer{&into, &left, &active, memory, std::string(100, 'h')}};
    const std::uint64_t before = allocations;
    for (writer& each : writers) {
        each.start();
    }
    context.restart();
    while (active > 0 && context.run_one() > 0) {
    }
    return allocations - before;
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
    (void)allocations_of(context, into, *memory, 5'000);  // warms pools and prepared space up
    const std::uint64_t few = allocations_of(context, into, *memory, 200);
    const std::uint64_t many = allocations_of(context, into, *memory, 2'200);
    // Preparation of space and the offset index go on in the background and allocate per megabyte,
    // not per append.
    CAPTURE(few, many);
    CHECK(many < few + 100);
    bool is_closed = false;
    mine.async_close([&](result<void> outcome) { is_closed = outcome.has_value(); });
    context.restart();
    context.run();
    CHECK(is_closed);
}
