# What the tests of the `caisson` command share: a scratch directory on a real disk, running the command, looking at what
# it left. Standard library only; the path of the command and of the source tree come from the environment.

import os
import shutil
import subprocess
import tempfile
import unittest

CAISSON = os.environ.get("CAISSON_COMMAND", "build/tools/caisson")
SOURCE_ROOT = os.environ.get("CAISSON_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", "..", ".."))
# Not /tmp: that may be tmpfs, which Caisson refuses.
SCRATCH_ROOT = os.environ.get("CAISSON_TEST_DIRECTORY", "/var/tmp")

OK, ERROR, DAMAGE, TORN_TAIL = 0, 1, 2, 3


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

    def cat(self, *arguments):
        done = self.caisson("cat", self.log, *arguments)
        self.assertEqual((done.code, done.err), (OK, ""))
        return done.out

    def expect_error(self, outcome, code, *words):
        """One line on standard error that holds every one of `words`."""
        self.assertEqual(outcome.code, code, outcome.err)
        lines = outcome.err.splitlines()
        self.assertEqual(len(lines), 1, outcome.err)
        self.assertTrue(lines[0].startswith("caisson "), lines[0])
        for word in words:
            self.assertIn(word.lower(), lines[0].lower())

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

    def contents(self, directory=None):
        """Every file below a directory with its bytes: to show that nothing was changed."""
        found = {}
        for parent, _, names in os.walk(directory or self.log):
            for name in names:
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory or self.log)] = file.read()
        return found
