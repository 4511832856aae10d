"""Tests that may be skipped in CI: each is named in tests/skips.txt with its reason.

As a program (a test of the tree): every place in the sources that can skip a test is named there, and nothing else is.
"""

import re
import sys
import xml.etree.ElementTree
from fnmatch import fnmatchcase

from common import ROOT

LIST = ROOT / "tests" / "skips.txt"


def parse(text):
    """{name or glob: reason} of a skips file; a line without a reason is an error."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"line {number}: '{name}' has no reason, expected 'NAME REASON'")
        found[name] = reason.strip()
    return found


def allowed():
    return parse(LIST.read_text())


def skipped_in(results):
    """Names of the skipped tests in a JUnit file of ctest, GoogleTest's cases inside a passed program included."""
    names = []
    for case in xml.etree.ElementTree.parse(results).getroot().iter("testcase"):
        if case.get("status") in ("notrun", "disabled"):
            names.append(case.get("name"))
        text = case.findtext("system-out") or ""
        names += re.findall(r"^\[  SKIPPED \] (\S+\.[^\s,]+)$", text, re.MULTILINE)
    return sorted(set(names))


def unnamed(names, listed):
    return [name for name in names if not any(fnmatchcase(name, pattern) for pattern in listed)]


def skippable_in(text):
    """GoogleTest cases of a source file that can skip themselves or are disabled."""
    found = []
    current = None
    for line in text.splitlines():
        opening = re.match(r"\s*(?:TYPED_)?TEST(?:_[FP])?\((\w+),\s*(\w+)\)", line)
        if opening:
            current = f"{opening[1]}.{opening[2]}"
            if opening[2].startswith("DISABLED_"):
                found.append(current)
        if "GTEST_SKIP(" in line and current:
            found.append(current)
    return sorted(set(found))


def main():
    try:
        listed = allowed()
    except (OSError, ValueError) as error:
        print(f"tests/skips.txt: {error}")
        return 1
    places = {}
    for path in sorted((ROOT / "src").rglob("*_test.cpp")):
        for name in skippable_in(path.read_text(errors="replace")):
            places[name] = path.relative_to(ROOT)
    missing = unnamed(places, listed)
    for name in missing:
        print(f"{places[name]}: {name} can be skipped, but tests/skips.txt does not name it")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
