#pragma once
// commit_encoder: makes the bytes of a group one commit: memory, records, header, trailer,
// checksum, and the chain from commit to commit. Knows nothing about what forms a group, when it
// leaves or who waits for it. Read docs/format.md.

#include <caisson/detail/append_operation.hpp>
#include <caisson/types.hpp>

#include "log/group.hpp"
#include "log/log_shared.hpp"
#include "log/recovered_log.hpp"
#include "log/segment_file.hpp"

#include <cstdint>

namespace caisson::log_detail {

class commit_encoder {
public:
    /// `recovered.tail` still has its file.
    commit_encoder(log_shared& shared, const recovered_log& recovered);

    /// Memory for `framed_bytes` of records and what surrounds them; `expected_bytes`: as large as
    /// groups are now, since growing copies what was gathered. False without memory.
    [[nodiscard]] bool reserve(group& gathering, std::uint64_t framed_bytes,
                               std::uint64_t expected_bytes);
    /// Copies the records of `append` behind those of the group. Reserved before.
    void add(group& gathering, const detail::append_operation& append);
    /// Completes the commit of a closed group and chains it to the one finished before it. Its
    /// buffer is then what is to be written, whole blocks from the one it begins in.
    void finish(group& leaving, log_offset durable_end);

    [[nodiscard]] const last_commit& last() const noexcept { return last_; }

private:
    log_shared& shared_;
    std::uint64_t block_bytes_;
    std::uint64_t log_id_;
    std::uint64_t epoch_;
    last_commit last_;  ///< of the log
};

}  // namespace caisson::log_detail
