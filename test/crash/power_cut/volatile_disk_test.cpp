// The fault disk's model without FUSE: what a flush keeps, what a power cut takes, which commands
// are refused. Knows nothing about file systems or logs. Read docs/reliability.md, "Power cuts on
// real file systems".

#include "control.hpp"
#include "volatile_disk.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

using namespace caisson::power_cut;

namespace {

constexpr std::uint64_t sectors_of_disk = 1024;

/// A disk over memory, with verbs in whole sectors of one repeated byte.
class fixture {
public:
    fixture() { REQUIRE(::ftruncate(medium_, static_cast<off_t>(disk.capacity_bytes())) == 0); }
    fixture(const fixture&) = delete;
    fixture& operator=(const fixture&) = delete;
    ~fixture() { ::close(medium_); }

    int fill(std::uint64_t sector, std::size_t sectors, std::uint8_t value) {
        const std::vector<std::byte> bytes(sectors * sector_bytes, std::byte{value});
        return disk.write(sector * sector_bytes, bytes);
    }

    /// The value of a sector, all of whose bytes must be equal; -1 when the read fails.
    int value_of(std::uint64_t sector) {
        std::vector<std::byte> bytes(sector_bytes, std::byte{0xee});
        if (disk.read(sector * sector_bytes, bytes) != 0) {
            return -1;
        }
        REQUIRE(bytes == std::vector<std::byte>(sector_bytes, bytes[0]));
        return std::to_integer<int>(bytes[0]);
    }

    std::uint64_t count(int value) {
        std::uint64_t found = 0;
        for (std::uint64_t sector = 0; sector < sectors_of_disk; ++sector) {
            found += value_of(sector) == value ? 1U : 0U;
        }
        return found;
    }

    void cut_power(std::uint64_t seed, std::uint64_t keep_percent) {
        REQUIRE(disk.cut_power(seed, keep_percent) == 0);
        disk.restore_power();
    }

private:
    int medium_ = ::memfd_create("medium", MFD_CLOEXEC);

public:
    volatile_disk disk{medium_, sectors_of_disk* sector_bytes, 1};
};

}  // namespace

TEST_CASE("a power cut that keeps nothing takes exactly what was not flushed", "[power_cut]") {
    fixture on;
    REQUIRE(on.fill(0, 8, 1) == 0);
    REQUIRE(on.disk.flush() == 0);
    REQUIRE(on.fill(4, 8, 2) == 0);
    CHECK(on.value_of(3) == 1);
    CHECK(on.value_of(4) == 2);

    on.cut_power(7, 0);

    CHECK(on.count(1) == 8);
    CHECK(on.count(2) == 0);
    CHECK(on.disk.statistics().sectors_dropped == 8);
}

TEST_CASE("a power cut keeps the given share, torn inside writes, and the same for the same seed",
          "[power_cut]") {
    std::vector<int> kept_by_seed_7;
    for (const std::uint64_t seed : {7U, 7U, 8U}) {
        fixture on;
        REQUIRE(on.fill(0, sectors_of_disk, 1) == 0);
        on.cut_power(seed, 50);
        CHECK(on.count(1) > sectors_of_disk * 4 / 10);
        CHECK(on.count(1) < sectors_of_disk * 6 / 10);
        CHECK(on.disk.statistics().sectors_kept == on.count(1));
        std::vector<int> kept;
        for (std::uint64_t sector = 0; sector < sectors_of_disk; ++sector) {
            kept.push_back(on.value_of(sector));
        }
        if (kept_by_seed_7.empty()) {
            kept_by_seed_7 = kept;
        }
        CHECK((kept == kept_by_seed_7) == (seed == 7));
    }
}

TEST_CASE("with blocks of several sectors a power cut tears between blocks only", "[power_cut]") {
    fixture on;
    on.disk.tear_between_blocks_of(8);
    on.disk.evict(50);
    REQUIRE(on.fill(0, sectors_of_disk, 1) == 0);
    REQUIRE(on.fill(0, sectors_of_disk, 2) == 0);
    on.cut_power(7, 50);
    CHECK(on.count(0) > 0);
    CHECK(on.count(1) > 0);
    CHECK(on.count(2) > 0);
    for (std::uint64_t sector = 0; sector < sectors_of_disk; ++sector) {
        CHECK(on.value_of(sector) == on.value_of(sector / 8 * 8));
    }
}

TEST_CASE("a power cut that keeps everything loses nothing", "[power_cut]") {
    fixture on;
    REQUIRE(on.fill(0, sectors_of_disk, 1) == 0);
    on.cut_power(7, 100);
    CHECK(on.count(1) == sectors_of_disk);
}

TEST_CASE("a flush writes runs and single sectors to their own places", "[power_cut]") {
    fixture on;
    REQUIRE(on.fill(0, 600, 1) == 0);  // more than one system call takes
    REQUIRE(on.fill(700, 1, 2) == 0);
    REQUIRE(on.fill(702, 2, 3) == 0);
    REQUIRE(on.disk.flush() == 0);
    CHECK(on.disk.statistics().sectors_unflushed == 0);
    on.cut_power(7, 0);
    CHECK(on.count(1) == 600);
    CHECK(on.value_of(700) == 2);
    CHECK(on.value_of(701) == 0);
    CHECK(on.value_of(703) == 3);
}

TEST_CASE(
    "without power every operation fails, and power restores them without the faults set before",
    "[power_cut]") {
    fixture on;
    on.disk.lie(true);
    on.disk.fail_next(disk_operation::write, 5, {});
    REQUIRE(on.disk.cut_power(7, 0) == 0);
    CHECK(on.fill(0, 1, 1) == -EIO);
    CHECK(on.value_of(0) == -1);
    CHECK(on.disk.flush() == -EIO);
    CHECK_FALSE(on.disk.statistics().is_powered);

    on.disk.restore_power();

    REQUIRE(on.fill(0, 1, 1) == 0);
    REQUIRE(on.disk.flush() == 0);
    on.cut_power(7, 0);
    CHECK(on.value_of(0) == 1);
}

TEST_CASE("a lying disk acknowledges a flush and loses the data", "[power_cut]") {
    fixture on;
    on.disk.lie(true);
    REQUIRE(on.fill(0, 8, 1) == 0);
    REQUIRE(on.disk.flush() == 0);
    on.cut_power(7, 0);
    CHECK(on.count(1) == 0);
}

TEST_CASE("injected errors hit the given kind, range and count only", "[power_cut]") {
    fixture on;
    on.disk.fail_next(disk_operation::write, 2, {10, 12});
    CHECK(on.fill(9, 1, 1) == 0);
    CHECK(on.fill(12, 1, 1) == 0);
    CHECK(on.value_of(10) == 0);
    CHECK(on.fill(9, 2, 2) == -EIO);
    CHECK(on.value_of(9) == 1);
    CHECK(on.fill(11, 1, 2) == -EIO);
    CHECK(on.fill(11, 1, 2) == 0);
    CHECK(on.disk.statistics().errors_injected == 2);

    on.disk.fail_next(disk_operation::flush, 1, {});
    CHECK(on.disk.flush() == -EIO);
    CHECK(on.disk.flush() == 0);
}

TEST_CASE("an evicted version lies on the medium between the flushed and the newest one",
          "[power_cut]") {
    fixture on;
    on.disk.evict(100);
    REQUIRE(on.fill(0, 8, 1) == 0);
    REQUIRE(on.fill(0, 8, 2) == 0);
    CHECK(on.count(2) == 8);
    on.cut_power(7, 0);
    CHECK(on.count(1) == 8);
}

TEST_CASE("writes of half sectors are refused", "[power_cut]") {
    fixture on;
    const std::vector<std::byte> half(sector_bytes / 2);
    CHECK(on.disk.write(0, half) == -EINVAL);
    const std::vector<std::byte> whole(sector_bytes);
    CHECK(on.disk.write(sector_bytes / 2, whole) == -EINVAL);
}

TEST_CASE("reads may begin and end inside a sector", "[power_cut]") {
    fixture on;
    REQUIRE(on.fill(1, 1, 1) == 0);
    std::vector<std::byte> bytes(sector_bytes * 2);
    REQUIRE(on.disk.read(sector_bytes / 2, bytes) == 0);
    CHECK(bytes[sector_bytes / 2 - 1] == std::byte{0});
    CHECK(bytes[sector_bytes / 2] == std::byte{1});
    CHECK(bytes[sector_bytes * 3 / 2 - 1] == std::byte{1});
    CHECK(bytes[sector_bytes * 3 / 2] == std::byte{0});
}

TEST_CASE("the control file's commands reach the disk", "[power_cut]") {
    fixture on;
    REQUIRE(run_command(on.disk, "eio write 1 0 4\n") == 0);
    CHECK(on.fill(3, 1, 1) == -EIO);
    REQUIRE(run_command(on.disk, "evict 100\n") == 0);
    REQUIRE(on.fill(0, 1, 1) == 0);
    REQUIRE(on.fill(0, 1, 2) == 0);
    REQUIRE(run_command(on.disk, "delay read 1") == 0);
    CHECK(on.value_of(0) == 2);
    REQUIRE(run_command(on.disk, "lie on") == 0);
    REQUIRE(on.disk.flush() == 0);
    CHECK(on.disk.statistics().sectors_unflushed == 1);
    REQUIRE(run_command(on.disk, "lie off") == 0);
    REQUIRE(on.disk.flush() == 0);
    CHECK(on.disk.statistics().sectors_unflushed == 0);
    REQUIRE(run_command(on.disk, "block 8") == 0);
    REQUIRE(run_command(on.disk, "crash 42 50\n") == 0);
    CHECK(describe(on.disk.statistics()).find("is_powered 0\n") != std::string::npos);
    REQUIRE(run_command(on.disk, "power on\n") == 0);
    CHECK(describe(on.disk.statistics()).find("power_cuts 1\n") != std::string::npos);
    CHECK(on.disk.statistics().is_powered);
}

TEST_CASE("what is no command is refused", "[power_cut]") {
    fixture on;
    for (const char* line : {"",
                             "\n",
                             "explode",
                             "crash",
                             "crash 1",
                             "crash x 50",
                             "crash 1 101",
                             "crash 1 50 2",
                             "power",
                             "power off",
                             "eio write",
                             "eio writes 1",
                             "eio write -1",
                             "eio write 1 2",
                             "delay read",
                             "delay read 1us",
                             "delay reads 1",
                             "block",
                             "block 0",
                             "lie",
                             "lie 1",
                             "evict",
                             "evict 101"}) {
        CAPTURE(line);
        CHECK(run_command(on.disk, line) == -EINVAL);
    }
    CHECK(on.disk.statistics().is_powered);
}
