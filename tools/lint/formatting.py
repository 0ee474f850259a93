#!/usr/bin/env python3
"""Checks that clang-format would change nothing. usage: formatting.py CLANG_FORMAT"""

import subprocess
import sys

import tree


def main():
    paths = tree.files(".cpp", ".hpp")
    if not paths:
        return 0
    done = subprocess.run([sys.argv[1], "--dry-run", "-Werror", "--ferror-limit=1", *map(str, paths)], cwd=tree.ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    first_lines = [line for line in done.stderr.splitlines() if "error:" in line]
    if done.returncode != 0 and not first_lines:
        first_lines = [done.stderr]
    return tree.report([f"{line} (tools/dev fmt)" for line in first_lines], "formatting")


if __name__ == "__main__":
    sys.exit(main())
