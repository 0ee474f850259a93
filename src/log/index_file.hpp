#pragma once
// Offset index files: derived, never trusted, so they are written through the page cache and never
// synced, and a load that finds anything odd finds nothing. Knows nothing about commits. Read
// docs/format.md, "Offset index".

#include <caisson/config.hpp>
#include <caisson/types.hpp>

#include "base/units.hpp"
#include "format/offset_index.hpp"
#include "io/await.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace caisson::log_detail {

/// A longer file is no index: 1 GiB of the smallest indexed steps (4 KiB) makes 4 MiB, and larger
/// segments do not exist.
inline constexpr std::uint64_t index_file_bytes_max = 16ull << 20;

/// Bytes of commits between two entries of an offset index; the reference's default.
inline constexpr std::uint64_t index_interval_bytes = 4_KiB;

/// An empty index for a segment of that size.
[[nodiscard]] inline format::offset_index_builder new_index(std::uint64_t segment_size_bytes) {
    return {index_interval_bytes, format::index_capacity(segment_size_bytes, index_interval_bytes)};
}

/// The bytes of an index and the entries found plausible in them.
class loaded_index {
public:
    /// Nothing if the bytes are no index.
    [[nodiscard]] static std::optional<loaded_index> from(std::vector<std::byte> bytes);

    [[nodiscard]] const format::offset_index_view& entries() const noexcept { return *entries_; }
    /// Bytes behind the last entry that are not zero: no index that was written whole has any.
    [[nodiscard]] bool has_stray_bytes() const noexcept;

private:
    loaded_index() = default;
    std::vector<std::byte> bytes_;
    std::optional<format::offset_index_view> entries_;
};

/// The index of the segment that begins at `segment`; nothing when there is none, or none that can
/// be used.
net::awaitable<std::optional<loaded_index>> load_index(io::directory& directory,
                                                       log_offset segment);

/// Writes the index of a segment whose content is final, replacing one that is there. Not durable
/// on return: whatever a crash leaves of it is found wrong or is right.
///
/// Errors: of the system; the log is whole without it.
io::task<void> write_index(io::directory& directory, log_offset segment,
                           const format::offset_index_builder& index);

}  // namespace caisson::log_detail
