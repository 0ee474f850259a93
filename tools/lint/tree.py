"""What the lint scripts share: the project's files, and source text without comments and literals."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("include", "src", "test", "tools", "examples")

_LEXEMES = re.compile(
    r"""
    (?P<raw>R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)")
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<char>(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+')
    """,
    re.VERBOSE | re.DOTALL,
)


def files(*suffixes, folders=FOLDERS):
    """Files below the source folders with one of the suffixes, as paths relative to the root, sorted."""
    found = []
    for folder in folders:
        found += (p for p in (ROOT / folder).rglob("*") if p.suffix in suffixes and p.is_file())
    return sorted(p.relative_to(ROOT) for p in found)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code_only(text, keep_strings=False):
    """The text with comments and literals blanked; every character stays on its line and column."""

    def blank(match):
        if keep_strings and match.lastgroup in ("string", "raw", "tag") and not match["comment"]:
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return _LEXEMES.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def report(problems, what):
    """Prints the problems and returns the exit status."""
    for problem in problems:
        print(problem)
    print(f"{what}: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0
