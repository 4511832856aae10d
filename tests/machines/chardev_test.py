"""Character devices at the ends that other programs know: chardev_test.py PROGRAM.

QMP is what speaks: over telnet to Python's client, over WebSocket to python3-websockets, over TLS to gnutls-cli and Python's ssl.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
from pathlib import Path

from client import free_port

sys.path.append("/usr/lib/python3/dist-packages")  # Debian's modules, for a Python of somebody else's
import websockets  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import telnetlib

PROGRAM = Path(sys.argv.pop(1)).resolve()
WORK = tempfile.TemporaryDirectory()
FOLDER = Path(WORK.name)
LINK = FOLDER / "mimic-system-riscv64"
LINK.symlink_to(PROGRAM)


class Machine:
    """One whose QMP is at a chardev with these options, on a free port."""

    def __init__(self, options, *words, kind="socket"):
        self.port = free_port()
        text = f"{kind},id=c,{options.format(port=self.port)}"
        self.process = subprocess.Popen(
            [LINK, "-M", "virt", "-bios", "none", "-display", "none", "-serial", "null", *words, "-chardev", text,
             "-mon", "chardev=c,mode=control"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        for _ in range(1200):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 60)
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(self.process.communicate()[0]) from None
                threading.Event().wait(0.05)  # until it listens
        raise AssertionError("nobody listens")


def certificates(folder):
    """An authority, a server called localhost and a client, as the manual's chapter on TLS has them."""
    folder.mkdir()
    run = lambda *words: subprocess.run(["certtool", *words], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    for name, template in (("ca", "cn = authority\nca\ncert_signing_key\n"),
                           ("server", "cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_server\n"
                                      "encryption_key\nsigning_key\n"),
                           ("client", "cn = somebody\ntls_www_client\nencryption_key\nsigning_key\n")):
        (folder / f"{name}.tmpl").write_text(template)
        run("--generate-privkey", "--ecdsa", "--outfile", f"{name}-key.pem")
        if name == "ca":
            run("--generate-self-signed", "--load-privkey", "ca-key.pem", "--template", "ca.tmpl", "--outfile", "ca-cert.pem")
        else:
            run("--generate-certificate", "--load-ca-certificate", "ca-cert.pem", "--load-ca-privkey", "ca-key.pem",
                "--load-privkey", f"{name}-key.pem", "--template", f"{name}.tmpl", "--outfile", f"{name}-cert.pem")


def talk(stream):
    """A short conversation over something with readline and write."""
    greeting = json.loads(stream.readline())
    assert "QMP" in greeting, greeting
    for command in ("qmp_capabilities", "query-status"):
        stream.write(json.dumps({"execute": command}).encode() + b"\n")
        stream.flush()
        while "return" not in (reply := json.loads(stream.readline())):
            assert "event" in reply, reply
    return reply["return"]["status"]


class Chardevs(unittest.TestCase):
    def test_telnet(self):
        with Machine("host=127.0.0.1,port={port},server=on,wait=off,telnet=on") as m:
            for _ in range(2):
                m.connect().close()
                client = telnetlib.Telnet("127.0.0.1", m.port, 60)
                asked = []
                client.set_option_negotiation_callback(lambda _, verb, option: asked.append((verb[0], option[0])))
                self.assertIn("QMP", json.loads(client.read_until(b"\n")))
                self.assertEqual(asked, [(251, 1), (251, 3), (251, 0), (253, 0)])
                client.write(b'{"execute": "qmp_capabilities"}\n')
                self.assertEqual(json.loads(client.read_until(b"\n")), {"return": {}})
                client.write(b'{"execute": "query-name", "id": "\xc3\xbf"}\n')
                self.assertEqual(json.loads(client.read_until(b"\n"))["id"], "\u00ff")
                client.close()

    def test_websocket(self):
        async def one(port):
            async with websockets.connect(f"ws://127.0.0.1:{port}/", subprotocols=["binary"], compression=None) as ws:
                self.assertEqual(ws.subprotocol, "binary")
                text = b""

                async def line():
                    nonlocal text
                    while b"\n" not in text:
                        text += await ws.recv()
                    first, text = text.split(b"\n", 1)
                    return json.loads(first)

                self.assertIn("QMP", await line())
                await ws.send('{"execute": "qmp_capabilities"}')
                self.assertEqual(await line(), {"return": {}})
                await (await ws.ping(b"are you there"))
                request = json.dumps({"execute": "query-commands", "id": "x" * 70000}).encode()
                await ws.send([request[:5], request[5:40000], request[40000:]])  # a message in pieces
                self.assertEqual((await line())["id"], "x" * 70000)
            self.assertEqual(ws.close_code, 1000)

        with Machine("host=127.0.0.1,port={port},server=on,wait=off,websocket=on") as m:
            m.connect().close()
            for _ in range(2):
                asyncio.run(one(m.port))
            with m.connect() as s:  # who speaks something else is told
                s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertTrue(s.makefile("rb").readline().startswith(b"HTTP/1.1 426"))

    def test_tls(self):
        folder = FOLDER / "tls"
        certificates(folder)
        ends = ["-object", f"tls-creds-x509,id=s,endpoint=server,dir={folder}"]
        with Machine("host=127.0.0.1,port={port},server=on,wait=off,tls-creds=s", *ends) as m:
            m.connect().close()
            context = ssl.create_default_context(cafile=folder / "ca-cert.pem")
            context.load_cert_chain(folder / "client-cert.pem", folder / "client-key.pem")
            for _ in range(2):
                with context.wrap_socket(m.connect(), server_hostname="localhost") as s, s.makefile("rwb") as stream:
                    self.assertEqual(talk(stream), "running")
            stranger = ssl.create_default_context(cafile=folder / "ca-cert.pem")  # shows no certificate
            with self.assertRaises((ssl.SSLError, ConnectionError, json.JSONDecodeError)):
                with stranger.wrap_socket(m.connect(), server_hostname="localhost") as s, s.makefile("rwb") as stream:
                    talk(stream)
            client = subprocess.Popen(
                ["gnutls-cli", "--x509cafile", folder / "ca-cert.pem", "--x509certfile", folder / "client-cert.pem",
                 "--x509keyfile", folder / "client-key.pem", "--port", str(m.port), "localhost"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertTrue(any(b'"QMP"' in line for line in client.stdout))
            client.stdin.write(b'{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n')
            client.stdin.flush()
            self.assertEqual(m.process.wait(60), 0)
            client.communicate(timeout=60)
        with Machine("host=127.0.0.1,port={port},server=on,wait=off,tls-creds=s,tls-authz=z", *ends,
                     "-object", "authz-simple,id=z,identity=CN=another") as m:
            with self.assertRaises((ssl.SSLError, ConnectionError, json.JSONDecodeError)):
                with context.wrap_socket(m.connect(), server_hostname="localhost") as s, s.makefile("rwb") as stream:
                    talk(stream)

    def test_tls_and_websocket_together(self):
        folder = FOLDER / "tls-ws"
        certificates(folder)

        async def one(port):
            context = ssl.create_default_context(cafile=folder / "ca-cert.pem")
            async with websockets.connect(f"wss://localhost:{port}/", ssl=context, compression=None) as ws:
                self.assertIn(b"QMP", await ws.recv())

        with Machine("host=127.0.0.1,port={port},server=on,wait=off,websocket=on,tls-creds=s",
                     "-object", f"tls-creds-x509,id=s,endpoint=server,dir={folder},verify-peer=off") as m:
            m.connect().close()
            asyncio.run(one(m.port))

    def test_a_tls_client_comes_back(self):
        folder = FOLDER / "tls-client"
        certificates(folder)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
            port = server.getsockname()[1]
            with Machine(f"host=127.0.0.1,port={port},reconnect-ms=20,tls-creds=c", "-object",
                         f"tls-creds-x509,id=c,endpoint=client,dir={folder}"):
                for _ in range(2):
                    with context.wrap_socket(server.accept()[0], server_side=True) as s, s.makefile("rwb") as stream:
                        self.assertEqual(talk(stream), "running")

    def test_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(60)
            port = peer.getsockname()[1]
            with Machine(f"host=127.0.0.1,port={port}", kind="udp"):
                greeting, address = peer.recvfrom(65536)
                self.assertIn("QMP", json.loads(greeting))
                peer.sendto(b'{"execute": "qmp_capabilities"}', address)
                self.assertEqual(json.loads(peer.recv(65536)), {"return": {}})

    def test_serial_ports_take_the_older_texts(self):
        port = free_port()
        with Machine("path=" + str(FOLDER / "q") + ",server=on,wait=off", "-serial",
                     f"telnet:127.0.0.1:{port},server=on,wait=off") as m:
            m.port = port
            with m.connect() as s:
                self.assertEqual(s.recv(3), b"\xff\xfb\x01")


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    unittest.main()
