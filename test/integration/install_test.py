#!/usr/bin/env python3
"""Installs into an empty directory and builds the example of README with what pkg-config says of it.

usage: install_test.py BUILD_DIRECTORY EXAMPLE COMPILER...
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(*command, **how):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        print(" ".join(str(word) for word in command), done.stdout, done.stderr, sep="\n")
        sys.exit(1)
    return done.stdout


def main():
    build, example, *compiler = sys.argv[1:]
    if not shutil.which("pkg-config"):
        print("SKIPPED: needs pkg-config")
        return 77
    with tempfile.TemporaryDirectory(prefix="caisson-install-") as place:
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", place)
        description = next(pathlib.Path(place).rglob("caisson.pc"))
        # Where it would lie without the directory in front.
        prefix = next(line for line in description.read_text().splitlines() if line.startswith("prefix="))[7:]
        words = run("pkg-config", f"--define-variable=prefix={place}{prefix}", "--cflags", "--libs", "caisson",
                    env={**os.environ, "PKG_CONFIG_PATH": str(description.parent)}).split()
        program = pathlib.Path(place) / "program"
        run(*compiler, "-std=c++20", example, *words, "-o", program)
        command = next(pathlib.Path(place).rglob("bin/caisson"))
        print(run(command, "--version").strip(), "installs, and a program builds with:", *words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
