"""./dev: everything a contributor does, one command each."""

import argparse
import sys

import bench
import build
import check
import demo
import inputs
import packages
from common import PRESETS, DevError

EPILOG = """\
A new machine needs nothing but './dev test': it installs what is missing (Debian 12, as root or with sudo), fetches the
real inputs once into build/inputs, builds into build/release and runs the tests. Each command has its own --help.

environment:
  MIMIC_INPUTS=DIR   where the real inputs are (default: build/inputs); several work trees may share one
  MIMIC_JOBS=N       jobs of a build or test run (default: the number of processors)
  CCACHE_DIR=DIR     ccache's folder, as usual
"""


def setup(_options):
    packages.install()
    inputs.fetch()
    return 0


def parser():
    top = argparse.ArgumentParser(prog="./dev", description=__doc__, epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, run, text, more=""):
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ". " + more)
        sub.set_defaults(run=run)
        return sub

    command("setup", setup, "install Debian packages and fetch the real inputs",
            "Does nothing, quickly, when all is there; a broken download resumes.")
    sub = command("build", build.build, "configure and build a preset", "The result is in build/PRESET.")
    sub.add_argument("preset", nargs="?", default="release", choices=PRESETS, help="default: release")
    sub.add_argument("targets", nargs="*", metavar="TARGET", help="build only these, e.g. base_test")
    build.add_test_options(command("test", build.test, "set up, build and run the tests",
                                   "Exit status 0 when every test passed and each skipped one is in tests/skips.txt."))
    check.add_options(command("check", check.check, "what to run before a commit",
                              "Formatting, clang-tidy on changed files, rooms and arrows, quick tests, long files."))
    bench.add_options(command("bench", bench.bench, "measure Mimic beside the references and native code",
                              "Minimum user+system CPU time of interleaved rounds; results must agree bit for bit."))
    sub = command("soak", build.soak, "run a long randomised test, replayable by its seed",
                  "Without NAME: lists them. CI runs the same programs with a small count.")
    sub.add_argument("name", nargs="?", help="a target NAME_soak; corpus: the bench under both engines; real: Debian's "
                     "programs on 100 MB; debootstrap: a Debian made inside; matrix: large programs in such a one; storms: "
                     "short ones again and again there; calls: hostile system calls; machines_save: "
                     "machines saved and loaded; icount: boots with counted time; userland: a whole Debian booted from a disk")
    sub.add_argument("rows", nargs="*", metavar="ROW", help="matrix, storms: rows of their tables (default: all); cpython test_os ...: of these modules")
    sub.add_argument("--guest", action="append", choices=build.GUESTS, help="of the scripts: one guest alone")
    sub.add_argument("--seed", type=int, default=1, metavar="N", help="first seed (default: 1)")
    sub.add_argument("--count", "--runs", type=int, metavar="N", help="cases to run (real: megabytes of input; matrix, storms: runs of each row; default: the program's own)")
    sub.add_argument("--preset", default="release", choices=PRESETS, help="build to use (default: release)")
    sub = command("fuzz", build.fuzz, "fuzz one target with libFuzzer",
                  "Without NAME: lists them. New inputs go to build/corpus/NAME; a crash is written there, too.")
    sub.add_argument("name", nargs="?", help="a target NAME_fuzz")
    sub.add_argument("--seconds", type=int, default=60, metavar="N", help="how long (default: 60)")
    command("demo", demo.demo, "set up, run foreign programs, print the speed table",
            "A Debian arm64 python3 script and a RISC-V program under Mimic, then a short bench.")
    return top


def main():
    options = parser().parse_args()
    try:
        return options.run(options)
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
