#!/usr/bin/env python3
"""Runs a program without an operating system under each engine and compares what it prints with PROGRAM.out.

  bare.py --run BARE_RUN PROGRAM.bin PROGRAM.out            each engine, on processors with a few devices
  bare.py --system MIMIC_SYSTEM GUEST PROGRAM.elf PROGRAM.out    each engine, on the guest's board `virt`
  bare.py --reference GUEST PROGRAM.elf PROGRAM.out         the reference (qemu-system-GUEST), as a black box

The reference differs from the manual in places that the programs show; `known` below lists them.
"""
import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path

ENGINES = (["--accel", "interp"], ["--accel", "jit"], ["--accel", "jit", "--verify"])


# A program may add its own: PROGRAM.words.
OPTIONS = {
    "riscv64": ["-M", "virt", "-smp", "2", "-bios", "none", "-nographic", "-no-reboot"],
    "aarch64": ["-M", "virt", "-cpu", "neoverse-n1", "-smp", "2", "-nic", "none", "-nographic", "-no-reboot"],
}


def known(text):
    """RISC-V Volume II, 3.1.15: what an AMO meets is a store's exception; the reference (7.2) says a load's at times.
    Arm DDI 0487, ISS of EC 0x18: the reference has op1 and op2 of a trapped MSR (immediate) in each other's place."""
    text = re.sub(r"\ba:5/", "a:7/", re.sub(r"\ba:13/", "a:15/", text))
    return text.replace("daifset EL0: esr 620793e6", "daifset EL0: esr 620cd3e6")


def output_of(command, limit):
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(command)}: no end after {limit} s")
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace").replace("\r", "")


def compare(name, text, expected):
    if text == expected:
        return
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), text.splitlines(True), "expected", name))
    sys.exit(f"{name}: differs")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--run")
    p.add_argument("--system", nargs=2, metavar=("MIMIC_SYSTEM", "GUEST"))
    p.add_argument("--reference", metavar="GUEST")
    p.add_argument("program")
    p.add_argument("expected")
    a = p.parse_args()
    with open(a.expected, encoding="utf-8") as f:
        expected = f.read()
    words = Path(a.expected).with_suffix(".words")
    own = words.read_text(encoding="utf-8").split() if words.exists() else []
    if a.reference:
        command = [f"qemu-system-{a.reference}", *OPTIONS[a.reference], *own, "-kernel", a.program]
        compare("reference", known(output_of(command, 120)), expected)
        return
    for engine in ENGINES:
        if a.system:
            accel = engine[1] + (",verify=on" if "--verify" in engine else "")
            program, guest = a.system
            command = [program, guest, *OPTIONS[guest], *own, "-accel", accel, "-kernel", a.program]
        else:
            command = [a.run, "--cpus", "2", *engine, a.program]
        compare(" ".join(engine), output_of(command, 120), expected)


main()
