// Traits from statfs (which file system), statx (alignment of direct I/O, by an unnamed temporary
// file) and sysfs (the device's physical sector). The magic numbers are the kernel's ABI;
// linux/magic.h lacks some of them.

#include "uring/file_system.hpp"

#include "uring/system_calls.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace caisson::uring {

namespace {

struct known_file_system {
    std::uint32_t magic;
    const char* name;
    bool keeps_data;
    bool copies_on_write;
};

// keeps_data is false where memory is all there is, and where fsync or flock depend on a server or
// program that nobody here can vouch for. An overlay passes both on to the file system below it.
constexpr std::array known_file_systems{
    known_file_system{0x0000ef53, "ext4", true, false},  // also ext2 and ext3
    known_file_system{0x58465342, "xfs", true, false},
    known_file_system{0x9123683e, "btrfs", true, true},
    known_file_system{0x2fc12fc1, "zfs", true, true},
    known_file_system{0xca451a4e, "bcachefs", true, true},
    known_file_system{0xf2f52010, "f2fs", true, false},
    known_file_system{0x3153464a, "jfs", true, false},
    known_file_system{0x794c7630, "overlay", true, false},
    known_file_system{0x01021994, "tmpfs", false, false},
    known_file_system{0x858458f6, "ramfs", false, false},
    known_file_system{0x00006969, "nfs", false, false},
    known_file_system{0x01021997, "9p", false, false},
    known_file_system{0xff534d42, "cifs", false, false},
    known_file_system{0xfe534d42, "smb2", false, false},
    known_file_system{0x0000517b, "smb", false, false},
    known_file_system{0x65735546, "fuse", false, false},
    known_file_system{0x00c36400, "ceph", false, false},
    known_file_system{0x6a656a63, "virtiofs", false, false},
};

constexpr std::uint32_t block_bytes_min = 4096;
/// Larger reports are taken for nonsense (stripe widths of RAID controllers turn up here).
constexpr std::uint32_t block_bytes_max = 64 * 1024;

std::uint32_t plausible_block(std::uint64_t reported_bytes) noexcept {
    const bool is_plausible =
        std::has_single_bit(reported_bytes) && reported_bytes <= block_bytes_max;
    return is_plausible ? static_cast<std::uint32_t>(reported_bytes) : 0;
}

/// Of the device with this number, or 0: no device behind it (btrfs, overlay), or sysfs is not
/// there.
std::uint32_t physical_sector_bytes(dev_t device) {
    const std::string base =
        "/sys/dev/block/" + std::to_string(major(device)) + ":" + std::to_string(minor(device));
    // A partition's queue is its disk's.
    for (const char* const queue :
         {"/queue/physical_block_size", "/../queue/physical_block_size"}) {
        std::ifstream file(base + queue);
        std::uint64_t bytes = 0;
        if (file >> bytes) {
            return plausible_block(bytes);
        }
    }
    return 0;
}

/// What direct I/O asks for by statx, or 0 where the kernel or the file system does not say.
std::uint32_t direct_alignment_bytes([[maybe_unused]] int descriptor) {
#if defined(STATX_DIOALIGN)
    struct statx status{};
    if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN) != 0) {
        return std::max(plausible_block(status.stx_dio_mem_align),
                        plausible_block(status.stx_dio_offset_align));
    }
#endif
    return 0;
}

/// Tries direct I/O on an unnamed file, so that a read-only or foreign directory is not written to.
void probe_direct(int directory_descriptor, io::file_system_traits& traits) {
    const int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    if (const descriptor direct(::openat(directory_descriptor, ".", flags | O_DIRECT, 0600));
        direct) {
        traits.block_size_bytes =
            std::max(traits.block_size_bytes, direct_alignment_bytes(direct.number()));
        return;
    }
    // EINVAL is also the answer of kernels to O_TMPFILE itself, so only an open that works without
    // is proof.
    if (errno == EINVAL && descriptor(::openat(directory_descriptor, ".", flags, 0600))) {
        traits.supports_direct = false;
    }
}

}  // namespace

io::file_system_traits read_traits(int directory_descriptor) {
    io::file_system_traits traits;
    traits.block_size_bytes = block_bytes_min;

    struct statfs system{};
    if (::fstatfs(directory_descriptor, &system) == 0) {
        const auto magic = static_cast<std::uint32_t>(system.f_type);
        const auto* const known =
            std::ranges::find(known_file_systems, magic, &known_file_system::magic);
        if (known != known_file_systems.end()) {
            traits.name = known->name;
            traits.keeps_data = known->keeps_data;
            traits.copies_on_write = known->copies_on_write;
        } else {
            std::array<char, 16> text{};
            std::snprintf(text.data(), text.size(), "0x%x", magic);
            traits.name = text.data();
        }
    } else {
        traits.name = "unknown";
        traits.keeps_data = false;
    }

    struct stat status{};
    if (::fstat(directory_descriptor, &status) == 0) {
        traits.block_size_bytes =
            std::max(traits.block_size_bytes, physical_sector_bytes(status.st_dev));
    }
    probe_direct(directory_descriptor, traits);
    return traits;
}

}  // namespace caisson::uring
