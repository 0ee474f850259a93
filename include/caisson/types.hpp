#pragma once
// The distinct integers of the public interface. Knows nothing about files or bytes on disk.
// Read docs/glossary.md for the vocabulary.

#include <compare>
#include <cstddef>
#include <cstdint>

namespace caisson {

/// Index of a record in a log: the first record ever appended has offset 0, every further one the
/// next.
///
/// Ranges of offsets are half-open, `[begin, end)`; an *end* is the offset that comes next.
/// The only arithmetic is what has a meaning: offset + count, offset - offset = count.
class log_offset {
public:
    constexpr log_offset() noexcept = default;
    explicit constexpr log_offset(std::uint64_t value) noexcept : value_(value) {}

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    constexpr log_offset& operator+=(std::uint64_t records) noexcept {
        value_ += records;
        return *this;
    }
    friend constexpr log_offset operator+(log_offset from, std::uint64_t records) noexcept {
        return log_offset{from.value_ + records};
    }
    friend constexpr std::uint64_t operator-(log_offset end, log_offset begin) noexcept {
        return end.value_ - begin.value_;
    }
    friend constexpr auto operator<=>(log_offset, log_offset) noexcept = default;

private:
    std::uint64_t value_ = 0;
};

/// How far a record has come. Each level includes the ones before it; see docs/glossary.md.
enum class durability : std::uint8_t {
    local = 1,  ///< on the stable storage of this machine: survives a power cut
};

}  // namespace caisson
