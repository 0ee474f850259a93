#!/usr/bin/env python3
"""Kills the owner of a log while the disk still works on its write: nobody may have the lock before
that write has landed, and the successor that waits for it loses nothing.

A lock that is free while a dead owner's write is on its way lets the successor write, and then the
late write falls on what the successor has written. The engine keeps the lock file open in its ring,
which the kernel takes apart only when its operations have ended.

Exit status: 0 as promised, 1 not, 77 skipped (no root, no FUSE, no loop device).
Read docs/reliability.md, "Power cuts on real file systems".
"""

import argparse
import contextlib
import fcntl
import subprocess
import sys
import time

from fault_device import FaultDevice, Skip, require_machine, until

OK, FAILED, SKIPPED = 0, 1, 77
WRITE_MICROSECONDS = 2_000_000  # shorter than the 5 s that a successor waits
LOOKING_SECONDS = 1.0  # nobody else may have taken the lock meanwhile
# ext4 initialises its tables when it likes: the only write on its way is to be the owner's.
MOUNT_OPTIONS = {"ext4": "noinit_itable", "xfs": None}
TOOL_SECONDS_MAX = 60


class Broken(Exception):
    """A promise, or the test's own ground."""


def require(condition, what):
    if not condition:
        raise Broken(what)


def start_owner(command, log):
    """An owner at rest with one acknowledged record."""
    owner = subprocess.Popen(  # pylint: disable=consider-using-with
        [command, "append", log], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    owner.stdin.write(b"first\n")
    owner.stdin.flush()
    require(owner.stdout.readline() == b"0\n", "the first record was not acknowledged")
    time.sleep(0.3)  # what was prepared meanwhile has been written
    return owner


def can_lock(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def kill_with_a_write_on_its_way(device, owner):
    """Returns how many writes the disk had ended at that moment."""
    device.command(f"delay write {WRITE_MICROSECONDS}")
    before = device.statistics()
    require(before["operations_waiting"] == 0, "something else writes")
    owner.stdin.write(b"second\n")
    owner.stdin.flush()
    until(
        lambda: device.statistics()["operations_waiting"] > 0,
        "the second record's write reaching the disk",
    )
    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    require(device.statistics()["writes"] == before["writes"], "the write did not wait")
    return before["writes"]


def start_successor(command, log):
    return subprocess.Popen(
        [command, "append", log],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def require_locked(device, lock, writes_before):
    begun = time.monotonic()
    looks = 0
    while time.monotonic() - begun < LOOKING_SECONDS:
        require(not can_lock(lock), "the lock is free while the dead owner's write is on its way")
        looks += 1
        time.sleep(0.005)
    require(device.statistics()["writes"] == writes_before, "the write landed too early")
    print(f"dead_owner: looked at the lock {looks} times", flush=True)


def require_whole(command, log, acknowledged):
    """`acknowledged`: what the successor printed for its one record."""
    records = subprocess.run(
        [command, "cat", log], capture_output=True, timeout=TOOL_SECONDS_MAX, check=True
    ).stdout.splitlines()
    # What has landed before the successor had the lock is there.
    require(records == [b"first", b"second", b"third"], f"the log holds {records}")
    require(acknowledged == b"2\n", f"the successor was told {acknowledged}")
    verified = subprocess.run(
        [command, "verify", log], capture_output=True, timeout=TOOL_SECONDS_MAX, check=False
    )
    require(verified.returncode == 0, f"verify: {verified.stdout.decode()}")


def run(command, device):
    device.format()
    device.mount()
    log = device.volume / "log"
    owner = start_owner(command, log)
    successor = None
    try:
        writes_before = kill_with_a_write_on_its_way(device, owner)
        require_locked(device, log / "LOCK", writes_before)
        successor = start_successor(command, log)
        until(
            lambda: device.statistics()["writes"] > writes_before, "the dead owner's write landing"
        )
        device.command("delay write 0")
        acknowledged, error = successor.communicate(b"third\n", timeout=TOOL_SECONDS_MAX)
        require(successor.returncode == 0, f"the successor failed: {error.decode()}")
        require_whole(command, log, acknowledged)
    finally:
        device.command("delay write 0")
        for process in (owner, successor):
            if process is not None:
                process.kill()
                process.wait()
        device.unmount()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault-disk")
    parser.add_argument("--command")
    parser.add_argument("--filesystem", choices=("ext4", "xfs"), default="ext4")
    arguments = parser.parse_args()
    try:
        require_machine(arguments.fault_disk, arguments.filesystem)
        if not arguments.command:
            raise Skip("the caisson command was not built")
        with contextlib.closing(
            FaultDevice(
                arguments.fault_disk, arguments.filesystem, MOUNT_OPTIONS[arguments.filesystem]
            )
        ) as device:
            run(arguments.command, device)
    except Skip as reason:
        print(f"dead_owner: SKIPPED: {arguments.filesystem}: {reason}")
        return SKIPPED
    except Broken as problem:
        print(f"dead_owner: FAILED: {problem}")
        return FAILED
    return OK


if __name__ == "__main__":
    sys.exit(main())
