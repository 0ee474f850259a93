#pragma once
// failure: an error with the place it happened at and what to do about it, for the paths where a
// bare code is not enough (open, recovery, verify, a poisoned log). The hot path carries error
// codes only.

#include <caisson/errc.hpp>
#include <caisson/result.hpp>
#include <caisson/types.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace caisson {

/// One failure: which file, which byte, which offset, what was found, and what the operator does
/// next.
///
/// A class with constructors on purpose: GCC 12 destroys aggregate temporaries twice in `co_await`
/// (docs/STYLE.md).
class failure {
public:
    failure(error_code code, std::string detail) : code_(code), detail_(std::move(detail)) {}
    failure(errc code, std::string detail) : failure(make_error_code(code), std::move(detail)) {}

    failure&& in_file(std::string path) && {
        file_ = std::move(path);
        return std::move(*this);
    }
    failure&& at_byte(std::uint64_t position_bytes) && {
        position_bytes_ = position_bytes;
        return std::move(*this);
    }
    failure&& at_offset(log_offset offset) && {
        offset_ = offset;
        return std::move(*this);
    }
    failure&& advise(std::string what_to_do) && {
        advice_ = std::move(what_to_do);
        return std::move(*this);
    }

    [[nodiscard]] error_code code() const noexcept { return code_; }
    [[nodiscard]] const std::string& file() const noexcept { return file_; }
    [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
    [[nodiscard]] const std::string& advice() const noexcept { return advice_; }
    [[nodiscard]] std::optional<std::uint64_t> position_bytes() const noexcept {
        return position_bytes_;
    }
    [[nodiscard]] std::optional<log_offset> offset() const noexcept { return offset_; }

    /// "FILE: byte B, offset O: DETAIL (CODE); ADVICE" with the absent parts left out. One line, no
    /// payload bytes.
    [[nodiscard]] std::string message() const;

private:
    error_code code_;
    std::string file_;
    std::string detail_;
    std::string advice_;
    std::optional<std::uint64_t> position_bytes_;
    std::optional<log_offset> offset_;
};

/// As `result`, with the whole story instead of a code. For cold paths.
template <class T>
using detailed = boost::outcome_v2::basic_result<T, failure, boost::outcome_v2::policy::terminate>;

}  // namespace caisson
