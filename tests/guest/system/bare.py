#!/usr/bin/env python3
"""Runs a program without an operating system under each engine and compares what it prints with PROGRAM.out.

  bare.py --run BARE_RUN PROGRAM.bin PROGRAM.out            each engine, on processors with a few devices
  bare.py --system MIMIC_SYSTEM GUEST PROGRAM.elf PROGRAM.out    each engine, on the guest's board `virt`
  bare.py --like-kvm LIKE_KVM_RUN GUEST PROGRAM.elf PROGRAM.out  the same board, over an accelerator that behaves like KVM
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


# Lines of EL3's programs in which the reference differs from the manuals: MDCR_EL3.TDA traps MDCR_EL2, too; SCR_EL3.EA takes
# synchronous external aborts to EL3; SCR_EL3.SIF forbids fetches from non-secure memory; EOImode of ICC_CTLR_EL1 is an alias of
# ICC_CTLR_EL3's.
EL3 = {
    "TDA el2: 0": "TDA el2: el3 ec 18 iss 330563 pc+0",
    "EA: read: el1 ec 25": "EA: read: el3 ec 24",
    "EA: fetch: el1 ec 21": "EA: fetch: el3 ec 20",
    "SIF: fetch, non-secure: 4": "SIF: fetch, non-secure: el1 ec 21 iss e",
    "ctlr: secure 2 non-secure 0 el3 0": "ctlr: secure 2 non-secure 0 el3 8",
}


# Semihosting: a file of mode 8 (fopen's "a") is written at its end; names that have no room and memory that is not there have an
# error number, and what could not be read is left.
SEMIHOSTING = {
    "tmpnam, short: -1 errno 0": "tmpnam, short: -1 errno 22",
    "read all: 186\nit is: four\nwo three\n": "read all: 181\nit is: one two three\nfour\n",
    "seek: 0\nread some: 0\nit is: \nwo\n": "seek: 0\nread some: 0\nit is: two\n",
    "it is: four\nwo/three\n": "it is: one two/three\nfour\n",
    "read to nowhere: 0": "read to nowhere: 4",
}


# The OS Lock keeps steps and breakpoints away, PSTATE.D a step of the instruction that sets it; there are chained counters.
DEBUG = {
    "locked EL0\n  ok 2a, 11 steps": "locked EL0\n  ok 2a, 0 steps",
    "33:1000022+8 33:1000022+c 33:22+18": "33:1000022+8 33:22+18",
    "locked EL0: 30:22+c -> 5\ncontrol 1e4": "locked EL0: -> 5\ncontrol 1e5",
    "of EL0 EL0: -> 5": "of EL0 EL0: 30:22+c -> 5",
    "events 20001\n": "events 40020001\n",
    "chained: 7\n": "chained: 8\n",
}


def known(text):
    """RISC-V Volume II, 3.1.15: what an AMO meets is a store's exception; the reference (7.2) says a load's at times.
    Arm DDI 0487, ISS of EC 0x18: the reference has op1 and op2 of a trapped MSR (immediate) in each other's place; of a fault of stage 2 in a walk of stage 1 it tells the level of the latter."""
    for reference, manual in (EL3 | SEMIHOSTING | DEBUG).items():
        text = text.replace(reference, manual)
    text = text.replace("walk to a hole: ec 24 iss 86", "walk to a hole: ec 24 iss 87")
    text = text.replace("stage 1: par b0d stage 1 b0d", "stage 1: par b0f stage 1 b0f")
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
    p.add_argument("--like-kvm", nargs=2, metavar=("LIKE_KVM_RUN", "GUEST"))
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
    if a.like_kvm:
        program, guest = a.like_kvm
        compare("like-kvm", output_of([program, guest, *OPTIONS[guest], *own, "-kernel", a.program], 120), expected)
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
