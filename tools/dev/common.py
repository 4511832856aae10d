"""Paths and small helpers that every command of ./dev uses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
# Several work trees may share one copy of the real inputs.
INPUTS = Path(os.environ.get("MIMIC_INPUTS", BUILD / "inputs"))
PRESETS = ("release", "debug", "asan", "ubsan", "tsan", "fuzz")
JOBS = os.environ.get("MIMIC_JOBS", str(os.cpu_count() or 2))


class DevError(Exception):
    """Trouble that the user can act on; printed as one line, exit status 1."""


def say(text):
    print(f"dev: {text}", file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a command in the root of the tree; a failure is a DevError that names it."""
    command = [str(word) for word in command]
    options.setdefault("cwd", ROOT)
    try:
        result = subprocess.run(command, **options)
    except FileNotFoundError:
        raise DevError(f"{command[0]}: not found, expected after './dev setup'") from None
    if result.returncode != 0:
        raise DevError(f"{' '.join(command[:6])}{' ...' if len(command) > 6 else ''}: exit status {result.returncode}")
    return result


def output(command, **options):
    """The command's standard output, stripped; a failure is a DevError."""
    return run(command, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def as_root(command):
    """The command, with sudo in front unless we are root."""
    if os.geteuid() == 0:
        return list(command)
    if not shutil.which("sudo"):
        raise DevError(f"'{' '.join(command[:3])}' needs root: run as root or install sudo")
    return ["sudo", *command]


def preset_dir(preset):
    return BUILD / preset


def mimic_program(preset="release"):
    """Where the build puts `mimic`; the file may not be there yet."""
    return preset_dir(preset) / "mimic"
