// STATE and segments of a new log.

#include "log/creation.hpp"

#include "base/aligned_buffer.hpp"
#include "base/endian.hpp"
#include "format/names.hpp"
#include "format/segment_header.hpp"
#include "io/await.hpp"
#include "log/directory.hpp"

#include <array>
#include <utility>

namespace caisson::log_detail {
namespace {

// The header alone, cut to its exact length and durable; direct writes come in whole blocks.
net::awaitable<detailed<void>> write_header(io::file& file, std::string path) {
    const std::uint64_t block = file.block_size_bytes();
    aligned_buffer buffer = aligned_buffer::allocate(block, block, aligned_buffer::fill::zeroed);
    if (!buffer) {
        co_return no_memory(std::move(path));
    }
    format::encode_segment_header(buffer.bytes());
    auto done = co_await io::write(file, buffer.bytes(), 0, io::write_mode::plain);
    if (done) {
        done = co_await io::truncate(file, format::layout::segment_header::size_bytes);
    }
    if (done) {
        done = co_await io::sync(file);
    }
    if (!done) {
        co_return call_failed(done.error(), path, "", "write the segment's header");
    }
    co_return success();
}

}  // namespace

failure no_memory(std::string path) {
    return failure(make_error_code(boost::system::errc::not_enough_memory), "no memory for a block")
        .in_file(std::move(path));
}

net::awaitable<detailed<opened_segment>> open_segment(io::directory& root, log_offset begin,
                                                      io::open_mode mode) {
    const std::string name = format::segment_name(begin);
    auto file = co_await io::open(root, name, mode);
    if (!file) {
        co_return call_failed(file.error(), root.path(), name, "open the segment");
    }
    auto status = co_await io::status(*file.value());
    if (!status) {
        co_return call_failed(status.error(), root.path(), name, "look at the segment");
    }
    opened_segment opened;
    opened.file = std::move(file).value();
    opened.length_bytes = status.value().length_bytes;
    co_return std::move(opened);
}

// STATE comes before any segment: a segment without STATE can then never be a creation that a crash
// interrupted.
net::awaitable<detailed<std::unique_ptr<state_store>>> make_state(io::random& random,
                                                                  io::directory& root) {
    BOOST_OUTCOME_CO_TRYV(co_await sync_names(root));  // LOCK
    format::log_state first;
    std::array<std::byte, sizeof first.log_id> id{};
    while (first.log_id == 0) {
        random.fill(id);
        first.log_id = load_le<std::uint64_t>(id.data());
    }
    first.block_size_bytes = root.traits().block_size_bytes;
    co_return co_await state_store::create(root, first);
}

// Made under another name and renamed when its header is durable: a segment that has a name has a
// header.
net::awaitable<detailed<void>> make_segment(io::directory& root, log_offset begin) {
    BOOST_OUTCOME_CO_TRY(auto spare, co_await open_below(root, format::spare_directory_name));
    BOOST_OUTCOME_CO_TRYV(co_await empty_spare(*spare));
    const std::string name = format::segment_name(begin);
    auto created = co_await io::open(*spare, name, io::open_mode::create_direct);
    if (!created) {
        co_return call_failed(created.error(), spare->path(), name, "create the segment");
    }
    BOOST_OUTCOME_CO_TRYV(co_await write_header(*created.value(), path_of(*spare, name)));
    auto renamed = co_await io::rename(*spare, name, root, name, true);
    if (!renamed) {
        co_return call_failed(renamed.error(), root.path(), name, "give the segment its name");
    }
    BOOST_OUTCOME_CO_TRYV(co_await sync_names(*spare));
    co_return co_await sync_names(root);
}

}  // namespace caisson::log_detail
