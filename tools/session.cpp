// The loop runs until the verb's coroutine and everything the engine started have ended.

#include "tools/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>

namespace caisson::tools {
namespace {

net::awaitable<void> drive(std::string_view verb, const session_work& work, engine& machine,
                           exit_code& outcome) {
    outcome = co_await work(machine);
    const result<void> closed = co_await machine.async_close();
    if (!closed && outcome == exit_code::ok) {
        outcome = fail(verb, "closing", closed.error());
    }
}

}  // namespace

exit_code run_session(std::string_view verb, const session_work& work) {
    net::io_context loop(1);  // one thread runs it: Asio may leave its locks out
    auto made = engine::on(loop);
    if (!made) {
        return fail(verb, {}, made.error().code(), made.error());
    }
    engine& machine = made.value();
    exit_code outcome = exit_code::error;
    net::co_spawn(loop, drive(verb, work, machine, outcome), [](std::exception_ptr thrown) {
        if (thrown) {
            std::rethrow_exception(thrown);
        }
    });
    loop.run();
    return outcome;
}

}  // namespace caisson::tools
