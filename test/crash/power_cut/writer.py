"""A writer process at work: fed with records without end, its acknowledgements read as they come.

Knows nothing about disks. Read docs/reliability.md, "Power cuts on real file systems".
"""

import random
import subprocess
import threading
import time

from records import payload

# With pauses between them: a lone append, a full pipeline, and the passage from one to the other.
BURSTS = (1, 1, 8, 64, 512)


class Writer:
    """`caisson append` or its like: records in, acknowledged offsets out, one a line."""

    def __init__(self, command, environment, number, first_offset, seed, bursts=BURSTS):
        self._number = number
        self._first_offset = first_offset
        self._draw = random.Random(seed)
        self._bursts = bursts
        self._is_stopping = threading.Event()
        self.first_acknowledged = threading.Event()
        self.acknowledged_end = first_offset
        self.disorder = None
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._error_text = b""
        self._threads = [
            threading.Thread(target=work)
            for work in (self._feed, self._listen, self._listen_to_errors)
        ]
        for thread in self._threads:
            thread.start()

    def _feed(self):
        offset = self._first_offset
        try:
            while not self._is_stopping.is_set():
                burst = self._draw.choice(self._bursts)
                records = [payload(self._number, offset + at) + b"\n" for at in range(burst)]
                self._process.stdin.write(b"".join(records))
                self._process.stdin.flush()
                offset += burst
                time.sleep(self._draw.choice((0, 0, 0, 0.001, 0.005)))
        except (BrokenPipeError, ValueError):
            pass  # the writer is gone, as it is meant to be
        finally:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass

    # Everything ever printed counts, also what is read after the power cut: it was promised.
    def _listen(self):
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                return  # killed within the line
            if int(line) != self.acknowledged_end:
                self.disorder = (
                    f"offset {self.acknowledged_end} was to be acknowledged next, not {int(line)}"
                )
                return
            self.acknowledged_end += 1
            self.first_acknowledged.set()

    def _listen_to_errors(self):
        self._error_text = self._process.stderr.read()

    def is_running(self):
        return self._process.poll() is None

    def kill(self):
        self._process.kill()

    def wait_for_exit(self, seconds):
        """True when the writer ended by itself in time."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self):
        """Ends the process and returns its exit status and what it wrote to standard error."""
        self._is_stopping.set()
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        self._process.stdout.close()
        self._process.stderr.close()
        return self._process.returncode, self._error_text.decode(errors="replace").strip()
