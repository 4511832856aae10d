"""Devices driven through the QTest protocol: qtest_test.py PROGRAM."""

import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv.pop(1)).resolve()
WORK = tempfile.TemporaryDirectory()
LINK = Path(WORK.name) / "mimic-system-riscv64"
LINK.symlink_to(PROGRAM)


class Qtest:
    """The client listens, the machine connects."""

    def __init__(self, *words):
        path = Path(WORK.name) / "qtest"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(60)
            self.process = subprocess.Popen([LINK, "-M", "virt", "-display", "none", "-accel", "qtest", "-qtest", f"unix:{path}",
                                             *words], stdin=subprocess.DEVNULL)
            self.socket, _ = listener.accept()
        self.socket.settimeout(60)
        self.lines = self.socket.makefile("r")
        self.interrupts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()
        self.process.terminate()
        self.process.wait()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        while True:
            reply = self.lines.readline().rstrip("\n")
            if not reply.startswith("IRQ"):
                return reply
            self.interrupts.append(reply)


class Protocol(unittest.TestCase):
    def test_memory_in_all_forms(self):
        with Qtest() as q:
            for line, reply in (("endianness", "OK little"), ("writeq 0x80000000 0x1122334455667788", "OK"),
                                ("readb 0x80000000", "OK 0x0000000000000088"), ("readw 0x80000000", "OK 0x0000000000007788"),
                                ("readl 0x80000004", "OK 0x0000000011223344"), ("readq 0x80000000", "OK 0x1122334455667788"),
                                ("writel 0x80000000 -1", "OK"), ("read 0x80000000 6", "OK 0xffffffff4433"),
                                ("write 0x80000000 4 0x0102", "OK"), ("readl 2147483648", "OK 0x0000000000000201"),
                                ("b64write 0x80000000 2 aGk=", "OK"), ("b64read 0x80000000 2", "OK aGk="),
                                ("memset 0x80000000 3 0xab", "OK"), ("read 0x80000000 4", "OK 0xababab00"),
                                ("readl 0x10", "OK 0x0000000000000000")):
                self.assertEqual(q.ask(line), reply, line)

    def test_what_is_wrong_fails_and_the_connection_stays(self):
        with Qtest() as q:
            for line in ("nope", "readb", "readb x", "writeb 1", "read 0 0", "read 0 99999999999", "write 0 2 zz", "write 0 2 0x1",
                         "b64write 0 2 !!!!", "memset 0 99999999999 0", "irq_intercept_in /none", "irq_intercept_out serial x y",
                         "set_irq_in plic x", "clock_step x", "clock_set", "readz 0", "outb 0x3f8 1"):
                self.assertTrue(q.ask(line).startswith("FAIL "), line)
            self.assertEqual(q.ask("endianness"), "OK little")

    def test_firmware_reads_what_to_start_from(self):
        for name in ("a", "b", "c"):
            Path(WORK.name, name).write_bytes(bytes(512))
        drives = [word for name in ("a", "b", "c")
                  for word in ("-drive", f"file={WORK.name}/{name},if=none,id={name},format=raw")]
        cards = ["-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n,bootindex=7"]
        with Qtest(*drives, *cards, "-device", "virtio-blk-pci,drive=a,addr=3,bootindex=1", "-device", "virtio-blk-pci,drive=b",
                   "-device", "virtio-blk-device,drive=c,bootindex=0", "-boot", "strict=on") as q:
            def item(key, count):
                q.ask(f"writew 0x10100008 {(key & 0xff) << 8 | key >> 8:#x}")
                return bytes(int(q.ask("readb 0x10100000").split()[1], 16) for _ in range(count))
            files = {}
            for at in range(int.from_bytes(item(0x19, 4), "big")):
                entry = item(0x19, 4 + 64 * (at + 1))[-64:]
                files[entry[8:].rstrip(b"\0")] = int.from_bytes(entry[4:6], "big"), int.from_bytes(entry[:4], "big")
            self.assertEqual(item(*files[b"bootorder"]),
                             b"/virtio-mmio@0000000010007000/disk@0,0\n/pci@ffffffffffffffff/scsi@3/disk@0,0\n"
                             b"/virtio-mmio@0000000010008000/ethernet-phy@0\nHALT\0")

    def test_the_clock_steps_and_lines_are_heard(self):
        with Qtest() as q:
            self.assertEqual(q.ask("irq_intercept_in plic"), "OK")
            self.assertEqual(q.ask("clock_step 1000"), "OK 1000")
            before = int(q.ask("readl 0x101000").split()[1], 16)  # TIME_LOW latches TIME_HIGH
            low = before + 5000
            high = int(q.ask("readl 0x101004").split()[1], 16)
            for offset, value in ((0x10, 1), (0x0c, high + (low >> 32)), (0x08, low & 0xffffffff)):
                q.ask(f"writel {0x101000 + offset:#x} {value:#x}")  # IRQ_ENABLED, ALARM_HIGH, ALARM_LOW
            self.assertEqual(q.interrupts, [])
            q.ask("clock_step")  # to the alarm
            self.assertEqual(q.interrupts, ["IRQ raise 11"])
            q.ask("writel 0x10101c 1")  # CLEAR_INTERRUPT
            self.assertEqual(q.interrupts, ["IRQ raise 11", "IRQ lower 11"])
            self.assertEqual(q.ask("clock_set 1000000"), "OK 1000000")
            self.assertEqual(q.ask("clock_set 5"), "OK 1000000")  # it never goes back
            self.assertEqual(q.ask("set_irq_in plic unnamed-gpio-in 3 1"), "OK")
            self.assertEqual(int(q.ask("readl 0xc001000").split()[1], 16) >> 3 & 1, 1)  # the PLIC's pending bits


if __name__ == "__main__":
    unittest.main()
