#pragma once
// result<T>: what every fallible function returns. I/O outcomes are values here, never exceptions.
// Reading the value of a failed result (or the error of a good one) is a bug of the caller and
// terminates.

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/success_failure.hpp>
#include <boost/outcome/try.hpp>
#include <boost/system/error_code.hpp>

namespace caisson {

using error_code = boost::system::error_code;

/// A `T` or the reason why there is none. `BOOST_OUTCOME_TRY` / `BOOST_OUTCOME_CO_TRY` propagate
/// the reason.
template <class T>
using result = boost::outcome_v2::basic_result<T, error_code, boost::outcome_v2::policy::terminate>;

using boost::outcome_v2::success;

}  // namespace caisson
