#pragma once
// complete_later: ends a public operation in a turn of its own, for code that may be running inside
// an initiating function, where nothing may complete.

#include <caisson/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace caisson::async {

/// Owns an operation on the way to its end; destroyed unrun (the home executor is gone), it frees
/// it.
template <class Operation, class Outcome>
class completion_turn {
public:
    completion_turn(Operation& operation, Outcome outcome)
        : operation_(&operation), outcome_(std::move(outcome)) {}
    completion_turn(completion_turn&& other) noexcept
        : operation_(std::exchange(other.operation_, nullptr)),
          outcome_(std::move(other.outcome_)) {}
    completion_turn& operator=(completion_turn&&) = delete;
    ~completion_turn() {
        if (operation_ != nullptr) {
            operation_->abandon();
        }
    }
    void operator()() noexcept {
        std::exchange(operation_, nullptr)->complete(std::move(outcome_));
    }

private:
    Operation* operation_;
    Outcome outcome_;
};

template <class Operation, class Outcome>
void complete_later(const net::any_io_executor& home, Operation& operation, Outcome outcome) {
    net::post(home, completion_turn<Operation, Outcome>(operation, std::move(outcome)));
}

}  // namespace caisson::async
