"""Runs a guest program under `mimic run` and holds it against the same source built for the host.

    run.py SOURCE --guest riscv64 --build DIR --mimic FILE [--option WORD]... [--dynamic]

Standard output and the exit status (or the signal) must be equal. The source is
compiled once for each guest and kept under DIR, keyed by what goes into it. A source may open with lines that say more:

    // run: arguments one two     the words that the program gets (default: one two)
    // run: stdin some text       its standard input (default: empty)
    // run: guests riscv64        only for these guests (default: all)
    // run: stderr                standard error is compared, too
    // run: cpu rv64,v=on         the guest's CPU model (default: the guest's default)
"""

import argparse
import difflib
import fcntl
import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

COMPILERS = {"native": "", "riscv64": "riscv64-linux-gnu-", "aarch64": "aarch64-linux-gnu-"}
# No fused multiply-add: the guests have it, the host's baseline does not.
FLAGS = ["-O2", "-ffp-contract=off", "-pthread", "-w"]
TIME_LIMIT = 120  # seconds by default; a hang is a failure that says so


@dataclass
class Directives:
    arguments: list = field(default_factory=lambda: ["one", "two"])
    stdin: str = ""
    guests: list = field(default_factory=list)
    stderr: bool = False
    cpu: str = ""


def directives(text):
    """What the '// run:' lines of a source say; an unknown one is an error."""
    found = Directives()
    for word, rest in re.findall(r"^// run: (\S+) ?(.*)$", text, re.MULTILINE):
        if word == "arguments":
            found.arguments = rest.split()
        elif word == "stdin":
            found.stdin = rest + "\n"
        elif word == "guests":
            found.guests = rest.split()
        elif word == "stderr":
            found.stderr = True
        elif word == "cpu":
            found.cpu = rest.strip()
        else:
            raise ValueError(f"'// run: {word}': unknown, expected arguments, stdin, guests, stderr or cpu")
    return found


def compiled(source, target, build, dynamic):
    """The program built from the source for a guest or "native"."""
    plain_c = source.suffix == ".c"
    tool = COMPILERS[target] + ("gcc" if plain_c else "g++")
    flags = [*FLAGS, "-std=gnu17" if plain_c else "-std=gnu++20", *([] if dynamic else ["-static"])]
    headers = b"".join(header.read_bytes() for header in sorted(source.parent.glob("*.h")))
    key = hashlib.sha256(" ".join([tool, *flags]).encode() + source.read_bytes() + headers).hexdigest()[:16]
    program = build / f"{source.stem}-{target}-{key}"
    build.mkdir(parents=True, exist_ok=True)
    with open(build / f".{program.name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # variants of one program are tested at the same time
        if not program.exists():
            made = program.with_name(program.name + ".new")
            subprocess.run([tool, *flags, source, "-o", made, "-lm"], check=True)
            made.rename(program)
    return program


@dataclass
class Outcome:
    stdout: str
    stderr: str
    status: int

    def __str__(self):
        return f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"


def run(command, told, limit=TIME_LIMIT):
    # The same name for both: programs print it. Nothing of our environment but what every program expects.
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C"}
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment, start_new_session=True)
    try:
        out, err = process.communicate(told.stdin.encode(), timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"\nno end after {limit} s\n".encode()
    return Outcome(out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace"), process.returncode)


def differences(expected, got, stderr):
    """Lines that say what is different; none when the outcomes are equal."""
    lines = []
    if got.status != expected.status:
        lines.append(f"ended with {got}, expected {expected}")
    for name in ("stdout", *(["stderr"] if stderr else [])):
        lines += difflib.unified_diff(getattr(expected, name).splitlines(), getattr(got, name).splitlines(),
                                      f"{name} of the native build", f"{name} of the guest's build", lineterm="")
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--guest", required=True, choices=[name for name in COMPILERS if name != "native"])
    parser.add_argument("--build", required=True, type=Path, help="where compiled programs are kept")
    parser.add_argument("--mimic", type=Path, help="the program; called as FILE run [WORD...] PROGRAM ARGUMENTS")
    parser.add_argument("--emulator", help="instead of --mimic: a command, called as COMMAND PROGRAM ARGUMENTS")
    parser.add_argument("--option", action="append", default=[], help="a word before PROGRAM, e.g. --option=-accel")
    parser.add_argument("--limit", type=int, default=TIME_LIMIT, help="seconds until a run counts as hanging")
    parser.add_argument("--dynamic", metavar="SYSROOT", help="link dynamically and pass -L SYSROOT")
    options = parser.parse_args(arguments)
    told = directives(options.source.read_text())
    if told.guests and options.guest not in told.guests:
        parser.error(f"{options.source.name} is not for {options.guest}")
    emulator = options.emulator.split() if options.emulator else [options.mimic, "run"]
    root = ["-L", options.dynamic] if options.dynamic else []
    model = ["-cpu", told.cpu] if told.cpu else []
    native = compiled(options.source, "native", options.build, bool(options.dynamic))
    guest = compiled(options.source, options.guest, options.build, bool(options.dynamic))
    expected = run([native, *told.arguments], told)
    got = run([*emulator, *root, *model, *options.option, guest, *told.arguments], told, options.limit)
    lines = differences(expected, got, told.stderr)
    if lines:
        print("\n".join(lines))
        print(f"--- the guest's standard error\n{got.stderr[-4000:]}")
        return 1
    print(f"{len(expected.stdout.splitlines())} lines and {expected} agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
