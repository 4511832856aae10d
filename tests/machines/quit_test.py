"""A machine is ended while its guest reads a disk as fast as it can: quit_test.py PROGRAM --guest GUEST.

Requests are in the disk's hands, or on their way there, whenever the end comes: by a signal, and by the monitor. The program
must still close what it has: status 0, and no pid file left.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import with_init  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))
BOARDS = {"riscv64": (["-M", "virt"], "ttyS0"), "aarch64": (["-M", "virt", "-cpu", "cortex-a57"], "ttyAMA0")}
ROUNDS, PATIENCE = 6, 120

INIT = """#!/bin/sh
. /begin
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
i=0
while [ $i -lt 6 ]; do
  (while :; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; done) &
  i=$((i+1))
done
while :; do cat /sys/block/vda/stat | { read -r reads rest; [ "$reads" -gt 200 ] && echo READS; }; done
"""


def one_round(program, guest, work, by_monitor):
    board, console = BOARDS[guest]
    pid_file = work / "pid"
    command = [program, guest, *board, "-smp", "4", "-m", "512", "-nodefaults", "-display", "none", "-serial", "file:/dev/stderr",
               "-monitor", "stdio", "-pidfile", pid_file, "-kernel", INPUTS / "machines" / guest / "kernel",
               "-initrd", work / "initrd.gz", "-append", f"console={console} quiet",
               "-blockdev", f"file,node-name=d,filename={work / 'disk.img'}", "-device", "virtio-blk-pci,drive=d,num-queues=4"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as machine:
        shown = b""
        while b"READS" not in shown:
            more = os.read(machine.stderr.fileno(), 4096)
            assert more, f"the machine left before its guest read: {shown[-500:]}"
            shown += more
        if by_monitor:
            machine.stdin.write(b"quit\n")
            machine.stdin.flush()
        else:
            machine.send_signal(signal.SIGTERM)
        rest = machine.communicate(timeout=PATIENCE)[1]
    assert machine.returncode == 0, f"status {machine.returncode}, expected 0: {rest[-500:]}"
    assert not pid_file.exists(), "the pid file is left"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--guest", required=True, choices=sorted(BOARDS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        init = work / "init"
        init.write_text(INIT)
        (work / "initrd.gz").write_bytes(with_init(INPUTS / "machines" / options.guest / "initramfs.cpio.gz", init))
        with open(work / "disk.img", "wb") as disk:
            disk.truncate(256 << 20)
        for n in range(ROUNDS):
            one_round(options.program.resolve(), options.guest, work, bool(n % 2))
    print(f"{options.guest}: ended {ROUNDS} times while the disk was read")


if __name__ == "__main__":
    main()
