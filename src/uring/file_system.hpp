#pragma once
// What a file system can and cannot do, asked of the kernel once when a directory is opened.

#include "io/disk.hpp"

namespace caisson::uring {

/// Traits of the file system that the open directory `directory_descriptor` lies on. Blocks; never
/// fails: what cannot be found out has the cautious default.
io::file_system_traits read_traits(int directory_descriptor);

}  // namespace caisson::uring
