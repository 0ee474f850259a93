#!/usr/bin/env python3
"""Cuts the power under the real engine on a real file system, many times: no promise may break.

A cycle: a writer appends through io_uring while its acknowledgements are recorded, the power goes
at a random moment, the file system is mounted again, and the log must verify, recover, and return
every acknowledged record, byte for byte, with nothing beside them but later records of the same
writer. With --expect-loss the run is a control: a lying disk or a broken writer, and the run
succeeds only if the loss was seen.

Exit status: 0 as promised, 1 not, 77 skipped (no root, no FUSE, no loop device).
Read docs/reliability.md, "Power cuts on real file systems".
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

from fault_device import FaultDevice, MountFailure, Skip, require_machine
from records import Damage, Ledger, Missing
from writer import BURSTS, Writer

OK, FAILED, SKIPPED = 0, 1, 77
CLEAN, DAMAGED, TORN_TAIL = 0, 2, 3  # exit codes of the command
KEEP_PERCENTS = (0, 25, 50, 75, 100)
# Every second power cut comes while a flush is owed and takes a part of what was written: about two
# in five of these leave a torn commit, which recovery has to cut off. One in 25 cuts must.
CYCLES_PER_TEAR = 2
CYCLES_PER_TORN_TAIL_MAX = 25
# ext4 journals whole blocks and stands any tearing. XFS replays changes into blocks it finds on the
# disk and takes their first sector for the whole: a directory block torn by a power cut makes it
# refuse to mount. It gets a disk of 4 KiB sectors.
TORN_BETWEEN_SECTORS = {"ext4": 1, "xfs": 8}
TEAR_KEEP_PERCENTS = (25, 50, 75)
TEAR_FLUSH_MICROSECONDS = 20_000
TEAR_SECTORS_MIN = 32
TEAR_BURSTS = (8, 64)  # commits of several sectors, into space that was prepared
MOUNT_FAILURES_MAX = 2  # with nothing acknowledged on them; none was seen in 400 cycles
FIRST_ACKNOWLEDGEMENT_SECONDS_MAX = 30
EXIT_SECONDS_MAX = 20
TOOL_SECONDS_MAX = 60


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filesystem", choices=("ext4", "xfs"), required=True)
    parser.add_argument("--fault-disk", help="the fault_disk program")
    parser.add_argument("--command", help="the caisson command")
    parser.add_argument("--broken-command", help="appends in place of --command, for a control")
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for the appending process; may be repeated",
    )
    parser.add_argument(
        "--lie", action="store_true", help="the disk acknowledges flushes without doing them"
    )
    parser.add_argument("--mount-options", help="for example nobarrier")
    parser.add_argument(
        "--expect-loss", action="store_true", help="succeed only if acknowledged records were lost"
    )
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--cycles-per-filesystem", type=int, default=5)
    parser.add_argument(
        "--seed", type=int, default=None, help="of the moments and choices (the kernel has its own)"
    )
    parser.add_argument("--time-limit", type=float, default=240, metavar="SECONDS")
    parser.add_argument(
        "--evidence",
        type=pathlib.Path,
        metavar="DIRECTORY",
        help="keep the log as the power cut left it, and stop at the first failure",
    )
    return parser.parse_args()


@dataclasses.dataclass
class Findings:
    """What the run counts; `lost` and `refused` are cycles."""

    cycles: int = 0
    checked: int = 0
    acknowledged: int = 0
    lost: int = 0
    refused: int = 0
    other_failures: int = 0
    kept_beyond_acknowledged: int = 0
    torn_tails: int = 0
    second_cuts: int = 0
    unfinished_creations: int = 0
    mount_failures: int = 0
    acknowledged_unchecked: int = 0  # on file systems that did not mount again

    def summary(self):
        return " ".join(f"{name}={count}" for name, count in dataclasses.asdict(self).items())

    def broken_promises(self):
        return self.lost + self.refused


class Lost(Exception):
    """Acknowledged records are not returned."""


class Refused(Lost):
    """The engine itself says that acknowledged records are damaged."""


class Broken(Exception):
    """Something else than the promise failed."""


class PowerCutTest:
    """One file system at a time, with one log that is continued over several power cuts."""

    def __init__(self, arguments, device):
        self._arguments = arguments
        self._device = device
        self._log = device.volume / "log"
        self._draw = random.Random(arguments.seed)
        self._environment = os.environ | dict(pair.split("=", 1) for pair in arguments.environment)
        self._ledger = None
        self._is_mounted = False
        self._cycles_on_filesystem = 0
        self.findings = Findings()

    def _tool(self, *words):
        return subprocess.run(
            [self._arguments.command, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TOOL_SECONDS_MAX,
        )

    def _append_command(self, program):
        return [program, "append", str(self._log), "--segment-size", "1M", "--iodepth", "64"]

    def cycle(self):
        """One writer, one power cut (sometimes a second one during recovery), one check."""
        self.findings.cycles += 1
        if (
            self._ledger is None
            or self._cycles_on_filesystem == self._arguments.cycles_per_filesystem
        ):
            self._begin_filesystem()
        self._cycles_on_filesystem += 1
        try:
            self._write_until_power_cut()
            self._check_after_power_cut()
            self.findings.checked += 1
        except MountFailure as failure:
            self.findings.mount_failures += 1
            unchecked = self._ledger.promised_end if self._ledger else 0
            self.findings.acknowledged_unchecked += unchecked
            self._report(f"mount failure, {unchecked} acknowledged records unchecked", failure)
            self._ledger = None
        except (Lost, Broken, Damage, subprocess.TimeoutExpired) as failure:
            self._count_failure(failure)
            self._ledger = None

    def _count_failure(self, failure):
        if isinstance(failure, Refused):
            self.findings.refused += 1
            self._report("REFUSED", failure)
        elif isinstance(failure, (Lost, Damage)):
            self.findings.lost += 1
            self._report("LOST", failure)
        else:
            self.findings.other_failures += 1
            self._report("FAILED", failure)

    def _report(self, what, failure):
        print(f"power_cut: cycle {self.findings.cycles}: {what}: {failure}", flush=True)

    def _begin_filesystem(self):
        self._unmount()
        self._device.format()
        self._mount()
        self._ledger = Ledger()
        self._cycles_on_filesystem = 0

    def _mount(self):
        self._device.mount()
        self._is_mounted = True

    def _unmount(self):
        if self._is_mounted:
            self._device.unmount()
            self._is_mounted = False

    def _cut_power(self, keep_percents=KEEP_PERCENTS):
        self._device.command(
            f"crash {self._draw.getrandbits(64)} {self._draw.choice(keep_percents)}"
        )

    def _write_until_power_cut(self):
        # Lies from before the log exists, or only once it is at work: to lose a log is easier than
        # to lose its end.
        lies_late = self._draw.random() < 0.5
        if self._arguments.lie and not lies_late:
            self._device.command("lie on")
        self._device.command(f"evict {self._draw.choice((0, 50))}")
        self._device.command(f"block {TORN_BETWEEN_SECTORS[self._arguments.filesystem]}")
        first_offset = self._ledger.promised_end
        self._ledger.begin_writer(self.findings.cycles, first_offset)
        program = self._arguments.broken_command or self._arguments.command
        tears = self.findings.cycles % CYCLES_PER_TEAR == 0 and not self._arguments.lie
        writer = Writer(
            self._append_command(program),
            self._environment,
            self.findings.cycles,
            first_offset,
            self._draw.getrandbits(64),
            TEAR_BURSTS if tears else BURSTS,
        )
        try:
            keep_percents = self._wait_for_the_moment(
                writer, tears, begins_lying=self._arguments.lie and lies_late
            )
            was_running = writer.is_running()
            self._cut_power(keep_percents)
            # Most writers die with the machine; some live to see the errors, and must then end by
            # themselves.
            ended_alone = self._draw.random() > 0.25 or writer.wait_for_exit(EXIT_SECONDS_MAX)
        finally:
            status, error_text = writer.finish()
        self.findings.acknowledged += writer.acknowledged_end - first_offset
        self._ledger.acknowledge(writer.acknowledged_end)
        self._unmount()
        if not was_running:
            raise Broken(f"the writer ended before the power cut: exit {status}: {error_text}")
        if not ended_alone or status == 0:
            how = f"ended={ended_alone}, exit {status}: {error_text}"
            raise Broken(f"a writer without a disk must fail by itself: {how}")
        if writer.disorder:
            raise Broken(f"acknowledged out of order: {writer.disorder}")

    def _wait_for_the_moment(self, writer, tears, begins_lying):
        """Returns how much of what was not flushed may survive."""
        # One of the other cuts in five without a word from the writer: it may come while it
        # creates, opens or recovers the log.
        if not tears and not begins_lying and self._draw.random() < 0.2:
            time.sleep(self._draw.uniform(0, 0.06))
            return KEEP_PERCENTS
        deadline = time.monotonic() + FIRST_ACKNOWLEDGEMENT_SECONDS_MAX
        while not writer.first_acknowledged.wait(0.05) and writer.is_running():
            if time.monotonic() > deadline:
                raise Broken(f"no acknowledgement within {FIRST_ACKNOWLEDGEMENT_SECONDS_MAX} s")
        if begins_lying:
            self._device.command("lie on")
        time.sleep(self._draw.uniform(0, 0.25))
        if not tears:
            return KEEP_PERCENTS
        self._wait_for_writes_in_flight()
        return TEAR_KEEP_PERCENTS

    def _wait_for_writes_in_flight(self):
        # A flush follows its write within a millisecond: a cut hardly ever falls between them. Here
        # flushes take their time, as those of real disks do, and the cut waits until one is owed.
        self._device.command(f"delay flush {TEAR_FLUSH_MICROSECONDS}")
        time.sleep(self._draw.uniform(0.02, 0.06))
        deadline = time.monotonic() + 0.5
        while self._device.statistics()["sectors_unflushed"] < TEAR_SECTORS_MIN:
            if time.monotonic() > deadline:
                return  # an idle writer: the cut comes all the same
            time.sleep(0.001)

    def _check_after_power_cut(self):
        self._mount()
        self._keep_evidence()
        self._verify_as_found()
        if self._draw.random() < 0.2:
            self._cut_power_during_recovery()
        recovered = self._tool(*self._append_command("")[1:])
        if recovered.returncode != 0:
            raise (Refused if recovered.returncode == DAMAGED else Broken)(
                f"recovery: exit {recovered.returncode}: {recovered.stdout.strip()}"
            )
        verified = self._tool("verify", self._log)
        if verified.returncode != CLEAN:
            raise Broken(
                f"verify after recovery: exit {verified.returncode}: {verified.stdout.strip()}"
            )
        promised_end = self._ledger.promised_end
        self.findings.kept_beyond_acknowledged += self._compare_records() - promised_end

    def _keep_evidence(self):
        if self._arguments.evidence:
            shutil.rmtree(self._arguments.evidence, ignore_errors=True)
            if self._log.exists():
                shutil.copytree(self._log, self._arguments.evidence)

    def _verify_as_found(self):
        verified = self._tool("verify", self._log)
        if verified.returncode == TORN_TAIL:
            self.findings.torn_tails += 1
        elif verified.returncode != CLEAN:
            text = f"verify: exit {verified.returncode}: {verified.stdout.strip()}"
            if self._ledger.promised_end > 0:
                # A command that fails for whatever reason is a failure and no proof of a loss.
                if verified.returncode == DAMAGED:
                    raise Refused(text)
                raise (Broken if self._has_segments() else Lost)(text)
            if verified.returncode != FAILED:
                raise Broken(text)
            # Nothing was ever promised here: a log whose creation was cut off is for the next
            # append to finish.
            self.findings.unfinished_creations += 1

    def _has_segments(self):
        return any(path.stat().st_size > 0 for path in self._log.rglob("*") if path.is_file())

    def _cut_power_during_recovery(self):
        self.findings.second_cuts += 1
        with subprocess.Popen(
            self._append_command(self._arguments.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as recovery:
            time.sleep(self._draw.uniform(0, 0.04))
            self._cut_power()
            recovery.kill()
        self._unmount()
        self._mount()
        self._verify_as_found()

    def _compare_records(self):
        with subprocess.Popen(
            [self._arguments.command, "cat", str(self._log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        ) as cat:
            try:
                count = self._ledger.check(cat.stdout)
            except Missing:  # unless `cat` could not read what is there
                if cat.wait() in (CLEAN, DAMAGED):
                    raise
                raise Broken(f"cat: exit {cat.returncode}") from None
            except Damage:
                cat.kill()
                raise
        if cat.returncode != 0:
            raise Broken(f"cat: exit {cat.returncode}")
        return count


def verdict(arguments, findings):
    """What is wrong with the run, or None."""
    if arguments.expect_loss:
        is_seen = findings.broken_promises() > 0
        return None if is_seen else "acknowledged records had to be lost, and no loss was seen"
    if findings.broken_promises() + findings.other_failures > 0:
        return "a promise was broken"
    if findings.acknowledged_unchecked > 0 or findings.mount_failures > MOUNT_FAILURES_MAX:
        return "file systems did not mount again: what they held was not checked"
    if findings.checked < arguments.cycles:
        limit = f"{arguments.time_limit:.0f} s"
        return f"only {findings.checked} of {arguments.cycles} power cuts checked within {limit}"
    if findings.acknowledged == 0:
        return "nothing was acknowledged: this run proves nothing"
    torn_tails_min = arguments.cycles // CYCLES_PER_TORN_TAIL_MAX
    if findings.torn_tails < torn_tails_min:
        return f"{findings.torn_tails} torn tails, {torn_tails_min} at least were to be recovered"
    return None


def is_done(arguments, findings):
    """Controls lose file systems with their logs; otherwise every power cut asked for is checked."""
    if arguments.expect_loss:
        return findings.cycles >= arguments.cycles
    return (
        findings.checked >= arguments.cycles
        or findings.cycles >= arguments.cycles + MOUNT_FAILURES_MAX
    )


def run_cycles(arguments, device):
    started = time.monotonic()
    test = PowerCutTest(arguments, device)
    findings = test.findings
    while not is_done(arguments, findings) and time.monotonic() - started < arguments.time_limit:
        test.cycle()
        if arguments.evidence and findings.broken_promises() + findings.other_failures > 0:
            break
    seconds = time.monotonic() - started
    statistics = device.statistics()
    print(
        f"power_cut: {arguments.filesystem}: {findings.summary()} seconds={seconds:.1f} "
        f"sectors_kept={statistics['sectors_kept']} "
        f"sectors_dropped={statistics['sectors_dropped']} "
        f"flushes={statistics['flushes']} seed={arguments.seed}",
        flush=True,
    )
    return verdict(arguments, findings)


def main():
    arguments = parse_arguments()
    if arguments.seed is None:
        arguments.seed = random.getrandbits(32)
    # A terminated run must still unmount: turned into an exception, it passes through every
    # `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    try:
        require_machine(arguments.fault_disk, arguments.filesystem)
        if not arguments.command:
            raise Skip("the caisson command was not built")
        with contextlib.closing(
            FaultDevice(arguments.fault_disk, arguments.filesystem, arguments.mount_options)
        ) as device:
            problem = run_cycles(arguments, device)
    except Skip as reason:
        print(f"power_cut: SKIPPED: {arguments.filesystem}: {reason}", flush=True)
        return SKIPPED
    if problem:
        print(f"power_cut: FAILED: {problem}", flush=True)
        return FAILED
    return OK


if __name__ == "__main__":
    sys.exit(main())
