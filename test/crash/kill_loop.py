#!/usr/bin/env python3
"""Kills a writer again and again and looks for acknowledged records that are gone.

Each cycle starts `caisson append`, feeds it generated records, reads the offsets it acknowledges and kills it with
SIGKILL at a random moment; the successor is started at once, while the kernel may still finish the dead one's writes.
In the end the log must hold every acknowledged record at its offset, and besides them only records that were sent, in
the order they were sent. SIGKILL keeps the page cache: this proves recovery, not synchronisation (power cuts do that).
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

RECORDS_MAX = (0, 1, 40, 2_000, 20_000)  # per cycle: also short ones, which leave the writer idle when it dies


def record(cycle, index):
    """What the `index`th record of a cycle holds; the length varies so that commits end anywhere in a block."""
    return b"%d %d %s" % (cycle, index, b"payload." * ((cycle * 7 + index * 13) % 23))


class Writer:
    """One life of the writing process and what it acknowledged."""

    def __init__(self, command, log, cycle, count):
        self.cycle = cycle
        self.acknowledged = []
        self.process = subprocess.Popen([command, "append", log, "--segment-size", "1M"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.feeder = threading.Thread(target=self._feed, args=(count,))
        self.reader = threading.Thread(target=self._read)
        self.feeder.start()
        self.reader.start()

    def _feed(self, count):
        try:
            for first in range(0, count, 100):
                lines = [record(self.cycle, i) + b"\n" for i in range(first, min(first + 100, count))]
                self.process.stdin.write(b"".join(lines))
                self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # killed meanwhile

    def _read(self):
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last one may be cut off
                self.acknowledged.append(int(line))

    def kill(self):
        self.process.kill()

    def bury(self):
        """Reaps the killed process; returns what was wrong with its life, or None."""
        self.process.wait()
        self.reader.join()
        self.feeder.join()
        try:
            self.process.stdin.close()
        except OSError:
            pass
        errors = self.process.stderr.read().decode(errors="replace")
        self.process.stdout.close()
        self.process.stderr.close()
        if self.process.returncode != -9:
            return "cycle %d: exit code %d: %s" % (self.cycle, self.process.returncode, errors)
        first = self.acknowledged[0] if self.acknowledged else 0
        if self.acknowledged != list(range(first, first + len(self.acknowledged))):
            return "cycle %d: acknowledged out of order" % self.cycle
        return None


def check_contents(stored, lives):
    """What the log holds against what was sent and acknowledged: (number lost, list of complaints)."""
    complaints = []
    lost = 0
    for life in lives:
        for index, offset in enumerate(life.acknowledged):
            if offset >= len(stored) or stored[offset] != record(life.cycle, index):
                lost += 1
                if lost <= 5:
                    complaints.append("cycle %d: record %d, acknowledged at offset %d, is not there" %
                                      (life.cycle, index, offset))
    cycle, index = -1, 0
    for offset, line in enumerate(stored):
        words = line.split(b" ", 2)
        try:
            found = int(words[0]), int(words[1])
        except (ValueError, IndexError):
            found = (-1, -1)
        index = index + 1 if found[0] == cycle else 0
        if found[0] < cycle or found[1] != index or line != record(*found):
            complaints.append("offset %d holds a record that does not follow: %r" % (offset, line[:60]))
            break
        cycle = found[0]
    return lost, complaints


def run(command, log, cycles, rng):
    lives, complaints = [], []
    verdicts = {0: 0, 3: 0}
    life = None
    for cycle in range(cycles):
        successor = Writer(command, log, cycle, rng.choice(RECORDS_MAX))
        if life is not None:  # reaped only now: the successor was started at once
            complaints += filter(None, [life.bury()])
            lives.append(life)
        life = successor
        time.sleep(rng.uniform(0, 0.25))
        life.kill()
        if cycle % 20 == 19:
            life.process.wait()
            code = subprocess.run([command, "verify", log, "--quiet"], capture_output=True).returncode
            verdicts[code] = verdicts.get(code, 0) + 1
    complaints += filter(None, [life.bury()])
    lives.append(life)
    bad = sum(count for code, count in verdicts.items() if code not in (0, 3))
    if bad:
        complaints.append("verify between cycles: exit codes %s" % verdicts)
    return lives, complaints, verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=os.environ.get("CAISSON_COMMAND", "build/tools/caisson"))
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--directory", default=os.environ.get("CAISSON_TEST_DIRECTORY", "/var/tmp"),
                        help="where the log is made; not on tmpfs")
    options = parser.parse_args()

    scratch = tempfile.mkdtemp(prefix="caisson-kill-", dir=options.directory)
    log = os.path.join(scratch, "log")
    began = time.monotonic()
    lives, complaints, verdicts = run(options.command, log, options.cycles, random.Random(options.seed))

    recovered = subprocess.run([options.command, "append", log], stdin=subprocess.DEVNULL, capture_output=True)
    if recovered.returncode != 0:
        complaints.append("the last recovery: " + recovered.stderr.decode(errors="replace"))
    verified = subprocess.run([options.command, "verify", log], capture_output=True)
    if verified.returncode != 0:
        complaints.append("verify: " + verified.stdout.decode(errors="replace"))
    stored = subprocess.run([options.command, "cat", log], capture_output=True).stdout.split(b"\n")[:-1]
    lost, wrong = check_contents(stored, lives)
    complaints += wrong

    acknowledged = sum(len(life.acknowledged) for life in lives)
    print("cycles %d, acknowledged %d, stored %d, lost %d, verify between cycles %s, seed %d, %.1f s" %
          (options.cycles, acknowledged, len(stored), lost, verdicts, options.seed, time.monotonic() - began))
    if not acknowledged:
        complaints.append("nothing was acknowledged: this run proves nothing")
    if complaints:
        print("\n".join(complaints), file=sys.stderr)
        print("the log is kept in " + log, file=sys.stderr)
        return 1
    shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
