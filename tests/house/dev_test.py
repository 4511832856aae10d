"""Tests of ./dev's own parts: what they must refuse is the point."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "dev"))
import arrows  # noqa: E402
import check  # noqa: E402
import skips  # noqa: E402


class Arrows(unittest.TestCase):
    def test_a_cycle_is_reported(self):
        graph = arrows.parse("a -> b\nb -> c\nc -> a\n")
        self.assertTrue(any("back to itself" in line for line in arrows.structure_errors(graph)))

    def test_an_unknown_room_is_reported(self):
        self.assertEqual(list(arrows.structure_errors(arrows.parse("a -> b\n"))), ["a -> b: no such room"])

    def test_a_page_that_differs_is_reported(self):
        page = "<!-- arrows -->\n```\na -> \n```\n"
        self.assertEqual(list(arrows.page_errors("a -> \n", page)), [])
        self.assertIn("only in CMake: b -> a", list(arrows.page_errors("a -> \nb -> a\n", page)))

    def test_an_include_against_the_arrows_is_reported(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder)
            (source / "a").mkdir()
            (source / "b").mkdir()
            (source / "b" / "b.cpp").write_text('#include "a/a.hpp"\n')
            (source / "a" / "a.hpp").write_text('#include <vector>\n#include "b/b.hpp"\n')
            graph = arrows.parse("a -> \nb -> a\n")
            self.assertEqual(list(arrows.include_errors(graph, {"a": "a", "b": "b"}, source)),
                             ["src/a/a.hpp:2: a includes b/b.hpp, no arrow a -> b"])

    def test_arrows_reach_through_others(self):
        self.assertEqual(arrows.closure(arrows.parse("a -> b\nb -> c\nc -> \n"))["a"], {"b", "c"})


class Skips(unittest.TestCase):
    def test_a_line_needs_a_reason(self):
        with self.assertRaises(ValueError):
            skips.parse("Suite.Case\n")

    def test_a_skipped_case_inside_a_passed_program_is_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as results:
            results.write('<testsuite><testcase name="unit.x" status="run"><system-out>'
                          "[  SKIPPED ] Kvm.Boots (0 ms)\n[  SKIPPED ] Kvm.Boots\n</system-out></testcase>"
                          '<testcase name="run.y" status="notrun"/></testsuite>')
            results.flush()
            names = skips.skipped_in(results.name)
        self.assertEqual(names, ["Kvm.Boots", "run.y"])
        self.assertEqual(skips.unnamed(names, skips.parse("Kvm.* needs /dev/kvm\n")), ["run.y"])

    def test_sources_that_can_skip_are_found(self):
        text = "TEST(A, Runs) {}\nTEST_F(B, Maybe) {\n    GTEST_SKIP() << 1;\n}\nTEST(C, DISABLED_never) {}\n"
        text += "TEST(D, Short) { GTEST_SKIP(); }\n"
        self.assertEqual(skips.skippable_in(text), ["B.Maybe", "C.DISABLED_never", "D.Short"])


class Lengths(unittest.TestCase):
    def test_a_long_function_is_found(self):
        body = "    x();\n" * 70
        self.assertEqual(check.long_functions(f"int f(int a) {{\n{body}}}\nint g() {{\n}}\n"), [(1, "f", 71)])


class Awaits(unittest.TestCase):
    def test_an_await_in_a_conditional_is_found(self):
        text = "int a = b ? 1 : 2;\nauto c = co_await d;\nauto e = f ? co_await g : h;\nauto i = j ? k\n    : co_await l;\n"
        self.assertEqual(check.conditional_awaits(text), [3, 4])

    def test_an_await_beside_one_is_not(self):
        text = 'f(a ? b : c);\nco_await d; // a ? co_await b\nauto e = "? co_await";\nx = a ? b : c; y = co_await z;\n'
        self.assertEqual(check.conditional_awaits(text), [])


if __name__ == "__main__":
    unittest.main()
