"""System calls at random, with hostile numbers, pointers and lengths, under Mimic: calls.c says what must not happen. It runs
as nobody, in namespaces of its own and in an empty folder.

    calls_soak.py --guest riscv64 --mimic FILE --build DIR [--seed N] [--count N]

A failure names its case: --seed CASE --count 1 runs it again.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "run"))
import run  # noqa: E402

NOBODY = 65534
NAMESPACES = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts", "--mount"]

parser = argparse.ArgumentParser()
parser.add_argument("--guest", required=True, choices=["riscv64", "aarch64", "native"])
parser.add_argument("--mimic", required=True)
parser.add_argument("--build", required=True, type=Path)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--count", type=int, default=60)
options = parser.parse_args()

program = run.compiled(HERE / "calls.c", options.guest, options.build, False)
folder = Path(tempfile.mkdtemp(prefix="mimic-calls-"))
try:
    # nobody can reach neither the build's folder nor its programs
    for source, name in ((program, "calls"), (options.mimic, "mimic")):
        shutil.copy(source, folder / name)
    (folder / "work").mkdir()
    for path in (folder, folder / "work"):
        path.chmod(0o777)
    start = [] if options.guest == "native" else [folder / "mimic", "run", "--no-cache", "-crash-report", "never"]
    sandbox = subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0
    if not sandbox:
        print("no user namespaces here: nothing is run")
        sys.exit(77)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    result = subprocess.run([str(w) for w in [*NAMESPACES, *start, folder / "calls", options.seed, options.count]],
                            cwd=folder / "work", stdin=subprocess.DEVNULL, check=False, **user)
    sys.exit(result.returncode)
finally:
    shutil.rmtree(folder, ignore_errors=True)
