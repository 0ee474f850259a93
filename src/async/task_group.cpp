// The one place that calls co_spawn for the library's own coroutines.

#include "async/task_group.hpp"

#include "base/assert.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <utility>

namespace caisson::async {

struct task_group::on_end {
    task_group* group;
    void operator()(std::exception_ptr problem) const noexcept {
        if (problem != nullptr) {
            // out of noexcept: terminates with the exception's message
            std::rethrow_exception(problem);
        }
        CAISSON_ASSERT(group->running_ > 0);
        if (--group->running_ == 0) {
            group->ended_.notify_all();
        }
    }
};

task_group::~task_group() { CAISSON_ASSERT(running_ == 0); }

void task_group::spawn(net::awaitable<void> task) {
    ++running_;
    net::co_spawn(executor_, std::move(task), on_end{this});
}

net::awaitable<void> task_group::join() {
    while (running_ > 0) {
        co_await ended_.wait();
    }
}

}  // namespace caisson::async
