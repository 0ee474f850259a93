#!/usr/bin/env python3
"""Compares the tables in docs/format.md with what the code prints about itself.

usage: format_doc.py CAISSON_COMMAND [--write]

The page holds the output of `caisson format --describe` between two marker lines; --write puts it there.
"""

import difflib
import subprocess
import sys

import tree

PAGE = tree.ROOT / "docs" / "format.md"
BEGIN = "<!-- describe:begin -->\n"
END = "<!-- describe:end -->\n"


def main():
    described = subprocess.run([sys.argv[1], "format", "--describe"], check=True, capture_output=True, text=True).stdout
    if not PAGE.exists():
        return tree.report([f"{PAGE.relative_to(tree.ROOT)} is missing"], "format_doc")
    page = PAGE.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        return tree.report([f"{PAGE.name} needs one line {BEGIN.strip()} and one line {END.strip()}"], "format_doc")
    before, rest = page.split(BEGIN)
    written, after = rest.split(END)
    if "--write" in sys.argv[2:]:
        PAGE.write_text(before + BEGIN + described + END + after, encoding="utf-8")
        return 0
    if written == described:
        return tree.report([], "format_doc")
    difference = "".join(difflib.unified_diff(written.splitlines(True), described.splitlines(True),
                                              "docs/format.md", "caisson format --describe"))  # fmt: skip
    return tree.report([f"{difference}\nrun: tools/lint/format_doc.py CAISSON_COMMAND --write"], "format_doc")


if __name__ == "__main__":
    sys.exit(main())
