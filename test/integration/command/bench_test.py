# The bench: its keys, its arithmetic, its clean-up. Short runs; no figure is judged here.

import json
import os
import signal
import subprocess
import time

from command_case import CAISSON, CommandCase, ERROR, OK, run_tests


class Bench(CommandCase):
    def bench(self, *arguments):
        done = self.caisson("bench", "--directory", self.scratch, "--output-format", "json", *arguments, timeout=120)
        self.assertEqual((done.code, done.err), (OK, ""))
        return json.loads(done.out)

    def test_append_reports_with_the_keys_of_fio(self):
        document = self.bench("--runtime", "60s", "--size", "400K", "--iodepth", "8", "--bs", "100",
                              "--segment-size", "64K")  # by size: a slow disk must rotate as often as a fast one
        write = document["jobs"][0]["write"]
        self.assertGreater(write["iops"], 0)
        self.assertEqual(write["io_bytes"], write["total_ios"] * 100)
        self.assertAlmostEqual(write["bw_bytes"] / (write["iops"] * 100), 1, places=2)
        clat = write["clat_ns"]
        self.assertEqual(clat["N"], write["total_ios"])
        of = clat["percentile"]
        self.assertLessEqual(clat["min"], of["50.000000"])
        self.assertLessEqual(of["50.000000"], of["99.000000"])
        self.assertLessEqual(of["99.000000"], of["99.900000"])
        self.assertLessEqual(of["99.900000"], clat["max"])
        own = document["caisson"]
        self.assertEqual(own["stats"]["records_appended"], write["total_ios"])
        self.assertGreater(own["rotations"], 0)
        self.assertIn("appends_outran_preparation", own)
        self.assertTrue(own["engine"])

    def test_pairs_give_the_median_of_their_ratios(self):
        document = self.bench("--runtime", "100ms", "--iodepth", "1", "--pairs", "3")
        pairs = document["pairs"]
        self.assertEqual(len(pairs), 3)
        for key in ("clat_p50", "iops", "bw_bytes"):
            self.assertEqual(document["ratio_median"][key], sorted(pair[key] for pair in pairs)[1])
        last = pairs[-1]
        self.assertAlmostEqual(last["iops"], last["ours"]["iops"] / last["bare"]["iops"], places=6)

    def test_size_ends_a_run_before_its_time(self):
        document = self.bench("--runtime", "60s", "--size", "64K", "--bs", "1K", "--iodepth", "4")
        self.assertEqual(document["jobs"][0]["write"]["io_bytes"], 64 << 10)

    def test_jobs_and_an_own_thread_add_up(self):
        document = self.bench("--runtime", "100ms", "--numjobs", "2", "--own-thread", "--iodepth", "4")
        self.assertGreater(document["jobs"][0]["write"]["total_ios"], 0)

    def test_replay_verifies_what_was_written(self):
        document = self.bench("--rw", "read", "--size", "4M", "--bs", "1000", "--iodepth", "32", "--runtime", "50ms",
                              "--segment-size", "1M")
        self.assertEqual(document["caisson"]["payload_bytes"], document["caisson"]["records"] * 1000)
        self.assertEqual(document["caisson"]["memory_bytes"], document["jobs"][0]["read"]["io_bytes"])
        self.assertGreater(document["caisson"]["memory_bw_bytes"], 0)

    def test_open_counts_its_segments(self):
        document = self.bench("--rw", "open", "--segments", "2,20")
        self.assertEqual([log["sealed_segments"] for log in document["caisson"]["open"]], [2, 20])

    def test_the_log_of_the_open_bench_is_a_valid_one(self):
        self.bench("--rw", "open", "--segments", "5", "--keep")
        scratch = [name for name in os.listdir(self.scratch) if name.startswith("caisson-bench-")]
        self.log = os.path.join(self.scratch, scratch[0], "segments-5")
        self.assertEqual(self.caisson("verify", self.log).code, OK)
        self.assertEqual(len(self.segments()), 6)

    def test_nothing_is_left_behind(self):
        self.bench("--runtime", "50ms", "--baseline")
        self.assertEqual(os.listdir(self.scratch), [])

    def test_nothing_is_left_behind_by_a_signal(self):
        for kind in ("append", "open"):
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(kind=kind, signal_number=signal_number):
                    arguments = ("--runtime", "60s") if kind == "append" else ("--segments", "100000")
                    command = [CAISSON, "bench", "--directory", self.scratch, "--rw", kind, *arguments]
                    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                    self.addCleanup(running.communicate)
                    self.addCleanup(running.kill)
                    deadline = time.monotonic() + 20
                    while not any(files for _, _, files in os.walk(self.scratch)) and time.monotonic() < deadline:
                        time.sleep(0.01)
                    running.send_signal(signal_number)
                    self.assertEqual(running.wait(timeout=20), -signal_number)
                    self.assertEqual(os.listdir(self.scratch), [])

    def test_the_bare_loop_alone_reports_with_the_keys_of_fio(self):
        document = self.bench("--rw", "bare", "--runtime", "100ms", "--baseline-bs", "8K", "--baseline-iodepth", "2")
        write = document["jobs"][0]["write"]
        self.assertAlmostEqual(write["bw_bytes"] / (write["iops"] * 8192), 1, places=2)
        self.assertLessEqual(write["clat_ns"]["percentile"]["50.000000"], write["clat_ns"]["max"])

    def test_people_are_told_the_same_in_words(self):
        for arguments, words in (
            (("--runtime", "50ms", "--bs", "1K", "--iodepth", "2"), ("append: bs=1024", "ours: ", "p50", "p99.9")),
            (("--runtime", "50ms", "--pairs", "2"), ("bare: ", "median")),
            (("--rw", "bare", "--runtime", "50ms"), ("bare io_uring loop", "O_DIRECT")),
            (("--rw", "bare", "--runtime", "50ms", "--baseline-huge-pages"), ("on huge pages",)),
            (("--rw", "read", "--size", "1M", "--runtime", "50ms"), ("disk", "memory")),
            (("--rw", "open", "--segments", "2,3"), ("2 ", "3 ")),
        ):
            with self.subTest(arguments=arguments):
                done = self.caisson("bench", "--directory", self.scratch, *arguments)
                self.assertEqual((done.code, done.err), (OK, ""))
                for word in words:
                    self.assertIn(word, done.text)

    def test_a_log_of_somebody_elses_is_replayed_and_stays_as_it_is(self):
        self.append(b"".join(b"%d\n" % i for i in range(1000)), "--quiet")
        before = self.contents()
        document = self.bench("--rw", "read", "--log", self.log, "--runtime", "50ms")
        self.assertEqual(document["caisson"]["records"], 1000)
        self.assertEqual(self.contents(), before)

    def test_an_option_that_the_job_would_not_look_at_is_refused(self):
        for arguments, words in (
            (("--log", "x"), ("--log", "--rw=read")),
            (("--rw", "read", "--pairs", "5"), ("--pairs", "--rw=append")),
            (("--rw", "open", "--baseline"), ("--baseline", "--rw=append")),
            (("--rw", "bare", "--segments", "5"), ("--segments", "--rw=open")),
            (("--rw", "read", "--baseline-bs", "4K"), ("--baseline-bs", "--rw=append")),
            (("--rw", "open", "--runtime", "5", "--bs", "4K"), ("--rw=append",)),
            (("--rw", "open", "--runtime", "5"), ("--runtime", "--rw=append|read|bare")),
            (("--rw", "read", "--numjobs", "2"), ("--numjobs", "--rw=append")),
            (("--rw", "open", "--size", "1M"), ("--size", "--rw=append|read|bare")),
            (("--rw", "open", "--segment-size", "1M"), ("--segment-size", "--rw=append|read")),
            (("--rw", "open", "--own-thread"), ("--own-thread", "--rw=append|read")),
            (("--rw", "bare", "--iodepth", "2"), ("--iodepth", "--rw=append|read")),
            (("--rw", "bare", "--keep"), ("--keep", "--rw=append|read|open")),
            (("--rw", "bare", "--bs", "4K", "--baseline-bs", "8K"), ("--bs", "--baseline-bs")),
            (("--baseline-bs", "8K"), ("--baseline-bs", "--pairs")),
            (("--baseline-iodepth", "2"), ("--baseline-iodepth", "--baseline or --pairs")),
            (("--baseline-huge-pages",), ("--baseline-huge-pages", "--baseline or --pairs")),
            (("--rw", "read", "--baseline-huge-pages"), ("--baseline-huge-pages", "--rw=append|bare")),
            (("--rw", "read", "--log", "x", "--size", "1M"), ("--size", "not with --log")),
            (("--rw", "read", "--log", "x", "--keep"), ("--keep", "not with --log")),
            (("--runtime", "0"), ("--runtime", "time")),
            (("--bs", "17M"), ("--bs", "17M", str(16 << 20))),
        ):
            with self.subTest(arguments=arguments):
                self.expect_error(self.caisson("bench", "--directory", self.scratch, *arguments), ERROR,
                                  "caisson bench --help", *words)
                self.assertEqual(os.listdir(self.scratch), [])

    def test_what_a_job_does_look_at_is_taken(self):
        for arguments in (
            ("--runtime", "20ms", "--size", "1M", "--baseline", "--baseline-bs", "8K", "--baseline-iodepth", "2"),
            ("--rw", "read", "--size", "1M", "--runtime", "50ms", "--bs", "1K", "--iodepth", "8", "--segment-size", "256K",
             "--own-thread"),
            ("--rw", "bare", "--runtime", "20ms", "--size", "1M", "--bs", "5000"),
        ):
            with self.subTest(arguments=arguments):
                self.bench(*arguments)

    def test_a_directory_that_is_not_there_is_named(self):
        done = self.caisson("bench", "--directory", self.log)
        self.expect_error(done, ERROR, self.log, "--directory")


if __name__ == "__main__":
    run_tests()
