#pragma once
// The io seam's disk, directory, file and lock as thin handles on the device. A handle belongs to
// one life: when that is over, what is started on it is kept until the world abandons it, and
// destroying it does nothing.

#include "io/disk.hpp"
#include "sim/device.hpp"

#include <string>

namespace caisson::sim {

class disk_handle final : public io::disk {
public:
    disk_handle(device& on, life_state& life) noexcept : device_(on), life_(life) {}

    void start_open_root(io::operation& op, std::string_view path, io::root_mode mode,
                         std::unique_ptr<io::directory>& into) override;
    void submit() override {}
    void cancel(io::operation& op) override { device_.cancel(op); }
    void register_memory(std::span<std::byte> /*memory*/) override {}
    [[nodiscard]] std::uint64_t operations_in_flight() const noexcept override {
        return device_.in_flight(life_);
    }
    [[nodiscard]] bool powered_off() const noexcept override { return life_.is_over; }

private:
    device& device_;
    life_state& life_;
};

class directory_handle final : public io::directory {
public:
    directory_handle(device& on, life_state& life, node_id id, std::string path,
                     std::string name) noexcept
        : device_(on), life_(life), id_(id), path_(std::move(path)), name_(std::move(name)) {}
    ~directory_handle() override { device_.release_handle(id_, life_); }

    [[nodiscard]] const std::string& path() const noexcept override { return path_; }
    [[nodiscard]] const io::file_system_traits& traits() const noexcept override {
        return device_.traits();
    }
    [[nodiscard]] node_id id() const noexcept { return id_; }

    void start_list(io::operation& op, std::vector<io::directory_entry>& into) override;
    void start_open(io::operation& op, std::string_view name, io::open_mode mode,
                    std::unique_ptr<io::file>& into) override;
    void start_open_directory(io::operation& op, std::string_view name, bool create,
                              std::unique_ptr<io::directory>& into) override;
    void start_rename(io::operation& op, std::string_view from, io::directory& to_directory,
                      std::string_view to, bool replace) override;
    void start_unlink(io::operation& op, std::string_view name) override;
    void start_sync(io::operation& op) override;
    void start_lock(io::operation& op, std::string_view name,
                    std::unique_ptr<io::directory_lock>& into) override;

private:
    [[nodiscard]] request_data ask(operation_kind kind, std::string_view name) const;

    device& device_;
    life_state& life_;
    node_id id_;
    std::string path_;
    std::string name_;  // last component, what faults are matched with
};

class file_handle final : public io::file {
public:
    file_handle(device& on, life_state& life, node_id id, std::string name,
                io::open_mode mode) noexcept
        : device_(on), life_(life), id_(id), name_(std::move(name)), mode_(mode) {}
    ~file_handle() override { device_.release_handle(id_, life_); }

    [[nodiscard]] std::uint32_t block_size_bytes() const noexcept override {
        return device_.options().block_size_bytes;
    }
    [[nodiscard]] bool is_direct() const noexcept override;
    void start_read(io::operation& op, std::span<std::byte> into,
                    std::uint64_t position_bytes) override;
    void start_write(io::operation& op, std::span<const std::byte> from,
                     std::uint64_t position_bytes, io::write_mode mode) override;
    void start_sync(io::operation& op) override;
    void start_truncate(io::operation& op, std::uint64_t length_bytes) override;
    void start_allocate(io::operation& op, std::uint64_t begin_bytes,
                        std::uint64_t end_bytes) override;
    void start_status(io::operation& op, io::file_status& status) override;

private:
    [[nodiscard]] request_data ask(operation_kind kind) const;
    [[nodiscard]] bool is_writable() const noexcept;
    [[nodiscard]] std::int64_t check_alignment(const void* memory, std::uint64_t bytes,
                                               std::uint64_t position) const noexcept;

    device& device_;
    life_state& life_;
    node_id id_;
    std::string name_;
    io::open_mode mode_;
};

class lock_handle final : public io::directory_lock {
public:
    lock_handle(device& on, life_state& life, node_id file, std::uint64_t holder) noexcept
        : device_(on), life_(life), file_(file), holder_(holder) {}
    ~lock_handle() override {
        if (!life_.is_over) {
            device_.release_lock(file_, holder_);
        }
    }

private:
    device& device_;
    life_state& life_;
    node_id file_;
    std::uint64_t holder_;
};

}  // namespace caisson::sim
