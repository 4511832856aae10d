"""Screens, keys and pointers of machines: screen_test.py PROGRAM [--uefi].

Without --uefi no guest runs: a display is set up through QTest, as firmware does it. With it, Debian's UEFI firmware for arm64 draws
its shell, and its kernel draws a console and hears a keyboard and a tablet; if qemu-system-aarch64 is installed, it has the same
pixels and events.
"""

import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

from client import Qmp

PROGRAM = Path(sys.argv.pop(1)).resolve()
UEFI = "--uefi" in sys.argv
if UEFI:
    sys.argv.remove("--uefi")
ROOT = Path(__file__).resolve().parents[2]
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs")) / "machines" / "aarch64"
sys.path.insert(0, str(ROOT / "tools/dev"))
WORK = tempfile.TemporaryDirectory()
FOLDER = Path(WORK.name)
# RAM and the firmware configuration's DMA register.
BOARDS = {"riscv64": (0x80000000, 0x10100010), "aarch64": (0x40000000, 0x9020010)}
for guest in BOARDS:
    (FOLDER / f"mimic-system-{guest}").symlink_to(PROGRAM)


class Machine(Qmp):
    def __init__(self, program, *words, qtest=True):
        sockets = {name: FOLDER / name for name in ("qmp", "qtest")}
        listeners = {}
        for name, path in sockets.items():
            path.unlink(missing_ok=True)
            if name == "qtest" and not qtest:
                continue
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(str(path))
            listeners[name].listen(1)
            listeners[name].settimeout(60)
        accel = ["-accel", "qtest", "-qtest", f"unix:{sockets['qtest']}"] if qtest else []
        self.process = subprocess.Popen([program, "-M", "virt", "-display", "none", *accel, "-qmp", f"unix:{sockets['qmp']}", *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seen = b""
        connections = {}
        for name in ("qtest", "qmp"):
            if name in listeners:
                connections[name], _ = listeners[name].accept()
                connections[name].settimeout(300)
                listeners[name].close()
        self.test = connections["qtest"].makefile("rw") if qtest else None
        super().__init__(connections["qmp"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.disconnect()
        if self.test:
            self.test.close()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def qtest(self, line):
        self.test.write(line + "\n")
        self.test.flush()
        while (reply := self.test.readline()).startswith("IRQ"):
            pass
        return reply.strip()

    def set_up(self, guest, **fields):
        """Writes the file etc/ramfb, the first of all; gives what the DMA answers."""
        ram, dma = BOARDS[guest]
        config = struct.pack(">QIIIII", fields["address"], struct.unpack("<I", fields["fourcc"])[0], 0, fields["width"],
                             fields["height"], fields["stride"])
        self.qtest(f"write {ram + 0x200:#x} 28 0x{config.hex()}")
        descriptor = struct.pack(">IIQ", self.key(guest) << 16 | 8 | 16, 28, ram + 0x200)
        return self.dma(guest, descriptor)

    def dma(self, guest, descriptor):
        ram, dma = BOARDS[guest]
        self.qtest(f"write {ram + 0x100:#x} 16 0x{descriptor.hex()}")
        self.qtest(f"writel {dma:#x} 0")
        self.qtest(f"writel {dma + 4:#x} {struct.unpack('<I', struct.pack('>I', ram + 0x100))[0]:#x}")
        return self.qtest(f"read {ram + 0x100:#x} 4")

    def key(self, guest):
        ram, _ = BOARDS[guest]
        self.dma(guest, struct.pack(">IIQ", 0x19 << 16 | 8 | 2, 4 + 32 * 64, ram + 0x1000))
        files = bytes.fromhex(self.qtest(f"read {ram + 0x1000:#x} {4 + 32 * 64}").split("0x")[1])
        for at in range(4, len(files), 64):
            if files[at + 8:at + 64].rstrip(b"\0") == b"etc/ramfb":
                assert int.from_bytes(files[at:at + 4], "big") == 28
                return int.from_bytes(files[at + 4:at + 6], "big")
        raise AssertionError("there is no etc/ramfb")


def read_png(path):
    """Width, height and RGB bytes, by the chunks and filters of the specification."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, end = 8, b"", False
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, *rest = struct.unpack(">IIBBBBB", body)
            assert rest == [8, 2, 0, 0, 0]
        if kind == b"IDAT":
            packed += body
        end = kind == b"IEND"
        at += 12 + length
    assert end
    rows = zlib.decompress(packed)
    assert len(rows) == (width * 3 + 1) * height
    out, above = b"", bytes(width * 3)
    for y in range(height):
        row = rows[y * (width * 3 + 1):(y + 1) * (width * 3 + 1)]
        assert row[0] in (0, 2)
        above = bytes((a + b) & 0xff for a, b in zip(row[1:], above)) if row[0] == 2 else row[1:]
        out += above
    return width, height, out


def read_ppm(path):
    magic, size, depth, pixels = path.read_bytes().split(b"\n", 3)
    assert (magic, depth) == (b"P6", b"255")
    width, height = map(int, size.split())
    assert len(pixels) == width * height * 3
    return width, height, pixels


@unittest.skipIf(UEFI, "the other half")
class Screens(unittest.TestCase):
    def test_both_boards_show_what_the_guest_set_up(self):
        for guest, (ram, _) in BOARDS.items():
            with self.subTest(guest), Machine(FOLDER / f"mimic-system-{guest}", "-device", "ramfb,id=fb") as m:
                path = FOLDER / "screen.ppm"
                m.run("screendump", filename=str(path))
                self.assertEqual(read_ppm(path), (640, 480, bytes(640 * 480 * 3)))
                frame = ram + 0x100000
                self.assertEqual(m.set_up(guest, address=frame, fourcc=b"XR24", width=32, height=16, stride=160), "OK 0x00000000")
                lines = b""
                for y in range(16):
                    pixels = [((x * 8) & 0xff, y * 16, x ^ y) for x in range(32)]
                    lines += b"".join(bytes(p) for p in pixels)
                    m.qtest(f"write {frame + 160 * y:#x} 128 0x{b''.join(bytes((b, g, r, 0)) for r, g, b in pixels).hex()}")
                m.run("screendump", filename=str(path), device="fb", head=0, format="ppm")
                self.assertEqual(path.read_bytes(), b"P6\n32 16\n255\n" + lines)
                m.run("screendump", filename=str(path), device="fb", format="png")
                self.assertEqual(read_png(path), (32, 16, lines))
                self.assertEqual(m.human(f"screendump {path}"), "")
                self.assertEqual(read_ppm(path), (32, 16, lines))
                self.assertEqual(m.human(f"screendump {path} -f png fb 0"), "")
                self.assertEqual(read_png(path), (32, 16, lines))
                if program := shutil.which("pngtopnm"):
                    shown = subprocess.run([program, str(path)], capture_output=True, check=True).stdout
                    self.assertTrue(shown.endswith(lines))
                m.run("system_reset")
                m.run("screendump", filename=str(path))
                self.assertEqual(read_ppm(path)[:2], (640, 480))

    def test_what_cannot_be_dumped(self):
        guest = "riscv64"
        path = str(FOLDER / "none.ppm")
        pipe = FOLDER / "pipe"
        os.mkfifo(pipe)
        with Machine(FOLDER / f"mimic-system-{guest}", "-device", "ramfb,id=fb") as m:
            for arguments, kind, text in (
                    (dict(filename=path, device="nope"), "DeviceNotFound", "Device 'nope' not found"),
                    (dict(filename=path, head=0), "GenericError", "'head' must be specified together with 'device'"),
                    (dict(filename=path, device="fb", head=1), "GenericError", "Device 'fb' (head 1) is not bound to a console"),
                    (dict(filename=path, device="serial"), "GenericError", "Device 'serial' (head 0) is not bound to a console"),
                    (dict(filename="/nonexistent/x"), "GenericError", "failed to open file '/nonexistent/x': No such file"),
                    (dict(filename=str(FOLDER)), "GenericError", "Is a directory"),
                    (dict(filename=str(pipe)), "GenericError", "No such device"),
                    (dict(filename="/dev/full"), "GenericError", "writing '/dev/full' failed: No space left"),
                    (dict(filename=path, format="gif"), "GenericError", "Parameter 'format' does not accept value 'gif'"),
                    (dict(), "GenericError", "Parameter 'filename' is missing")):
                with self.subTest(text):
                    error = m.ask("screendump", **arguments)["error"]
                    self.assertEqual(error["class"], kind)
                    self.assertIn(text, error["desc"])
            for line, text in (("screendump", "'filename' is missing"), (f"screendump {path} -f gif", "'gif', expected ppm or png"),
                               (f"screendump {path} nope", "Device 'nope' not found"),
                               (f"screendump {path} fb 7", "not bound to a console")):
                self.assertIn(text, m.human(line))
            self.assertFalse(Path(path).exists())
        with Machine(FOLDER / f"mimic-system-{guest}") as m:
            self.assertEqual(m.ask("screendump", filename=path)["error"]["desc"], "There is no console to take a screendump from")


@unittest.skipIf(UEFI, "the other half")
class Input(unittest.TestCase):
    def key(self, name, down=True):
        return {"type": "key", "data": {"key": {"type": "qcode", "data": name}, "down": down}}

    def test_pointers_are_listed_and_chosen(self):
        with Machine(FOLDER / "mimic-system-riscv64", "-device", "virtio-keyboard-pci", "-device", "virtio-mouse-pci",
                     "-device", "virtio-tablet-pci") as m:
            mice = [{"name": "QEMU Virtio Mouse", "index": 1, "current": True, "absolute": False},
                    {"name": "QEMU Virtio Tablet", "index": 2, "current": False, "absolute": True}]
            self.assertEqual(m.run("query-mice"), mice)
            self.assertEqual(m.human("info mice"), "* Mouse #1: QEMU Virtio Mouse\n  Mouse #2: QEMU Virtio Tablet (absolute)\n")
            self.assertEqual(m.human("mouse_set 2"), "")
            self.assertTrue(m.human("info mice").startswith("* Mouse #2: QEMU Virtio Tablet (absolute)\n"))
            self.assertIn("Mouse at index '7' not found", m.human("mouse_set 7"))

    def test_events_have_to_be_taken(self):
        with Machine(FOLDER / "mimic-system-riscv64", "-device", "ramfb,id=fb", "-device", "virtio-keyboard-pci") as m:
            def move(kind, axis, value):
                return {"type": kind, "data": {"axis": axis, "value": value}}
            button = {"type": "btn", "data": {"button": "left", "down": True}}
            m.run("input-send-event", events=[self.key("a"), self.key("a", False)])
            m.run("input-send-event", device="fb", head=0, events=[self.key("a")])
            m.run("send-key", keys=[{"type": "qcode", "data": "ctrl"}, {"type": "number", "data": 0x1e}], hold_time=10)
            self.assertEqual(m.human("sendkey ctrl-alt-delete 50"), "")
            self.assertEqual(m.human("sendkey 0x1e-<"), "")
            for events, text in (
                    ([self.key("a"), move("rel", "x", 5)], "Input handler not found for event type rel"),
                    ([button], "Input handler not found for event type btn"),
                    ([self.key("enter")], "does not accept value 'enter'"), ([self.key("unmapped")], "cannot be pressed"),
                    ([move("abs", "x", 0x8000)], "Parameter 'value': 32768, expected 0 to 32767"),
                    ([move("abs", "z", 1)], "does not accept value 'z'"), ([move("mtt", "x", 1)], "does not accept value 'mtt'"),
                    ([{"type": "key", "data": {"key": {"type": "number", "data": 0x155}, "down": True}}], "no key with the number 341")):
                with self.subTest(text):
                    self.assertIn(text, m.ask("input-send-event", events=events)["error"]["desc"])
            self.assertEqual(m.ask("input-send-event", device="nope", events=[])["error"]["class"], "DeviceNotFound")
            self.assertIn("expected milliseconds", m.ask("send-key", keys=[], hold_time=-1)["error"]["desc"])
            for line, text in (("sendkey ctrl-alt-entf", "invalid parameter: entf"), ("sendkey", "expected keys"),
                               ("sendkey 0xfff", "invalid parameter: 0xfff"), ("mouse_move 1", "mouse_move: '', expected DX DY [DZ]"),
                               ("mouse_move 1 2", "Input handler not found"), ("mouse_button 1", "Input handler not found"),
                               ("info mice", "No mouse devices connected\n")):
                with self.subTest(line):
                    self.assertIn(text, m.human(line))
            m.run("stop")
            self.assertEqual(m.ask("input-send-event", events=[self.key("a")])["error"]["desc"], "VM not running")
            self.assertEqual(m.ask("send-key", keys=[{"type": "qcode", "data": "a"}])["error"]["desc"], "VM not running")


FIRMWARE = Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
REFERENCE = shutil.which("qemu-system-aarch64")


# Writes to the screen what is the same each time, and to the serial port what comes from keyboard and tablet: pairs of bytes of
# four and of three events (struct input_event of 24 bytes).
INIT = r"""#!/bin/sh
. /begin
for module in $(cat /modules/input); do insmod "/modules/$module"; done
echo "FRAME $(cat /proc/fb)"
sed -n 's/^N: Name=.QEMU/INPUT "QEMU/p' /proc/bus/input/devices
printf '\033[?25l\033[2J\033[1;1Hwritten by the kernel' > /dev/tty0
for device in /sys/class/input/event*; do
  case $(cat $device/device/name) in *Keyboard) keyboard=/dev/input/${device##*/};; *Tablet) tablet=/dev/input/${device##*/};; esac
done
exec 3< $keyboard 4< $tablet # events from now on are kept
echo "READY"
dd bs=24 count=3 <&4 2>/dev/null | od -An -v -tu2 -w24 | sed 's/^/TABLET /' &
dd bs=24 count=4 <&3 2>/dev/null | od -An -v -tu2 -w24 | sed 's/^/KEY /'
wait
echo "END"
while :; do sleep 60; done
"""


def initial_ram_disk():
    from initramfs import BEGIN, Archive, contents, module_files
    folders = sorted(INPUTS.glob("usr/lib/modules/*")) or sorted(INPUTS.glob("lib/modules/*"))
    modules = module_files(folders[0], "virtio_pci virtio_input evdev")
    archive = Archive()
    for file in modules:
        archive.add(f"modules/{re.sub(r'[.](xz|gz|zst)$', '', file.name)}", stat.S_IFREG | 0o644, contents(file))
    names = "".join(re.sub(r"[.](xz|gz|zst)$", "", file.name) + "\n" for file in modules)
    archive.add("modules/input", stat.S_IFREG | 0o644, names.encode())
    archive.add("begin", stat.S_IFREG | 0o644, BEGIN.encode())
    archive.add("init", stat.S_IFREG | 0o755, INIT.encode())
    path = FOLDER / "initrd"
    path.write_bytes((INPUTS / "initramfs.cpio.gz").read_bytes() + archive.finish())
    return path


@unittest.skipUnless(UEFI, "the other half")
class Firmware(unittest.TestCase):
    WORDS = ["-cpu", "cortex-a57", "-m", "512M", "-nodefaults", "-serial", "stdio", "-bios", str(FIRMWARE), "-device", "ramfb"]

    def wait_for(self, m, text):
        """What the serial port said up to there."""
        while text not in m.seen:
            part = os.read(m.process.stdout.fileno(), 4096)
            self.assertTrue(part, m.seen)
            m.seen += part
        return m.seen.decode(errors="replace").replace("\r", "")

    def picture(self, m):
        """The screen, when it has come to rest: what is on the serial port is there a little later."""
        path = FOLDER / "rest.ppm"
        path.unlink(missing_ok=True)
        for _ in range(100):
            before = path.read_bytes() if path.exists() else b""
            m.run("screendump", filename=str(path))
            if path.read_bytes() == before:
                return before
            time.sleep(0.2)
        raise AssertionError("the screen does not come to rest")

    def shell(self, program):
        with Machine(program, *self.WORDS, qtest=False) as m:
            self.wait_for(m, b"Shell> ")
            return self.picture(m)

    def test_the_shell_is_on_the_screen(self):
        ours = self.shell(FOLDER / "mimic-system-aarch64")
        self.assertGreater(len(set(ours)), 2)
        if REFERENCE:
            self.assertEqual(ours, self.shell(REFERENCE))

    def kernel(self, program):
        words = [*self.WORDS, "-kernel", str(INPUTS / "kernel"), "-initrd", str(initial_ram_disk()), "-append",
                 "console=ttyAMA0 quiet logo.nologo", "-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"]
        with Machine(program, *words, qtest=False) as m:
            self.wait_for(m, b"READY")
            shown = self.picture(m)
            m.run("send-key", keys=[{"type": "qcode", "data": "q"}], hold_time=20)
            m.run("input-send-event", events=[{"type": "abs", "data": {"axis": axis, "value": value}}
                                              for axis, value in (("x", 1000), ("y", 2000))])
            text = self.wait_for(m, b"\nEND")
        # Without the times that the first eight pairs are.
        events = [line.split()[0:1] + line.split()[9:] for line in text.splitlines() if line.startswith(("KEY ", "TABLET "))]
        lines = [line for line in text.splitlines() if line.startswith(("FRAME", "INPUT"))]
        return shown, lines, sorted(events)

    def test_the_kernel_draws_and_hears(self):
        shown, lines, events = self.kernel(FOLDER / "mimic-system-aarch64")
        self.assertEqual(lines, ["FRAME 0 EFI VGA", 'INPUT "QEMU Virtio Keyboard"', 'INPUT "QEMU Virtio Tablet"'])
        key, tablet = ([e[1:] for e in events if e[0] == name] for name in ("KEY", "TABLET"))
        self.assertEqual(sorted(key), sorted([["1", "16", "1", "0"], ["0", "0", "0", "0"], ["1", "16", "0", "0"], ["0", "0", "0", "0"]]))
        self.assertEqual(tablet[-2:], [["3", "0", "1000", "0"], ["3", "1", "2000", "0"]])
        self.assertGreater(len(set(shown)), 2)
        if REFERENCE:
            self.assertEqual(self.kernel(REFERENCE), (shown, lines, events))


if __name__ == "__main__":
    unittest.main()
