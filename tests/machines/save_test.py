"""Machines that are saved at random points and go on in fresh processes: save_test.py PROGRAM [options].

Debian's kernel boots and works on its disk and network. At points of its console, chosen at random, the machine is saved to a
file over QMP, the process is ended, and a fresh one loads the file; or (--live) it moves to a fresh process while it runs, through
a socket, after one move that is cancelled and one that the other side refuses. At the end the guest must have found every byte that it
wrote, the host a file system without faults, and the guest must have powered off by itself.
"""

import argparse
import functools
import hashlib
import http.server
import os
import random
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from client import Failure, Qmp, connect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import with_init  # noqa: E402: it lies with the front door's tools
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
        "secure": ["-M", "virt,gic-version=3,secure=on", "-cpu", "neoverse-n1"],
    },
}
CONSOLES = {"riscv64": "ttyS0", "aarch64": "ttyAMA0"}


class Process(Qmp):
    """A machine in a process: its console and its QMP."""

    def __init__(self, words, work, deadline, name="qmp"):
        self.deadline = deadline
        path = work / name
        path.unlink(missing_ok=True)
        self.process = subprocess.Popen([*words, "-qmp", f"unix:{path},server=on,wait=off"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        super().__init__(connect(path, self.process, 120))

    def console(self, seconds=0.1):
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
                shown += self.console(0.02) or b""
            self.run("migrate", uri=f"file:{path}")
            while (status := self.run("query-migrate"))["status"] not in ("completed", "failed"):
                shown += self.console(0.02) or b""
            if status["status"] == "failed":
                raise Failure(status["error-desc"])
            self.run("quit")
        except (EOFError, ConnectionError):
            pass
        while (more := self.console()) is not None:
            shown += more
        self.process.wait()
        return shown

    def migrate(self, uri):
        """How a migration ended, and what the console showed meanwhile."""
        shown = b""
        self.run("migrate", uri=uri)
        while (status := self.run("query-migrate"))["status"] not in ("completed", "failed", "cancelled"):
            shown += self.console(0.02) or b""
        return status, shown

    def statuses(self):
        return [e["data"]["status"] for e in self.events if e["event"] == "MIGRATION"]

    def close(self):
        self.disconnect()
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def surroundings(guest, work):
    base = INPUTS / "machines" / guest / "initramfs.cpio.gz"
    (work / "initrd.gz").write_bytes(with_init(base, Path(__file__).resolve().parent / "save.sh"))
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", work / "disk.img", "32M"], check=True)
    (work / "blob").write_bytes(random.randbytes(500000))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=work))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def save(machine, words, work, deadline):
    """Saves a machine; what its console showed, and the fresh one, or None if the guest was faster."""
    state = work / "state"
    state.unlink(missing_ok=True)
    shown = machine.save(state)
    if not state.exists() or b"Power down" in shown[-200:]:
        return shown, None
    return shown, Process([*words, "-incoming", f"file:{state}"], work, deadline)


def refused(machine, words, work, deadline):
    """Moves that do not succeed: the machine must go on, without a stop in sight."""
    shown, path = b"", work / "refused"
    machine.run("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    machine.run("migrate-set-parameters", **{"max-bandwidth": 4 << 20, "downtime-limit": 0})
    machine.run("migrate", uri=f"file:{work / 'cancelled'}")
    while machine.run("query-migrate").get("ram", {}).get("transferred", 0) < 1 << 20:
        shown += machine.console(0.02) or b""
    machine.run("migrate_cancel")
    while machine.run("query-migrate")["status"] != "cancelled":
        shown += machine.console(0.02) or b""
    if (seen := machine.statuses()) != ["setup", "active", "cancelling", "cancelled"]:
        raise Failure(f"a move that was cancelled went through {seen}")
    machine.run("migrate-set-parameters", **{"max-bandwidth": 0, "downtime-limit": 300})
    # Its state is refused when all of it is there: the other machine has another disk controller.
    other = [w if w != "virtio-net-pci,netdev=n0" else "virtio-rng-pci" for w in words]
    there = Process([*other, "-incoming", f"unix:{path}"], work, deadline, "qmp-refused")
    while not path.exists():
        time.sleep(0.02)
    status, more = machine.migrate(f"unix:{path}")
    said = there.process.stdout.read().decode(errors="replace")
    there.close()
    if status["status"] != "failed" or "did not say that it has loaded" not in status.get("error-desc", ""):
        raise Failure(f"a move that the other side refused ended as {status}; it said: {said}")
    if machine.run("query-status")["status"] != "running":
        raise Failure("a machine whose move failed does not run")
    return shown + more


def move(machine, words, work, deadline):
    """Moves a machine while it runs; as save()."""
    path = work / "moved"
    path.unlink(missing_ok=True)
    fresh = Process([*words, "-incoming", f"unix:{path}"], work, deadline, f"qmp-{time.monotonic_ns()}")
    shown = b""
    try:
        while machine.run("query-status")["status"] == "inmigrate":
            shown += machine.console(0.02) or b""
        while not path.exists():
            time.sleep(0.02)
        status, more = machine.migrate(f"unix:{path}")
        shown += more
        if status["status"] != "completed":
            raise Failure(f"the move ended as {status}")
        print(f"  moved in {status['total-time']} ms, {status['ram']['dirty-sync-count']} passes, stood still for "
              f"{status['downtime']} ms, {status['ram']['downtime-bytes'] >> 10} of {status['ram']['transferred'] >> 10} KiB then",
              flush=True)
        machine.run("quit")
    except (EOFError, ConnectionError):
        fresh.close()
        fresh = None
    while (more := machine.console()) is not None:
        shown += more
    return shown, fresh


def go(program, guest, board, cpus, points, work, timeout, live, more_words):
    """Boots with saves at `points` of the console; the console at the end."""
    port = surroundings(guest, work)
    words = [program, *BOARDS[guest][board], "-smp", str(cpus), "-m", "384M", "-nodefaults", "-nographic", "-serial", "stdio",
             "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
             "-append", f"console={CONSOLES[guest]} port={port} rounds={ROUNDS}{' churn=4096' if live else ''}",
             "-drive", f"file={work / 'disk.img'},if=none,id=d0,format=raw{',file.locking=off' if live else ''}",
             "-device", "virtio-blk-pci,drive=d0", "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0", *more_words]
    shown, deadline = b"", time.monotonic() + timeout
    points = sorted(points)
    count = len(points)
    machine = Process(words, work, deadline)
    try:
        while (more := machine.console()) is not None:
            shown += more
            if not points or len(shown) < points[0]:
                continue
            if live and len(points) == count:
                shown += refused(machine, words, work, deadline)
            points.pop(0)
            more, fresh = (move if live else save)(machine, words, work, deadline)
            shown += more
            if fresh is None:
                break
            machine.close()
            machine = fresh
        status = machine.process.wait()
    except Failure as failure:
        raise Failure(f"{failure}\n{shown.decode(errors='replace')[-3000:]}") from None
    finally:
        machine.close()
    check(shown, status, work, live)
    return shown, len(points)


def check(shown, status, work, live):
    text = shown.decode(errors="replace")
    expected = [f"ROUND {i} {hashlib.md5((work / 'blob').read_bytes()).hexdigest()}" for i in range(ROUNDS)]
    for line in [*expected, f"FILES {ROUNDS} GOOD", "MILESTONE-OK"]:
        if line not in text:
            raise Failure(f"the console lacks '{line}':\n{text[-3000:]}")
    if live and "CHURNED" not in text:
        raise Failure(f"the console lacks 'CHURNED':\n{text[-3000:]}")
    for line in ("CHURN BAD", "BUG:", "Oops", "rcu: INFO", "I/O error", "Call Trace"):
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
    parser.add_argument("--live", action="store_true", help="move the machine while it runs")
    parser.add_argument("--icount", metavar="VALUE", help="count time")
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
                        shown, left = go(link, guest, board, options.cpus, points, work, options.timeout,
                                         options.live, ["-icount", options.icount] if options.icount else [])
                    except Failure as failure:
                        sys.exit(f"{guest} {board} --cpus {options.cpus} --seed {seed}: FAILED: {failure}")
                    print(f"{guest} {board}, {options.cpus} processors, seed {seed}: ok, {len(points) - left} saves, "
                          f"{len(shown)} bytes shown ({time.monotonic() - start:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
