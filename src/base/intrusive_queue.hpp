#pragma once
// intrusive_queue: first in, first out, through a member `next` of its elements: no memory of its
// own, no allocation. Owns nothing.

namespace caisson {

/// `T::next` is a pointer to T or to a base of it. An element is in at most one queue.
template <class T>
class intrusive_queue {
public:
    [[nodiscard]] bool is_empty() const noexcept { return first_ == nullptr; }
    /// Null when empty, as `back` and `pop`.
    [[nodiscard]] T* front() const noexcept { return first_; }
    [[nodiscard]] T* back() const noexcept { return first_ == nullptr ? nullptr : last_; }
    [[nodiscard]] static T* after(const T& element) noexcept {
        return static_cast<T*>(element.next);
    }

    void push(T& added) noexcept {
        added.next = nullptr;
        if (first_ == nullptr) {
            first_ = &added;
        } else {
            last_->next = &added;
        }
        last_ = &added;
    }
    void push_front(T& added) noexcept {
        added.next = first_;
        last_ = first_ == nullptr ? &added : last_;
        first_ = &added;
    }
    T* pop() noexcept {
        T* const taken = first_;
        if (taken != nullptr) {
            first_ = after(*taken);
        }
        return taken;
    }
    /// Moves everything from `other` behind what is here.
    void take(intrusive_queue& other) noexcept {
        while (T* const each = other.pop()) {
            push(*each);
        }
    }
    /// Takes the first element out for which `is_it` holds; null when there is none.
    template <class Predicate>
    T* remove_if(Predicate is_it) noexcept {
        intrusive_queue rest;
        T* found = nullptr;
        while (T* const each = pop()) {
            if (found == nullptr && is_it(*each)) {
                found = each;
            } else {
                rest.push(*each);
            }
        }
        *this = rest;
        return found;
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;  ///< valid while there is a first
};

}  // namespace caisson
