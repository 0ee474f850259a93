#pragma once
// Making the parts of a log: STATE that says that there is no segment yet, and a segment that holds
// only its header. In an order in which a crash between any two steps leaves what the next open
// takes for an unfinished creation. Read docs/recovery.md, "Creation".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/types.hpp>

#include "io/clock.hpp"
#include "io/disk.hpp"
#include "log/state_store.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace caisson::log_detail {

struct opened_segment {
    std::unique_ptr<io::file> file;
    std::uint64_t length_bytes = 0;
};

net::awaitable<detailed<opened_segment>> open_segment(io::directory& root, log_offset begin,
                                                      io::open_mode mode);

/// Makes STATE of a new log with a random id. The lock is held.
net::awaitable<detailed<std::unique_ptr<state_store>>> make_state(io::random& random,
                                                                  io::directory& root);

/// Makes the segment that begins at `begin`, header only, durable with its name. One of that name
/// is replaced.
net::awaitable<detailed<void>> make_segment(io::directory& root, log_offset begin);

/// There was no memory for a block.
[[nodiscard]] failure no_memory(std::string path);

}  // namespace caisson::log_detail
