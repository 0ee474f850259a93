# What can be wrong with a directory, an option or an input: each gives one line that names the thing and what to do, the
# right exit code, and what was stored before is still there.

import os
import resource
import shutil
import unittest

from command_case import CAISSON, CommandCase, DAMAGE, ERROR, OK, SOURCE_ROOT, TORN_TAIL

VERBS = ("append", "cat", "verify", "dump", "stat", "format", "bench")
READING_VERBS = ("cat", "verify", "dump", "stat")
NOBODY = 65534


class Usage(CommandCase):
    def test_help_of_every_verb_has_examples(self):
        self.assertIn("Examples:", self.caisson("--help").text)
        for verb in VERBS:
            with self.subTest(verb=verb):
                done = self.caisson(verb, "--help")
                self.assertEqual((done.code, done.err), (OK, ""))
                self.assertIn("Examples:", done.text)
                self.assertIn("caisson " + verb, done.text)

    def test_wrong_usage_is_one_line_and_exit_code_1(self):
        for arguments, words in (
            ((), ("--help",)),
            (("frobnicate",), ("--help",)),
            (("append",), ("DIR", "caisson append --help")),
            (("append", self.log, "--iodepth", "0"), ("iodepth", "caisson append --help")),
            (("append", self.log, "--segment-size", "64Q"), ("64Q", "64M")),
            (("cat", self.log, "--from", "x"), ("--from",)),
            (("cat", self.log, "--output-format", "xml"), ("xml", "caisson cat --help")),
            (("bench", "--runtime", "soon"), ("soon", "5ms")),
            (("bench", "--rw", "erase"), ("erase",)),
            (("format",), ("--describe",)),
        ):
            with self.subTest(arguments=arguments):
                self.expect_error(self.caisson(*arguments), ERROR, *words)

    def test_an_option_that_cannot_work_is_refused_before_anything_is_made(self):
        self.expect_error(self.caisson("append", self.log, "--segment-size", "1K"), ERROR, "segment_size")
        self.assertFalse(os.path.exists(self.path("STATE")))

    def test_format_describe_prints_the_tables(self):
        done = self.caisson("format", "--describe")
        self.assertEqual((done.code, done.err), (OK, ""))
        self.assertIn("trailer", done.text)
        self.assertIn("STATE", done.text)

    def test_version_is_printed(self):
        self.assertTrue(self.caisson("--version").text.startswith("caisson "))


class Directories(CommandCase):
    def test_a_missing_log_is_named(self):
        for verb in READING_VERBS:
            self.expect_error(self.caisson(verb, self.log), ERROR, self.log, "log")
            self.assertFalse(os.path.exists(self.log))
        os.mkdir(self.log)
        for verb in READING_VERBS:
            self.expect_error(self.caisson(verb, self.log), ERROR, self.log, "no log")
        self.assertEqual(os.listdir(self.log), [])

    def test_a_missing_parent_is_named(self):
        self.expect_error(self.caisson("append", os.path.join(self.scratch, "no", "log"), stdin=b"a\n"), ERROR,
                          self.scratch)

    def test_a_file_in_place_of_the_directory_is_named(self):
        with open(self.log, "wb") as file:
            file.write(b"precious")
        for verb in ("append",) + READING_VERBS:
            self.expect_error(self.caisson(verb, self.log), ERROR, self.log, "directory")
        with open(self.log, "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_a_log_that_is_open_elsewhere_is_refused_and_unharmed(self):
        owner = self.start("append", self.log)
        owner.stdin.write(b"a\n")
        owner.stdin.flush()
        self.assertEqual(owner.stdout.readline(), b"0\n")
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), ERROR, self.log, "open")
        owner.stdin.write(b"c\n")
        owner.stdin.close()
        self.assertEqual(owner.wait(timeout=60), OK)
        self.assertEqual(self.cat(), b"a\nc\n")

    def test_tmpfs_is_refused_by_append(self):
        if not os.path.isdir("/dev/shm"):
            self.skipTest("no /dev/shm here")
        directory = "/dev/shm/caisson-test-%d" % os.getpid()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.expect_error(self.caisson("append", directory, stdin=b"a\n"), ERROR, directory, "tmpfs")

    def test_a_directory_that_may_not_be_written_to_is_readable(self):
        self.append(b"a\n")
        how = {}
        if os.geteuid() == 0:  # root may write anywhere: be somebody else
            os.chmod(self.scratch, 0o755)
            for parent, _, names in os.walk(self.log):
                for name in [parent] + [os.path.join(parent, name) for name in names]:
                    os.chown(name, NOBODY, NOBODY)
            how = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        for parent, _, names in os.walk(self.log):
            for name in names:
                os.chmod(os.path.join(parent, name), 0o400)
            os.chmod(parent, 0o500)
        try:
            probe = self.caisson("cat", self.log, **how)
        except PermissionError:
            self.skipTest("another user cannot run " + CAISSON)
        self.assertEqual((probe.code, probe.out), (OK, b"a\n"), probe.err)
        self.assertEqual(self.caisson("verify", self.log, **how).code, OK)
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n", **how), ERROR, self.log, "denied")
        self.assertEqual(self.cat(), b"a\n")

    def test_a_foreign_file_does_no_harm(self):
        self.append(b"a\n")
        with open(self.path("notes.txt"), "wb") as file:
            file.write(b"precious")
        self.append(b"b\n")
        self.assertEqual(self.cat(), b"a\nb\n")
        with open(self.path("notes.txt"), "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_a_file_named_almost_like_a_segment_is_refused_by_name(self):
        self.append(b"a\n")
        with open(self.path("5.stdb.log"), "wb") as file:
            file.write(b"what is this?")
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), ERROR, "5.stdb.log", "move")
        self.assertEqual(self.contents(), before)


class Files(CommandCase):
    def setUp(self):
        super().setUp()
        self.append(b"".join(b"record %d\n" % i for i in range(100)))
        self.stored = self.cat()

    def test_an_unknown_version_is_refused_by_name(self):
        self.patch(self.segments()[0], 6, b"\x02")
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), ERROR, self.segments()[0], "version")
        self.assertEqual(self.contents(), before)

    def test_an_index_of_garbage_is_never_believed(self):
        self.append(b"".join(b"%04d %s\n" % (i, b"p" * 300) for i in range(2000)), "--segment-size", "64K")
        stored = self.cat()
        indexes = [name for name in os.listdir(self.log) if name.endswith(".stdb.ofs")]
        for name in indexes:
            with open(self.path(name), "r+b") as file:
                file.write(os.urandom(4096))
        self.assertEqual(self.cat(), stored)
        self.assertEqual(self.cat("--from", 1500, "--to", 1501), stored.splitlines(keepends=True)[1500])
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        self.append(b"more\n")
        self.assertEqual(self.cat(), stored + b"more\n")

    def test_a_zero_byte_newest_segment_was_never_finished(self):
        with open(self.path("%020d.stdb.log" % 100), "wb"):
            pass
        self.assertEqual(self.caisson("append", self.log, stdin=b"b\n").offsets, [100])
        self.assertEqual(self.cat(), self.stored + b"b\n")
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_a_segment_emptied_after_it_held_records_is_damage(self):
        with open(self.path(self.segments()[0]), "wb"):
            pass
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), DAMAGE, self.segments()[0])
        self.assertEqual(self.caisson("verify", self.log).code, DAMAGE)
        self.assertEqual(self.contents(), before)

    def test_a_missing_state_is_refused_never_taken_for_a_foreign_log(self):
        os.unlink(self.path("STATE"))
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), DAMAGE, self.log, "STATE")
        self.assertEqual(self.contents(), before)
        self.assertEqual(self.caisson("cat", self.log).out, self.stored)

    def test_one_torn_slot_of_state_does_no_harm(self):
        for position in (100, 65536 + 100):
            with self.subTest(position=position):
                self.flip("STATE", position)
                self.append(b"b\n")
                self.stored += b"b\n"
                self.assertEqual(self.cat(), self.stored)
                self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_both_slots_of_state_bad_is_refused(self):
        self.flip("STATE", 100)
        self.flip("STATE", 65536 + 100)
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), DAMAGE, "STATE")
        self.assertEqual(self.caisson("verify", self.log).code, DAMAGE)
        self.assertEqual(self.contents(), before)

    def test_a_missing_segment_is_named(self):
        self.append(b"".join(b"%04d %s\n" % (i, b"p" * 300) for i in range(2000)), "--segment-size", "64K")
        gone = self.segments()[-1]
        os.unlink(self.path(gone))
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), DAMAGE, gone)
        self.assertEqual(self.caisson("verify", self.log).code, DAMAGE)


class Limits(CommandCase):
    def test_a_record_above_the_limit_is_refused_and_what_precedes_it_is_stored(self):
        done = self.caisson("append", self.log, stdin=b"small\n" + b"x" * (17 << 20) + b"\nnever\n")
        self.expect_error(done, ERROR, "line 2", "larger", str(16 << 20))
        self.assertEqual(done.offsets, [0])
        self.assertEqual(self.cat(), b"small\n")

    def test_the_largest_record_is_taken(self):
        data = b"x" * (16 << 20) + b"\n"
        self.append(data)
        self.assertEqual(self.cat(), data)

    def test_a_file_size_limit_is_an_error_not_a_kill(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        data = b"".join(b"%06d %s\n" % (i, b"p" * 1000) for i in range(5000))
        done = self.caisson("append", self.log, stdin=data, preexec_fn=limit)
        self.expect_error(done, ERROR, self.log)
        self.assertIn(self.caisson("verify", self.log).code, (OK, TORN_TAIL))
        self.append(b"")
        stored = self.cat()
        self.assertEqual(stored, data[:len(stored)])
        self.assertGreaterEqual(stored.count(b"\n"), len(done.offsets))


class ForeignLog(CommandCase):
    """A log that a real database wrote (test/golden/README.md has its commits)."""

    COMMITS = ((10, 0, 164929, "64273486"), (164965, 1, 175, "7ae01ede"), (165166, 2, 136, "1af2ef3a"),
               (165328, 3, 136, "21591b15"), (165490, 4, 154, "08bd2304"), (165670, 5, 136, "0d74ea61"),
               (165832, 6, 217, "93850dbe"), (166075, 7, 139, "e6c42e27"), (166240, 8, 139, "58ca3767"))

    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(SOURCE_ROOT, "test", "golden", "spacetimedb-v1.2"), self.log)
        os.chmod(self.log, 0o700)
        self.before = self.contents()

    def tearDown(self):
        self.assertEqual(self.contents(), self.before)

    def test_verify_finds_it_whole(self):
        done = self.caisson("verify", self.log)
        self.assertEqual(done.code, OK, done.text + done.err)
        self.assertIn("[0, 9)", done.text)
        self.assertIn("9 commits", done.text)

    def test_dump_lists_its_nine_commits(self):
        done = self.caisson("dump", self.log)
        self.assertEqual((done.code, done.err), (OK, ""))
        found = [line for line in done.text.splitlines() if line.startswith("commit ")]
        self.assertEqual(found, ["commit byte=%d offsets=[%d,%d) n=1 epoch=0 len=%d crc=%s ok" %
                                 (byte, offset, offset + 1, length, crc) for byte, offset, length, crc in self.COMMITS])

    def test_stat_says_that_it_is_foreign(self):
        lines = self.caisson("stat", self.log).text.splitlines()
        for line in ("foreign: true", "begin: 0", "end: 9", "has_log_id: false", "segment_count: 1", "state: null"):
            self.assertIn(line, lines)

    def test_append_refuses_it_by_name(self):
        self.expect_error(self.caisson("append", self.log, stdin=b"a\n"), ERROR, self.log, "another program")

    def test_cat_prints_its_bytes(self):
        done = self.caisson("cat", self.log, "--from", 1, "--to", 2)
        self.assertEqual((done.code, len(done.out)), (OK, 175 + 1))


if __name__ == "__main__":
    unittest.main()
