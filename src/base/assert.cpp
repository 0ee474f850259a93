// How a failed assertion ends the process: one line on standard error, then abort.
// Allocates nothing and takes no lock: the heap may be what is broken.

#include "base/assert.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace caisson::assert_detail {
namespace {

using text = std::array<char, 32>;

text print(operand value) noexcept {
    text out{};
    switch (value.what) {
    case operand::kind::none: break;
    case operand::kind::boolean:
        std::snprintf(out.data(), out.size(), "%s", value.bits != 0 ? "true" : "false");
        break;
    case operand::kind::signed_integer:
        std::snprintf(out.data(), out.size(), "%" PRId64, static_cast<std::int64_t>(value.bits));
        break;
    case operand::kind::unsigned_integer:
        std::snprintf(out.data(), out.size(), "%" PRIu64, value.bits);
        break;
    case operand::kind::pointer:
        std::snprintf(out.data(), out.size(), value.bits == 0 ? "nullptr" : "0x%" PRIx64,
                      value.bits);
        break;
    case operand::kind::opaque: std::snprintf(out.data(), out.size(), "{...}"); break;
    }
    return out;
}

}  // namespace

void fail(const char* expression, const char* comparison, operand left, operand right,
          const std::source_location& where) noexcept {
    std::fprintf(stderr, "%s:%u: %s: assertion failed: %s (%s%s%s%s%s)\n", where.file_name(),
                 static_cast<unsigned>(where.line()), where.function_name(), expression,
                 print(left).data(), comparison != nullptr ? " " : "",
                 comparison != nullptr ? comparison : "", comparison != nullptr ? " " : "",
                 print(right).data());
    std::abort();
}

void fail_unreachable(const char* why, const std::source_location& where) noexcept {
    std::fprintf(stderr, "%s:%u: %s: reached what cannot be reached: %s\n", where.file_name(),
                 static_cast<unsigned>(where.line()), where.function_name(), why);
    std::abort();
}

}  // namespace caisson::assert_detail
