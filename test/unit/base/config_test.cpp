// The guard against an embedding program with another Asio: the tag's name spells what it was built
// with.

#include <caisson/config.hpp>

#include <boost/asio/version.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

#define CAISSON_TEST_TEXT(...) #__VA_ARGS__
#define CAISSON_TEST_TEXT_OF(...) CAISSON_TEST_TEXT(__VA_ARGS__)

namespace caisson {
namespace {

TEST_CASE("the link-time tag names the version of Asio and its switches", "[base][config]") {
    // That this program links at all shows that library and test agree.
    const std::string tag = CAISSON_TEST_TEXT_OF(CAISSON_ASIO_TAG);
    CHECK_THAT(tag, Catch::Matchers::StartsWith("built_with_asio_" +
                                                std::to_string(BOOST_ASIO_VERSION) + "_"));
    CHECK(abi::required_asio == &abi::CAISSON_ASIO_TAG);
    CHECK(*abi::required_asio == 1);
#if defined(BOOST_ASIO_HAS_IO_URING)
    CHECK_THAT(tag, Catch::Matchers::ContainsSubstring("_uring_"));
#else
    CHECK_THAT(tag, Catch::Matchers::ContainsSubstring("_nouring_"));
#endif
}

}  // namespace
}  // namespace caisson
