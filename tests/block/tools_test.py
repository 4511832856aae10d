#!/usr/bin/env python3
"""What scripts and people see of the image tools: signals, names, messages, help; beside Debian's qemu-img and qemu-io.

usage: tools_test.py MIMIC [NAME...]     (exit 77: qemu-img is not there)
"""
import json, os, re, shutil, signal, struct, subprocess, sys

from harness import MIMIC, img, qemu, run, run_tests

if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
    print("qemu-img is not installed (package qemu-utils)")
    sys.exit(77)
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def noise(path, size):
    with open(path, "wb") as f:
        f.write(os.urandom(size))


def io(*args, **more):
    return run(MIMIC, "io", *args, **more)


def said(*args, status=1, tool="img"):
    """What is said on standard error."""
    return run(MIMIC, tool, *args, ok=(status,)).stderr.decode()


def alike(*args, status=0):
    """Both tools print the same on standard output, and end the same."""
    ours, theirs = img(*args, ok=(status,)), qemu(*args, ok=(status,))
    assert ours.stdout == theirs.stdout, (args, ours.stdout, theirs.stdout)


@test
def progress_when_asked():
    """SIGUSR1 is a question, not the end."""
    noise("a.raw", 8 << 20)
    img("create", "-q", "-f", "qcow2", "-b", "a.raw", "-F", "raw", "top.qcow2")
    io("-c", "write 0 8M", "top.qcow2")
    for args in (("convert", "-r", "16M", "-O", "qcow2", "a.raw", "b.qcow2"), ("commit", "-r", "16M", "top.qcow2")):
        p = subprocess.Popen([MIMIC, "img", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # Not before the program is ready for it: then it catches the signal (bit 9 of the mask).
        while not int(re.search(r"SigCgt:\s*(\w+)", open(f"/proc/{p.pid}/status").read())[1], 16) >> (signal.SIGUSR1 - 1) & 1:
            os.sched_yield()
        p.send_signal(signal.SIGUSR1)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0 and re.fullmatch(rb" +\(\d+\.\d\d/100%\)\n", err) and b"%" not in out, (args, p.returncode, out, err)
        if args[0] == "convert":
            qemu("compare", "a.raw", "b.qcow2")


@test
def images_in_use():
    noise("a.raw", 1 << 20)
    img("convert", "-O", "qcow2", "a.raw", "a.qcow2")
    writer = subprocess.Popen(["qemu-io", "-f", "qcow2", "a.qcow2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer.stdin.write(b"write 0 4k\n")
    writer.stdin.flush()
    writer.stdout.readline()
    img("create", "-f", "qcow2", "-b", "a.qcow2", "-F", "qcow2", "top.qcow2")
    assert json.loads(qemu("info", "-U", "--output=json", "top.qcow2").stdout)["virtual-size"] == 1 << 20
    for fmt in ("raw", "qcow2"):
        img("convert", "-U", "-f", "qcow2", "-O", fmt, "a.qcow2", "b")
    img("dd", "-U", "-f", "qcow2", "if=a.qcow2", "of=c.raw")
    assert "force-share=on can only be used with read-only images" in said("bench", "-U", "-w", "a.qcow2")
    writer.stdin.close()
    writer.wait()


@test
def options_that_do_not_go_together():
    noise("a.raw", 1 << 20)
    img("create", "-q", "-f", "qcow2", "a.qcow2", "1M")
    for args, says in ((("convert", "-n", "-o", "compat=1.1", "-O", "qcow2", "a.raw", "a.qcow2"), "-o has no effect when skipping image creation"),
                       (("convert", "-C", "-S", "0", "a.raw", "b.raw"), "Cannot enable copy offloading when -S is used"),
                       (("bench", "-w", "-c", "100", "--flush-interval", "10", "a.qcow2"), "Flush interval can't be smaller than depth"),
                       (("info", "--image-opts", "a.qcow2"), "Could not open 'a.qcow2': Cannot find device='a.qcow2' nor node-name='a.qcow2'"),
                       (("bench", "-o", "100M", "-c", "10", "-f", "raw", "a.raw"), "Failed request: "),
                       (("amend", "-o", "backing_file=a.raw,backing_fmt=raw", "a.qcow2"), "Cannot amend the backing file\nYou can use 'qemu-img rebase' instead."),
                       (("create", "-f", "qcow2", "-u", "-b", "nothere", "-F", "qcow2", "n.qcow2"), "n.qcow2: Image creation needs a size parameter"),
                       (("create", "-f", "qcow2", "-b", "nothere", "-F", "qcow2", "n.qcow2", "1M"),
                        "n.qcow2: Could not open 'nothere': No such file or directory\nCould not open backing image."),
                       (("compare", "a.raw"), "Expecting two image file names")):
        ours, theirs = img(*args, ok=(1,)).stderr.decode(), qemu(*args, ok=(1,)).stderr.decode()
        assert says in ours and says in theirs, (args, ours, theirs)
    printed = img("bench", "-w", "-c", "100", "-d", "10", "--flush-interval", "10", "a.qcow2").stdout.decode()
    assert "Sending flush every 10 requests" in printed, printed


@test
def comparing():
    noise("a.raw", 1 << 20)
    open("empty", "wb").close()
    shutil.copy("a.raw", "big")
    os.truncate("big", 2 << 20)
    with open("other", "wb") as f:
        f.truncate(1 << 19)
    for name, status in (("empty", 1), ("big", 0), ("other", 1)):
        alike("compare", "-f", "raw", "-F", "raw", "a.raw", name, status=status)


@test
def checking():
    """Findings are on standard error, whatever else is asked for."""
    img("create", "-q", "-f", "qcow2", "a.qcow2", "1M")
    io("-c", "write 0 1M", "a.qcow2")
    with open("a.qcow2", "r+b") as f:
        f.seek(2 * 65536 + 2 * 6)
        f.write(struct.pack(">HH", 0, 5))
    for more in ((), ("-q",), ("--output=json",)):
        ours, theirs = img("check", *more, "a.qcow2", ok=(2,)), qemu("check", *more, "a.qcow2", ok=(2,))
        assert b"ERROR cluster 6 refcount=0 reference=1" in ours.stderr and b"Leaked cluster 7" in ours.stderr, ours
        assert b"ERROR" not in ours.stdout and bool(ours.stdout) == bool(theirs.stdout), ours
    # Its backing file belongs to it.
    qemu("create", "-q", "-u", "-f", "qcow2", "-b", "nothere", "-F", "raw", "lost.qcow2", "1M")
    assert "Could not open backing file" in said("check", "lost.qcow2")


@test
def smaller_with_snapshots():
    """Each snapshot keeps its own size."""
    noise("a.raw", 8 << 20)
    for o in ("cluster_size=64k", "cluster_size=4k,refcount_bits=8", "extended_l2=on"):
        img("convert", "-O", "qcow2", "-o", o, "a.raw", "a.qcow2")
        for name in ("one", "two"):
            img("snapshot", "-c", name, "a.qcow2")
        img("resize", "--shrink", "a.qcow2", "3M")
        qemu("check", "a.qcow2")
        img("check", "a.qcow2")
        img("convert", "-O", "raw", "a.qcow2", "b.raw")
        assert open("b.raw", "rb").read() == open("a.raw", "rb").read()[:3 << 20]
        img("resize", "a.qcow2", "5M")
        img("convert", "-O", "raw", "a.qcow2", "b.raw")
        assert open("b.raw", "rb").read() == open("a.raw", "rb").read()[:3 << 20] + bytes(2 << 20)
        img("convert", "-l", "one", "-O", "raw", "a.qcow2", "b.raw")
        run("cmp", "a.raw", "b.raw")
        qemu("convert", "-l", "one", "-O", "raw", "a.qcow2", "b.raw")  # as long as the disk is now
        run("cmp", "-n", 5 << 20, "a.raw", "b.raw")
        img("snapshot", "-a", "two", "a.qcow2")
        qemu("check", "a.qcow2")
        qemu("compare", "a.raw", "a.qcow2")
        for name in ("one", "two"):
            img("snapshot", "-d", name, "a.qcow2")
        qemu("check", "a.qcow2")
    img("create", "-q", "-f", "qcow2", "-o", "compat=0.10", "old.qcow2", "8M")
    img("snapshot", "-c", "one", "old.qcow2")
    assert "v2" in said("resize", "--shrink", "old.qcow2", "4M")


@test
def sizes_that_the_table_does_not_tell():
    """Of snapshots that were made before there was a place for their size: it is the image's, until that changes."""
    noise("a.raw", 1 << 20)
    img("convert", "-O", "qcow2", "a.raw", "a.qcow2")
    img("snapshot", "-c", "one", "a.qcow2")
    with open("a.qcow2", "r+b") as f:
        f.seek(64)
        table = struct.unpack(">Q", f.read(8))[0]
        f.seek(table)
        entry = f.read(40)
        id_size, name_size = struct.unpack(">HH", entry[12:16])
        extra = struct.unpack(">I", entry[36:40])[0]
        f.seek(table + 40 + extra)
        names = f.read(id_size + name_size)
        f.seek(table)
        f.write(entry[:36] + struct.pack(">I", 0) + names + bytes(extra))
    img("check", "a.qcow2")
    img("resize", "--shrink", "a.qcow2", "512k")
    qemu("check", "a.qcow2")
    img("snapshot", "-a", "one", "a.qcow2")
    qemu("check", "a.qcow2")
    qemu("compare", "a.raw", "a.qcow2")


@test
def data_files_that_are_the_disk():
    """All of their tables are there from the begin, as the reference has it."""
    noise("a.raw", 2 << 20)
    with open("zeros.raw", "wb") as f:
        f.truncate(4 << 20)

    def check_both():
        counts = [json.loads(t("check", "--output=json", "a.qcow2").stdout).get("allocated-clusters", 0) for t in (img, qemu)]
        assert counts[0] == counts[1], counts
        return counts[0]

    numbers = []
    for tool in (img, qemu):
        got = []
        for o in ("", ",extended_l2=on"):
            for source in (None, "a.raw", "zeros.raw"):
                for name in ("a.qcow2", "a.data"):
                    if os.path.exists(name):
                        os.unlink(name)
                creation = ("-o", "data_file=a.data,data_file_raw=on" + o)
                if source:
                    tool("convert", "-f", "raw", "-O", "qcow2", *creation, source, "a.qcow2")
                else:
                    tool("create", "-q", "-f", "qcow2", *creation, "a.qcow2", "2M")
                got.append(check_both())
                tool("resize", "a.qcow2", "6M")
                got.append(check_both())
        numbers.append(got)
    assert numbers[0] == numbers[1] and numbers[0][0] == 32, numbers


@test
def temporary_and_copied():
    """-s writes nowhere, -C keeps what was read, -b reaches behind the disk."""
    noise("base.raw", 1 << 20)
    img("create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "a.qcow2")
    before = open("a.qcow2", "rb").read()
    printed = io("-s", "-c", "write -P 7 0 64k", "-c", "read -P 7 0 64k", "a.qcow2", ok=(0,)).stdout
    assert b"verification" not in printed and open("a.qcow2", "rb").read() == before
    data = open("base.raw", "rb").read()
    printed = io("-C", "-c", "read 70000 1000", "-c", "read 500k 64k", "-c", "write -P 9 512k 512", "-c", "read -v 70000 16", "a.qcow2").stdout.decode()
    assert " ".join(f"{b:02x}" for b in data[70000:70016]) in printed, printed
    shown = [(e["start"], e["length"]) for e in json.loads(qemu("map", "--output=json", "a.qcow2").stdout) if e["depth"] == 0]
    assert shown == [(65536, 65536), (7 * 65536, 131072)], shown
    qemu("check", "a.qcow2")
    os.truncate("base.raw", 0)
    with open("base.raw", "r+b") as f:
        f.truncate(1 << 20)
    qemu("convert", "-O", "raw", "a.qcow2", "b.raw")
    seen = open("b.raw", "rb").read()
    assert seen[65536:131072] == data[65536:131072] and seen[524288:524800] == b"\t" * 512 and seen[524800:589824] == data[524800:589824]
    assert "read-only" in said("-r", "-C", "-c", "read 0 1k", "a.qcow2", tool="io")
    io("-c", "write -b -P 3 0 1k", "-c", "read -b -P 3 0 1k", "-c", "read -b -P 0 1k 1k", "a.qcow2")
    assert b"verification" not in run("qemu-io", "-c", "read -b -P 3 0 1k", "a.qcow2").stdout
    assert b"verification" not in io("-c", "read -b -P 3 0 1k", "a.qcow2").stdout
    ours, theirs = io("-c", "info", "a.qcow2").stdout, run("qemu-io", "-c", "info", "a.qcow2").stdout
    assert ours == theirs, (ours, theirs)


@test
def names_of_links():
    """Who calls the program qemu-img gets what that says of itself."""
    for tool in ("img", "io", "nbd", "storage-daemon"):
        os.symlink(MIMIC, f"qemu-{tool}")
        first = run(f"./qemu-{tool}", "--version").stdout.decode().splitlines()[0]
        theirs = run(f"qemu-{tool}", "--version", ok=None).stdout.decode().split("\n")[0] if shutil.which(f"qemu-{tool}") else ""
        assert re.fullmatch(rf"qemu-{tool}( version)? \d+\.\d+\.\d+ \(mimic [\d.]+\)", first), first
        assert not theirs or first.split("(")[0].split(".")[0] == theirs.split("(")[0].split(".")[0], (first, theirs)
        assert re.fullmatch(rf"mimic {tool} version [\d.]+", run(MIMIC, tool, "--version").stdout.decode().strip())
        assert f"qemu-{tool} " in run(f"./qemu-{tool}", "--help").stdout.decode()
    assert run("./qemu-img", "info", "nothere", ok=(1,)).stderr.startswith(b"qemu-img: Could not open 'nothere'")
    assert run("./qemu-io", "-c", "read 0 1", "nothere", ok=(1,)).stderr.startswith(b"qemu-io: ")
    assert run("./qemu-nbd", "nothere", ok=(1,)).stderr.startswith(b"qemu-nbd: ")
    assert run("./qemu-storage-daemon", "--blockdev", "driver=file,node-name=a,filename=nothere", ok=(1,)).stderr.startswith(b"qemu-storage-daemon: ")


@test
def names_of_images():
    """However an image was named, it is called the same."""
    img("create", "-q", "-f", "qcow2", "a.qcow2", "1M")
    noise("a.raw", 1 << 20)
    for args in (('json:{"driver":"qcow2","file.filename":"a.qcow2"}',), ('json:{"file.filename":"a.qcow2"}',),
                 ("--image-opts", "driver=qcow2,file.filename=a.qcow2"), ("--image-opts", "driver=qcow2,file.driver=file,file.filename=a.qcow2")):
        alike("info", *args)
        alike("info", "--output=json", *args)
    server = subprocess.Popen([MIMIC, "nbd", "-f", "raw", "-t", "-e", "2", "-x", "e", "-k", os.path.abspath("s"), "--pid-file", "pid", "a.raw"])
    try:
        while not os.path.exists("pid"):
            assert server.poll() is None
            os.sched_yield()
        path = os.path.abspath("s")
        for args in ((f"nbd+unix:///e?socket={path}",), (f"nbd:unix:{path}:exportname=e",),
                     ("--image-opts", f"driver=nbd,server.type=unix,server.path={path},export=e"),
                     ("--image-opts", f"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={path},file.export=e")):
            ours, theirs = (json.loads(t("info", "--output=json", *args).stdout) for t in (img, qemu))
            assert ours == theirs, (args, ours, theirs)
    finally:
        server.kill()
        server.wait()


@test
def every_option_is_explained():
    """Each option of the usage line, and no other command's, has a line of its own."""
    page = img("--help").stdout.decode()
    commands = re.findall(r"^  (\w+) [\[(-]", page, re.M)
    assert len(commands) == 15, commands
    for c in commands:
        usage, rest = img(c, "--help").stdout.decode().split("\n", 1)
        lines = "\n".join(l.lstrip() for l in rest.splitlines())
        for option in set(re.findall(r"(?<![\w-])(-\w|--[a-z][a-z-]+)", usage)):
            assert re.search(rf"^(?:-\S+, )*{re.escape(option)}(?![\w-])", lines, re.M), (c, option, rest)
        assert c == "check" or "63" not in rest, c
    listed = io("-c", "help").stdout.decode()
    for c in ("read", "write", "aio_read", "aio_write", "discard", "open", "reopen", "truncate"):
        text = io("-c", f"help {c}").stdout.decode()
        usage, rest = text.split(" -- ", 1)
        assert usage in listed
        for letter in set("".join(re.findall(r"-(\w+)", usage))):
            assert re.search(rf"^ -{letter}  \S", rest, re.M), (c, letter, text)


@test
def messages_name_what_is_wrong():
    noise("a.raw", 1 << 20)
    img("create", "-q", "-f", "qcow2", "a.qcow2", "1M")
    for args, says in ((("info", ""), "The 'file' block driver requires a file name"),
                       (("info", "--object", "secret,id=s,file=nothere", "a.raw"), "'nothere': No such file or directory"),
                       (("info", "--object", "secret,id=s", "a.raw"), "secret 's' expects one of data= and file="),
                       (("info", "--image-opts", "driver=qcow2,file.filname=a.qcow2"), "'filname'"),
                       (("create", "-f", "qcow2", "n", "99999999999P"), "'99999999999P' is too large"),
                       (("create", "-f", "qcow2", "n", "12Q"), "'12Q' is no size"),
                       (("bench", "-s", "0", "a.raw"), "-s"), (("bench", "-d", "0", "a.raw"), "-d"),
                       (("bench", "--pattern", "300", "a.raw"), "Must be between 0 and 255"),
                       (("dd", "bs=0", "if=a.raw", "of=b"), "Must be between 1 and"),
                       (("rebase", "-b", "a.raw", "-F", "raw", "-f", "raw", "a.raw"), "format raw has no backing files"),
                       (("bitmap", "--remove", "a.qcow2", "b0"), "Operation remove on bitmap 'b0' failed"),
                       (("bitmap", "--clear", "--merge", "x", "a.qcow2", "b0"), "Operation clear on bitmap 'b0' failed")):
        assert says in said(*args), (args, said(*args))
    assert "Invalid offset" in said("-o", "100M", "-f", "raw", "a.raw", tool="nbd")


sys.exit(run_tests(TESTS, sys.argv[2:]))
