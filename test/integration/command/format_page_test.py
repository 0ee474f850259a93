# A log that the command closed holds only what docs/format.md allows. The decoder below is written from that page alone and
# shares nothing with src/format, not even the checksum: what both get wrong in the same way, the page has wrong.

import json
import os
import stat
import struct
from collections import namedtuple

from command_case import CommandCase, run_tests

State = namedtuple("State", "magic version features generation log_id native_from purged_before epoch remote_end "
                   "block_bytes role intention has_segment has_mark segment_begin predecessor_timestamp predecessor_crc "
                   "predecessor_known reserved sink_synced_end reset_target mark_segment mark_length mark_last_commit "
                   "mark_crc")
STATE, SLOT_BYTES, SLOTS = struct.Struct("<8sIIQQQQQQIBBBBQQIB3sQQQQQI"), 4096, (0, 65536)
HEADER, COMMIT, TRAILER = b"(ds)^2\x01\x00\x00\x00", struct.Struct("<QQHI"), struct.Struct("<BQQQI")
Commit = namedtuple("Commit", "begin end first_byte end_byte padding timestamp durable_end crc")


def table_entry(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # 0x1EDC6F41 reflected
    return byte


TABLE = [table_entry(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[crc & 0xFF ^ byte]
    return crc ^ 0xFFFFFFFF


class NotAllowed(Exception):
    """The bytes are not what the page says."""


def require(condition, what, *where):
    if not condition:
        raise NotAllowed("%s: %s" % (what, " ".join(map(str, where))))


class Decoder:
    """Walks a closed log: `commits` of each segment by its name, and all `records`."""

    def __init__(self, directory):
        self.commits, self.records, self.last = {}, [], None
        self.read_state(os.path.join(directory, "STATE"))
        names = sorted(name for name in os.listdir(directory) if name.endswith(".stdb.log"))
        for name in names:
            with open(os.path.join(directory, name), "rb") as file:
                self.read_segment(name, file.read(), is_newest=name == names[-1])
            index = os.path.join(directory, name.replace(".log", ".ofs"))
            if os.path.exists(index):
                self.read_index(index, self.commits[name])
        self.check_mark(names[-1], os.path.getsize(os.path.join(directory, names[-1])))

    def read_state(self, path):
        with open(path, "rb") as file:
            data = file.read()
        slots = []
        for place, begin in enumerate(SLOTS):
            slot = data[begin:begin + SLOT_BYTES]
            require(len(slot) == SLOT_BYTES, "slot length", place)
            require(crc32c(slot[:-4]) == int.from_bytes(slot[-4:], "little"), "slot checksum", place)
            state = State._make(STATE.unpack_from(slot))
            require((state.magic, state.version, state.features) == (b"CAISSON\0", 1, 0), "slot magic", state)
            require(state.generation % 2 == place, "slot place", state)
            require(not any(slot[STATE.size:-4]) and not any(state.reserved), "slot reserved bytes", place)
            require(state.block_bytes >= 4096 and state.block_bytes.bit_count() == 1, "block size", state)
            require((state.role, state.intention, state.sink_synced_end, state.reset_target) == (0, 0, 0, 0),
                    "absent parts", state)
            slots.append(state)
        require(not any(data[SLOT_BYTES:SLOTS[1]]) and not any(data[SLOTS[1] + SLOT_BYTES:]), "zeros around slots")
        old, self.state = sorted(slots, key=lambda slot: slot.generation)
        require(self.state.generation == old.generation + 1, "generations", old, self.state)
        require(old.log_id == self.state.log_id, "slots of one log", old, self.state)
        # Not the mark: dropping it takes something back, setting it does not.
        for settled in ("purged_before", "epoch", "role", "intention"):
            require(getattr(old, settled) == getattr(self.state, settled), "settled " + settled, old, self.state)

    def read_segment(self, name, data, is_newest):
        self.predecessor = self.last
        begin = self.last.end if self.last else 0
        require(name == "%020d.stdb.log" % begin, "segment name", name, begin)
        require(data[:10] == HEADER, "segment header", name, data[:10])
        commits = self.commits[name] = []
        while (position := commits[-1].end_byte if commits else 10) < len(data):
            commits.append(self.read_commit(name, data, position))
            self.last = commits[-1]
        require(commits or is_newest, "sealed segment without a commit", name)

    def read_commit(self, name, data, position):
        require(position + COMMIT.size <= len(data), "bytes behind the last commit", name, position)
        begin, epoch, count, length = COMMIT.unpack_from(data, position)
        require(begin == (self.last.end if self.last else 0), "commit offset", name, position, begin)
        require(epoch == 0 and count >= 1, "epoch and record count", name, position, epoch, count)
        records_end = position + COMMIT.size + length
        require(length >= TRAILER.size and records_end + 4 <= len(data), "commit length", name, position, length)
        crc = crc32c(data[position:records_end])
        require(crc == int.from_bytes(data[records_end:records_end + 4], "little"), "commit checksum", name, position)
        trailer_begin = records_end - TRAILER.size
        version, log_id, durable_end, timestamp, previous_crc = TRAILER.unpack_from(data, trailer_begin)
        require(version == 1, "trailer version", name, position, version)
        require(log_id == self.state.log_id, "log id", name, position, log_id)
        require((self.last.durable_end if self.last else 0) <= durable_end <= begin, "durable end", name, position)
        require(timestamp >= (self.last.timestamp if self.last else 1), "timestamp", name, position, timestamp)
        require(previous_crc == (self.last.crc if self.last else 0), "chain", name, position, previous_crc)
        at = position + COMMIT.size
        for _ in range(count):
            require(at + 4 <= trailer_begin, "record length", name, at)
            end = at + 4 + int.from_bytes(data[at:at + 4], "little")
            require(end <= trailer_begin, "record length", name, at)
            self.records.append(data[at + 4:end])
            at = end
        require(not any(data[at:trailer_begin]), "padding is zeros", name, at)
        require(at == trailer_begin or (records_end + 4) % self.state.block_bytes == 0, "padding to a block", name, at)
        return Commit(begin, begin + count, position, records_end + 4, trailer_begin - at, timestamp, durable_end, crc)

    def read_index(self, path, commits):
        with open(path, "rb") as file:
            entries = list(struct.iter_unpack("<QQ", file.read()))
        used = [entry for entry in entries if entry != (0, 0)]
        require(entries[:len(used)] == used and used == sorted(set(used)), "order of the index", path)
        require(set(used) <= {(commit.begin, commit.first_byte) for commit in commits}, "index entries", path)

    def check_mark(self, newest, length):
        begin, commits, before = int(newest[:20]), self.commits[newest], self.predecessor
        state = self.state
        require((state.has_segment, state.segment_begin, state.native_from, state.purged_before, state.remote_end,
                 state.epoch) == (1, begin, 0, 0, 0, 0), "newest segment in STATE", state)
        require((state.predecessor_known, state.predecessor_crc, state.predecessor_timestamp) ==
                ((1, before.crc, before.timestamp) if before else (1, 0, 0)), "predecessor in STATE", state)
        require((state.has_mark, state.mark_segment, state.mark_length) == (1, begin, length), "clean mark", state)
        require((state.mark_last_commit, state.mark_crc) == (commits[-1].first_byte if commits else 0,
                                                             self.last.crc if self.last else 0), "marked end", state)


class FormatPage(CommandCase):
    def expect_allowed(self, data):
        """Decodes the closed log and requires these lines as its records; returns the decoder."""
        decoder = Decoder(self.log)
        self.assertEqual(decoder.records, data.split(b"\n")[:-1])
        for parent, directories, files in os.walk(self.log):
            for name in directories + files:
                found = os.lstat(os.path.join(parent, name))
                wanted = (stat.S_IFDIR, 0o700) if name in directories else (stat.S_IFREG, 0o600)
                self.assertEqual((stat.S_IFMT(found.st_mode), stat.S_IMODE(found.st_mode)), wanted, name)
                self.assertTrue(name in directories or found.st_nlink == 1, name)
        self.assertEqual(os.path.getsize(self.path("LOCK")), 0)
        self.assertLessEqual(set(os.listdir(self.log)), {"LOCK", "STATE", "spare", "lost"} | set(self.segments()) |
                             {name.replace(".log", ".ofs") for name in self.segments()})
        return decoder

    def test_the_checksum_is_the_one_of_the_page(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)

    def test_a_log_of_small_records(self):
        data = b"".join(b"record %d\n" % i for i in range(2000))
        self.append(data)
        self.expect_allowed(data)

    def test_a_log_without_a_record(self):
        self.append(b"")
        self.expect_allowed(b"")

    def test_empty_records(self):
        data = b"\n" * 500 + b"between\n" + b"\n" * 500
        self.append(data)
        self.expect_allowed(data)

    def test_a_log_that_was_opened_again(self):
        data = b"".join(b"life %d\n" % i for i in range(4))
        for line in data.splitlines(keepends=True):
            self.append(line)
        self.assertEqual([len(commits) for commits in self.expect_allowed(data).commits.values()], [4])

    def test_rotated_segments(self):
        data = b"".join(b"%d %s\n" % (i, b"r" * (i % 400)) for i in range(2000))
        self.append(data, "--segment-size", "64K")
        self.assertGreater(len(self.expect_allowed(data).commits), 4)

    def test_a_log_whose_newest_segment_is_behind_a_reopening(self):
        data = b"".join(b"%d %s\n" % (i, b"r" * 900) for i in range(200))
        self.append(data, "--segment-size", "64K")
        self.append(data, "--segment-size", "64K")
        self.assertGreater(len(self.expect_allowed(data * 2).commits), 4)

    def test_padded_groups(self):
        data = b"".join(b"%d %s\n" % (i, b"p" * 20_001) for i in range(60))
        self.append(data)
        commits = [commit for each in self.expect_allowed(data).commits.values() for commit in each]
        self.assertTrue(any(commit.padding for commit in commits))

    def test_a_killed_writers_log_after_recovery(self):
        data = b"".join(b"line %d %s\n" % (i, b"k" * (i % 97)) for i in range(200_000))
        acknowledged = self.append_until_killed(data, 4_000, "--segment-size", "256K", "--iodepth", "64")
        self.assertFalse(json.loads(self.caisson("stat", self.log, "--json").out)["closed_cleanly"])
        self.append(b"", "--segment-size", "256K")
        stored = self.cat()
        self.assertEqual(stored, data[:len(stored)])
        self.assertGreaterEqual(stored.count(b"\n"), acknowledged)
        self.expect_allowed(stored)
        self.append(b"after it\n", "--segment-size", "256K")
        self.expect_allowed(stored + b"after it\n")


class ChangedBytes(CommandCase):
    """That the decoder looks: what it accepts stops being accepted."""

    def setUp(self):
        super().setUp()
        for line in (b"one\n", b"two\n", b"three\n"):
            self.append(line)
        self.segment = self.segments()[0]
        self.good = Decoder(self.log)

    def expect_refused(self, words=""):
        with self.assertRaisesRegex(NotAllowed, words):
            Decoder(self.log)

    def test_every_byte_of_a_segment_counts(self):
        for position in range(os.path.getsize(self.path(self.segment))):
            with self.subTest(position=position):
                self.flip(self.segment, position)
                self.expect_refused()
                self.flip(self.segment, position)
        Decoder(self.log)

    def test_bytes_of_state_count_wherever_they_are(self):
        for position in (*range(0, 140, 3), 140, 4091, 4092, 4095, 4096, 65535, *range(65536, 65676, 3), 69628, 69631):
            with self.subTest(position=position):
                self.flip("STATE", position)
                self.expect_refused()
                self.flip("STATE", position)
        Decoder(self.log)

    def test_bytes_behind_the_last_commit_count(self):
        length = os.path.getsize(self.path(self.segment))
        for more in (b"\0", b"\0" * 4096, b"x"):
            with self.subTest(more=more[:1]):
                self.patch(self.segment, length, more)
                self.expect_refused()
                os.truncate(self.path(self.segment), length)
        Decoder(self.log)

    def test_a_right_checksum_over_wrong_contents_does_not_help(self):
        commit = self.good.commits[self.segment][-1]
        trailer = commit.end_byte - 4 - TRAILER.size
        with open(self.path(self.segment), "rb") as file:
            whole = file.read()
        for what, position, replacement in (
            ("commit offset", commit.first_byte, struct.pack("<Q", 3)),
            ("epoch", commit.first_byte + 8, struct.pack("<Q", 1)),
            ("record length", commit.first_byte + 22, struct.pack("<I", 6)),
            ("padding is zeros", commit.first_byte + 22, struct.pack("<I", 4)),
            ("trailer version", trailer, b"\2"),
            ("log id", trailer + 1, struct.pack("<Q", self.good.state.log_id ^ 1)),
            ("durable end", trailer + 9, struct.pack("<Q", 3)),
            ("durable end", trailer + 9, struct.pack("<Q", 0)),
            ("timestamp", trailer + 17, struct.pack("<Q", 5)),
            ("chain", trailer + 25, struct.pack("<I", 7)),
            ("marked end", trailer + 17, struct.pack("<Q", commit.timestamp + 1)),
        ):
            with self.subTest(what=what):
                self.patch(self.segment, position, replacement)
                with open(self.path(self.segment), "rb") as file:
                    file.seek(commit.first_byte)
                    content = file.read()[:-4]
                self.patch(self.segment, commit.end_byte - 4, struct.pack("<I", crc32c(content)))
                self.expect_refused("^" + what)
                self.patch(self.segment, 0, whole)
        Decoder(self.log)


if __name__ == "__main__":
    run_tests()
