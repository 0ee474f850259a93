#pragma once
// How a verdict that refuses reads to a person: which file, byte and offset, what was found, what
// to do next. Decides nothing. Read docs/recovery.md.

#include <caisson/failure.hpp>

#include "log/recovery_plan.hpp"
#include "log/recovery_scan.hpp"

#include <optional>
#include <string>

namespace caisson::log_detail {

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
