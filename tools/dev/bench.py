"""bench: Mimic, two releases of the reference and native code side by side.

Each row runs in interleaved rounds; the minimum of the user + system CPU time counts (children included). What the
programs print must be the same in every column, bit for bit.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bench_images
import bench_machines
import corpus
import inputs
import packages
import tables
from common import BUILD, DevError, mimic_program, output, run, say

TIME_LIMIT = 300  # seconds of wall time for one run
WARMING_RUNS = 4  # after which a cache of translated code does not grow any more


def add_options(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these programs (default: all); "
                        "'images [img|nbd]': the disk image tools in place of programs; "
                        "'machines [boot|programs|processors|devices|costs]': whole boards")
    parser.add_argument("--class", dest="classes", action="append", choices=corpus.CLASSES, help="only this class")
    parser.add_argument("--guest", action="append", choices=corpus.GUESTS, help="only this guest (default: both)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (default: 3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small sizes: some minutes instead of an hour, good to a fifth")
    parser.add_argument("--no-references", action="store_true", help="Mimic and native only")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/performance.md has them")
    parser.add_argument("--mimic", metavar="FILE", help="the program to measure (default: build/release/mimic)")
    parser.add_argument("--mimic-option", action="append", default=[], metavar="WORD",
                        help="a word after 'mimic run', e.g. --mimic-option=-accel --mimic-option=interp")


@dataclass
class Selection:
    """What the command line asks for."""
    names: list
    classes: list
    quick: bool

    def wants_class(self, kind):
        return not self.classes or kind in self.classes

    def wants(self, name, kind):
        return self.wants_class(kind) and (not self.names or name in self.names)


@dataclass(frozen=True)
class Emulator:
    """A column: how to run a guest's program."""
    name: str
    program: dict  # guest -> file
    words: tuple = ()
    vectors: str = ""  # the model of RISC-V that has vectors, for -cpu

    def command(self, row):
        words = [*self.words]
        if row.vectors:
            words += ["-cpu", self.vectors]
        if row.sysroot:
            words += ["-L", row.sysroot]
        return [self.program[row.guest], *words, *row.command]

    def there(self, guest):
        return Path(self.program[guest]).exists()


def mimic_column(program, options):
    return Emulator("mimic", dict.fromkeys(corpus.GUESTS, Path(program)), ("run", *options), "rv64,v=on")


def emulators(options):
    columns = [mimic_column(options.mimic or mimic_program(), options.mimic_option)]
    if not options.no_references:
        columns.append(Emulator("qemu 7.2", {guest: Path(f"/usr/bin/qemu-{guest}") for guest in corpus.GUESTS},
                                vectors="rv64,v=on,vext_spec=v1.0"))
        newer = inputs.INPUTS / "qemu-10" / "usr/bin"
        columns.append(Emulator("qemu 10.0", {guest: newer / f"qemu-{guest}" for guest in corpus.GUESTS},
                                vectors="rv64,v=on"))
    return columns


@dataclass
class Sample:
    seconds: float
    resident_kib: int
    status: int
    digest: str  # of what every column prints
    bits: str  # of what the columns of one guest print
    tail: str


class Meter:
    """Runs commands under bench/measure.c."""

    def __init__(self):
        self.program = BUILD / "bench" / "measure"
        self.program.parent.mkdir(parents=True, exist_ok=True)
        run(["gcc", "-O2", "-static", "-o", self.program, corpus.ROOT / "bench" / "measure.c"])

    def measure(self, command, row, environment):
        with tempfile.NamedTemporaryFile("r") as report, open(row.stdin or os.devnull, "rb") as stdin:
            words = [str(word) for word in (self.program, report.name, row.repeat, *command)]
            process = subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=environment, start_new_session=True, cwd=BUILD)
            try:
                out, err = process.communicate(timeout=TIME_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.communicate()
                return Sample(float("nan"), 0, 9, "", "", f"no end after {TIME_LIMIT} s")
            user, system, resident, status = (int(word) for word in report.read().split())
        lines = out.splitlines(keepends=True)
        common = b"".join(line for line in lines if not line.startswith(b"bits "))
        tail = (err.decode(errors="replace").strip().splitlines() or [f"wait status {status:#x}"])[-1]
        return Sample((user + system) / 1e6 / row.repeat, resident, status, hashlib.sha256(common).hexdigest(),
                      hashlib.sha256(out).hexdigest(), tail)


def environment(more=(), cache=None):
    """Of a run; `cache`: the folder of Mimic's cache of translated code, which it is to do without otherwise."""
    more = {**dict(more), **({"XDG_CACHE_HOME": str(cache)} if cache else {"MIMIC_NO_CACHE": "1"})}
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C", "PYTHONHASHSEED": "0", **more}


def measure_row(meter, row, columns, rounds):
    """{column: result} of a row; a result has seconds, every round's time, resident memory and, if it failed, why."""
    runs = {"native": (row.native, environment(row.native_environment))}
    runs |= {column.name: (column.command(row), environment()) for column in columns if column.there(row.guest)}
    if row.cache:
        folder = BUILD / "bench" / "cache" / f"{row.guest}-{row.name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        runs["mimic"] = (runs["mimic"][0], environment(cache=folder))
        for _ in range(WARMING_RUNS):
            meter.measure(runs["mimic"][0], row, runs["mimic"][1])
    samples = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (command, variables) in runs.items():
            if not samples[name] or samples[name][-1].status == 0:
                samples[name].append(meter.measure(command, row, variables))
    native = samples["native"][0]
    # The guests' own bits: the newest reference stands for the machine, Mimic is held against it.
    exact = next((samples[name][0].bits for name in ("qemu 10.0", "qemu 7.2") if name in samples), None)
    results = {}
    for name, list_of in samples.items():
        results[name] = {"seconds": min(sample.seconds for sample in list_of),
                         "rounds": [sample.seconds for sample in list_of],
                         "resident_kib": max(sample.resident_kib for sample in list_of)}
        trouble = next((sample.tail for sample in list_of if sample.status), None)
        if trouble is None and any(sample.digest != native.digest for sample in list_of):
            trouble = "prints something else than the native build"
        if trouble is None and name == "mimic" and exact and any(sample.bits != exact for sample in list_of):
            trouble = "prints other bits than the reference"
        if trouble is not None:
            results[name]["trouble"] = trouble
    return results


def version_of(command):
    try:
        found = re.search(r"version (\S+)", output([command, "--version"], stderr=subprocess.DEVNULL))
    except DevError:
        return "?"
    return found[1] if found else "?"


def describe_host(columns):
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"processor": model[1] if model else "unknown", "processors": os.cpu_count(),
            "native": output(["gcc", "--version"]).splitlines()[0] + " " + " ".join(
                [*corpus.FLAGS, *corpus.COMPILERS["native"][1:]]),
            "versions": {column.name: version_of(column.program["riscv64"]) if column.there("riscv64") else None
                         for column in columns}}


def measure_all(options):
    """The whole bench as the value that --json writes."""
    selection = Selection(options.names, options.classes, options.quick)
    rounds = options.rounds or (1 if options.quick else 3)
    columns = emulators(options)
    meter = Meter()
    result = {"host": describe_host(columns), "rounds": rounds, "quick": options.quick, "rows": []}
    for guest in options.guest or corpus.GUESTS:
        for row in corpus.rows(guest, selection):
            say(f"measuring {guest} {row.name}")
            entry = {"guest": guest, "name": row.name, "class": row.kind,
                     "columns": measure_row(meter, row, columns, rounds)}
            if row.kind == "cold":
                entry["guest_instructions"] = corpus.translated_instructions(Path(row.command[0]))
            result["rows"].append(entry)
    return result


def bench(options):
    if options.rounds is not None and options.rounds < 1:
        raise DevError(f"--rounds {options.rounds}: expected 1 or more")
    packages.install()
    if options.names[:1] == ["images"]:
        return bench_images.bench(options, options.names[1:])
    if options.names[:1] == ["machines"]:
        return bench_machines.run_bench(options, options.names[1:])
    inputs.fetch()
    result = measure_all(options)
    if not result["rows"]:
        raise DevError(f"no program of the corpus is named {' or '.join(options.names)} in the classes asked for")
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    print((tables.markdown if options.markdown else tables.text)(result))
    troubles = [f"{row['guest']} {row['name']}, {column}: {cell['trouble']}" for row in result["rows"]
                for column, cell in row["columns"].items() if "trouble" in cell]
    for line in troubles:
        say(line)
    return 1 if troubles else 0
