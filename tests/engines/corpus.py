"""Runs the bench corpus under both engines at once (verify=on) and under the interpreter, and holds what it prints against
the native builds.

    corpus.py --guest aarch64 --mimic FILE --build DIR [--full] [NAME...]

Small sizes; --full takes the bench's own (hours). Each line tells how much of a program was not verified, and at the end
how much of all of them together: more than 0.1 % is a failure.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "dev"))
import bench  # noqa: E402
import corpus  # noqa: E402

MOST_UNVERIFIED = 0.001
ACCELERATORS = ("jit,verify=on", "interp")
TIME_LIMIT = 3600


def run(command, row, environment):
    with open(row.stdin or os.devnull, "rb") as stdin:
        process = subprocess.run([str(word) for word in command], stdin=stdin, capture_output=True, env=environment,
                                 timeout=TIME_LIMIT, check=False)
    lines = process.stdout.splitlines(keepends=True)
    return process.returncode, b"".join(line for line in lines if not line.startswith(b"bits ")), process.stderr.decode()


def unverified(text):
    """(instructions that were not verified, all of them) by the reports in what a run wrote; without one: (0, 0)."""
    found = re.findall(r"^verify: (\d+) of (\d+) guest instructions not verified", text, re.MULTILINE)
    return sum(int(part) for part, _ in found), sum(int(whole) for _, whole in found)


def check(row, options, totals):
    """Prints a line for each accelerator; true: all as it must be."""
    native = run(row.native, row, bench.environment(row.native_environment))
    good = True
    for accelerator in ACCELERATORS:
        mimic = bench.mimic_column(options.mimic, ["-accel", accelerator])
        began = time.monotonic()
        ours = run(mimic.command(row), row, bench.environment())
        same = ours[:2] == native[:2]
        part, whole = unverified(ours[2])
        totals[0] += part
        totals[1] += whole
        share = f", {part} of {whole} instructions not verified" if part else ""
        print(f"{options.guest} {row.name} {accelerator}: {'same' if same else 'DIFFERS'}, "
              f"{time.monotonic() - began:.1f} s{share}", flush=True)
        if not same or (part and accelerator != ACCELERATORS[0]):
            print(ours[2], flush=True)
            good = False
        elif part:
            print(*[line for line in ours[2].splitlines() if line.startswith("verify:")], sep="\n", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True, choices=corpus.GUESTS)
    parser.add_argument("--mimic", required=True)
    parser.add_argument("--build", help="not used: the corpus has its own folder")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    totals = [0, 0]
    failed = []
    for row in corpus.rows(options.guest, bench.Selection(options.names, [], not options.full)):
        if row.cache:  # another's program again: neither engine has a cache here
            continue
        if not check(row, options, totals):
            failed.append(row.name)
    # A program without a report had nothing to report: the share is at most this.
    if totals[0] > MOST_UNVERIFIED * max(totals[1], 1):
        failed.append(f"{totals[0]} of {totals[1]} instructions not verified")
    print(f"{options.guest}: {'failed: ' + ', '.join(failed) if failed else 'all the same'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
