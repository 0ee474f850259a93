# The server in README.md is the one that the build compiles, letter for letter; the links lead somewhere.

import os
import re
import unittest

ROOT = os.environ.get("CAISSON_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


class Readme(unittest.TestCase):
    def test_the_example_is_the_compiled_one(self):
        blocks = re.findall(r"```cpp\n(.*?)```", read("README.md"), re.DOTALL)
        _, first, functions = read("examples", "append_server.cpp").partition("static net::awaitable<void> serve")
        self.assertEqual("\n".join(blocks), first + functions)
        self.assertLessEqual(blocks[0].count("\n"), 20)

    def test_links_lead_to_files(self):
        prose = re.sub(r"```.*?```", "", read("README.md"), flags=re.DOTALL)
        links = re.findall(r"\]\(([^)]+)\)", prose)
        self.assertGreater(len(links), 5)
        for link in links:
            self.assertTrue(os.path.exists(os.path.join(ROOT, link)), link)

    def test_the_defects_of_the_reference_are_where_the_page_says(self):
        page = read("docs", "reliability.md").partition("## Defects of the reference")[2]
        rows = re.findall(r"^\| (D\d+) \|.*\| ([^|]+) \|$", page, re.MULTILINE)
        elsewhere = re.findall(r"\bD\d+\b", page.rpartition("|\n")[2])
        self.assertEqual(sorted({name for name, _ in rows} | set(elsewhere)), sorted("D%d" % k for k in range(1, 32)))
        folders = {"integration": "integration/engine", "command": "integration/command"}
        for defect, places in rows:
            for place in places.split(", "):
                folder, _, name = place.rpartition("/") if "/" in place else place.partition(" ")
                directory = os.path.join(ROOT, "test", folders.get(folder, "unit/" + folder))
                [file] = [each for each in os.listdir(directory) if os.path.splitext(each)[0] == name]
                named = r"\b%s\b|test_%s_" % (defect, defect.lower())
                self.assertRegex(read(directory, file), named, place)

    def test_the_page_on_reliability_names_every_planted_bug(self):
        names = re.findall(r'\{"(\w+)", planted_bug::', read("src", "base", "planted_names.hpp"))
        section = read("docs", "reliability.md").partition("## Planted bugs")[2].partition("| the probe |")[0]
        listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        self.assertEqual(listed, names)


if __name__ == "__main__":
    unittest.main()
