#pragma once
// The format as tables, made from the same constants the codecs use. docs/format.md embeds the
// text; a test holds them against each other. Read docs/format.md.

#include <string>

namespace caisson::format {

/// Markdown: one table per structure with offset, size, type, name, meaning and "checked how". Ends
/// with a newline.
[[nodiscard]] std::string describe_format();

}  // namespace caisson::format
