"""Machines kept inside their disks: snapshot_test.py PROGRAM [options].

Debian's kernel boots and works on two qcow2 disks. While it does, savevm keeps it; it goes on, is taken back by loadvm, goes on,
and a fresh process (-loadvm) takes it back once more: each time to the end, where the guest must find every byte that it wrote. The
reference's own tools must list and check the images. A savevm that finds no room must leave the disks as they were.
"""

import argparse
import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import save_test
from client import Failure
from save_test import BOARDS, CONSOLES, INPUTS, ROUNDS, Process

BEGIN = b"NET-DHCP-OK"


def tool(*words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if result.returncode:
        raise Failure(f"{' '.join(str(w) for w in words)}: status {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout


class Machine(Process):
    """A process whose console is kept."""

    def __init__(self, words, work, deadline):
        super().__init__(words, work, deadline, f"qmp-{time.monotonic_ns()}")
        self.shown = b""

    def until(self, text):
        while text not in self.shown:
            more = self.console()
            if more is None:
                raise Failure(f"left before it showed {text}: {self.shown.decode(errors='replace')[-3000:]}")
            self.shown += more

    def end(self):
        while (more := self.console()) is not None:
            self.shown += more
        return self.process.wait()

    def still(self):
        """Stopped, with all that the guest has written in `shown`."""
        self.run("stop")
        while more := self.console(0):
            self.shown += more

    def expect(self, line, answer=""):
        if not re.search(answer or "^$", got := self.human(line)):
            raise Failure(f"{line}: answered '{got}', expected '{answer}'")

    def job(self, command, **arguments):
        """Runs a job to its end; its error, or None."""
        self.run(command, **{"job-id": "j"}, **arguments)
        while (job := self.run("query-jobs")[0])["status"] != "concluded":
            self.shown += self.console(0.02) or b""
        self.run("job-dismiss", id="j")
        return job.get("error")


def no_room(machine, images):
    """savevm while files cannot grow: an error, and nothing has changed."""
    before = machine.human("info snapshots")
    size = max(i.stat().st_size for i in images)
    resource.prlimit(machine.process.pid, resource.RLIMIT_FSIZE, (size + (1 << 20), resource.RLIM_INFINITY))
    machine.expect("savevm full", "Error: .*write the machine.*File too large")
    machine.expect("savevm one", "Error: .*write the machine.*File too large")  # one that is there
    resource.prlimit(machine.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if machine.human("info snapshots") != before:
        raise Failure(f"a savevm that failed left {machine.human('info snapshots')}, expected {before}")
    if machine.run("query-status")["status"] != "running":
        raise Failure("the machine does not run after a savevm that failed")


def jobs(machine):
    """The same by QMP."""
    nodes = {b["device"]: b["inserted"]["node-name"] for b in machine.run("query-block")}
    names = {"vmstate": nodes["d0"], "devices": [nodes["d0"], nodes["d1"]]}
    if (error := machine.job("snapshot-save", tag="two", **names)) is not None:
        raise Failure(f"snapshot-save: {error}")
    if "already exists" not in (machine.job("snapshot-save", tag="two", **names) or ""):
        raise Failure("snapshot-save of one that is there went well")
    if (error := machine.job("snapshot-load", tag="two", **names)) is not None:
        raise Failure(f"snapshot-load: {error}")
    if "no snapshot 'three'" not in (machine.job("snapshot-delete", tag="three", devices=names["devices"]) or ""):
        raise Failure("snapshot-delete of none went well")
    machine.expect("info snapshots", r"(?s)on all disks:.*\n-- +one .*\n-- +two ")
    if (error := machine.job("snapshot-delete", tag="two", devices=names["devices"])) is not None:
        raise Failure(f"snapshot-delete: {error}")


def finish(machine, work, images, shown):
    """To the guest's end; its console from the snapshot on is what it is after `shown`."""
    status = machine.end()
    raw = work / "disk.img"
    tool("qemu-img", "convert", "-O", "raw", images[0], raw)
    save_test.check(shown + machine.shown, status, work, False)


def go(program, guest, board, cpus, work, timeout):
    port = save_test.surroundings(guest, work)
    images = [work / "d0.qcow2", work / "d1.qcow2"]
    tool("qemu-img", "convert", "-O", "qcow2", work / "disk.img", images[0])
    tool("qemu-img", "create", "-q", "-f", "qcow2", images[1], "16M")
    words = [program, *BOARDS[guest][board], "-smp", str(cpus), "-m", "384M", "-nodefaults", "-nographic", "-serial", "stdio",
             "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / "initrd.gz",
             "-append", f"console={CONSOLES[guest]} port={port} rounds={ROUNDS}",
             "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"]
    for i, image in enumerate(images):
        words += ["-drive", f"file={image},if=none,id=d{i},format=qcow2", "-device", f"virtio-blk-pci,drive=d{i}"]
    deadline = time.monotonic() + timeout
    machine = Machine(words, work, deadline)
    try:
        machine.until(BEGIN)
        time.sleep(random.uniform(0, 1))  # anywhere in the work
        machine.shown += machine.console(0) or b""
        machine.expect("info snapshots", "There is no snapshot available.")
        machine.expect("loadvm one", "does not have the requested snapshot 'one'")
        machine.expect("savevm one")
        no_room(machine, images)
        jobs(machine)
        machine.until(b"ROUND 1 ")
        machine.still()
        at = len(machine.shown)
        machine.expect("savevm one")  # replaces
        machine.run("cont")
        machine.until(b"FILES")
        machine.still()
        machine.expect("loadvm one")
        before, machine.shown = machine.shown[:at], b""
        machine.run("cont")
        finish(machine, work, images, before)
    finally:
        machine.close()
    listed = [line.split() for line in tool("qemu-img", "snapshot", "-l", images[0]).splitlines()[2:]]
    if [line[1] for line in listed] != ["one"] or "one" not in tool("qemu-img", "snapshot", "-l", images[1]):
        raise Failure(f"qemu-img lists {listed}, expected 'one'")
    for image in images:
        tool("qemu-img", "check", image)
    machine = Machine([*words, "-loadvm", "one"], work, deadline)
    try:
        finish(machine, work, images, before)
    finally:
        machine.close()
    machine = Machine([*words, "-S"], work, deadline)
    try:
        machine.expect("delvm one")
        machine.run("quit")
        machine.end()
    finally:
        machine.close()
    for image in images:
        if json.loads(tool("qemu-img", "info", "--output=json", image)).get("snapshots"):
            raise Failure(f"{image.name} has a snapshot, expected none")
        tool("qemu-img", "check", image)  # leaks are errors


def arguments(doc):
    """The parser of a test that boots one board."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--guest", choices=BOARDS, default="aarch64")
    parser.add_argument("--board", help="of the guest's; default: the first")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=600, help="seconds of a boot")
    return parser


def boots(options, test):
    """Calls test(link, options, board, work) for each seed."""
    if not shutil.which("qemu-img"):
        print("SKIP: there is no qemu-img")
        sys.exit(77)
    board = options.board or next(iter(BOARDS[options.guest]))
    for seed in range(options.seed, options.seed + options.count):
        random.seed(seed)
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            link = work / f"mimic-system-{options.guest}"
            link.symlink_to(options.program.resolve())
            start = time.monotonic()
            try:
                test(link, options, board, work)
            except Failure as failure:
                sys.exit(f"{options.guest} {board} --cpus {options.cpus} --seed {seed}: FAILED: {failure}")
            print(f"{options.guest} {board}, {options.cpus} processors, seed {seed}: ok ({time.monotonic() - start:.1f} s)", flush=True)


def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # of the machines, too: a file that may not grow is an error
    boots(arguments(__doc__).parse_args(), lambda link, o, board, work: go(link, o.guest, board, o.cpus, work, o.timeout))


if __name__ == "__main__":
    main()
