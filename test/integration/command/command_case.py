# What the tests of the `caisson` command share: a scratch directory on a real disk, running the command, looking at what
# it left. Standard library only; the path of the command and of the source tree come from the environment.

import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

CAISSON = os.environ.get("CAISSON_COMMAND", "build/tools/caisson")
SOURCE_ROOT = os.environ.get("CAISSON_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", "..", ".."))
# Not /tmp: that may be tmpfs, which Caisson refuses.
SCRATCH_ROOT = os.environ.get("CAISSON_TEST_DIRECTORY", "/var/tmp")

OK, ERROR, DAMAGE, TORN_TAIL = 0, 1, 2, 3
ALL_SKIPPED = 77  # what Meson takes for a skipped test

# The same numbers on every architecture that Linux gained system calls for since 2019.
IO_URING_CALLS = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}


def forbid_system_calls(numbers, error=errno.EPERM):
    """For preexec_fn: from here on these calls fail in this process, as a container's seccomp profile makes them."""
    load, equal, give_back = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    allow, fail = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
    program = [(load, 0, 0, 0)]  # the call's number
    program += [(equal, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    program += [(give_back, 0, 0, allow), (give_back, 0, 0, fail | error)]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    if (libc.prctl(set_no_new_privileges, one, none, none, none) != 0 or
            libc.prctl(set_seccomp, ctypes.c_ulong(filter_mode), header, none, none) != 0):
        raise OSError(ctypes.get_errno(), "prctl")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def run_tests():
    """unittest.main, but no skipped test goes unnoticed."""
    program = unittest.main(module="__main__", exit=False)
    result = program.result
    for test, reason in result.skipped:
        print("SKIPPED: %s: %s" % (test.id().replace("__main__.", ""), reason), flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(ALL_SKIPPED if result.skipped and result.testsRun <= len(result.skipped) else 0)


class Outcome:
    """What one run of the command did."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err.decode(errors="replace")

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def offsets(self):
        return [int(line) for line in self.out.split()]


class CommandCase(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="caisson-test-", dir=SCRATCH_ROOT)
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.log = os.path.join(self.scratch, "log")

    def caisson(self, *arguments, stdin=b"", timeout=60, **how):
        done = subprocess.run([CAISSON, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout, **how)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments, **how):
        """A running command with its input and output at hand; killed at the end of the test."""
        process = subprocess.Popen([CAISSON, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **how)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                try:
                    stream.close()
                except OSError:
                    pass  # what was not flushed into a dead process

        self.addCleanup(end)
        return process

    def append(self, data, *arguments):
        """Appends and requires success."""
        done = self.caisson("append", self.log, *arguments, stdin=data)
        self.assertEqual((done.code, done.err), (OK, ""))
        return done

    def append_until_killed(self, data, acknowledged_min, *arguments):
        """Kills an append of `data` once so many records were acknowledged; returns how many were in the end."""
        process = self.start("append", self.log, *arguments)

        def feed():
            try:
                process.stdin.write(data)
            except (BrokenPipeError, ValueError):
                pass

        feeder = threading.Thread(target=feed)
        feeder.start()
        acknowledged = 0
        while acknowledged < acknowledged_min:
            acknowledged = int(process.stdout.readline()) + 1
        process.kill()
        rest = process.stdout.read()
        complete = rest[:rest.rfind(b"\n") + 1].split()  # a killed writer may leave half a line
        process.wait()
        feeder.join()
        return int(complete[-1]) + 1 if complete else acknowledged

    def cat(self, *arguments):
        done = self.caisson("cat", self.log, *arguments)
        self.assertEqual((done.code, done.err), (OK, ""))
        return done.out

    def expect_error(self, outcome, code, *words):
        """One line on standard error that holds every one of `words`."""
        self.assertEqual(outcome.code, code, outcome.err)
        lines = outcome.err.splitlines()
        self.assertEqual(len(lines), 1, outcome.err)
        self.assertRegex(lines[0], "^caisson( [a-z]+)?: ")
        for word in words:
            self.assertIn(word.lower(), lines[0].lower())

    def expect_stored(self, data, acknowledged):
        """What the log holds begins `data` and reaches at least to the last acknowledged line; returns it."""
        self.assertIn(self.caisson("verify", self.log).code, (OK, TORN_TAIL))
        stored = self.cat()
        self.assertEqual(stored, data[:len(stored)])
        self.assertGreaterEqual(stored.count(b"\n"), acknowledged)
        return stored

    def wait_until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it never happened")
            time.sleep(0.01)

    def segments(self):
        return sorted(name for name in os.listdir(self.log) if name.endswith(".stdb.log"))

    def path(self, name):
        return os.path.join(self.log, name)

    def patch(self, name, position, data):
        with open(self.path(name), "r+b") as file:
            file.seek(position)
            file.write(data)

    def flip(self, name, position):
        with open(self.path(name), "r+b") as file:
            file.seek(position)
            byte = file.read(1)
            file.seek(position)
            file.write(bytes([byte[0] ^ 0x40]))

    def write_newer_state(self):
        """STATE as a newer version might leave it: right checksums, another version."""
        for slot in (0, 65536):
            with open(self.path("STATE"), "r+b") as file:
                file.seek(slot)
                content = bytearray(file.read(4096))
                content[8:12] = struct.pack("<I", 2)
                content[-4:] = struct.pack("<I", crc32c(content[:-4]))
                file.seek(slot)
                file.write(content)

    def contents(self, directory=None):
        """Every file below a directory with its bytes: to show that nothing was changed."""
        found = {}
        for parent, _, names in os.walk(directory or self.log):
            for name in names:
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory or self.log)] = file.read()
        return found
