#!/usr/bin/env python3
"""A whole Debian on a disk: booted to its login prompt, used and powered off.

  userland_test.py --guest aarch64 --mimic FILE --build DIR [--root DIR] [--emulator PROGRAM] [--cpus N] [--runs N]

debootstrap makes a root with systemd and gcc, its second stage inside `mimic run --root`; it goes onto an ext4 disk behind
virtio. The guest's kernel (of the machines' inputs) boots it on `mimic-system`, which lies beside `mimic`. At the login prompt
root logs in, compiles a C program, runs it, asks systemd for units that failed, and powers off; the machine must leave by
itself, the file system must have no faults, and the program's output must be on it. --root takes a root that is there (it is
copied), --emulator another program with the same words. Each step is told with the seconds of CPU since the machine's start.
Needs root, the network (without --root), and the host's debootstrap and e2fsprogs.
"""
import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[1] / "tools" / "dev", HERE.parent / "user" / "root"):
    sys.path.insert(0, str(folder))
import debootstrap  # noqa: E402
import initramfs  # noqa: E402
import run  # noqa: E402

BOARDS = {"aarch64": (["-M", "virt", "-cpu", "cortex-a57"], "ttyAMA0"), "riscv64": (["-M", "virt"], "ttyS0")}
PACKAGES = "systemd-sysv,udev,login,passwd,kmod,gcc,libc6-dev,iproute2,e2fsprogs"
# Beside those of the initial RAM disk: what systemd mounts.
MODULES = "autofs4 configfs fuse efivarfs efi_pstore dm_mod loop drm virtio_net"
# On a busy host devices are there late.
PATIENCE = "systemd.default_device_timeout_sec=1200"
SETTINGS = """
echo root:secret | chpasswd
echo machine > /etc/hostname
echo '127.0.0.1 localhost machine' > /etc/hosts
echo '/dev/vda / ext4 defaults 0 1' > /etc/fstab
"""
PROGRAM = r"""cat > sum.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char** argv) {
    unsigned long sum = 0;
    for (unsigned long n = 1; n <= strtoul(argv[1], 0, 0); n++) sum += n * n;
    printf("sum=%lu\n", sum);
    return argc - 2;
}
END
gcc -O2 -Wall sum.c -o sum && ./sum 1000000 | tee sum.out
"""
SUM = "sum=333333833333500000"
# What is typed must not look like what is waited for.
STEPS = (
    ("login prompt", r"login: ", "root\n"),
    ("password", r"Password: ", "secret\n"),
    ("logged in", r"root@\S+:~# ", PROGRAM),
    ("compiled and ran", SUM, "echo uni''ts; systemctl is-system-running --wait; systemctl --failed --no-legend --plain --no-pager; echo processors=$(nproc)\n"),
    ("system state", r"units\r*\n(?s:.*?)processors=\d+", "poweroff\n"),
)


def make_root(options, folder):
    """A Debian in the folder, its settings made."""
    architecture, suite = debootstrap.GUESTS[options.guest]
    maker = debootstrap.Maker(options.mimic, folder, os.geteuid(), architecture, suite)
    if options.root:
        subprocess.run(["cp", "-a", "--reflink=auto", options.root, maker.root], check=True)
    else:
        maker.bootstrap(PACKAGES)
    version = add_modules(maker.root, options.guest)
    maker.inside("settings", SETTINGS + f"depmod {version}\n")
    return maker.root


def add_modules(root, guest):
    """The kernel's modules that programs of the root may load; its version."""
    inputs = run.INPUTS / "machines" / guest
    version = (sorted(inputs.glob("usr/lib/modules/*")) or sorted(inputs.glob("lib/modules/*")))[0]
    target = root / "usr/lib/modules" / version.name
    for file in initramfs.module_files(version, f"{initramfs.MODULES} {MODULES}"):
        (target / file.relative_to(version)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / file.relative_to(version))
    for file in version.glob("modules.*"):
        shutil.copy(file, target)
    return version.name


def make_disk(root, disk):
    with open(disk, "wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk], check=True)


def cpu_seconds(process):
    """Of a child that runs."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def boot(options, work):
    """Boots, does the steps and waits for the end; raises run.Failure."""
    board, terminal = BOARDS[options.guest]
    program = [options.emulator] if options.emulator else [options.mimic.with_name("mimic-system"), options.guest]
    console = run.Console([*program, *board, "-m", "1G", "-smp", str(options.cpus), "-nographic", "-nic", "none",
                           "-kernel", run.INPUTS / "machines" / options.guest / "kernel", "-initrd", work / "initrd.gz",
                           "-append", f"root=/dev/vda console={terminal} {PATIENCE}",
                           "-drive", f"file={work}/disk.img,format=raw,if=virtio"], time.monotonic() + options.limit)
    begun, before, times = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN), []
    try:
        at = 0
        for name, wanted, text in STEPS:
            at = console.wait_for(wanted, at)
            times.append((name, cpu_seconds(console.process)))
            console.type(text.encode())
        while console.process.poll() is None:
            console.read()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(("powered off", after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
        if console.process.returncode:
            raise run.Failure(f"left with status {console.process.returncode}, expected 0")
        check_disk(work / "disk.img")
    except run.Failure:
        print(console.shown.decode(errors="replace")[-6000:])
        raise
    finally:
        (work / "console.log").write_bytes(console.shown)
        if console.process.poll() is None:
            console.process.kill()
            console.process.wait()
    state = re.search(rb"units\r*\n((?s:.*?)processors=\d+)", console.shown)[1].decode(errors="replace").split()
    return times, time.monotonic() - begun, state


def check_disk(disk):
    check = subprocess.run(["e2fsck", "-fn", disk], capture_output=True, text=True, check=False)
    if check.returncode:
        raise run.Failure(f"e2fsck: {check.stdout}")
    found = subprocess.run(["debugfs", "-R", "cat /root/sum.out", disk], capture_output=True, text=True, check=False).stdout
    if found != SUM + "\n":
        raise run.Failure(f"/root/sum.out on the disk is {found!r}, expected {SUM!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True, choices=list(BOARDS))
    parser.add_argument("--mimic", required=True, type=Path)
    parser.add_argument("--build", required=True, type=Path, help="where the disk and the console's text are left")
    parser.add_argument("--root", type=Path, help="a Debian that is there, with the packages " + PACKAGES)
    parser.add_argument("--emulator", type=Path)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1, help="boots, each of a fresh disk")
    parser.add_argument("--limit", type=int, default=1200, help="seconds a boot may take")
    options = parser.parse_args()
    missing = [tool for tool in ("debootstrap", "mke2fs", "e2fsck", "debugfs") if not shutil.which(tool)]
    if missing or os.geteuid():
        raise SystemExit(f"{missing[0]}: not found" if missing else "the root's files need their owners, expected to run as root")
    work = options.build / options.guest
    work.mkdir(parents=True, exist_ok=True)
    pristine = work / "pristine.img"
    if not pristine.exists() or options.root:
        with tempfile.TemporaryDirectory(prefix="mimic-userland-", dir="/var/tmp") as folder:
            root = make_root(options, Path(folder))
            make_disk(root, pristine)
    base = run.INPUTS / "machines" / options.guest / "initramfs.cpio.gz"
    (work / "initrd.gz").write_bytes(initramfs.with_init(base, HERE / "userland.sh"))
    for number in range(1, options.runs + 1):
        subprocess.run(["cp", "--sparse=always", pristine, work / "disk.img"], check=True)
        try:
            times, seconds, state = boot(options, work)
        except run.Failure as failure:
            raise SystemExit(f"{options.guest}: run {number}: FAILED: {failure}") from None
        print(f"{options.guest}: run {number}: {', '.join(f'{name} {cpu:.1f}' for name, cpu in times)} s of CPU, "
              f"{seconds:.0f} s; {' '.join(state)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
