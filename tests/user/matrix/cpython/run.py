"""CPython's own regression tests, each module in a process of its own; prints what became of each case, without times.

    run.py [MODULE...]

Standard error tells each module's end, how long it took and, where it failed, what it said.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

RESULTS = "/tmp/cpython-results.xml"
SECONDS = 3600


def cases():
    """(name, outcome) of what the last module wrote."""
    for case in xml.parse(RESULTS).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        yield case.get("name"), kinds[0] if kinds else "ok"


def run(module):
    if os.path.exists(RESULTS):
        os.unlink(RESULTS)
    words = [sys.executable, "-m", "test", "--junit-xml", RESULTS, module]
    begun = time.monotonic()
    with open("/tmp/cpython.log", "w+") as log:
        try:
            status = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            status = "timeout"
        log.seek(0)
        text = log.read()
    print(module, "status", status)
    print(module, "status", status, f"{time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    if status != 0:
        print(text[-20000:], file=sys.stderr, flush=True)
    for name, outcome in sorted(cases()) if os.path.exists(RESULTS) else ():
        print(module, name, outcome)
    sys.stdout.flush()


def main():
    modules = sys.argv[1:] or subprocess.run([sys.executable, "-m", "test", "--list-tests"], capture_output=True, text=True,
                                             check=True).stdout.split()
    for module in modules:
        run(module)


main()
