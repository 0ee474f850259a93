#include "sim/handles.hpp"

#include <bit>
#include <cerrno>
#include <cstdint>

namespace caisson::sim {

void disk_handle::start_open_root(io::operation& op, std::string_view path, io::root_mode mode,
                                  std::unique_ptr<io::directory>& into) {
    request_data asked;
    asked.kind = operation_kind::open_root;
    asked.name = path;
    asked.flag = mode != io::root_mode::existing;
    asked.result = &into;
    device_.start(life_, op, std::move(asked));
}

request_data directory_handle::ask(operation_kind kind, std::string_view name) const {
    request_data asked;
    asked.kind = kind;
    asked.target = id_;
    asked.name = name;
    return asked;
}

void directory_handle::start_list(io::operation& op, std::vector<io::directory_entry>& into) {
    request_data asked = ask(operation_kind::list, name_);
    asked.result = &into;
    device_.start(life_, op, std::move(asked));
}

void directory_handle::start_open(io::operation& op, std::string_view name, io::open_mode mode,
                                  std::unique_ptr<io::file>& into) {
    const bool creates = mode == io::open_mode::create || mode == io::open_mode::create_direct;
    request_data asked = ask(creates ? operation_kind::create : operation_kind::open, name);
    asked.mode = mode;
    asked.result = &into;
    device_.start(life_, op, std::move(asked), check_name(name));
}

void directory_handle::start_open_directory(io::operation& op, std::string_view name, bool create,
                                            std::unique_ptr<io::directory>& into) {
    request_data asked = ask(operation_kind::open_directory, name);
    asked.new_name = path_ + "/" + asked.name;
    asked.flag = create;
    asked.result = &into;
    device_.start(life_, op, std::move(asked), check_name(name));
}

void directory_handle::start_rename(io::operation& op, std::string_view from,
                                    io::directory& to_directory, std::string_view to,
                                    bool replace) {
    request_data asked = ask(operation_kind::rename, from);
    asked.new_name = to;
    asked.directory = static_cast<directory_handle&>(to_directory).id();
    asked.flag = replace;
    const std::int64_t from_check = check_name(from);
    device_.start(life_, op, std::move(asked), from_check != 0 ? from_check : check_name(to));
}

void directory_handle::start_unlink(io::operation& op, std::string_view name) {
    device_.start(life_, op, ask(operation_kind::unlink, name), check_name(name));
}

void directory_handle::start_sync(io::operation& op) {
    device_.start(life_, op, ask(operation_kind::directory_sync, name_));
}

void directory_handle::start_lock(io::operation& op, std::string_view name,
                                  std::unique_ptr<io::directory_lock>& into) {
    request_data asked = ask(operation_kind::lock, name);
    asked.result = &into;
    device_.start(life_, op, std::move(asked), check_name(name));
}

request_data file_handle::ask(operation_kind kind) const {
    request_data asked;
    asked.kind = kind;
    asked.target = id_;
    asked.name = name_;
    return asked;
}

bool file_handle::is_direct() const noexcept {
    const bool wanted = mode_ != io::open_mode::read && mode_ != io::open_mode::create;
    return wanted && device_.options().supports_direct;
}

bool file_handle::is_writable() const noexcept {
    return mode_ != io::open_mode::read && mode_ != io::open_mode::read_direct;
}

std::int64_t file_handle::check_alignment(const void* memory, std::uint64_t bytes,
                                          std::uint64_t position) const noexcept {
    // One bit anywhere below the block size is a misalignment of one of the three.
    const std::uint64_t bits = std::bit_cast<std::uintptr_t>(memory) | bytes | position;
    return is_direct() && (bits & (block_size_bytes() - 1)) != 0 ? -EINVAL : 0;
}

void file_handle::start_read(io::operation& op, std::span<std::byte> into,
                             std::uint64_t position_bytes) {
    request_data asked = ask(operation_kind::read);
    asked.into = into;
    asked.range = {position_bytes, position_bytes + into.size()};
    asked.flag = !is_direct();
    device_.start(life_, op, std::move(asked),
                  check_alignment(into.data(), into.size(), position_bytes));
}

void file_handle::start_write(io::operation& op, std::span<const std::byte> from,
                              std::uint64_t position_bytes, io::write_mode mode) {
    request_data asked = ask(operation_kind::write);
    asked.from = from;
    asked.range = {position_bytes, position_bytes + from.size()};
    asked.durability = mode;
    asked.mode = mode_;
    const std::int64_t aligned = check_alignment(from.data(), from.size(), position_bytes);
    device_.start(life_, op, std::move(asked), is_writable() ? aligned : -EBADF);
}

void file_handle::start_sync(io::operation& op) {
    device_.start(life_, op, ask(operation_kind::sync));
}

void file_handle::start_truncate(io::operation& op, std::uint64_t length_bytes) {
    request_data asked = ask(operation_kind::truncate);
    asked.range = {length_bytes, length_bytes};
    device_.start(life_, op, std::move(asked), is_writable() ? 0 : -EINVAL);
}

void file_handle::start_allocate(io::operation& op, std::uint64_t begin_bytes,
                                 std::uint64_t end_bytes) {
    request_data asked = ask(operation_kind::allocate);
    asked.range = {begin_bytes, end_bytes};
    const std::int64_t valid = begin_bytes < end_bytes ? 0 : -EINVAL;
    device_.start(life_, op, std::move(asked), is_writable() ? valid : -EBADF);
}

void file_handle::start_status(io::operation& op, io::file_status& status) {
    request_data asked = ask(operation_kind::status);
    asked.result = &status;
    device_.start(life_, op, std::move(asked));
}

}  // namespace caisson::sim
