#!/usr/bin/env python3
"""Shows that the simulation sees every planted bug within its budget of seeds.

    planted_bugs.py SIMULATE [--seeds N]

SIMULATE is the program of a build with -Dplanted_bugs=true. Exit 0: a run without a bug is clean and each bug is caught.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NAMES = Path(__file__).resolve().parents[2] / "src" / "base" / "planted_names.hpp"


def run(simulate, *options):
    done = subprocess.run([simulate, *options], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    return done.returncode, next((line for line in lines if line.startswith("seed")), lines[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulate")
    parser.add_argument("--seeds", type=int, default=2000)
    chosen = parser.parse_args()

    missed = []
    status, line = run(chosen.simulate, "--seeds", "100")
    print(f"{'none':30} {line[:150]}")
    if status != 0:
        missed.append("none (a history without a bug was judged illegal)")
    bugs = re.findall(r'\{"(\w+)", planted_bug::', NAMES.read_text())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda bug: run(chosen.simulate, "--seeds", str(chosen.seeds), "--bug", bug), bugs)
        for bug, (status, line) in zip(bugs, outcomes):
            if status == 0:
                missed.append(bug)
            print(f"{bug:30} {'MISSED' if status == 0 else line[:150]}", flush=True)
    print(f"{len(bugs) - len(missed)} of {len(bugs)} planted bugs caught within {chosen.seeds} seeds")
    for bug in missed:
        print(f"not caught: {bug}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
