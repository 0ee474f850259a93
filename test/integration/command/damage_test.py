# Damage is reported with its place and never served; an unfinished write at the end is told apart from it.

import json
import os
import struct

from command_case import CommandCase, DAMAGE, ERROR, OK, TORN_TAIL, run_tests


class Damaged(CommandCase):
    def setUp(self):
        super().setUp()
        self.records = [b"record %d %s\n" % (i, b"p" * 40) for i in range(50)]
        self.append(b"".join(self.records), "--iodepth", "1")
        self.segment = self.segments()[0]
        lines = [json.loads(line) for line in self.caisson("dump", self.log, "--json").out.splitlines()]
        self.commits = [line for line in lines if line["type"] == "commit"]
        self.assertEqual(len(self.commits), 50)

    def damage(self, index):
        """Flips a bit in the middle of a commit; returns its first byte."""
        commit = self.commits[index]
        self.flip(self.segment, commit["byte"] + commit["bytes"] // 2)
        return commit["byte"]

    def test_verify_names_the_place(self):
        byte = self.damage(20)
        done = self.caisson("verify", self.log)
        self.assertEqual(done.code, DAMAGE)
        self.assertIn(self.segment, done.text)
        self.assertIn("byte %d" % byte, done.text)
        self.assertIn("offset 20", done.text)
        report = json.loads(self.caisson("verify", self.log, "--json").out)
        self.assertEqual(report["verdict"], "damaged")
        found = [f for f in report["findings"] if f["severity"] == "damage"]
        self.assertEqual([(f["byte"], f["offset"]) for f in found], [(byte, 20)])
        self.assertEqual(report["records"], 49)

    def test_cat_prints_what_precedes_it_and_names_the_place(self):
        byte = self.damage(20)
        done = self.caisson("cat", self.log)
        self.expect_error(done, DAMAGE, self.segment, "byte %d" % byte, "offset 20")
        self.assertEqual(done.out, b"".join(self.records[:20]))
        self.expect_error(self.caisson("cat", self.log, "--from", 19, "--to", 22), DAMAGE, "offset 20")

    def test_cat_prints_what_follows_it_when_asked_to_begin_there(self):
        byte = self.damage(20)
        for first in (21, 35, 49):
            done = self.caisson("cat", self.log, "--from", first)
            self.assertEqual((done.code, done.err), (OK, ""))
            self.assertEqual(done.out, b"".join(self.records[first:]))
        done = self.caisson("cat", self.log, "--from", 21, "--to", 23)
        self.assertEqual((done.code, done.out), (OK, b"".join(self.records[21:23])))
        done = self.caisson("cat", self.log, "--from", 20)
        self.expect_error(done, DAMAGE, self.segment, "byte %d" % byte, "offset 20")
        self.assertEqual(done.out, b"")
        self.expect_error(self.caisson("cat", self.log, "--from", 51), ERROR, self.log, "offset 51", "[0, 50)")

    def test_dump_goes_on_behind_it(self):
        self.damage(20)
        done = self.caisson("dump", self.log)
        self.assertEqual(done.code, DAMAGE)
        self.assertEqual(done.text.count("commit "), 49)
        self.assertIn("bad byte=%d" % self.commits[20]["byte"], done.text)

    def test_damage_at_the_end_of_a_closed_log_is_damage(self):
        byte = self.damage(49)
        before = self.contents()
        self.expect_error(self.caisson("append", self.log, stdin=b"x\n"), DAMAGE, self.segment, "byte %d" % byte)
        self.assertEqual(self.caisson("verify", self.log).code, DAMAGE)
        self.expect_error(self.caisson("cat", self.log), DAMAGE, self.segment)
        self.assertEqual(self.contents(), before)

    def test_a_closed_log_that_was_shortened_is_damage(self):
        with open(self.path(self.segment), "r+b") as file:
            file.truncate(self.commits[49]["byte"])
        self.assertEqual(self.caisson("verify", self.log).code, DAMAGE)
        self.expect_error(self.caisson("append", self.log, stdin=b"x\n"), DAMAGE, self.segment)


class LongerThanItWasClosed(CommandCase):
    """Bytes behind the end of a closed log: verify, dump, stat, cat and append judge them alike."""

    def setUp(self):
        super().setUp()
        self.append(b"a\nb\n")
        self.segment = self.segments()[0]
        self.length = os.path.getsize(self.path(self.segment))

    def add(self, data):
        with open(self.path(self.segment), "ab") as file:
            file.write(data)

    def expect(self, code, tail, stored=b"a\nb\n"):
        verified = self.caisson("verify", self.log)
        self.assertEqual(verified.code, code, verified.text)
        self.assertIn("closed with %d bytes" % self.length, verified.text)  # said in any case
        self.assertEqual(self.caisson("dump", self.log).code, code)
        stat = json.loads(self.caisson("stat", self.log, "--json").out)
        self.assertEqual((stat["tail"], stat["closed_cleanly"]), (tail, False))
        self.assertEqual(self.cat(), stored)
        next_offset = stored.count(b"\n")
        appended = self.caisson("append", self.log, stdin=b"next\n")
        self.assertEqual((appended.code, appended.offsets), (OK, [next_offset]))
        self.assertEqual("unfinished" in appended.err, tail == "unfinished", appended.err)
        self.assertEqual(self.cat(), stored + b"next\n")
        self.assertEqual(self.caisson("verify", self.log).text.count("\n"), 1)

    def test_zeros_are_cut(self):
        self.add(bytes(5000))
        self.expect(OK, "clean")

    def test_bytes_that_are_no_commit_are_cut(self):
        self.add(b"\xa5" * 500)
        self.expect(OK, "clean")

    def test_the_beginning_of_a_commit_is_an_unfinished_write(self):
        self.add(struct.pack("<QQHI", 2, 0, 1, 100) + b"torn write")
        self.expect(TORN_TAIL, "unfinished")

    def test_commits_behind_an_older_state_are_kept(self):
        with open(self.path("STATE"), "rb") as file:
            older = file.read()
        self.append(b"c\nd\n")
        with open(self.path("STATE"), "r+b") as file:
            file.write(older)
        self.expect(OK, "clean", b"a\nb\nc\nd\n")


class Torn(CommandCase):
    def setUp(self):
        super().setUp()
        writer = self.start("append", self.log)  # killed: a closed log's clean mark would be a witness
        writer.stdin.write(b"a\nb\n")
        writer.stdin.flush()
        self.assertEqual([writer.stdout.readline(), writer.stdout.readline()], [b"0\n", b"1\n"])
        writer.kill()
        writer.wait()
        self.segment = self.segments()[0]
        self.length = json.loads(self.caisson("stat", self.log, "--json").out)["tail_position_bytes"]
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        # The header of the commit that would come next, and a few of the bytes that it announces.
        self.patch(self.segment, self.length, struct.pack("<QQHI", 2, 0, 1, 100) + b"torn write")

    def test_verify_tells_it_from_damage(self):
        done = self.caisson("verify", self.log)
        self.assertEqual(done.code, TORN_TAIL)
        self.assertIn("torn tail", done.text)
        self.assertIn("byte %d" % self.length, done.text)
        self.assertEqual(json.loads(self.caisson("verify", self.log, "--json").out)["verdict"], "torn tail")

    def test_readers_serve_what_precedes_it(self):
        self.assertEqual(self.cat(), b"a\nb\n")
        self.assertEqual(self.caisson("dump", self.log).code, TORN_TAIL)
        self.assertIn("tail: unfinished", self.caisson("stat", self.log).text.splitlines())

    def test_append_cuts_it_keeps_a_copy_and_says_so(self):
        done = self.caisson("append", self.log, stdin=b"c\n")
        self.assertEqual((done.code, done.offsets), (OK, [2]))
        for word in ("unfinished", self.segment, "byte %d" % self.length, "lost"):
            self.assertIn(word, done.err)
        self.assertEqual(self.cat(), b"a\nb\nc\n")
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        kept = os.listdir(self.path("lost"))
        self.assertEqual(len(kept), 1)
        with open(os.path.join(self.path("lost"), kept[0]), "rb") as file:
            self.assertIn(b"torn write", file.read())


if __name__ == "__main__":
    run_tests()
