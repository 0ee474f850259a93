# What can be wrong with a directory, an option or an input: each gives one line that names the thing and what to do, the
# right exit code, and what was stored before is still there.

import errno
import fcntl
import json
import os
import resource
import shutil
import subprocess

from command_case import (CAISSON, CommandCase, DAMAGE, ERROR, IO_URING_CALLS, OK, Outcome, SOURCE_ROOT,
                          forbid_system_calls, run_tests)

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
            ((), ("VERB", "caisson --help")),
            (("frobnicate",), ("'frobnicate'", "caisson --help")),
            (("--frobnicate",), ("--help",)),
            (("append",), ("DIR", "caisson append --help")),
            (("append", self.log, "--iodepth", "0"), ("iodepth", "caisson append --help")),
            (("append", self.log, "--segment-size", "64Q"), ("64Q", "64M")),
            (("append", self.log, "--segment-size", "2G"), ("--segment-size", "2G", str(1 << 30))),
            (("append", self.log, "extra"), ("extra", "caisson append --help")),
            (("append", ""), ("DIR", "empty", "caisson append --help")),
            (("cat", ""), ("DIR", "empty", "caisson cat --help")),
            (("cat", self.log, "--from", "x"), ("--from",)),
            (("cat", self.log, "--from", "-1"), ("--from", "-1")),
            (("cat", self.log, "--to", "18446744073709551616"), ("--to", "18446744073709551616")),
            (("dump", self.log, "--limit", "0"), ("--limit", "0")),
            (("cat", self.log, "--output-format", "xml"), ("xml", "caisson cat --help")),
            (("bench", "--runtime", "soon"), ("soon", "5ms")),
            (("bench", "--rw", "erase"), ("erase",)),
            (("format",), ("--describe",)),
        ):
            with self.subTest(arguments=arguments):
                self.expect_error(self.caisson(*arguments), ERROR, *words)

    def test_an_option_that_cannot_work_is_refused_before_anything_is_made(self):
        self.expect_error(self.caisson("append", self.log, "--segment-size", "1K"), ERROR, "--segment-size", "1K")
        self.assertFalse(os.path.exists(self.log))

    def test_help_that_cannot_be_printed_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CAISSON, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, ERROR)
        self.assertIn(b"standard output", done.stderr)

    def test_format_describe_prints_the_tables(self):
        done = self.caisson("format", "--describe")
        self.assertEqual((done.code, done.err), (OK, ""))
        self.assertIn("trailer", done.text)
        self.assertIn("STATE", done.text)

    def test_version_is_printed(self):
        self.assertTrue(self.caisson("--version").text.startswith("caisson "))


class ClosedDescriptors(CommandCase):
    """The ring, the lock or a segment would get the number of a standard descriptor that is closed."""

    DATA = b"a\nb\nc\n"

    def without(self, *descriptors):
        return self.caisson("append", self.log, stdin=self.DATA, timeout=20,
                            preexec_fn=lambda: [os.close(number) for number in descriptors])

    def test_without_standard_input_nothing_is_waited_for(self):
        done = self.without(0)
        self.expect_error(done, ERROR, "standard input")
        self.assertEqual((done.out, self.cat()), (b"", b""))

    def test_without_standard_output_no_offset_is_printed_into_the_log(self):
        done = self.without(1)
        self.expect_error(done, ERROR, "standard output", os.strerror(errno.EBADF), "--quiet")
        self.assertEqual(self.cat(), self.DATA[:len(self.cat())])
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_without_standard_error_everything_else_works(self):
        self.assertEqual((self.without(2).code, self.cat()), (OK, self.DATA))
        self.assertEqual(self.without(0, 1, 2).code, ERROR)
        self.assertEqual(self.cat(), self.DATA)


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

    def hold_the_lock(self):
        """What a dead owner leaves while the kernel still finishes its writes: a lock that nobody will give up."""
        lock = open(self.path("LOCK"), "r+b")
        self.addCleanup(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock

    def test_a_lock_that_a_dead_owner_still_holds_is_waited_for(self):
        self.append(b"a\n")
        lock = self.hold_the_lock()
        successor = self.start("append", self.log)
        successor.stdin.write(b"b\n")
        successor.stdin.close()
        with self.assertRaises(subprocess.TimeoutExpired):
            successor.wait(timeout=0.3)
        lock.close()
        self.assertEqual((successor.wait(timeout=60), successor.stderr.read()), (OK, b""))
        self.assertEqual(self.cat(), b"a\nb\n")

    def test_a_lock_that_stays_taken_is_named_and_readers_do_not_mind(self):
        self.append(b"a\n")
        lock = self.hold_the_lock()
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n"), ERROR, self.path("LOCK"), "open",
                          "previous owner", "again", "waited 5000 ms", "fuser -v " + self.path("LOCK"), "lslocks")
        for verb in READING_VERBS:
            self.assertEqual(self.caisson(verb, self.log).code, OK)
        self.assertEqual(self.contents(), before)
        lock.close()
        self.append(b"b\n")
        self.assertEqual(self.cat(), b"a\nb\n")

    def test_a_link_in_place_of_a_file_of_the_log_is_refused_by_name(self):
        self.append(b"a\n")
        for name in ("STATE", self.segments()[0]):
            with self.subTest(name=name):
                elsewhere = os.path.join(self.scratch, "elsewhere")
                os.rename(self.path(name), elsewhere)
                os.symlink(elsewhere, self.path(name))
                before = self.contents()
                done = self.caisson("append", self.log, stdin=b"b\n")
                self.expect_error(done, ERROR, self.path(name), "symbolic link", "nothing was changed")
                self.assertEqual(self.contents(), before)
                os.rename(elsewhere, self.path(name))
        self.assertEqual(self.cat(), b"a\n")

    def test_tmpfs_is_refused_by_append(self):
        if not os.path.isdir("/dev/shm"):
            self.skipTest("no /dev/shm here")
        directory = "/dev/shm/caisson-test-%d" % os.getpid()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.expect_error(self.caisson("append", directory, stdin=b"a\n"), ERROR, directory, "tmpfs",
                          "put the log on a local disk")
        self.assertFalse(os.path.exists(directory))
        os.mkdir(directory)
        self.expect_error(self.caisson("append", directory, stdin=b"a\n"), ERROR, directory, "tmpfs")
        self.assertEqual(os.listdir(directory), [])  # what was there is not removed

    def become_somebody_else(self):
        """How to run the command so that permissions and limits count: root is above them."""
        if os.geteuid() != 0:
            return {}
        os.chmod(self.scratch, 0o755)
        for parent, _, names in os.walk(self.log):
            for name in [parent] + [os.path.join(parent, name) for name in names]:
                os.chown(name, NOBODY, NOBODY)
        how = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        try:
            self.caisson("--version", **how)
        except PermissionError:
            self.skipTest("another user cannot run " + CAISSON)
        return how

    def test_what_may_not_be_read_is_named_with_the_right_that_is_missing(self):
        self.append(b"a\n")
        how = self.become_somebody_else()
        for path, mode in ((self.path(self.segments()[0]), 0o600), (self.path("STATE"), 0o600), (self.log, 0o700)):
            os.chmod(path, 0)
            for verb in READING_VERBS:
                with self.subTest(path=path, verb=verb):
                    done = self.caisson(verb, self.log, **how)
                    self.expect_error(done, ERROR, path, "denied", "the right to read")
                    self.assertNotIn("use the verbs that only read", done.err)
            os.chmod(path, mode)
        self.assertEqual(self.caisson("cat", self.log, **how).code, OK)

    def test_a_limit_that_allows_no_thread_is_named(self):
        self.append(b"a\n")
        how = self.become_somebody_else()
        for verb in ("append",) + READING_VERBS:
            with self.subTest(verb=verb):
                # A sanitizer's search for leaks needs a thread too.
                done = self.caisson(verb, self.log, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)),
                                    env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}, **how)
                self.expect_error(done, ERROR, "thread", os.strerror(errno.EAGAIN), "ulimit -u", "TasksMax")
                self.assertNotIn("directory", done.err)
        self.assertEqual(self.caisson("cat", self.log, **how).code, OK)

    def test_a_directory_that_may_not_be_written_to_is_readable(self):
        self.append(b"a\n")
        how = self.become_somebody_else()
        for parent, _, names in os.walk(self.log):
            for name in names:
                os.chmod(os.path.join(parent, name), 0o400)
            os.chmod(parent, 0o500)
        probe = self.caisson("cat", self.log, **how)
        self.assertEqual((probe.code, probe.out), (OK, b"a\n"), probe.err)
        self.assertEqual(self.caisson("verify", self.log, **how).code, OK)
        self.expect_error(self.caisson("append", self.log, stdin=b"b\n", **how), ERROR, self.log, "denied")
        self.assertEqual(self.cat(), b"a\n")

    def test_no_log_is_made_in_a_directory_of_other_files(self):
        os.mkdir(self.log)
        with open(self.path("notes.txt"), "wb") as file:
            file.write(b"precious")
        self.expect_error(self.caisson("append", self.log, stdin=b"a\n"), ERROR, self.log, "other files", "empty directory")
        self.assertEqual(os.listdir(self.log), ["notes.txt"])
        os.rename(self.path("notes.txt"), self.path(".hidden"))
        os.mkdir(self.path("lost+found"))  # as in the root of a new file system
        self.append(b"a\n")
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


    def test_verify_names_what_keeps_the_log_from_being_opened(self):
        self.append(b"a\n")
        for name in ("5.stdb.log", "0000000000000000000a.stdb.log", "%020d.stdb.log/" % 7):
            with self.subTest(name=name):
                path = self.path(name)
                os.mkdir(path) if name.endswith("/") else open(path, "wb").close()
                self.expect_error(self.caisson("append", self.log), ERROR, name.rstrip("/"), "move it")
                done = self.caisson("verify", self.log)
                self.assertEqual((done.code, done.err), (ERROR, ""), done.text)
                found, verdict = done.text.splitlines()
                for word in ("obstacle", path.rstrip("/"), "not opened", "move it"):
                    self.assertIn(word, found)
                self.assertIn("not openable", verdict)
                self.assertNotIn("clean", done.text)
                self.assertEqual(self.cat(), b"a\n")
                os.rmdir(path) if name.endswith("/") else os.unlink(path)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_a_directory_in_place_of_state_is_named_by_every_verb(self):
        self.append(b"a\n")
        os.unlink(self.path("STATE"))
        os.mkdir(self.path("STATE"))
        for verb in ("append",) + READING_VERBS:
            self.expect_error(self.caisson(verb, self.log), ERROR, self.path("STATE"), "not what it should be", "move it")

    def test_too_few_descriptors_are_an_error_with_a_cure(self):
        self.append(b"a\n")
        for limit in range(3, 24):
            for verb in ("append",) + READING_VERBS:
                done = self.caisson(verb, self.log, preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_NOFILE, (limit, limit)))
                with self.subTest(limit=limit, verb=verb):
                    if limit >= 5 and done.code != OK:
                        self.expect_error(done, ERROR, os.strerror(errno.EMFILE), "ulimit -n")
        self.assertEqual(self.cat(), b"a\n")


class Files(CommandCase):
    def setUp(self):
        super().setUp()
        self.append(b"".join(b"record %d\n" % i for i in range(100)))
        self.stored = self.cat()

    def test_an_unknown_version_is_refused_by_name(self):
        self.patch(self.segments()[0], 6, b"\x02")
        before = self.contents()
        words = (self.segments()[0], "newer format", "version that wrote it")
        for verb in ("append", "cat", "dump"):
            self.expect_error(self.caisson(verb, self.log, stdin=b"b\n"), ERROR, *words)
        self.expect_error(self.caisson("cat", self.log, "--from", 1), ERROR, "[0, 0)", "newer version")
        self.expect_newer(*words)
        self.assertIn("tail: newer version", self.caisson("stat", self.log).text.splitlines())
        self.assertEqual(self.contents(), before)

    def expect_newer(self, *words):
        """verify takes a newer version for no damage."""
        done = self.caisson("verify", self.log)
        self.assertEqual((done.code, done.err), (ERROR, ""), done.text)
        found, verdict = done.text.splitlines()
        for word in ("obstacle",) + words:
            self.assertIn(word, found)
        self.assertIn("not openable: no damage", verdict)

    def test_a_state_of_an_unknown_version_is_refused_by_name(self):
        self.write_newer_state()
        before = self.contents()
        words = (self.path("STATE"), "newer version", "version that wrote it")
        for verb in ("append", "cat", "dump", "stat"):
            self.expect_error(self.caisson(verb, self.log, stdin=b"b\n"), ERROR, *words)
        self.expect_newer(*words)
        self.assertEqual(self.contents(), before)

    def test_an_index_of_garbage_is_never_believed(self):
        self.append(b"".join(b"%04d %s\n" % (i, b"p" * 300) for i in range(2000)), "--segment-size", "64K")
        stored = self.cat()
        indexes = [name for name in os.listdir(self.log) if name.endswith(".stdb.ofs")]
        self.assertGreater(len(indexes), 5)
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

    def test_a_newest_segment_with_only_a_header_works(self):
        # As a kill right after a rotation leaves it: the predecessor cut, the successor named, no clean mark.
        self.log = os.path.join(self.scratch, "killed")
        writer = self.start("append", self.log, "--quiet")
        writer.stdin.write(self.stored)
        writer.stdin.flush()
        self.wait_until(lambda: self.caisson("stat", self.log).text.find("\nend: 100\n") >= 0)
        writer.kill()
        writer.wait()
        old, newest = self.segments()[0], "%020d.stdb.log" % 100
        stat = json.loads(self.caisson("stat", self.log, "--json").out)
        os.truncate(self.path(old), stat["tail_position_bytes"])
        with open(self.path(old), "rb") as file:
            header = file.read(10)
        with open(self.path(newest), "wb") as file:
            file.write(header)
        for verb in ("verify", "dump", "stat"):
            self.assertEqual(self.caisson(verb, self.log).code, OK)
        self.assertEqual(self.cat(), self.stored)
        done = self.append(b"b\n")
        self.assertEqual((done.offsets, self.segments()[-1]), ([100], newest))
        self.assertEqual(self.cat(), self.stored + b"b\n")
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_an_offset_out_of_range_is_named_with_what_there_is(self):
        for verb in ("cat", "dump"):
            for arguments, words in ((("--from", 101), ("--from 101", "[0, 100)")),
                                     (("--to", 101), ("--to 101", "[0, 100)")),
                                     (("--from", 5, "--to", 4), ("--from 5", "--to 4"))):
                with self.subTest(verb=verb, arguments=arguments):
                    done = self.caisson(verb, self.log, *arguments)
                    self.expect_error(done, ERROR, self.log, *words)
                    self.assertEqual(done.out, b"")
        self.assertEqual(self.caisson("dump", self.log, "--from", 100).code, OK)

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

    def expect_readers_to_name_state(self, code, advice):
        """They show what is readable, and say that nobody can tell whether that is all."""
        before = self.contents()
        done = self.caisson("cat", self.log)
        self.assertEqual(done.out, self.stored)
        outcomes = [done] + [self.caisson(verb, self.log) for verb in ("dump", "stat")]
        for done in outcomes:
            self.expect_error(done, code, self.path("STATE"), "nobody can tell", "acknowledged", advice)
            self.assertNotEqual(done.out, b"")
        for verb in ("cat", "dump"):
            beyond = self.caisson(verb, self.log, "--from", self.stored.count(b"\n") + 1)
            self.expect_error(beyond, code, "out of range", self.path("STATE"), "nobody can tell")
        self.assertEqual(self.contents(), before)

    def shorten(self):
        """Cuts the log behind its fifth commit; with STATE that is damage, without it nobody knows."""
        self.log = os.path.join(self.scratch, "shortened")
        for i in range(10):
            self.append(b"record %d\n" % i)
        lines = [json.loads(line) for line in self.caisson("dump", self.log, "--json").out.splitlines()]
        commits = [line for line in lines if line["type"] == "commit"]
        self.assertEqual(len(commits), 10)
        os.truncate(self.path(self.segments()[0]), commits[5]["byte"])
        self.stored = b"".join(b"record %d\n" % i for i in range(5))
        self.expect_error(self.caisson("cat", self.log), DAMAGE, "STATE says that acknowledged records stood here")

    def test_readers_do_not_silently_serve_less_without_state(self):
        self.shorten()
        os.unlink(self.path("STATE"))
        self.expect_readers_to_name_state(DAMAGE, "copy")

    def test_readers_do_not_silently_serve_less_with_both_slots_bad(self):
        self.shorten()
        for slot in (0, 65536):
            self.flip("STATE", slot + 100)
        self.expect_readers_to_name_state(DAMAGE, "copy")

    def test_readers_do_not_silently_serve_less_with_a_newer_state(self):
        self.shorten()
        self.write_newer_state()
        self.expect_readers_to_name_state(ERROR, "version that wrote it")

    def test_a_log_of_which_only_remains_are_left_is_named_by_every_verb(self):
        for name in self.segments() + ["STATE"]:
            os.unlink(self.path(name))
        self.assertTrue(os.path.isdir(self.path("spare")))
        before = self.contents()
        for verb in ("append",) + READING_VERBS:
            self.expect_error(self.caisson(verb, self.log), DAMAGE, self.path("STATE"), "missing", "copy")
        self.assertEqual(self.contents(), before)

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

    def limited(self, bytes_max, data, *arguments):
        return self.caisson("append", self.log, *arguments, stdin=data,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, bytes_max)))

    def test_a_file_size_limit_is_an_error_not_a_kill(self):
        data = b"".join(b"%06d %s\n" % (i, b"p" * 1000) for i in range(5000))
        # In the first step of preparation, on no block's boundary, beyond the first step; with and without rotation.
        for limit, arguments in ((200_000, ()), (1 << 20, ()), (3_000_000, ()), (1 << 20, ("--segment-size", "2M")),
                                 (100_000, ("--segment-size", "64K"))):
            with self.subTest(limit=limit, arguments=arguments):
                self.log = os.path.join(self.scratch, "log-%d-%d" % (limit, len(arguments)))
                done = self.limited(limit, data, *arguments)
                if limit == 100_000:  # no file gets that long
                    self.assertEqual((done.code, done.err), (OK, ""))
                else:
                    self.expect_error(done, ERROR, self.log, "line %d:" % (len(done.offsets) + 1), "ulimit -f",
                                      str(limit), "stored")
                stored = self.expect_stored(data, len(done.offsets))
                if len(stored) < len(data):
                    self.expect_error(self.limited(limit, data[len(stored):]), ERROR, "ulimit -f")
                    stored = self.expect_stored(data, len(done.offsets))
                self.append(data[len(stored):], *arguments, "--quiet")
                self.assertEqual(self.cat(), data)
                self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_a_file_size_limit_below_what_a_new_log_needs_leaves_a_creation_to_finish(self):
        for limit in (0, 1, 4096, 65536):
            with self.subTest(limit=limit):
                self.log = os.path.join(self.scratch, "log-%d" % limit)
                self.expect_error(self.limited(limit, b"a\n"), ERROR, self.log, "file size limit")
                self.assertEqual(self.append(b"a\n").offsets, [0])
                self.assertEqual(self.cat(), b"a\n")


class IoUringForbidden(CommandCase):
    """Until there is a fallback: one error that names the cause and the cure, for every verb that needs the ring."""

    def setUp(self):
        super().setUp()
        self.append(b"a\nb\n")
        self.before = self.contents()

    def tearDown(self):
        self.assertEqual(self.contents(), self.before)

    def forbidden(self, numbers, error, arguments, **how):
        try:
            return self.caisson(*arguments, stdin=b"c\n", preexec_fn=lambda: forbid_system_calls(numbers, error), **how)
        except subprocess.SubprocessError:
            self.skipTest("seccomp filters are not allowed here")

    def every_verb(self):
        for verb in ("append",) + READING_VERBS:
            yield verb, self.log
        yield "bench", "--runtime", "50ms", "--directory", self.scratch
        yield "bench", "--rw", "bare", "--runtime", "50ms", "--directory", self.scratch

    def test_by_seccomp(self):
        for error in (errno.EPERM, errno.ENOSYS):  # what container runtimes answer
            for arguments in self.every_verb():
                with self.subTest(error=error, arguments=arguments):
                    done = self.forbidden(list(IO_URING_CALLS.values()), error, arguments)
                    self.expect_error(done, ERROR, "io_uring_setup", os.strerror(error), "seccomp", "profile")
                    self.assertEqual(done.out, b"")

    def test_by_a_seccomp_filter_that_forgot_a_call(self):
        for name in ("io_uring_enter", "io_uring_register"):
            for arguments in ((verb, self.log) for verb in ("append",) + READING_VERBS):
                with self.subTest(call=name, arguments=arguments):
                    done = self.forbidden([IO_URING_CALLS[name]], errno.EPERM, arguments)
                    self.expect_error(done, ERROR, name, "seccomp", "profile")

    def test_by_sysctl(self):
        # The setting is the whole machine's, so it is only shown as set, in a mount namespace; the kernel's refusal
        # is the filter's, which answers the same.
        sysctl = "/proc/sys/kernel/io_uring_disabled"
        if not os.path.exists(sysctl):
            self.skipTest("this kernel has no " + sysctl)
        if os.geteuid() != 0:
            self.skipTest("needs root, to make a mount namespace")
        # With 1 an unprivileged process is refused without any filter, so its filter is not shown.
        status = os.path.join(self.scratch, "status")
        with open(status, "w", encoding="ascii") as file:
            file.write("Name:\tcaisson\nSeccomp:\t0\n")
        for value, show_status, words in (
            ("2", "", ("io_uring_disabled is 2", "sysctl kernel.io_uring_disabled=0")),
            ("1", 'mount --bind "%s" /proc/$$/status && ' % status,
             ("io_uring_disabled is 1", "CAP_SYS_ADMIN", "sysctl kernel.io_uring_group")),
        ):
            shown = os.path.join(self.scratch, "io_uring_disabled")
            with open(shown, "w", encoding="ascii") as file:
                file.write(value + "\n")
            show = 'mount --bind "$0" %s && %s exec "$@"' % (sysctl, show_status)
            probe = subprocess.run(["unshare", "--mount", "sh", "-c", show, shown, "true"], capture_output=True)
            if probe.returncode != 0:
                self.skipTest("cannot make a mount namespace: " + probe.stderr.decode())
            for arguments in self.every_verb():
                with self.subTest(value=value, arguments=arguments):
                    done = subprocess.run(
                        ["unshare", "--mount", "sh", "-c", show, shown, CAISSON, *arguments], input=b"c\n",
                        capture_output=True, timeout=60,
                        preexec_fn=lambda: forbid_system_calls(list(IO_URING_CALLS.values())))
                    self.expect_error(Outcome(done.returncode, done.stdout, done.stderr), ERROR, *words)
                    self.assertEqual(done.stdout, b"")


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
    run_tests()
