"""Runs the functions of a test file, each in a folder of its own."""

import os
import tempfile
import time


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
