"""Initial RAM file systems for the kernels that machines boot: a static busybox and an /init that prints fixed lines.

The archive is cpio in its "newc" form, written here, so that the result is the same everywhere and device nodes need no
root. What /init does is said by "t=" on the kernel's command line: poweroff (default), reboot, shell, disk, net, none.
"""

import gzip
import hashlib
import lzma
import re
import stat

from common import DevError

# What every /init begins with; `. /begin` in those of the tests.
BEGIN = """\
/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
export PATH=/bin
/bin/busybox --install -s /bin
exec </dev/console >/dev/console 2>&1
"""

INIT = "#!/bin/sh\n" + BEGIN + r"""echo "INIT-START"
for word in $(cat /proc/cmdline); do
  case $word in t=*) t=${word#t=};; tdev=*) tdev=${word#tdev=};; esac
done
for module in $(cat /modules/order 2>/dev/null); do
  insmod "/modules/$module" || echo "INSMOD-FAIL $module"
done
echo "UNAME $(uname -srm)"
echo "CPUS $(grep -c '^processor' /proc/cpuinfo)"
echo "MEMKB $(awk '/^MemTotal/{print $2}' /proc/meminfo)"
echo "INTERRUPTS-BEGIN"; cat /proc/interrupts; echo "INTERRUPTS-END"
echo "IOMEM-BEGIN"; cat /proc/iomem; echo "IOMEM-END"
echo "CLOCKSOURCE $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null)"
echo "DATE $(date -u +%Y-%m-%d)"
for bus in pci virtio platform; do
  for device in /sys/bus/$bus/devices/*; do
    [ -e "$device" ] || continue
    driver=-; [ -e "$device/driver" ] && driver=$(basename "$(readlink "$device/driver")")
    echo "DEVICE $bus ${device##*/} driver=$driver"
  done
done
echo "BLOCK $(ls /sys/block 2>/dev/null | grep -v -E '^(ram|loop)' | tr '\n' ' ')"
echo "NET $(ls /sys/class/net 2>/dev/null | tr '\n' ' ')"
case $t in
disk)
  sleep 1
  dd if="$tdev" bs=512 count=8 2>/dev/null | md5sum
  mount -t ext4 -o ro "$tdev" /mnt 2>/dev/null || mount -t ext2 -o ro "$tdev" /mnt 2>/dev/null
  echo "DISK $(cat /mnt/hello 2>/dev/null)"; umount /mnt 2>/dev/null;;
net)
  ip link set lo up
  n=$(ls /sys/class/net | grep -v -E '^(lo|sit|tunl|ip6)' | head -n1)
  ip link set "$n" up
  udhcpc -i "$n" -n -q -t 5 -s /bin/udhcpc.sh && echo "NET-DHCP-OK"
  ping -c 1 -W 3 10.0.2.2 && echo "NET-PING-OK";;
shell) echo "INIT-SHELL"; setsid -c sh;;
esac
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
sync
case $t in reboot) reboot -f;; none) ;; *) poweroff -f;; esac
while :; do sleep 60; done
"""

LEASE = r"""#!/bin/sh
[ "$1" = bound ] && ifconfig $interface $ip netmask $subnet && route add default gw $router && echo "LEASE $ip"
exit 0
"""

MODULES = "virtio_mmio virtio_pci virtio_blk virtio_net virtio_console virtio_rng crc32c_generic ext4 rtc-goldfish"


def stamp():
    return hashlib.sha256((INIT + LEASE + MODULES).encode()).hexdigest()[:16]


class Archive:
    """A cpio archive in memory; owners and times are zero."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        path = name.encode() + b"\0"
        numbers = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08x" % n for n in numbers) + path
        self.parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def finish(self):
        self.add("TRAILER!!!", 0)
        return gzip.compress(b"".join(self.parts), 6, mtime=0)


def module_files(folder, wanted):
    """The files of the modules and of what they depend on, in the order of loading."""
    depends, by_name = {}, {}
    found = sorted(folder.rglob("*.ko*"))
    for file in found:
        by_name[re.sub(r"\.ko.*$", "", file.name).replace("-", "_")] = file
    for name, file in by_name.items():
        text = contents(file)
        start = text.find(b"\0depends=")
        end = text.find(b"\0", start + 1)
        depends[name] = [d.decode().replace("-", "_") for d in text[start + 9:end].split(b",") if d and start >= 0]
    order = []

    def visit(name):
        for other in depends[name]:
            if other in by_name:
                visit(other)
        if by_name[name] not in order:
            order.append(by_name[name])

    for name in wanted.replace("-", "_").split():
        if name in by_name:
            visit(name)
    return order


def contents(file):
    data = file.read_bytes()
    if file.suffix == ".xz":
        return lzma.decompress(data)
    if file.suffix == ".gz":
        return gzip.decompress(data)
    return data


def make(target, busybox, modules):
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "tmp", "mnt", "modules"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes())
    archive.add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
    archive.add("bin/udhcpc.sh", stat.S_IFREG | 0o755, LEASE.encode())
    archive.add("init", stat.S_IFREG | 0o755, INIT.encode())
    names = []
    for file in modules:
        name = re.sub(r"\.(xz|gz|zst)$", "", file.name)
        archive.add(f"modules/{name}", stat.S_IFREG | 0o644, contents(file))
        names.append(name)
    if names:
        archive.add("modules/order", stat.S_IFREG | 0o644, ("\n".join(names) + "\n").encode())
    target.write_bytes(archive.finish())


def with_init(base, script, programs=()):
    """The archive `base` with the file `script` as its /init, and those files as its programs."""
    archive = Archive()
    for program in programs:
        archive.add(f"bin/{program.name}", stat.S_IFREG | 0o755, program.read_bytes())
    archive.add("begin", stat.S_IFREG | 0o644, BEGIN.encode())
    archive.add("init", stat.S_IFREG | 0o755, script.read_bytes())
    return base.read_bytes() + archive.finish()


def make_all(root):
    """initramfs-min.cpio.gz without and initramfs.cpio.gz with modules; `kernel` is a link to the kernel."""
    busybox = next((root / name for name in ("usr/bin/busybox", "bin/busybox") if (root / name).exists()), None)
    kernels = sorted((root / "boot").glob("vmlinu*"))
    folders = sorted(root.glob("usr/lib/modules/*")) or sorted(root.glob("lib/modules/*"))
    if not busybox or not kernels or not folders:
        raise DevError(f"{root}: expected a busybox, a kernel in boot/ and its modules")
    link = root / "kernel"
    link.unlink(missing_ok=True)
    link.symlink_to(kernels[0].relative_to(root))
    make(root / "initramfs-min.cpio.gz", busybox, [])
    make(root / "initramfs.cpio.gz", busybox, module_files(folders[0], MODULES))
