"""Jobs on the disk of a machine that works: jobs_test.py PROGRAM [options].

Debian's kernel boots on a qcow2 disk (-drive, or with --blockdev -blockdev) and writes, reads and compares files. Meanwhile the disk
gets overlays, is mirrored and moves to the mirror, is backed up in full and by a bitmap, streamed and committed. The guest must find
every byte that it wrote, on a file system without faults, and all images must check clean with the reference's tool; a backup
is a file system as of a power fail, which its journal mends.
"""

import subprocess
import time
from pathlib import Path

import save_test
from client import Failure
from save_test import BOARDS, CONSOLES, INPUTS
from snapshot_test import BEGIN, Machine, arguments, boots, tool

ROUNDS = 12


class Disk:
    """The machine's disk, under whatever node it is now."""

    def __init__(self, machine, by_node, work):
        self.machine, self.by_node, self.work, self.count = machine, by_node, work, 0
        self.images = [work / "d0.qcow2"]

    def inserted(self):
        return self.machine.run("query-block")[0]["inserted"]

    def name(self):
        return self.inserted()["node-name"] if self.by_node else "d0"

    def fresh(self, kind):
        self.count += 1
        path = self.work / f"{kind}{self.count}.qcow2"
        self.images.append(path)
        return path

    def start(self, command, **arguments):
        self.count += 1
        self.machine.run(command, **{"job-id": f"j{self.count}", "device": self.name(),
                                     **{k.replace("_", "-"): v for k, v in arguments.items()}})
        return f"j{self.count}"

    def listed(self, job):
        self.machine.shown += self.machine.console(0.02) or b""
        return next((j for j in self.machine.run("query-block-jobs") if j["device"] == job), None)

    def ready(self, job):
        while not (found := self.listed(job))["ready"]:
            pass
        return found

    def end(self, job):
        while self.listed(job):
            pass
        self.machine.run("query-jobs")
        ends = [e["data"] for e in self.machine.events if e["event"] == "BLOCK_JOB_COMPLETED" and e["data"]["device"] == job]
        if len(ends) != 1 or "error" in ends[0]:
            raise Failure(f"job {job} ended as {ends}")

    def overlay(self):
        where = {"node-name": self.name(), "snapshot-node-name": f"o{self.count}"} if self.by_node else {"device": "d0"}
        self.machine.run("blockdev-snapshot-sync", **where, **{"snapshot-file": str(self.fresh("overlay")), "format": "qcow2"})

    def depth(self, expected):
        if (depth := self.inserted()["backing_file_depth"]) != expected:
            raise Failure(f"{depth} layers below the disk, expected {expected}")


def mirror(disk, **more):
    """The disk moves."""
    path = disk.fresh("mirror")
    job = disk.start("drive-mirror", target=str(path), format="qcow2", sync="full", **more)
    disk.ready(job)
    disk.machine.run("job-complete", id=job)
    disk.end(job)
    if disk.inserted()["file"] != str(path):
        raise Failure(f"the disk is {disk.inserted()['file']} after its mirror, expected {path}")


def backups(disk, work):
    """A full one, and what a bitmap says was written since on top of a copy of it."""
    machine, full = disk.machine, disk.fresh("backup")
    node = disk.inserted()["node-name"]
    actions = [{"type": "block-dirty-bitmap-add", "data": {"node": node, "name": "since"}},
               {"type": "drive-backup", "data": {"job-id": "full", "device": disk.name(), "target": str(full), "sync": "full", "format": "qcow2"}}]
    machine.run("transaction", actions=actions)
    disk.end("full")
    machine.until(b"ROUND 5 ")
    inc = disk.fresh("inc")
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", full, "-F", "qcow2", inc)
    job = disk.start("drive-backup", target=str(inc), sync="incremental", bitmap="since", format="qcow2", mode="existing")
    disk.end(job)
    machine.run("block-dirty-bitmap-remove", node=node, name="since")
    for image in (full, inc):
        raw = work / "backup.raw"
        tool("qemu-img", "convert", "-O", "raw", image, raw)
        mended = subprocess.run(["e2fsck", "-p", raw], capture_output=True, text=True)
        if mended.returncode not in (0, 1):
            raise Failure(f"{image.name} is no file system that a journal mends: {mended.stdout}{mended.stderr}")
        clean = subprocess.run(["e2fsck", "-fn", raw], capture_output=True, text=True)
        if clean.returncode:
            raise Failure(f"{image.name}: {clean.stdout}")


def work_on(disk, work):
    machine = disk.machine
    file = machine.run("query-named-block-nodes")
    file = next(n["node-name"] for n in file if n["drv"] == "file" and n["file"].endswith("d0.qcow2"))
    machine.run("block-set-write-threshold", **{"node-name": file, "write-threshold": 1})
    machine.until(b"ROUND 1 ")
    if "BLOCK_WRITE_THRESHOLD" not in [e["event"] for e in machine.events]:
        machine.run("query-status")
        if "BLOCK_WRITE_THRESHOLD" not in [e["event"] for e in machine.events]:
            raise Failure("no BLOCK_WRITE_THRESHOLD of a disk that was written")
    disk.overlay()
    disk.overlay()
    disk.depth(2)
    mirror(disk)
    disk.depth(0)
    backups(disk, work)
    for _ in range(3):
        disk.overlay()
    disk.depth(3)
    # The second of four into the first, which it then is no more; then the top, by a mirror.
    chain = {n["node-name"]: n for n in machine.run("query-named-block-nodes")}
    path = [i for i in disk.images if i.name.startswith(("overlay", "mirror"))]
    by_file = {n["file"]: name for name, n in chain.items() if n["drv"] == "qcow2"}
    middle, base = by_file[str(path[-3])], by_file[str(path[-4])]
    disk.end(disk.start("block-commit", top_node=middle, base_node=base))
    disk.depth(2)
    job = disk.start("block-commit", base_node=base)
    disk.ready(job)
    machine.run("block-job-complete", device=job)
    disk.end(job)
    disk.depth(0)
    disk.overlay()
    disk.end(disk.start("block-stream"))
    disk.depth(0)
    mirror(disk, copy_mode="write-blocking")
    if b"FILES" in machine.shown:
        raise Failure("the guest was done before the jobs were: more rounds are needed")


def go(program, guest, board, cpus, by_node, work, timeout):
    save_test.ROUNDS = ROUNDS
    port = save_test.surroundings(guest, work)
    image = work / "d0.qcow2"
    tool("qemu-img", "convert", "-O", "qcow2", work / "disk.img", image)
    words = [program, *BOARDS[guest][board], "-smp", str(cpus), "-m", "384M", "-nodefaults", "-nographic", "-serial", "stdio",
             "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
             "-append", f"console={CONSOLES[guest]} port={port} rounds={ROUNDS}",
             "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-blk-pci,drive=d0"]
    if by_node:
        words += ["-blockdev", f"driver=file,node-name=f0,filename={image}", "-blockdev", "driver=qcow2,node-name=d0,file=f0"]
    else:
        words += ["-drive", f"file={image},if=none,id=d0,format=qcow2"]
    machine = Machine(words, work, time.monotonic() + timeout)
    disk = Disk(machine, by_node, work)
    try:
        machine.until(BEGIN)
        work_on(disk, work)
        last = Path(disk.inserted()["file"])
        status = machine.end()
    except Failure as failure:
        raise Failure(f"{failure}\n{machine.shown.decode(errors='replace')[-2000:]}") from None
    finally:
        machine.close()
    tool("qemu-img", "convert", "-O", "raw", last, work / "disk.img")
    save_test.check(machine.shown, status, work, False)
    for path in disk.images:
        tool("qemu-img", "check", path)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--blockdev", action="store_true", help="the disk is made by -blockdev, and jobs name nodes")
    boots(parser.parse_args(),
          lambda link, o, board, work: go(link, o.guest, board, o.cpus, o.blockdev, work, o.timeout))


if __name__ == "__main__":
    main()
