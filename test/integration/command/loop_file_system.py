# A small file system of a chosen kind on a loop device, in a mount namespace of this process: whatever ends the process,
# nothing stays mounted. Knows nothing about logs.

import ctypes
import os
import shutil
import subprocess
import time
import unittest

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-K"],
}
PACKAGE = {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}
# About the least that each mkfs takes. The images are sparse.
IMAGE_BYTES = {"ext4": 48 << 20, "xfs": 320 << 20, "btrfs": 160 << 20}
BUSY_SECONDS_MAX = 20  # a killed user of io_uring gives its files up only when its ring has exited


def enter_private_mounts():
    """Raises SkipTest where mounting is not allowed."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root, to mount file systems on loop devices")
    if not os.path.exists("/dev/loop-control"):
        raise unittest.SkipTest("needs loop devices: there is no /dev/loop-control")
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, recursive, private = 0x20000, 0x4000, 1 << 18  # CLONE_NEWNS, MS_REC, MS_PRIVATE
    if (libc.unshare(new_mounts) != 0 or
            libc.mount(b"none", b"/", None, ctypes.c_ulong(recursive | private), None) != 0):
        raise unittest.SkipTest("cannot make a mount namespace: " + os.strerror(ctypes.get_errno()))


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


class LoopFileSystem:
    """Mounted at `volume` until close()."""

    def __init__(self, kind, scratch):
        """Raises SkipTest where this kind cannot be made or mounted."""
        if not shutil.which(MKFS[kind][0]):
            raise unittest.SkipTest("needs %s (%s)" % (MKFS[kind][0], PACKAGE[kind]))
        image = os.path.join(scratch, "image")
        self.volume = os.path.join(scratch, "volume")
        self._ballast = os.path.join(self.volume, "ballast")
        os.mkdir(self.volume)
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES[kind])
        made = run(*MKFS[kind], image)
        if made.returncode != 0:
            raise RuntimeError("%s: %s" % (MKFS[kind][0], made.stderr))
        mounted = run("mount", "-t", kind, "-o", "loop", image, self.volume)
        if mounted.returncode != 0:
            raise unittest.SkipTest("cannot mount %s on a loop device here: %s" % (kind, mounted.stderr.strip()))

    def close(self):
        deadline = time.monotonic() + BUSY_SECONDS_MAX
        while run("umount", self.volume).returncode != 0:
            if time.monotonic() > deadline:
                run("umount", "--lazy", self.volume)
                return
            time.sleep(0.02)

    def remount(self, options):
        done = run("mount", "-o", "remount," + options, self.volume)
        if done.returncode != 0:
            raise RuntimeError("remount: " + done.stderr)

    def free_bytes(self):
        os.sync()  # btrfs gives space back when it commits
        facts = os.statvfs(self.volume)
        return facts.f_bavail * facts.f_frsize

    def leave_free(self, wanted_bytes):
        """Occupies everything but about `wanted_bytes`, until give_space_back()."""
        with open(self._ballast, "ab") as file:
            size = file.tell()
            surplus = self.free_bytes() - wanted_bytes
            if surplus > 0:
                os.posix_fallocate(file.fileno(), size, surplus)

    def take_everything(self):
        """Occupies every block that can be had."""
        with open(self._ballast, "ab", buffering=0) as file:
            for piece in (1 << 20, 4096, 512):
                try:
                    while True:
                        file.write(b"\xff" * piece)
                except OSError:
                    pass

    def give_space_back(self):
        os.unlink(self._ballast)
        os.sync()
