# The command on real ext4, XFS and btrfs: a kill, rotation and recovery on each, and what a full or read-only one does.
# On a full disk there is one error that says so, what was acknowledged is there, and with space the log goes on.
# Needs root and loop devices.

import os
import re
import unittest

from command_case import CommandCase, ERROR, OK, run_tests
from loop_file_system import LoopFileSystem, enter_private_mounts

READING_VERBS = ("cat", "verify", "dump", "stat")


def setUpModule():
    enter_private_mounts()


def lines_of(count, size):
    return b"".join(b"%07d %s\n" % (i, b"p" * size) for i in range(count))


class FileSystemCase(CommandCase):
    KIND = None

    def setUp(self):
        super().setUp()
        self.disk = LoopFileSystem(self.KIND, self.scratch)
        self.addCleanup(self.disk.close)
        self.log = os.path.join(self.disk.volume, "log")


class OnAnyFileSystem:
    """What holds on each kind."""

    def test_a_killed_writer_leaves_what_it_acknowledged_and_the_log_goes_on(self):
        data = lines_of(60_000, 300)
        acknowledged = self.append_until_killed(data, 10_000, "--segment-size", "256K")
        self.expect_stored(data, acknowledged)
        self.assertEqual(self.caisson("append", self.log).code, OK)  # recovers
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        stored = self.expect_stored(data, acknowledged)
        self.assertGreater(len(self.segments()), 10)
        self.append(data[len(stored):], "--segment-size", "256K", "--quiet")
        self.assertEqual(self.cat(), data)
        for verb in READING_VERBS:
            self.assertEqual(self.caisson(verb, self.log).code, OK)
        self.assertIn("closed_cleanly: true", self.caisson("stat", self.log).text)

    def fill(self, data, *arguments):
        """Appends until the disk is full; returns what the log holds then."""
        done = self.caisson("append", self.log, *arguments, stdin=data)
        self.expect_error(done, ERROR, self.log, "space", "free", "line %d:" % (len(done.offsets) + 1), "stored")
        self.assertEqual(done.offsets, list(range(len(done.offsets))))
        self.assertGreater(len(done.offsets), 0)
        return self.expect_stored(data, len(done.offsets))

    def live_through_a_full_disk(self, *arguments):
        data = lines_of(50_000, 1000)
        self.disk.leave_free(20 << 20)
        stored = self.fill(data, *arguments)
        for verb in READING_VERBS:  # with a torn tail where the last write itself met the end of the space
            self.assertIn(self.caisson(verb, self.log).code, (OK, 3))

        # Full as it is, again: what still fits is kept, the rest refused.
        again = self.caisson("append", self.log, *arguments, stdin=data[len(stored):])
        self.expect_refused_for_space(again)
        stored = self.expect_stored(data, stored.count(b"\n") + len(again.offsets))
        self.disk.take_everything()
        again = self.caisson("append", self.log, *arguments, stdin=data[len(stored):])
        self.expect_refused_for_space(again)
        stored = self.expect_stored(data, stored.count(b"\n") + len(again.offsets))
        opened = self.caisson("append", self.log)
        if opened.code != OK:
            self.expect_refused_for_space(opened)

        self.disk.give_space_back()
        rest = data[len(stored):len(stored) + 100_000]
        rest = rest[:rest.rfind(b"\n") + 1]
        done = self.caisson("append", self.log, *arguments, stdin=rest)
        self.assertEqual(done.code, OK, done.err)
        self.assertEqual(self.cat(), stored + rest)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def expect_refused_for_space(self, outcome):
        """The last line says why; before it there may be one that tells what recovery cut."""
        self.assertEqual(outcome.code, ERROR, outcome.err)
        lines = outcome.err.splitlines()
        self.assertIn("space", lines[-1])
        self.assertIn("free", lines[-1])
        self.assertIn(self.log, lines[-1])
        for line in lines[:-1]:
            self.assertRegex(line, "unfinished write of [0-9]+ bytes was cut")

    def test_d25_a_full_disk(self):
        self.live_through_a_full_disk()

    def test_d25_a_full_disk_while_segments_rotate(self):
        self.live_through_a_full_disk("--segment-size", "256K")

    def test_a_disk_that_fills_up_during_the_creation_of_a_log(self):
        # Every step of a creation meets the end of the space once.
        outcomes = set()
        for free in range(0, 240 << 10, 8 << 10):
            with self.subTest(free=free):
                self.log = os.path.join(self.disk.volume, "log-%d" % free)
                self.disk.leave_free(64 << 10)
                self.disk.take_everything()
                with open(os.path.join(self.disk.volume, "ballast"), "r+b") as ballast:
                    ballast.truncate(max(os.fstat(ballast.fileno()).st_size - free, 0))
                os.sync()
                done = self.caisson("append", self.log, stdin=b"a\n")
                outcomes.add(done.code)
                if done.code != OK:
                    # Where blocks are copied on write, the record may fit and the mark of the close not.
                    self.expect_error(done, ERROR, self.log, "space", "free")
                self.disk.give_space_back()
                self.assertEqual(self.append(b"b\n").offsets, [len(done.offsets)])
                self.assertEqual(self.cat(), b"a\n" * len(done.offsets) + b"b\n")
                self.assertEqual(self.caisson("verify", self.log).code, OK)
        self.assertIn(ERROR, outcomes)

    def test_a_read_only_file_system_is_named_and_can_be_read(self):
        self.append(b"a\n")
        self.disk.remount("ro")
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), ERROR, self.log, "read-only", "remount")
        new = os.path.join(self.disk.volume, "new")
        self.expect_error(self.caisson("append", new, stdin=b"b\n"), ERROR, new, "read-only", "remount")
        for verb in READING_VERBS:
            self.assertEqual(self.caisson(verb, self.log).code, OK)
        self.assertEqual(self.cat(), b"a\n")
        self.disk.remount("rw")
        self.append(b"b\n")
        self.assertEqual(self.cat(), b"a\nb\n")


class OnExt4(OnAnyFileSystem, FileSystemCase):
    KIND = "ext4"


class OnXfs(OnAnyFileSystem, FileSystemCase):
    KIND = "xfs"


class OnBtrfs(OnAnyFileSystem, FileSystemCase):
    KIND = "btrfs"


if __name__ == "__main__":
    run_tests()
