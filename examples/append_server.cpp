// A TCP server that keeps every line it receives and answers with the line's offset once the line
// is on stable storage.
#include <caisson/engine.hpp>

#include <boost/asio.hpp>

#include <csignal>
#include <iostream>
#include <string>
#include <utility>

namespace net = boost::asio;

static net::awaitable<void> serve(net::ip::tcp::socket client, caisson::log& log) {
    for (std::string input;;) {
        const auto size = co_await net::async_read_until(client, net::dynamic_buffer(input), '\n',
                                                         net::use_awaitable);
        const auto receipt = co_await log.async_append(net::buffer(input.data(), size - 1));
        const auto answer =
            (receipt ? std::to_string(receipt.value().begin.value()) : receipt.error().message()) +
            '\n';
        co_await net::async_write(client, net::buffer(answer), net::use_awaitable);
        input.erase(0, size);
    }
}

static net::awaitable<void> listen(caisson::log& log) {
    net::ip::tcp::acceptor acceptor(co_await net::this_coro::executor, {net::ip::tcp::v4(), 7000});
    for (;;) {
        auto client = co_await acceptor.async_accept(net::use_awaitable);
        net::co_spawn(acceptor.get_executor(), serve(std::move(client), log), net::detached);
    }
}

int main() {
    net::io_context home(1);  // one thread runs it
    auto engine = caisson::engine::on(home);
    if (!engine) {
        std::cerr << engine.error().message() << '\n';
        return 1;
    }
    caisson::log log;
    engine.value().async_open("lines.log", {}, [&](caisson::result<caisson::log> opened) {
        if (!opened) {
            std::cerr << opened.error().message() << '\n';
            return home.stop();
        }
        log = std::move(opened).value();
        net::co_spawn(home, listen(log), net::detached);
    });
    net::signal_set signals(home, SIGINT, SIGTERM);
    signals.async_wait([&](auto, int) {  // finish what was accepted, then leave
        engine.value().async_close([&](caisson::result<void>) { home.stop(); });
    });
    home.run();
}
