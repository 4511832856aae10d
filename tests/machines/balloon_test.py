"""Debian's kernel gives memory to the balloon and gets it back: balloon_test.py PROGRAM --guest GUEST.

Seen from both sides: MemTotal and MemFree inside, the process's resident memory outside, the events and numbers of QMP.
"""

import argparse
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from client import Qmp, connect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import Archive, contents, with_init  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))
BOARDS = {"riscv64": (["-M", "virt"], "ttyS0"), "aarch64": (["-M", "virt", "-cpu", "cortex-a57"], "ttyAMA0")}
MIB = 1 << 20
RAM, TARGET, PATIENCE = 512 * MIB, 192 * MIB, 300


class Machine(Qmp):
    def __init__(self, program, guest, work, device):
        board, console = BOARDS[guest]
        paths = [work / name for name in ("serial", "qmp")]
        for path in paths:
            path.unlink(missing_ok=True)
        command = [program, guest, *board, "-m", str(RAM // MIB), "-nodefaults", "-nographic",
                   "-serial", f"unix:{paths[0]},server=on,wait=off", "-qmp", f"unix:{paths[1]},server=on,wait=off", "-S",
                   "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
                   "-append", f"console={console}", "-device", device]
        self.process = subprocess.Popen(command)
        self.serial, self.shown = connect(paths[0], self.process, PATIENCE), b""
        super().__init__(connect(paths[1], self.process, PATIENCE))
        self.run("cont")

    def wait_for(self, pattern):
        while not (found := re.search(pattern, self.shown)):
            data = self.serial.recv(4096)
            if not data:
                sys.exit(f"{pattern} did not come:\n{self.shown.decode(errors='replace')[-3000:]}")
            self.shown += data
        return found

    def inside(self, word):
        """MemTotal and MemFree, in bytes."""
        self.serial.sendall(word.encode() + b"\n")
        found = self.wait_for(rb"MEMORY " + word.encode() + rb" (\d+) (\d+)")
        return [int(n) * 1024 for n in found.groups()]

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) * 1024

    def settle(self, target):
        self.run("balloon", value=target)
        deadline = time.monotonic() + PATIENCE
        while self.run("query-balloon")["actual"] != target:
            if time.monotonic() > deadline:
                sys.exit(f"the guest has {self.run('query-balloon')}, expected {target}")
            time.sleep(0.1)


def expect(what, holds):
    if not holds:
        sys.exit(what)


def traditional(m):
    m.wait_for(rb"READY")
    total, free = m.inside("first")
    before = m.resident()
    m.settle(TARGET)
    less, _ = m.inside("second")
    after = m.resident()
    print(f"MemTotal {total // MIB} {less // MIB}, resident {before // MIB} {after // MIB}")
    expect(f"MemTotal {total} and {less}", total - less == RAM - TARGET)
    expect(f"{before} and then {after} bytes are resident", before - after > 100 * MIB)
    m.run("qom-set", path="/machine/peripheral/b", property="guest-stats-polling-interval", value=1)
    deadline = time.monotonic() + PATIENCE
    while (stats := m.run("qom-get", path="/machine/peripheral/b", property="guest-stats"))["stats"]["stat-total-memory"] != less:
        expect(f"{stats}, expected {less} in all", time.monotonic() < deadline)
        time.sleep(0.2)
    expect(stats, stats["last-update"] > 0 and stats["stats"]["stat-free-memory"] < less)
    m.settle(RAM)
    again, free_again = m.inside("third")
    expect(f"MemTotal {again}, expected {total} again; free {free} and {free_again}", again == total and free_again > free - 64 * MIB)
    actual = [e["data"]["actual"] for e in m.events if e["event"] == "BALLOON_CHANGE"]
    expect(actual, TARGET in actual and actual[-1] == RAM)


def reporting(m):
    """Nobody asks: what was freed is no longer resident in a while."""
    m.wait_for(rb"READY")
    deadline = time.monotonic() + PATIENCE
    while (now := m.resident()) > 280 * MIB:
        expect(f"{now} bytes are still resident", time.monotonic() < deadline)
        time.sleep(0.2)
    print(f"resident {now // MIB}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program", type=Path)
    p.add_argument("--guest", choices=list(BOARDS), required=True)
    o = p.parse_args()
    base = INPUTS / "machines" / o.guest
    module = next(base.rglob("virtio_balloon.ko*"))
    archive = Archive()
    archive.add("modules/virtio_balloon.ko", stat.S_IFREG | 0o644, contents(module))
    for device, check in (("virtio-balloon-device,id=b", traditional),
                          ("virtio-balloon-pci,id=b,free-page-reporting=on,page-poison=off", reporting)):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            work = Path(folder)
            (work / "initrd.gz").write_bytes(with_init(base / "initramfs.cpio.gz", Path(__file__).with_name("balloon.sh")) +
                                             archive.finish())
            m = Machine(o.program, o.guest, work, device)
            try:
                check(m)
                m.serial.sendall(b"end\n")
                m.wait_for(rb"MILESTONE-OK")
                expect("the machine did not end", m.process.wait(PATIENCE) == 0)
            finally:
                m.process.kill()
                m.process.wait()


main()
