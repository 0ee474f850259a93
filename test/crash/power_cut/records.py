"""The records that the power-cut test appends, and the ledger of what must be there afterwards.

Every record follows from the writer's number and its offset, so nothing but (first offset, writer)
pairs is kept. Knows nothing about disks or processes.
Read docs/reliability.md, "Power cuts on real file systems".
"""

import hashlib

BURST_RECORDS = 128
# (weight, smallest, largest size in bytes); a burst draws one class, so that equal and mixed groups
# both occur.
SIZE_CLASSES = ((2, 0, 0), (8, 1, 200), (4, 64, 64), (4, 0, 2000), (2, 0, 20 * 1024))
SIZE_CLASS_OF_DRAW = [sizes for weight, *sizes in SIZE_CLASSES for _ in range(weight)]
FILLER = hashlib.shake_256(b"filler of the power-cut test").hexdigest(64 * 1024).encode()


def digest_number(*parts):
    text = ":".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def payload(writer, offset):
    """The record at `offset` by the writer of that number: never a newline, 0 bytes to 20 KiB.

    The writer is part of it: what recovery cut from an earlier writer must not come back.
    """
    smallest, largest = SIZE_CLASS_OF_DRAW[
        digest_number(writer, offset // BURST_RECORDS) % len(SIZE_CLASS_OF_DRAW)
    ]
    drawn = digest_number(writer, offset, "record")
    size_bytes = smallest + drawn % (largest - smallest + 1)
    begin = (drawn >> 40) % (len(FILLER) // 2)
    head = b"%016x %d %d " % (drawn >> 64, writer, offset)
    return (head + FILLER[begin : begin + size_bytes])[:size_bytes]


class Damage(Exception):
    """The log holds something else than it must; the message says what and where."""


class Missing(Damage):
    """What the log returned is right, and ends before the last promised record."""


class Ledger:
    """What one log on one file system was given, promised and returned."""

    def __init__(self):
        self._writers = []  # (first offset, writer), ascending
        self.promised_end = (
            0  # everything below was acknowledged, or returned by an earlier recovery
        )

    def begin_writer(self, writer, first_offset):
        """`writer` appends from `first_offset`; what earlier writers gave beyond it is void."""
        self._writers = [known for known in self._writers if known[0] < first_offset]
        self._writers.append((first_offset, writer))

    def acknowledge(self, end):
        self.promised_end = max(self.promised_end, end)

    def check(self, lines):
        """Compares a recovered log, one record a line; returns their number, raises Damage."""
        count = 0
        writers = iter(self._writers + [(None, None)])
        writer = None
        next_first, next_writer = next(writers)
        for line in lines:
            if count == next_first:
                writer = next_writer
                next_first, next_writer = next(writers)
            if writer is None:
                raise Damage(f"record {count} was never given to the log")
            if line != payload(writer, count) + b"\n":
                raise Damage(
                    f"record {count} differs from what writer {writer} gave: {line[:60]!r}"
                )
            count += 1
        if count < self.promised_end:
            raise Missing(
                f"{self.promised_end - count} acknowledged records lost: {count} returned, "
                f"{self.promised_end} promised"
            )
        self.promised_end = count
        return count
