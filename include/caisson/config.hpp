#pragma once
// The name of Asio in this library, the oldest Boost it takes, and a guard: a program compiled with
// another Asio, or with switches that change the layout of Asio's types, does not link instead of
// failing at run time. Knows nothing about logs.

#include <boost/asio/detail/config.hpp>
#include <boost/asio/version.hpp>
#include <boost/version.hpp>

#if BOOST_VERSION < 108100
#error "Caisson needs Boost 1.81 or newer"
#endif

namespace boost::asio {}

namespace caisson {
namespace net = boost::asio;
}

// The switches below are the ones that change a type the library shares with the program that
// embeds it. To use one of them, build both with it (for the library: -Dcpp_args=-DBOOST_ASIO_...).
#if defined(BOOST_ASIO_HAS_IO_URING)
#define CAISSON_DETAIL_ASIO_URING uring
#else
#define CAISSON_DETAIL_ASIO_URING nouring
#endif
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#define CAISSON_DETAIL_ASIO_REACTOR viauring
#elif defined(BOOST_ASIO_HAS_EPOLL)
#define CAISSON_DETAIL_ASIO_REACTOR epoll
#else
#define CAISSON_DETAIL_ASIO_REACTOR select
#endif
#if defined(BOOST_ASIO_HAS_THREADS)
#define CAISSON_DETAIL_ASIO_THREADS threads
#else
#define CAISSON_DETAIL_ASIO_THREADS nothreads
#endif
#if defined(BOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT)
#define CAISSON_DETAIL_ASIO_EXECUTOR ts
#else
#define CAISSON_DETAIL_ASIO_EXECUTOR std
#endif
#if defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING)
#define CAISSON_DETAIL_ASIO_TRACKING tracking
#else
#define CAISSON_DETAIL_ASIO_TRACKING notracking
#endif
#if defined(BOOST_ASIO_ENABLE_BUFFER_DEBUGGING)
#define CAISSON_DETAIL_ASIO_BUFFERS checkedbuffers
#else
#define CAISSON_DETAIL_ASIO_BUFFERS buffers
#endif

#define CAISSON_DETAIL_JOIN(a, b, c, d, e, f, g, h) a##_##b##_##c##_##d##_##e##_##f##_##g##_##h
#define CAISSON_DETAIL_JOIN_EXPANDED(...) CAISSON_DETAIL_JOIN(__VA_ARGS__)
/// A name such as `built_with_asio_102600_nouring_epoll_threads_std_notracking_buffers`.
#define CAISSON_ASIO_TAG                                                                         \
    CAISSON_DETAIL_JOIN_EXPANDED(built_with_asio, BOOST_ASIO_VERSION, CAISSON_DETAIL_ASIO_URING, \
                                 CAISSON_DETAIL_ASIO_REACTOR, CAISSON_DETAIL_ASIO_THREADS,       \
                                 CAISSON_DETAIL_ASIO_EXECUTOR, CAISSON_DETAIL_ASIO_TRACKING,     \
                                 CAISSON_DETAIL_ASIO_BUFFERS)

namespace caisson::abi {

/// Defined in the library for the Asio that the library was built with, and for no other.
extern const char CAISSON_ASIO_TAG;

namespace {
// Internal and `used`: every object file that includes a Caisson header refers to the symbol,
// whatever it calls.
[[gnu::used]] const char* const required_asio = &CAISSON_ASIO_TAG;
}  // namespace

}  // namespace caisson::abi
