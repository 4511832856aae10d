"""The Debian packages that building, testing and measuring need, and their installation."""

import os
import subprocess

from common import as_root, output, run, say

PACKAGES = {
    "build": "g++ cmake ninja-build ccache pkg-config git",
    "libraries": """libfmt-dev libgtest-dev libbenchmark-dev nlohmann-json3-dev libasmjit-dev libzydis-dev libasio-dev
                    liburing-dev libslirp-dev libfdt-dev zlib1g-dev libzstd-dev libbz2-dev libxxhash-dev
                    libssl-dev libgnutls28-dev libcurl4-openssl-dev libssh-dev""",
    "checks": "clang clang-format clang-tidy valgrind",
    "guest compilers": """gcc-riscv64-linux-gnu g++-riscv64-linux-gnu gcc-aarch64-linux-gnu g++-aarch64-linux-gnu
                          binutils-riscv64-linux-gnu binutils-aarch64-linux-gnu""",
    "firmware": "opensbi u-boot-qemu qemu-efi-aarch64",
    "machine tools": "device-tree-compiler e2fsprogs gdb-multiarch gnutls-bin iproute2 mtools python3-websockets",
    "references": """qemu-user qemu-utils qemu-system-common nbdkit libnbd-bin fio libvhdi-utils
                     cryptsetup-bin dosfstools nginx-light openssh-server""",
    # The native side of each comparison with a guest's build of the same program.
    "native programs": """bash bzip2 coreutils make mawk perl python3 sqlite3 openssl xz-utils zstd gcc-12 binutils
                          libc6-dev debian-archive-keyring""",
}


def wanted():
    return sorted({name for group in PACKAGES.values() for name in group.split()})


def missing(names):
    """Those of `names` that dpkg does not know as installed."""
    reply = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *names],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    installed = {line.split()[0] for line in reply.splitlines() if line.split()[1:2] == ["ii"]}
    return [name for name in names if name not in installed]


def install():
    """Installs what is missing; a few milliseconds when nothing is."""
    names = missing(wanted())
    if not names:
        return
    say(f"installing {len(names)} packages: {' '.join(names)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(as_root(["apt-get", "update", "-qq"]), env=environment)
    run(as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
                 "--no-install-recommends", *names]), stdout=subprocess.DEVNULL)


def version(name):
    """The installed version of a package."""
    return output(["dpkg-query", "-W", "-f", "${Version}", name])
