#!/usr/bin/env python3
"""Networks between a machine of ours and one of the reference's: wires_test.py PROGRAM.

No guest runs. Each side has a hub with two ports: one leads to the other side over the kind of network that is tried, one to a stream
of this test's. What goes in at one end must come out at the other, once.
"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from client import free_port

PROGRAM = Path(sys.argv.pop(1)).resolve()
REFERENCE = shutil.which("qemu-system-riscv64")
SKIPPED = 77


class Side:
    """A hub's process, and the test's end of the stream to it."""

    def __init__(self, command, netdev, path):
        self.path = str(path)
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.path)
        server.listen(1)
        server.settimeout(60)
        self.process = subprocess.Popen(
            [*command, "-display", "none", "-nodefaults", "-netdev", netdev,
             "-netdev", f"stream,id=own,addr.type=unix,addr.path={path}",
             "-netdev", "hubport,id=p,hubid=0,netdev=n", "-netdev", "hubport,id=q,hubid=0,netdev=own"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket = server.accept()[0]
        server.close()
        self.socket.settimeout(60)
        self.bytes = self.socket.makefile("rb")

    def send(self, frame):
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)

    def receive(self):
        return self.bytes.read(struct.unpack(">I", self.bytes.read(4))[0])

    def end(self):
        self.process.kill()
        self.process.wait()
        self.bytes.close()
        self.socket.close()


class Wires(unittest.TestCase):
    def talk(self, ours, theirs, reference_first=False, longest=60000):
        with tempfile.TemporaryDirectory() as folder:
            kinds = {"ours": ([PROGRAM, "riscv64", "-M", "virt", "-bios", "none", "-S", "-serial", "null"], ours),
                     "theirs": ([REFERENCE, "-M", "none"], theirs)}
            sides = {}
            try:
                for name in sorted(kinds, reverse=reference_first):
                    command, netdev = kinds[name]
                    sides[name] = Side(command, netdev.replace("FOLDER", folder), Path(folder) / name)
                first, second = sides["ours"], sides["theirs"]
                self.meet(first, second)
                for a, b in ((first, second), (second, first)):
                    frames = [os.urandom(n) for n in (60, 1514, 61, longest, 9000)] + [os.urandom(1500) for _ in range(50)]
                    for frame in frames:
                        a.send(frame)
                        self.assertEqual(b.receive(), frame)
            finally:
                for side in sides.values():
                    side.end()

    def meet(self, a, b):
        """Until a frame of each side comes out at the other: the two may still be on their way to each other."""
        for x, y in ((a, b), (b, a)):
            probe, last = b"probe" * 20, b"last!" * 20
            y.socket.settimeout(0.2)
            while True:
                x.send(probe)
                try:
                    if y.socket.recv(1, socket.MSG_PEEK):
                        break
                except TimeoutError:
                    self.assertIsNone(x.process.poll())
            y.socket.settimeout(60)
            x.send(last)
            while y.receive() != last:
                pass

    def test_socket(self):
        port = free_port()
        self.talk(f"socket,id=n,listen=127.0.0.1:{port}", f"socket,id=n,connect=127.0.0.1:{port}")
        port = free_port()
        self.talk(f"socket,id=n,connect=127.0.0.1:{port}", f"socket,id=n,listen=127.0.0.1:{port}", reference_first=True)

    def test_stream(self):
        where = "addr.type=unix,addr.path=FOLDER/wire"
        self.talk(f"stream,id=n,{where},reconnect-ms=20", f"stream,id=n,server=on,{where}")
        where = f"addr.type=inet,addr.host=127.0.0.1,addr.port={free_port()}"
        self.talk(f"stream,id=n,server=on,{where}", f"stream,id=n,{where}")

    def test_dgram(self):
        ports = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        form = ("dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port={},"
                "remote.type=inet,remote.host=127.0.0.1,remote.port={}")
        self.talk(form.format(*ports), form.format(*reversed(ports)))
        form = "dgram,id=n,local.type=unix,local.path=FOLDER/{},remote.type=unix,remote.path=FOLDER/{}"
        self.talk(form.format("x", "y"), form.format("y", "x"))

    def test_udp(self):
        ports = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        form = "socket,id=n,localaddr=127.0.0.1:{},udp=127.0.0.1:{}"
        self.talk(form.format(*ports), form.format(*reversed(ports)))

    def test_group(self):
        group = f"socket,id=n,mcast=230.0.0.1:{free_port(socket.SOCK_DGRAM)},localaddr=127.0.0.1"
        with tempfile.TemporaryDirectory() as folder:
            a = Side([PROGRAM, "riscv64", "-M", "virt", "-bios", "none", "-S", "-serial", "null"], group, Path(folder) / "a")
            b = Side([REFERENCE, "-M", "none"], group, Path(folder) / "b")
            try:
                self.meet(a, b)
                a.send(b"x" * 200)
                while b.receive() != b"x" * 200:  # the reference hears itself, ours does not
                    pass
                b.send(b"y" * 200)
                self.assertEqual(a.receive(), b"y" * 200)
            finally:
                a.end()
                b.end()


if __name__ == "__main__":
    if not REFERENCE:
        print("the reference is not there")
        sys.exit(SKIPPED)
    unittest.main()
