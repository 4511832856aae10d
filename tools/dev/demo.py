"""demo: foreign programs under Mimic, then the speed table."""

import argparse
import os
import re
import subprocess

import bench
import build
import corpus
import inputs
import packages
from common import INPUTS, ROOT, DevError, mimic_program, run, say

SCRIPT = """
import hashlib, json, platform, sys
print(f"Python {sys.version.split()[0]} on {platform.machine()}")
print(json.dumps({"sha256": hashlib.sha256(b"Mimic").hexdigest()[:16], "sum": sum(i * i for i in range(100000))}))
"""


# What the initial RAM disk of the tests says of the machine it finds, but for its long lists.
MILESTONES = re.compile(r"OpenSBI v|UNAME |CPUS |MEMKB |MILESTONE|reboot: ")


def boot(mimic):
    """OpenSBI, Debian's RISC-V kernel, and an initial RAM disk that says so and powers off."""
    say("Debian's RISC-V kernel on the board `virt`:")
    files = INPUTS / "machines" / "riscv64"
    before = os.times()
    console = run([mimic, "system", "riscv64", "-M", "virt", "-m", "256M", "-nodefaults", "-nographic", "-serial", "stdio",
                   "-kernel", files / "kernel", "-initrd", files / "initramfs-min.cpio.gz",
                   "-append", "console=ttyS0 quiet t=poweroff"], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    print("\n".join(line.rstrip() for line in console.splitlines() if MILESTONES.search(line)), flush=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    say(f"from reset to power-off: {cpu:.2f} s of CPU, {after.elapsed - before.elapsed:.2f} s")


def install(mimic):
    """The kernel and the initial RAM disk of Debian's arm64 installer, until its first question is on the console."""
    say("Debian's arm64 installer on the board `virt`:")
    files = INPUTS / "machines" / "aarch64-installer" / inputs.INSTALLER
    before = os.times()
    machine = subprocess.Popen([mimic, "system", "aarch64", "-M", "virt", "-m", "512M", "-nodefaults", "-nographic",
                                "-serial", "stdio", "-kernel", files / "linux", "-initrd", files / "initrd.gz",
                                "-append", "console=ttyAMA0 quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    shown, question = b"", None
    while not question and (more := os.read(machine.stdout.fileno(), 65536)):
        shown += more
        question = re.search(rb"\[!!\] [\w ]+", shown)
    machine.kill()  # nothing of it is to be kept, and SIGTERM would be told
    machine.wait()
    if not question:
        raise DevError(f"the installer left without a question: {shown[-2000:].decode(errors='replace')}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    say(f"from reset to the question {question[0].decode()!r}: {cpu:.2f} s of CPU, {after.elapsed - before.elapsed:.2f} s")


def demo(_options):
    packages.install()
    inputs.fetch()
    build.compile_targets("release", ["mimic", "mimic-system"])  # the tests are most of a build
    mimic = mimic_program()
    if not mimic.exists():
        raise DevError(f"{mimic.relative_to(ROOT)}: this tree does not build it yet, nothing to show")
    root = inputs.sysroot("aarch64")
    say("Debian's arm64 python3:")
    run([mimic, "run", "-L", root, root / "usr/bin/python3", "-c", SCRIPT])
    say("a RISC-V program, 12 queens:")
    run([mimic, "run", corpus.build(corpus.PROGRAMS / "nqueens.c", "riscv64"), "12"])
    boot(mimic)
    install(mimic)
    say("the speed table: some dozens of programs are compiled for three machines, then each is run natively, under Mimic "
        "and under two releases of the usual emulator; some minutes on an idle machine (Ctrl-C ends it)")
    parser = argparse.ArgumentParser()
    bench.add_options(parser)
    return bench.bench(parser.parse_args(["--quick"]))
