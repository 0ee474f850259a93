# What goes in comes out: append, cat, verify and stat on real directories, also beside a live writer and after SIGKILL.

import json
import os
import pty
import re
import signal
import struct
import subprocess
import threading
import time
import unittest

from command_case import CAISSON, CommandCase, ERROR, OK, SOURCE_ROOT, TORN_TAIL, run_tests


class RoundTrip(CommandCase):
    def test_a_text_file_comes_back_byte_for_byte(self):
        with open(os.path.join(SOURCE_ROOT, "LICENSE"), "rb") as file:
            text = file.read()
        lines = text.count(b"\n")
        done = self.append(text)
        self.assertEqual(done.offsets, list(range(lines)))
        self.assertEqual(self.cat(), text)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_empty_lines_are_records(self):
        self.assertEqual(self.append(b"\n\na\n\n").offsets, [0, 1, 2, 3])
        self.assertEqual(self.cat(), b"\n\na\n\n")

    def test_a_last_line_without_newline_is_a_record(self):
        self.assertEqual(self.append(b"a\nb").offsets, [0, 1])
        self.assertEqual(self.cat(), b"a\nb\n")

    def test_empty_input_creates_a_log_and_prints_nothing(self):
        self.assertEqual(self.append(b"").out, b"")
        self.assertEqual(self.cat(), b"")
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        self.assertEqual(len(self.segments()), 1)

    def test_a_second_append_goes_on_where_the_first_ended(self):
        self.append(b"a\nb\n")
        self.assertEqual(self.append(b"c\n").offsets, [2])
        self.assertEqual(self.append(b"").out, b"")
        self.assertEqual(self.cat(), b"a\nb\nc\n")

    def test_quiet_prints_no_offsets(self):
        self.assertEqual(self.append(b"a\nb\n", "--quiet").out, b"")
        self.assertEqual(self.cat(), b"a\nb\n")

    def test_records_larger_than_a_read_and_than_a_segment_come_back(self):
        # 100 KB crosses reads of standard input; 3 MB is larger than the segment.
        records = [b"x" * 100_000, b"", b"y" * 3_000_000, b"z" * 65_536]
        data = b"\n".join(records) + b"\n"
        self.append(data, "--segment-size", "1M")
        self.assertEqual(self.cat(), data)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_one_in_flight_and_many_give_the_same_log(self):
        data = b"".join(b"record %d\n" % i for i in range(500))
        for depth in (1, 7, 1000):
            with self.subTest(depth=depth):
                self.log = os.path.join(self.scratch, "log-%d" % depth)
                self.assertEqual(self.append(data, "--iodepth", depth).offsets, list(range(500)))
                self.assertEqual(self.cat(), data)

    def test_small_segments_rotate_and_keep_everything(self):
        data = b"".join(b"%06d %s\n" % (i, b"p" * 200) for i in range(5000))
        self.append(data, "--segment-size", "64K")
        self.assertGreater(len(self.segments()), 10)
        self.assertEqual(self.cat(), data)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_a_regular_file_as_input_works_like_a_pipe(self):
        path = os.path.join(self.scratch, "input")
        with open(path, "wb") as file:
            file.write(b"from\na\nfile\n")
        with open(path, "rb") as file:
            done = subprocess.run([CAISSON, "append", self.log], stdin=file, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (OK, b"0\n1\n2\n"))
        self.assertEqual(self.cat(), b"from\na\nfile\n")


class Ranges(CommandCase):
    def setUp(self):
        super().setUp()
        self.append(b"".join(b"r%d\n" % i for i in range(10)))

    def test_ranges_are_half_open(self):
        self.assertEqual(self.cat("--from", 3, "--to", 5), b"r3\nr4\n")
        self.assertEqual(self.cat("--to", 1), b"r0\n")
        self.assertEqual(self.cat("--from", 9), b"r9\n")
        self.assertEqual(self.cat("--from", 4, "--to", 4), b"")
        self.assertEqual(self.cat("--from", 10), b"")

    def test_offsets_out_of_range_are_named_with_what_there_is(self):
        self.expect_error(self.caisson("cat", self.log, "--from", 11), ERROR, "out of range", "11", "[0, 10)")
        self.expect_error(self.caisson("cat", self.log, "--to", 11), ERROR, "out of range", "11", "[0, 10)")
        self.expect_error(self.caisson("cat", self.log, "--from", 5, "--to", 4), ERROR, "--from 5", "--to 4")

    def test_hex_and_length_prefixed_keep_records_apart(self):
        self.append(b"\n")
        self.assertEqual(self.cat("--from", 9, "--output-format", "hex"), b"7239\n\n")
        self.assertEqual(self.cat("--from", 9, "--output-format", "length-prefixed"),
                         struct.pack("<I", 2) + b"r9" + struct.pack("<I", 0))

    def test_a_reader_that_closes_the_pipe_ends_cat(self):
        self.append(b"".join(b"%d\n" % i for i in range(200_000)), "--quiet")
        process = self.start("cat", self.log)
        self.assertEqual(process.stdout.readline(), b"r0\n")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=60), -signal.SIGPIPE)


class Facts(CommandCase):
    def test_stat_says_what_the_log_holds(self):
        self.append(b"a\nbb\n")
        stat = json.loads(self.caisson("stat", self.log, "--json").out)
        self.assertEqual((stat["begin"], stat["end"], stat["records"]), (0, 2, 2))
        self.assertEqual((stat["format_version"], stat["foreign"], stat["has_log_id"]), (1, False, True))
        self.assertEqual((stat["closed_cleanly"], stat["tail"]), (True, "clean"))
        self.assertEqual(stat["proven_durable_end"], 2)
        self.assertEqual(stat["segment_count"], len(self.segments()))
        self.assertEqual(stat["segment_bytes"], sum(os.path.getsize(self.path(n)) for n in self.segments()))
        self.assertTrue(stat["state"]["clean_mark"])
        self.assertTrue(stat["state"]["both_slots_valid"])
        self.assertIn("end: 2", self.caisson("stat", self.log).text.splitlines())

    def test_dump_lists_every_commit(self):
        self.append(b"a\nbb\n", "--iodepth", "1")
        lines = [json.loads(line) for line in self.caisson("dump", self.log, "--json").out.splitlines()]
        commits = [line for line in lines if line["type"] == "commit"]
        self.assertEqual([(c["begin"], c["end"], c["n"], c["status"]) for c in commits],
                         [(0, 1, 1, "ok"), (1, 2, 1, "ok")])
        self.assertEqual(commits[0]["byte"], 10)
        self.assertEqual(commits[1]["byte"], 10 + commits[0]["bytes"])
        # 1 byte of payload, 4 of length, 29 of trailer in the records region; 26 around it.
        self.assertEqual((commits[0]["len"], commits[0]["bytes"]), (34, 60))
        self.assertEqual(commits[1]["previous_crc"], commits[0]["crc"])
        self.assertEqual(commits[1]["durable_end"], 1)
        self.assertNotIn("durable_end", self.caisson("dump", self.log, "--headers-only").text)
        self.assertEqual(self.caisson("dump", self.log, "--limit", 1).text.count("commit "), 1)
        self.assertIn("offsets=[1,2)", self.caisson("dump", self.log, "--from", 1).text)
        self.assertNotIn("offsets=[0,1)", self.caisson("dump", self.log, "--from", 1).text)

    def test_verify_json_says_what_was_checked(self):
        self.append(b"a\nb\nc\n")
        report = json.loads(self.caisson("verify", self.log, "--json").out)
        self.assertEqual((report["verdict"], report["begin"], report["end"], report["records"]), ("clean", 0, 3, 3))
        self.assertEqual(report["findings"], [])
        quiet = self.caisson("verify", self.log, "--quiet")
        self.assertEqual((quiet.code, quiet.out, quiet.err), (OK, b"", ""))

    def test_verbs_that_read_change_nothing(self):
        self.append(b"a\nb\n")
        before = self.contents()
        for verb in ("cat", "verify", "dump", "stat"):
            self.assertEqual(self.caisson(verb, self.log).code, OK, verb)
        self.assertEqual(self.contents(), before)


class LiveWriter(CommandCase):
    def feed(self, process, data):
        process.stdin.write(data)
        process.stdin.flush()

    def acknowledged(self, process, count):
        return [int(process.stdout.readline()) for _ in range(count)]

    def test_an_offset_is_printed_while_the_input_stays_open(self):
        process = self.start("append", self.log)
        self.feed(process, b"a\nb\n")
        self.assertEqual(self.acknowledged(process, 2), [0, 1])
        self.assertIsNone(process.poll())

    def test_readers_work_beside_a_writer_and_see_what_was_acknowledged(self):
        process = self.start("append", self.log)
        self.feed(process, b"a\nb\nc\n")
        self.acknowledged(process, 3)
        self.assertEqual(self.cat(), b"a\nb\nc\n")
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        self.assertEqual(self.caisson("dump", self.log).code, OK)
        stat = json.loads(self.caisson("stat", self.log, "--json").out)
        self.assertEqual((stat["end"], stat["closed_cleanly"]), (3, False))
        self.feed(process, b"d\n")
        self.assertEqual(self.acknowledged(process, 1), [3])
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), OK)

    def look(self):
        """Every verb that reads, beside whatever is going on: none may claim damage."""
        verified = self.caisson("verify", self.log)
        self.assertIn(verified.code, (OK, TORN_TAIL), verified.text)
        dumped = self.caisson("dump", self.log)
        self.assertIn(dumped.code, (OK, TORN_TAIL), [line for line in dumped.text.splitlines() if line.startswith("bad")])
        self.assertNotEqual(json.loads(self.caisson("stat", self.log, "--json").out)["tail"], "damaged")
        lines = self.cat().splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], list(range(len(lines))))

    def wait_for_the_log(self):
        while not os.path.exists(self.path("STATE")) or not self.segments():
            time.sleep(0.01)

    def test_readers_never_claim_damage_beside_a_busy_writer(self):
        # Segments as small as they come, so that the writer rotates all the time, and just so much input a look that it
        # is busy from its begin to its end: what was written before only makes it longer.
        process = self.start("append", self.log, "--segment-size", "64K", "--quiet")
        stop = threading.Event()
        chunks = threading.Semaphore(1)

        def feed():
            i = 0
            try:
                while not stop.is_set():
                    chunks.acquire()
                    for _ in range(8):
                        self.feed(process, b"".join(b"%d %s\n" % (i + k, b"x" * (k % 300)) for k in range(40)))
                        i += 40
            except BrokenPipeError:
                pass

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            self.wait_for_the_log()
            for _ in range(60):
                chunks.release(30)
                self.look()
        finally:
            stop.set()
            chunks.release()
            feeder.join()
            process.stdin.close()
        self.assertEqual(process.wait(timeout=60), OK)
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_readers_never_claim_damage_beside_writers_that_come_and_go(self):
        stop = threading.Event()
        failed = []

        def write():
            i = 0
            while not stop.is_set() and not failed:
                lines = b"".join(b"%d %s\n" % (i + k, b"x" * (k % 300)) for k in range(30))
                done = self.caisson("append", self.log, "--segment-size", "64K", "--quiet", stdin=lines)
                if done.code != OK:
                    failed.append(done.text)
                i += 30

        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.wait_for_the_log()
            for _ in range(30):
                self.look()
        finally:
            stop.set()
            writer.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.caisson("verify", self.log).code, OK)

    def test_sigterm_finishes_what_was_read_and_closes_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                self.log = os.path.join(self.scratch, "log-%d" % number)
                process = self.start("append", self.log)
                self.feed(process, b"a\nb\nhalf a line")
                self.acknowledged(process, 2)
                process.send_signal(number)
                self.assertEqual(process.wait(timeout=60), OK)
                self.assertEqual(self.cat(), b"a\nb\n")
                self.assertTrue(json.loads(self.caisson("stat", self.log, "--json").out)["closed_cleanly"])

    def test_acknowledgements_that_nobody_reads_are_an_error_and_lose_nothing(self):
        process = self.start("append", self.log)
        self.feed(process, b"a\n")
        self.acknowledged(process, 1)
        process.stdout.close()
        try:
            for i in range(1000):
                self.feed(process, b"line\n" * 1000)
            process.stdin.close()
        except BrokenPipeError:
            pass
        self.assertEqual(process.wait(timeout=60), ERROR)
        self.assertIn("standard output", process.stderr.read().decode())
        self.assertTrue(self.cat().startswith(b"a\n"))
        self.assertTrue(json.loads(self.caisson("stat", self.log, "--json").out)["closed_cleanly"])


class Readme(CommandCase):
    def test_its_commands_work_as_printed(self):
        with open(os.path.join(SOURCE_ROOT, "README.md"), encoding="utf-8") as file:
            blocks = [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", file.read(),
                                                            re.MULTILINE | re.DOTALL) if not language]
        lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines() if "caisson " in line]
        self.assertGreater(len(lines), 6)
        os.mkdir(os.path.join(self.scratch, "bin"))
        os.symlink(os.path.abspath(CAISSON), os.path.join(self.scratch, "bin", "caisson"))
        printed = {}
        for line in sorted(lines, key=lambda line: "append" not in line):
            # A line about speed is shortened; and it measures where the tests write.
            short = " --runtime=20ms --directory=" + self.scratch if "bench" in line else ""
            line = line.replace(" --directory=/var/tmp", short)
            done = subprocess.run(["sh", "-c", line], cwd=self.scratch, capture_output=True, timeout=60, env={
                **os.environ, "PATH": os.path.join(self.scratch, "bin") + ":" + os.environ["PATH"]})
            self.assertEqual((done.returncode, done.stderr), (OK, b""), line)
            printed[line.partition("caisson ")[2].split()[0]] = done.stdout
        self.assertEqual((printed["append"], printed["cat"]), (b"0\n1\n", b"two\n"))
        self.assertIn(b"median", printed["bench"])


class Terminal(CommandCase):
    def verify_on_a_terminal(self, *arguments):
        """What a terminal shows on standard error."""
        ours, theirs = pty.openpty()
        done = subprocess.run([CAISSON, "verify", self.log, *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=theirs, timeout=60)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # how a terminal whose other end is gone says that it is empty
        os.close(ours)
        self.assertEqual(done.returncode, OK)
        return shown.decode()

    def test_verify_shows_how_far_it_is_and_leaves_an_empty_line(self):
        self.append(b"".join(b"%d %s\n" % (i, b"p" * 1000) for i in range(5000)), "--quiet")
        shown = self.verify_on_a_terminal()
        self.assertRegex(shown, r"\r\[#*\.*\] +\d+%  \d+ MiB, \d+ MiB/s ")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))
        self.assertEqual(self.verify_on_a_terminal("--quiet"), "")
        self.assertEqual(self.verify_on_a_terminal("--json"), "")


class Killed(CommandCase):
    def test_after_sigkill_the_log_is_a_prefix_that_holds_everything_acknowledged(self):
        lines = [b"line %d %s\n" % (i, b"t" * (i % 97)) for i in range(300_000)]
        data = b"".join(lines)
        acknowledged = self.append_until_killed(data, 20_000, "--segment-size", "1M")
        self.assertIn(self.caisson("verify", self.log).code, (OK, TORN_TAIL))
        self.caisson("append", self.log)  # recovers
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        stored = self.cat()
        self.assertEqual(stored, data[:len(stored)])
        self.assertGreaterEqual(stored.count(b"\n"), acknowledged)


if __name__ == "__main__":
    run_tests()
