"""What `mimic run -d`, -D, -dfilter and -perfmap write, held against a program whose addresses the cross tools tell.

    logs_test.py --guest riscv64 --build DIR --mimic FILE
"""

import argparse
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import run

SOURCE = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
volatile long sum;
__attribute__((noinline)) void turns(long n) { for (long k = 0; k < n; k++) sum += k ^ 5; }
static void handler(int signal) { static const char text[] = "caught\\n"; write(1, text, sizeof text - 1); _exit(signal); }
int main(int argc, char **argv) {
    turns(100);
    signal(SIGILL, handler);
    if (argc > 1) ILLEGAL;
    if (argc > 1) return 1;
    for (volatile long k = 0; k < 100000; k++) turns(100);
    puts("done");
    return 0;
}
"""
ILLEGAL = {"riscv64": 'asm volatile(".word 0")', "aarch64": 'asm volatile(".inst 0")'}
options = None


def mimic(*words, status=0):
    process = subprocess.run([options.mimic, "run", *map(str, words)], capture_output=True, text=True, timeout=100)
    assert process.returncode == status, process.stderr
    return process.stdout, process.stderr


class Logs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        source = options.build / f"logs-{options.guest}.c"
        options.build.mkdir(parents=True, exist_ok=True)
        source.write_text(SOURCE.replace("ILLEGAL", ILLEGAL[options.guest]))
        cls.program = run.compiled(source, options.guest, options.build, dynamic=False)
        nm = subprocess.run([run.COMPILERS[options.guest] + "nm", "-S", cls.program], capture_output=True, text=True)
        start, size = re.search(r"^(\S+) (\S+) \S turns$", nm.stdout, re.MULTILINE).groups()
        cls.start, cls.size = int(start, 16), int(size, 16)
        cls.file = options.build / f"logs-{options.guest}.log"

    def log(self, *words, status=0):
        self.file.unlink(missing_ok=True)
        out, err = mimic("-D", self.file, *words, status=status)
        self.assertEqual(err, "")
        return out, self.file.read_text()

    def test_help_lists_every_item(self):
        out, _ = mimic("-d", "help")
        for item in ("in_asm", "op", "op_opt", "out_asm", "exec", "cpu", "nochain", "int", "guest_error"):
            self.assertRegex(out, rf"(?m)^{item} ")

    def test_an_unknown_item_is_an_error(self):
        _, err = mimic("-d", "in_asm,nonsense", self.program, status=1)
        self.assertIn("-d nonsense: expected strace, calls, in_asm", err)

    def test_translation_of_one_function(self):
        for spelling in (f"{self.start:#x}+{self.size:#x}", f"{self.start:#x}..{self.start + self.size - 1:#x}",
                         f"{self.start + self.size:#x}-{self.size:#x}", f"0x10+2,{self.start}+{self.size}"):
            out, log = self.log("-d", "in_asm,op,op_opt,out_asm", "-dfilter", spelling, self.program)
            self.assertEqual(out, "done\n")
            heads = re.findall(r"(?m)^(IN|OP|OP after optimization|OUT): (0x[0-9a-f]+)", log)
            self.assertEqual({kind for kind, _ in heads}, {"IN", "OP", "OP after optimization", "OUT"})
            for _, address in heads:
                self.assertIn(int(address, 16), range(self.start, self.start + self.size))
            self.assertRegex(log, r"(?m)^0x0*%x:  \S" % self.start)
            self.assertRegex(log, r"(?m)^  insn 0x%x " % self.start)

    def test_exec_lists_each_turn_of_a_loop(self):
        _, log = self.log("-d", "exec", "-dfilter", f"{self.start:#x}+{self.size:#x}", self.program, "illegal",
                          status=4)
        entries = re.findall(r"(?m)^Trace \d+: (0x[0-9a-f]+) mode 0x0$", log)
        self.assertEqual(len(entries), len(log.splitlines()))
        turn = max(set(entries), key=entries.count)
        self.assertIn(entries.count(turn), range(98, 101))

    def test_registers_before_each_unit(self):
        _, log = self.log("-d", "cpu,exec,nochain", "-dfilter", f"{self.start:#x}+{self.size:#x}", self.program, "illegal",
                          status=4)
        entries = re.findall(r"(?m)^Trace \d+: 0x([0-9a-f]+) ", log)
        self.assertEqual([int(pc, 16) for pc in re.findall(r"(?m)^ +pc ([0-9a-f]{16}) ", log)],
                         [int(pc, 16) for pc in entries])
        # The first turn is entered with the function's argument, 100, in its register.
        self.assertRegex(log.split("Trace")[0], r" (a0|x10|x0) 0{14}64\b")

    def test_mistakes_and_interrupts(self):
        out, log = self.log("-d", "int,guest_error", self.program, "illegal", status=4)
        self.assertEqual(out, "caught\n")
        self.assertRegex(log, r"(?m)^int \d+: system call at 0x")
        at = re.search(r"(?m)^guest_error: illegal instruction at (0x[0-9a-f]+) ", log).group(1)
        self.assertRegex(log, rf"(?m)^int \d+: illegal instruction at {at}$")

    def test_perf_map(self):
        # A program of a shell would have another process number; this one keeps the one that it was started with.
        process = subprocess.Popen([options.mimic, "run", "-perfmap", self.program], stdout=subprocess.DEVNULL)
        self.assertEqual(process.wait(100), 0)
        path = Path(f"/tmp/perf-{process.pid}.map")
        lines = path.read_text().splitlines()
        path.unlink()
        self.assertGreater(len(lines), 4)  # code that does not run often is interpreted
        for line in lines:
            self.assertRegex(line, r"^[0-9a-f]+ [0-9a-f]+ \S+$")
        names = {line.split()[2] for line in lines}
        self.assertIn("turns", names)
        self.assertTrue(any(re.fullmatch(r"[a-z_]\w*\+0x[0-9a-f]+", name) for name in names))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--mimic", required=True)
    options = parser.parse_args()
    unittest.main(argv=sys.argv[:1])
