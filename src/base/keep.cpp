// Never destroyed: a thread that is stuck in the kernel may outlive every static object.

#include "base/keep.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace caisson {

namespace {

struct registry {
    std::mutex mutex;
    std::vector<std::shared_ptr<void>> kept;  // guarded by mutex
};

registry& everything_kept() {
    static auto* const only = new registry;
    return *only;
}

}  // namespace

void keep(std::shared_ptr<void> what) {
    registry& all = everything_kept();
    const std::lock_guard lock(all.mutex);
    all.kept.push_back(std::move(what));
}

std::shared_ptr<void> take_back(const void* what) noexcept {
    registry& all = everything_kept();
    const std::lock_guard lock(all.mutex);
    const auto found = std::find_if(all.kept.begin(), all.kept.end(),
                                    [what](const auto& each) { return each.get() == what; });
    if (found == all.kept.end()) {
        return nullptr;
    }
    std::shared_ptr<void> mine = std::move(*found);
    all.kept.erase(found);
    return mine;
}

}  // namespace caisson
