// fault_disk: a FUSE directory with two files, `disk` (a block image that loses its unflushed
// sectors in a power cut) and `control` (commands and statistics). A loop device over `disk`
// carries a real file system, and that a real log. Knows nothing about logs. Read
// docs/reliability.md, "Power cuts on real file systems".

#define FUSE_USE_VERSION 31

#include "control.hpp"
#include "volatile_disk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using caisson::power_cut::describe;
using caisson::power_cut::run_command;
using caisson::power_cut::sector_bytes;
using caisson::power_cut::volatile_disk;

constexpr std::string_view disk_path = "/disk";
constexpr std::string_view control_path = "/control";

volatile_disk& the_disk() { return *static_cast<volatile_disk*>(fuse_get_context()->private_data); }

// Returns the bytes of [position, position + wanted) that exist below `end`.
std::size_t available(std::uint64_t end, std::uint64_t position, std::size_t wanted) {
    return position >= end
               ? 0
               : static_cast<std::size_t>(std::min<std::uint64_t>(wanted, end - position));
}

int get_attributes(const char* path, struct stat* attributes, fuse_file_info*) {
    *attributes = {};
    attributes->st_nlink = 1;
    attributes->st_mode = S_IFREG | 0600;
    if (path == disk_path) {
        attributes->st_size = static_cast<off_t>(the_disk().capacity_bytes());
        attributes->st_blocks = static_cast<blkcnt_t>(the_disk().capacity_bytes() / sector_bytes);
        attributes->st_blksize = 4096;
    } else if (std::string_view(path) == "/") {
        attributes->st_nlink = 2;
        attributes->st_mode = S_IFDIR | 0700;
    } else if (path != control_path) {
        return -ENOENT;
    }
    return 0;
}

int read_directory(const char*, void* listing, fuse_fill_dir_t add, off_t, fuse_file_info*,
                   fuse_readdir_flags) {
    for (const char* name : {".", "..", "disk", "control"}) {
        add(listing, name, nullptr, 0, fuse_fill_dir_flags{});
    }
    return 0;
}

// Direct I/O: a page cache here would hide writes from the volatile cache, and keep reads from
// failing.
int open_file(const char* path, fuse_file_info* file) {
    file->direct_io = 1;
    return path == disk_path || path == control_path ? 0 : -ENOENT;
}

int read_control(char* into, std::size_t bytes, std::uint64_t position_bytes) {
    const std::string text = describe(the_disk().statistics());
    const std::size_t readable = available(text.size(), position_bytes, bytes);
    if (readable > 0) {
        std::memcpy(into, text.data() + position_bytes, readable);
    }
    return static_cast<int>(readable);
}

int read_file(const char* path, char* into, std::size_t bytes, off_t position, fuse_file_info*) {
    const auto position_bytes = static_cast<std::uint64_t>(position);
    if (path == control_path) {
        return read_control(into, bytes, position_bytes);
    }
    const std::size_t readable = available(the_disk().capacity_bytes(), position_bytes, bytes);
    const int error =
        the_disk().read(position_bytes, std::as_writable_bytes(std::span(into, readable)));
    return error != 0 ? error : static_cast<int>(readable);
}

int write_file(const char* path, const char* from, std::size_t bytes, off_t position,
               fuse_file_info*) {
    if (path == control_path) {
        const int error = run_command(the_disk(), std::string_view(from, bytes));
        return error != 0 ? error : static_cast<int>(bytes);
    }
    const auto position_bytes = static_cast<std::uint64_t>(position);
    if (available(the_disk().capacity_bytes(), position_bytes, bytes) != bytes) {
        return -ENOSPC;
    }
    const int error = the_disk().write(position_bytes, std::as_bytes(std::span(from, bytes)));
    return error != 0 ? error : static_cast<int>(bytes);
}

int sync_file(const char* path, int, fuse_file_info*) {
    return path == disk_path ? the_disk().flush() : 0;
}

// A shell's `echo command > control` truncates first; the disk keeps its capacity.
int truncate_file(const char* path, off_t, fuse_file_info*) {
    return path == control_path ? 0 : -EPERM;
}

fuse_operations operations() {
    fuse_operations table{};
    table.getattr = get_attributes;
    table.readdir = read_directory;
    table.open = open_file;
    table.read = read_file;
    table.write = write_file;
    table.fsync = sync_file;
    table.truncate = truncate_file;
    return table;
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 3) {
        std::fprintf(stderr, "usage: fault_disk BACKING_FILE DIRECTORY\n\n"
                             "Serves DIRECTORY/disk and DIRECTORY/control in the foreground until "
                             "it is unmounted.\n");
        return EXIT_FAILURE;
    }
    const int backing_file = ::open(arguments[1], O_RDWR | O_CLOEXEC);
    struct stat attributes{};
    if (backing_file < 0 || ::fstat(backing_file, &attributes) != 0) {
        std::fprintf(stderr, "fault_disk: %s: %s\n", arguments[1], std::strerror(errno));
        return EXIT_FAILURE;
    }
    const std::uint64_t whole_sectors =
        static_cast<std::uint64_t>(attributes.st_size) / sector_bytes;
    volatile_disk disk(backing_file, whole_sectors * sector_bytes, std::random_device{}());

    std::string foreground = "-f";
    std::array<char*, 3> fuse_arguments{arguments[0], foreground.data(), arguments[2]};
    const fuse_operations table = operations();
    return fuse_main(static_cast<int>(fuse_arguments.size()), fuse_arguments.data(), &table, &disk);
}
