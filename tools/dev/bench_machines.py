"""bench machines: whole boards beside Debian's qemu-system-*, with the same command line, kernel and programs.

A Linux guest with a shell on its serial port is told what to run. The CPU time of the emulator's process from the line
that starts a command to the line that says its end is what counts, beside the time of the same program natively; the time
on the clock where processors, disks and networks are compared. Minima of interleaved rounds.
"""

import http.server
import os
import re
import shlex
import stat
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import bench
import corpus
import initramfs
import inputs
from common import BUILD, ROOT, DevError, mimic_program, run, say

MIB = 1 << 20
LIMIT = 300  # seconds that a guest's answer may take
CLASSES = ("integer", "calls", "fp", "strings", "system")
PARTS = ("boot", "programs", "processors", "devices", "costs")
SOURCES = ROOT / "bench" / "machines"

INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /tmp
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
export PATH=/bin:/programs
$b --install -s /bin
for module in $(cat /modules/order); do insmod /modules/$module; done
ip link set lo up; ip link set eth0 up && udhcpc -q -n -i eth0 -s /bin/udhcpc.sh >/dev/null 2>&1
exec </dev/console >/dev/console 2>&1
stty -echo
echo "READY"
while read -r line; do eval "$line"; echo "STATUS $? END"; done
"""


@dataclass(frozen=True)
class Board:
    guest: str
    words: tuple
    console: str
    serial: int  # address of the serial port's data register, for the bare program

    @property
    def files(self):
        return inputs.INPUTS / "machines" / self.guest


BOARDS = (Board("riscv64", ("-M", "virt"), "ttyS0", 0x10000000),
          Board("aarch64", ("-M", "virt", "-cpu", "cortex-a57"), "ttyAMA0", 0x9000000))


def programs(guest):
    """{column: words that start the emulator}"""
    return {"mimic": [mimic_program(), "system", guest], "reference": [f"qemu-system-{guest}"]}


class Machine:
    """An emulator's process whose serial port is its standard input and output."""

    def __init__(self, words):
        self.began = time.monotonic()
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.shown = b""
        # The clock of another process's CPU time, as clock_getcpuclockid(3) makes it: ns in place of /proc's ticks.
        self.clock = (~self.process.pid << 3) | 2

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def cpu(self):
        return time.clock_gettime(self.clock)

    def wait(self, pattern, start=0):
        """Reads until `pattern` stands behind `start`; the match."""
        watchdog = threading.Timer(LIMIT, self.process.kill)
        watchdog.start()
        try:
            while not (found := re.compile(pattern).search(self.shown, start)):
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise DevError(f"{self.process.args[0]}: expected {pattern!r} on the console within {LIMIT} s, got "
                                   f"{self.shown[-500:]!r} {self.process.stderr.read()[-500:]!r}")
                self.shown += more
            return found
        finally:
            watchdog.cancel()

    def tell(self, command):
        """Has the guest's shell run `command`; (seconds of CPU, seconds on the clock, what it printed)."""
        start, cpu, wall = len(self.shown), self.cpu(), time.monotonic()
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        end = self.wait(rb"STATUS (\d+) END", start)
        cpu, wall = self.cpu() - cpu, time.monotonic() - wall
        printed = self.shown[start:end.start()].decode(errors="replace").replace("\r", "")
        if end[1] != b"0":
            raise DevError(f"{command}: status {end[1].decode()} in the guest: {printed[-300:]}")
        return cpu, wall, printed

    def resident(self):
        """Bytes, what was touched of guest RAM and of the code cache included."""
        return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)[1]) * 1024


def archive(board, rows, path):
    """The initial RAM disk: busybox, the modules of virtio, the corpus's programs and those of bench/machines."""
    made = initramfs.Archive()
    for name in ("bin", "dev", "modules", "programs"):
        made.add(name, stat.S_IFDIR | 0o755)
    made.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    root = board.files
    busybox = next(root / name for name in ("usr/bin/busybox", "bin/busybox") if (root / name).exists())
    folder = next(iter(sorted(root.glob("usr/lib/modules/*")) or sorted(root.glob("lib/modules/*"))))
    files = {"init": INIT.encode(), "bin/busybox": busybox.read_bytes(), "bin/udhcpc.sh": initramfs.LEASE.encode(),
             "programs/blocks": guest_program(board, "blocks").read_bytes()}
    order = []
    for module in initramfs.module_files(folder, initramfs.MODULES):
        name = re.sub(r"\.(xz|gz|zst)$", "", module.name)
        files[f"modules/{name}"] = initramfs.contents(module)
        order.append(name)
    files["modules/order"] = ("\n".join(order) + "\n").encode()
    for row in rows:
        files[f"programs/{row.name}"] = Path(row.command[0]).read_bytes()
    for name, data in files.items():
        made.add(name, stat.S_IFREG | 0o755, data)
    made.add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
    path.write_bytes(made.finish())
    return path


def guest_program(board, name, *flags):
    """A program of bench/machines for the guest."""
    program = BUILD / "bench" / board.guest / name
    program.parent.mkdir(parents=True, exist_ok=True)
    run([corpus.COMPILERS[board.guest][0] + "gcc", "-O2", "-static", *flags, "-o", program, SOURCES / f"{name}.c"])
    return program


def linux(board, column, initial, *more, processors=1, memory=512):
    return Machine([*programs(board.guest)[column], *board.words, "-m", str(memory), "-smp", str(processors), "-nodefaults",
                    "-display", "none", "-serial", "stdio", "-kernel", board.files / "kernel", "-initrd", initial,
                    "-append", f"console={board.console} quiet", *more])


# ---- the parts ----------------------------------------------------------------------------------------------------------


class Table:
    """Rows of a part: name -> column -> samples; the smallest counts."""

    def __init__(self):
        self.samples = {}

    def add(self, name, column, value):
        self.samples.setdefault(name, {}).setdefault(column, []).append(value)

    def best(self, name, column):
        values = self.samples[name].get(column)
        return min(values) if values else None


def line(name, values, over, bound):
    mark = "" if bound is None or over >= bound else "**"
    return f"| {name} | " + " | ".join(values) + f" | {mark}{over:.2f}{mark} | {'' if bound is None else bound} |"


def boot_part(board, folder, options, rounds):
    """From reset to the first line of /init."""
    table = Table()
    for _ in range(rounds):
        for column in programs(board.guest):
            for processors in (1, 2):
                initial = board.files / "initramfs-min.cpio.gz"
                with linux(board, column, initial, processors=processors, memory=256) as machine:
                    machine.wait(rb"INIT-START")
                    table.add(f"boot to the first shell, {processors} processors", column, machine.cpu())
    yield "| CPU s | mimic | reference | over | bound |\n|---|---:|---:|---:|---:|"
    for name in table.samples:
        mine, other = table.best(name, "mimic"), table.best(name, "reference")
        yield line(name, (f"{mine:.2f}", f"{other:.2f}"), other / mine, 1.5)


def corpus_rows(board, options):
    selection = bench.Selection([], list(CLASSES), options.quick)
    return [row for row in corpus.rows(board.guest, selection) if row.kind in CLASSES]


def programs_part(board, folder, options, rounds):
    """The corpus inside of the guest: geometric means of its classes, and each row."""
    rows = corpus_rows(board, options)
    initial = archive(board, rows, folder / f"programs-{board.guest}")
    table, printed, meter = Table(), {}, bench.Meter()
    for _ in range(rounds):
        for column in programs(board.guest):
            with linux(board, column, initial) as machine:
                machine.wait(rb"READY")
                for row in rows:
                    words = shlex.join([f"/programs/{row.name}", *map(str, row.command[1:])])
                    cpu, _, _ = machine.tell(f"{words} >/tmp/out")
                    table.add(row.name, column, cpu)
                    _, _, text = machine.tell("grep -v '^bits ' /tmp/out | sha256sum")
                    printed.setdefault(row.name, {})[column] = text.split()[0]
        for row in rows:
            sample = meter.measure(row.native, row, bench.environment())
            table.add(row.name, "native", sample.seconds)
            printed[row.name]["native"] = sample.digest
    yield "| program | native s | mimic s | reference s | mimic/native | over | bound |\n|---|---:|---:|---:|---:|---:|---:|"
    bounds = {"integer": 1.5, "calls": 3, "fp": 6, "system": 2}
    means = {"native": [], "reference": []}
    for kind in CLASSES:
        members = [row.name for row in rows if row.kind == kind]
        ratios = {other: [] for other in means}
        for name in members:
            best = {column: table.best(name, column) for column in ("native", "mimic", "reference")}
            ratios["native"].append(best["mimic"] / best["native"])
            ratios["reference"].append(best["reference"] / best["mimic"])
            wrong = "" if len(set(printed[name].values())) == 1 else " WRONG"
            yield line(name + wrong, [*(f"{best[c]:.3f}" for c in best), f"{ratios['native'][-1]:.2f}"],
                       ratios["reference"][-1], None)
        mean = {other: statistics.geometric_mean(values) for other, values in ratios.items()}
        yield line(f"**= {kind}**", ["", "", "", f"{mean['native']:.2f}"], mean["reference"], bounds.get(kind))
        if kind != "system":
            for other, values in ratios.items():
                means[other] += values
    over = statistics.geometric_mean(means["reference"])
    native = statistics.geometric_mean(means["native"])
    yield line("**= compute (native: 3.5)**", ["", "", "", f"{native:.2f}"], over, 2.5)


def processors_part(board, folder, options, rounds):
    """Two compressions at once, on one processor and on two."""
    initial = archive(board, [], folder / f"plain-{board.guest}")
    size = 8 if options.quick else 32
    table = Table()
    work = "gzip -9 </tmp/text >/dev/null"
    for _ in range(rounds):
        for column in programs(board.guest):
            for processors in (1, 2):
                with linux(board, column, initial, processors=processors) as machine:
                    machine.wait(rb"READY")
                    machine.tell(f"i=0; while [ $i -lt {size} ]; do head -c 524288 /bin/busybox; i=$((i+1)); done >/tmp/text")
                    _, wall, _ = machine.tell(f"{work} & {work} & wait")
                    table.add(processors, column, wall)
    yield "| two compressions, s on the clock | mimic | reference |\n|---|---:|---:|"
    for processors in (1, 2):
        yield f"| {processors} processors | " + " | ".join(f"{table.best(processors, c):.2f}" for c in programs(board.guest)) + " |"
    gains = [table.best(1, column) / table.best(2, column) for column in programs(board.guest)]
    mark = "" if gains[0] >= 1.8 else "**"
    yield f"| times as fast with two (bound 1.8) | {mark}{gains[0]:.2f}{mark} | {gains[1]:.2f} |"


class Server:
    """Serves one file over HTTP on the loopback."""

    def __init__(self, folder):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *words):
                super().__init__(*words, directory=str(folder))

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def devices_part(board, folder, options, rounds):
    """A virtio disk and a virtio network card through libslirp."""
    initial = archive(board, [], folder / f"plain-{board.guest}")
    size = 64 if options.quick else 256
    disk = folder / "disk.raw"
    disk.write_bytes(os.urandom(MIB) * size)
    server = Server(folder)
    blocks = 500 if options.quick else 4000
    cases = {
        f"disk, {size} MiB read in order": (f"blocks read 1048576 {size} /dev/vda", size, "MiB/s"),
        f"disk, {size} MiB written in order": (f"blocks write 1048576 {size} /dev/vda", size, "MiB/s"),
        "disk, 4 KiB read at random": (f"blocks randread 4096 {blocks} /dev/vda", blocks, "a second"),
        "disk, 4 KiB written at random": (f"blocks randwrite 4096 {blocks} /dev/vda", blocks, "a second"),
        f"network, {size} MiB downloaded": (f"wget -q -O /dev/null http://10.0.2.2:{server.port}/disk.raw", size, "MiB/s"),
    }
    wall, cpu = Table(), Table()
    more = ["-drive", f"file={disk},if=none,id=d0,format=raw,cache=writeback", "-device", "virtio-blk-device,drive=d0",
            "-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0"]
    for _ in range(rounds):
        for column in programs(board.guest):
            with linux(board, column, initial, *more) as machine:
                machine.wait(rb"READY")
                for name, (command, _, _) in cases.items():
                    used, took, _ = machine.tell(command)
                    wall.add(name, column, took)
                    cpu.add(name, column, used)
    yield "| work | unit | mimic | reference | mimic CPU s | reference CPU s | over | bound |\n|---|---|---:|---:|---:|---:|---:|---:|"
    for name, (_, amount, unit) in cases.items():
        mine, other = wall.best(name, "mimic"), wall.best(name, "reference")
        yield line(name, (unit, f"{amount / mine:.0f}", f"{amount / other:.0f}", f"{cpu.best(name, 'mimic'):.2f}",
                          f"{cpu.best(name, 'reference'):.2f}"), other / mine, 1)


def costs_part(board, folder, options, rounds):
    """How long until the guest's first instructions are seen, what is resident, what an idle guest takes."""
    bare = guest_program(board, "first", "-nostdlib", "-ffreestanding", "-fno-pic", "-no-pie", f"-DSERIAL={board.serial:#x}",
                         f"-Wl,-Ttext={0x80000000 if board.guest == 'riscv64' else 0x40200000:#x}", "-Wl,--build-id=none,-N,--no-warn-rwx-segments",
                         *(("-mcmodel=medany",) if board.guest == "riscv64" else ()))
    bios = ("-bios", "none") if board.guest == "riscv64" else ()
    table = Table()
    seconds = 2 if options.quick else 5
    for _ in range(rounds):
        for column, words in programs(board.guest).items():
            with Machine([*words, *board.words, "-m", "128", "-nodefaults", "-display", "none", "-serial", "stdio", *bios,
                          "-kernel", bare]) as machine:
                machine.wait(rb"FIRST")
                table.add("first output of a bare program, ms", column, (time.monotonic() - machine.began) * 1000)
                table.add("the same, ms of CPU", column, machine.cpu() * 1000)
                table.add("resident, MiB", column, machine.resident() / MIB)
            with linux(board, column, archive(board, [], folder / f"plain-{board.guest}")) as machine:
                machine.wait(rb"READY")
                machine.tell("sleep 1")
                before = machine.cpu()
                time.sleep(seconds)  # a measurement of idleness, not a wait for something
                table.add("an idle Linux guest, % of a processor", column, (machine.cpu() - before) / seconds * 100)
    yield "| cost | mimic | reference | bound |\n|---|---:|---:|---:|"
    bounds = {"first output of a bare program, ms": 25, "resident, MiB": 30,
              "an idle Linux guest, % of a processor": 1}
    for name in table.samples:
        mine, other = table.best(name, "mimic"), table.best(name, "reference")
        bound = bounds.get(name)
        mark = "" if bound is None or mine <= bound else "**"
        yield f"| {name} | {mark}{mine:.1f}{mark} | {other:.1f} | {'' if bound is None else bound} |"


def run_bench(options, parts):
    """Prints the tables of `parts` in Markdown; 1 if a program printed something else than natively."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise DevError(f"bench machines {unknown[0]}: expected {', '.join(PARTS)}")
    inputs.fetch()
    rounds = options.rounds or (1 if options.quick else 3)
    wrong = 0
    functions = {"boot": boot_part, "programs": programs_part, "processors": processors_part, "devices": devices_part,
                 "costs": costs_part}
    with tempfile.TemporaryDirectory(prefix="mimic-bench-") as folder:
        for board in BOARDS:
            if options.guest and board.guest not in options.guest:
                continue
            for part in parts or PARTS:
                say(f"measuring {board.guest}, {part}")
                print(f"\n### {board.guest}: {part}\n")
                for text in functions[part](board, Path(folder), options, rounds):
                    wrong += " WRONG" in text
                    print(text, flush=True)
    return 1 if wrong else 0
