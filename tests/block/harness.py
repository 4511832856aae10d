"""What the tests of disk images have in common: running programs, and the functions of a test file in folders of their own."""

import os
import subprocess
import sys
import tempfile
import time

MIMIC = os.path.abspath(sys.argv[1])  # each test's first argument


def run(*command, ok=(0,), data=None, env=None, text=False):
    """The finished process; an exit status that is not in `ok` (None: any will do) fails the test with what was printed."""
    source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    p = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, text=text,
                       env={**os.environ, **(env or {})}, **source)
    if ok is not None and p.returncode not in ok:
        printed = p.stdout + p.stderr if text else (p.stdout + p.stderr).decode(errors="replace")
        raise AssertionError(f"{' '.join(map(str, command))}: exit {p.returncode}, expected {ok}\n{printed}")
    return p


def img(*args, **more):
    return run(MIMIC, "img", *args, **more)


def qemu(*args, **more):
    return run("qemu-img", *args, **more)


def run_tests(tests, wanted):
    """The exit status. `wanted`: names, or none for all."""
    failed = []
    for t in tests:
        if wanted and t.__name__ not in wanted:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mimic-block-") as folder:
            os.chmod(folder, 0o755)  # servers under users of their own read it
            os.chdir(folder)
            try:
                t()
                print(f"ok    {t.__name__} {time.monotonic() - began:.1f} s", flush=True)
            except Exception as e:  # the next test may tell more
                failed.append(t.__name__)
                print(f"FAIL  {t.__name__}: {type(e).__name__}: {e}", flush=True)
            os.chdir("/")
    print(f"{len(failed)} failed")
    return 1 if failed else 0
