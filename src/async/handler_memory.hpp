#pragma once
// handler_memory: room for a handler of which one at a time is under way. Asio keeps two pieces of
// memory a thread and kind for those without; the third that is under way costs an allocation.

#include <cstddef>
#include <new>

namespace caisson::async {

/// Outlives the handlers that live in it. Taken and given back on one thread at a time.
class handler_memory {
public:
    handler_memory() noexcept = default;
    handler_memory(const handler_memory&) = delete;
    handler_memory& operator=(const handler_memory&) = delete;

    void* take(std::size_t size_bytes) {
        if (is_taken_ || size_bytes > sizeof storage_) {
            return ::operator new(size_bytes);
        }
        is_taken_ = true;
        return storage_;
    }
    void give_back(void* memory) noexcept {
        if (memory == storage_) {
            is_taken_ = false;
        } else {
            ::operator delete(memory);
        }
    }

private:
    alignas(std::max_align_t) std::byte storage_[256];
    bool is_taken_ = false;
};

/// The allocator to bind to such a handler.
template <class T>
class handler_allocator {
public:
    using value_type = T;

    explicit handler_allocator(handler_memory& from) noexcept : memory_(&from) {}
    template <class U>
    handler_allocator(const handler_allocator<U>& other) noexcept : memory_(other.memory_) {}

    T* allocate(std::size_t count) { return static_cast<T*>(memory_->take(count * sizeof(T))); }
    void deallocate(T* at, std::size_t) noexcept { memory_->give_back(at); }

    template <class U>
    bool operator==(const handler_allocator<U>& other) const noexcept {
        return memory_ == other.memory_;
    }

private:
    template <class U>
    friend class handler_allocator;
    handler_memory* memory_;
};

}  // namespace caisson::async
