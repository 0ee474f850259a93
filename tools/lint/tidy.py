#!/usr/bin/env python3
"""The ban list of docs/STYLE.md: what compilers do not refuse and this project does.

Prints files and functions far above the aims as notes, which do not fail.
"""

import re
import sys

import tree

COLUMNS = 100
FILE_LINES_NOTE = 800
FUNCTION_LINES_NOTE = 70

CLOCKS = re.compile(
    r"\b(system_clock|steady_clock::now|high_resolution_clock|random_device|s?rand\s*\(|steady_timer|system_timer"
    r"|std::j?thread\b)"
)
# Layers that may touch real time, randomness and threads; all others get them through the seams.
CLOCKS_ALLOWED = ("src/uring/", "src/threads/", "src/io/", "src/engine/", "tools/", "test/", "examples/")

SLEEPS = re.compile(r"\bthis_thread::sleep\w*|\b(?:u|nano|clock_nano)sleep\s*\(|(?<!\w)::sleep\s*\(")
SLEEPS_ALLOWED = ("tools/", "test/crash/", "test/integration/")

DETACHED = re.compile(r"\bdetached\b(?!\s*<)")
DETACHED_ALLOWED = ("examples/", "tools/main.cpp", "test/")

WHOLE_ASIO = re.compile(r"#\s*include\s*<boost/asio\.hpp>")
WHOLE_ASIO_ALLOWED = ("examples/",)

ALWAYS = {
    re.compile(r"TRYX\s*\([^;]*\bco_await\b"): "TRYX around co_await crashes GCC 12; use BOOST_OUTCOME_CO_TRY",
    re.compile(r"\bauto\s*&{0,2}\s*\[[^\]]*\]\s*=\s*co_await\b"): "GCC 15 leaks a structured binding to co_await",
    re.compile(r"\busing namespace std\s*;"): "names std as a whole",
}

CO_AWAIT = re.compile(r"\bco_await\b")
CAPTURING_LAMBDA = re.compile(r"(?:^|[(,=&{]|\breturn\b)\s*\[(?!\[)\s*[^\]\s][^\]]*\]\s*(?:\(|\{|mutable\b|->)")
BRACED_TEMPORARY = re.compile(r"[(,]\s*\{\s*[^}\s]|\w\s*\{\s*\.\w")

TODO = re.compile(r"\bTODO\b(?!\(#\d+\))")
FIXME = re.compile(r"\bFIXME\b")


def awaited_expression(code, start):
    """The operand of the co_await that ends at `start`, up to the end of its statement or argument."""
    depth = 0
    for position in range(start, len(code)):
        character = code[position]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return code[start:position]
        elif character in ";," and depth == 0:
            return code[start:position]
    return code[start:]


def check_code(path, text):
    name = path.as_posix()
    code = tree.code_only(text)

    def each(pattern, problem):
        for found in pattern.finditer(code):
            shown = " ".join(found[0].split())
            yield f"{name}:{tree.line_of(code, found.start())}: {problem.format(shown)}"

    if not name.startswith(CLOCKS_ALLOWED):
        yield from each(CLOCKS, "{} here: take it from the seams in src/io")
    if not name.startswith(SLEEPS_ALLOWED):
        yield from each(SLEEPS, "{}: nothing here waits for time to pass")
    if not name.startswith(DETACHED_ALLOWED):
        yield from each(DETACHED, "{}: every coroutine belongs to a task group")
    if not name.startswith(WHOLE_ASIO_ALLOWED):
        yield from each(WHOLE_ASIO, "includes all of Asio (2 s a file); include the parts")
    for pattern, problem in ALWAYS.items():
        yield from each(pattern, problem)
    for found in CO_AWAIT.finditer(code):
        expression = awaited_expression(code, found.end())
        line = tree.line_of(code, found.start())
        if CAPTURING_LAMBDA.search(expression):
            yield f"{name}:{line}: a capturing lambda inside co_await; GCC 12 destroys it twice: name it first"
        elif BRACED_TEMPORARY.search(expression):
            yield f"{name}:{line}: a braced temporary inside co_await; GCC 12 destroys it twice: name it first"


def check_text(path, text):
    # Long comments are for comments.py, long literals (help texts) for nobody.
    code = tree.code_only(text).splitlines() if path.suffix in (".cpp", ".hpp") else []
    is_table = False  # a literal table reads better in long rows than wrapped
    for number, line in enumerate(text.splitlines(), 1):
        if "clang-format o" in line:
            is_table = "clang-format off" in line
        if line != line.rstrip():
            yield f"{path}:{number}: white space at the end of the line"
        if "\t" in line:
            yield f"{path}:{number}: a tab"
        if not is_table and number <= len(code) and len(code[number - 1].rstrip()) > COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, {COLUMNS} is the limit (tools/dev fmt)"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    if path.suffix != ".md" and path.name != "tidy.py":
        for pattern, problem in ((TODO, "TODO without an issue; write TODO(#n)"), (FIXME, "FIXME")):
            for found in pattern.finditer(text):
                yield f"{path}:{tree.line_of(text, found.start())}: {problem}"


def unbuilt(paths):
    """Sources that no meson.build above them names: tests that never run, code that never compiles."""
    for path in paths:
        builds = [folder / "meson.build" for folder in path.parents]
        described = "".join(tree.read(build) for build in builds if (tree.ROOT / build).exists())
        if f"{path.name}'" not in described and f"'{path.stem}'" not in described:
            yield f"{path}: no meson.build names it"


def notes(path, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_NOTE:
        yield f"note: {path} has {len(lines)} lines"
    opened = {}
    for number, line in enumerate(tree.code_only(text).splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if line.rstrip().endswith("{") and re.search(r"\)[\w\s:&>-]*\{$|\)\s*:.*\{$", line.rstrip()):
            opened[indent] = number
        elif line.strip() in ("}", "};") and indent in opened:
            length = number - opened.pop(indent) + 1
            if length > FUNCTION_LINES_NOTE:
                yield f"note: {path}:{number - length + 1}: {length} lines in one function"


def main():
    problems = list(unbuilt(tree.files(".cpp")))
    for path in tree.files(".cpp", ".hpp", ".py", ".build", ".md", folders=(*tree.FOLDERS, "docs")):
        text = tree.read(path)
        problems += check_text(path, text)
        if path.suffix in (".cpp", ".hpp"):
            problems += check_code(path, text)
            for note in notes(path, text):
                print(note)
    return tree.report(problems, "tidy")


if __name__ == "__main__":
    sys.exit(main())
