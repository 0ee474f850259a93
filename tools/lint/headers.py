#!/usr/bin/env python3
"""Checks that every header compiles alone.

usage: headers.py COMPILER... [-- FLAGS...]

The build proves none of them: what it precompiles comes before the first include of a source.
"""

import concurrent.futures
import os
import subprocess
import sys

import tree

# Where includes are looked up, as the build does: the command's headers are named from the root, "tools/thing.hpp".
SEARCHED = ("include", "src", "test", ".")


def compile_alone(path, command):
    source = f'#include "{path.as_posix()}"\n'
    arguments = [*command, "-std=c++20", "-fsyntax-only", "-x", "c++", *(f"-I{folder}" for folder in SEARCHED), "-"]
    done = subprocess.run(arguments, input=source, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{path}: does not compile alone\n{done.stderr.rstrip()}"


def main():
    command = [argument for argument in sys.argv[1:] if argument != "--"]
    command = [argument for argument in command if not argument.endswith("ccache")]
    headers = [path for path in tree.files(".hpp") if path.parent.name != "pch"]  # those are no headers but lists
    problems = [
        f"{path}:1: does not begin with #pragma once"
        for path in headers
        if not tree.read(path).startswith("#pragma once\n")
    ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        problems += filter(None, pool.map(lambda path: compile_alone(path, command), headers))
    print(f"compiled {len(headers)} headers alone")
    return tree.report(problems, "headers")


if __name__ == "__main__":
    sys.exit(main())
