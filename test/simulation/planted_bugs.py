#!/usr/bin/env python3
"""Shows that the simulation sees every planted bug within its budget of seeds.

    planted_bugs.py SIMULATE [--seeds N]

SIMULATE is the program of a build with -Dplanted_bugs=true. Exit 0: a run without a bug is clean and each bug is caught by
an illegal history: by the oracle or a probe (docs/reliability.md). An abort, a sanitizer's report, a history that is too
short or wrong usage is no such judgement.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NAMES = Path(__file__).resolve().parents[2] / "src" / "base" / "planted_names.hpp"


CLEAN, ILLEGAL = 0, 1  # exit codes of simulate
COMPLAINT = re.compile(r"seed \d+: \S")


def run(simulate, *options):
    """Exit code, and the line that says what happened: with a complaint that one."""
    done = subprocess.run([simulate, *options], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}, check=False)
    complaint = next(filter(COMPLAINT.match, done.stdout.splitlines()), None)
    return done.returncode, complaint, complaint or ((done.stdout + done.stderr).strip().splitlines() or [""])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulate")
    parser.add_argument("--seeds", type=int, default=2000)
    chosen = parser.parse_args()

    failed = []
    status, _, line = run(chosen.simulate, "--seeds", "100")
    print(f"{'none':30} {line[:150]}")
    if status != CLEAN:
        failed.append(f"a run without a bug is not clean (ended with {status}: {line[:150]})")
    bugs = re.findall(r'\{"(\w+)", planted_bug::', NAMES.read_text())
    caught_count = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda bug: run(chosen.simulate, "--seeds", str(chosen.seeds), "--bug", bug), bugs)
        for bug, (status, complaint, line) in zip(bugs, outcomes):
            caught = status == ILLEGAL and complaint
            caught_count += bool(caught)
            if not caught:
                failed.append(f"not caught: {bug} (ended with {status}: {line[:150]})")
            print(f"{bug:30} {line[:150] if caught else 'MISSED'}", flush=True)
    print(f"{caught_count} of {len(bugs)} planted bugs caught within {chosen.seeds} seeds")
    for what in failed:
        print(what, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
