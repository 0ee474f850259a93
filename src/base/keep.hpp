#pragma once
// keep: memory that must not be freed because somebody else may still write to it: the kernel, when
// a device did not answer before the close deadline, or an engine that ends without its handle.
// Reachable to the end of the process, so that a leak checker tells it from a mistake.

#include <memory>

namespace caisson {

/// Holds on to `what`, for ever unless it is taken back. Callable from any thread.
void keep(std::shared_ptr<void> what);

/// Gives back what was kept under this address; null when nothing was. Callable from any thread.
std::shared_ptr<void> take_back(const void* what) noexcept;

}  // namespace caisson
