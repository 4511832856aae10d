"""Runs Debian's own programs under `mimic run` and holds them against the native builds of the same versions.

    real.py --guest aarch64 --mimic FILE --build DIR [--full | --size MB] [--cache] [CASE...]

The cases are in table.py. The native side of arm64 programs is the host's own Debian release, that of riscv64 programs
the amd64 root through its own loader.
"""

import argparse
import difflib
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "dev"))
import corpus  # noqa: E402
import inputs  # noqa: E402
from table import CASES  # noqa: E402

# The host's own do: what they make runs on the host.
OF_THE_HOST = ("gcc", "cpp", "c89", "c99", "cc", "as", "ld", "ar", "ranlib", "nm", "strip", "objcopy", "objdump")
LINES_SHOWN = 40


def wrappers(folder, root):
    """A folder of commands that run the programs of an unpacked root by its own loader and libraries."""
    stamp = folder / ".stamp"
    key = (root / ".stamp").read_text()
    if stamp.exists() and stamp.read_text() == key:
        return folder
    made = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    loader, libraries = root / "usr/lib64/ld-linux-x86-64.so.2", root / "usr/lib/x86_64-linux-gnu"
    for program in sorted((root / "usr/bin").iterdir()):
        if not program.is_file() or program.name.split("-")[0] in OF_THE_HOST:
            continue
        with open(program, "rb") as file:
            is_elf = file.read(4) == b"\x7fELF"
        if not is_elf:
            (made / program.name).symlink_to(program)
            continue
        wrapper = made / program.name
        wrapper.write_text(f'#!/bin/sh\nexec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"\n')
        wrapper.chmod(0o755)
    (made / ".stamp").write_text(key)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        made.rename(folder)
    except OSError:  # another test was faster
        shutil.rmtree(made)
    return folder


def text_block(chance, words):
    line = " ".join
    chosen = chance.choices(words, range(len(words), 0, -1), k=170_000)
    return "\n".join(line(chosen[at:at + 11]) for at in range(0, len(chosen), 11)).encode()[:1 << 20]


def byte_block(chance):
    half = 1 << 19
    records = b"".join(int(n * n).to_bytes(4, "little") + b"\0\1" * 6 for n in range(half // 16))
    return chance.randbytes(half) + records


def input_file(folder, kind, megabytes):
    """An input of the size, the same in each run."""
    path = folder / f"{kind}-{megabytes}"
    if not path.exists():
        chance = random.Random(kind)
        words = ["".join(chance.choices("etaoinshrdlu", k=chance.randrange(2, 9))) for _ in range(3000)]
        folder.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}.{os.getpid()}")
        with open(made, "wb") as out:
            for _ in range(megabytes):
                out.write(text_block(chance, words) if kind == "text" else byte_block(chance))
        made.rename(path)
    return path


@dataclass
class Outcome:
    stdout: bytes
    stderr: bytes
    status: int
    files: list
    seconds: float


def listing(folder):
    """Lines that say all about the files of a folder."""
    lines = []
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        what = ""
        if stat.S_ISLNK(info.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                what = f"{info.st_size} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        lines.append(f"{stat.filemode(info.st_mode)} {path.relative_to(folder)} {what}")
    return lines


def run(command, folder, environment, limit):
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    (folder / "tmp").mkdir()
    environment = {"HOME": "/nonexistent", "LC_ALL": "C", "TMPDIR": str(folder / "tmp"), "LINES": "24", **environment}
    start = time.monotonic()
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        process = subprocess.Popen([str(word) for word in command], cwd=folder / "work", env=environment, umask=0o022,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = f"none within {limit} s"
    return Outcome((folder / "stdout").read_bytes(), (folder / "stderr").read_bytes(), status,
                   listing(folder / "work"), time.monotonic() - start)


def differences(native, guest):
    lines = []
    if native.status != guest.status:
        lines.append(f"exit status: native {native.status}, guest {guest.status}")
    for name in ("stdout", "files"):
        a, b = getattr(native, name), getattr(guest, name)
        if isinstance(a, bytes):
            a, b = ([line[:300] for line in text.decode("utf-8", "backslashreplace").splitlines()] for text in (a, b))
        if getattr(native, name) != getattr(guest, name):
            lines += list(difflib.unified_diff(a, b, f"{name}, native", f"{name}, guest", lineterm="", n=1)) or \
                [f"{name}: differs behind column 300"]
    return lines


class Runner:
    def __init__(self, guest, mimic, build, full, size, cache):
        self.guest, self.mimic, self.build, self.full, self.size = guest, mimic.resolve(), build.resolve(), full, size
        self.cache = cache
        self.root = inputs.sysroot(guest).resolve()
        twin = corpus.TWINS[guest]
        if not (self.root / ".stamp").exists():
            raise SystemExit(f"{self.root}: not there, expected a Debian root; './dev setup' fetches it")
        native_path = "/usr/bin:/bin"
        bash, self.native_environment = "/bin/bash", {}
        if twin["root"]:
            folder = wrappers(self.build / f"native-{guest}", twin["root"].resolve())
            native_path = f"{folder}:{native_path}"
            bash = folder / "bash"
            self.native_environment = corpus.native_twin(guest, "/usr/bin/true")[1]
        triplet, version = twin["triplet"], twin["gcc"]
        library = "lib" if guest == "aarch64" else "libexec"
        cross, _ = corpus.native_twin(guest, f"/usr/{library}/gcc-cross/{triplet}/{version}/cc1")
        cc1 = cross[0]
        if len(cross) > 1:  # one word for scripts
            cc1 = self.build / f"native-{guest}-cc1"
            cc1.write_text("#!/bin/sh\nexec " + " ".join(map(str, cross)) + ' "$@"\n')
            cc1.chmod(0o755)
        self.native_environment |= {"PATH": native_path, "CC1": str(cc1)}
        self.guest_environment = {"PATH": "/usr/bin:/bin", "CC1": f"/usr/{library}/gcc/{triplet}/{version}/cc1"}
        self.native_command = [bash, "--norc", "-c"]
        self.guest_command = [self.mimic, "run", "-L", self.root, self.root / "bin/bash", "--norc", "-c"]

    def case(self, case):
        """Runs it twice; prints one line, more when the two differ. True when they agree."""
        size = self.size or (case.full if self.full else case.size)
        given = {"HERE": str(HERE), "SIZE": str(size)}
        for kind in ("text", "bytes"):
            if f"${kind.upper()}" in case.script or "/text-tools.sh" in case.script or "/coreutils.sh" in case.script:
                given[kind.upper()] = str(input_file(self.build / "inputs", kind, size))
        limit = 60 * 60 if self.full else 280
        folder = self.build / self.guest / case.name
        native = run([*self.native_command, case.script], folder / "native", self.native_environment | given, limit)
        agree = True
        for kind in ("cold", "warm") if self.cache else ("guest",):
            if kind == "cold":
                given["XDG_CACHE_HOME"] = str(folder / "cache")
                shutil.rmtree(folder / "cache", ignore_errors=True)
                (folder / "cache").mkdir(parents=True)
            guest = run([*self.guest_command, case.script], folder / kind, self.guest_environment | given, limit)
            agree &= self.compare(case, f"{size} MB", native, kind, guest)
        if agree and self.cache:
            agree = self.check_cache(case, given)
        if agree:
            shutil.rmtree(folder)
        return agree

    def compare(self, case, what, native, kind, guest):
        lines = differences(native, guest)
        if not native.stdout.strip() and not native.files:
            lines.append("natively it does nothing")
        verdict = "FAILED" if lines else "ok"
        print(f"{self.guest} {case.name}: {verdict}, {what}, native {native.seconds:.1f} s, {kind} {guest.seconds:.1f} s")
        if lines:
            print("\n".join(lines[:LINES_SHOWN]))
            for name, outcome in (("native", native), (kind, guest)):
                print(f"--- standard error, {name}\n{outcome.stderr.decode('utf-8', 'backslashreplace')[-2000:]}")
        sys.stdout.flush()
        return not lines

    def check_cache(self, case, given):
        """The runs left sound files in the cache."""
        done = subprocess.run([self.mimic, "cache", "verify"], env=given, capture_output=True, text=True)
        sound = done.returncode == 0 and any(Path(given["XDG_CACHE_HOME"]).glob("mimic/*.units"))
        if not sound:
            print(f"{self.guest} {case.name}: FAILED, the cache: {done.stdout}{done.stderr}")
        return sound


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all of the guest's")
    parser.add_argument("--list", action="store_true", help="print 'GUEST CASE' lines and end")
    parser.add_argument("--guest", choices=sorted(corpus.TWINS))
    parser.add_argument("--mimic", type=Path, help="the program; called as FILE run -L ROOT PROGRAM")
    parser.add_argument("--build", type=Path, help="where inputs are made and programs run")
    parser.add_argument("--full", action="store_true", help="the soak's sizes instead of CI's")
    parser.add_argument("--size", type=int, metavar="MB", help="this size for all")
    parser.add_argument("--cache", action="store_true",
                        help="with a cache of translated code of the case's own: one cold run, one warm")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{guest} {case.name}" for case in CASES for guest in case.guests))
        return 0
    if not (options.guest and options.mimic and options.build):
        parser.error("--guest, --mimic and --build are needed")
    chosen = [case for case in CASES if options.guest in case.guests and case.name in (options.cases or [case.name])]
    unknown = set(options.cases) - {case.name for case in chosen}
    if unknown:
        parser.error(f"no such case: {' '.join(sorted(unknown))}; there are: {' '.join(c.name for c in CASES)}")
    options.build.mkdir(parents=True, exist_ok=True)
    runner = Runner(options.guest, options.mimic, options.build, options.full, options.size, options.cache)
    failed = [case.name for case in chosen if not runner.case(case)]
    if failed:
        print(f"{len(failed)} of {len(chosen)} failed: {' '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
