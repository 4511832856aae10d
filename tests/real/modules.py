"""Uses the standard modules of Python for real, one function each, and prints what came out.

    modules.py [MODULE...]

The output must be the same on every machine: no addresses, times, process numbers or paths. Files go to the current
directory.
"""

import sys

CHECKS = {}


def check(function):
    CHECKS[function.__name__.removeprefix("use_")] = function
    return function


@check
def use_abc():
    import abc

    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...

    class Square(Shape):
        def area(self):
            return 9
    try:
        Shape()
    except TypeError:
        return Square().area(), sorted(Shape.__abstractmethods__)


@check
def use_argparse():
    import argparse
    parser = argparse.ArgumentParser(prog="p", exit_on_error=False)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("names", nargs="*")
    told = parser.parse_args(["--count", "7", "a", "b"])
    return told.count, told.names, parser.format_usage()


@check
def use_array():
    import array
    a = array.array("d", [i / 7 for i in range(50)])
    b = array.array("H", range(1000))
    b.byteswap()
    return sum(a), a.itemsize, b[513], a.tobytes()[:16].hex()


@check
def use_ast():
    import ast
    tree = ast.parse("def f(x):\n    return x ** 2 + sum(i for i in range(x))")
    names = sorted({type(node).__name__ for node in ast.walk(tree)})
    space = {}
    exec(compile(tree, "made", "exec"), space)
    return len(names), space["f"](10), ast.literal_eval("{'a': [1, 2.5, None]}")


@check
def use_asyncio():
    import asyncio

    async def worker(queue, out):
        while (item := await queue.get()) is not None:
            await asyncio.sleep(0)
            out.append(item * item)

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line[::-1])
        writer.close()

    async def main():
        queue, out = asyncio.Queue(4), []
        workers = [asyncio.create_task(worker(queue, out)) for _ in range(3)]
        for n in range(50):
            await queue.put(n)
        for _ in workers:
            await queue.put(None)
        await asyncio.gather(*workers)
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"".join(b"line %d\n" % n for n in range(200)))
        writer.write_eof()
        text = await reader.read()
        writer.close()
        server.close()
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        answer, _ = await process.communicate(b"through a process")
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            late = True
        return sorted(out)[-3:], len(text), text[:9], answer, process.returncode, late
    return asyncio.run(main())


@check
def use_base64():
    import base64
    data = bytes(range(256)) * 4
    packed = [f(data) for f in (base64.b64encode, base64.b32encode, base64.a85encode, base64.b85encode)]
    assert base64.b85decode(packed[3]) == data
    return [(len(p), p[:12]) for p in packed]


@check
def use_binascii():
    import binascii
    return binascii.crc32(b"mimic" * 999), binascii.crc_hqx(b"mimic", 0), binascii.hexlify(b"\0\xff", "-")


@check
def use_bisect():
    import bisect
    values = sorted((i * 7919) % 1009 for i in range(500))
    return [bisect.bisect(values, x) for x in (0, 10, 500, 1008)], bisect.bisect_left(values, values[250])


@check
def use_bz2():
    import bz2
    data = b"".join(b"%d squared is %d\n" % (i, i * i) for i in range(3000))
    packed = bz2.compress(data)
    assert bz2.decompress(packed) == data
    return len(packed), packed[:8].hex()


@check
def use_calendar():
    import calendar
    return calendar.month(2024, 2), calendar.isleap(1900), calendar.timegm((2001, 9, 9, 1, 46, 40))


@check
def use_cmath():
    import cmath
    roots = [cmath.exp(2j * cmath.pi * k / 5) for k in range(5)]
    return [f"{z.real:.12f} {z.imag:.12f}" for z in roots], f"{cmath.sqrt(-3 + 4j):.12f}"


@check
def use_codecs():
    import codecs
    text = "Grüße, мир, 世界, 🎈"
    return [text.encode(c).hex() for c in ("utf-8", "utf-16-le", "utf-7", "gb18030")], codecs.encode("Hello", "rot13")


@check
def use_collections():
    import collections
    counts = collections.Counter("mississippi")
    point = collections.namedtuple("Point", "x y")(3, 4)
    ring = collections.deque(range(5), maxlen=3)
    ring.rotate(1)
    chain = collections.ChainMap({"a": 1}, {"a": 2, "b": 3})
    table = collections.defaultdict(list)
    for k in range(10):
        table[k % 3].append(k)
    return counts.most_common(2), point._replace(x=5), list(ring), chain["b"], dict(table), \
        list(collections.OrderedDict(b=1, a=2))


@check
def use_colorsys():
    import colorsys
    return [f"{v:.9f}" for v in colorsys.rgb_to_hsv(0.2, 0.4, 0.6)], colorsys.hls_to_rgb(0.5, 0.5, 0.5)


@check
def use_concurrent():
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(lambda n: n ** 3, range(40)))
    import multiprocessing
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        processes = list(pool.map(abs, range(-10, 0)))
    return sum(threads), processes


@check
def use_configparser():
    import configparser
    import io
    config = configparser.ConfigParser()
    config.read_string("[DEFAULT]\nroot = /srv\n[site]\npath = %(root)s/www\nport = 80\n")
    out = io.StringIO()
    config.write(out)
    return config["site"]["path"], config.getint("site", "port"), out.getvalue()


@check
def use_contextlib():
    import contextlib
    import io
    log = []

    @contextlib.contextmanager
    def step(name):
        log.append(f"+{name}")
        try:
            yield name
        finally:
            log.append(f"-{name}")
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyError):
        for name in "abc":
            stack.enter_context(step(name))
        raise KeyError
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print("caught")
    return log, out.getvalue()


@check
def use_copy():
    import copy
    a = {"x": [1, [2, 3]]}
    a["self"] = a
    shallow, deep = copy.copy(a), copy.deepcopy(a)
    a["x"][1].append(4)
    return shallow["x"], deep["x"], deep["self"] is deep


@check
def use_csv():
    import csv
    import io
    out = io.StringIO()
    writer = csv.DictWriter(out, ["name", "note"])
    writer.writeheader()
    writer.writerow({"name": 'O"Neil', "note": "a, b\nc"})
    return out.getvalue(), list(csv.reader(io.StringIO(out.getvalue()))), csv.Sniffer().sniff("a;b;c\n1;2;3\n").delimiter


@check
def use_ctypes():
    import ctypes
    libc = ctypes.CDLL(None)
    libc.strtod.restype = ctypes.c_double
    libc.snprintf.argtypes = None

    class Pair(ctypes.Structure):
        _fields_ = [("a", ctypes.c_short), ("b", ctypes.c_double), ("c", ctypes.c_char * 5)]
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    compare = compare_type(lambda x, y: x[0] - y[0])  # a callback: the library writes code for it
    numbers = (ctypes.c_int * 8)(5, 3, 9, -1, 7, 0, 2, 8)
    libc.qsort(numbers, 8, ctypes.sizeof(ctypes.c_int), compare)
    buffer = ctypes.create_string_buffer(64)
    libc.snprintf(buffer, ctypes.c_size_t(64), b"%d %s %c", ctypes.c_int(42), b"words", ctypes.c_int(33))
    return libc.strtod(b"2.75", None), ctypes.sizeof(Pair), Pair.c.offset, list(numbers), buffer.value, \
        libc.toupper(ord("q"))


@check
def use_dataclasses():
    import dataclasses

    @dataclasses.dataclass(order=True, frozen=True)
    class Item:
        price: float
        name: str = dataclasses.field(compare=False)
        tags: tuple = ()
    items = sorted([Item(2.5, "b"), Item(1.5, "a", ("x",))])
    return [dataclasses.asdict(i) for i in items], dataclasses.replace(items[0], name="z")


@check
def use_datetime():
    import datetime as d
    zone = d.timezone(d.timedelta(hours=5, minutes=30))
    t = d.datetime(2024, 2, 29, 23, 59, 59, 123456, zone)
    return t.isoformat(), (t + d.timedelta(days=366)).strftime("%A %d %B %Y %j %U %z"), t.astimezone(d.timezone.utc), \
        d.datetime.strptime("7 Mar 1999 04:05", "%d %b %Y %H:%M"), d.date(2020, 12, 31).isocalendar()[:], \
        d.datetime.fromisoformat("2011-11-04T00:05:23+04:00").timestamp()


@check
def use_dbm():
    import dbm.dumb
    with dbm.dumb.open("table", "n") as table:
        for i in range(20):
            table[f"k{i}"] = str(i * i)
    with dbm.dumb.open("table", "r") as table:
        return len(table), table["k7"]


@check
def use_decimal():
    import decimal as d
    with d.localcontext() as context:
        context.prec = 60
        third, root = d.Decimal(1) / 3, d.Decimal(2).sqrt()
        e = d.Decimal(1).exp()
    factorial = d.Decimal(1)
    with d.localcontext() as context:
        context.prec = 300
        for i in range(1, 120):
            factorial *= i
    return third, root, e, factorial, d.Decimal("2.675").quantize(d.Decimal("0.01"), d.ROUND_HALF_EVEN)


@check
def use_difflib():
    import difflib
    a, b = "one two three four".split(), "one 2 three four five".split()
    return list(difflib.unified_diff(a, b, lineterm="")), difflib.get_close_matches("appel", ["ape", "apple", "peach"])


@check
def use_dis():
    import dis
    import types
    code = compile("a = [i * i for i in range(10) if i % 2]", "made", "exec")
    nested = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [i.opname for c in [code, *nested] for i in dis.get_instructions(c)]


@check
def use_email():
    import email.message
    import email.policy
    import email.parser
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße"
    message["To"] = "a@example.org, B <b@example.org>"
    message.set_content("Text ümlaut\n")
    message.add_attachment(bytes(range(100)), maintype="application", subtype="octet-stream", filename="x.bin")
    message.set_boundary("=edge=")
    back = email.parser.BytesParser(policy=email.policy.default).parsebytes(bytes(message))
    return back["subject"], [p.get_content_type() for p in back.walk()], bytes(message)[:120]


@check
def use_enum():
    import enum

    class Bits(enum.Flag):
        A = enum.auto()
        B = enum.auto()
        C = A | B

    class Colour(enum.IntEnum):
        RED, GREEN = 1, 2
    return Bits.A | Bits.B is Bits.C, ~Bits.A, Colour(2), [c.name for c in Colour], Colour.RED < 2


@check
def use_errno():
    import errno
    import os
    found = []
    for call in (lambda: open("/none/such"), lambda: os.mkdir("/proc/x/y"), lambda: os.read(999, 1),
                 lambda: os.kill(os.getpid(), 999)):
        try:
            call()
        except OSError as error:
            found.append((errno.errorcode[error.errno], error.strerror))
    return found


@check
def use_fcntl():
    import fcntl
    import os
    with open("locked", "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        flags = fcntl.fcntl(f, fcntl.F_GETFL)
        fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)
        child = os.fork()
        if child == 0:
            try:
                with open("locked", "a", encoding="ascii") as other:
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
            except BlockingIOError:
                os._exit(3)
            os._exit(4)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flags & os.O_ACCMODE


@check
def use_filecmp():
    import filecmp
    for name, text in (("f1", "same"), ("f2", "same"), ("f3", "diff")):
        with open(name, "w", encoding="ascii") as f:
            f.write(text)
    return filecmp.cmpfiles(".", ".", ["f1"]), filecmp.cmp("f1", "f2", False), filecmp.cmp("f1", "f3", False)


@check
def use_fractions():
    from fractions import Fraction
    harmonic = sum(Fraction(1, n) for n in range(1, 60))
    return harmonic, Fraction(3.141592653589793).limit_denominator(1000), Fraction("1.25") ** -3


@check
def use_functools():
    import functools

    @functools.lru_cache(maxsize=None)
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    @functools.singledispatch
    def show(x):
        return "other"
    show.register(int, lambda x: "int")
    return fib(200), fib.cache_info().hits, functools.reduce(lambda a, b: a * b % 997, range(1, 300)), \
        functools.partial(int, base=2)("1011"), show(1), show("x")


@check
def use_gc():
    import gc
    import weakref

    class Node:
        pass
    nodes = [Node() for _ in range(100)]
    for a, b in zip(nodes, nodes[1:] + nodes[:1]):
        a.next = b
    refs = [weakref.ref(n) for n in nodes]
    del nodes, a, b
    gc.collect()
    return sum(r() is not None for r in refs), gc.isenabled()


@check
def use_getopt():
    import getopt
    return getopt.gnu_getopt(["-a", "x", "--size=3", "-vv", "y"], "av", ["size="])


@check
def use_glob():
    import glob
    import pathlib
    pathlib.Path("tree/a/b").mkdir(parents=True, exist_ok=True)
    for name in ("tree/1.txt", "tree/a/2.txt", "tree/a/b/3.dat", "tree/a/b/[x].txt"):
        pathlib.Path(name).write_text("x", encoding="ascii")
    return sorted(glob.glob("tree/**/*.txt", recursive=True)), glob.glob(glob.escape("tree/a/b/[x].txt"))


@check
def use_graphlib():
    import graphlib
    order = graphlib.TopologicalSorter({"d": {"b", "c"}, "b": {"a"}, "c": {"a"}})
    order.prepare()
    levels = []
    while order.is_active():
        ready = sorted(order.get_ready())
        levels.append(ready)
        order.done(*ready)
    return levels


@check
def use_gzip():
    import gzip
    data = b"gzip " * 5000
    packed = gzip.compress(data, mtime=0)
    with gzip.open("f.gz", "wb", compresslevel=1) as f:
        f.write(data)
    with gzip.open("f.gz", "rb") as f:
        f.seek(12345)
        return len(packed), packed.hex(), f.read(10), gzip.decompress(packed) == data


@check
def use_hashlib():
    import hashlib
    data = bytes(i * i & 255 for i in range(10000))
    names = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s")
    return {n: hashlib.new(n, data).hexdigest() for n in names}, hashlib.shake_128(data).hexdigest(20), \
        hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 500).hex(), hashlib.scrypt(b"w", salt=b"s", n=64, r=8, p=1).hex()


@check
def use_heapq():
    import heapq
    heap = [(i * 7919) % 10007 for i in range(2000)]
    heapq.heapify(heap)
    return [heapq.heappop(heap) for _ in range(5)], heapq.nlargest(3, heap), \
        list(heapq.merge([1, 4, 7], [2, 5], [0, 9]))


@check
def use_hmac():
    import hmac
    return hmac.new(b"key", b"message", "sha512").hexdigest(), hmac.compare_digest(b"a", b"b")


@check
def use_html():
    import html
    import html.parser
    found = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, attrs))

        def handle_data(self, data):
            found.append(data)
    Parser().feed("<p class='a'>x &amp; y<br/><b>bold</b></p>")
    return found, html.escape("<a href=\"x\">"), html.unescape("&eacute;&#8364;&lt;")


@check
def use_http():
    import http.client
    import http.cookies
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(body.upper())

        def log_message(self, *words):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address, timeout=60)
        connection.request("POST", "/x", b"some body" * 1000)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        thread.join()
    return answer.status, len(text), text[:9], http.cookies.SimpleCookie("a=1; b=2").output()


@check
def use_importlib():
    import importlib
    with open("made_module.py", "w", encoding="ascii") as f:
        f.write("value = 6 * 7\ndef f(x): return x + value\n")
    sys.path.insert(0, ".")
    module = importlib.import_module("made_module")
    sys.path.pop(0)
    return module.f(1), importlib.util.find_spec("no_such_module") if hasattr(importlib, "util") else None


@check
def use_inspect():
    import inspect

    def f(a, b=2, *c, d, **e):
        """Says something."""
    return str(inspect.signature(f)), inspect.getdoc(f), inspect.isfunction(f), len(inspect.getsource(f))


@check
def use_io():
    import io
    buffer = io.BytesIO()
    text = io.TextIOWrapper(io.BufferedWriter(buffer), "utf-16", newline="\r\n")
    text.write("eins\nzwei ü\n")
    text.flush()
    with open("io.bin", "w+b", buffering=64) as f:
        f.write(bytes(range(256)) * 10)
        f.seek(-100, 2)
        tail = f.read(3)
        f.truncate(500)
        return buffer.getvalue().hex(), tail, f.seek(0, 2)


@check
def use_ipaddress():
    import ipaddress
    net = ipaddress.ip_network("10.1.0.0/21")
    return net.num_addresses, list(net.subnets(new_prefix=23)), ipaddress.ip_address("2001:db8::1").exploded


@check
def use_itertools():
    import itertools as i
    return list(i.permutations("abc", 2)), len(list(i.combinations(range(12), 5))), \
        [(k, len(list(g))) for k, g in i.groupby("aaabbc")], list(i.accumulate(range(10))), \
        list(i.islice(i.cycle("xy"), 5)), list(i.zip_longest("ab", "c")), list(i.chain("ab", "cd"))


@check
def use_json():
    import json
    value = {"a": [1, 2.5, -0.0, 1e300, 5e-324, None, True], "ü": "\u2028\"\\", "n": {"z": [], "y": {}}}
    text = json.dumps(value, sort_keys=True, indent=1)
    assert json.loads(text) == value
    try:
        json.loads("{\"a\": [1, 2,, 3]}")
    except json.JSONDecodeError as error:
        return text, json.dumps(value, ensure_ascii=False), error.pos


@check
def use_linecache():
    import linecache
    with open("lines.txt", "w", encoding="ascii") as f:
        f.writelines(f"line {n}\n" for n in range(100))
    return linecache.getline("lines.txt", 43)


@check
def use_locale():
    import locale
    locale.setlocale(locale.LC_ALL, "C")
    return locale.format_string("%10.2f %s", (1234.5678, "x")), locale.strxfrm("b") > locale.strxfrm("a")


@check
def use_logging():
    import io
    import logging
    out = io.StringIO()
    logger = logging.getLogger("a.b")
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.debug("no")
    logger.warning("yes %d", 7)
    try:
        1 // 0
    except ZeroDivisionError:
        logger.exception("bad")
    return [line for line in out.getvalue().splitlines() if not line.startswith(" ")]


@check
def use_lzma():
    import lzma
    data = b"".join(b"%d cubed is %d\n" % (i, i ** 3) for i in range(3000))
    packed = lzma.compress(data, preset=2)
    raw = lzma.compress(data, lzma.FORMAT_ALONE)
    assert lzma.decompress(packed) == data == lzma.decompress(raw)
    return len(packed), len(raw), packed[-20:].hex()


@check
def use_mailbox():
    import mailbox
    box = mailbox.mbox("box")
    for n in range(3):
        box.add(mailbox.mboxMessage(f"Subject: number {n}\n\nFrom here\n"))
    box.close()
    return [m["subject"] for m in mailbox.mbox("box")]


@check
def use_marshal():
    import marshal
    value = (1, 2 ** 70, "text", b"bytes", 2.5, None, [True, {"k": (1j,)}], frozenset({3}))
    return marshal.loads(marshal.dumps(value)), marshal.dumps((1, "a"), 0)


@check
def use_math():
    import math
    values = [math.sin(1e5), math.exp(1.5), math.log(7), math.gamma(5.5), math.erf(0.3), math.atan2(-1, -2), math.tan(1),
              math.fsum([0.1] * 10), math.hypot(3, 4, 12), math.cbrt(27.5), math.pow(2.5, 3.5), math.lgamma(0.5)]
    return [f"{v:.13g}" for v in values], math.isqrt(10 ** 41), math.comb(60, 30), math.gcd(2 ** 80, 6 ** 40), \
        math.factorial(50), math.frexp(1e-310), math.fmod(-7.5, 2), math.nextafter(1, 2), math.ulp(1e10)


@check
def use_mimetypes():
    import mimetypes
    kinds = mimetypes.MimeTypes()
    return kinds.guess_type("a.tar.gz"), kinds.guess_extension("image/png")


@check
def use_mmap():
    import mmap
    import os
    with open("mapped", "w+b") as f:
        f.write(b"0123456789" * 1000)
        f.flush()
        with mmap.mmap(f.fileno(), 0) as m:
            m[5000:5004] = b"mark"
            found = m.find(b"mark"), m[4998:5006]
            m.resize(20000)
            m.seek(19990)
            m.write(b"end")
            m.flush()
    shared = mmap.mmap(-1, 4096)
    if (child := os.fork()) == 0:
        shared[:5] = b"child"
        os._exit(0)
    os.waitpid(child, 0)
    return found, os.path.getsize("mapped"), shared[:6]


def square(n):
    return n * n


def put_squares(numbers, queue, total):
    for n in numbers:
        queue.put(square(n))
        with total.get_lock():
            total.value += n


@check
def use_multiprocessing():
    import multiprocessing
    context = multiprocessing.get_context("fork")
    queue, total = context.Queue(), context.Value("i", 0)
    workers = [context.Process(target=put_squares, args=(range(n, 60, 3), queue, total)) for n in range(3)]
    for worker in workers:
        worker.start()
    squares = sorted(queue.get() for _ in range(60))
    for worker in workers:
        worker.join()
    left, right = context.Pipe()
    left.send({"a": [1, 2]})
    with context.Pool(2) as pool:
        mapped = pool.map(square, range(30), chunksize=4)
    return squares[-3:], total.value, [w.exitcode for w in workers], right.recv(), sum(mapped)


@check
def use_operator():
    import operator
    return operator.itemgetter(1, -1)("abcd"), operator.attrgetter("real")(3 + 4j), \
        operator.methodcaller("split", ",")("a,b"), operator.index(7), operator.xor(12, 10)


@check
def use_os():
    import os
    os.makedirs("deep/er", exist_ok=True)
    with open("deep/file", "wb") as f:
        f.write(b"x" * 12345)
    os.chmod("deep/file", 0o640)
    os.utime("deep/file", ns=(10 ** 18, 2 * 10 ** 18))
    os.symlink("file", "deep/link")
    os.link("deep/file", "deep/hard")
    st = os.stat("deep/file")
    r, w = os.pipe()
    if (child := os.fork()) == 0:
        os.write(w, b"from the child")
        os._exit(7)
    status = os.waitpid(child, 0)[1]
    walked = sorted((os.path.basename(d), sorted(s), sorted(f)) for d, s, f in os.walk("deep"))
    return oct(st.st_mode), st.st_size, st.st_nlink, st.st_mtime_ns, os.readlink("deep/link"), os.read(r, 99), \
        os.waitstatus_to_exitcode(status), walked, os.sysconf("SC_PAGE_SIZE"), sorted(os.listdir("deep"))


@check
def use_pathlib():
    import pathlib
    p = pathlib.Path("paths") / "a" / "b.tar.gz"
    p.parent.mkdir(parents=True, exist_ok=True)
    p.write_bytes(b"abc")
    q = p.rename(p.with_name("c.txt"))
    return q.suffix, p.suffixes, p.stem, q.read_text(), q.exists(), p.exists(), [str(x) for x in sorted(pathlib.Path("paths").rglob("*"))]


@check
def use_pickle():
    import datetime
    import pickle
    value = {"d": datetime.date(2000, 1, 2), "s": {1, 2, 3}, "big": 10 ** 50, "f": square, "b": b"x" * 1000}
    value["loop"] = [value["b"], value["b"]]
    sizes = []
    for protocol in range(6):
        packed = pickle.dumps(value, protocol)
        back = pickle.loads(packed)
        assert back == value and back["loop"][0] is back["loop"][1]
        sizes.append(len(packed))
    return sizes


@check
def use_platform():
    import platform
    return platform.system(), platform.python_implementation(), platform.architecture()[0]


@check
def use_plistlib():
    import plistlib
    value = {"a": 1, "b": [True, 2.5, b"data"], "c": "text"}
    packed = plistlib.dumps(value, fmt=plistlib.FMT_BINARY)
    assert plistlib.loads(packed) == value == plistlib.loads(plistlib.dumps(value))
    return len(packed)


@check
def use_pprint():
    import pprint
    return pprint.pformat({"key" * n: list(range(n * 4)) for n in range(1, 6)}, width=50)


@check
def use_pty():
    import os
    import pty
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "test -t 0 && echo a terminal; stty size"])
    text = b""
    try:
        while chunk := os.read(fd, 1024):
            text += chunk
    except OSError:
        pass
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@check
def use_queue():
    import queue
    import threading
    work, done = queue.Queue(3), queue.PriorityQueue()

    def run():
        while (item := work.get()) is not None:
            done.put(-item)
            work.task_done()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(100):
        work.put(n)
    work.join()
    for _ in threads:
        work.put(None)
    for t in threads:
        t.join()
    return [done.get() for _ in range(3)], done.qsize()


@check
def use_random():
    import random
    r = random.Random(1234)
    return r.random(), r.randrange(10 ** 30), r.choices("abc", k=5), r.sample(range(100), 4), f"{r.gauss(0, 1):.12f}", \
        f"{r.betavariate(2, 3):.12f}", r.getrandbits(100), r.randbytes(8).hex()


@check
def use_re():
    import re
    text = "2024-01-15 ERROR [db] x=42; 2024-01-16 WARN [net] y=-7\n" * 50
    pattern = re.compile(r"(?P<date>\d{4}-\d\d-\d\d) (?P<level>[A-Z]+) \[(\w+)\] (\w)=(-?\d+)")
    found = [m.groupdict() for m in pattern.finditer(text)]
    return len(found), found[1], re.sub(r"(\w)=(-?\d+)", r"\2=\1", text[:27]), re.split(r"[;\s]+", text[:30]), \
        bool(re.fullmatch(r"(a+)+b", "a" * 16 + "b")), re.findall(r"(?i)(?<=e)rr(?=or)", text[:20])


@check
def use_resource():
    import resource
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return used.ru_maxrss > 1000, used.ru_utime > 0, now


@check
def use_sched():
    import sched
    clock = [0]
    log = []

    def wait(n):
        clock[0] += n
    s = sched.scheduler(lambda: clock[0], wait)
    for delay, name in ((5, "b"), (1, "a"), (9, "c")):
        s.enter(delay, 1, log.append, (name,))
    s.run()
    return log, clock


@check
def use_secrets():
    import secrets
    return len(secrets.token_hex(20)), secrets.randbelow(1), secrets.token_bytes(8) != secrets.token_bytes(8)


@check
def use_select():
    import os
    import select
    r, w = os.pipe()
    poll, epoll = select.poll(), select.epoll()
    poll.register(r, select.POLLIN)
    epoll.register(r, select.EPOLLIN | select.EPOLLET)
    before = select.select([r], [w], [], 0)[0], poll.poll(0), epoll.poll(0)
    os.write(w, b"x")
    after = len(select.select([r], [], [], 5)[0]), poll.poll(5000)[0][1], epoll.poll(5)[0][1], epoll.poll(0)
    os.close(w)
    os.read(r, 1)
    return before, after, poll.poll(0)[0][1] & select.POLLHUP


@check
def use_selectors():
    import selectors
    import socket
    a, b = socket.socketpair()
    with selectors.DefaultSelector() as s:
        s.register(b, selectors.EVENT_READ, "b")
        a.send(b"1")
        got = [(key.data, mask) for key, mask in s.select(5)]
    a.close()
    b.close()
    return got, selectors.DefaultSelector.__name__


@check
def use_shelve():
    import dbm
    import shelve
    dbm._defaultmod = __import__("dbm.dumb", fromlist=["x"])
    with shelve.open("shelf", "n") as shelf:
        shelf["a"] = {"x": [1, 2, 3]}
    with shelve.open("shelf") as shelf:
        return shelf["a"], list(shelf)


@check
def use_shlex():
    import shlex
    return shlex.split("a 'b c' \"d \\\" e\" f\\ g # h", comments=True), shlex.quote("it's"), shlex.join(["a b", "c"])


@check
def use_shutil():
    import os
    import shutil
    os.makedirs("source/in", exist_ok=True)
    with open("source/in/f", "w", encoding="ascii") as f:
        f.write("text" * 1000)
    shutil.copytree("source", "copy", dirs_exist_ok=True)
    archive = shutil.make_archive("packed", "gztar", "source")
    shutil.unpack_archive(archive, "unpacked")
    size = os.path.getsize("unpacked/in/f")
    shutil.rmtree("unpacked")
    os.remove(archive)
    return size, os.path.exists("unpacked"), os.path.basename(archive), os.path.basename(shutil.which("sh") or "")


@check
def use_signal():
    import os
    import signal
    log = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: log.append(signal.Signals(number).name))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda number, frame: log.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    pending = signal.sigpending()
    taken = signal.sigwait([signal.SIGUSR1])
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.signal(signal.SIGUSR1, old)
    return log, sorted(pending), taken, signal.strsignal(11)


@check
def use_socket():
    import socket
    import threading
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data.swapcase())
    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(server.getsockname()) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"Hello" * 1000)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := client.recv(1000):
            got += data
        nodelay = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    thread.join()
    server.close()
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    import os
    r, w = os.pipe()
    socket.send_fds(a, [b"a descriptor"], [w])
    text, descriptors, _, _ = socket.recv_fds(b, 100, 1)
    os.write(descriptors[0], b"through it")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.sendto(b"to myself", udp.getsockname())
    return len(got), got[:10], nodelay != 0, text, os.read(r, 99), udp.recvfrom(99)[0], \
        socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "2001:DB8::0:1")), socket.htons(0x1234)


@check
def use_socketserver():
    import socket
    import socketserver
    import threading

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline()[::-1])
    with socketserver.ThreadingUnixStreamServer("server.socket", Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        answers = []
        for word in (b"one\n", b"two\n"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("server.socket")
                client.sendall(word)
                answers.append(client.recv(99))
        server.shutdown()
    import os
    os.remove("server.socket")
    return answers


@check
def use_sqlite3():
    import sqlite3
    base = sqlite3.connect("base.db")
    base.execute("create table t (id integer primary key, name text, value real)")
    with base:
        base.executemany("insert into t (name, value) values (?, ?)", ((f"n{i % 50}", i / 3) for i in range(2000)))
    base.create_function("twice", 1, lambda x: x * 2)
    rows = base.execute("select name, count(*), round(sum(value), 6), twice(max(id)) from t group by name "
                        "having name like 'n1%' order by 3 desc limit 4").fetchall()
    try:
        base.execute("insert into t (id) values (1)")
    except sqlite3.IntegrityError as error:
        failed = str(error)
    plan = base.execute("with recursive c(n) as (values(1) union all select n + 1 from c where n < 100) "
                        "select sum(n), group_concat(n % 7, '') from c").fetchone()
    base.close()
    return rows, failed, plan


@check
def use_ssl():
    import ssl
    text = ssl.OPENSSL_VERSION.split()[0]
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="example.org")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        hello = outgoing.read()
    names = {cipher["name"] for cipher in context.get_ciphers()}
    return text, hello[:3], len(hello) > 200, "TLS_AES_256_GCM_SHA384" in names, context.verify_mode, \
        len(ssl.RAND_bytes(16)), ssl.cert_time_to_seconds("Jan  5 09:34:43 2018 GMT")


@check
def use_stat():
    import os
    import stat
    return stat.filemode(os.stat(".").st_mode), stat.S_ISCHR(os.stat("/dev/null").st_mode), stat.filemode(0o106755)


@check
def use_statistics():
    import statistics
    data = [(i * 37 % 101) / 8 for i in range(200)]
    return statistics.mean(data), statistics.median(data), f"{statistics.stdev(data):.12f}", statistics.mode([1, 2, 2]), \
        [f"{q:.10f}" for q in statistics.quantiles(data, n=4)], f"{statistics.NormalDist(0, 1).cdf(1):.12f}"


@check
def use_string():
    import string
    return string.Template("$a ${b}x $$").substitute(a=1, b="two"), string.capwords("some words here"), \
        string.Formatter().format("{0:>8.3f}|{x!r:^10}", 3.14159, x="y"), string.hexdigits


@check
def use_struct():
    import struct
    packed = struct.pack(">hIq2fd5s?", -2, 4 << 28, -1 << 40, 1.5, -0.0, 1e300, b"abc", True)
    return packed.hex(), struct.unpack("<3H", b"\1\2\3\4\5\6"), struct.calcsize("@ihql"), struct.pack("<e", 0.1).hex(), \
        list(struct.iter_unpack("<bB", b"\xff\1\x80\2"))


@check
def use_subprocess():
    import subprocess
    done = subprocess.run(["sh", "-c", "echo out; echo err >&2; cat; exit 3"], input=b"given\n", capture_output=True,
                          check=False)
    first = subprocess.Popen(["seq", "100"], stdout=subprocess.PIPE)
    second = subprocess.run(["tail", "-n", "2"], stdin=first.stdout, stdout=subprocess.PIPE, check=True)
    first.stdout.close()
    killed = subprocess.Popen(["sleep", "100"])
    killed.terminate()
    try:
        subprocess.run(["sleep", "100"], timeout=0.05, check=False)
    except subprocess.TimeoutExpired:
        late = True
    return done.stdout, done.stderr, done.returncode, second.stdout, first.wait(), killed.wait(), late, \
        subprocess.run(["python3", "-c", "print(sum(range(99)))"], capture_output=True, check=True).stdout, \
        subprocess.run("echo $WORD", shell=True, env={"WORD": "w", "PATH": "/usr/bin:/bin"}, capture_output=True,
                       check=True).stdout


@check
def use_sys():
    sys.setrecursionlimit(3000)

    def depth(n):
        return 0 if n == 0 else depth(n - 1) + 1
    try:
        depth(10 ** 6)
    except RecursionError:
        caught = True
    return sys.maxsize, sys.byteorder, depth(1500), caught, sys.float_info.epsilon, sys.int_info.bits_per_digit, \
        sys.getsizeof([]), sys.hash_info.modulus, hash(2.5), hash(10 ** 30)


@check
def use_tarfile():
    import io
    import tarfile
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as tar:
        for n in range(5):
            info = tarfile.TarInfo(f"dir/file{n}")
            info.size = n * 1000
            tar.addfile(info, io.BytesIO(b"z" * info.size))
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        return [(m.name, m.size) for m in tar], tar.extractfile("dir/file1").read(3)


@check
def use_tempfile():
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as f, \
            tempfile.TemporaryFile() as g, tempfile.SpooledTemporaryFile(10) as s:
        f.write(b"abc")
        f.flush()
        g.write(b"x" * 10000)
        s.write(b"more than ten bytes")
        size = os.path.getsize(f.name)
        return size, g.tell(), s._rolled, len(os.listdir(folder)), oct(os.stat(f.name).st_mode)


@check
def use_textwrap():
    import textwrap
    return textwrap.fill("The quick brown fox jumps over the lazy dog. " * 3, 30, subsequent_indent="  "), \
        textwrap.dedent("   a\n     b\n"), textwrap.shorten("Hello wonderful world", 12)


@check
def use_threading():
    import threading
    lock, total, ready = threading.Lock(), [0], threading.Barrier(6)
    local = threading.local()
    names = []

    def run(n):
        local.value = n
        ready.wait()
        for _ in range(500):
            with lock:
                total[0] += 1
        names.append(local.value)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    condition, turn = threading.Condition(), [0]
    order = []

    def ping(me):
        for _ in range(20):
            with condition:
                condition.wait_for(lambda: turn[0] == me)
                order.append(me)
                turn[0] = 1 - me
                condition.notify_all()
    pair = [threading.Thread(target=ping, args=(me,)) for me in (0, 1)]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    event = threading.Event()
    timer = threading.Timer(0.01, event.set)
    timer.start()
    semaphore = threading.BoundedSemaphore(2)
    return total, sorted(names), order == [0, 1] * 20, event.wait(60), semaphore.acquire(), \
        semaphore.acquire(timeout=0.01), semaphore.acquire(timeout=0.01)


@check
def use_time():
    import time
    a, b = time.monotonic_ns(), time.process_time_ns()
    time.sleep(0.01)
    waited, worked = time.monotonic_ns() - a, time.process_time_ns() - b
    return waited >= 10_000_000, worked < 10 ** 10, time.gmtime(10 ** 9)[:], time.strftime("%a %c", time.gmtime(86400)), \
        time.mktime(time.strptime("2001-01-01", "%Y-%m-%d")) > 9e8, time.time() > 1.6e9


@check
def use_timeit():
    import timeit
    return timeit.timeit("sum(range(10))", number=1000) > 0, len(timeit.repeat("pass", number=10, repeat=3))


@check
def use_tokenize():
    import io
    import token
    import tokenize
    return [(token.tok_name[t.type], t.string) for t in tokenize.generate_tokens(io.StringIO("x = f(1, 'a')  # c\n").readline)]


@check
def use_tomllib():
    import tomllib
    return tomllib.loads("a = [1, 2.5]\n[t.u]\nwhen = 1979-05-27T07:32:00Z\ns = '''x\ny'''\n")


@check
def use_traceback():
    import traceback

    def fail(n):
        return fail(n - 1) if n else {}["missing"]
    try:
        fail(2)
    except KeyError as error:
        frames = [f.name for f in traceback.extract_tb(error.__traceback__)]
        return frames, traceback.format_exception_only(error)


@check
def use_types():
    import types
    space = types.SimpleNamespace(a=1)
    made = types.new_class("Made", (dict,), {}, lambda ns: ns.update(x=5))
    return space, made.x, types.MappingProxyType({"k": 1})["k"], isinstance(len, types.BuiltinFunctionType)


@check
def use_typing():
    import typing

    class Movie(typing.TypedDict):
        name: str
        year: int

    def f(a: "int | None", *b: typing.List[str]) -> typing.Dict[str, float]: ...
    return typing.get_type_hints(f), typing.get_args(typing.Union[int, str]), typing.get_type_hints(Movie)


@check
def use_unicodedata():
    import unicodedata
    return unicodedata.normalize("NFD", "é").encode(), unicodedata.name("☃"), unicodedata.category("٣"), \
        unicodedata.numeric("½"), unicodedata.lookup("GREEK SMALL LETTER PI")


@check
def use_unittest():
    import io
    import unittest
    import unittest.mock

    class Case(unittest.TestCase):
        def test_passes(self):
            self.assertAlmostEqual(0.1 + 0.2, 0.3)

        def test_fails(self):
            self.assertEqual([1, 2], [1, 3])

        def test_mocks(self):
            thing = unittest.mock.Mock(return_value=3)
            self.assertEqual(thing(1), 3)
            thing.assert_called_once_with(1)
    result = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))
    return result.testsRun, len(result.failures), len(result.errors)


@check
def use_urllib():
    import urllib.parse
    parts = urllib.parse.urlsplit("https://u@host:81/a%20b;p?q=1&q=2#f")
    return parts, urllib.parse.parse_qs(parts.query), urllib.parse.quote("ä/ b"), urllib.parse.urljoin("http://a/b/c", "../d")


@check
def use_uuid():
    import uuid
    return uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), uuid.UUID(int=5).hex, uuid.uuid4().version


@check
def use_warnings():
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning)
    return [(w.category.__name__, str(w.message)) for w in caught]


@check
def use_weakref():
    import weakref

    class Thing:
        pass
    thing, log = Thing(), []
    weakref.finalize(thing, log.append, "gone")
    table = weakref.WeakValueDictionary(a=thing)
    before = "a" in table
    del thing
    return before, "a" in table, log


@check
def use_xml():
    import xml.dom.minidom
    import xml.etree.ElementTree as tree
    import xml.sax
    root = tree.fromstring("<r a='1'><i>x &amp; y</i><i k='ü'/>tail</r>")
    tree.SubElement(root, "new").text = "<>"
    names = []

    class Handler(xml.sax.ContentHandler):
        def startElement(self, name, attrs):
            names.append((name, dict(attrs)))
    xml.sax.parseString(tree.tostring(root), Handler())
    try:
        tree.fromstring("<a><b></a>")
    except tree.ParseError as error:
        return tree.tostring(root), names, error.position, xml.dom.minidom.parseString("<a><b/></a>").toprettyxml(" ")


@check
def use_zipfile():
    import io
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("a/b.txt", (2020, 1, 1, 0, 0, 0)), "text " * 1000, zipfile.ZIP_LZMA)
        z.writestr(zipfile.ZipInfo("c", (2020, 1, 1, 0, 0, 0)), bytes(5000), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(out) as z:
        return [(i.filename, i.file_size, i.CRC) for i in z.infolist()], z.testzip(), z.read("a/b.txt")[:10]


@check
def use_zlib():
    import zlib
    data = b"".join(b"%d\n" % (i * i) for i in range(5000))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = packer.compress(data) + packer.flush()
    assert zlib.decompress(raw, -15) == data
    try:
        zlib.decompress(zlib.compress(data)[:-1])
    except zlib.error as error:
        return [len(zlib.compress(data, level)) for level in (1, 6, 9)], zlib.adler32(data), zlib.crc32(data), str(error)


@check
def use_zoneinfo():
    import zoneinfo
    return zoneinfo.ZoneInfo.from_file.__name__, len(zoneinfo.TZPATH) > 0


def main():
    names = sys.argv[1:] or sorted(CHECKS)
    for name in names:
        try:
            result = repr(CHECKS[name]())
        except Exception as error:  # what fails natively, too, is no difference
            result = f"{type(error).__name__}: {error}"
        print(f"{name}: {result}", flush=True)
    print(f"{len(names)} modules")


if __name__ == "__main__":
    main()
