"""build, test, soak and fuzz."""

import itertools
import os
import shutil
import subprocess
import sys

import inputs
import packages
import skips
from common import BUILD, JOBS, PRESETS, ROOT, DevError, mimic_program, output, preset_dir, run, say


def configure(preset):
    folder = preset_dir(preset)
    if not (folder / "build.ninja").exists():
        run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL)


def compile_targets(preset, targets=()):
    configure(preset)
    run(["ninja", "-C", preset_dir(preset), "-j", JOBS, *targets])


def build(options):
    packages.install()
    compile_targets(options.preset, options.targets)
    return 0


def add_test_options(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="only tests whose name contains NAME")
    parser.add_argument("-L", "--label", choices=("quick", "full", "all"), default="all",
                        help="quick (< 2 minutes), full (the rest of CI), all (default)")
    parser.add_argument("-p", "--preset", default="release", choices=PRESETS, help="build to test (default: release)")


def test(options):
    packages.install()
    if options.label != "quick":  # quick tests use nothing real
        inputs.fetch()
    compile_targets(options.preset)
    return run_tests(options.preset, options.label, options.names)


def run_tests(preset, label="all", names=()):
    """ctest, then the rule that each skipped test has its reason in tests/skips.txt."""
    folder = preset_dir(preset)
    results = folder / "results.xml"
    command = ["ctest", "--test-dir", folder, "-j", JOBS, "--output-on-failure", "--no-tests=error",
               "--output-junit", results, "--test-output-size-passed", "1000000"]
    if label != "all":
        command += ["-L", f"^{label}$"]
    if names:
        command += ["-R", "|".join(names)]
    results.unlink(missing_ok=True)
    # The cache of translated code is the build's, not the user's: empty at first, then what earlier tests left.
    shutil.rmtree(folder / "cache", ignore_errors=True)
    with_cache = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    status = subprocess.run([str(word) for word in command], cwd=ROOT, check=False, env=with_cache).returncode
    unnamed = skips.unnamed(skips.skipped_in(results), skips.allowed()) if results.exists() else []
    for name in unnamed:
        say(f"{name}: was skipped, but tests/skips.txt does not name it")
    return 1 if status or unnamed else 0


# Soaks that are scripts: NAME to (targets that they need, command). The --count of `real` is a size in megabytes.
SCRIPTS = {"real": ("mimic", [ROOT / "tests" / "real" / "real.py", "--full"]),
           "corpus": ("mimic", [ROOT / "tests" / "engines" / "corpus.py"]),
           "calls": ("mimic", [ROOT / "tests" / "user" / "soak" / "calls_soak.py"]),
           "debootstrap": ("mimic", [ROOT / "tests" / "user" / "root" / "debootstrap.py", "--full"]),
           "matrix": ("mimic", [ROOT / "tests" / "user" / "matrix" / "matrix.py"]),
           "storms": ("mimic", [ROOT / "tests" / "user" / "soak" / "storms" / "storms.py"]),
           "userland": ("mimic mimic-system", [ROOT / "tests" / "machines" / "userland_test.py"])}
WITH_ROWS = ("matrix", "storms")


SAVES = "machines_save"
COUNTED = "icount"
# Programs that soak one guest: their further arguments.
BY_GUEST = {"engine_soak": lambda guest: [],
            "guest_soak": lambda guest: ["--reference", inputs.INPUTS / "qemu-10" / "usr/bin" / f"qemu-{guest}"]}
GUESTS = ("riscv64", "aarch64")


def programs(kind, preset):
    """{name: file} of the build's soak or fuzz programs: its targets NAME_soak or NAME_fuzz."""
    configure(preset)
    ninja = ["ninja", "-C", preset_dir(preset), "-t"]
    targets = output([*ninja, "targets", "all"]).splitlines()
    names = [line.removesuffix(": phony") for line in targets if line.endswith(f"_{kind}: phony")]
    found = {}
    for name in sorted(name for name in names if "/" not in name and not name.startswith("cmake_")):
        lines = output([*ninja, "query", name]).splitlines()
        found[name] = preset_dir(preset) / lines[lines.index("  input: phony") + 1].strip()
    return found


def chosen(name, kind, preset):
    """(name, file) of the program that the user named, with or without its ending."""
    known = programs(kind, preset)
    for candidate in (name, f"{name}_{kind}"):
        if candidate in known:
            return candidate, known[candidate]
    raise DevError(f"{name}: no {kind} program of this name; there are: {', '.join(known) or 'none yet'}")


def listing(kind, preset, more=()):
    print("\n".join([*programs(kind, preset), *more]) or f"no {kind} programs yet")
    return 0


def soak_script(name, options):
    """Runs a script for every guest, each to its end: what fails in one says nothing about the next."""
    targets, words = SCRIPTS[name]
    inputs.fetch()
    compile_targets(options.preset, targets.split())
    count = {"real": "--size", "matrix": "--runs", "storms": "--runs", "userland": "--runs"}.get(name)
    more = [count, str(options.count)] if count and options.count is not None else []
    if name == "calls":
        more = ["--seed", options.seed, "--count", options.count or 5000]
    more += options.rows
    failed = False
    for guest in options.guest or GUESTS:
        command = [sys.executable, "-B", *words, "--guest", guest, "--mimic", mimic_program(options.preset),
                   "--build", preset_dir(options.preset) / name, *more]
        failed |= subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


def soak_saves(options):
    """Machines of all boards, saved and moved at 50 random points each by default (--count boots of 10 points)."""
    inputs.fetch()
    compile_targets(options.preset, ["mimic-system"])
    failed = False
    for cpus, how in itertools.product((1, 2), ([], ["--live"])):
        command = [sys.executable, "-B", ROOT / "tests" / "machines" / "save_test.py", preset_dir(options.preset) / "mimic-system",
                   "--cpus", cpus, "--points", 10, "--count", options.count or 5, "--seed", options.seed, *how]
        failed |= subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


def soak_counted(options):
    """Boots with counted time, ten of each guest by default, which must all be the same."""
    inputs.fetch()
    compile_targets(options.preset, ["mimic-system"])
    commands = [[sys.executable, "-B", ROOT / "tests" / "machines" / "icount_test.py",
                 preset_dir(options.preset) / "mimic-system", "--guest", guest, "--count", options.count or 10]
                for guest in GUESTS]
    failed = [subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode for command in commands]
    return 1 if any(failed) else 0


def soak(options):
    packages.install()
    if not options.name:
        return listing("soak", options.preset, [*SCRIPTS, SAVES, COUNTED])
    if options.rows and options.name not in WITH_ROWS:
        raise DevError(f"{options.name} takes no rows: {' '.join(options.rows)}")
    if options.name == SAVES:
        return soak_saves(options)
    if options.name == COUNTED:
        return soak_counted(options)
    if options.name in SCRIPTS:
        return soak_script(options.name, options)
    name, program = chosen(options.name, "soak", options.preset)
    compile_targets(options.preset, [name])
    how = ["--seed", options.seed, *([] if options.count is None else ["--count", options.count])]
    if name not in BY_GUEST:
        run([program, *how])
        return 0
    inputs.fetch()
    commands = [[program, guest, *how, *BY_GUEST[name](guest)] for guest in GUESTS]
    failed = [subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode for command in commands]
    return 1 if any(failed) else 0


def fuzz(options):
    packages.install()
    if not options.name:
        return listing("fuzz", "fuzz")
    name, program = chosen(options.name, "fuzz", "fuzz")
    compile_targets("fuzz", [name])
    found = BUILD / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    kept = ROOT / "tests" / "fuzz" / name
    # Memory and time a case may take: no input makes us allocate or loop without bound.
    run([program, f"-max_total_time={options.seconds}", "-rss_limit_mb=2048", "-timeout=10",
         f"-artifact_prefix={found}{os.sep}", found, *([kept] if kept.is_dir() else [])])
    return 0
