// Scan, then search.

#include "format/survey.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace caisson::format {

segment_survey::segment_survey(const scan_params& params, offset_index_builder* index) noexcept
    : params_(params), scanner_(params), index_(index) {}

segment_survey::segment_survey(const scan_params& params, segment_version version,
                               std::uint64_t position_bytes, offset_index_builder* index) noexcept
    : params_(params), scanner_(params, version, position_bytes), index_(index) {}

std::optional<byte_need> segment_survey::feed(const byte_window& window) noexcept {
    if (is_complete_) {
        return std::nullopt;
    }
    if (!search_) {
        if (const auto need = run_scan(window)) {
            return need;
        }
    }
    return run_search(window);
}

std::optional<byte_need> segment_survey::run_scan(const byte_window& window) noexcept {
    for (;;) {
        const scan_event event = scanner_.next(window);
        switch (event.step) {
        case scan_step::need_bytes: return event.need;
        case scan_step::commit:
            if (index_ != nullptr) {
                index_->add_commit(event.commit.begin, event.position_bytes,
                                   event.commit.size_bytes);
            }
            break;
        case scan_step::end: begin_search(event); return std::nullopt;
        }
    }
}

void segment_survey::begin_search(const scan_event& end) noexcept {
    facts_.why = end.why;
    facts_.header_error = scanner_.header_error();
    facts_.header = scanner_.header();
    facts_.prefix = scanner_.prefix();
    facts_.is_expected_header_at_frontier = scanner_.is_expected_header_at_end();

    search_params params;
    params.expected_begin = facts_.prefix.next;
    params.log_id = params_.log_id;
    params.version = facts_.header ? facts_.header->version : segment_version::v1;
    params.commit_size_bytes_max = params_.commit_size_bytes_max;
    // Begins at the frontier itself: a commit there may be valid and only not continue the chain.
    // With a bad header the frontier is byte 0.
    search_.emplace(params, facts_.prefix.end_position_bytes);
}

std::optional<byte_need> segment_survey::run_search(const byte_window& window) noexcept {
    for (;;) {
        const search_event event = search_->next(window);
        switch (event.step) {
        case search_step::need_bytes: return event.need;
        case search_step::found: note_later(event); break;
        case search_step::end:
            facts_.file_length_bytes = window.end_bytes();
            facts_.first_nonzero_bytes = search_->first_nonzero_bytes();
            if (facts_.first_nonzero_bytes) {
                facts_.tail = tail_content::bytes;
            } else if (facts_.file_length_bytes > facts_.prefix.end_position_bytes) {
                facts_.tail = tail_content::zeros;
            }
            is_complete_ = true;
            return std::nullopt;
        }
    }
}

void segment_survey::note_later(const search_event& found) noexcept {
    const later_commit later{found.position_bytes, found.commit.begin, found.commit.end(),
                             found.durable_end, found.commit.crc};
    if (!facts_.first_later) {
        facts_.first_later = later;
    }
    facts_.last_later = later;
    facts_.durable_end_max = std::max(facts_.durable_end_max, found.durable_end);
    ++facts_.later_commits;
}

segment_facts survey_segment(std::span<const std::byte> whole_file, const scan_params& params,
                             offset_index_builder* index) noexcept {
    segment_survey survey(params, index);
    const auto need = survey.feed({whole_file, 0, true});
    CAISSON_ASSERT(!need.has_value());
    return survey.facts();
}

}  // namespace caisson::format
