// The two error categories and what each error means to the person who has to act on it.
// Knows nothing about where errors are born.

#include <caisson/errc.hpp>

#include <cerrno>
#include <string>

namespace caisson {
namespace {

namespace sys = boost::system;

const char* describe(errc value) noexcept {
    switch (value) {
    case errc::closed: return "the log is closed; nothing was appended";
    case errc::poisoned:
        return "an earlier write or sync failed; close the log and open it again to recover";
    case errc::outcome_unknown:
        return "the write of this record failed; only opening the log again tells whether the "
               "record is in it";
    case errc::record_too_large: return "the record is larger than record_size_bytes_max";
    case errc::batch_too_large:
        return "one call holds more records or bytes than a log takes at once";
    case errc::no_space: return "no space left on the device; what was acknowledged is safe";
    case errc::offset_out_of_range: return "the offset lies outside what the log holds";
    case errc::locked: return "the log is open elsewhere, or its previous owner is still finishing";
    case errc::log_not_found: return "there is no log in this directory";
    case errc::log_exists: return "there is a log in this directory already";
    case errc::not_a_directory: return "the path of the log is not a directory";
    case errc::unsupported_filesystem:
        return "this file system cannot keep data across a power cut";
    case errc::foreign_log:
        return "the log was written by another program: it can be read, not appended to";
    case errc::foreign_file: return "a file that is not Caisson's lies among the files of the log";
    case errc::invalid_options: return "an option has a value that cannot work";
    case errc::not_a_segment: return "the file does not begin as a segment does";
    case errc::unsupported_version:
        return "the file was written in a newer format than this build reads";
    case errc::unsupported_algorithm:
        return "the file uses a checksum algorithm that this build does not know";
    case errc::checksum_mismatch: return "stored bytes do not match their checksum";
    case errc::truncated: return "the bytes end in the middle of a structure";
    case errc::out_of_order: return "a commit is not the one that comes next";
    case errc::chain_broken: return "a commit does not continue the one before it";
    case errc::wrong_log: return "a commit belongs to another log";
    case errc::malformed: return "a structure with a right checksum says something impossible";
    case errc::epoch_backwards: return "a commit has a lower epoch than the one before it";
    case errc::damaged: return "acknowledged data is damaged; nothing was changed";
    case errc::torn_tail:
        return "the log ends in an unfinished write, and the policy is to refuse it";
    case errc::segment_missing: return "a segment of the log is missing";
    case errc::segment_gap: return "records are missing between two segments";
    case errc::segment_overlap: return "two segments hold the same offsets";
    case errc::state_missing: return "the log has segments but no STATE file";
    case errc::state_damaged: return "both copies in the STATE file are damaged";
    case errc::unreadable: return "the device cannot read a part of the log";
    case errc::uring_unavailable: return "io_uring is forbidden or missing on this machine";
    case errc::home_on_two_threads: return "the engine's io_context is run by more than one thread";
    }
    return nullptr;
}

bool is_corrupt(errc value) noexcept {
    switch (value) {
    case errc::not_a_segment:
    case errc::checksum_mismatch:
    case errc::truncated:
    case errc::out_of_order:
    case errc::chain_broken:
    case errc::wrong_log:
    case errc::malformed:
    case errc::epoch_backwards:
    case errc::damaged:
    case errc::segment_missing:
    case errc::segment_gap:
    case errc::segment_overlap:
    case errc::state_missing:
    case errc::state_damaged:
    case errc::unreadable: return true;
    // `torn_tail` is not among them: a write cut short by a crash is no damage
    default: return false;
    }
}

bool matches(errc value, condition wanted) noexcept {
    switch (wanted) {
    case condition::corrupt: return is_corrupt(value);
    case condition::not_found: return value == errc::log_not_found;
    case condition::closed: return value == errc::closed;
    case condition::no_space: return value == errc::no_space;
    case condition::retryable: return value == errc::locked || value == errc::no_space;
    }
    return false;
}

bool errno_matches(int value, condition wanted) noexcept {
    switch (wanted) {
    // what file systems report for their own
    case condition::corrupt: return value == EUCLEAN || value == EBADMSG;
    case condition::not_found: return value == ENOENT;
    case condition::closed: return false;
    case condition::no_space: return value == ENOSPC || value == EDQUOT || value == EFBIG;
    // EFBIG is not here: the file size limit of a process does not go away by waiting.
    case condition::retryable:
        return value == ENOSPC || value == EDQUOT || value == EAGAIN || value == EINTR;
    }
    return false;
}

// Boost's base class has no virtual destructor on purpose: categories are never deleted through it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// The ids make two copies of the library in one process (one in a shared object) agree; they are
// arbitrary.
class errc_category final : public sys::error_category {
public:
    errc_category() noexcept : sys::error_category(0x8f6c'1d2e'73a9'b504) {}
    const char* name() const noexcept override { return "caisson"; }
    std::string message(int value) const override {
        if (const char* text = describe(static_cast<errc>(value))) {
            return text;
        }
        return "unknown caisson error " + std::to_string(value);
    }
};

class conditions final : public sys::error_category {
public:
    conditions() noexcept : sys::error_category(0x8f6c'1d2e'73a9'b505) {}
    const char* name() const noexcept override { return "caisson condition"; }
    std::string message(int value) const override {
        switch (static_cast<condition>(value)) {
        case condition::corrupt: return "stored data is damaged";
        case condition::not_found: return "there is no such log";
        case condition::closed: return "closed";
        case condition::no_space: return "no space left";
        case condition::retryable: return "the same call may succeed later";
        }
        return "unknown caisson condition " + std::to_string(value);
    }
    bool equivalent(const sys::error_code& code, int value) const noexcept override {
        const auto wanted = static_cast<condition>(value);
        if (code.category() == caisson_category()) {
            return matches(static_cast<errc>(code.value()), wanted);
        }
        if (code.category() == sys::system_category() ||
            code.category() == sys::generic_category()) {
            return errno_matches(code.value(), wanted);
        }
        return false;
    }
};

#pragma GCC diagnostic pop

}  // namespace

const sys::error_category& caisson_category() noexcept {
    static const errc_category instance;
    return instance;
}

const sys::error_category& condition_category() noexcept {
    static const conditions instance;
    return instance;
}

}  // namespace caisson
