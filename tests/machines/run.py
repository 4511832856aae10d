"""Boots a board with what Debian built and waits for milestones on its console.

  run.py FILE.toml --build DIR [--case NAME] [--list] [--emulator PROGRAM]

A file describes one guest's boots. Of each [[boot]]:
  name        of the case
  command     words of the command line; {inputs} is the folder of real inputs, {work} a scratch folder
  milestones  regular expressions that the console must show, in this order
  type        [[regex, text], ...]: once the console shows the regex, the text is typed
  exit        the status with which the program must leave by itself; without it, it is stopped by SIGTERM at the end
              and must leave with 0
  files       [[name, kind], ...]: scratch files to make first; kind is "ext4" or "ext4:MEGABYTES" (64; with a file `hello` in
              it), "random:SIZE" or a size; "copy:PATH"; "fat:NAME=PATH NAME=PATH..." a FAT file system with files; paths as words of the command,
              {here} is the folder of the boots' file
  init        a script beside the file that is the guest's /init: {initrd} is the inputs' initramfs with it
  programs    C sources beside the file, for that initramfs: its /bin has the programs, static ones
  serve       a scratch file that the host's loopback serves by HTTP at {port}; {md5} in milestones is its sum
  fetch       [regex, path]: once the console shows the regex, http://127.0.0.1:{forward}/path must be the served file
  holds       [file, text]: at the end the scratch file has the text in it, as UTF-16
  fsck        a scratch file: at the end an ext4 file system without faults
  timeout     seconds (default 300)

The program runs on a terminal of its own, whose settings must be at the end what they were. --emulator runs another
program with the same words, to see what it does.
"""

import argparse
import functools
import hashlib
import http.server
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tomllib
import urllib.request
from pathlib import Path

from client import Failure, free_port

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import with_init  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))


class Console:
    """A program on a terminal: what it has shown, and typing."""

    def __init__(self, command, deadline):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.settings = termios.tcgetattr(slave)
        self.shown = b""
        self.deadline = deadline
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)

    def read(self):
        """Takes in what there is; False when the program has left and nothing more comes."""
        if time.monotonic() > self.deadline:
            raise Failure("took too long")
        ready, _, _ = select.select([self.master], [], [], 0.2)
        if ready:
            self.shown += os.read(self.master, 65536)
            return True
        return self.process.poll() is None

    def wait_for(self, pattern, start=0):
        """Reads until the regular expression is shown behind `start`; returns where it ends."""
        wanted = re.compile(pattern.encode())
        while True:
            if found := wanted.search(self.shown, start):
                return found.end()
            if not self.read():
                raise Failure(f"left before it showed {pattern!r}")

    def type(self, text):
        for start in range(0, len(text), 8):
            os.write(self.master, text[start:start + 8])
            time.sleep(0.05)  # as a person's terminal would; UARTs have short queues

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("did not leave after SIGTERM") from None


def make_fat(path, files):
    """A FAT32 file system with folders as the names of its files need."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    subprocess.run(["mformat", "-i", path, "-F", "::"], check=True)
    for name, source in (f.split("=") for f in files):
        for folder in reversed(Path(name).parents[:-1]):
            subprocess.run(["mmd", "-D", "s", "-i", path, f"::{folder}"], check=False)
        subprocess.run(["mcopy", "-i", path, source, f"::{name}"], check=True)


def make_file(path, kind):
    if kind.startswith("ext4"):
        folder = path.with_suffix(".files")
        folder.mkdir(exist_ok=True)
        (folder / "hello").write_text("hello-from-disk\n")
        path.unlink(missing_ok=True)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, path, f"{kind[5:] or 64}M"], check=True)
    elif kind.startswith("copy:"):
        path.write_bytes(Path(kind[5:]).read_bytes())
    elif kind.startswith("fat:"):
        make_fat(path, kind[4:].split())
    elif kind.startswith("random:"):
        path.write_bytes(os.urandom(int(kind[7:])))
    else:
        with open(path, "wb") as file:
            file.truncate(int(kind))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def compiled(source, guest, work):
    program = work / source.stem
    subprocess.run([f"{guest}-linux-gnu-gcc", "-O2", "-Wall", "-Werror", "-static", source, "-o", program], check=True)
    return program


def surroundings(case, folder, guest, work):
    """What the words of a case may name; starts its server."""
    names = {"inputs": INPUTS, "work": work, "forward": free_port()}
    if "init" in case:
        base = INPUTS / "machines" / guest / "initramfs.cpio.gz"
        names["initrd"] = work / "initrd.gz"
        programs = [compiled(folder / source, guest, work) for source in case.get("programs", ())]
        names["initrd"].write_bytes(with_init(base, folder / case["init"], programs))
    if "serve" in case:
        handler = functools.partial(Quiet, directory=work)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        names["port"] = server.server_address[1]
        names["md5"] = hashlib.md5((work / case["serve"]).read_bytes()).hexdigest()
    return names


def fetch(names, path, served):
    """The guest's own server gives what ours does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{names['forward']}/{path}", timeout=60) as reply:
        if reply.read() != served.read_bytes():
            raise Failure(f"the guest's {path} differs from {served}")


def follow(console, case, names, work):
    """Waits for the milestones, typing and fetching on the way; returns when they have been seen."""
    wanted = [re.compile(m.replace("{md5}", names.get("md5", "")).encode()) for m in case["milestones"]]
    to_fetch = [case["fetch"]] if "fetch" in case else []
    typing = [(re.compile(r.encode()), t.encode()) for r, t in case.get("type", [])]
    seen = typed = 0
    alive = True
    while True:
        while typing and (found := typing[0][0].search(console.shown, typed)):
            typed = found.end()
            console.type(typing.pop(0)[1])
        if to_fetch and re.search(to_fetch[0][0].encode(), console.shown):
            fetch(names, to_fetch.pop(0)[1], work / case["serve"])
        while wanted and (found := wanted[0].search(console.shown, seen)):
            seen = found.end()
            wanted.pop(0)
        if not wanted and not typing:
            return
        if not alive:
            raise Failure(f"left before it showed {(wanted or [typing[0][0]])[0].pattern.decode()!r}")
        alive = console.read()


def boot(case, program, folder, guest, work):
    for name, kind in case.get("files", []):
        make_file(work / name, kind.format(inputs=INPUTS, here=folder))
    names = surroundings(case, folder, guest, work)
    words = [w.format(**names) for w in case["command"]]
    link = work / f"mimic-system-{guest}"
    if program.name == "mimic-system":
        link.unlink(missing_ok=True)
        link.symlink_to(program)
        program = link
    console = Console([program, *words], time.monotonic() + case.get("timeout", 300))
    try:
        follow(console, case, names, work)
        if "exit" in case:
            while console.process.poll() is None:
                console.read()
            status, expected = console.process.returncode, case["exit"]
        else:
            status, expected = console.stop(), 0
        if status != expected:
            raise Failure(f"left with status {status}, expected {expected}")
        if termios.tcgetattr(console.slave) != console.settings:
            raise Failure("left the terminal in other settings")
        if "holds" in case and case["holds"][1].encode("utf-16-le") not in (work / case["holds"][0]).read_bytes():
            raise Failure(f"{case['holds'][0]} does not hold {case['holds'][1]!r}")
        if "fsck" in case:
            check = subprocess.run(["e2fsck", "-fn", work / case["fsck"]], capture_output=True, text=True)
            if check.returncode:
                raise Failure(f"e2fsck of {case['fsck']}: {check.stdout}")
    except Failure:
        sys.stdout.write(console.shown.decode(errors="replace")[-6000:] + "\n")
        raise
    finally:
        if console.process.poll() is None:
            console.process.kill()
            console.process.wait()
        (work / "console.log").write_bytes(console.shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release" / "machines")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "mimic-system")
    parser.add_argument("--emulator", type=Path)
    parser.add_argument("--case")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    table = tomllib.loads(options.file.read_text())
    failed = 0
    for case in table["boot"]:
        if options.list:
            print(case["name"])
            continue
        if options.case and case["name"] != options.case:
            continue
        work = options.build / f"{options.file.stem}-{case['name']}"
        work.mkdir(parents=True, exist_ok=True)
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            boot(case, options.emulator or options.program.resolve(), options.file.resolve().parent,
                 table["guest"], work)
            verdict = "ok"
        except Failure as failure:
            verdict = f"FAILED: {failure}"
            failed += 1
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{case['name']}: {verdict} ({time.monotonic() - start:.1f} s, {cpu:.1f} s of CPU)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
