#pragma once
// One loop, one engine, one coroutine: the frame every verb that uses the engine runs in. Knows
// nothing about verbs.

#include "tools/command.hpp"

#include <caisson/engine.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <string_view>

namespace caisson::tools {

/// What a verb does with an engine. Called once; the coroutine it returns may refer to whatever
/// outlives run_session.
using session_work = std::function<net::awaitable<exit_code>(engine&)>;

/// Makes an engine on a loop of its own, awaits `work`, closes the engine and returns the worse of
/// the two outcomes. Errors are printed with `verb` in front.
exit_code run_session(std::string_view verb, const session_work& work);

}  // namespace caisson::tools
