// How a failure reads to a person.

#include <caisson/failure.hpp>

namespace caisson {

std::string failure::message() const {
    std::string text;
    if (!file_.empty()) {
        text += file_;
        text += ": ";
    }
    if (position_bytes_) {
        text += "byte " + std::to_string(*position_bytes_) + (offset_ ? ", " : ": ");
    }
    if (offset_) {
        text += "offset " + std::to_string(offset_->value()) + ": ";
    }
    text += detail_.empty() ? code_.message() : detail_;
    if (!advice_.empty()) {
        text += "; " + advice_;
    }
    return text;
}

}  // namespace caisson
