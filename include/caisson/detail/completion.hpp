#pragma once
// completion<T>: the type-erased end of one public operation: a handler, its executor and
// allocator, waiting for a result<T>. The compiled library sees only the base; templates stop here.
// Internal, but public headers need it.

#include <caisson/config.hpp>
#include <caisson/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace caisson::detail {

/// What every public operation has while it is queued: a link, and what to do when it arrives on
/// the home thread.
class operation_node {
public:
    operation_node(const operation_node&) = delete;
    operation_node& operator=(const operation_node&) = delete;

    /// for the one queue that holds the operation
    operation_node* next = nullptr;
    void (*arrive)(operation_node& self, void* target) = nullptr;  ///< run on the home thread, once
    /// frees it instead, when the world ends first
    void (*discard)(operation_node& self) noexcept = nullptr;
    void* target = nullptr;
    /// What `target` belongs to, while the operation travels from another thread.
    std::shared_ptr<void> travels_with;
    /// names the operation to a cancellation; 0: none
    std::uint64_t ticket = 0;

protected:
    operation_node() noexcept = default;
    ~operation_node() = default;
};

/// Base of one operation in flight. Owned by the library from initiation until `complete` or
/// `abandon`, each of which frees the object before anything else happens. Both run on the home
/// thread, but for refusals where a second thread runs the home executor.
template <class T>
class completion : public operation_node {
public:
    /// Delivers `outcome` on the handler's executor: directly when that is the home executor (the
    /// caller is a handler running there, never an initiating function), by a post otherwise.
    void complete(result<T> outcome) noexcept { end_(this, &outcome); }
    /// Destroys the handler without calling it: the world ended (simulated power cut, engine
    /// destroyed).
    void abandon() noexcept { end_(this, nullptr); }

protected:
    using end_function = void (*)(completion*, result<T>*) noexcept;
    explicit completion(end_function end) noexcept : end_(end) {
        discard = [](operation_node& self) noexcept {
            static_cast<completion&>(self).abandon();
        };
    }
    ~completion() = default;

private:
    end_function end_;
};

/// A leaf: `Base` (derived from completion<T>) plus the handler. Allocated with the handler's
/// associated allocator; where that is std::allocator, with Asio's per-thread recycling one.
template <class T, class Base, class Handler>
class pending final : public Base {
    using handler_executor = net::associated_executor_t<Handler, net::any_io_executor>;
    using work_executor = std::decay_t<decltype(net::prefer(
        std::declval<const handler_executor&>(), net::execution::outstanding_work.tracked))>;

    template <class Allocator>
    struct chosen {
        using type = Allocator;
    };
    template <class U>
    struct chosen<std::allocator<U>> {
        using type = net::recycling_allocator<U>;
    };
    using allocator = typename std::allocator_traits<typename chosen<
        net::associated_allocator_t<Handler>>::type>::template rebind_alloc<pending>;

    static allocator allocator_of(const Handler& handler) {
        if constexpr (std::is_same_v<net::associated_allocator_t<Handler>, std::allocator<void>>) {
            return allocator{};
        } else {
            return allocator(net::get_associated_allocator(handler));
        }
    }

public:
    /// `arguments` construct the Base after its end function.
    template <class... Arguments>
    static Base* create(Handler handler, const net::any_io_executor& home,
                        Arguments&&... arguments) {
        allocator memory = allocator_of(handler);
        pending* raw = std::allocator_traits<allocator>::allocate(memory, 1);
        return ::new (static_cast<void*>(raw))
            pending(std::move(handler), home, std::forward<Arguments>(arguments)...);
    }

    [[nodiscard]] Handler& handler() noexcept { return handler_; }

private:
    template <class... Arguments>
    pending(Handler&& handler, const net::any_io_executor& home, Arguments&&... arguments)
        : Base(&pending::end, std::forward<Arguments>(arguments)...),
          handler_(std::move(handler)),
          executor_(net::get_associated_executor(handler_, home)),
          // Keeps the handler's context from running out of work while the operation is in flight.
          work_(net::prefer(executor_, net::execution::outstanding_work.tracked)),
          at_home_(same_executor(executor_, home)) {}

    static bool same_executor(const handler_executor& mine, const net::any_io_executor& home) {
        return net::any_io_executor(mine) == home;
    }

    static void end(completion<T>* base, result<T>* outcome) noexcept {
        auto* self = static_cast<pending*>(static_cast<Base*>(base));
        // Free the memory before the upcall, so that the next operation of the handler can reuse
        // it.
        Handler handler(std::move(self->handler_));
        handler_executor executor(std::move(self->executor_));
        work_executor work(std::move(self->work_));
        const bool at_home = self->at_home_;
        allocator memory = allocator_of(handler);
        self->~pending();
        std::allocator_traits<allocator>::deallocate(memory, self, 1);
        if (outcome == nullptr) {
            return;
        }
        if (at_home) {
            net::get_associated_cancellation_slot(handler).clear();
            std::move(handler)(std::move(*outcome));
            return;
        }
        auto upcall = [handler = std::move(handler), work, value = std::move(*outcome)]() mutable {
            net::get_associated_cancellation_slot(handler).clear();
            std::move(handler)(std::move(value));
        };
        net::post(executor, net::bind_allocator(memory, std::move(upcall)));
    }

    Handler handler_;
    handler_executor executor_;
    work_executor work_;
    bool at_home_;
};

}  // namespace caisson::detail
