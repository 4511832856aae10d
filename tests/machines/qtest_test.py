"""Devices driven through the QTest protocol: qtest_test.py PROGRAM."""

import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from client import Qmp, connect

PROGRAM = Path(sys.argv.pop(1)).resolve()
WORK = tempfile.TemporaryDirectory()
LINK = Path(WORK.name) / "mimic-system-riscv64"
LINK.symlink_to(PROGRAM)


class Qtest:
    """The client listens, the machine connects."""

    def __init__(self, *words, link=LINK):
        path = Path(WORK.name) / "qtest"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(60)
            self.process = subprocess.Popen([link, "-M", "virt", "-display", "none", "-accel", "qtest", "-qtest", f"unix:{path}",
                                             *words], stdin=subprocess.DEVNULL)
            self.socket, _ = listener.accept()
        self.socket.settimeout(60)
        self.lines = self.socket.makefile("r")
        self.interrupts = []

    def item(self, at, key, count):
        """`count` bytes of an item of the firmware configuration device at `at`."""
        self.ask(f"writew {at + 8:#x} {(key & 0xff) << 8 | key >> 8:#x}")
        return bytes(int(self.ask(f"readb {at:#x}").split()[1], 16) for _ in range(count))

    def files(self, at):
        """Its files: name -> (key, bytes)."""
        files = {}
        for n in range(int.from_bytes(self.item(at, 0x19, 4), "big")):
            entry = self.item(at, 0x19, 4 + 64 * (n + 1))[-64:]
            files[entry[8:].rstrip(b"\0")] = int.from_bytes(entry[4:6], "big"), int.from_bytes(entry[:4], "big")
        return files

    def write_sector(self, at, memory):
        """Has a disk on a legacy virtio-mmio at `at` write sector 0 (VIRTIO 1.2, 4.2.4): a ring at `memory`, the request and its
        status, which is 0xee until the device writes it, 0x3000 behind that."""
        request, status = memory + 0x3000, memory + 0x3010
        self.ask(f"writeq {request:#x} 1")  # VIRTIO_BLK_T_OUT
        self.ask(f"writeb {status:#x} 0xee")
        for n, (address, size, flags) in enumerate(((request, 16, 1), (memory + 0x3200, 512, 1), (status, 1, 2))):
            self.ask(f"writeq {memory + 16 * n:#x} {address:#x}")
            self.ask(f"writeq {memory + 16 * n + 8:#x} {size | flags << 32 | n + 1 << 48:#x}")
        self.ask(f"writel {memory + 128:#x} 0x10000")  # available: one, the first
        for register, value in ((0x70, 3), (0x28, 4096), (0x30, 0), (0x38, 8), (0x3c, 4096), (0x40, memory >> 12), (0x70, 7), (0x50, 0)):
            self.ask(f"writel {at + register:#x} {value}")

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
            at = 0x10100000
            self.assertEqual(q.item(at, *q.files(at)[b"bootorder"]),
                             b"/virtio-mmio@0000000010007000/disk@0,0\n/pci@ffffffffffffffff/scsi@3/disk@0,0\n"
                             b"/virtio-mmio@0000000010008000/ethernet-phy@0\nHALT\0")

    def test_errors_of_disks_are_told(self):
        folder = Path(WORK.name)
        may_stop = {"nospace": False}
        for drives, own, action, status, more in (("enospc", "auto", "report", 1, may_stop), ("stop", "auto", "stop", 0xee, may_stop),
                                                  ("ignore", "auto", "ignore", 0, {}), ("stop", "report", "report", 1, {})):
            with self.subTest(drive=drives, device=own), \
                    Qtest("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off", "-device", f"virtio-blk-device,drive=d0,id=disk,werror={own}",
                          "-drive", f"if=none,id=d0,driver=blkdebug,image.driver=null-co,node-name=broken,werror={drives},"
                          "inject-error.0.iotype=write,inject-error.0.errno=5") as q:
                qmp = Qmp(connect(folder / "qmp", q.process))
                q.write_sector(0x10008000, 0x84000000)
                event = qmp.event("BLOCK_IO_ERROR")["data"]
                self.assertIn("Input/output error", event.pop("reason"))
                self.assertEqual(event, {"device": "d0", "node-name": "broken", "operation": "write", "action": action,
                                         "qom-path": "/machine/peripheral/disk", **more})
                self.assertEqual(qmp.run("query-status")["status"], "io-error" if action == "stop" else "running")
                failed = "failed" if action == "stop" else "ok"
                self.assertEqual(qmp.run("query-block")[0]["io-status"], failed)
                self.assertEqual("I/O status:       failed" in qmp.human("info block"), failed == "failed")
                self.assertEqual(q.ask("readb 0x84003010"), f"OK 0x{status:016x}")
                qmp.disconnect()

    def test_writes_of_a_snapshot_are_forgotten(self):
        disk = Path(WORK.name, "kept")
        for words, kept in (([], True), (["-snapshot"], False)):
            with self.subTest(words):
                disk.write_bytes(bytes(65536))
                with Qtest("-device", "virtio-blk-device,drive=d0", "-drive", f"if=none,id=d0,format=raw,file={disk}", *words) as q:
                    q.ask("memset 0x84003200 512 0x5a")
                    q.write_sector(0x10008000, 0x84000000)
                    for _ in range(100000):  # until it is done
                        if (status := q.ask("readb 0x84003010")) != "OK 0x00000000000000ee":
                            break
                    self.assertEqual(status, "OK 0x0000000000000000")
                self.assertEqual(disk.read_bytes()[:512] == b"\x5a" * 512, kept)

    def test_files_of_users(self):
        given = Path(WORK.name, "given")
        given.write_bytes(b"\x00\xffbytes")
        with Qtest("-fw_cfg", "name=opt/a,string=te,,xt", "-fw_cfg", f"opt/org.example/b,file={given}",
                   "-boot", "menu=on,splash-time=500") as q:
            at = 0x10100000
            files = q.files(at)
            self.assertEqual(q.item(at, *files[b"opt/a"]), b"te,xt")
            self.assertEqual(q.item(at, *files[b"opt/org.example/b"]), b"\x00\xffbytes")
            self.assertEqual(q.item(at, *files[b"etc/boot-menu-wait"]), b"\xf4\x01")
            self.assertEqual(q.item(at, 0x0e, 2), b"\x01\x00")

    def test_what_to_start_from_moves_no_other_file(self):
        arm = Path(WORK.name) / "mimic-system-aarch64"
        arm.symlink_to(PROGRAM)
        at, card = 0x9020000, ("-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n,bootindex=")
        with Qtest(*card[:-1], card[-1] + "-1", link=arm) as q:
            files = q.files(at)
        self.assertIn(b"etc/acpi/rsdp", files)
        self.assertNotIn(b"bootorder", files)
        with Qtest(*card[:-1], card[-1] + "0", link=arm) as q:
            more = q.files(at)
        self.assertEqual(list(more), [*files, b"bootorder"])
        self.assertEqual({name: more[name][0] for name in files}, {name: key for name, (key, _) in files.items()})

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
