#!/usr/bin/env python3
"""Runs a program without an operating system with counted time and compares the traces (count, pc, hash) of the runs.

  icount.py MIMIC_SYSTEM GUEST PROGRAM.elf [WORDS]

The engines count alike, whatever else the host does: interpreter, JIT, one instruction a unit, a neighbour that spins. Where a
guest's nanosecond has less than an instruction, and where the host sleeps, the trace is the same each time, too.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

# As bare.py has them.
BOARDS = {"riscv64": ["-M", "virt", "-smp", "2", "-bios", "none"],
          "aarch64": ["-M", "virt", "-cpu", "neoverse-n1", "-smp", "2", "-nic", "none"]}
SPIN = [sys.executable, "-c", "while True: pass"]


def run(program, guest, elf, words, accel, icount, folder):
    """What it printed, and the trace."""
    log = Path(folder) / "log"
    command = [program, guest, *BOARDS[guest], *words, "-nographic", "-no-reboot", "-accel", accel, "-icount", icount,
               "-trace", "icount.*", "-D", log, "-kernel", elf]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    trace = log.read_text(encoding="utf-8").splitlines()
    if not trace or not trace[-1].startswith("icount.stop count="):
        sys.exit(f"{elf}: there is no trace")
    return done.stdout, trace


def compare(what, found, expected):
    if found[0] != expected[0]:
        sys.exit(f"{what}: it prints\n{found[0].decode(errors='replace')}\nin place of\n"
                 f"{expected[0].decode(errors='replace')}")
    for n, (a, b) in enumerate(zip(found[1], expected[1])):
        if a != b:
            sys.exit(f"{what}: line {n + 1} of the trace is\n{a}\nin place of\n{b}")
    if len(found[1]) != len(expected[1]):
        sys.exit(f"{what}: the trace has {len(found[1])} lines, expected {len(expected[1])}")


def main():
    program, guest, elf, *words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        def same(first, *others):
            expected = run(program, guest, elf, words, *first, folder)
            for accel, icount in others:
                compare(f"{accel} {icount} beside {first}", run(program, guest, elf, words, accel, icount, folder), expected)
            return expected
        fast = same(("interp", "shift=0,sleep=off"), ("jit", "shift=0,sleep=off"), ("jit,one-insn-per-tb=on", "shift=0,sleep=off"))
        same(("jit", "shift=4,sleep=off"), ("jit", "shift=4,sleep=on"))
        neighbour = subprocess.Popen(SPIN)
        try:
            compare("with a neighbour", run(program, guest, elf, words, "jit,thread=single", "0,sleep=off", folder), fast)
        finally:
            neighbour.kill()
            neighbour.wait()


main()
