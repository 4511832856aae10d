"""What programs see of debug registers and performance monitors through Debian's kernel: tracer_test.py PROGRAM.

Its /init is tracer.c, whose lines are the same with the reference (--emulator qemu-system-aarch64).
"""

import argparse
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import Archive  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))

EXPECTED = """\
TRACER
steps: inside 5002, at the head 1000, more outside 1, exit 7
breakpoint: slots 6 hits 1000, odd 0, exit 7
stores: slots 4 hits 1000, odd 0, exit 7
loads: slots 4 hits 1001, odd 0, exit 7
elsewhere: slots 4 hits 0, odd 0, exit 7
perf, instruction: as many
perf, stores: as many
perf, kernel's instruction: as many
cycles: go on
cycles, disabled: stand
samples: 5, as many cycles
TRACER-END
"""


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program", type=Path, nargs="?")
    p.add_argument("--emulator", help="another program with the same words")
    p.add_argument("--words", default="", help="more words of the command line")
    p.add_argument("--limit", type=int, default=600)
    o = p.parse_args()
    command = [o.emulator] if o.emulator else [str(o.program), "aarch64"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        work = Path(folder)
        subprocess.run(["aarch64-linux-gnu-gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", work / "tracer",
                        Path(__file__).with_name("tracer.c")], check=True)
        archive = Archive()
        archive.add("dev", stat.S_IFDIR | 0o755)
        archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        archive.add("init", stat.S_IFREG | 0o755, (work / "tracer").read_bytes())
        (work / "initrd.gz").write_bytes(archive.finish())
        command += ["-M", "virt", "-cpu", "cortex-a57", "-m", "256M", "-nodefaults", "-nographic", "-serial", "stdio",
                    "-kernel", INPUTS / "machines/aarch64/kernel", "-initrd", work / "initrd.gz",
                    "-append", "console=ttyAMA0 quiet", *o.words.split()]
        done = subprocess.run(command, capture_output=True, timeout=o.limit, stdin=subprocess.DEVNULL)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    found = re.search(r"TRACER\n.*TRACER-END\n", text, re.DOTALL)
    if done.returncode or not found or found[0] != EXPECTED:
        sys.exit(f"status {done.returncode}, showed\n{text[-4000:]}\n{done.stderr.decode(errors='replace')}\n"
                 f"expected\n{EXPECTED}")
    print("as expected")


main()
