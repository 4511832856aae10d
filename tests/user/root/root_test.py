"""A small root file system of another architecture, entered as root and as an ordinary user.

    root_test.py --guest aarch64 --mimic FILE --build DIR

The root is made of a few programs of the guest's Debian root. Inside run: ownership.c, whose output must be the native
one of root; dpkg -i of a package with owners, set-id bits and a script; tar, with what it packed and unpacked; then the
export, whose listing must be the same whoever did it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools/dev"))
import inputs  # noqa: E402

PROGRAMS = """bash dash sh cat chmod chown cp echo find grep id install ln ls mkdir mknod mv rm sed sort stat tail tar
              touch test sleep tr true tty uname wc dpkg dpkg-deb dpkg-query dpkg-split diff cmp gzip xz head sync""".split()
NOBODY = 65534
COMPILERS = {"aarch64": "aarch64-linux-gnu-gcc", "riscv64": "riscv64-linux-gnu-gcc"}


def needed(program):
    """The shared libraries that an ELF file names."""
    text = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


def copy_into(sysroot, root, path):
    """Copies a file with the links that lead to it; paths are those inside."""
    source, target = sysroot / path, root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.exists():
        return
    if source.is_symlink():
        to = os.readlink(source)
        target.symlink_to(to)
        inside = to.lstrip("/") if to.startswith("/") else os.path.normpath(f"{Path(path).parent}/{to}")
        copy_into(sysroot, root, inside)
    else:
        shutil.copy2(source, target)


def make_root(sysroot, root):
    libraries = {path.name: path.relative_to(sysroot) for folder in sysroot.glob("usr/lib/*-linux-gnu*")
                 for path in folder.glob("*.so*")}
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    todo = [sysroot / f"usr/bin/{name}" for name in PROGRAMS if (sysroot / f"usr/bin/{name}").exists()]
    loaders = [path for path in sysroot.glob("usr/lib/ld-linux-*")]
    for path in todo + loaders:
        copy_into(sysroot, root, str(path.relative_to(sysroot)))
    seen = set()
    while todo:
        for name in needed(todo.pop().resolve()):
            if name in libraries and name not in seen:
                seen.add(name)
                copy_into(sysroot, root, str(libraries[name]))
                todo.append(sysroot / libraries[name])
    for name in ("etc", "tmp", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "home", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    (root / "var/lib/dpkg/arch").write_text("all\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nmail:x:8:8::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nmail:x:8:\n")


POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ]
mkdir -p /var/spool/mimic
chown mail:mail /var/spool/mimic
chmod 2770 /var/spool/mimic
echo queued > /var/spool/mimic/job
mknod /var/spool/mimic/null c 1 3
chown daemon /var/spool/mimic/null
echo lost > /var/spool/mimic/null
cat /var/spool/mimic/null
"""


def make_package(folder, file):
    control = folder / "DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text("Package: mimic-owners\nVersion: 1\nArchitecture: all\n"
                                     "Maintainer: Nobody <nobody@example.org>\nDescription: files with owners\n")
    (control / "postinst").write_text(POSTINST)
    (control / "postinst").chmod(0o755)
    (folder / "usr/bin").mkdir(parents=True)
    tool = folder / "usr/bin/mimic-owners"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o6755)
    (folder / "usr/lib/mimic").mkdir(parents=True)
    (folder / "usr/lib/mimic/data").write_text("data\n")
    os.link(folder / "usr/lib/mimic/data", folder / "usr/lib/mimic/same")
    (folder / "usr/lib/mimic/link").symlink_to("data")
    # The archive inside a package has the owners that fakeroot pretends; here they are given to tar by hand.
    data = ["tar", "--owner=daemon:1", "--group=mail:8", "--exclude=./DEBIAN", "-C", folder, "-cJf", file.with_name("data.tar.xz"), "."]
    head = ["tar", "--owner=0", "--group=0", "-C", control, "-cJf", file.with_name("control.tar.xz"), "."]
    subprocess.run(data, check=True)
    subprocess.run(head, check=True)
    file.with_name("debian-binary").write_text("2.0\n")
    subprocess.run(["ar", "rc", file.name, "debian-binary", "control.tar.xz", "data.tar.xz"], cwd=file.parent, check=True)


INSIDE = """set -e
export PATH=/usr/sbin:/usr/bin
stat -c '%n %F %a %u:%g' / /etc /tmp
dpkg --force-not-root --force-bad-path -i /mimic-owners.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
tail -n 1 /tmp/dpkg.log
stat -c '%n %F %a %u:%g %t:%T' /usr/bin/mimic-owners /usr/lib/mimic/* /var/spool/mimic /var/spool/mimic/*
mimic-owners
cd /tmp
tar -cf all.tar -C / var/spool/mimic usr/lib/mimic
tar --full-time -tvf all.tar
mkdir out
tar -xpf all.tar -C out --numeric-owner
stat -c '%n %F %a %u:%g %t:%T' out/var/spool/mimic/* out/usr/lib/mimic/*
dpkg --force-not-root -s mimic-owners | grep Status
sleep 100 &
while ! grep -q ^sleep /proc/$!/cmdline; do :; done
tr '\\0' ' ' < /proc/$!/cmdline
ls -l /proc/$!/exe | sed 's/.* -> //'
kill $!
grep -c . /proc/$$/status
rm -r out all.tar dpkg.log
"""
LATER = "stat -c '%n %F %a %u:%g' /usr/bin/mimic-owners /var/spool/mimic /var/spool/mimic/*; " \
        "dpkg --force-not-root -P mimic-owners >/dev/null 2>&1; rm -r /var/spool/mimic; ls /usr/lib /var/spool; exit 3"


class Test:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.mimic = folder / "mimic"
        shutil.copy2(options.mimic, self.mimic)

    def run(self, uid, words, **more):
        """A command of Mimic as a user; nobody's groups and environment are nobody's, too."""
        def become():
            if uid != os.geteuid():
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
        return subprocess.run([self.mimic, *words], capture_output=True, text=True, preexec_fn=become, check=False,
                              cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C", "TZ": "UTC"},
                              timeout=300, **more)

    def inside(self, uid, name, script, ids="auto", status=0):
        result = self.run(uid, ["run", "--root", self.folder / name, "--ids", ids, "/bin/sh", "-c", script])
        if result.returncode != status:
            raise SystemExit(f"{name}: status {result.returncode}, expected {status}\n{result.stdout}\n{result.stderr}")
        return re.sub(r"\d{4}-\d\d-\d\d [\d:]+", "DATE", result.stdout)

    def copy(self, uid, name):
        """A root of the user's own."""
        subprocess.run(["cp", "-a", self.folder / "base", self.folder / name], check=True)
        if uid != os.geteuid():
            subprocess.run(["chown", "-Rh", f"{uid}:{uid}", self.folder / name], check=True)

    def listing(self, uid, name):
        archive = self.folder / f"{name}-archive" / "root.tar"
        archive.parent.mkdir()
        os.chown(archive.parent, uid, uid)
        result = self.run(uid, ["root", "export", self.folder / name, "-o", archive])
        if result.returncode != 0:
            raise SystemExit(f"{name}: export: {result.stderr}")
        text = subprocess.run(["tar", "--numeric-owner", "-tvf", archive], capture_output=True, text=True, check=True).stdout
        return "\n".join(re.sub(r"\S+ \S+ (\./)", r"\1", line) for line in text.splitlines()
                         if "/dev/" not in line and not re.search(r" 0 .*\./(proc|sys|dev)/$", line))


def may_map():
    """newuidmap is there and has ids for nobody."""
    given = [Path(f"/etc/{name}").read_text().splitlines() if Path(f"/etc/{name}").exists() else [] for name in ("subuid", "subgid")]
    return bool(shutil.which("newuidmap")) and all(any(line.startswith("nobody:") for line in lines) for lines in given)


def compare(what, expected, got):
    if expected == got:
        return
    import difflib
    print(f"{what}: not the same")
    print("\n".join(difflib.unified_diff(expected.splitlines(), got.splitlines(), "expected", "got", lineterm="")))
    raise SystemExit(1)


def programs(test, guest):
    """ownership.c for the host and for the guest; the latter lies in the root."""
    native = test.folder / "ownership-native"
    flags = ["-O1", "-w", "-static", HERE / "ownership.c", "-o"]
    subprocess.run(["gcc", *flags, native], check=True)
    subprocess.run([COMPILERS[guest], *flags, test.folder / "base/usr/bin/ownership"], check=True)
    return native


def native_programs(test, guest):
    """A program of the host's that a script names: what the program before set holds for it, too."""
    flags = ["-O1", "-static", HERE / "native.c", "-o"]
    subprocess.run(["gcc", *flags, test.folder / "base/usr/bin/native"], check=True)
    subprocess.run([COMPILERS[guest], *flags, test.folder / "base/usr/bin/filtered"], check=True)
    (test.folder / "base/usr/bin/script").write_text("#!/usr/bin/native limits\n")
    (test.folder / "base/usr/bin/script").chmod(0o755)


NATIVE = """cd /usr/bin
for program in native script; do
    filtered /usr/bin/$program
    sh -c "ulimit -v 8388608; exec /usr/bin/$program"
    sh -c "ulimit -S -d 1048576; exec /usr/bin/$program"
done
"""
NATIVE_SAYS = """Operation not permitted
addresses 8589934592 8589934592, data unlimited unlimited
addresses unlimited unlimited, data 1073741824 unlimited
"""


# Of what Mimic has open: nothing is listed, found by number or through links, and an absolute path minds no descriptor.
KEPT = """cd /tmp
for number in 1012 1013 1014 1015 1016 1017 1018 1019 1020 1021 1022 1023; do
    for way in /proc/self/fd /proc/$$/fd /dev/fd; do
        [ -e $way/$number ] && echo $way/$number: there
        mkdir $way/$number/junk 2>/dev/null && echo $way/$number/junk: made
    done
done
ln -s /proc/self/exe exe
cmp exe /usr/bin/cmp && echo the program
rm exe
"""
KEPT_SAYS = "the program\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--guest", required=True, choices=COMPILERS)
    parser.add_argument("--mimic", required=True, type=Path)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: not root, who is the oracle")
        return 77
    with tempfile.TemporaryDirectory(prefix="mimic-root-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        test = Test(options, folder)
        make_root(inputs.sysroot(options.guest), folder / "base")
        make_package(folder / "package", folder / "base/mimic-owners.deb")
        native = programs(test, options.guest)
        native_programs(test, options.guest)
        expected = {}
        for more in ("", "set-id"):
            work = folder / f"work{more}"
            work.mkdir()
            expected[more] = subprocess.run([native, work, *more.split()], capture_output=True, text=True, check=True).stdout
        outcomes = {}
        cases = [("root", 0, "real"), ("pretence", 0, "pretended"), ("nobody", NOBODY, "pretended")]
        if may_map():
            cases.append(("mapped", NOBODY, "mapped"))
        for who, uid, ids in cases:
            test.copy(uid, who)
            more = "set-id" if ids == "pretended" else ""
            compare(f"{who}: ownership", expected[more], test.inside(uid, who, f"mkdir /w && ownership /w {more}", ids))
            test.inside(uid, who, "rm -r /w", ids)
            compare(f"{who}: kept descriptors", KEPT_SAYS, test.inside(uid, who, KEPT, ids))
            compare(f"{who}: native programs", 2 * NATIVE_SAYS, test.inside(uid, who, NATIVE, ids))
            outcome = test.inside(uid, who, INSIDE, ids)
            outcome += test.listing(uid, who)
            outcome += test.inside(uid, who, LATER, ids, status=3)
            outcomes[who] = outcome
        for who in outcomes:
            compare(who, outcomes["root"], outcomes[who])
        print(f"{len(expected['set-id'].splitlines())} and {len(outcomes['root'].splitlines())} lines agree for {', '.join(outcomes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
