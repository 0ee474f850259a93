// Keeping cut bytes.

#include "log/lost_found.hpp"

#include "base/units.hpp"
#include "format/layout.hpp"
#include "format/names.hpp"
#include "io/await.hpp"
#include "log/directory.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

namespace caisson::log_detail {
namespace {

constexpr std::string_view suffix = ".cut";
constexpr std::size_t sequence_digits = 8;
constexpr std::uint64_t copy_bytes = 1_MiB;

struct lost_file {
    std::uint64_t sequence = 0;
    std::string name;
};

// Oldest first. Files that somebody else put there are not counted and never removed.
net::awaitable<detailed<std::vector<lost_file>>> list_lost(io::directory& lost) {
    auto entries = co_await io::list(lost);
    if (!entries) {
        co_return call_failed(entries.error(), lost.path(), "", "list the directory");
    }
    std::vector<lost_file> files;
    for (const io::directory_entry& entry : entries.value()) {
        const auto sequence = lost_file_sequence(entry.name);
        if (sequence && entry.kind == io::entry_kind::file) {
            files.push_back({*sequence, entry.name});
        }
    }
    std::sort(files.begin(), files.end(), [](const lost_file& a, const lost_file& b) {
        return a.sequence != b.sequence ? a.sequence < b.sequence : a.name < b.name;
    });
    co_return std::move(files);
}

net::awaitable<detailed<void>> copy_bytes_to(io::file& to, window_reader& reader, lost_bytes what) {
    const std::uint64_t end =
        what.begin_bytes + std::min(what.end_bytes - what.begin_bytes, what.size_bytes_max);
    for (std::uint64_t position = what.begin_bytes; position < end;) {
        format::byte_need need{position, copy_bytes};
        BOOST_OUTCOME_CO_TRYV(co_await reader.bring(need));
        const auto there = reader.window().from(position);
        const auto piece = there.first(
            static_cast<std::size_t>(std::min<std::uint64_t>(there.size(), end - position)));
        auto written =
            co_await io::write(to, piece, position - what.begin_bytes, io::write_mode::plain);
        if (!written) {
            co_return failure(written.error(),
                              "cannot keep the bytes to be cut: " + written.error().message());
        }
        position += piece.size();
    }
    auto synced = co_await io::sync(to);
    if (!synced) {
        co_return failure(synced.error(),
                          "cannot keep the bytes to be cut: " + synced.error().message());
    }
    co_return success();
}

net::awaitable<detailed<void>> remove_oldest(io::directory& lost) {
    BOOST_OUTCOME_CO_TRY(auto files, co_await list_lost(lost));
    for (std::size_t i = 0; i + lost_files_max < files.size(); ++i) {
        auto removed = co_await io::unlink(lost, files[i].name);
        if (!removed) {
            co_return call_failed(removed.error(), lost.path(), files[i].name, "remove the file");
        }
    }
    co_return success();
}

net::awaitable<detailed<std::string>> keep(io::directory& root, window_reader& reader,
                                           lost_bytes what) {
    auto opened = co_await io::open_directory(root, std::string(format::lost_directory_name), true);
    if (!opened) {
        co_return call_failed(opened.error(), root.path(), format::lost_directory_name,
                              "open the directory");
    }
    const std::unique_ptr<io::directory> lost = std::move(opened).value();
    BOOST_OUTCOME_CO_TRY(auto files, co_await list_lost(*lost));
    const std::uint64_t sequence = files.empty() ? 1 : files.back().sequence + 1;
    const std::string name = lost_file_name(sequence, what.segment_begin, what.begin_bytes);

    auto created = co_await io::open(*lost, name, io::open_mode::create);
    if (!created) {
        co_return call_failed(created.error(), lost->path(), name, "create the file");
    }
    const std::unique_ptr<io::file> file = std::move(created).value();
    auto copied = co_await copy_bytes_to(*file, reader, what);
    if (!copied) {
        // A part of the bytes is worth nothing, least of all on a full disk. That it may stay
        // behind does no harm.
        auto removed = co_await io::unlink(*lost, name);
        static_cast<void>(removed);
        co_return std::move(copied).error();
    }
    // The copy has to outlast the cut: its name first, then the name of lost/ itself, which may be
    // new.
    BOOST_OUTCOME_CO_TRYV(co_await sync_names(*lost));
    BOOST_OUTCOME_CO_TRYV(co_await sync_names(root));
    BOOST_OUTCOME_CO_TRYV(co_await remove_oldest(*lost));
    co_return std::string(format::lost_directory_name) + "/" + name;
}

}  // namespace

std::string lost_file_name(std::uint64_t sequence, log_offset segment_begin,
                           std::uint64_t position_bytes) {
    const std::string number = std::to_string(sequence);
    std::string name(sequence_digits - std::min(sequence_digits, number.size()), '0');
    const std::string segment = format::segment_name(segment_begin);
    name += number + "-" + segment.substr(0, format::layout::name_digits) + "-" +
            std::to_string(position_bytes);
    name += suffix;
    return name;
}

std::optional<std::uint64_t> lost_file_sequence(std::string_view name) noexcept {
    std::uint64_t sequence = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), sequence);
    const auto digits = static_cast<std::size_t>(parsed.ptr - name.data());
    if (parsed.ec != std::errc{} || digits < sequence_digits || digits == name.size() ||
        name[digits] != '-' || !name.ends_with(suffix)) {
        return std::nullopt;
    }
    return sequence;
}

net::awaitable<detailed<std::string>> keep_lost_bytes(io::directory& root, window_reader& reader,
                                                      lost_bytes what) {
    auto kept = co_await keep(root, reader, what);
    if (!kept && kept.error().code() == condition::no_space) {
        co_return std::string();
    }
    co_return kept;
}

}  // namespace caisson::log_detail
