# What `caisson verify` shows on a terminal and what it keeps for itself.

import errno
import os
import pty
import subprocess

from command_case import CAISSON, CommandCase, OK, run_tests

CLEARED = b"\r\x1b[K"


class Shown(CommandCase):
    def setUp(self):
        super().setUp()
        self.append(b"a record\n" * 20000)

    def on_a_terminal(self, *arguments):
        """Standard output, and what the terminal behind standard error got."""
        terminal, device = pty.openpty()
        self.addCleanup(os.close, terminal)
        with os.fdopen(device, "wb", buffering=0) as screen:
            done = subprocess.run([CAISSON, "verify", self.log, *arguments], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=screen, timeout=60)
        shown = b""
        try:
            while part := os.read(terminal, 1 << 16):
                shown += part
        except OSError as end:  # nobody writes any more
            self.assertEqual(end.errno, errno.EIO)
        self.assertEqual(done.returncode, OK)
        return done.stdout, shown

    def test_a_terminal_has_a_bar_that_goes_before_the_verdict(self):
        out, shown = self.on_a_terminal()
        self.assertIn(b"offsets [0, 20000)", out)
        self.assertRegex(shown, rb"\r\[[#.]{40}\] +[0-9]+%  [0-9]+ MiB, [0-9]+ MiB/s ")
        self.assertTrue(shown.endswith(CLEARED), shown)

    def test_json_and_quiet_have_none(self):
        for arguments, words in ((["--json"], b'"verdict"'), (["--quiet"], b""), (["--json", "--quiet"], b"")):
            with self.subTest(arguments=arguments):
                out, shown = self.on_a_terminal(*arguments)
                self.assertEqual(shown, b"")
                self.assertIn(words, out)
                self.assertEqual(out == b"", "--quiet" in arguments)

    def test_a_pipe_has_none(self):
        done = self.caisson("verify", self.log)
        self.assertEqual((done.code, done.err), (OK, ""))


if __name__ == "__main__":
    run_tests()
