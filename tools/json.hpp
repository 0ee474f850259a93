#pragma once
// JSON for the verbs, by Boost.JSON (compiled into the command by json.cpp; objects keep the order
// of their keys).

#include "tools/output.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace caisson::tools {

namespace json = boost::json;

/// One line, for streams of objects and for machines.
void put_json_line(output& out, const json::value& value);

/// Indented by two spaces, for a single object that people read too.
void put_json_pretty(output& out, const json::value& value);

}  // namespace caisson::tools
