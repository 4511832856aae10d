#!/usr/bin/env python3
"""Cross-checks of `mimic nbd`, the nbd driver and `mimic io` with nbdinfo, nbdcopy, nbdsh, nbdkit, qemu-nbd, qemu-img and qemu-io.

usage: nbd_test.py MIMIC [NAME...]     (exit 77: one of the peers is not there)
"""
import contextlib, functools, hashlib, json, os, random, re, shutil, signal, socket, ssl, struct, subprocess, sys, threading

import harness
from harness import MIMIC, run_tests

run = functools.partial(harness.run, text=True)
img = functools.partial(harness.img, text=True)
missing = [p for p in ("nbdinfo", "nbdcopy", "nbdkit", "qemu-nbd", "qemu-img", "qemu-io") if not shutil.which(p)]
if missing:
    print(f"not installed: {' '.join(missing)} (packages libnbd-bin, nbdkit, qemu-utils)")
    sys.exit(77)


def io(image, *commands, fmt="raw", ok=(0,), options=()):
    return run(MIMIC, "io", "-f", fmt, *options, *[x for c in commands for x in ("-c", c)], image, ok=ok)


def uri(name="", path="s"):
    return f"nbd+unix:///{name}?socket={os.path.abspath(path)}"


@contextlib.contextmanager
def server(program, *args, path="s"):
    """A server on a unix socket; it says that it is ready by its --fork or --pid-file."""
    for old in (path, path + ".pid"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    where = os.path.abspath(path)
    if program == "mimic":
        run(MIMIC, "nbd", "--fork", "--pid-file", path + ".pid", "-k", where, *args)
    elif program == "qemu":
        run("qemu-nbd", "--fork", "--pid-file", path + ".pid", "-k", where, *args)
    else:
        run("nbdkit", "-P", path + ".pid", "-U", where, *args)
    while not os.path.exists(path + ".pid") or not (pid := open(path + ".pid").read()).endswith("\n"):
        os.sched_yield()
    pid = int(pid)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        # It is not our child: gone when its socket is.
        while os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().split(")")[-1].split()[0] != "Z":
            os.sched_yield()


def sample(path, size, seed=1):
    """Holes and noise."""
    rng = random.Random(seed)
    with open(path, "wb") as f:
        at = 0
        while at < size:
            n = min(rng.choice([4096, 30000, 65536, 200000, 1 << 20]), size - at)
            if rng.randrange(2):
                f.seek(at)
                f.write(rng.randbytes(n))
            at += n
        f.truncate(size)


def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def extents(text):
    """Neighbours of the same kind together: servers may cut where they like."""
    out = []
    for e in json.loads(text):
        kind = e.get("type", (e.get("data"), e.get("zero")))
        start, length = e.get("offset", e.get("start")), e["length"]
        if out and out[-1][2] == kind and out[-1][0] + out[-1][1] == start:
            out[-1][1] += length
        else:
            out.append([start, length, kind])
    return out


TESTS = []


def test(f):
    TESTS.append(f)
    return f


@test
def our_server_as_theirs():
    """What nbdinfo and qemu-nbd -L see of our server is what they see of qemu-nbd."""
    sample("a.raw", 5_000_192)
    img("convert", "-f", "raw", "-O", "qcow2", "a.raw", "a.qcow2")
    for args in (["-f", "raw", "-t", "a.raw"], ["-f", "raw", "-r", "-t", "-x", "one/two", "-D", "what it is", "a.raw"],
                 ["-f", "qcow2", "-e", "0", "-A", "-t", "a.qcow2"], ["-f", "raw", "--discard=unmap", "-e", "4", "-t", "a.raw"]):
        name = args[args.index("-x") + 1] if "-x" in args else ""
        seen = []
        for program in ("mimic", "qemu"):
            with server(program, *args):
                info = json.loads(run("nbdinfo", "--json", uri(name)).stdout)
                ours = run(MIMIC, "nbd", "-L", "-k", os.path.abspath("s")).stdout
                listed = run("qemu-nbd", "-L", "-k", os.path.abspath("s")).stdout
                assert ours == listed, f"{ours}\n{listed}"
                for e in info["exports"]:
                    e.pop("block_size_preferred", None)  # ours is the cluster size
                seen.append((info, re.sub("opt block.*", "", listed), extents(run("nbdinfo", "--json", "--map", uri(name)).stdout)))
        assert seen[0] == seen[1], f"{args}\n{seen[0]}\n{seen[1]}"


@test
def copies_from_our_server():
    sample("a.raw", 9_000_448)
    img("convert", "-f", "raw", "-O", "qcow2", "a.raw", "a.qcow2")
    for fmt in ("raw", "qcow2"):
        with server("mimic", "-r", "-t", "-e", "8", "-f", fmt, f"a.{fmt}"):
            run("nbdcopy", uri(), "out")
            assert digest("out") == digest("a.raw"), fmt
            run("nbdcopy", "--synchronous", "--no-extents", uri(), "out")
            assert digest("out") == digest("a.raw"), fmt
            run("qemu-img", "convert", "-f", "raw", "-O", "raw", uri(), "out")
            assert digest("out") == digest("a.raw"), fmt
            img("convert", "-f", "raw", "-O", "raw", uri(), "out")
            assert digest("out") == digest("a.raw"), fmt
            run("qemu-img", "compare", "-f", "raw", "-F", "raw", uri(), "a.raw")
            img("compare", "-f", "raw", "-F", "raw", uri(), "a.raw")


@test
def copies_to_our_server():
    sample("a.raw", 9_000_448)
    for fmt in ("raw", "qcow2"):
        for tool in ("nbdcopy", "qemu", "mimic"):
            img("create", "-f", fmt, "b", "9000448")
            with server("mimic", "-t", "-e", "8", "--discard=unmap", "-f", fmt, "b"):
                if tool == "nbdcopy":
                    run("nbdcopy", "--flush", "a.raw", uri())
                elif tool == "qemu":
                    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", "a.raw", uri())
                else:
                    img("convert", "-n", "-f", "raw", "-O", "raw", "a.raw", uri())
            run("qemu-img", "compare", "-f", fmt, "-F", "raw", "b", "a.raw")
            if fmt == "qcow2":
                run("qemu-img", "check", "-f", "qcow2", "b")
            # Holes stay holes.
            assert os.stat("b").st_blocks * 512 < 9_000_448, f"{fmt} {tool}: {os.stat('b').st_blocks * 512} bytes used"


@test
def requests_of_qemu_io():
    img("create", "-f", "qcow2", "b", "8M")
    with server("mimic", "-t", "-f", "qcow2", "--discard=unmap", "b"):
        run("qemu-io", "-f", "raw", "-c", "write -P 1 0 64k", "-c", "write -f -P 2 100 100", "-c", "write -z 1M 1M", "-c", "write -zu 2M 1M",
            "-c", "discard 3M 1M", "-c", "flush", "-c", "read -P 1 0 100", "-c", "read -P 2 100 100", "-c", "read -P 1 200 65336", "-c", "read -P 0 65536 8000000",
            "-c", "aio_write -P 5 5M 1M", "-c", "aio_write -P 6 6M 1M", "-c", "aio_read 0 1M", "-c", "aio_flush", "-c", "read -P 5 5M 1M", uri())
        # Fast zeroes of what must be stored cannot be promised by a file that is a hole; the answer is one or the other, never data lost.
        run("qemu-io", "-f", "raw", "-c", "write -zn 4M 64k", "-c", "read -P 0 4M 64k", uri(), ok=(0, 1))
    run("qemu-img", "check", "-f", "qcow2", "b")
    run("qemu-io", "-f", "qcow2", "-c", "read -P 2 100 100", "-c", "read -P 5 5M 1M", "-c", "read -P 6 6M 1M", "b")


@test
def contexts():
    """Allocation depth and bitmaps, as qemu-nbd shows them."""
    img("create", "-f", "qcow2", "base", "4M")
    run("qemu-io", "-f", "qcow2", "-c", "write 0 1M", "base")
    img("create", "-f", "qcow2", "-b", "base", "-F", "qcow2", "top")
    run("qemu-img", "bitmap", "--add", "-f", "qcow2", "top", "changes")
    run("qemu-io", "-f", "qcow2", "-c", "write 512k 64k", "-c", "write 3M 128k", "top")
    maps = []
    for program in ("mimic", "qemu"):
        with server(program, "-r", "-t", "-f", "qcow2", "-A", "-B", "changes", "top"):
            maps.append([extents(run("nbdinfo", "--json", f"--map={c}", uri()).stdout)
                         for c in ("base:allocation", "qemu:allocation-depth", "qemu:dirty-bitmap:changes")])
            dirty = f"driver=nbd,server.type=unix,server.path={os.path.abspath('s')},x-dirty-bitmap=qemu:dirty-bitmap:changes"
            a, b = (run(*t, "map", "--output=json", "--image-opts", dirty).stdout for t in ((MIMIC, "img"), ("qemu-img",)))
            assert extents(a) == extents(b), f"{a}\n{b}"
    assert maps[0] == maps[1], f"{maps[0]}\n{maps[1]}"
    p = run(MIMIC, "nbd", "-f", "qcow2", "-B", "nothing", "-k", "/nowhere/s", "top", ok=(1,))
    assert p.stderr == "mimic nbd: Bitmap 'nothing' is not found\n", p.stderr


@test
def our_client():
    """Every kind of server, through map, info, compare and convert."""
    sample("a.raw", 9_000_448)
    where = os.path.abspath("s")
    kits = [["--filter=noextents", "file", "a.raw"], ["file", "a.raw"], ["-o", "file", "a.raw"], ["--mask-handshake=0", "file", "a.raw"],
            ["--filter=blocksize-policy", "file", "a.raw", "blocksize-minimum=512", "blocksize-maximum=64K", "blocksize-error-policy=error"],
            ["--no-sr", "file", "a.raw"], ["-e", "", "file", "a.raw"]]
    for kit in kits + [None]:
        with server("qemu", "-r", "-t", "-e", "4", "-f", "raw", "a.raw") if kit is None else server("nbdkit", "-r", *kit):
            for name in (uri(), f"nbd:unix:{where}"):
                img("compare", "-f", "raw", "-F", "raw", name, "a.raw")
            img("convert", "-f", "raw", "-O", "qcow2", uri(), "out.qcow2")
            run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", "out.qcow2", "a.raw")
            for options in ([uri()], ["--image-opts", f"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={where}"]):
                a, b = (run(*t, "map", "--output=json", *options).stdout for t in ((MIMIC, "img"), ("qemu-img",)))
                assert extents(a) == extents(b), f"{kit}\n{a}\n{b}"
            info = img("info", "-f", "raw", "--output=json", uri()).stdout
            assert json.loads(info)["virtual-size"] == 9_000_448, info
    with server("nbdkit", "memory", "16M"):
        img("convert", "-f", "raw", "-O", "qcow2", "a.raw", uri())
        run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", uri(), "a.raw")
        run("qemu-img", "check", "-f", "qcow2", uri())
        img("check", "-f", "qcow2", uri())
    with server("nbdkit", "-r", "memory", "1M"):
        p = io(uri(), "write 0 4k", ok=(1,))
        assert "is read-only" in p.stderr, p.stderr
    p = img("info", "nbd+unix:///?socket=/nowhere/s", ok=(1,))
    assert p.stderr.count("\n") == 1 and "/nowhere/s" in p.stderr and "No such file" in p.stderr, p.stderr
    for bad in ("nbd:unix:", "nbd://host:port/", "nbds://localhost/", "nbd+unix://host/?socket=x", "nbd+unix:///", "nbd://h/%zz"):
        assert img("info", bad, ok=(1,)).stderr.count("\n") == 1, bad


@test
def errors_arrive():
    """A server's errors are the requests', and only theirs."""
    with server("nbdkit", "--filter=error", "memory", "4M", "error-pread=EIO", "error-pread-rate=100%"):
        p = io(uri(), "write 0 64k", "read 0 64k", "write 0 64k", ok=(1,))
        assert "read failed: Input/output error" in p.stdout and p.stdout.count("wrote 65536/65536") == 2, p.stdout
    with server("nbdkit", "--filter=error", "memory", "4M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%"):
        p = io(uri(), "write 0 64k", "read 0 64k", ok=(1,))
        assert "write failed: No space left on device" in p.stdout and "read 65536/65536" in p.stdout, p.stdout


def short_server(listener, answer):
    """One client after the other: the handshake as it should be, then `answer(socket, cookie, offset, length)` for each request."""
    def take(s, n):
        data = b""
        while len(data) < n:
            if not (more := s.recv(n - len(data))):
                raise EOFError
            data += more
        return data
    def serve(s):
        s.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        take(s, 4)
        while True:
            _, option, length = struct.unpack(">QII", take(s, 16))
            take(s, length)
            reply = lambda kind, data=b"": s.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)
            if option == 7:
                reply(3, struct.pack(">HQH", 0, 1 << 20, 1))
            reply(1 if option in (2, 7, 8, 10) else 0x80000001)
            if option == 7:
                break
        while True:
            _, _, kind, cookie, offset, length = struct.unpack(">IHHQQI", take(s, 28))
            if kind == 2:
                return
            answer(s, cookie, offset, length)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, contextlib.suppress(EOFError, ConnectionError):
            serve(client)


@test
def answers_that_are_short():
    """Less than was asked for, or something else: an error of the read, never bytes that nobody sent."""
    chunk = lambda cookie, flags, kind, data, length=None: struct.pack(">IHHQI", 0x668E33EF, flags, kind, cookie, len(data) if length is None else length) + data
    body = lambda offset, n: struct.pack(">Q", offset) + b"x" * n
    def close(s):
        s.shutdown(socket.SHUT_RDWR)
        raise EOFError
    answers = {
        "half of it": lambda s, c, o, n: s.sendall(chunk(c, 1, 1, body(o, n // 2))),
        "a hole of half": lambda s, c, o, n: s.sendall(chunk(c, 1, 2, struct.pack(">QI", o, n // 2))),
        "nothing": lambda s, c, o, n: s.sendall(chunk(c, 1, 0, b"")),
        "what is behind": lambda s, c, o, n: s.sendall(chunk(c, 1, 1, body(o + 512, n))),
        "the same twice": lambda s, c, o, n: s.sendall(chunk(c, 0, 1, body(o, n // 2)) + chunk(c, 1, 1, body(o, n // 2))),
        "a part, then an error": lambda s, c, o, n: s.sendall(chunk(c, 0, 1, body(o, n // 2)) + chunk(c, 1, 32769, struct.pack(">IH", 5, 0))),
        "a part, then the end": lambda s, c, o, n: (s.sendall(chunk(c, 1, 1, body(o, n)[:n // 2], n + 8)), close(s)),
        "the end": lambda s, c, o, n: close(s),
        "another cookie": lambda s, c, o, n: (s.sendall(chunk(c + 1, 1, 1, body(o, n))), close(s)),
        "no reply": lambda s, c, o, n: (s.sendall(b"?" * 64), close(s)),
    }
    for what, answer in {"all of it": lambda s, c, o, n: s.sendall(chunk(c, 1, 1, body(o, n))), **answers}.items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink("s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s")
            listener.listen(8)
            thread = threading.Thread(target=short_server, args=(listener, answer), daemon=True)
            thread.start()
            if what == "all of it":
                assert "read 4096/4096" in io(uri(), "read -P 0x78 0 4k", options=("-r",)).stdout
            else:
                p = io(uri(), "read 0 4k", options=("-r",), ok=(1,))
                assert "read failed" in p.stdout and "read 4096/4096" not in p.stdout, (what, p.stdout, p.stderr)
                p = run(MIMIC, "img", "convert", "-f", "raw", "-O", "raw", uri(), "b.raw", ok=(1,))
                assert "error while reading" in p.stderr, (what, p.stderr)
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)
            assert not thread.is_alive(), what


@test
def errors_of_a_server_that_fails_at_random():
    """Requests that fail are errors of theirs; what is tried again until it went well is there."""
    sample("a.raw", 4 << 20)
    shutil.copy("a.raw", "b.raw")
    rng = random.Random(9)
    with server("nbdkit", "--filter=error", "file", "b.raw", "error-rate=20%"):
        data = bytearray(open("a.raw", "rb").read())
        commands = []
        for i in range(150):
            at, n = rng.randrange(1000) * 4096, rng.randrange(1, 20) * 4096
            data[at:at + n] = bytes([i]) * n
            commands.append(f"write -P {i} {at} {n}")
        failed = 0
        for command in commands:
            while run(MIMIC, "io", "-f", "raw", "-c", command, uri(), ok=(0, 1)).returncode:
                failed += 1
                assert failed < 1000
        assert failed, "nothing failed"
    assert bytes(data) == open("b.raw", "rb").read()


@test
def a_server_that_comes_back():
    """reconnect-delay: requests wait for it; without, they fail."""
    sample("a.raw", 4 << 20)
    where = os.path.abspath("s")
    opts = f"driver=nbd,server.type=unix,server.path={where},reconnect-delay=20"
    for again in (True, False):
        with server("mimic", "-t", "-f", "raw", "a.raw"):
            p = subprocess.Popen([MIMIC, "io", *(["--image-opts", opts] if again else ["-f", "raw", uri()])], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            p.stdin.write("read 0 64k\n")
            p.stdin.flush()
            assert p.stdout.readline().startswith("qemu-io> read 65536/65536")
            p.stdout.readline()
        if again:
            p.stdin.write("read 1M 64k\nquit\n")
            p.stdin.flush()
            with server("mimic", "-f", "raw", "a.raw"):
                out = p.communicate(timeout=60)[0]
            assert "read 65536/65536 bytes at offset 1048576" in out, out
        else:
            out = p.communicate("read 1M 64k\n", timeout=60)[0]
            assert "read failed" in out, out


@test
def one_shot_and_options():
    sample("a.raw", 4 << 20)
    where = os.path.abspath("s")
    # Without -t the server goes with its last client, and takes its socket with it.
    p = subprocess.Popen([MIMIC, "nbd", "-k", where, "-f", "raw", "a.raw"])
    with_retries = f"driver=nbd,server.type=unix,server.path={where},open-timeout=20"
    img("info", "--image-opts", with_retries)
    assert p.wait(timeout=30) == 0 and not os.path.exists("s")
    # Socket activation: descriptor 3 is the listener.
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("act")
    listener.listen()
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        os.execv(MIMIC, [MIMIC, "nbd", "-r", "-f", "raw", "a.raw"])
    listener.close()
    img("compare", "-f", "raw", "-F", "raw", uri(path="act"), "a.raw")
    assert os.waitpid(pid, 0)[1] == 0
    # TCP, an offset, a snapshot that leaves the file alone, write-through.
    before = digest("a.raw")
    with server("mimic", "-t", "-f", "raw", "-o", "1M", "-s", "a.raw"):
        run("qemu-io", "-f", "raw", "-c", "write -P 9 0 3M", "-c", "read -P 9 0 3M", uri())
        assert json.loads(run("nbdinfo", "--json", uri()).stdout)["exports"][0]["export-size"] == 3 << 20
    assert digest("a.raw") == before
    for args in (["--cache=writethrough"], ["--cache=none"], ["-n"], ["--aio=threads"], ["--aio=io_uring"], ["--detect-zeroes=unmap", "--discard=unmap"]):
        with server("mimic", "-t", "-f", "raw", *args, "a.raw"):
            run("qemu-io", "-f", "raw", "-c", "write -P 7 4096 8192", "-c", "read -P 7 4096 8192", uri())
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    run(MIMIC, "nbd", "--fork", "-r", "-f", "raw", "-b", "127.0.0.1", "-p", port, "-x", "n a", "a.raw")
    img("compare", "-f", "raw", "-F", "raw", f"nbd://127.0.0.1:{port}/n%20a", "a.raw")
    img("create", "-f", "qcow2", "b", "1M")
    io("b", "write -P 3 0 64k", fmt="qcow2")
    img("snapshot", "-c", "one", "b")
    io("b", "write -P 4 0 64k", fmt="qcow2")
    with server("mimic", "-t", "-f", "qcow2", "-l", "one", "b"):
        run("qemu-io", "-r", "-f", "raw", "-c", "read -P 3 0 64k", uri())
    for args in (["-p", "0", "a.raw"], ["-k", "relative", "a.raw"], ["-e", "x", "a.raw"], ["a", "b"], [], ["--cache=x", "a.raw"], ["-c", "/dev/nbd0", "a.raw"],
                 ["--tls-creds=x", "a.raw"], ["-L", "a.raw"], ["-k", "/nowhere/s", "-f", "raw", "a.raw"], ["-k", where, "nothing"]):
        p = run(MIMIC, "nbd", *args, ok=(1,))
        assert p.stderr.startswith("mimic nbd: ") and p.stderr.count("\n") <= 2, f"{args}: {p.stderr}"


def talk(data, path="s"):
    """A client that sends just this and takes all that it gets."""
    def say():
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
    heard = bytearray()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        speaker = threading.Thread(target=say)
        speaker.start()
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                heard += more
        speaker.join()
    return bytes(heard)


@test
def hostile_clients():
    """Garbage, cut requests and lengths that lie end one connection; another goes on, and the server's memory stays small."""
    sample("a.raw", 4 << 20)
    hello = struct.pack(">I", 3)
    option = lambda o, d=b"", n=None: struct.pack(">QII", 0x49484156454F5054, o, len(d) if n is None else n) + d
    go = option(7, struct.pack(">IH", 0, 0))
    request = lambda c, offset=0, length=0, flags=0: struct.pack(">IHHQQI", 0x25609513, flags, c, 7, offset, length)
    good = hello + option(8) + option(10, struct.pack(">III", 0, 1, 15) + b"base:allocation") + go
    wrong = [b"", b"x" * 100, b"\0" * 100, struct.pack(">I", 0xffff), hello + option(1, b"none"), hello + option(3, b"x"), hello + option(99, b"y" * 5000),
             hello + option(7, b"", 1 << 31), hello + option(6, b"z" * 100_000), hello + option(10, struct.pack(">II", 0xffffffff, 1)),
             hello + option(9, struct.pack(">II", 0, 0xffffffff)), good + b"y" * 28, good + request(1, 0, 1 << 31), good + request(0, 0, 0xffffffff),
             good + request(0, 1 << 63, 512), good + request(1, 0, 1 << 20) + b"short", good + request(7, 0, 0), good + request(7, 0, 4 << 20, 0xfff),
             good + request(77, 0, 0), good + request(0, 0, 1 << 20) * 200, good + request(6, 0, 0xffffffff), hello + option(8) * 12_000]
    with server("mimic", "-r", "-t", "-e", "0", "-f", "raw", "a.raw") as pid:
        with socket.socket(socket.AF_UNIX) as idle:  # reads nothing, asks for much
            idle.connect("s")
            idle.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                idle.sendall(good + request(0, 0, 4 << 20) * 5000)
            for data in wrong:
                talk(data)
            whole = good + request(0, 0, 4096) + request(7, 0, 65536) + request(2)
            for cut in range(0, len(whole), 3):
                talk(whole[:cut])
            run("nbdcopy", uri(), "out")
            assert digest("out") == digest("a.raw")
        peak = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
        assert peak < 400_000, f"{peak} kB resident"


def certificates(client=""):
    """ca/ with all files; server/ and client/ without the other's key; stranger/ of another CA. client: more of its certificate."""
    def certify(folder, who, name, template, ca=None):
        open("t", "w").write(f'cn = "{name}"\nexpiration_days = 2\n' + template)
        run("certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", f"{folder}/{who}-key.pem")
        how = ("--generate-self-signed",) if not ca else (
            "--generate-certificate", "--load-ca-certificate", f"{ca}/ca-cert.pem", "--load-ca-privkey", f"{ca}/ca-key.pem")
        run("certtool", *how, "--load-privkey", f"{folder}/{who}-key.pem", "--template", "t", "--outfile", f"{folder}/{who}-cert.pem")
    for folder in ("ca", "stranger"):
        os.mkdir(folder)
        certify(folder, "ca", f"the {folder}", "ca\ncert_signing_key\n")
        certify(folder, "server", "somewhere", 'dns_name = "disks.example"\nip_address = "127.0.0.1"\ntls_www_server\nsigning_key\n', folder)
        certify(folder, "client", "a user", "tls_www_client\nsigning_key\n" + client, folder)


def creds(folder, endpoint, kind="x509", more=""):
    return ("--object", f"tls-creds-{kind},id=tls,dir={os.path.abspath(folder)},endpoint={endpoint}{more}")


def secure_node(more=""):
    return f"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={os.path.abspath('s')},file.tls-creds=tls{more}"


@test
def tls_both_ways():
    """Certificates, keys and anonymous: each end against the reference's and nbdkit's or libnbd's."""
    certificates()
    os.mkdir("psk")
    run("psktool", "-u", "qemu", "-p", "psk/keys.psk")
    sample("a.raw", 9_000_448)
    want = digest("a.raw")
    for kind, folder in (("x509", "ca"), ("psk", "psk"), ("anon", "psk")):
        for theirs in ("mimic", "qemu"):
            with server(theirs, *creds(folder, "server", kind), "--tls-creds", "tls", "-f", "raw", "-t", "-e", "0", "a.raw"):
                named = ",file.tls-hostname=disks.example" if kind == "x509" else ""
                for client in ([MIMIC, "img"], ["qemu-img"]):
                    run(*client, "convert", *creds(folder, "client", kind), "--image-opts", "-O", "raw", secure_node(named), "b.raw")
                    assert digest("b.raw") == want, (kind, theirs, client)
                listed = run(MIMIC, "nbd", "-L", *creds(folder, "client", kind), "--tls-creds", "tls",
                             *(("--tls-hostname", "disks.example") if kind == "x509" else ()), "-k", os.path.abspath("s"))
                assert "size:  9000448" in listed.stdout, listed.stdout
                if kind == "x509":
                    place = f"nbds+unix:///?socket={os.path.abspath('s')}&tls-certificates={os.path.abspath('ca')}&tls-hostname=disks.example"
                    run("nbdcopy", place, "c.raw")
                    assert digest("c.raw") == want, theirs
    with server("nbdkit", "--tls=require", f"--tls-certificates={os.path.abspath('ca')}", "--tls-verify-peer", "file", "a.raw"):
        run(MIMIC, "img", "convert", *creds("ca", "client"), "--image-opts", "-O", "raw", secure_node(",file.tls-hostname=disks.example"), "b.raw")
        assert digest("b.raw") == want
    # Written, many at a time, and over TCP, where the name is the host's.
    sample("z.raw", 9_000_448, 7)
    with server("mimic", *creds("ca", "server"), "--tls-creds", "tls", "-f", "raw", "-t", "-e", "0", "a.raw"):
        run(MIMIC, "img", "convert", "-n", *creds("ca", "client"), "-f", "raw", "--target-image-opts", "z.raw", secure_node(",file.tls-hostname=disks.example"))
    assert digest("a.raw") == digest("z.raw")


@test
def tls_authz():
    """Of those that the CA vouches for, the ones that an object allows; the reference's server decides the same."""
    certificates('organization = "Disks, Inc"\ncountry = "GB"\n')
    sample("a.raw", 100_352)
    rules = lambda policy, *all: json.dumps({"policy": policy, "rules": [dict(zip(("match", "policy", "format"), r)) for r in all]})
    me = "C=GB,O=Disks\\, Inc,CN=a user"
    cases = {"authz-simple,identity=" + me.replace(",", ",,"): True,
             "authz-simple,identity=CN=a user": False,
             "authz-list,policy=deny,rules.0.match=C=GB*,rules.0.policy=allow,rules.0.format=glob": True,
             "authz-list,policy=deny,rules.0.match=C=GB*,rules.0.policy=allow": False,
             "authz-list,policy=allow,rules.0.match=*CN=a user,rules.0.policy=deny,rules.0.format=glob": False,
             "authz-list,policy=allow,rules.0.match=*O=Disks\\,, Inc?CN*,rules.0.policy=deny,rules.0.format=glob": False,
             "authz-list,policy=allow": True}
    for i, (text, allowed) in enumerate(((rules("allow"), True), (rules("allow", (me, "deny", "exact")), False),
                                         (rules("deny", ("*X*", "deny", "glob"), ("*Inc*", "allow", "glob")), True))):
        open(f"rules{i}", "w").write(text)
        cases[f"authz-listfile,filename={os.path.abspath(f'rules{i}')}"] = allowed
    ask = lambda allowed: run(MIMIC, "img", "info", *creds("ca", "client"), "--image-opts", secure_node(",file.tls-hostname=disks.example"),
                              ok=(0,) if allowed else (1,))
    for text, allowed in cases.items():
        kind, _, rest = text.partition(",")
        for theirs in ("mimic", "qemu")[:1 if kind == "authz-listfile" else 2]:  # (Debian's qemu-nbd is without that one.)
            with server(theirs, *creds("ca", "server"), "--object", f"{kind},id=who,{rest}", "--tls-creds", "tls", "--tls-authz", "who",
                        "-f", "raw", "-t", "a.raw"):
                ask(allowed)
    # The file may change while we serve.
    with server("mimic", *creds("ca", "server"), "--object", f"authz-listfile,id=who,filename={os.path.abspath('rules0')}",
                "--tls-creds", "tls", "--tls-authz", "who", "-f", "raw", "-t", "a.raw"):
        ask(True)
        shutil.copy("rules1", "rules0")
        ask(False)
        open("rules0", "w").write("no rules")
        ask(False)
    for words, said in ((("--tls-authz", "who"), "with --tls-creds only"),
                        ((*creds("ca", "server"), "--tls-creds", "tls", "--tls-authz", "who"), "No authorization with id 'who'"),
                        (("--object", "authz-list,id=who,policy=maybe"), "expected allow or deny"),
                        (("--object", "authz-list,id=who,rules.0.policy=allow"), "expects 'match'"),
                        (("--object", "authz-simple,id=who"), "expects identity="),
                        (("--object", "authz-listfile,id=who,filename=/nowhere"), "/nowhere"),
                        (("--object", "authz-listfile,id=who,filename=rules0"), "rules0"),
                        (("--object", "authz-pam,id=who"), "authz-listfile")):
        p = run(MIMIC, "nbd", *words, "-k", os.path.abspath("s"), "-f", "raw", "a.raw", ok=(1,))
        assert said in p.stderr, (words, p.stderr)


@test
def tls_says_its_end():
    """A client that leaves sees close_notify, not a connection that was cut (Python's ssl tells them apart)."""
    certificates()
    sample("a.raw", 100_352)
    context = ssl.create_default_context(cafile="ca/ca-cert.pem")
    context.load_cert_chain("ca/client-cert.pem", "ca/client-key.pem")
    option = lambda number: struct.pack(">QII", 0x49484156454F5054, number, 0)
    with server("mimic", *creds("ca", "server"), "--tls-creds", "tls", "-f", "raw", "-t", "a.raw"), socket.socket(socket.AF_UNIX) as s:
        s.connect("s")
        s.recv(18, socket.MSG_WAITALL)
        s.sendall(struct.pack(">I", 3) + option(5))
        assert s.recv(20, socket.MSG_WAITALL)[12:16] == struct.pack(">I", 1)
        with context.wrap_socket(s, server_hostname="disks.example", suppress_ragged_eofs=False) as c:
            c.sendall(option(2))
            left = 20
            while left:
                left -= len(c.recv(left))
            assert c.recv(1) == b""


@test
def handed_over_before_anything_is_read():
    """What can be read once (a pipe) is read by the program that goes on."""
    sample("a.raw", 100_352)
    # The server last: it goes when it has been told to, not at once, and holds the image until then.
    for words in ("io -f raw --object secret,id=p,file=<(printf x) a.raw <<< 'read 0 512'",
                  "nbd --fork -t --pid-file pid -k $PWD/s -f raw --object secret,id=p,file=<(printf x) a.raw && kill $(cat pid)"):
        run("bash", "-c", f"{MIMIC} {words}")


@test
def tls_refuses():
    """Who is not let in, and that both ends say why."""
    certificates()
    sample("a.raw", 100_352)
    plain = "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=" + os.path.abspath("s")
    convert = (MIMIC, "img", "convert", "--image-opts", "-O", "raw")
    with server("mimic", *creds("ca", "server"), "--tls-creds", "tls", "-f", "raw", "-t", "-e", "0", "a.raw"):
        assert "TLS is required" in run(*convert, plain, "b.raw", ok=(1,)).stderr
        assert run("nbdinfo", uri(), ok=(1,)).stderr
        named = secure_node(",file.tls-hostname=disks.example")
        # The stranger's CA does not vouch for our server, nor ours for the stranger.
        assert "not trusted" in run(*convert, *creds("stranger", "client"), named, "b.raw", ok=(1,)).stderr
        run(*convert, *creds("stranger", "client", more=",verify-peer=off"), named, "b.raw", ok=(1,))
        # Another name than the certificate's.
        assert "not trusted" in run(*convert, *creds("ca", "client"), secure_node(",file.tls-hostname=other.example"), "b.raw", ok=(1,)).stderr
        # Bytes ahead of TLS (a man in the middle could have put them there).
        reply = talk(struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 5, 0) + struct.pack(">QII", 0x49484156454F5054, 3, 0))
        assert reply[18:].hex() == struct.pack(">QIII", 0x3E889045565A9, 5, 1, 0).hex(), reply
        run(*convert, *creds("ca", "client"), named, "b.raw")
    with server("mimic", "-f", "raw", "-t", "a.raw"):
        assert "TLS is not configured" in run(*convert, *creds("ca", "client"), secure_node(), "b.raw", ok=(1,)).stderr
    for words, said in (((*creds("nowhere", "server"),), "cannot read"),
                        ((*creds("ca", "sideways"),), "expected server or client"),
                        ((*creds("ca", "client"), "--tls-creds", "tls"), "expected endpoint=server"),
                        (("--tls-creds", "tls"), "No TLS credentials with id 'tls'"),
                        ((*creds("ca", "server", more=",colour=red"),), "colour"),
                        ((*creds("ca", "server", more=",priority=loud"), "--tls-creds", "tls"), "priority 'loud'")):
        p = run(MIMIC, "nbd", *words, "-k", os.path.abspath("s"), "-f", "raw", "a.raw", ok=(1,))
        assert said in p.stderr, (words, p.stderr)
    # One that cannot be read is not one that is not there: it may be what keeps others out.
    os.symlink("ca-crl.pem", "ca/ca-crl.pem")
    p = run(MIMIC, "nbd", *creds("ca", "server"), "--tls-creds", "tls", "-k", os.path.abspath("s"), "-f", "raw", "a.raw", ok=(1,))
    assert "ca-crl.pem" in p.stderr, p.stderr
    os.unlink("ca/ca-crl.pem")
    assert "tls-hostname is empty" in run(*convert, *creds("ca", "client"), secure_node(",file.tls-hostname="), "b.raw", ok=(1,)).stderr
    # A certificate that the CA did not sign is said at once.
    shutil.copytree("ca", "mixed")
    shutil.copy("stranger/server-cert.pem", "mixed/")
    shutil.copy("stranger/server-key.pem", "mixed/")
    p = run(MIMIC, "nbd", *creds("mixed", "server"), "--tls-creds", "tls", "-k", os.path.abspath("s"), "-f", "raw", "a.raw", ok=(1,))
    assert "is not signed by the CA" in p.stderr, p.stderr


@test
def io_lines():
    """`mimic io` says what qemu-io says, but for times and rates."""
    def normal(text):
        text = re.sub(r"\d+ ops; .*", "ops", text)
        return re.sub(r"^(\d+,\d+),.*$", r"\1", text, flags=re.M)
    lines = [["read 0 64k"], ["write -P 5 0 64k", "read -P 5 0 64k", "read -P 6 0 64k"], ["read -v 65500 64"], ["read -P 5 -s 100 -l 10 0 1000"],
             ["length", "alloc 0 128k", "map", "alloc 65536"], ["readv 0 512 512 4096", "writev -P 3 0 512 1024"], ["write -z 0 64k", "write -z -u 0 64k", "discard 0 64k",
             "discard -q 0 64k", "flush", "length"], ["bogus"], ["read"], ["read 0"], ["read x 64k"], ["read 0 x"], ["read 100M 64k"], ["write 100M 4k"], ["write -P 300 0 64k"],
             ["close", "read 0 512"], ["read -C 0 512", "read -q 0 512", "write -f 0 512", "write -n 0 512", "write -u 0 512", "write -s src 0 5k", "sleep 1"],
             ["read -P 1 0 1k", "write -z -P 4 0 512", "readv -P 2 0 512"], ["truncate", "length 5", "alloc", "discard 0", "flush 1", "aio_read 0"],
             ["open nothing"], ["aio_write -P 1 0 4k", "aio_flush", "read -P 1 0 4k"], ["aio_write 100M 4k", "aio_flush"], ["quit", "bogus"]]
    with open("src", "wb") as f:
        f.write(b"0123456789abcdef" * 100)
    for fmt in ("raw", "qcow2"):
        for commands in lines + ([["write -c 0 64k", "write -c 0 100", "map"]] if fmt == "qcow2" else [["truncate 2M", "length"]]):
            seen = []
            for tool in ([MIMIC, "io"], ["qemu-io"]):
                run("qemu-img", "create", "-f", fmt, "i", "1M")
                run("qemu-io", "-f", fmt, "-c", "write -P 9 128k 64k", "i")
                p = run(*tool, "-f", fmt, *[x for c in commands for x in ("-c", c)], "i", ok=None)
                seen.append((p.returncode, normal(p.stdout), p.stderr.replace("mimic io: ", "qemu-io: ")))
            assert seen[0] == seen[1], f"{fmt} {commands}\n{seen[0]}\n{seen[1]}"
    p = run(MIMIC, "io", data="open -r i\nread 0 4k\nlength\nwrite 0 512\nclose\nquit\n")
    assert p.returncode == 0 and p.stdout.count("qemu-io> ") == 6 and "1 MiB" in p.stdout and "read-only" in p.stderr, p
    assert run(MIMIC, "io", "-f", "raw", "-r", "-c", "write 0 512", "i", ok=(1,)).stderr == "mimic io: Block node is read-only\n"
    assert "can't open" in run("qemu-io", "nothing", ok=(1,)).stderr and "nothing" in run(MIMIC, "io", "nothing", ok=(1,)).stderr


sys.exit(run_tests(TESTS, sys.argv[2:]))
