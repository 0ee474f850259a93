#!/usr/bin/env python3
"""Checks every #include against the table of layers: a layer includes itself and lower ones, nothing else.

The table is the one of docs/architecture.md. A public header belongs to the layer whose object it describes.
"""

import re
import sys

import tree

LEVEL = {
    "base": 0,
    "format": 1, "async": 1,
    "io": 2, "store": 2,
    "log": 3, "uring": 3, "threads": 3, "sim": 3, "store/directory": 3, "store/s3": 3,
    "raft": 4, "mirror": 4, "durability": 4,
    "engine": 5,
    "tools": 6,
}

PUBLIC = {
    "config": "base", "errc": "base", "failure": "base", "result": "base", "types": "base",
    "options": "base", "stats": "base", "detail/completion": "base",
    "log": "log", "log_view": "log", "reader": "log", "detail/append_operation": "log",
    "sim": "sim",
    "engine": "engine",
}  # fmt: skip

# Libraries that only some layers may know.
RESTRICTED = {
    re.compile(r"liburing"): {"uring"},
    re.compile(r"isa-l"): {"base"},
    re.compile(r"CLI/"): {"tools"},
    re.compile(r"spdlog/|fmt/"): {"log", "uring", "threads", "engine", "tools"},
    re.compile(r"catch2/"): set(),
}
WITHOUT_ASIO = {"format"}
# The yardstick of the benchmark is a ring without the engine.
EXCEPTIONS = {("tools/bench/bare_loop.cpp", "liburing.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def layer_of_source(path):
    parts = path.parts
    if parts[0] == "tools":
        return "tools"
    if parts[0] == "src":
        nested = "/".join(parts[1:3])
        return nested if nested in LEVEL else parts[1]
    return None


def layer_of_include(name):
    nested = "/".join(name.split("/")[:2])
    return nested if nested in LEVEL else name.split("/")[0]


def allowed(user, used):
    return user == used or LEVEL[used] < LEVEL[user]


def check_public(path, quoted, angled):
    name = path.relative_to("include/caisson").with_suffix("").as_posix()
    if name not in PUBLIC:
        return f"public header without a layer: add it to PUBLIC in {__file__.rsplit('/', 1)[-1]}"
    if quoted:
        return f'a public header includes private "{quoted}"'
    return check_library(PUBLIC[name], angled)


def check_library(layer, angled):
    if angled.startswith("caisson/"):
        used = PUBLIC.get(angled.removeprefix("caisson/").removesuffix(".hpp"))
        if used is None:
            return f"<{angled}> has no layer"
        return None if allowed(layer, used) else f"{layer} includes <{angled}> of {used}"
    for pattern, layers in RESTRICTED.items():
        if pattern.match(angled) and layer not in layers:
            return f"{layer} includes <{angled}>, which belongs to {', '.join(sorted(layers)) or 'tests'}"
    if layer in WITHOUT_ASIO and angled.startswith("boost/asio"):
        return f"{layer} is pure and includes <{angled}>"
    return None


def check_private(path, quoted, angled):
    if path.parent.name == "pch":  # precompiled for several layers
        return f'it includes "{quoted}" of ours' if quoted else None
    layer = layer_of_source(path)
    if layer not in LEVEL:
        return f"{path.parts[1]} is no layer"
    if path.stem.endswith("_plan") and (angled or "").startswith("boost/asio"):
        return f"a plan includes <{angled}>"
    if angled:
        return check_library(layer, angled)
    if layer == "tools" and "/" not in quoted:
        return None
    used = layer_of_include(quoted)
    if used not in LEVEL:
        return f'"{quoted}" names no layer'
    return None if allowed(layer, used) else f'{layer} includes "{quoted}" of {used}'


def check_example(_, quoted, angled):
    if quoted:
        return f'an example includes private "{quoted}"'
    return None


def main():
    checks = {"include": check_public, "src": check_private, "tools": check_private, "examples": check_example}
    problems = []
    for path in tree.files(".hpp", ".cpp", folders=checks):
        text = tree.read(path)
        for found in INCLUDE.finditer(tree.code_only(text, keep_strings=True)):
            if (path.as_posix(), found[2]) in EXCEPTIONS:
                continue
            if problem := checks[path.parts[0]](path, found[1], found[2]):
                problems.append(f"{path}:{tree.line_of(text, found.start())}: {problem}")
    return tree.report(problems, "layers")


if __name__ == "__main__":
    sys.exit(main())
