"""A whole Debian of another architecture, made and used inside `mimic run --root`, without binfmt_misc.

    debootstrap.py --guest aarch64 --mimic FILE --build DIR [--full] [--user nobody|root|both] [--keep DIR]

debootstrap's first stage runs natively (an ordinary user's under fakeroot), its second inside; then apt-get update,
apt-get install build-essential, and a package that is built from its Debian source and passes its own tests. --full does
so as root and as an ordinary user, else as an ordinary user alone. Needs the network, and the host's debootstrap and
fakeroot. Roots are left in /var/tmp when something fails; --keep DIR makes them in DIR/nobody and DIR/root and leaves
them always (tests/user/matrix goes on in such a root).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools/dev"))
import inputs  # noqa: E402

NOBODY = 65534
GUESTS = {"aarch64": ("arm64", "bookworm"), "riscv64": ("riscv64", "trixie")}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
BUILD = "apt-get build-dep -y {0} && mkdir -p /home/build && cd /home/build && apt-get source {0} && cd {0}-*/ && " \
        "dpkg-buildpackage -us -uc -b && ls ../*.deb && dpkg -i ../{0}_*.deb && {0} --version | head -n 1"


class Maker:
    """Makes a Debian below `folder`, as user `uid`. `enter`: the words of a command for a script of the root's shell, if
    not Mimic's."""

    def __init__(self, mimic, folder, uid, architecture, suite, enter=None):
        self.architecture, self.suite = architecture, suite
        self.uid = uid
        self.enter = enter or (lambda script: [self.mimic, "run", "--mount", "proc,dev,sys,resolv", "--root", self.root,
                                               "/bin/sh", "-ec", script])
        self.mimic = folder / "mimic"  # a copy, since a build may replace the file
        shutil.copy2(mimic, self.mimic)
        self.root = folder / self.architecture
        self.log = folder / "log"

    def step(self, what, words):
        def become():
            if self.uid != os.geteuid():
                os.setgroups([])
                os.setresgid(self.uid, self.uid, self.uid)
                os.setresuid(self.uid, self.uid, self.uid)
        begun, before = time.monotonic(), os.times()
        with open(self.log, "ab") as log:
            status = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=ENVIRONMENT, preexec_fn=become, cwd="/", check=False).returncode
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"{what}: status {status}, {cpu:.0f} s of CPU, {time.monotonic() - begun:.0f} s", flush=True)
        if status != 0:
            print("\n".join(self.log.read_text(errors="replace").splitlines()[-30:]))
            raise SystemExit(f"{what} failed; all output is in {self.log}, the root in {self.root}")

    def inside(self, what, script):
        self.step(what, self.enter(script))

    def bootstrap(self, packages=""):
        """Both stages; `packages`: with commas, beside those that every Debian has."""
        fake = ["fakeroot"] if self.uid != 0 else []
        include = [f"--include={packages}"] if packages else []
        self.step("first stage", [*fake, "debootstrap", "--foreign", f"--arch={self.architecture}", *include, "--keyring", KEYRING,
                                  self.suite, self.root, inputs.mirror()])
        self.inside("second stage", "/debootstrap/debootstrap --second-stage")

    def debian(self):
        mirror = inputs.mirror()
        self.bootstrap()
        sources = "".join(f"{kind} {mirror} {self.suite} main\n" for kind in ("deb", "deb-src"))
        self.inside("sources", f"printf '%s' '{sources}' > /etc/apt/sources.list")
        self.inside("apt-get update", "apt-get update")

    def make(self):
        self.debian()
        self.inside("build-essential", "apt-get install -y build-essential")
        self.inside("hello from its source", BUILD.format("hello"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True, choices=GUESTS)
    parser.add_argument("--mimic", required=True, type=Path)
    parser.add_argument("--build", type=Path, help="not used: roots lie in /var/tmp, where an ordinary user may write")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--user", choices=("nobody", "root", "both"))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the roots in DIR and leave them")
    options = parser.parse_args()
    for tool in ("debootstrap", "fakeroot"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool}: not found; apt-get install {tool}")
    if os.geteuid() != 0:
        users = [("nobody", os.geteuid())]
    else:
        users = [("nobody", NOBODY), ("root", 0)]
        wanted = options.user or ("both" if options.full else "nobody")
        users = [user for user in users if wanted in ("both", user[0])]
    for name, uid in users:
        if options.keep:
            folder = options.keep.resolve() / name
            folder.mkdir(parents=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix="mimic-debootstrap-", dir="/var/tmp"))
        if uid != os.geteuid():
            os.chown(folder, uid, uid)
        folder.chmod(0o755)
        print(f"--- {options.guest} as {name}", flush=True)
        Maker(options.mimic, folder, uid, *GUESTS[options.guest]).make()
        if not options.keep:
            subprocess.run(["rm", "-rf", folder], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
