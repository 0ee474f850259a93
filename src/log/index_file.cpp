// Loading and writing of offset index files.

#include "log/index_file.hpp"

#include "base/aligned_buffer.hpp"
#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace caisson::log_detail {

std::optional<loaded_index> loaded_index::from(std::vector<std::byte> bytes) {
    loaded_index index;
    index.bytes_ = std::move(bytes);
    index.entries_ = format::offset_index_view::parse(index.bytes_);
    if (!index.entries_) {
        return std::nullopt;
    }
    return index;
}

bool loaded_index::has_stray_bytes() const noexcept {
    const std::size_t used_bytes = entries_->size() * format::layout::index_entry::size_bytes;
    return std::any_of(bytes_.begin() + static_cast<std::ptrdiff_t>(used_bytes), bytes_.end(),
                       [](std::byte b) { return b != std::byte{0}; });
}

net::awaitable<std::optional<loaded_index>> load_index(io::directory& directory,
                                                       log_offset segment) {
    auto file = co_await io::open(directory, format::index_name(segment), io::open_mode::read);
    if (!file) {
        co_return std::nullopt;
    }
    auto status = co_await io::status(*file.value());
    if (!status || status.value().length_bytes > index_file_bytes_max) {
        co_return std::nullopt;
    }
    const std::uint64_t length_bytes = status.value().length_bytes;
    const std::uint64_t block_bytes = file.value()->block_size_bytes();
    auto memory =
        aligned_buffer::allocate(static_cast<std::size_t>(round_up(length_bytes + 1, block_bytes)),
                                 static_cast<std::size_t>(block_bytes));
    if (!memory) {
        co_return std::nullopt;
    }
    auto read = co_await io::read(*file.value(), memory.bytes(), 0);
    if (!read || read.value() != length_bytes) {
        co_return std::nullopt;
    }
    std::vector<std::byte> bytes(memory.data(), memory.data() + length_bytes);
    co_return loaded_index::from(std::move(bytes));
}

io::task<void> write_index(io::directory& directory, log_offset segment,
                           const format::offset_index_builder& index) {
    const std::vector<std::byte> bytes = index.encode();
    const std::string name = format::index_name(segment);
    BOOST_OUTCOME_CO_TRYV(co_await io::unlink(directory, name));
    BOOST_OUTCOME_CO_TRY(auto file, co_await io::open(directory, name, io::open_mode::create));
    if (bytes.empty()) {
        co_return success();
    }
    const std::uint64_t block_bytes = file->block_size_bytes();
    auto memory = aligned_buffer::allocate(
        static_cast<std::size_t>(round_up(bytes.size(), block_bytes)),
        static_cast<std::size_t>(block_bytes), aligned_buffer::fill::zeroed);
    if (!memory) {
        co_return make_error_code(boost::system::errc::not_enough_memory);
    }
    std::memcpy(memory.data(), bytes.data(), bytes.size());
    BOOST_OUTCOME_CO_TRYV(co_await io::write(*file, memory.bytes(), 0, io::write_mode::plain));
    BOOST_OUTCOME_CO_TRYV(co_await io::truncate(*file, bytes.size()));
    co_return success();
}

}  // namespace caisson::log_detail
