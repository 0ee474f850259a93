#!/usr/bin/env python3
"""Counts the test cases of a Meson test run.

usage: count_tests.py TESTLOG_JSON MESON_STATUS [RESULTS_FILE]

A Catch2 program and a script of Python's unittest count as their test cases, any other test as one. Appends
"passed failed skipped" to RESULTS_FILE, prints what was skipped and why, and exits with 1 if anything failed.
"""

import json
import pathlib
import re
import sys

ALL_PASSED = re.compile(r"All tests passed \([\d,]+ assertions? in (\d+) test cases?\)")
SOME_FAILED = re.compile(r"^test cases:(.*)$", re.MULTILINE)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED)(?: \((.*)\))?$", re.MULTILINE)
SKIP_REASON = re.compile(r"^.*(?:SKIPPED:|skipped:).*(?:\n(?!\.\.\.|---|===).*){0,3}", re.MULTILINE)


def count(test):
    """(passed, failed, skipped) of one entry of the log."""
    output = test.get("stdout") or ""
    # Python's own summary is printed to standard error.
    found = UNITTEST_RAN.search(test.get("stderr") or "")
    failed = test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")
    if test["result"] == "SKIP":
        return 0, 0, 1
    if found:
        by_kind = {kind: int(number) for kind, number in re.findall(r"(\w+)=(\d+)", found[2] or "")}
        broken = by_kind.get("failures", 0) + by_kind.get("errors", 0)
        skipped = by_kind.get("skipped", 0)
        # Failed subtests are counted each, so that there may be more of them than tests.
        return max(int(found[1]) - broken - skipped, 0), max(broken, int(failed)), skipped
    if found := ALL_PASSED.search(output):
        return (int(found[1]), 0, 0) if not failed else (int(found[1]), 1, 0)
    if found := SOME_FAILED.search(output):
        by_kind = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|skipped)", found[1])}
        passed, broken, skipped = (by_kind.get(kind, 0) for kind in ("passed", "failed", "skipped"))
        return passed, max(broken, int(failed)), skipped
    if "No tests ran" in output or "No test cases matched" in output:
        return 0, int(failed), 0
    return int(not failed), int(failed), 0


def main():
    log, status = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    totals = [0, 0, 0]
    if log.exists():
        for line in log.read_text().splitlines():
            test = json.loads(line)
            counted = count(test)
            totals = [a + b for a, b in zip(totals, counted)]
            if counted[2]:
                print(f"skipped in {test['name']}:")
                for reason in SKIP_REASON.findall(test.get("stdout") or "") or ["  it gives no reason"]:
                    print("  " + reason.replace("\n", "\n  "))
    if totals == [0, 0, 0]:
        print("no test ran: a stage without tests proves nothing")
        totals[1] = 1
    if status != 0 and totals[1] == 0:
        totals[1] = 1
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped in this stage")
    if len(sys.argv) > 3:
        with open(sys.argv[3], "a", encoding="utf-8") as results:
            print(*totals, file=results)
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
