"""bench images: the disk image tools and the NBD server beside Debian's, and beside what the host's own tools need.

Each case runs in interleaved rounds. The minimum of the time on the clock counts, as a user of a tool waits for it, and the
minimum of the CPU time beside it: that is what a busy machine disturbs least. What the tools make must be the same.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from common import BUILD, ROOT, DevError, mimic_program, run, say

MIB = 1 << 20
LIMIT = 600  # seconds for one run


@dataclass
class Case:
    """One row: a command for each column; `same` tells whether what they made is right, after all of them ran."""
    name: str
    commands: dict  # column -> words; {out} is a file of the column's own
    bound: float  # how many times faster than the reference Mimic is to be
    same: object = None  # called with {column: (file, standard output)}
    samples: dict = field(default_factory=dict)  # column -> [(wall, cpu, KiB)]


def disk(path, mebibytes, seed=1):
    """A raw disk as they are: a third holes, the rest text, noise and zeros that are written, in pieces of 64 KiB to 4 MiB."""
    chance = random.Random(seed)
    text = b"".join(sorted((p.read_bytes() for p in (ROOT / "docs").glob("*.md")), key=len))
    with open(path, "wb") as file:
        file.truncate(mebibytes * MIB)
        at = 0
        while at < mebibytes * MIB:
            length = min(65536 * chance.randint(1, 64), mebibytes * MIB - at)
            kind = chance.choice(("hole", "hole", "text", "text", "noise", "zero"))
            if kind != "hole":
                file.seek(at)
                start = chance.randrange(len(text))
                piece = (text[start:] + text * (length // len(text) + 1))[:length] if kind == "text" else bytes(length)
                file.write(chance.randbytes(length) if kind == "noise" else piece)
            at += length


def snapshots(mimic, path, gibibytes, count):
    """A qcow2 image with all of its tables and `count` snapshots that differ in some of them."""
    run([mimic, "img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, f"{gibibytes}G"])
    chance = random.Random(2)
    for number in range(count):
        run([mimic, "img", "snapshot", "-c", f"s{number}", path])
        places = [chance.randrange(gibibytes << 14) << 16 for _ in range(gibibytes * 2)]
        feed(mimic, path, [f"write -P 7 {place} 64k" for place in places])


def scattered(mimic, path, gibibytes):
    """A qcow2 image with every other cluster written, in no order."""
    run([mimic, "img", "create", "-q", "-f", "qcow2", path, f"{gibibytes}G"])
    places = [place << 17 for place in range(gibibytes << 13)]
    random.Random(3).shuffle(places)
    feed(mimic, path, [f"write -P 7 {place} 64k" for place in places])


def feed(mimic, path, lines):
    run([mimic, "io", "-f", "qcow2", path], input="\n".join(lines).encode(), stdout=subprocess.DEVNULL)


# ---- cases of img -------------------------------------------------------------------------------------------------------


def same_disk(fmt):
    def same(made):
        return subprocess.run(["qemu-img", "compare", "-q", "-f", fmt, "-F", fmt, made["mimic"][0], made["reference"][0]],
                              check=False).returncode == 0
    return same


def same_output(made):
    return made["mimic"][1] == made["reference"][1]


def same_check(made):
    keys = ("allocated-clusters", "total-clusters", "fragmented-clusters", "image-end-offset", "corruptions", "leaks")
    reports = [json.loads(made[column][1]) for column in ("mimic", "reference")]
    return all(reports[0].get(key, 0) == reports[1].get(key, 0) for key in keys)


def both(mimic, *words):
    return {"mimic": [mimic, "img", *words], "reference": ["qemu-img", *words]}


def img_cases(mimic, folder, options):
    raw, qcow2 = folder / "disk.raw", folder / "disk.qcow2"
    big, spread = folder / "big.qcow2", folder / "spread.qcow2"
    size, gibibytes = (192, 8) if options.quick else (1024, 64)
    say("making the images")
    disk(raw, size)
    run(["qemu-img", "convert", "-O", "qcow2", raw, qcow2])
    snapshots(mimic, big, gibibytes, 30)
    scattered(mimic, spread, gibibytes // 8)
    convert = ["convert", "-f", "raw", "-O", "qcow2"]
    copy = {"native": ["cp", "--sparse=always", raw, "{out}"]}
    return [
        Case("convert raw to qcow2", both(mimic, *convert, raw, "{out}") | copy, 1, same_disk("qcow2")),
        Case("convert qcow2 to raw", both(mimic, "convert", "-f", "qcow2", "-O", "raw", qcow2, "{out}") | copy, 1,
             same_disk("raw")),
        Case("convert -c, zlib", both(mimic, *convert, "-c", raw, "{out}"), 1.5, same_disk("qcow2")),
        Case("convert -c, zstd", both(mimic, *convert, "-c", "-o", "compression_type=zstd", raw, "{out}"), 1.5,
             same_disk("qcow2")),
        Case("compare raw and qcow2", both(mimic, "compare", "-f", "raw", "-F", "qcow2", raw, qcow2)
             | {"native": ["cmp", raw, raw.with_suffix(".copy")]}, 1, same_output),
        Case("dd bs=1M, raw to raw", both(mimic, "dd", "-f", "raw", "-O", "raw", "bs=1M", f"if={raw}", "of={out}")
             | {"native": ["dd", "bs=1M", "status=none", f"if={raw}", "of={out}"]}, 1, same_disk("raw")),
        Case(f"check, {gibibytes} GiB, 30 snapshots", both(mimic, "check", "--output=json", big), 1, same_check),
        Case(f"map, {gibibytes} GiB", both(mimic, "map", "--output=json", big), 1, same_output),
        Case(f"map, {gibibytes // 8} GiB, every other cluster", both(mimic, "map", "--output=json", spread), 1, same_output),
        Case("info", both(mimic, "info", "--output=json", qcow2), 1),
    ]


def timed(program, command, folder):
    """(seconds on the clock, seconds of CPU, KiB resident) and standard output of a run that must go well."""
    report = folder / "report"
    words = [str(word) for word in (program, report, 1, shutil.which(str(command[0])), *command[1:])]
    began = time.monotonic()
    process = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    wall = time.monotonic() - began
    user, system, resident, status = map(int, report.read_text().split()[:4])
    if status:
        raise DevError(f"{' '.join(words[3:])}: {process.stderr.decode(errors='replace').strip()}")
    return (wall, (user + system) / 1e6, resident), process.stdout


def measure_case(program, case, folder, rounds):
    """False if what the columns made differs."""
    made = {}
    for _ in range(rounds):
        for column, words in case.commands.items():
            out = folder / f"out.{column}"
            out.unlink(missing_ok=True)
            sample, printed = timed(program, [str(word).replace("{out}", str(out)) for word in words], folder)
            case.samples.setdefault(column, []).append(sample)
            made[column] = (out, printed)
    right = case.same is None or case.same(made)
    for out, _ in made.values():
        out.unlink(missing_ok=True)
    return right


def best(case, column, index):
    samples = case.samples.get(column)
    return min(sample[index] for sample in samples) if samples else None


IMG_HEAD = """\
| command | mimic s | qemu-img s | over | bound | mimic CPU s | qemu-img CPU s | mimic MiB | qemu-img MiB | host's own s |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def img_row(case, right):
    wall, cpu, memory = ([best(case, column, index) for column in ("mimic", "reference")] for index in range(3))
    native = best(case, "native", 0)
    over = wall[1] / wall[0]
    mark = "" if over >= case.bound else "**"
    return (f"| {case.name}{'' if right else ' WRONG'} | {wall[0]:.3f} | {wall[1]:.3f} | {mark}{over:.2f}{mark} | {case.bound} | "
            f"{cpu[0]:.3f} | {cpu[1]:.3f} | {memory[0] / 1024:.1f} | {memory[1] / 1024:.1f} | {'' if native is None else f'{native:.3f}'} |")


# ---- NBD ----------------------------------------------------------------------------------------------------------------

NBD_KINDS = [("4 KiB random read", "randread", "4k"), ("4 KiB random write", "randwrite", "4k"),
             ("1 MiB sequential read", "read", "1M"), ("1 MiB sequential write", "write", "1M")]
NBD_HEAD = """\
| requests | depth | mimic nbd, a second | qemu-nbd | nbdkit file | over qemu-nbd | CPU us a request, mimic | qemu-nbd | nbdkit |
|---|---:|---:|---:|---:|---:|---:|---:|---:|"""


def servers(mimic, image, path):
    """{column: command that serves `image` on the socket `path` in the foreground}"""
    common = ["-k", path, "-t", "-e", "0", "-f", "raw", image]
    return {"mimic": [mimic, "nbd", *common], "qemu-nbd": ["qemu-nbd", *common],
            "nbdkit": ["nbdkit", "-f", "-U", path, "file", image]}


def wait_for(path, process):
    for _ in range(1000):
        if path.exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise DevError(f"{process.args[0]}: no server at {path}")


def fio(path, rw, block, depth, options):
    out = subprocess.run(["fio", "--name=x", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={path}", f"--rw={rw}", f"--bs={block}",
                          f"--iodepth={depth}", "--time_based", f"--runtime={1 if options.quick else 3}", "--size=256M",
                          "--output-format=json"], check=True, stdout=subprocess.PIPE, cwd=path.parent).stdout
    job = json.loads(out[out.index(b"{"):])["jobs"][0]  # it may warn in front
    return job["read" if "read" in rw else "write"]


def serve(command, path, rw, block, depth, options):
    """(requests a second, CPU microseconds a request) of one server."""
    path.unlink(missing_ok=True)
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL)
    try:
        wait_for(path, process)
        side = fio(path, rw, block, depth, options)
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    return side["iops"], sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") / max(side["total_ios"], 1) * 1e6


def nbd_table(mimic, folder, options, rounds):
    image, path = folder / "nbd.raw", folder / "nbd.sock"
    noise = random.Random(4)
    image.write_bytes(b"".join(noise.randbytes(MIB) for _ in range(256)))
    yield NBD_HEAD
    for name, rw, block in NBD_KINDS:
        for depth in (1, 32):
            say(f"measuring {name}, depth {depth}")
            top = {}
            for _ in range(rounds):
                for column, command in servers(mimic, image, path).items():
                    iops, cpu = serve(command, path, rw, block, depth, options)
                    had = top.get(column, (0, float("inf")))
                    top[column] = (max(had[0], iops), min(had[1], cpu))
            over = top["mimic"][0] / top["qemu-nbd"][0]
            mark = "" if over >= 1.2 else "**"
            yield (f"| {name} | {depth} | " + " | ".join(f"{top[c][0]:.0f}" for c in top) + f" | {mark}{over:.2f}{mark} | "
                   + " | ".join(f"{top[c][1]:.1f}" for c in top) + " |")


# ---- the command --------------------------------------------------------------------------------------------------------


def img_table(mimic, folder, options, rounds):
    program = BUILD / "bench" / "measure"
    program.parent.mkdir(parents=True, exist_ok=True)
    run(["gcc", "-O2", "-static", "-o", program, ROOT / "bench" / "measure.c"])
    cases = img_cases(mimic, folder, options)
    shutil.copyfile(folder / "disk.raw", folder / "disk.copy")
    yield IMG_HEAD
    for case in cases:
        say(f"measuring {case.name}")
        yield img_row(case, measure_case(program, case, folder, rounds))


def bench(options, parts):
    """Prints the tables of `parts` (of img, nbd; none: both) in Markdown; 1 if a result was wrong."""
    rounds = options.rounds or (1 if options.quick else 5)
    mimic = Path(options.mimic or mimic_program()).resolve()
    wrong = 0
    # In memory, only the tools count and not the disk; it takes 4 GiB there.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="mimic-bench-") as folder:
        for part, table in (("img", img_table), ("nbd", nbd_table)):
            if parts and part not in parts:
                continue
            for line in table(mimic, Path(folder), options, rounds):
                wrong += " WRONG " in line
                print(line, flush=True)
            print()
    return 1 if wrong else 0
