#pragma once
// environment: the world an engine lives in. One per engine; outlives everything built on it.

#include <caisson/config.hpp>

#include "async/home_thread.hpp"
#include "io/clock.hpp"
#include "io/disk.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace spdlog {
class logger;
}

namespace caisson::io {

/// The home executor and the seams. State of an engine is touched only by handlers that run on
/// `home`, which is one thread. `logger` may be null: silent.
struct environment {
    /// Guarded, unless it is simulated: what is posted here runs on `thread` or not at all.
    net::any_io_executor home;
    /// The same as its owner gave it, and knows it: where operations arrive, and where handlers
    /// without an executor of their own run.
    net::any_io_executor given_home;
    std::shared_ptr<async::home_thread> thread;
    io::disk& disk;
    io::clock& clock;
    io::random& random;
    std::shared_ptr<spdlog::logger> logger;
    /// Its engine has begun to close: what only waits for somebody else gives up.
    bool is_closing = false;
};

}  // namespace caisson::io
