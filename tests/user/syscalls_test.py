"""docs/user-mode.md lists the calls that answer ENOSYS as `mimic syscalls` does, README.md counts them; the JSON form is
JSON.

    syscalls_test.py MIMIC
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/user-mode.md"


def output(*words):
    return subprocess.run([sys.argv[1], "syscalls", *words], capture_output=True, text=True, check=True).stdout


listed = "".join(line.rstrip() + "\n" for line in output().splitlines() if " ENOSYS: " in line)
shown = re.search(r"<!-- syscalls -->\n```\n(.*?)```", PAGE.read_text(), re.DOTALL)
if not shown or shown[1] != listed:
    print(f"docs/user-mode.md: its block <!-- syscalls --> is not what `mimic syscalls | grep ENOSYS` prints:\n{listed}")
    sys.exit(1)
README = Path(__file__).resolve().parents[2] / "README.md"
told = re.search(r"generic table but (\d+)\)", README.read_text())
if not told or int(told[1]) != len(listed.splitlines()):
    print(f"README.md: expected 'generic table but {len(listed.splitlines())})', as `mimic syscalls` says")
    sys.exit(1)
for guest in ("riscv64", "aarch64", "x86_64"):
    calls = json.loads(output("--guest", guest, "--json"))["calls"]
    numbers = [call["number"] for call in calls]
    if len(calls) < 300 or len(set(numbers)) != len(numbers):
        print(f"{guest}: {len(calls)} calls, {len(set(numbers))} numbers; expected 300 or more, each once")
        sys.exit(1)
print(f"{len(listed.splitlines())} calls answer ENOSYS")
