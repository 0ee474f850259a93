// What a power cut does to names: directory entries are volatile until their directory is synced,
// whatever happens to the files. Method: each script runs under many seeds; the set of directories
// seen afterwards is the claim.

#include "unit/sim/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <functional>
#include <set>

namespace caisson::sim {
namespace {

using names = std::vector<std::string>;

/// "/log" with the subdirectory "spare", both durable, both open.
struct prepared_directories {
    explicit prepared_directories(machine& on) : root(on.root()), spare(on.below(*root, "spare")) {
        on.sync(*root);
    }
    std::unique_ptr<io::directory> root;
    std::unique_ptr<io::directory> spare;
};

std::set<names> after_crashes(name_survival mode,
                              const std::function<void(machine&, prepared_directories&)>& script) {
    std::set<names> seen;
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        world_options options = quiet();
        options.names = mode;
        machine machine(seed, options);
        prepared_directories prepared(machine);
        script(machine, prepared);
        machine.world.crash();
        names found = *machine.world.disk().list("/log");
        std::erase(found, "spare");
        const names spares = *machine.world.disk().list("/log/spare");
        for (const std::string& name : spares) {
            found.push_back("spare/" + name);
        }
        seen.insert(found);
    }
    return seen;
}

TEST_CASE("a new name may be lost until its directory is synced; syncing the file does not help",
          "[sim][names]") {
    const auto make = [](machine& on, prepared_directories& in) {
        const auto file = on.create(*in.root, "a");
        on.fill(*file, 1, 0);
        REQUIRE(on.sync(*file) == 0);
    };
    REQUIRE(after_crashes(name_survival::subset, make) == std::set<names>{{}, {"a"}});
    REQUIRE(after_crashes(name_survival::nothing, make) == std::set<names>{{}});
    REQUIRE(after_crashes(name_survival::subset, [&](machine& on, prepared_directories& in) {
                make(on, in);
                REQUIRE(on.sync(*in.root) == 0);
            }) == std::set<names>{{"a"}});
}

TEST_CASE("a durable name may stand over a file whose content is lost", "[sim][names]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        machine machine(seed);
        prepared_directories prepared(machine);
        const auto file = machine.create(*prepared.root, "a");
        machine.fill(*file, 1, 0);
        machine.sync(*prepared.root);
        machine.world.crash(survival::nothing, name_survival::nothing);
        REQUIRE(machine.world.disk().read_file("/log/a")->empty());
    }
}

TEST_CASE("prefix keeps the order of changes, subset only what they need", "[sim][names]") {
    const auto three = [](machine& on, prepared_directories& in) {
        for (const char* name : {"a", "b", "c"}) {
            on.create(*in.root, name);
        }
    };
    REQUIRE(after_crashes(name_survival::prefix, three) ==
            std::set<names>{{}, {"a"}, {"a", "b"}, {"a", "b", "c"}});
    REQUIRE(after_crashes(name_survival::subset, three).size() == 8);
}

TEST_CASE("a rename within a directory is whole, and needs the change before it", "[sim][names]") {
    const auto replace = [](machine& on, prepared_directories& in) {
        on.create(*in.root, "old");
        on.sync(*in.root);
        on.create(*in.root, "tmp");
        REQUIRE(on.rename(*in.root, "tmp", *in.root, "old", true) == 0);
    };
    // Never neither, never "tmp" kept beside the renamed one.
    REQUIRE(after_crashes(name_survival::subset, replace) ==
            std::set<names>{{"old"}, {"old", "tmp"}});
    std::set<std::uint64_t> inodes;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        machine machine(seed);
        prepared_directories prepared(machine);
        replace(machine, prepared);
        machine.world.crash(survival::everything, name_survival::subset);
        machine.world.power_on();
        const auto root = machine.root();
        inodes.insert(machine.status(*machine.open(*root, "old", io::open_mode::read)).inode);
    }
    REQUIRE(inodes.size() == 2);
}

TEST_CASE("a rename across directories is durable on each side when that side is synced",
          "[sim][names]") {
    const auto move = [](machine& on, prepared_directories& in) {
        on.create(*in.spare, "s");
        on.sync(*in.spare);
        REQUIRE(on.rename(*in.spare, "s", *in.root, "a") == 0);
    };
    const auto with = [&](bool root, bool spare) {
        return after_crashes(name_survival::subset,
                             [&, root, spare](machine& on, prepared_directories& in) {
                                 move(on, in);
                                 if (root) {
                                     on.sync(*in.root);
                                 }
                                 if (spare) {
                                     on.sync(*in.spare);
                                 }
                             });
    };
    const names old_name{"spare/s"};
    const names new_name{"a"};
    const names both{"a", "spare/s"};
    REQUIRE(with(false, false) == std::set<names>{{}, old_name, new_name, both});
    REQUIRE(with(true, false) == std::set<names>{new_name, both});
    REQUIRE(with(false, true) == std::set<names>{{}, new_name});
    REQUIRE(with(true, true) == std::set<names>{new_name});
}

TEST_CASE("an unlink may be undone until its directory is synced, and the content with it",
          "[sim][names]") {
    const auto remove = [](machine& on, prepared_directories& in) {
        const auto file = on.create(*in.root, "a");
        on.fill(*file, 7, 0, 1, io::write_mode::dsync);
        on.sync(*in.root);
        REQUIRE(on.unlink(*in.root, "a") == 0);
        REQUIRE(on.list(*in.root) == names{"spare"});
    };
    REQUIRE(after_crashes(name_survival::subset, remove) == std::set<names>{{}, {"a"}});
    machine machine;
    prepared_directories prepared(machine);
    remove(machine, prepared);
    machine.world.crash(survival::nothing, name_survival::nothing);
    REQUIRE(value_of(machine.world.disk().read_file("/log/a"), 0) == 7);
}

TEST_CASE("a new directory may be lost with everything in it, also what was synced there",
          "[sim][names]") {
    std::set<bool> exists;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        world_options options = quiet();
        options.names = name_survival::subset;
        machine machine(seed, options);
        const auto root = machine.root();
        const auto made = machine.below(*root, "sub");
        const auto file = machine.create(*made, "a");
        machine.fill(*file, 1, 0, 1, io::write_mode::dsync);
        machine.sync(*made);
        machine.world.crash();
        exists.insert(machine.world.disk().exists("/log/sub/a"));
    }
    REQUIRE(exists.size() == 2);
}

TEST_CASE("a directory sync covers only changes that had completed when it was called",
          "[sim][names]") {
    const auto race = [](machine& on, prepared_directories& in) {
        observed_operation create;
        observed_operation sync;
        std::unique_ptr<io::file> file;
        in.root->start_open(create, "a", io::open_mode::create_direct, file);
        in.root->start_sync(sync);
        while (!create.is_done || !sync.is_done) {
            on.world.step();
        }
    };
    REQUIRE(after_crashes(name_survival::subset, race) == std::set<names>{{}, {"a"}});
}

TEST_CASE("changes of names in flight at the power cut may or may not have happened",
          "[sim][names]") {
    const auto start = [](machine& on, prepared_directories& in) {
        on.create(*in.root, "a");
        on.create(*in.root, "b");
        on.create(*in.root, "c");
        on.sync(*in.root);
        observed_operation rename;
        observed_operation unlink;
        observed_operation create;
        std::unique_ptr<io::file> file;
        in.root->start_rename(rename, "a", *in.root, "x", false);
        in.root->start_unlink(unlink, "b");
        in.root->start_open(create, "d", io::open_mode::create_direct, file);
        on.world.crash();
        REQUIRE(create.outcome == io::operation::abandoned);
    };
    std::set<names> seen;
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        machine machine(seed);
        prepared_directories prepared(machine);
        start(machine, prepared);
        seen.insert(*machine.world.disk().list("/log"));
    }
    REQUIRE(seen.contains({"a", "b", "c", "spare"}));
    REQUIRE(seen.contains({"c", "d", "spare", "x"}));
    REQUIRE(seen.size() == 8);
}

TEST_CASE("a root directory that open made is durable", "[sim][names]") {
    machine machine;
    const auto root = machine.root("/fresh");
    machine.world.crash(survival::nothing, name_survival::nothing);
    REQUIRE(machine.world.disk().exists("/fresh"));
}

TEST_CASE("names obey the seam: what exists, what is missing, what is of another kind",
          "[sim][names]") {
    machine machine;
    prepared_directories in(machine);
    machine.create(*in.root, "a");
    machine.world.disk().make_symlink("/log/link");
    machine.world.disk().link("/log/a", "/log/second");
    machine.create(*in.root, "plain");

    const auto open = [&](const char* name, io::open_mode mode) {
        machine.open(*in.root, name, mode);
        return machine.last;
    };
    CHECK(open("plain", io::open_mode::write_direct) == 0);
    CHECK(open("plain", io::open_mode::create) == -EEXIST);
    CHECK(open("missing", io::open_mode::read) == -ENOENT);
    CHECK(open("spare", io::open_mode::read) == -EISDIR);
    CHECK(open("link", io::open_mode::read) == -ELOOP);
    CHECK(open("a", io::open_mode::read) == -EINVAL);  // two links
    CHECK(open("..", io::open_mode::read) == -EINVAL);
    CHECK(open(".", io::open_mode::create) == -EINVAL);
    CHECK(open("", io::open_mode::create) == -EINVAL);
    CHECK(open("spare/x", io::open_mode::create) == -EINVAL);
    CHECK(open(std::string(256, 'n').c_str(), io::open_mode::create) == -ENAMETOOLONG);

    CHECK(machine.rename(*in.root, "missing", *in.root, "b") == -ENOENT);
    CHECK(machine.rename(*in.root, "plain", *in.root, "a") == -EEXIST);
    CHECK(machine.rename(*in.root, "plain", *in.root, "spare", true) == -EISDIR);
    CHECK(machine.rename(*in.root, "plain", *in.root, "a/b") == -EINVAL);
    CHECK(machine.unlink(*in.root, "missing") == -ENOENT);
    CHECK(machine.unlink(*in.root, "spare") == -EISDIR);
    CHECK(machine.unlink(*in.root, "a") == 0);
    CHECK(open("second", io::open_mode::read) == 0);  // one link again

    CHECK(machine.below(*in.root, "plain") == nullptr);
    CHECK(machine.last == -ENOTDIR);
    CHECK(machine.below(*in.root, "none", false) == nullptr);
    CHECK(machine.last == -ENOENT);
    CHECK(machine.root("/missing", io::root_mode::existing) == nullptr);
    CHECK(machine.last == -ENOENT);
    CHECK(machine.root("/missing/below") == nullptr);
    CHECK(machine.last == -ENOENT);
    CHECK(machine.root("/log/plain") == nullptr);
    CHECK(machine.last == -ENOTDIR);
    CHECK(machine.root("/log/plain/below") == nullptr);
    CHECK(machine.last == -ENOTDIR);
}

TEST_CASE("a read-only file system refuses every change and allows every read", "[sim][names]") {
    machine machine;
    prepared_directories in(machine);
    machine.fill(*machine.create(*in.root, "a"), 1, 0);
    machine.world.set_read_only(true);
    machine.create(*in.root, "b");
    CHECK(machine.last == -EROFS);
    machine.open(*in.root, "a", io::open_mode::write_direct);
    CHECK(machine.last == -EROFS);
    CHECK(machine.rename(*in.root, "a", *in.root, "b") == -EROFS);
    CHECK(machine.unlink(*in.root, "a") == -EROFS);
    CHECK(machine.lock(*in.root) == nullptr);
    CHECK(machine.last == -EROFS);
    CHECK(machine.below(*in.root, "new") == nullptr);
    CHECK(machine.last == -EROFS);
    const auto file = machine.open(*in.root, "a", io::open_mode::read_direct);
    REQUIRE(file != nullptr);
    CHECK(machine.read(*file, 0, block_bytes).size() == block_bytes);
}

TEST_CASE("an unlinked file stays readable for those who have it open, and its space goes with the "
          "last of them",
          "[sim][names]") {
    machine machine;
    prepared_directories in(machine);
    auto file = machine.create(*in.root, "a");
    machine.fill(*file, 5, 0, 2);
    machine.unlink(*in.root, "a");
    machine.sync(*in.root);
    REQUIRE(machine.read(*file, 0, block_bytes)[0] == std::byte{5});
    REQUIRE(machine.world.used_bytes() == 2 * block_bytes);
    file.reset();
    REQUIRE(machine.world.used_bytes() == 0);
}

TEST_CASE("a directory lists in no promised order", "[sim][names]") {
    std::set<names> orders;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        machine machine(seed);
        prepared_directories in(machine);
        for (const char* name : {"a", "b", "c"}) {
            machine.create(*in.root, name);
        }
        std::vector<io::directory_entry> entries;
        machine.finish([&](io::operation& op) { in.root->start_list(op, entries); });
        names order;
        for (const auto& each : entries) {
            order.push_back(each.name);
            REQUIRE(each.kind ==
                    (each.name == "spare" ? io::entry_kind::directory : io::entry_kind::file));
        }
        orders.insert(order);
    }
    REQUIRE(orders.size() > 10);
}

}  // namespace
}  // namespace caisson::sim
