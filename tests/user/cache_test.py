"""The cache of translated code: what is damaged, foreign, half-written or written by others at the same time changes no
program's output; `mimic cache` tells of it.

    cache_test.py --guest aarch64 --mimic FILE
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSROOTS = {"aarch64": "arm64", "riscv64": "riscv64"}
SCRIPT = 'a=0; for i in {1..300}; do a=$((a + i * i % 7)); done; x=${a//1/one}; printf "%s %05d\\n" "$x" $a; f() { echo "$@" | cat; }; f 1 2'

parser = argparse.ArgumentParser()
parser.add_argument("--guest", required=True, choices=SYSROOTS)
parser.add_argument("--mimic", required=True)
options = parser.parse_args()
sysroot = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs")) / "sysroot" / SYSROOTS[options.guest]
work = Path(tempfile.mkdtemp(prefix="mimic-cache-"))
cache = work / "mimic"
environment = {"XDG_CACHE_HOME": str(work), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
failures = []


def command(*words):
    return [options.mimic, "run", *words, "-L", str(sysroot), str(sysroot / "usr/bin/bash"), "-c", SCRIPT]


def run(*words, **more):
    return subprocess.run(command(*words), capture_output=True, text=True, env=environment | more)


def tool(*words):
    return subprocess.run([options.mimic, "cache", *words], capture_output=True, text=True, env=environment)


def expect(what, condition, detail=""):
    if not condition:
        failures.append(f"{what} {detail}")


def files():
    return sorted(cache.glob("*.units")) if cache.exists() else []


def right(what, *words, **more):
    """Runs the program; its output and status are the ones of a run without a cache. Gives its log."""
    result = run("-d", "cache", *words, **more)
    expect(what, result.stdout == truth and result.returncode == 0, f"status {result.returncode}: {result.stdout!r}")
    return result.stderr


def filled():
    shutil.rmtree(cache, ignore_errors=True)
    right("a cold run")
    expect("a cold run leaves files", len(files()) >= 2)


truth = run("--no-cache").stdout
expect("a run without a cache", truth.count("\n") == 2, truth)
expect("--no-cache", not files())
right("MIMIC_NO_CACHE", MIMIC_NO_CACHE="1")
expect("MIMIC_NO_CACHE", not files())

right("MIMIC_NO_CACHE=0", MIMIC_NO_CACHE="0")
expect("MIMIC_NO_CACHE=0", files())
for what, more in (("by --no-cache", {"MIMIC_NO_CACHE": "1"}), ("expected XDG_CACHE_HOME", {"XDG_CACHE_HOME": "", "HOME": "none"})):
    log = right(what, **more)
    expect("why there is no cache", log.count("there is none: " + what) >= 1, log)

# A limit of the size of files is none of the size of the translator's memory: here, in forked and in executed programs.
bounded = subprocess.run(["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", *command("--no-cache")], capture_output=True,
                         text=True, env=environment)
expect("ulimit -f 1", bounded.stdout == truth and bounded.returncode == 0, bounded)

filled()
expect("modes", all(f.stat().st_mode & 0o777 == 0o600 for f in files()) and cache.stat().st_mode & 0o777 == 0o700)
expect("nothing else is left", len(list(cache.iterdir())) == len(files()), list(cache.iterdir()))
old = files()[0]
os.utime(old, (1, 1))
log = right("a warm run")
expect("use renews the time", old.stat().st_mtime > 1)
expect("a warm run reads", log.count(" units in ") >= 2, log)
shown = json.loads(tool("show", "--json").stdout)
expect("show", sorted(f["name"] for f in shown["files"]) == [f.name for f in files()], shown)
expect("verify", tool("verify").returncode == 0)
right("another base of guest memory", "-R", "0x4000000000")

# Damage of all kinds.
rng = random.Random(1)
for turn in range(12):
    filled()
    for f in files():
        data = bytearray(f.read_bytes())
        for _ in range(1 + 40 * turn):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if turn % 3 == 1:
            data[88 : 88 + rng.randrange(4096)] = b"\xff" * rng.randrange(4096)
        f.write_bytes(data)
    right(f"flipped bits, {turn}")
filled()
for f in files():
    data = f.read_bytes()
    f.write_bytes(data[: len(data) // 2])
log = right("truncated files")
expect("-d cache names them", "ignored: " in log and "expected" in log, log)
filled()
victim = files()[0]
victim.write_bytes(victim.read_bytes()[:-64])
result = tool("verify")
expect("verify names and removes", result.returncode == 1 and victim.name in result.stdout and not victim.exists())
filled()
for f in files():
    f.write_bytes(b"")
right("empty files")
filled()
for f in files():
    elsewhere = work / f.name
    f.rename(elsewhere)
    f.symlink_to(elsewhere)
log = right("links")
expect("links are not followed", log.count("symbolic links") >= len(files()), log)
expect("links are replaced", not any(f.is_symlink() for f in files()))
filled()
one, two = files()[:2]
one.write_bytes(two.read_bytes())
right("a file under another's name")
if os.geteuid() == 0:
    filled()
    for f in files():
        os.chown(f, 1, 1)
    log = right("files of another user")
    expect("files of another user are not read", log.count("expected a plain file") >= len(files()), log)
filled()
cache.chmod(0o777)
log = right("a directory that others may write")
expect("it is not used", "ignored" in log or "expected a directory" in log, log)
cache.chmod(0o700)

# Many at once, and ends at any time.
shutil.rmtree(cache)
running = [subprocess.Popen(command(), stdout=subprocess.PIPE, text=True, env=environment) for _ in range(8)]
for process in running:
    expect("one of eight", process.communicate()[0] == truth)
expect("after eight", tool("verify").returncode == 0 and len(files()) >= 2)
for turn in range(20):
    shutil.rmtree(cache, ignore_errors=True)
    process = subprocess.Popen(command(), stdout=subprocess.DEVNULL, env=environment)
    try:
        process.wait(timeout=0.01 * turn)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    expect("verify after a kill", tool("verify").returncode == 0)
    right("a run after a kill")

# What is missing of XDG_CACHE_HOME is made.
deep = work / "not" / "there"
right("a missing XDG_CACHE_HOME", XDG_CACHE_HOME=str(deep))
expect("a missing XDG_CACHE_HOME is made", list(deep.glob("mimic/*.units")) and deep.stat().st_mode & 0o777 == 0o700)

# Nowhere to write: nothing is said, nothing changes. In the end the kernel lets no file have more than 8 KiB.
for what, more in (("no home", {"XDG_CACHE_HOME": "/proc/nothing"}), ("a file as home", {"XDG_CACHE_HOME": __file__})):
    result = run(**more)
    expect(what, result.stdout == truth and not result.stderr and result.returncode == 0, result.stderr)
shutil.rmtree(cache, ignore_errors=True)
limited = subprocess.run([*command()[:-1], "ulimit -f 8; for i in {1..99}; do :; done; echo here"], capture_output=True,
                         text=True, env=environment)
expect("files of 8 KiB at most", limited.stdout == "here\n" and limited.returncode == 0 and not limited.stderr, limited)
expect("nothing was left half-written", not cache.exists() or not list(cache.iterdir()))

# Programs that do what a cache may fall over (cache_probe.c). Each begins with the files of a run of another part of it.
probe = work / "probe"
subprocess.run([f"{options.guest}-linux-gnu-gcc", "-O1", "-static", "-pthread", str(Path(__file__).with_name("cache_probe.c")),
                "-o", str(probe)], check=True)


def probed(*words, options_of_run=()):
    return subprocess.run([options.mimic, "run", "-d", "cache", *options_of_run, str(probe), *words], capture_output=True, text=True,
                          env=environment, timeout=60)


def probed_anew(*words):
    shutil.rmtree(cache, ignore_errors=True)
    result = probed(*words)
    expect(f"probe {words}", result.returncode == 0 and not result.stdout, result)
    return result


right_sum = probed("all", options_of_run=("--no-cache",)).stdout
expect("the probe's sum", len(right_sum) > 8, right_sum)
probed_anew("part", "1000")
known = work / "known"
shutil.copytree(cache, known)
for turn in range(12):
    shutil.rmtree(cache)
    shutil.copytree(known, cache)
    result = probed("race", "600")
    expect("an end beside a thread that reads", result.returncode == 0 and "ignored" not in result.stderr, result)
    expect("it writes", " wrote " in result.stderr, result)
    expect("verify after it", tool("verify").returncode == 0)
    result = probed("all")
    expect("the sum after it", result.stdout == right_sum and result.returncode == 0, result)
for turn in range(4):
    expect("a file is written beside", " wrote " in probed_anew("numbers").stderr)
shutil.rmtree(cache)
result = probed("vfork")
expect("a vfork child writes nothing", result.returncode == -9 and not files(), result)
if os.geteuid() == 0:
    for what, where in (("chroot", work / "elsewhere"), ("setuid", "")):
        (work / "elsewhere").mkdir(exist_ok=True)
        shutil.rmtree(cache, ignore_errors=True)
        result = probed(what, str(where))
        expect(f"nothing is written after {what}", result.returncode == 0 and "another user or root" in result.stderr, result)
        expect(f"no file after {what}", not files() and not list((work / "elsewhere").iterdir()))

# Code of a file that changes meanwhile; each cold, then warm, then with other code in the file.
def sums(*bases):
    return sum(64 * base + 64 * 63 // 2 for base in bases)


shutil.rmtree(cache, ignore_errors=True)
changing = work / "changing"
for base in (1, 1, 101, 1):
    for what, value in (
        ("late", sums(base)),
        ("between", 32 * base + 32 * 31 // 2 + sums(base + 100)),
        ("anew", sums(base, base + 200, base + 400)),
    ):
        result = probed(what, str(changing), str(base))
        expect(f"code of a file, {what} from {base}", result.stdout == f"{value}\n" and result.returncode == 0, result)
expect("its units are used", re.search("0x70000000: [0-9]+ units in", result.stderr), result)

# Programs in a root have a directory of the root's own, by way of a descriptor that they can't find.
def in_root(script, *words, ids="auto", root=sysroot, **more):
    inside = [options.mimic, "run", "-d", "cache", "--root", str(root), "--ids", ids, "--owners", str(work / f"owners-{ids}"), *words,
              "/bin/bash", "-c", script]
    return subprocess.run(inside, capture_output=True, text=True, env=environment, **more)


def roots_files():
    return sorted(cache.glob("roots/*/*/*.units"))


def times(which):
    return [f.stat().st_mtime_ns for f in which]


def right_in_root(what, *words, **more):
    result = in_root(SCRIPT, *words, **more)
    expect(what, result.stdout == truth and result.returncode == 0, result)
    return result.stderr


def has(ids):
    """Can there be a root with these ids on this machine?"""
    result = in_root("echo", ids=ids)
    return result.returncode == 0 or print(f"no root with {ids} ids: {result.stderr}")


for ids in [i for i in ("real", "pretended") if (i != "real" or os.geteuid() == 0) and has(i)]:
    filled()
    outside = times(files())
    log = right_in_root(f"{ids}: cold", ids=ids)
    expect(f"{ids}: a cold run writes", " wrote " in log and len(roots_files()) >= 2, log)
    right_in_root(f"{ids}: second", ids=ids)
    log = right_in_root(f"{ids}: warm", ids=ids)
    expect(f"{ids}: a warm run reads", log.count(" units in ") >= 2 and "ignored" not in log, log)
    expect(f"{ids}: the cache outside is as it was", times(files()) == outside)
    expect(f"{ids}: modes", all(f.stat().st_mode & 0o777 == 0o600 and f.parent.stat().st_mode & 0o777 == 0o700 for f in roots_files()))
    expect(f"{ids}: one root", len({f.parent for f in roots_files()}) == 1)
    inside = times(roots_files())
    log = right_in_root(f"{ids}: --no-cache", "--no-cache", ids=ids)
    expect(f"{ids}: --no-cache", "there is none: by --no-cache" in log and times(roots_files()) == inside, log)
    shown = json.loads(tool("show", "--json").stdout)["files"]
    expect(f"{ids}: show", ids != "real" or {str(f.relative_to(cache)) for f in roots_files()} < {f["name"] for f in shown}, shown)
    expect(f"{ids}: verify", tool("verify").returncode == 0)
    expect(f"{ids}: clear", tool("clear").returncode == 0 and not list(cache.iterdir()), list(cache.iterdir()))

    # Eight that share a cold one.
    bound = ("--bind", f"{work}:/home")
    forks = "for n in 1 2 3 4 5 6 7 8; do (%s) > /home/out-$n & done; wait; cat /home/out-[1-8]; rm /home/out-[1-8]"
    result = in_root(forks % SCRIPT, *bound, ids=ids)
    expect(f"{ids}: eight at once", result.stdout == truth * 8 and result.returncode == 0, result)
    result = in_root(f"for n in 1 2 3 4 5 6 7 8; do bash -c '{SCRIPT}' & done; wait", ids=ids)
    expect(f"{ids}: eight programs at once", sorted(result.stdout.splitlines()) == sorted(truth.splitlines() * 8), result)
    expect(f"{ids}: verify after eight", tool("verify").returncode == 0 and len(roots_files()) >= 2)

    # A program that looks for the descriptor, closes all it can, and executes itself, of which the next run has the units.
    shutil.rmtree(cache)
    for turn in ("cold", "warm"):
        result = in_root("exec /home/probe descriptors", *bound, ids=ids)
        expect(f"{ids}: descriptors, {turn}", result.stdout == f"nothing\n{right_sum}" and result.returncode == 0, result)
        expect(f"{ids}: it has a cache all the same, {turn}", (" wrote " if turn == "cold" else " units in ") in result.stderr, result)
    if ids == "real":
        work.chmod(0o711)
        for turn in ("cold", "warm"):
            result = in_root("exec /home/probe as 1", *bound, ids=ids)
            expect(f"another user, {turn}", result.stdout == right_sum and result.returncode == 0, result)
        mine = [f for f in roots_files() if f.parent.name == "u1"]
        expect("another user has files of its own", mine and all(f.stat().st_uid == 1 == f.parent.stat().st_uid for f in mine), roots_files())
        expect("and uses them", result.stderr.count(" units in ") >= 2, result)
        expect("clear takes these, too", tool("clear").returncode == 0 and not list(cache.iterdir()), list(cache.iterdir()))
        cache.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(cache)

# What isn't the cache's stays.
filled()
strange = [cache / name for name in ("a.units", "b.tmp", "0" * 40 + ".units.x.tmp", "0" * 39 + ".units")]
left_behind = [cache / ("0" * 40 + ".units"), cache / ("0" * 40 + ".units.12ab.tmp")]
for f in (*strange, *left_behind):
    f.write_bytes(b"")
tool("clear")
expect("clear leaves what isn't its own", sorted(cache.iterdir()) == sorted(strange), list(cache.iterdir()))
if os.geteuid() == 0:
    shutil.rmtree(cache)
    os.chown(work, 1, 1)
    right("a home of another user's")
    expect("it gets nothing", not cache.exists())
    os.chown(work, 0, 0)

# Bounds.
filled()
right("a small bound", "--cache-size", "1M")
shutil.rmtree(cache)
right("a small bound, cold", "--cache-size", "1M")
expect("the bound holds", sum(f.stat().st_size for f in files()) <= 1 << 20)
expect("clear", tool("clear").returncode == 0 and not files())

shutil.rmtree(work)
for failure in failures:
    print(failure)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
