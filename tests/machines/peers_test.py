#!/usr/bin/env python3
"""Machines on one network: peers_test.py PROGRAM --case CASE.

Two machines, one of them run by the reference, or a machine and its host over a tap interface. Both ping each other and download
what the other made; the sums must be equal.
"""
import argparse
import hashlib
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from client import free_port

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from initramfs import with_init  # noqa: E402: it lies with the front door's tools
INPUTS = Path(os.environ.get("MIMIC_INPUTS", ROOT / "build" / "inputs"))
BOARDS = {"riscv64": (["-M", "virt"], "ttyS0"), "aarch64": (["-M", "virt", "-cpu", "cortex-a57"], "ttyAMA0")}
SKIPPED = 77
BYTES = 4 << 20


def networks(case, work):
    """The two ends' -netdev, our own first."""
    if case == "socket":
        port = free_port()
        return f"socket,id=n0,listen=127.0.0.1:{port}", f"socket,id=n0,connect=127.0.0.1:{port}"
    if case == "stream":
        where = f"addr.type=unix,addr.path={work}/s"
        return f"stream,id=n0,server=off,{where},reconnect-ms=100", f"stream,id=n0,server=on,{where}"
    if case == "dgram":
        ports = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        form = ("dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port={},"
                "remote.type=inet,remote.host=127.0.0.1,remote.port={}")
        return form.format(*ports), form.format(*reversed(ports))
    group = f"socket,id=n0,mcast=230.0.0.1:{free_port(socket.SOCK_DGRAM)},localaddr=127.0.0.1"
    return group, group


def start(command, guest, work, name, netdev, own, peer):
    base = INPUTS / "machines" / guest / "initramfs.cpio.gz"
    (work / f"{name}.gz").write_bytes(with_init(base, Path(__file__).with_name("peers.sh")))
    board, console = BOARDS[guest]
    shown = work / name
    card = "virtio-net-pci" if name == "ours" else "virtio-net-device"  # the reference may lack its option ROM
    mac = f"52:54:00:12:34:{int(own.split('.')[-1]):02x}"
    return shown, subprocess.Popen(
        [*command, *board, "-m", "512M", "-nodefaults", "-nographic", "-serial", f"file:{shown}",
         "-kernel", INPUTS / "machines" / guest / "kernel", "-initrd", work / f"{name}.gz",
         "-append", f"console={console} own={own} peer={peer} bytes={BYTES}",
         "-netdev", netdev, "-device", f"{card},netdev=n0,mac={mac}"], stdin=subprocess.DEVNULL)


def ended(process, shown):
    """What the machine showed, once it has powered off."""
    try:
        status = process.wait(600)
    finally:
        process.kill()
    text = shown.read_text(errors="replace")
    if status or "MILESTONE-OK" not in text or "PING-OK" not in text:
        sys.exit(f"{shown.name}: status {status}\n{text[-3000:]}")
    return text


def sum_of(text, what):
    return re.search(rf"{what} ([0-9a-f]+)", text)[1]


def two_machines(program, case, work):
    reference = shutil.which("qemu-system-riscv64")
    if not reference:
        print("the reference is not there")
        sys.exit(SKIPPED)
    ours, theirs = networks(case, work)
    commands = [([program, "aarch64"], "aarch64", "ours", ours), ([reference], "riscv64", "theirs", theirs)]
    if case == "stream":
        commands.reverse()  # who connects anew need not find the other
    started = []
    try:
        for command, guest, name, netdev in commands:
            own, peer = ("10.9.0.1", "10.9.0.2") if name == "ours" else ("10.9.0.2", "10.9.0.1")
            started.append(start(command, guest, work, name, netdev, own, peer))
            if case != "stream":
                listening(started[-1], netdev)
        texts = [ended(process, shown) for shown, process in started]
    finally:
        for _, process in started:
            process.kill()
            process.wait()
    for a, b in (texts, reversed(texts)):
        if sum_of(a, "BLOB") != sum_of(b, "FETCHED"):
            sys.exit(f"{case}: what was fetched is not what was made")


def listening(started, netdev):
    """Waits until a listener is there for the other to connect to."""
    port = re.search(r"listen=127\.0\.0\.1:(\d+)", netdev)
    while port:
        tables = Path("/proc/net/tcp").read_text()
        if f"0100007F:{int(port[1]):04X} 00000000:0000 0A" in tables:
            return
        if started[1].poll() is not None:
            sys.exit("it ended before it listened")
        threading.Event().wait(0.05)


class Frames(threading.Thread):
    """The longest frame that comes in at an interface."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.longest = 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.start()

    def run(self):
        while True:
            frame, address = self.socket.recvfrom(70000)
            if address[2] != socket.PACKET_OUTGOING:
                self.longest = max(self.longest, len(frame))


def fetch_back(made, done):
    """Takes what the guest made, as soon as it serves it; then it may end."""
    while True:
        try:
            with urllib.request.urlopen("http://10.9.0.2/blob", timeout=60) as reply:
                made.append(hashlib.md5(reply.read()).hexdigest())
            break
        except OSError:
            threading.Event().wait(0.5)
    done.touch()


def tap(program, case, work):
    """Inside a network namespace of its own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    up, down = work / "up", work / "down"
    up.write_text(f"#!/bin/sh -e\nip addr add 10.9.0.1/24 dev $1\nip link set $1 up\necho $1 > {work}/is-up\n")
    down.write_text(f"#!/bin/sh -e\necho $1 > {work}/is-down\n")
    for script in (up, down):
        script.chmod(0o755)
    blob = os.urandom(BYTES)
    served = work / "served"
    served.mkdir()
    (served / "blob").write_bytes(blob)
    server = http.server.ThreadingHTTPServer(
        ("0.0.0.0", 80), lambda *a: http.server.SimpleHTTPRequestHandler(*a, directory=served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    header = "" if case == "tap" else ",vnet_hdr=off"
    shown, process = start([program, "aarch64"], "aarch64", work, "ours",
                           f"tap,id=n0,ifname=mimic0,script={up},downscript={down}{header}", "10.9.0.2", "10.9.0.1")
    while not (work / "is-up").exists():
        if process.poll() is not None:
            sys.exit("it ended before its interface was up")
        threading.Event().wait(0.05)
    frames = Frames("mimic0")
    made = []
    threading.Thread(target=fetch_back, args=(made, served / "done"), daemon=True).start()
    text = ended(process, shown)
    if [sum_of(text, "BLOB")] != made:
        sys.exit("what the guest made is not what was fetched from it")
    if sum_of(text, "FETCHED") != hashlib.md5(blob).hexdigest():
        sys.exit("what was fetched is not what was served")
    if (work / "is-down").read_text() != "mimic0\n":
        sys.exit("the script of the end did not run")
    # A guest leaves its segments uncut to the host where it may.
    print(f"{case}: the longest frame of the guest has {frames.longest} bytes")
    if (frames.longest > 1514) != (case == "tap"):
        sys.exit("offloads are not what was asked for")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program", type=Path)
    p.add_argument("--case", choices=["socket", "stream", "dgram", "group", "tap", "tap-plain"], required=True)
    p.add_argument("--inside", action="store_true", help="the namespace is there")
    o = p.parse_args()
    program = o.program.resolve()
    if o.case.startswith("tap") and not o.inside:
        alone = ["unshare", "--map-root-user", "--net", "--"]
        possible = os.path.exists("/dev/net/tun") and subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL,
                                                                     check=False).returncode == 0
        if not possible:
            print("the host has no network namespaces or no tap interfaces")
            sys.exit(SKIPPED)
        os.execvp(alone[0], [*alone, sys.executable, "-B", __file__, str(program), "--case", o.case, "--inside"])
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (tap if o.inside else two_machines)(program, o.case, Path(folder))
    print(f"{o.case}: ok")


main()
