#pragma once
// event: coroutines of one executor wait until somebody says so. No state of its own beyond who
// waits: a notification with nobody waiting is forgotten, so waiters check their condition in a
// loop. Knows nothing about disks or logs.

#include <caisson/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace caisson::async {

/// Single-threaded: every call is made on `home`. Resumption is posted, never inline in
/// `notify_all`.
class event {
public:
    explicit event(net::any_io_executor home) : home_(std::move(home)) {}
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    /// Waiters that are left (only after a simulated power cut) are destroyed, not resumed.
    ~event() { end_all(false); }

    /// Completes after the next `notify_all`. Not cancellable: internal waits end because a
    /// condition changes.
    net::awaitable<void> wait() {
        return net::async_initiate<const net::use_awaitable_t<>, void()>(initiate{this},
                                                                         net::use_awaitable);
    }

    void notify_all() { end_all(true); }

private:
    struct waiter {
        waiter* next = nullptr;
        void (*end)(waiter*, const net::any_io_executor* resume_on);
    };

    template <class Handler>
    struct waiting final : waiter {
        explicit waiting(Handler&& waits) : handler(std::move(waits)) {
            this->end = &waiting::finish;
        }
        static void finish(waiter* base, const net::any_io_executor* resume_on) {
            auto* self = static_cast<waiting*>(base);
            Handler handler(std::move(self->handler));
            delete self;
            if (resume_on != nullptr) {
                net::post(*resume_on,
                          [handler = std::move(handler)]() mutable { std::move(handler)(); });
            }
        }
        Handler handler;
    };

    struct initiate {
        event* self;
        template <class Handler>
        void operator()(Handler&& handler) const {
            auto* added = new waiting<std::decay_t<Handler>>(std::forward<Handler>(handler));
            added->next = self->first_;
            self->first_ = added;
        }
    };

    void end_all(bool resume) {
        // Destroying a coroutine may run code that waits again: take the list first.
        while (waiter* list = std::exchange(first_, nullptr)) {
            waiter* in_order = nullptr;
            while (list != nullptr) {
                waiter* next = list->next;
                list->next = in_order;
                in_order = std::exchange(list, next);
            }
            while (in_order != nullptr) {
                waiter* ended = std::exchange(in_order, in_order->next);
                ended->end(ended, resume ? &home_ : nullptr);
            }
        }
    }

    net::any_io_executor home_;
    waiter* first_ = nullptr;
};

}  // namespace caisson::async
