#pragma once
// Standard output of a verb: collected, written in large pieces, every failure noticed. Knows
// nothing about content.

#include <caisson/errc.hpp>
#include <caisson/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace caisson::tools {

/// A buffered writer on a file descriptor. After the first failure everything further is dropped;
/// `flush` and `error` tell. Not thread-safe.
class output {
public:
    explicit output(int descriptor) noexcept : descriptor_(descriptor) {}
    output(const output&) = delete;
    output& operator=(const output&) = delete;

    void put(std::string_view text);
    void put(std::span<const std::byte> bytes);
    void put_number(std::uint64_t value);

    /// Hands everything to the kernel. Blocks while the other end of a pipe does not read.
    error_code flush();
    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] bool is_failed() const noexcept { return static_cast<bool>(error_); }

private:
    void write_all(std::string_view text);

    int descriptor_;
    std::string pending_;
    error_code error_;
};

}  // namespace caisson::tools
