"""Storms: the same short work again and again inside `mimic run --root`, where each run must end and leave what the first one did.

    storms.py --guest aarch64 --mimic FILE [--roots DIR] [--runs N] [NAME...]

The roots are matrix.py's (made and installed as it does, in DIR); as root the native one does the same beside it, and failures
are counted against its. A storm is a script that a shell inside repeats; a run fails when its status, what it printed or
what it left behind is not what the first one's was.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "matrix"))
import matrix  # noqa: E402
from matrix import debootstrap  # noqa: E402

PACKAGE = """mkdir -p pkg/DEBIAN pkg/usr/share/mimic-storm
printf 'Package: mimic-storm\\nVersion: 1\\nArchitecture: all\\nMaintainer: N <n@example.org>\\nDescription: storm\\n' > pkg/DEBIAN/control
printf '#!/bin/sh\\nset -e\\n[ "$1" = configure ]\\nid -u > /usr/share/mimic-storm/configured\\nldconfig\\n' > pkg/DEBIAN/postinst
chmod 755 pkg/DEBIAN/postinst
seq 1000 > pkg/usr/share/mimic-storm/data
dpkg-deb --root-owner-group -b pkg storm.deb
dpkg -i storm.deb"""
TEXT = """for n in $(seq 20); do
  printf 'static int f%d(int *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += a[i] * %d ^ a[n - i]; return s; }\\n' $n $n
  printf 'int g%d(int *a, unsigned n) { return f%d(a, n) / (n | 1) + f%d(a + 1, n %% 7); }\\n' $n $n $n
done > text.c"""

# Name: (what is done once before, what is done each time and prints what must be the same).
STORMS = {
    "ldconfig": ("true", "ldconfig -C cache && sha256sum cache && ldconfig -p -C cache | wc -l"),
    "dpkg": (PACKAGE, "rm -f /usr/share/mimic-storm/configured; dpkg --unpack storm.deb && dpkg --configure mimic-storm"
                      " && cat /usr/share/mimic-storm/configured && dpkg -s mimic-storm | grep Status"),
    "cc1": (TEXT, "$(gcc -print-prog-name=cc1) -quiet -O2 text.c -o text.s && sha256sum text.s"),
    "compileall": ("cp -r /usr/lib/python3.*/json /usr/lib/python3.*/email .",
                   "rm -rf */__pycache__; python3 -m compileall -q --invalidation-mode unchecked-hash json email && cat */__pycache__/*.pyc | sha256sum"),
    "fork": ("gcc -O1 -w /home/storms/fork.c -o fork", "./fork 40"),
    "threads": ("gcc -O1 -w -pthread /home/storms/threads.c -o threads", "./threads 24"),
}
LOOP = """export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
rm -rf /home/storm-{name} && mkdir /home/storm-{name} && cd /home/storm-{name}
{{ {before}
}} > before.log 2>&1 || {{ echo before: status $?; tail -n 5 before.log; exit 1; }}
n=0
while [ $n -lt {runs} ]; do
  out=$( ( {each} ) 2>&1 ); status=$?
  n=$((n + 1))
  echo "$n $status" $out
done
"""
PATIENCE = 1800, 60  # seconds that all runs may take: as many, and for each; a busy machine needs its time


def storm(root, name, runs):
    """(failures, the first lines that differ, seconds of CPU) of so many runs in a root."""
    before, each = STORMS[name]
    target = root.path / "home/storms"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(HERE, target)
    command = root.command(LOOP.format(name=name, before=before, each=each, runs=runs).replace("-ec", "-c"))
    begun = os.times()
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env=debootstrap.ENVIRONMENT, start_new_session=True)
    try:
        text, _ = program.communicate(timeout=PATIENCE[0] + PATIENCE[1] * runs)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, 9)
        text = program.communicate()[0]
    ended = os.times()
    lines = [line.split(" ", 1) for line in text.splitlines()]
    results = {number: result for number, result in lines if number.isdigit()} if all(len(line) == 2 for line in lines) else {}
    first = results.get("1", "")
    bad = [f"{n}: {results.get(str(n), 'no end')}" for n in range(1, runs + 1)
           if not first.startswith("0 ") or results.get(str(n)) != first]
    other = [" ".join(line) for line in lines if not line[0].isdigit()]
    cpu = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    return len(bad), bad[:3] + other[:5], cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True, choices=matrix.VALUES)
    parser.add_argument("--mimic", required=True, type=Path)
    parser.add_argument("--build", type=Path, help="not used: roots are too large for a build folder")
    parser.add_argument("--roots", type=Path, default=Path("/var/tmp/mimic-matrix"), metavar="DIR")
    parser.add_argument("--runs", type=int, default=100, metavar="N", help="of each storm (default: 100)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(STORMS))
    options = parser.parse_args()
    for name in options.names:
        if name not in STORMS:
            raise SystemExit(f"{name}: no storm of this name; there are {', '.join(STORMS)}")
    architecture, suite = debootstrap.GUESTS[options.guest]
    options.roots.mkdir(parents=True, exist_ok=True)
    mimic = options.roots / f"mimic-storms-{options.guest}"  # a copy: a build may replace the file
    shutil.copy2(options.mimic, mimic)
    roots = [matrix.Root(mimic, options.roots, architecture, suite)]
    if os.geteuid() == 0:
        roots.append(matrix.Root(mimic, options.roots, matrix.NATIVE, suite))
    for root in roots:
        root.make()
        if not (root.path / "usr/bin/python3").exists() or not (root.path / "usr/bin/gcc").exists():
            root.install("gcc libc6-dev python3")
    failed = collections.Counter()
    for name in options.names or STORMS:
        for root in roots:
            begun = time.monotonic()
            count, examples, cpu = storm(root, name, options.runs)
            failed[root.architecture] += count
            print(f"{root.architecture} {name}: {options.runs} runs, {count} failures, {cpu:.1f} s of CPU in {time.monotonic() - begun:.0f} s",
                  *examples, sep="\n    ", flush=True)
    return 1 if failed[architecture] else 0


if __name__ == "__main__":
    sys.exit(main())
