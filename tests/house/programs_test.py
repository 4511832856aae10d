#!/usr/bin/env python3
"""What the programs are linked with: a start of `mimic` must not pay for libraries that few runs need.

usage: programs_test.py MIMIC
"""
import re, subprocess, sys
from pathlib import Path

MIMIC = Path(sys.argv[1])
TWIN = MIMIC.with_name("mimic-system")
HEAVY = re.compile(r"gnutls|gcrypt|nettle|ssl|curl|ssh|slirp|glib|SDL|pixman|usb", re.I)


def needed(file):
    text = subprocess.run(["readelf", "-dW", file], stdout=subprocess.PIPE, check=True, text=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))


def opened(*command):
    """Shared objects and modules that a run opens."""
    p = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={"LD_DEBUG": "libs", "PATH": "/usr/bin:/bin"})
    return p.returncode, p.stdout, set(re.findall(r"calling init: \S*/(\S+)", p.stderr))


failures = []


def check(good, what):
    print(("ok   " if good else "FAIL ") + what)
    if not good:
        failures.append(what)


sanitized = any("san.so" in name for name in needed(MIMIC))
if not sanitized:
    check(needed(MIMIC) == set(), f"mimic is linked statically: {needed(MIMIC)}")
heavy = {name for name in needed(TWIN) if HEAVY.search(name)}
check(not heavy, f"mimic-system is linked with nothing heavy: {heavy}")
status, out, names = opened(TWIN, "riscv64", "-M", "help")
check(status == 0 and "virt" in out and not {n for n in names if HEAVY.search(n)}, f"a list of machines opens nothing heavy: {names}")
status, out, names = opened(TWIN, "img", "create", "-f", "raw", "/dev/null", "0")
check(not {n for n in names if HEAVY.search(n)}, f"image tools open nothing heavy without need: {names}")
status, out, _ = opened(MIMIC, "--features")
check(status == 0 and "tls" in out and "GnuTLS" in out and "riscv64" in out and "qcow2" in out, f"--features lists all:\n{out}")
sys.exit(bool(failures))
