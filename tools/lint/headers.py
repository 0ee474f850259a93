#!/usr/bin/env python3
"""Checks that every header compiles alone.

usage: headers.py COMPILER... [-- FLAGS...]

A header that some .cpp includes before anything else is proven by the build itself; only the others are compiled.
"""

import concurrent.futures
import re
import subprocess
import sys

import tree

FIRST_INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
# Where includes are looked up, as the build does: the command's headers are named from the root, "tools/thing.hpp".
SEARCHED = ("include", "src", "test", ".")


def include_name(path):
    """How other files name this header."""
    return path.relative_to(path.parts[0] if path.parts[0] in SEARCHED else ".").as_posix()


def proven_by_the_build():
    names = set()
    for path in tree.files(".cpp"):
        if first := FIRST_INCLUDE.search(tree.code_only(tree.read(path), keep_strings=True)):
            names.add(first[1])
    return names


def compile_alone(path, command):
    source = f'#include "{path.as_posix()}"\n'
    arguments = [*command, "-std=c++20", "-fsyntax-only", "-x", "c++", *(f"-I{folder}" for folder in SEARCHED), "-"]
    done = subprocess.run(arguments, input=source, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{path}: does not compile alone\n{done.stderr.rstrip()}"


def main():
    command = [argument for argument in sys.argv[1:] if argument != "--"]
    command = [argument for argument in command if not argument.endswith("ccache")]
    proven = proven_by_the_build()
    rest = []
    problems = []
    for path in tree.files(".hpp"):
        if not tree.read(path).startswith("#pragma once\n"):
            problems.append(f"{path}:1: does not begin with #pragma once")
        if include_name(path) not in proven:
            rest.append(path)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        problems += filter(None, pool.map(lambda path: compile_alone(path, command), rest))
    print(f"compiled {len(rest)} headers alone, {len(tree.files('.hpp')) - len(rest)} are proven by the build")
    return tree.report(problems, "headers")


if __name__ == "__main__":
    sys.exit(main())
