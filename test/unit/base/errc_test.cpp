// The error categories: every value says something, and conditions group what callers treat alike.

#include <caisson/errc.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

namespace caisson {
namespace {

// Values have gaps of one group each; whatever has a message of its own is an enumerator.
std::vector<errc> every_errc() {
    std::vector<errc> found;
    for (int value = 1; value < 256; ++value) {
        if (!make_error_code(static_cast<errc>(value)).message().starts_with("unknown")) {
            found.push_back(static_cast<errc>(value));
        }
    }
    return found;
}

boost::system::error_code from_errno(int value) {
    return {value, boost::system::system_category()};
}

TEST_CASE("there is one category object", "[base][errc]") {
    CHECK(caisson_category() == caisson_category());
    CHECK(&caisson_category() == &make_error_code(errc::closed).category());
    CHECK(&condition_category() == &make_error_condition(condition::corrupt).category());
    CHECK(caisson_category() != condition_category());
    CHECK(std::string(caisson_category().name()) == "caisson");
}

TEST_CASE("every error has a message of its own", "[base][errc]") {
    const auto all = every_errc();
    // Adding an enumerator without a message is also a compiler warning: the switch has no default.
    CHECK(all.size() == 35);
    std::set<std::string> messages;
    for (const errc value : all) {
        const std::string text = make_error_code(value).message();
        INFO(text);
        CHECK(text.size() > 10);
        CHECK(messages.insert(text).second);
    }
    CHECK(make_error_code(static_cast<errc>(200)).message() == "unknown caisson error 200");
}

TEST_CASE("errors convert to codes, and zero is success", "[base][errc]") {
    const boost::system::error_code code = errc::poisoned;
    CHECK(code);
    CHECK(code == errc::poisoned);
    CHECK(code != errc::closed);
    CHECK_FALSE(boost::system::error_code(0, caisson_category()).failed());
}

TEST_CASE("an error is damage exactly when stored bytes are not what was written", "[base][errc]") {
    const std::set<errc> damage{
        errc::not_a_segment, errc::checksum_mismatch, errc::truncated,   errc::out_of_order,
        errc::chain_broken,  errc::wrong_log,         errc::malformed,   errc::epoch_backwards,
        errc::damaged,       errc::segment_missing,   errc::segment_gap, errc::segment_overlap,
        errc::state_missing, errc::state_damaged,     errc::unreadable,
    };
    for (const errc value : every_errc()) {
        INFO(make_error_code(value).message());
        CHECK((make_error_code(value) == condition::corrupt) == damage.contains(value));
    }
    CHECK(from_errno(EUCLEAN) == condition::corrupt);
    CHECK(from_errno(EIO) != condition::corrupt);
}

TEST_CASE("the other conditions match our errors and the system's", "[base][errc]") {
    const boost::system::error_code closed = errc::closed;
    CHECK(closed == condition::closed);
    CHECK(closed != condition::retryable);

    const boost::system::error_code missing = errc::log_not_found;
    CHECK(missing == condition::not_found);
    CHECK(from_errno(ENOENT) == condition::not_found);
    CHECK(from_errno(ENOTDIR) != condition::not_found);

    const boost::system::error_code full = errc::no_space;
    CHECK(full == condition::no_space);
    CHECK(full == condition::retryable);
    for (const int value : {ENOSPC, EDQUOT, EFBIG}) {
        CHECK(from_errno(value) == condition::no_space);
    }
    CHECK(boost::system::error_code(ENOSPC, boost::system::generic_category()) ==
          condition::no_space);

    const boost::system::error_code locked = errc::locked;
    CHECK(locked == condition::retryable);
    CHECK(from_errno(EAGAIN) == condition::retryable);
    CHECK(from_errno(EFBIG) != condition::retryable);
}

TEST_CASE("a success and a foreign category match no condition", "[base][errc]") {
    const auto& foreign = boost::asio::error::get_addrinfo_category();
    for (const condition wanted : {condition::corrupt, condition::not_found, condition::closed,
                                   condition::no_space, condition::retryable}) {
        CHECK(boost::system::error_code() != wanted);
        CHECK(boost::system::error_code(ENOSPC, foreign) != wanted);
        CHECK_FALSE(make_error_condition(wanted).message().empty());
    }
    CHECK(make_error_condition(static_cast<condition>(99)).message() ==
          "unknown caisson condition 99");
}

}  // namespace
}  // namespace caisson
