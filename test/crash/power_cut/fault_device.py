"""A real file system on a disk whose power can be cut: fault_disk (FUSE), loop, mkfs and mount.

Everything lives in one scratch directory and is taken down on exit; what a killed run left behind
is taken down by the next one. Knows nothing about logs.
Read docs/reliability.md, "Power cuts on real file systems".
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

SCRATCH_PREFIX = "caisson-power-cut-"
IMAGE_BYTES = 512 << 20  # mkfs.xfs wants 300 MiB; the image is sparse
COMMAND_SECONDS_MAX = 60
BUSY_SECONDS_MAX = 20  # a killed io_uring user gives up its files only when its ring has exited

MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard"], "xfs": ["mkfs.xfs", "-q", "-f", "-K"]}


class Skip(Exception):
    """This machine cannot run the test; the message says why."""


class MountFailure(Exception):
    """The file system did not come back after a power cut."""


def run(*command, check=True):
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
    )
    if check and done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()}"
        )
    return done


def until(condition, what, seconds=BUSY_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not done after {seconds} s")
        time.sleep(0.005)


def mounted_below(directory):
    """Mount points at or below `directory`, innermost first."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        points = [line.split()[1] for line in mounts]
    return [point for point in reversed(points) if pathlib.Path(point).is_relative_to(directory)]


def loops_below(directory):
    """Loop devices whose backing file lies below `directory`."""
    found = []
    for backing in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if backing.read_text(encoding="utf-8").startswith(f"{directory}/"):
                found.append(f"/dev/{backing.parts[3]}")
    return found


def take_down(directory):
    """Unmounts and detaches everything below `directory`, by force if need be; removes it."""

    def detach():
        for device in loops_below(directory):
            run("losetup", "--detach", device, check=False)
        return not loops_below(directory)

    for point in mounted_below(directory / "volume"):
        if run("umount", point, check=False).returncode != 0:
            run("umount", "--lazy", point, check=False)
    # A lazy unmount, or a writer not yet dead, keeps the loop device for a while: it detaches
    # itself at the last close.
    with contextlib.suppress(RuntimeError):
        until(detach, f"detaching {loops_below(directory)}")
    for point in mounted_below(directory):
        if run("umount", point, check=False).returncode != 0:
            run("umount", "--lazy", point, check=False)
    if not mounted_below(directory):
        shutil.rmtree(directory, ignore_errors=True)


def take_down_leftovers():
    for directory in pathlib.Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        with contextlib.suppress(OSError), open(directory / "lock", "rb") as lock:
            # Whoever is alive holds its lock: another run's directory is left alone.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            print(f"power_cut: taking down what an earlier run left in {directory}", flush=True)
            take_down(directory)


def require_machine(fault_disk, filesystem):
    """Raises Skip unless this machine can mount `filesystem` on a loop device over FUSE."""
    if os.geteuid() != 0:
        raise Skip("needs root, to mount file systems")
    if not fault_disk:
        raise Skip("fault_disk was not built: needs libfuse3-dev and pkg-config")
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not os.access(device, os.R_OK | os.W_OK):
            raise Skip(f"needs {device}")
    for program in (MKFS[filesystem][0], "losetup", "mount", "umount"):
        if not shutil.which(program):
            raise Skip(f"needs {program}")


class FaultDevice:
    """`volume` is the mount point of the file system under test while it is mounted."""

    def __init__(self, fault_disk, filesystem, mount_options):
        take_down_leftovers()
        self._filesystem = filesystem
        self._mount_options = mount_options
        self._scratch = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        self._lock = open(self._scratch / "lock", "wb")  # pylint: disable=consider-using-with
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._image = self._scratch / "image"
        self._fault_files = self._scratch / "fault"
        self.volume = self._scratch / "volume"
        self._device = None
        self._server = None
        try:
            self._start(fault_disk)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, fault_disk):
        self._fault_files.mkdir()
        self.volume.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        # A session of its own: Ctrl-C must reach it after the file system on top of it is
        # unmounted.
        self._server = subprocess.Popen(  # pylint: disable=consider-using-with
            [fault_disk, self._image, self._fault_files],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        control = self._fault_files / "control"
        until(lambda: control.exists() or self._server.poll() is not None, "starting fault_disk")
        if self._server.poll() is not None:
            raise Skip(f"fault_disk does not start: {self._server.stderr.read().strip()}")
        self._probe()

    def _probe(self):
        """Raises Skip unless the whole stack works here once."""
        try:
            self.format()
            self.mount()
            self.unmount()
        except (MountFailure, RuntimeError) as error:
            raise Skip(f"cannot mount {self._filesystem} on a loop device here: {error}") from error

    def command(self, text):
        with open(self._fault_files / "control", "wb", buffering=0) as control:
            control.write(text.encode())

    def statistics(self):
        # One read: the text may be another one, and longer, by the next.
        with open(self._fault_files / "control", "rb", buffering=0) as control:
            lines = control.read(4096).decode().splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}

    def format(self):
        """A fresh file system; nothing may be mounted."""
        with open(
            self._image, "wb"
        ) as image:  # truncated first: nothing of the file system before shines through
            image.truncate(IMAGE_BYTES)
        run(*MKFS[self._filesystem], self._image)

    def _attach(self):
        # Direct I/O: several requests in flight at the fault disk, as at a real one.
        attached = run("losetup", "--find", "--show", "--direct-io=on", self._fault_files / "disk")
        self._device = attached.stdout.strip()

    def mount(self):
        """Restores the power and mounts; raises MountFailure."""
        self.command("power on")
        self._attach()
        options = ["-o", self._mount_options] if self._mount_options else []
        mounted = run(
            "mount", "-t", self._filesystem, *options, self._device, self.volume, check=False
        )
        if mounted.returncode != 0:
            self.detach()
            raise MountFailure(
                mounted.stderr.strip().partition("\n")[0]
            )  # the rest points at dmesg

    def unmount(self):
        until(
            lambda: run("umount", self.volume, check=False).returncode == 0, f"umount {self.volume}"
        )
        self.detach()

    def detach(self):
        run("losetup", "--detach", self._device)
        until(
            lambda: self._device not in loops_below(self._scratch),
            f"losetup --detach {self._device}",
        )
        self._device = None

    def close(self):
        take_down(self._scratch)
        if self._server is not None:
            try:
                self._server.wait(timeout=BUSY_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server.stderr.close()
        self._lock.close()
