// docs/format.md holds exactly the tables that the code describes.

#include "format/describe.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>
#include <iterator>
#include <string>

TEST_CASE("docs/format.md embeds the tables of the code", "[format][describe]") {
    std::ifstream file(CAISSON_SOURCE_DIR "/docs/format.md");
    REQUIRE(file.is_open());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string begin_line = "<!-- describe:begin -->\n";
    const auto begin = text.find(begin_line);
    const auto end = text.find("<!-- describe:end -->");
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    const auto from = begin + begin_line.size();
    CHECK(text.substr(from, end - from) == caisson::format::describe_format());
}
