// A Treiber stack that is only ever taken whole, so it has no ABA problem: whoever finds it empty
// posts the drain.

#include "async/home_gate.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace caisson::async {

namespace {

detail::operation_node* reversed(detail::operation_node* list) noexcept {
    detail::operation_node* in_order = nullptr;
    while (list != nullptr) {
        detail::operation_node* next = std::exchange(list->next, in_order);
        in_order = std::exchange(list, next);
    }
    return in_order;
}

}  // namespace

/// The way of a batch. Destroyed unrun, the home executor was destroyed or the simulated machine
/// lost power: then nothing arrives any more, and what is in the inbox may own this gate.
class home_gate::drain {
public:
    explicit drain(std::shared_ptr<home_gate> gate) noexcept : gate_(std::move(gate)) {}
    drain(drain&&) noexcept = default;
    drain& operator=(drain&&) = delete;
    ~drain() {
        if (gate_ != nullptr) {
            gate_->discard_all();
        }
    }
    void operator()() noexcept {
        const std::shared_ptr<home_gate> gate = std::move(gate_);
        gate->arrive_all();
    }

private:
    std::shared_ptr<home_gate> gate_;
};

home_gate::~home_gate() { discard_all(); }

void home_gate::discard_all() noexcept {
    detail::operation_node* list = reversed(inbox_.exchange(nullptr, std::memory_order_acquire));
    while (list != nullptr) {
        detail::operation_node* node = std::exchange(list, list->next);
        node->discard(*node);
    }
}

bool home_gate::arrive_now(detail::operation_node& node) {
    // At home with an empty inbox nothing of this thread can be overtaken.
    if (!is_home() || is_violated() || inbox_.load(std::memory_order_acquire) != nullptr) {
        return false;
    }
    node.arrive(node, node.target);
    return true;
}

void home_gate::enter(detail::operation_node& node) {
    if (arrive_now(node)) {
        return;
    }
    detail::operation_node* newest = inbox_.load(std::memory_order_relaxed);
    do {
        node.next = newest;
    } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_release,
                                           std::memory_order_relaxed));
    if (newest == nullptr) {
        net::post(home_, drain(shared_from_this()));
    }
}

void home_gate::arrive_all() noexcept {
    claim_home();
    detail::operation_node* list = reversed(inbox_.exchange(nullptr, std::memory_order_acquire));
    while (list != nullptr) {
        detail::operation_node* node = std::exchange(list, list->next);
        node->next = nullptr;
        // The operation may be gone when `arrive` returns; what it belongs to must not be.
        const std::shared_ptr<void> kept = std::move(node->travels_with);
        node->arrive(*node, node->target);
    }
}

}  // namespace caisson::async
