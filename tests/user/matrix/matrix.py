"""Large foreign programs under `mimic run --root`, beside the same programs natively.

    matrix.py --guest aarch64 --mimic FILE [--roots DIR] [--runs N] [NAME...]

The rows are in rows.py; after cpython, names like test_os are the modules that its row runs, which else runs all. Each
guest's root and the native one are Debians in DIR (/var/tmp/mimic-matrix): what isn't there is made by debootstrap, as
debootstrap.py makes it, and what a row needs is installed inside by apt-get. A root stays for the next time, so only the first
run needs long. Needs the network, and root for the native side.
"""

import argparse
import difflib
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "root"))
import debootstrap  # noqa: E402
from rows import ROWS  # noqa: E402

NATIVE = "amd64"
VALUES = {"aarch64": {"python": "3.11", "java": "17", "goarch": "arm64"}, "riscv64": {"python": "3.13", "java": "21", "goarch": "riscv64"}}
CERTIFICATES = "/usr/local/share/machine.crt"  # the host's own, for npm inside, where it has some


def plain_signals():
    """What a shell in the background or nohup would have programs inherit, tests of signals don't expect."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Root:
    """A Debian, foreign or native, and what has been installed in it."""

    def __init__(self, mimic, roots, architecture, suite):
        self.mimic, self.suite, self.architecture = mimic, suite, architecture
        self.folder = roots / f"{suite}-{architecture}"
        self.path = self.folder / architecture

    def make(self):
        """A Debian by debootstrap; the native one needs nothing of Mimic."""
        if (self.path / "etc/apt/sources.list").exists() and not (self.path / "debootstrap").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        debootstrap.Maker(self.mimic, self.folder, os.geteuid(), self.architecture, self.suite, self.command).debian()

    def command(self, script, work="/"):
        inside = ["/bin/sh", "-ec", script]
        if self.architecture != NATIVE:
            words = [self.mimic, "run", "--mount", "proc,dev,sys,resolv", "--root", self.path, "--work", work, *inside]
            return [str(word) for word in words]
        # A new root, and not by chroot: there the kernel allows no user namespaces. In a container debootstrap makes proc a link; mnt
        # is there from its second stage on.
        mounts = f"mount --bind {self.path} {self.path}; cd {self.path}; test ! -L proc || rm proc; mkdir -p proc mnt; "
        mounts += "mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys; "
        mounts += "touch etc/resolv.conf; mount --bind /etc/resolv.conf etc/resolv.conf; pivot_root . mnt; cd /; umount -l mnt;"
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", f'{mounts} exec sh -ec "$0"',
                f"cd {work}; {script}"]

    def environment(self):
        certificates = os.environ.get("NODE_EXTRA_CA_CERTS")
        if not certificates or not Path(certificates).exists():
            return debootstrap.ENVIRONMENT
        shutil.copy(certificates, self.path / CERTIFICATES.lstrip("/"))
        return {**debootstrap.ENVIRONMENT, "NODE_EXTRA_CA_CERTS": CERTIFICATES}

    def has(self, packages):
        words = ["dpkg-query", f"--admindir={self.path}/var/lib/dpkg", "--show", "--showformat=${Status}\n", *packages.split()]
        reply = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        return reply.returncode == 0 and set(reply.stdout.splitlines()) == {"install ok installed"}

    def install(self, packages):
        if self.has(packages):
            return
        with open(self.folder / "log", "ab") as log:
            status = subprocess.run(self.command(f"apt-get update && apt-get install -y --no-install-recommends {packages}"),
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), check=False).returncode
        if status:
            raise SystemExit(f"apt-get install {packages}: status {status}; see {self.folder}/log")

    def run(self, row, script):
        """(what it printed with its status, seconds of CPU, seconds), standard error and all in the folder's NAME.err."""
        inside = Path("/home/matrix") / row.name
        outside = self.path / inside.relative_to("/")
        shutil.rmtree(outside, ignore_errors=True)
        if row.folder:
            shutil.copytree(HERE / row.folder, outside)
        else:
            outside.mkdir(parents=True)
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(self.folder / f"{row.name}.out", "wb") as out, open(self.folder / f"{row.name}.err", "wb") as err:
            program = subprocess.Popen(self.command(script, inside), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       env=self.environment(), start_new_session=True, preexec_fn=plain_signals)
            try:
                status = f"status {program.wait(row.minutes * 60)}"
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
                status = f"still running after {row.minutes} minutes"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        text = (self.folder / f"{row.name}.out").read_text(errors="replace")
        return text.splitlines() + [status], cpu, time.monotonic() - begun


def values_of(guest, text, modules=()):
    for name, value in {**VALUES[guest], "modules": " ".join(modules)}.items():
        text = text.replace("{" + name + "}", value)
    return text


def run_row(row, guest, foreign, native, options):
    """The number of runs that differ from the native one. Each is told of as it ends: some rows need days for all theirs."""
    runs, script, twin = options.runs, *(values_of(guest, text, options.modules) for text in (row.script, row.twin))
    packages = values_of(guest, row.packages)
    expected, native_cpu = None, 0.0
    if native:
        native.install(packages)
        expected, native_cpu, _ = native.run(row, twin or script)
    foreign.install(packages)
    cpus, walls, failures = [], [], 0
    for number in range(1, runs + 1):
        got, cpu, wall = foreign.run(row, script)
        cpus.append(cpu)
        walls.append(wall)
        difference = list(difflib.unified_diff(expected or [], got, "native", guest, lineterm="", n=0))
        failed = bool(difference) if expected is not None else got[-1] != "status 0"
        failures += failed
        print(f"{guest} {row.name}, run {number}: {'differs' if failed else 'equal'}, {cpu:.1f} s of CPU in {wall:.0f} s", flush=True)
        if failed:
            kept = foreign.folder / f"{row.name}.{number}.err"
            shutil.copy(foreign.folder / f"{row.name}.err", kept)
            print(f"{row.name}, run {number}: differs ({len(difference)} lines; standard error: {kept})")
            print("\n".join(difference[:40]), flush=True)
    cpu, wall = statistics.median(cpus), statistics.median(walls)
    ratio = f", {cpu / native_cpu:.1f} x native ({native_cpu:.1f} s)" if native_cpu else ""
    print(f"{guest} {row.name}: {runs} runs, {failures} failures, {cpu:.1f} s of CPU in {wall:.0f} s{ratio}", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True, choices=VALUES)
    parser.add_argument("--mimic", required=True, type=Path)
    parser.add_argument("--build", type=Path, help="not used: roots are too large for a build folder")
    parser.add_argument("--roots", type=Path, default=Path("/var/tmp/mimic-matrix"), metavar="DIR")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="of each row (default: 1)")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    options.modules = [name for name in options.names if name.startswith("test_")]
    options.names = [name for name in options.names if name not in options.modules]
    known = [row.name for row in ROWS]
    for name in options.names:
        if name not in known:
            raise SystemExit(f"{name}: no row of this name; there are {', '.join(known)}")
    architecture, suite = debootstrap.GUESTS[options.guest]
    options.roots.mkdir(parents=True, exist_ok=True)
    mimic = options.roots / "mimic"  # a copy: a build may replace the file
    shutil.copy2(options.mimic, mimic)
    foreign = Root(mimic, options.roots, architecture, suite)
    native = Root(mimic, options.roots, NATIVE, suite) if os.geteuid() == 0 else None
    for root in (foreign, native):
        if root:
            root.make()
    rows = [row for row in ROWS if options.guest in row.guests and (not options.names or row.name in options.names)]
    return 1 if sum(run_row(row, options.guest, foreign, native, options) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
