// The symbol that proves which Asio the library was built with; see <caisson/config.hpp>.

#include <caisson/config.hpp>

namespace caisson::abi {

const char CAISSON_ASIO_TAG = 1;

}  // namespace caisson::abi
