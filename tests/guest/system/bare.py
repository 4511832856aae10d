#!/usr/bin/env python3
"""Runs a program without an operating system under each engine and compares what it prints with PROGRAM.out.

  bare.py --run BARE_RUN PROGRAM.bin PROGRAM.out            each engine
  bare.py --reference PROGRAM.elf PROGRAM.out               the reference (qemu-system-riscv64), as a black box

The reference differs from the manual in places that the programs show; `known` below lists them.
"""
import argparse
import difflib
import re
import subprocess
import sys

ENGINES = (["--accel", "interp"], ["--accel", "jit"], ["--accel", "jit", "--verify"])


def known(text):
    """Volume II, 3.1.15: what an AMO meets is a store's exception; the reference (7.2) says a load's at times."""
    return re.sub(r"\ba:5/", "a:7/", re.sub(r"\ba:13/", "a:15/", text))


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
    p.add_argument("--reference", action="store_true")
    p.add_argument("program")
    p.add_argument("expected")
    a = p.parse_args()
    with open(a.expected, encoding="utf-8") as f:
        expected = f.read()
    if a.reference:
        command = ["qemu-system-riscv64", "-M", "virt", "-smp", "2", "-bios", "none", "-nographic", "-no-reboot",
                   "-kernel", a.program]
        compare("reference", known(output_of(command, 120)), expected)
        return
    for engine in ENGINES:
        command = [a.run, "--cpus", "2", *engine, a.program]
        compare(" ".join(engine), output_of(command, 120), expected)


main()
