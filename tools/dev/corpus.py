"""The bench corpus: our own programs, built for each guest and for the host, and real programs with their inputs."""

import hashlib
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field

import inputs
from common import BUILD, ROOT, DevError, output, run, say

GUESTS = ("riscv64", "aarch64")
PROGRAMS = ROOT / "bench" / "programs"
REAL = ROOT / "bench" / "real"
OUT = BUILD / "bench"
COLD_FUNCTIONS = 20000
CLASSES = ("integer", "calls", "fp", "simd", "strings", "threads", "system", "cold", "start", "warm", "real")

# The same source for all: no vectoriser and no fused multiply-add, so that results and work are the same.
FLAGS = ["-O2", "-fno-tree-vectorize", "-ffp-contract=off", "-static", "-pthread"]
COMPILERS = {"riscv64": ["riscv64-linux-gnu-"], "aarch64": ["aarch64-linux-gnu-"], "native": ["", "-march=x86-64-v3"]}


@dataclass
class Row:
    """One line of the table: what to run for a guest and what for the native column."""
    name: str
    kind: str  # its class
    guest: str
    command: list  # the guest's program and arguments
    native: list
    sysroot: object = None  # for -L; None for static programs
    native_environment: dict = field(default_factory=dict)
    stdin: object = None
    repeat: int = 1
    cache: bool = False  # Mimic's cache of translated code is there, and warm; else there is none
    vectors: bool = False  # the guest's processor must have its vector extension, which its default model lacks


def header(path):
    """(class, size, quick size) of a program's first line."""
    found = re.match(r"// class: (\w+)  size: (\d+)  quick: (\d+)\n", path.read_text())
    if not found or found[1] not in CLASSES:
        raise DevError(f"{path}: the first line is no '// class: C  size: N  quick: N'")
    return found[1], found[2], found[3]


def sources():
    """The programs, the made one included."""
    cold = OUT / "cold.c"
    maker = ROOT / "bench" / "make_cold.py"
    if not cold.exists() or cold.stat().st_mtime < maker.stat().st_mtime:
        OUT.mkdir(parents=True, exist_ok=True)
        with open(cold, "w", encoding="utf-8") as made:
            run([sys.executable, maker, COLD_FUNCTIONS], stdout=made)
    return sorted([*PROGRAMS.glob("*.c"), *PROGRAMS.glob("*.cpp"), cold])


def vector_compiler():
    """The words that compile C to assembly with RISC-V's vectors: gcc 12 makes none, so Debian 13's compiler does it."""
    root = inputs.INPUTS / "sysroot" / "amd64"
    prefix = COMPILERS["riscv64"][0]
    own = output([prefix + "gcc", "-print-file-name=include"]).strip()
    return [root / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", root / "usr/lib/x86_64-linux-gnu",
            root / "usr/libexec/gcc-cross/riscv64-linux-gnu/14/cc1", "-quiet", "-isystem", own,
            "-isystem", "/usr/riscv64-linux-gnu/include", "-march=rv64gcv", "-mabi=lp64d"]


def needs_vectors(kind, target):
    return kind == "simd" and target == "riscv64"


def build(source, target):
    """Compiles a program for a guest or "native" unless that was done with the same words and text; returns the file."""
    program = OUT / target / source.stem
    prefix, *more = COMPILERS[target]
    plain_c = source.suffix == ".c"
    compiler = [prefix + ("gcc" if plain_c else "g++")]
    standard = "-std=gnu17" if plain_c else "-std=gnu++20"
    steps = []
    compiled = source
    if needs_vectors(header(source)[0], target):
        compiled = program.with_name(program.name + ".s")
        flags = [word for word in FLAGS if word not in ("-static", "-pthread")]
        steps.append([*vector_compiler(), *flags, standard, f"-I{PROGRAMS}", source, "-o", compiled])
        more = ["-march=rv64gcv"]
    steps.append([*compiler, *FLAGS, *more, standard, f"-I{PROGRAMS}", compiled, "-o", program, "-lm"])
    text = " ".join(str(word) for step in steps for word in step).encode() + source.read_bytes() + b"".join(
        path.read_bytes() for path in sorted(PROGRAMS.glob("*.h")))
    stamp = program.with_name(program.name + ".stamp")
    digest = hashlib.sha256(text).hexdigest()
    if not program.exists() or not stamp.exists() or stamp.read_text() != digest:
        program.parent.mkdir(parents=True, exist_ok=True)
        say(f"compiling {source.stem} for {target}")
        for words in steps:
            run(words)
        stamp.write_text(digest)
    return program


def own_rows(guest, options):
    for source in sources():
        kind, size, quick = header(source)
        if not options.wants(source.stem, kind):
            continue
        arguments = [] if kind == "start" else [quick if options.quick else size]
        yield Row(source.stem, kind, guest, [build(source, guest), *arguments], [build(source, "native"), *arguments],
                  repeat=20 if kind == "start" else 1, vectors=needs_vectors(kind, guest))


def translated_instructions(program):
    """How many instructions the functions of the cold program have, by the disassembler."""
    note = program.with_name("cold.instructions")
    if not note.exists() or note.stat().st_mtime < program.stat().st_mtime:
        tool = COMPILERS[program.parent.name][0] + "objdump"
        text = subprocess.run([tool, "-d", "--no-show-raw-insn", program], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        bodies = re.findall(r"^[0-9a-f]+ <f\d+>:\n((?: .*\n)+)", text, re.MULTILINE)
        note.write_text(str(sum(body.count("\n") for body in bodies)))
    return int(note.read_text())


def text_input(name, size):
    """A file of words with the repetitions that text has; the same in each run."""
    path = OUT / "inputs" / f"{name}-{size}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        chance = random.Random(2)
        words = ["".join(chance.choices("etaoinshrdlu", k=chance.randrange(2, 9))) for _ in range(3000)]
        lines = []
        length = 0
        while length < size:
            line = " ".join(words[int(chance.paretovariate(0.6)) % 3000] for _ in range(12)) + "\n"
            lines.append(line)
            length += len(line)
        path.write_text("".join(lines)[:size])
    return path


def made(name, command):
    """The output of a command, kept as a file."""
    path = OUT / "inputs" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            run(command, stdout=out)
    return path


# What the guest's Debian release is called and where its programs' native twins are.
TWINS = {
    "aarch64": {"gcc": "12", "triplet": "aarch64-linux-gnu", "root": None},
    "riscv64": {"gcc": "14", "triplet": "riscv64-linux-gnu", "root": inputs.INPUTS / "sysroot" / "amd64"},
}


def native_twin(guest, path):
    """(command, environment) that runs the native build of the guest's program, of the same Debian release."""
    root = TWINS[guest]["root"]
    if root is None:
        return [path], {}
    libraries = root / "usr/lib/x86_64-linux-gnu"
    perl = f"{libraries}/perl-base:{libraries}/perl/5.40:{root}/usr/share/perl/5.40"
    return ([root / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", libraries, f"{root}{path}"],
            {"PYTHONHOME": f"{root}/usr", "PERL5LIB": perl})


def preprocessed_input(functions):
    """A C file for cc1."""
    compiled = made(f"compiled-{functions}.c", [sys.executable, ROOT / "bench/make_cold.py", functions])
    return made(f"compiled-{functions}.i", ["gcc", "-E", "-P", f"-I{PROGRAMS}", "-D__extension__=", compiled])


def real_commands(quick):
    """(name, path, arguments, standard input) of each real program."""
    scale = 8 if quick else 1
    preprocessed = preprocessed_input(400 // scale)
    sql = OUT / "inputs" / f"work-{scale}.sql"
    sql.write_text((REAL / "work.sql").read_text().replace("SIZE", str(120000 // scale)))
    text = text_input("text", 3_000_000 // scale)
    long_text = text_input("text", 24_000_000 // scale)
    return [
        ("cc1", "cc1", ["-quiet", "-O2", "-fno-ident", "-fpreprocessed", preprocessed, "-o", "/dev/stdout"], None),
        ("python3", "/usr/bin/python3", ["-B", REAL / "work.py", 12000 // scale], None),
        ("perl", "/usr/bin/perl", [REAL / "work.pl", 24000 // scale], None),
        ("bash", "/bin/bash", ["--norc", REAL / "work.sh", 9000 // scale], None),
        ("sqlite3", "/usr/bin/sqlite3", ["-batch", ":memory:"], sql),
        ("xz", "/usr/bin/xz", ["-T1", "-3", "-c", text], None),
        ("unxz", "/usr/bin/xz", ["-d", "-c"], made_xz(long_text)),
        ("zstd", "/usr/bin/zstd", ["-q", "--single-thread", "-9", "-c", text], None),
        ("openssl-sha", "/usr/bin/openssl", ["dgst", "-sha512", "-r", long_text], None),
        ("openssl-kdf", "/usr/bin/openssl", ["enc", "-aes-256-cbc", "-pbkdf2", "-iter", 150000 // scale, "-k", "word",
                                            "-S", "0011223344556677", "-in", text], None),
    ]


def made_xz(path):
    packed = path.with_name(path.name + ".xz")
    if not packed.exists():
        run(["xz", "-k", "-1", "-T1", path])
    return packed


def real_row(guest, name, kind, path, arguments, **more):
    """Of Debian's own build for the guest, beside the native build of the same version."""
    root = inputs.sysroot(guest)
    native_path = path
    if path == "cc1":
        twin = TWINS[guest]
        folder = "lib" if guest == "aarch64" else "libexec"
        path = f"/usr/{folder}/gcc/{twin['triplet']}/{twin['gcc']}/cc1"
        native_path = f"/usr/{folder}/gcc-cross/{twin['triplet']}/{twin['gcc']}/cc1"
    native, environment = native_twin(guest, native_path)
    return Row(name, kind, guest, [f"{root}{path}", *arguments], [*native, *arguments], sysroot=root,
               native_environment=environment, **more)


def real_rows(guest, options):
    for name, path, arguments, stdin in real_commands(options.quick):
        if options.wants(name, "real"):
            yield real_row(guest, name, "real", path, arguments, stdin=stdin)


def warm_rows(guest, options):
    """Programs that do little, without a cache of translated code and with a warm one."""
    compiled = ["-quiet", "-O2", "-fno-ident", "-fpreprocessed", preprocessed_input(50), "-o", "/dev/stdout"]
    for program, path, arguments in (("python3", "/usr/bin/python3", ["-B", "-c", "pass"]),
                                     ("bash", "/bin/bash", ["--norc", "-c", ":"]), ("cc1", "cc1", compiled)):
        for name, cache in ((f"start-{program}", False), (f"warm-{program}", True)):
            if options.wants(name, "warm"):
                yield real_row(guest, name, "warm", path, arguments, cache=cache)


def rows(guest, options):
    yield from own_rows(guest, options)
    if not (inputs.sysroot(guest) / ".stamp").exists():
        say(f"{inputs.sysroot(guest)}: not there, real programs are left out; './dev setup' fetches it")
        return
    if options.wants_class("warm"):
        yield from warm_rows(guest, options)
    if options.wants_class("real"):
        yield from real_rows(guest, options)
