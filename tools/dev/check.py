"""check: what a change must pass before it is committed."""

import re
import subprocess
import sys

import arrows
import build
import packages
from common import JOBS, ROOT, output, preset_dir, say

LONG_FILE = 600
LONG_FUNCTION = 60


def add_options(parser):
    parser.add_argument("--fix", action="store_true", help="format files and write the arrows block instead of failing")
    parser.add_argument("--all", action="store_true", help="every file, not only the changed ones")
    parser.add_argument("--base", metavar="REV", help="changed since REV (default: the fork from main, or the last commit)")
    parser.add_argument("--sanitize", choices=("asan", "ubsan", "tsan"), metavar="WHICH",
                        help="instead: quick tests and guest programs under a sanitizer (asan, ubsan, tsan)")
    parser.add_argument("--no-tidy", action="store_true", help="leave clang-tidy out (it takes seconds a file)")


def base_revision():
    """Where this branch left main; on main itself the commit before."""
    for name in ("main", "origin/main"):
        found = subprocess.run(["git", "merge-base", "HEAD", name], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip() != output(["git", "rev-parse", "HEAD"]):
            return found.stdout.strip()
    parent = subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD~1"], cwd=ROOT, stdout=subprocess.PIPE,
                            text=True, check=False)
    return parent.stdout.strip() or "HEAD"


def files(options):
    """C++ files to look at: changed since the base, in the work tree too, or all."""
    listed = output(["git", "ls-files", "--cached", "--others", "--exclude-standard", "src", "bench", "tests"]).split("\n")
    if not options.all:
        changed = output(["git", "diff", "--name-only", options.base or base_revision()]).split("\n")
        changed += output(["git", "ls-files", "--others", "--exclude-standard"]).split("\n")
        listed = [name for name in listed if name in set(changed)]
    return [name for name in listed if name.endswith((".cpp", ".hpp", ".c", ".h")) and (ROOT / name).exists()]


def formatting(names, fix):
    if not names:
        return True
    mode = ["-i"] if fix else ["--dry-run", "--Werror"]
    return subprocess.run(["clang-format", *mode, *names], cwd=ROOT, check=False).returncode == 0


def tidy(names):
    """clang-tidy on sources that the build knows."""
    known = (preset_dir("release") / "compile_commands.json").read_text()
    names = [name for name in names if name.endswith(".cpp") and f'{ROOT / name}"' in known]
    if not names:
        return True
    lines = "\n".join(names)
    result = subprocess.run(["xargs", "-P", JOBS, "-n", "1", "clang-tidy", "--quiet", "-p", preset_dir("release")],
                            input=lines, cwd=ROOT, text=True, stderr=subprocess.DEVNULL, check=False)
    return result.returncode == 0


def long_functions(text):
    """(first line, name, lines) of functions longer than we like: a brace block whose head ends with ') {'."""
    lines = text.splitlines()
    found = []
    start = None
    for number, line in enumerate(lines, 1):
        head = re.match(r"(\w[\w:<>,&*\s~]*?)([\w:~]+)\(.*\{$", line)
        if head and not line.startswith(("namespace", "struct", "class", "enum")):
            start, name = number, head[2]
        elif line.startswith("}") and start:
            if number - start > LONG_FUNCTION:
                found.append((start, name, number - start))
            start = None
    return found


def lengths():
    """Reports long files and functions; a report only: a table of rows may be long."""
    for name in output(["git", "ls-files", "src", "tests", "tools", "bench"]).split("\n"):
        if not name.endswith((".cpp", ".hpp", ".py", ".c", ".h")) or not (ROOT / name).exists():
            continue
        text = (ROOT / name).read_text(errors="replace")
        count = text.count("\n")
        if count > LONG_FILE:
            print(f"long: {name}: {count} lines, {LONG_FILE} is a long file")
        for line, function, length in long_functions(text) if name.endswith(".cpp") else ():
            print(f"long: {name}:{line}: {function} has {length} lines, {LONG_FUNCTION} is a long function")


def conditional_awaits(text):
    """Lines with `a ? co_await b : c` or `a ? b : co_await c`: GCC 12 destroys the operand's temporaries twice there."""
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*', lambda m: " " * len(m[0]), text)
    return [code.count("\n", 0, m.start()) + 1 for m in re.finditer(r"\?[^;{}?]*\bco_await\b", code)]


def awaits(names):
    """No await is one side of a conditional expression."""
    found = [f"{name}:{line}" for name in names for line in conditional_awaits((ROOT / name).read_text(errors="replace"))]
    for place in found:
        print(f"{place}: co_await in a conditional expression; GCC 12 frees twice: write if and else")
    return not found


def sanitized(preset):
    """The quick tests, then the guest programs, in a build with a sanitizer; real programs are left to the fast build."""
    build.compile_targets(preset)
    quick = build.run_tests(preset, "quick") == 0
    programs = build.run_tests(preset, "full", ["^run[.]", "^user[.]"]) == 0
    say(f"{preset}: quick tests {'ok' if quick else 'FAILED'}, guest programs {'ok' if programs else 'FAILED'}")
    return 0 if quick and programs else 1


def check(options):
    packages.install()
    if options.sanitize:
        return sanitized(options.sanitize)
    names = files(options)
    steps = {"format": formatting(names, options.fix), "awaits": awaits(names)}
    build.compile_targets("release")
    declared = preset_dir("release") / "arrows.txt"
    steps["arrows"] = arrows.main([declared, *(["--write"] if options.fix else [])]) == 0
    if not options.no_tidy:
        steps["tidy"] = tidy(names)
    steps["quick tests"] = build.run_tests("release", "quick") == 0
    lengths()
    sys.stdout.flush()
    for name, passed in steps.items():
        say(f"{name}: {'ok' if passed else 'FAILED'}")
    return 0 if all(steps.values()) else 1
