// The one file that compiles Boost.JSON's source, so that the command needs headers only; and an
// indented form, which Boost.JSON 1.81 does not have.

#include "tools/json.hpp"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#include <boost/json/src.hpp>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <string>

namespace caisson::tools {
namespace {

void put_break(output& out, std::size_t depth) {
    out.put("\n");
    out.put(std::string(depth * 2, ' '));
}

void put_value(output& out, const json::value& value, std::size_t depth) {
    const bool is_object = value.is_object() && !value.get_object().empty();
    const bool is_array = value.is_array() && !value.get_array().empty();
    if (!is_object && !is_array) {
        out.put(json::serialize(value));
        return;
    }
    const char* separator = is_object ? "{" : "[";
    if (is_object) {
        for (const auto& [key, member] : value.get_object()) {
            out.put(separator);
            put_break(out, depth + 1);
            out.put(json::serialize(json::value(key)));
            out.put(": ");
            put_value(out, member, depth + 1);
            separator = ",";
        }
    } else {
        for (const auto& member : value.get_array()) {
            out.put(separator);
            put_break(out, depth + 1);
            put_value(out, member, depth + 1);
            separator = ",";
        }
    }
    put_break(out, depth);
    out.put(is_object ? "}" : "]");
}

}  // namespace

void put_json_line(output& out, const json::value& value) {
    out.put(json::serialize(value));
    out.put("\n");
}

void put_json_pretty(output& out, const json::value& value) {
    put_value(out, value, 0);
    out.put("\n");
}

}  // namespace caisson::tools
