#!/usr/bin/env python3
"""Wraps comments that are too long, keeping the hanging indents of docstrings. usage: comments.py [--fix] [FILE...]

A comment behind code that makes its line too long moves to lines of its own before it. Code is left to clang-format.
Without --fix it lists the files it would change.
"""

import pathlib
import re
import sys
import textwrap

import tree

COLUMNS = 100
WHOLE_LINE = re.compile(r"^(?P<margin>\s*)(?P<slashes>///?)(?P<gap> *)(?P<text>.*)$")
# "Errors:       text", "- text", "1. text": what follows is aligned under the text.
HANGING = re.compile(r"^(?:[A-Z][A-Za-z/]*:\s+|[-*] |\d+\. )")
RULER = re.compile(r"^([-=*#])\1{20,}$")
VERBATIM = re.compile(r"^(?:\||```|\S+( {2,}\S+){2,})")


def hang_of(text):
    found = HANGING.match(text)
    return len(found[0]) if found else 0


def paragraphs(block):
    """Groups (gap, text) lines that flow into one another; `block` is a run of whole-line comments."""
    group = []
    for gap, text in block:
        starts_anew = not text or VERBATIM.match(text) or HANGING.match(text)
        follows = group and group[-1][1] and not starts_anew and not VERBATIM.match(group[-1][1])
        if follows and len(group) == 1:
            expected = len(group[0][0]) + hang_of(group[0][1])
            follows = len(gap) in (len(group[0][0]), expected) or len(gap) == len(group[0][0]) + 4
        elif follows:
            follows = len(gap) == len(group[-1][0])
        if group and not follows:
            yield group
            group = []
        group.append((gap, text))
    if group:
        yield group


def wrap_group(prefix, group):
    lines = [prefix + gap + text for gap, text in group]
    if len(lines) == 1 and RULER.match(group[0][1]):
        return [lines[0][:COLUMNS]]
    if all(len(line) <= COLUMNS for line in lines) or VERBATIM.match(group[0][1]):
        return [line.rstrip() for line in lines]
    first_gap = group[0][0]
    next_gap = group[1][0] if len(group) > 1 else first_gap + " " * hang_of(group[0][1])
    lead = re.match(r"^\S+\s+", group[0][1])[0] if hang_of(group[0][1]) else ""
    words = " ".join([group[0][1][len(lead):], *(text for _, text in group[1:])])
    return textwrap.wrap(words, COLUMNS, initial_indent=prefix + first_gap + lead, subsequent_indent=prefix + next_gap,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def wrap_block(margin, slashes, block):
    for group in paragraphs(block):
        yield from wrap_group(margin + slashes, group)


def split_trailing(line):
    """(code, comment) of a line that is too long because of the comment behind its code, else None."""
    if len(line) <= COLUMNS or line.rstrip().endswith("\\"):
        return None
    code = tree.code_only(line)
    if len(code.rstrip()) >= len(line.rstrip()) or not code.strip():
        return None
    comment = line[len(code.rstrip()):].strip()
    return (line[: len(code.rstrip())].rstrip(), comment) if comment.startswith("//") else None


def move_trailing(lines):
    for line in lines:
        parts = split_trailing(line)
        if not parts:
            yield line
            continue
        code, comment = parts
        margin = re.match(r"\s*", code)[0]
        slashes = "///" if comment.startswith("///") else "//"
        yield f"{margin}{slashes} {comment.lstrip('/').removeprefix('<').strip()}"
        yield code


def wrapped(text):
    result, block, opening = [], [], None
    for line in [*move_trailing(text.splitlines()), None]:
        found = WHOLE_LINE.match(line) if line is not None else None
        key = (found["margin"], found["slashes"]) if found else None
        if block and key != opening:
            result += wrap_block(*opening, block)
            block = []
        if found:
            opening = key
            block.append((found["gap"], found["text"].rstrip()))
        elif line is not None:
            result.append(line)
    return "\n".join(result) + "\n"


def main():
    fix = "--fix" in sys.argv[1:]
    named = [pathlib.Path(argument).resolve().relative_to(tree.ROOT) for argument in sys.argv[1:] if argument != "--fix"]
    changed = []
    for path in named or tree.files(".cpp", ".hpp"):
        before = tree.read(path)
        after = wrapped(before)
        if after != before:
            changed.append(f"{path}: a comment is too long (tools/dev fmt)")
            if fix:
                (tree.ROOT / path).write_text(after, encoding="utf-8")
    return 0 if fix else tree.report(changed, "comments")


if __name__ == "__main__":
    sys.exit(main())
