#!/usr/bin/env python3
"""Machines whose time is counted are the same each time: icount_test.py PROGRAM [options].

Debian's kernel boots on two processors with a disk, the user network and an entropy device, works on all of them and powers off.
Its console, and the trace of icount.hash (each 2^20 instructions, and at the end), must be the same in every run, with the host
idle, with two neighbours that spin, where the host sleeps with the guest, and where the machine is stopped now and then.
"""
import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from client import Qmp, connect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import with_init  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))
BOARDS = {"riscv64": (["-M", "virt"], "ttyS0"), "aarch64": (["-M", "virt", "-cpu", "cortex-a57"], "ttyAMA0")}
SPIN = [sys.executable, "-c", "while True: pass"]


def prepare(guest, work):
    """The disk and the initial RAM disk; all runs have the same."""
    base = INPUTS / "machines" / guest / "initramfs.cpio.gz"
    (work / "initrd.gz").write_bytes(with_init(base, Path(__file__).with_name("icount.sh")))
    folder = work / "files"
    folder.mkdir()
    (folder / "hello").write_text("hello-from-disk\n")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, work / "disk.img", "64M"], check=True)


def disturb(path, process):
    """Stops the machine and lets it go on, again and again."""
    with contextlib.suppress(OSError, EOFError):  # until it has ended
        machine = Qmp(connect(path, process))
        while True:
            machine.run("stop")
            time.sleep(random.random() / 50)
            machine.run("cont")
            time.sleep(random.random() / 50)


def boot(program, guest, work, icount, stops):
    """What it showed, and its trace."""
    board, console = BOARDS[guest]
    shown, log = work / "console", work / "log"
    command = [program, guest, *board, "-m", "512M", "-smp", "2", "-nodefaults", "-nographic", "-serial", f"file:{shown}",
               "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
               "-append", f"console={console}",
               "-drive", f"file={work}/disk.img,if=none,id=d0,format=raw,snapshot=on",
               "-device", "virtio-blk-device,drive=d0", "-netdev", "user,id=n0",
               "-device", "virtio-net-device,netdev=n0", "-device", "virtio-rng-device",
               "-icount", icount, "-trace", "icount.*", "-D", log, "-qmp", f"unix:{work}/qmp,server=on,wait=off"]
    (work / "qmp").unlink(missing_ok=True)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        other = threading.Thread(target=disturb, args=(work / "qmp", process))
        if stops:
            other.start()
        try:
            status = process.wait(600)
        finally:
            process.kill()
            if stops:
                other.join()
    text = shown.read_text(errors="replace")
    missing = [m for m in ("NET-DHCP-OK", "NET-PING-OK", "DISK hello-from-disk", "BLOB ", "MILESTONE-OK") if m not in text]
    if status or missing:
        sys.exit(f"{guest}: status {status}, not shown: {missing}\n{text[-3000:]}")
    trace = log.read_text().splitlines()  # where it was stopped on the way is up to the host
    return text.splitlines(), [line for line in trace[:-1] if "icount.stop" not in line] + trace[-1:]


def compare(what, found, expected):
    for name, a, b in zip(("the console", "the trace"), found, expected):
        different = [n for n, (x, y) in enumerate(zip(a, b)) if x != y]
        if different:
            n = different[0]
            sys.exit(f"{what}: line {n + 1} of {name} is\n{a[n]}\nin place of\n{b[n]}")
        if len(a) != len(b):
            sys.exit(f"{what}: {name} has {len(a)} lines, expected {len(b)}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program", type=Path)
    p.add_argument("--guest", choices=list(BOARDS), required=True)
    p.add_argument("--count", type=int, default=2, help="runs; every other one with a busy host")
    o = p.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        work = Path(folder)
        prepare(o.guest, work)
        first = None
        for n in range(o.count):
            neighbours = [subprocess.Popen(SPIN) for _ in range(2 * (n % 2))]
            start = time.monotonic()
            try:
                run = boot(o.program, o.guest, work, "shift=0,sleep=on" if n % 4 == 2 else "shift=0,sleep=off", n % 3 == 1)
            finally:
                for each in neighbours:
                    each.kill()
                    each.wait()
            first = first or run
            compare(f"{o.guest}: run {n + 1}", run, first)
            print(f"{o.guest}: run {n + 1} of {o.count}: {run[1][-1]} ({time.monotonic() - start:.1f} s)", flush=True)


main()
