#pragma once
// view_core: the home side of one log_view: the directory's source, the facts found when it was
// opened, and its operations. Knows nothing about engines. Read docs/architecture.md, "Reading".

#include <caisson/config.hpp>
#include <caisson/failure.hpp>
#include <caisson/log_view.hpp>

#include "log/directory_source.hpp"
#include "log/read_source.hpp"
#include "log/segment_end.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace caisson::log_detail {

class view_core final : public source_client {
public:
    /// As open_view().
    static net::awaitable<detailed<std::shared_ptr<view_core>>> open(
        io::environment& world, std::shared_ptr<home_entry> entry, std::string path);

    // ---- any thread
    void start(std::shared_ptr<view_core> self, detail::verify_operation& operation) noexcept;
    void start(std::shared_ptr<view_core> self, detail::walk_operation& operation) noexcept;
    [[nodiscard]] const view_facts& facts() const noexcept { return facts_; }
    [[nodiscard]] const net::any_io_executor& home() const noexcept { return entry_->executor(); }
    [[nodiscard]] const std::shared_ptr<home_entry>& entry() const noexcept { return entry_; }
    [[nodiscard]] const std::shared_ptr<directory_source>& source() const noexcept {
        return source_;
    }

    // ---- at home
    void source_closing() noexcept override;

private:
    template <class Operation>
    class arriving;
    template <class Operation>
    class answering;
    class retiring final : public home_task {
    public:
        explicit retiring(view_core& core) noexcept : home_task(&retiring::arrived), core_(core) {}

    private:
        static void arrived(home_task& task, arrival how) noexcept;
        view_core& core_;
    };

    view_core(std::shared_ptr<directory_source> source, std::shared_ptr<home_entry> entry);
    ~view_core() override;

    template <class Operation>
    void enter(std::shared_ptr<view_core> self, Operation& operation) noexcept;
    void run(std::shared_ptr<view_core> self, detail::verify_operation& operation);
    void run(std::shared_ptr<view_core> self, detail::walk_operation& operation);
    void on_operation_ended() noexcept;
    void let_go() noexcept;
    net::awaitable<detailed<void>> look();
    net::awaitable<detailed<void>> look_at_tail();
    void take_state();
    void take_tail(const segment_cursor& cursor, const end_verdict& verdict,
                   const commit_facts& last);

    std::shared_ptr<home_entry> entry_;
    std::shared_ptr<directory_source> source_;
    view_facts facts_;  // constant once `open` has completed
    retiring retire_task_{*this};

    /// An operation that is not answered yet, and how to answer that the view was closed.
    struct owed_operation {
        detail::operation_node* operation;
        void (*end)(detail::operation_node&, const net::any_io_executor& home);
    };
    /// False: it was answered already, when the source closed.
    bool claim(const detail::operation_node* operation) noexcept;

    // Home only.
    std::vector<owed_operation> owed_;
    std::uint64_t operations_running_ = 0;  ///< coroutines, answered or not
    bool is_attached_ = false;
};

/// Opens a log directory for reading only.
///
/// Errors: errc::{log_not_found, not_a_directory}; of the system. What is wrong in the files is in
///         the facts, or found by readers and verification.
net::awaitable<detailed<std::shared_ptr<view_core>>> open_view(io::environment& world,
                                                               std::shared_ptr<home_entry> entry,
                                                               std::string path);

}  // namespace caisson::log_detail
