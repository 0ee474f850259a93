#pragma once
// The text commands of the fault disk's `control` file, and the statistics that reading it returns.
// Knows nothing about FUSE. Read docs/reliability.md, "Power cuts on real file systems".
//
//   crash SEED KEEP_PERCENT        cut the power; each unflushed sector survives this often
//   block SECTORS                  tear writes only between aligned blocks of so many sectors
//   power on                       restore it; the cache is empty and no fault is set
//   eio KIND COUNT [BEGIN END]     fail the next COUNT operations on sectors [BEGIN, END);
//                                  KIND = read | write | flush
//   delay KIND MICROSECONDS
//   lie on | off                   acknowledge flushes without doing them
//   evict PERCENT                  overwritten unflushed sectors that had reached the medium

#include <string>
#include <string_view>

namespace caisson::power_cut {

class volatile_disk;
struct disk_statistics;

/// Runs one command line, which is done when this returns: 0, -EINVAL for what is no command, or
/// the disk's error.
int run_command(volatile_disk& disk, std::string_view line);

/// One `name value` a line.
std::string describe(const disk_statistics& statistics);

}  // namespace caisson::power_cut
