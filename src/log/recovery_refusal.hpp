#pragma once
// How a verdict that refuses reads to a person: which file, byte and offset, what was found, what
// to do next. Decides nothing. Read docs/recovery.md.

#include <caisson/failure.hpp>

#include "log/recovery_plan.hpp"
#include "log/recovery_scan.hpp"

#include <optional>
#include <string>

namespace caisson::log_detail {

/// Nothing is damaged: whoever wrote it can read it.
inline constexpr const char* advice_for_newer =
    "open the log with the program or version that wrote it";

/// Whether this says that the bytes are in a format that this build does not know.
[[nodiscard]] inline bool is_newer_version(const error_code& why) noexcept {
    return why == errc::unsupported_version || why == errc::unsupported_algorithm;
}

/// `directory_path` is the log's; `state` what STATE says, when there is one.
[[nodiscard]] failure describe_refusal(directory_verdict verdict, const std::string& directory_path,
                                       const std::optional<format::log_state>& state);

/// STATE is there, but says nothing: `why` is what choose_state() answered.
[[nodiscard]] failure describe_bad_state(const error_code& why, const std::string& state_path);

/// What a reader says that shows a log without a STATE that counts: `refusal` is why opening it is
/// refused.
[[nodiscard]] failure describe_reading_without_state(const failure& refusal);

/// `segment_path` is the segment that was scanned.
[[nodiscard]] failure describe_refusal(segment_verdict verdict, const std::string& segment_path,
                                       const segment_scan& scan, const segment_facts& facts);

}  // namespace caisson::log_detail
