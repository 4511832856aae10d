"""Machines that are saved at random points and go on in fresh processes: save_test.py PROGRAM [options].

Debian's kernel boots and works on its disk and network. At points of its console, chosen at random, the machine is saved to a
file over QMP, the process is ended, and a fresh one loads the file. At the end the guest must have found every byte that it
wrote, the host a file system without faults, and the guest must have powered off by itself.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import Archive  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))
ROUNDS = 4
CONSOLE = 18000  # bytes that such a boot shows, about

BOARDS = {
    "riscv64": {
        "plic": ["-M", "virt"],
        "imsic": ["-M", "virt,aia=aplic-imsic"],
    },
    "aarch64": {
        "gicv2": ["-M", "virt", "-cpu", "cortex-a57"],
        "gicv3": ["-M", "virt,gic-version=3", "-cpu", "max"],
    },
}
CONSOLES = {"riscv64": "ttyS0", "aarch64": "ttyAMA0"}


class Failure(Exception):
    """A machine that did not do what it must."""


class Process:
    """A machine in a process: its console and its QMP."""

    def __init__(self, words, work, deadline):
        self.deadline = deadline
        path = work / "qmp"
        path.unlink(missing_ok=True)
        self.process = subprocess.Popen([*words, "-qmp", f"unix:{path},server=on,wait=off"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.qmp = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.qmp.connect(str(path))
                break
            except OSError:
                if self.process.poll() is not None:
                    raise Failure("left at once: " + self.process.stdout.read().decode(errors="replace")) from None
                time.sleep(0.02)  # until it listens
        self.qmp.settimeout(120)
        self.lines = self.qmp.makefile("rb")
        self.lines.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            line = self.lines.readline()
            if not line:
                raise EOFError
            reply = json.loads(line)
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise Failure(f"{command}: {reply['error']}")

    def read(self, seconds=0.1):
        """What the console shows; None: the process has left and all is read."""
        if time.monotonic() > self.deadline:
            raise Failure("took too long")
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            return b""
        return os.read(self.process.stdout.fileno(), 65536) or None

    def save(self, path):
        """Saves the machine and ends the process; what the console showed meanwhile. None: the guest was faster."""
        shown = b""
        try:
            while self.run("query-status")["status"] == "inmigrate":
                shown += self.read(0.02) or b""
            self.run("migrate", uri=f"file:{path}")
            while (status := self.run("query-migrate"))["status"] not in ("completed", "failed"):
                shown += self.read(0.02) or b""
            if status["status"] == "failed":
                raise Failure(status["error-desc"])
            self.run("quit")
        except (EOFError, ConnectionError):
            pass
        while (more := self.read()) is not None:
            shown += more
        self.process.wait()
        return shown

    def close(self):
        self.lines.close()
        self.qmp.close()
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def surroundings(guest, work):
    archive = Archive()
    archive.add("init", 0o100755, (Path(__file__).resolve().parent / "save.sh").read_bytes())
    (work / "initrd.gz").write_bytes((INPUTS / "machines" / guest / "initramfs.cpio.gz").read_bytes() + archive.finish())
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", work / "disk.img", "32M"], check=True)
    (work / "blob").write_bytes(random.randbytes(500000))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=work))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def go(program, guest, board, cpus, points, work, timeout):
    """Boots with saves at `points` of the console; the console at the end."""
    port = surroundings(guest, work)
    words = [program, *BOARDS[guest][board], "-smp", str(cpus), "-m", "384M", "-nodefaults", "-nographic", "-serial", "stdio",
             "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
             "-append", f"console={CONSOLES[guest]} port={port} rounds={ROUNDS}",
             "-drive", f"file={work / 'disk.img'},if=none,id=d0,format=raw", "-device", "virtio-blk-pci,drive=d0",
             "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"]
    shown, loaded, deadline, state = b"", [], time.monotonic() + timeout, work / "state"
    points = sorted(points)
    while True:
        machine = Process([*words, *loaded], work, deadline)
        try:
            while (more := machine.read()) is not None:
                shown += more
                if points and len(shown) >= points[0]:
                    break
            if more is None:
                status = machine.process.wait()
                break
            points.pop(0)
            state.unlink(missing_ok=True)
            shown += machine.save(state)
            status = machine.process.returncode
            if not state.exists() or b"Power down" in shown[-200:]:
                break
            loaded = ["-incoming", f"file:{state}"]
        except Failure as failure:
            raise Failure(f"{failure}\n{shown.decode(errors='replace')[-3000:]}") from None
        finally:
            machine.close()
    check(shown, status, work)
    return shown, len(points)


def check(shown, status, work):
    text = shown.decode(errors="replace")
    expected = [f"ROUND {i} {hashlib.md5((work / 'blob').read_bytes()).hexdigest()}" for i in range(ROUNDS)]
    for line in [*expected, f"FILES {ROUNDS} GOOD", "MILESTONE-OK"]:
        if line not in text:
            raise Failure(f"the console lacks '{line}':\n{text[-3000:]}")
    for line in ("BUG:", "Oops", "rcu: INFO", "I/O error", "Call Trace"):
        if line in text:
            raise Failure(f"the kernel complains ({line}):\n{text[-6000:]}")
    if status != 0:
        raise Failure(f"left with status {status}, expected 0:\n{text[-1000:]}")
    fsck = subprocess.run(["e2fsck", "-fn", work / "disk.img"], capture_output=True, text=True)
    if fsck.returncode:
        raise Failure(f"e2fsck: {fsck.stdout}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--guest", choices=BOARDS, help="default: all")
    parser.add_argument("--board", help="of the guest's; default: all")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=3, help="saves of a boot")
    parser.add_argument("--count", type=int, default=1, help="boots")
    parser.add_argument("--timeout", type=int, default=600, help="seconds of a boot")
    options = parser.parse_args()
    for guest in BOARDS if options.guest is None else [options.guest]:
        for board in BOARDS[guest] if options.board is None else [options.board]:
            for seed in range(options.seed, options.seed + options.count):
                random.seed(seed)
                points = [random.randrange(CONSOLE) for _ in range(options.points)]
                with tempfile.TemporaryDirectory() as folder:
                    work = Path(folder)
                    link = work / f"mimic-system-{guest}"
                    link.symlink_to(options.program.resolve())
                    start = time.monotonic()
                    try:
                        shown, left = go(link, guest, board, options.cpus, points, work, options.timeout)
                    except Failure as failure:
                        sys.exit(f"{guest} {board} --cpus {options.cpus} --seed {seed}: FAILED: {failure}")
                    print(f"{guest} {board}, {options.cpus} processors, seed {seed}: ok, {len(points) - left} saves, "
                          f"{len(shown)} bytes shown ({time.monotonic() - start:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
