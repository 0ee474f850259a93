"""The ledger of the power-cut test accepts what the promise allows and names each way to break it.

Read docs/reliability.md, "Power cuts on real file systems".
"""

import unittest

from records import Damage, Ledger, payload


def log_of(*writers):
    """The lines of a log; each writer is (number, first offset, end offset)."""
    return [
        payload(writer, offset) + b"\n"
        for writer, begin, end in writers
        for offset in range(begin, end)
    ]


class LedgerTest(unittest.TestCase):
    """A ledger over one writer with 300 of its records acknowledged."""

    def setUp(self):
        self.ledger = Ledger()
        self.ledger.begin_writer(1, 0)
        self.ledger.acknowledge(300)

    def assert_damage(self, lines, message):
        with self.assertRaisesRegex(Damage, message):
            self.ledger.check(lines)

    def test_acknowledged_records_alone_are_accepted(self):
        self.assertEqual(self.ledger.check(log_of((1, 0, 300))), 300)

    def test_what_follows_the_acknowledged_is_accepted_and_promised_from_then_on(self):
        self.assertEqual(self.ledger.check(log_of((1, 0, 310))), 310)
        self.ledger.begin_writer(2, 310)
        self.assert_damage(log_of((1, 0, 305)), "5 acknowledged records lost")

    def test_one_missing_acknowledged_record_is_a_loss(self):
        self.assert_damage(log_of((1, 0, 299)), "1 acknowledged records lost")

    def test_an_empty_log_is_a_loss(self):
        self.assert_damage([], "300 acknowledged records lost")

    def test_a_hole_is_damage(self):
        self.assert_damage(log_of((1, 0, 100), (1, 101, 301)), "record 100 differs")

    def test_a_duplicate_is_damage(self):
        self.assert_damage(log_of((1, 0, 101), (1, 100, 300)), "record 101 differs")

    def test_a_changed_byte_is_damage(self):
        lines = log_of((1, 0, 300))
        number = max(range(300), key=lambda offset: len(lines[offset]))
        lines[number] = lines[number][:-2] + b"?\n"
        self.assert_damage(lines, f"record {number} differs")

    def test_a_continued_log_holds_each_writer_in_its_place(self):
        self.ledger.check(log_of((1, 0, 300)))
        self.ledger.begin_writer(2, 300)
        self.assertEqual(self.ledger.check(log_of((1, 0, 300), (2, 300, 400))), 400)

    def test_what_an_earlier_writer_left_unacknowledged_must_not_come_back(self):
        self.ledger.check(log_of((1, 0, 300)))
        self.ledger.begin_writer(2, 300)
        self.assert_damage(log_of((1, 0, 600)), "record 30[0-9] differs")  # empty records are alike

    def test_records_nobody_gave_are_damage(self):
        ledger = Ledger()
        with self.assertRaisesRegex(Damage, "record 0 was never given"):
            ledger.check([b"surprise\n"])

    def test_payloads_hold_no_newline_and_cover_empty_to_20_kib(self):
        sizes = set()
        for offset in range(20_000):
            record = payload(1, offset)
            self.assertNotIn(b"\n", record)
            sizes.add(len(record))
        self.assertIn(0, sizes)
        self.assertGreater(max(sizes), 19 * 1024)
        self.assertLessEqual(max(sizes), 20 * 1024)


if __name__ == "__main__":
    unittest.main()
