#!/usr/bin/env python3
"""A tap interface, and a stream in one hub with it, beside the kernel: tap_test.py PROGRAM.

In a network namespace of its own; no guest runs. This end of the stream asks the kernel at the other end of the interface for its
address, pings it, and gets a datagram from it, whose checksum must be whole as nobody has said that it need not be.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SKIPPED = 77
HERE, HOST = socket.inet_aton("10.9.0.2"), socket.inet_aton("10.9.0.1")
MAC = bytes.fromhex("525400000099")


def checksum(data):
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def arp(operation, target_mac, target):
    head = (b"\xff" * 6 if operation == 1 else target_mac) + MAC + b"\x08\x06"
    return head + struct.pack(">HHBBH", 1, 0x800, 6, 4, operation) + MAC + HERE + target_mac + target + bytes(18)


class Wire:
    """Frames over a stream, each behind its length."""

    def __init__(self, path, process):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("it ended before it listened")
                threading.Event().wait(0.05)
        self.bytes = self.socket.makefile("rb")

    def send(self, frame):
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)

    def receive(self, wanted):
        """The next frame that is wanted; the kernel's questions are answered meanwhile."""
        while True:
            frame = self.bytes.read(struct.unpack(">I", self.bytes.read(4))[0])
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == HERE:
                self.send(arp(2, frame[6:12], frame[28:32]))
            if wanted(frame):
                return frame


def talk(wire):
    wire.send(arp(1, bytes(6), HOST))
    host = wire.receive(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2")[6:12]
    echo = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + b"x" * 56
    echo = echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(echo), 1, 0, 64, 1, 0, HERE, HOST)
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    wire.send(host + MAC + b"\x08\x00" + head + echo)
    reply = wire.receive(lambda f: f[12:14] == b"\x08\x00" and f[23] == 1)
    assert reply[34] == 0 and reply[38:] == echo[4:], reply
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("10.9.0.2", 99))
    frame = wire.receive(lambda f: f[12:14] == b"\x08\x00" and f[23] == 17)
    datagram = frame[34:34 + 13]
    assert datagram[8:] == b"hello", frame
    assert checksum(frame[26:34] + struct.pack(">BBH", 0, 17, len(datagram)) + datagram) == 0, frame


def inside(program, work):
    up, down, path = work / "up", work / "down", str(work / "s")
    up.write_text("#!/bin/sh -e\nip addr add 10.9.0.1/24 dev $1\nip link set $1 up\n")
    down.write_text(f"#!/bin/sh -e\necho $1 >> {work}/is-down\n")
    for script in (up, down):
        script.chmod(0o755)
    for more in ("", ",vnet_hdr=off", ",sndbuf=65536"):
        process = subprocess.Popen(
            [program, "riscv64", "-M", "virt", "-bios", "none", "-S", "-display", "none", "-serial", "null",
             "-netdev", f"tap,id=t,ifname=mimic0,script={up},downscript={down}{more}",
             "-netdev", f"stream,id=s,server=on,addr.type=unix,addr.path={path}",
             "-netdev", "hubport,id=p,hubid=0,netdev=t", "-netdev", "hubport,id=q,hubid=0,netdev=s"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            talk(Wire(path, process))
            process.terminate()
            process.wait(60)
        finally:
            process.kill()
            process.wait()
    assert (work / "is-down").read_text() == "mimic0\n" * 3
    taken = subprocess.run([program, "riscv64", "-M", "virt", "-netdev", "tap,id=t,ifname=lo,script=no"], check=False,
                           capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert taken.returncode == 1 and "-netdev: netdev 't': cannot have lo: " in taken.stderr, taken.stderr
    failing = subprocess.run([program, "riscv64", "-M", "virt", "-netdev", "tap,id=t,script=/bin/false"], check=False,
                             capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert "option 'script': /bin/false tap0 ended with status 1" in failing.stderr, failing.stderr


def main():
    program = Path(sys.argv[1]).resolve()
    if sys.argv[2:] != ["inside"]:
        alone = ["unshare", "--map-root-user", "--net", "--"]
        if not os.path.exists("/dev/net/tun") or subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL,
                                                                check=False).returncode:
            print("the host has no network namespaces or no tap interfaces")
            sys.exit(SKIPPED)
        os.execvp(alone[0], [*alone, sys.executable, "-B", __file__, str(program), "inside"])
    with tempfile.TemporaryDirectory() as folder:
        inside(program, Path(folder))


main()
