// What an engine says about the ring it got: once in the log, and to whoever asks.

#include <caisson/engine.hpp>

#include "engine/engine_core.hpp"
#include "integration/engine/forwarding_port.hpp"
#include "support/temp_directory.hpp"
#include "uring/kernel_port.hpp"
#include "uring/real_world.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

using namespace caisson;

namespace {

/// A kernel that takes no file into its table.
class port_without_files final : public test::forwarding_port {
public:
    using forwarding_port::forwarding_port;
    int update_file(unsigned, int) noexcept override { return -EMFILE; }
};

/// What was said to the logger.
struct spoken {
    spoken() {
        options.logger = std::make_shared<spdlog::logger>(
            "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    }
    [[nodiscard]] bool has(const std::string& part) const {
        return text.str().find(part) != std::string::npos;
    }
    std::ostringstream text;
    engine_options options;
};

}  // namespace

TEST_CASE("an engine logs what it agreed on with the kernel, and says it when asked",
          "[engine][uring]") {
    spoken heard;
    net::io_context context(1);
    const engine here = std::move(engine::on(context, heard.options)).value();
    CHECK(here.describe().find("CQSIZE") != std::string::npos);
    CHECK(heard.has(here.describe()));
    CHECK(heard.has("info"));
    CHECK_FALSE(heard.has("warning"));
}

TEST_CASE("a lock that the ring does not hold is a warning and in the engine's description",
          "[engine][uring][threads]") {
    const test::temp_directory where;
    spoken heard;
    auto home = engine_detail::make_thread_home(
        [&](net::io_context& context) -> detailed<std::unique_ptr<uring::real_world>> {
            BOOST_OUTCOME_TRY(auto kernel, uring::make_kernel_port(uring::kernel_port_options()));
            uring::real_world_options options;
            options.logger = heard.options.logger;
            return uring::real_world::create_on(
                context, std::make_unique<port_without_files>(std::move(kernel)), options);
        });
    REQUIRE(home);
    engine mine = engine_detail::engine_core::make(std::move(home).value(), heard.options);
    CHECK(mine.describe().find("not registered") == std::string::npos);
    auto opened = mine.async_open(where.log(), log_options(), net::use_future).get();
    REQUIRE(opened);
    // It works all the same; only a killed process is worse off.
    const std::string record = "a record";
    CHECK(opened.value().async_append(net::buffer(record), net::use_future).get());
    CHECK(mine.describe().find("1 lock(s) not registered") != std::string::npos);
    CHECK(heard.has("warning"));
    CHECK(heard.has("lock of a log is not registered"));
    REQUIRE(opened.value().async_close(net::use_future).get());
    REQUIRE(mine.async_close(net::use_future).get());
}
