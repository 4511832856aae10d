"""Real inputs: userlands that Debian built for other architectures, and the reference emulator's newer release.

Each root is resolved by apt under a private configuration (the system's own state is never touched) and unpacked without
running any package's scripts. A root that is complete carries a stamp, so a second run does nothing and a broken one
resumes with the packages that it has already downloaded.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass

import initramfs
from common import INPUTS, DevError, output, run, say

USERLAND = """bash dash coreutils grep sed findutils diffutils tar gzip bzip2 mawk make hostname perl perl-base sqlite3
              openssl xz-utils zstd python3 libpython3-stdlib gcc binutils libc6-dev libc-bin libstdc++6"""


INSTALLER = "./usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64"


@dataclass(frozen=True)
class Root:
    """One unpacked set of packages below the inputs folder."""
    folder: str
    suite: str
    architecture: str
    packages: str
    depends: bool = True  # with everything the packages depend on
    only: str = ""  # patterns of the files to unpack; empty for all
    newest: str = ""  # with the package that this one depends on first: a kernel of the suite's present version

    def path(self):
        return INPUTS / self.folder

    def stamp(self):
        """Changes whenever the contents that we ask for change."""
        text = f"3 {self.suite} {self.architecture} {' '.join(self.packages.split())} {self.depends} {self.only}"
        if self.newest:
            text += f" {self.newest} {initramfs.stamp()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def complete(self):
        try:
            return (self.path() / ".stamp").read_text() == self.stamp()
        except OSError:
            return False


ROOTS = (
    Root("sysroot/arm64", "bookworm", "arm64", USERLAND + " gcc-12"),
    Root("sysroot/riscv64", "trixie", "riscv64", USERLAND + " gcc-14"),
    # The riscv64 programs' native twins; those of the arm64 root are the host's own.
    Root("sysroot/amd64", "trixie", "amd64", USERLAND + " gcc-14 cpp-14-riscv64-linux-gnu"),
    # An assembler and a disassembler that know the extensions of this decade.
    Root("binutils", "trixie", "amd64", "binutils-riscv64-linux-gnu binutils-aarch64-linux-gnu"),
    Root("qemu-10", "trixie", "amd64", "qemu-user", depends=False,
         only="./usr/bin/qemu-aarch64 ./usr/bin/qemu-riscv64 ./usr/bin/qemu-x86_64"),
    # Kernels and what their first user program is made of.
    Root("machines/riscv64", "trixie", "riscv64", "busybox-static", depends=False, newest="linux-image-riscv64"),
    Root("machines/aarch64", "bookworm", "arm64", "busybox-static", depends=False, newest="linux-image-arm64"),
    # Debian's installer for the network: its kernel, its whole system as an initial RAM disk, and GRUB.
    Root("machines/aarch64-installer", "bookworm", "arm64", "debian-installer-12-netboot-arm64", depends=False,
         only=f"{INSTALLER}/linux {INSTALLER}/initrd.gz {INSTALLER}/grubaa64.efi"),
)

# What nobody runs: it halves the roots.
EXCLUDED = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*",
            "./usr/share/lintian/*", "./dev/*")


def mirror():
    """The archive that the system's own sources use for its main suite."""
    suites = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).splitlines()
    for line in suites:
        uri, _, release = line.partition(" ")
        if uri.rstrip("/").endswith("/debian") and "-" not in release:
            return uri.rstrip("/")
    raise DevError("apt sources: no Debian archive found, expected an entry whose address ends with /debian")


class PrivateApt:
    """apt-get with its own lists, cache and empty package status for one suite and architecture."""

    def __init__(self, suite, architecture):
        self.suite = suite
        self.folder = INPUTS / "apt" / f"{suite}-{architecture}"
        self.architecture = architecture

    def prepare(self):
        for name in ("lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d",
                     "etc/apt.conf.d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (self.folder / "etc/sources.list").write_text(f"deb [signed-by={keyring}] {mirror()} {self.suite} main\n")
        (self.folder / "status").touch()

    def command(self, *words):
        d = self.folder
        options = {
            "APT::Architecture": self.architecture, "APT::Architectures": self.architecture,
            "Dir::State": d, "Dir::State::Lists": d / "lists", "Dir::State::status": d / "status",
            "Dir::Cache": d / "cache", "Dir::Etc": d / "etc", "Dir::Etc::sourcelist": d / "etc/sources.list",
            "Dir::Etc::sourceparts": d / "etc/sources.list.d",
            "Dir::Etc::preferencesparts": d / "etc/preferences.d",
            "APT::Sandbox::User": "root", "APT::Install-Recommends": "false", "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return ["apt-get", *(f"-o{key}={value}" for key, value in options.items()), "-qq", *words]

    def download(self, packages, depends):
        """Fetches the packages and returns their files; what is in the cache is not fetched again."""
        run(self.command("update"))
        archives = self.folder / "cache/archives"
        verb = ["install", "--download-only", "-y"] if depends else ["download"]
        # Asked with an empty cache, apt lists every file; the real cache may hold others of an older attempt.
        nothing = self.folder / "empty"
        (nothing / "partial").mkdir(parents=True, exist_ok=True)
        uris = output(self.command(f"-oDir::Cache::archives={nothing}", *verb, "--print-uris", *packages)).splitlines()
        files = [archives / line.split()[1] for line in uris if line.startswith("'")]
        if not all(file.exists() for file in files):
            run(self.command(*verb, *packages), cwd=archives, stdout=subprocess.DEVNULL)
        return files

    def first_dependency(self, package):
        """The first package that `package` depends on."""
        command = self.command()
        command[0] = "apt-cache"
        for line in output([*command, "depends", "--important", package]).splitlines():
            if line.strip().startswith("Depends:"):
                return line.split()[1]
        raise DevError(f"{package}: {self.suite} {self.architecture} has no such package")

    def remove(self):
        """Drops lists and packages; the root that they made is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def unpack(package, target, only=""):
    """Unpacks one .deb (the files in `only`, or all); unlike `dpkg -x`, directories that are links stay links."""
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    excluded = [f"--exclude={pattern}" for pattern in EXCLUDED]
    run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", *excluded, "-C", target,
         *only.split()], stdin=reader.stdout)
    reader.stdout.close()
    if reader.wait() != 0:
        raise DevError(f"{package.name}: damaged package; remove it and run './dev setup' again")


def merged_usr(target):
    """/bin, /sbin, /lib and /lib64 are links into /usr, as on an installed system."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (target / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (target / name).is_symlink():
            (target / name).symlink_to(f"usr/{name}")


def complete_userland(target):
    """The few files that the packages' scripts would have made."""
    for name in ("etc", "tmp", "proc", "dev", "sys", "root"):
        (target / name).mkdir(exist_ok=True)
    (target / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")
    (target / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    for link, to in (("usr/bin/awk", "mawk"), ("usr/bin/sh", "dash")):
        if not (target / link).exists():
            (target / link).symlink_to(to)


def make_root(root):
    say(f"{root.folder}: fetching Debian {root.suite}'s {root.architecture} packages (once)")
    apt = PrivateApt(root.suite, root.architecture)
    apt.prepare()
    names = root.packages.split()
    if root.newest:
        run(apt.command("update"))
        names.append(apt.first_dependency(root.newest))
    packages = apt.download(names, root.depends)
    if not packages:
        raise DevError(f"{root.folder}: apt chose no packages for {root.suite} {root.architecture}")
    target = root.path()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if root.depends:
        merged_usr(target)
    for package in packages:
        unpack(package, target, root.only)
    if root.depends:
        complete_userland(target)
    if root.newest:
        initramfs.make_all(target)
    (target / ".packages").write_text("".join(f"{package.stem}\n" for package in packages))
    (target / ".stamp").write_text(root.stamp())
    apt.remove()


def fetch():
    """Makes every root that is not complete; nothing to do takes no time."""
    todo = [root for root in ROOTS if not root.complete()]
    if not todo:
        return
    if not shutil.which("dpkg-deb") or not shutil.which("apt-get"):
        raise DevError("the real inputs are Debian packages: apt-get and dpkg-deb are needed (a Debian 12 host)")
    INPUTS.mkdir(parents=True, exist_ok=True)
    lock = INPUTS / ".lock"
    with open(lock, "w", encoding="utf-8") as held:
        import fcntl
        fcntl.flock(held, fcntl.LOCK_EX)  # two set-ups at once would unpack over each other
        for root in todo:
            if not root.complete():
                make_root(root)


def sysroot(guest):
    """The Debian root of a guest named as Mimic names it (aarch64, riscv64)."""
    return INPUTS / "sysroot" / {"aarch64": "arm64", "riscv64": "riscv64"}[guest]
