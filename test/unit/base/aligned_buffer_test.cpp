// Aligned buffers: alignment, ownership, and a failed allocation as a value.

#include "base/aligned_buffer.hpp"

#include "support/aborting.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

namespace caisson {
namespace {

/// Whether the mapping that holds `where` has this flag in /proc/self/smaps (proc_pid_smaps(5)).
bool has_flag_of_mapping(const std::byte* where, const std::string& flag) {
    const auto wanted = reinterpret_cast<std::uintptr_t>(where);
    std::ifstream mappings("/proc/self/smaps");
    bool is_it = false;
    for (std::string line; std::getline(mappings, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
            is_it = begin <= wanted && wanted < end;
        } else if (is_it && line.starts_with("VmFlags:")) {
            return (line + ' ').find(' ' + flag + ' ') != std::string::npos;
        }
    }
    FAIL("no mapping holds the address");
    return false;
}

TEST_CASE("a buffer has the length and alignment that were asked for", "[base]") {
    for (const std::size_t alignment_bytes : {16U, 512U, 4096U, 65536U}) {
        for (const std::size_t size_bytes : {1U, 511U, 4096U, 100'001U}) {
            auto buffer = aligned_buffer::allocate(size_bytes, alignment_bytes);
            REQUIRE(buffer);
            CHECK(buffer.bytes().size() == size_bytes);
            CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % alignment_bytes == 0);
            // under AddressSanitizer: all of it is ours
            std::ranges::fill(buffer.bytes(), std::byte{0x5a});
        }
    }
}

TEST_CASE("a zeroed buffer holds zeros", "[base]") {
    // The first block dirties memory that the second is likely to get back.
    {
        auto dirty = aligned_buffer::allocate(8192, 4096);
        std::ranges::fill(dirty.bytes(), std::byte{0xff});
    }
    const auto buffer = aligned_buffer::allocate(8192, 4096, aligned_buffer::fill::zeroed);
    CHECK(std::ranges::all_of(buffer.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("a block of whole huge pages is advised to be backed by them", "[base]") {
    if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
        SKIP("this kernel has no transparent huge pages");
    }
    constexpr std::size_t huge = aligned_buffer::huge_page_bytes;
    const auto buffer = aligned_buffer::allocate(2 * huge, huge);
    REQUIRE(buffer);
    CHECK(has_flag_of_mapping(buffer.data(), "hg"));
    CHECK(has_flag_of_mapping(buffer.data() + 2 * huge - 1, "hg"));
    const auto ordinary = aligned_buffer::allocate(4096, 4096);
    CHECK_FALSE(has_flag_of_mapping(ordinary.data(), "hg"));
}

TEST_CASE("memory that cannot be had gives an empty buffer", "[base]") {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    CHECK_FALSE(aligned_buffer::allocate(most, 4096));  // would wrap around when rounded up
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
    // the sanitizers' allocators abort instead
    CHECK_FALSE(aligned_buffer::allocate(most / 4, 4096));
#endif
}

TEST_CASE("moving a buffer leaves an empty one behind", "[base]") {
    auto first = aligned_buffer::allocate(4096, 512);
    const auto* where = first.data();
    aligned_buffer second = std::move(first);
    CHECK_FALSE(first);
    CHECK(first.size_bytes() == 0);
    CHECK(second.data() == where);

    aligned_buffer third = aligned_buffer::allocate(512, 512);
    third = std::move(second);
    CHECK_FALSE(second);
    CHECK(third.data() == where);
    CHECK(third.size_bytes() == 4096);
    auto& same = third;
    third = std::move(same);
    CHECK(third.data() == where);
}

TEST_CASE("an alignment that is no power of two is our mistake", "[base]") {
    const auto end = test::run_to_its_end([] { (void)aligned_buffer::allocate(4096, 4095); });
    CHECK(end.aborted);
}

}  // namespace
}  // namespace caisson
