"""Tests of the runner: a difference that it would not see is a hole in every test it runs."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run  # noqa: E402


class Differences(unittest.TestCase):
    def test_equal_outcomes_have_none(self):
        self.assertEqual(run.differences(run.Outcome("a\n", "x", 3), run.Outcome("a\n", "y", 3), stderr=False), [])

    def test_text_status_signal_and_errors_count(self):
        one = run.Outcome("a\n", "x", 3)
        self.assertTrue(run.differences(one, run.Outcome("b\n", "x", 3), stderr=False))
        self.assertEqual(run.differences(one, run.Outcome("a\n", "x", -3), stderr=False),
                         ["ended with signal 3, expected exit status 3"])
        self.assertTrue(run.differences(one, run.Outcome("a\n", "y", 3), stderr=True))


class Directives(unittest.TestCase):
    def test_a_source_says_what_it_needs(self):
        told = run.directives("// run: arguments -v 3\n// run: guests riscv64\n// run: stderr\n"
                              "// run: cpu max,x=on\nint main() {}\n")
        self.assertEqual((told.arguments, told.guests, told.stderr, told.cpu),
                         (["-v", "3"], ["riscv64"], True, "max,x=on"))

    def test_an_unknown_word_is_refused(self):
        with self.assertRaises(ValueError):
            run.directives("// run: argument x\n")


class Runs(unittest.TestCase):
    def outcome(self, emulator):
        """The runner's exit status with a shell function as the emulator of a program that prints and returns 3."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            source = Path(folder) / "program.c"
            source.write_text('#include <stdio.h>\nint main(void) { puts("text"); return 3; }\n')
            script = Path(folder) / "emulator"
            script.write_text("#!/bin/sh\n" + emulator + "\n")
            script.chmod(0o755)
            return run.main([str(source), "--guest", "riscv64", "--build", folder, "--emulator", str(script)])

    def test_only_the_right_text_and_status_pass(self):
        self.assertEqual(self.outcome("echo text; exit 3"), 0)
        self.assertEqual(self.outcome("echo text; exit 0"), 1)
        self.assertEqual(self.outcome("echo test; exit 3"), 1)
        self.assertEqual(self.outcome("exit 3"), 1)
        self.assertEqual(self.outcome("echo text; kill -SEGV $$"), 1)


if __name__ == "__main__":
    unittest.main()
