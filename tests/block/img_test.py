#!/usr/bin/env python3
"""Cross-checks of `mimic img` with Debian's qemu-img and qemu-io, in both directions.

usage: img_test.py MIMIC BLOCK_EXERCISE [NAME...]     (exit 77: qemu-img is not there)
"""
import json, os, random, resource, re, shutil, struct, subprocess, sys

from harness import MIMIC, img, qemu, run, run_tests

EXERCISE = os.path.abspath(sys.argv[2])
if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
    print("qemu-img is not installed (package qemu-utils)")
    sys.exit(77)


def qemu_io(image, *commands, fmt="qcow2"):
    return run("qemu-io", "-f", fmt, *[x for c in commands for x in ("-c", c)], image)


def same(a, b, fa="qcow2", fb="raw"):
    qemu("compare", "-f", fa, "-F", fb, a, b)
    img("compare", "-f", fa, "-F", fb, a, b)


def clean(image):
    qemu("check", "-f", "qcow2", image)
    img("check", "-f", "qcow2", image)


def sample(path, size, seed=1):
    """Holes, noise and text; the size need not be a multiple of anything."""
    rng = random.Random(seed)
    with open(path, "wb") as f:
        at = 0
        while at < size:
            n = min(rng.choice([512, 4096, 30000, 65536, 200000]), size - at)
            kind = rng.randrange(4)
            f.seek(at)
            if kind == 0:
                f.write(rng.randbytes(n))
            elif kind == 1:
                f.write((b"line %d of a text\n" % at * (n // 8))[:n])
            elif kind == 2:
                f.write(bytes(n))
            at += n
        f.truncate(size)


OPTIONS = ["cluster_size=64k", "cluster_size=512", "cluster_size=2M", "compat=0.10", "refcount_bits=1", "refcount_bits=2,cluster_size=4k", "refcount_bits=4",
           "refcount_bits=8", "refcount_bits=32", "refcount_bits=64,cluster_size=1k", "lazy_refcounts=on", "extended_l2=on", "extended_l2=on,cluster_size=16k",
           "compression_type=zstd", "preallocation=metadata", "preallocation=falloc", "preallocation=full", "preallocation=metadata,extended_l2=on",
           "extended_l2=on,compression_type=zstd,lazy_refcounts=on,refcount_bits=64"]
TESTS = []


def test(f):
    TESTS.append(f)
    return f


@test
def convert_both_ways():
    sample("src.raw", 5_000_192)
    for o in OPTIONS:
        img("convert", "-f", "raw", "-O", "qcow2", "-o", o, "src.raw", "ours.qcow2")
        clean("ours.qcow2")
        same("ours.qcow2", "src.raw")
        qemu("convert", "-f", "raw", "-O", "qcow2", "-o", o, "src.raw", "theirs.qcow2")
        clean("theirs.qcow2")
        same("theirs.qcow2", "src.raw")
        img("convert", "-f", "qcow2", "-O", "raw", "theirs.qcow2", "back.raw")
        run("cmp", "back.raw", "src.raw")
        if "prealloc" in o:
            continue
        img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", o, "src.raw", "packed.qcow2")
        clean("packed.qcow2")
        same("packed.qcow2", "src.raw")
        qemu("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", o, "src.raw", "theirs.qcow2")
        img("convert", "-f", "qcow2", "-O", "raw", "theirs.qcow2", "back.raw")
        run("cmp", "back.raw", "src.raw")


@test
def convert_options():
    sample("src.raw", 3_000_320)
    for extra in (["-W"], ["-m", "1"], ["-m", "16"], ["-S", "0"], ["-S", "64k"], ["-C"], ["-t", "none"], ["-T", "none"], ["-t", "writethrough"], ["-r", "100M"], ["-p"]):
        for fmt in ("raw", "qcow2"):
            img("convert", "-f", "raw", "-O", fmt, *extra, "src.raw", "out")
            same("out", "src.raw", fa=fmt)
    img("create", "-f", "qcow2", "out", "4M")
    qemu_io("out", "write -P 9 0 4M")
    img("convert", "-n", "-f", "raw", "-O", "qcow2", "src.raw", "out")
    img("convert", "-f", "qcow2", "-O", "raw", "out", "back.raw")
    assert open("back.raw", "rb").read()[:3_000_320] == open("src.raw", "rb").read()
    # Sources one behind the other.
    img("convert", "-f", "raw", "-O", "qcow2", "src.raw", "src.raw", "twice.qcow2")
    img("convert", "-O", "raw", "twice.qcow2", "twice.raw")
    assert open("twice.raw", "rb").read() == open("src.raw", "rb").read() * 2
    img("convert", "-n", "--target-image-opts", "-f", "raw", "src.raw", "driver=qcow2,file.filename=out")
    img("convert", "-O", "qcow2", "--image-opts", "driver=raw,file.filename=src.raw", "out2")
    same("out2", "src.raw")
    img("info", 'json:{"driver":"qcow2","file":{"driver":"file","filename":"out2"}}')


@test
def random_changes():
    for i, o in enumerate(OPTIONS):
        if "preallocation=f" in o:
            continue
        letters = "scrd" if "0.10" not in o else "scd"
        img("create", "-f", "qcow2", "-o", o, "a.qcow2", "3M")
        for round in range(3):
            run(EXERCISE, "a.qcow2", letters, i * 10 + round, 80, "want.raw")
            clean("a.qcow2")
            same("a.qcow2", "want.raw")
        # An image of theirs, changed by us.
        qemu("create", "-f", "qcow2", "-o", o, "b.qcow2", "2M")
        qemu_io("b.qcow2", "write -P 3 10k 500k", "write -z 100k 64k", "discard 300k 128k")
        if "refcount_bits=1" in o or "refcount_bits=2" in o:  # too narrow for another snapshot
            continue
        qemu("snapshot", "-c", "theirs", "b.qcow2")
        qemu_io("b.qcow2", "write -P 4 64k 100k")
        run(EXERCISE, "b.qcow2", letters.replace("r", ""), i, 80, "want.raw")
        clean("b.qcow2")
        same("b.qcow2", "want.raw")
        qemu("snapshot", "-a", "theirs", "b.qcow2")
        qemu_io("b.qcow2", "read -P 3 10k 50k", "read -P 0 100k 64k")
        clean("b.qcow2")


@test
def external_data_files():
    """Made and changed by either, with the data in a file of their own; data_file_raw: that file is the disk."""
    sample("src.raw", 3_000_320)
    for o in ("", ",data_file_raw=on", ",extended_l2=on", ",cluster_size=4k,lazy_refcounts=on", ",preallocation=metadata"):
        for make, other in ((img, qemu), (qemu, img)):
            for name in ("a.qcow2", "a.data"):
                if os.path.exists(name):
                    os.unlink(name)
            make("create", "-f", "qcow2", "-o", "data_file=a.data" + o, "a.qcow2", "3000320")
            other("convert", "-n", "-f", "raw", "-O", "qcow2", "src.raw", "a.qcow2")
            clean("a.qcow2")
            same("a.qcow2", "src.raw")
            qemu_io("a.qcow2", "write -P 3 100k 300k", "write -z 200k 64k", "discard 512k 128k")
            run(EXERCISE, "a.qcow2", "d", 7, 80, "want.raw")
            clean("a.qcow2")
            same("a.qcow2", "want.raw")
            if "raw=on" in o:
                run("cmp", "-n", "3000320", "a.data", "want.raw")  # the rest of the last cluster is there, too
            ours, theirs = (json.loads(tool("info", "--output=json", "a.qcow2").stdout) for tool in (img, qemu))
            assert ours["format-specific"] == theirs["format-specific"], (ours, theirs)
            for tool in (img, qemu):
                tool("resize", "a.qcow2", "4M")
                tool("resize", "--shrink", "a.qcow2", "2M")
            clean("a.qcow2")
            with open("want.raw", "r+b") as f:
                f.truncate(2 << 20)
            same("a.qcow2", "want.raw")


@test
def devices():
    """A block device (a loop device, where we may have one), and null-co."""
    sample("src.raw", 3 << 20)
    shown = json.loads(img("map", "--output=json", "--image-opts", "driver=raw,file.driver=null-co,file.size=1M").stdout)
    assert [(e["start"], e["length"], e["zero"]) for e in shown] == [(0, 1 << 20, True)], shown
    p = run(MIMIC, "io", "--image-opts", "-c", "write -P 5 0 64k", "-c", "read -P 0 0 64k", "driver=raw,file.driver=null-co,file.size=1M")
    assert b"verification" not in p.stdout, p.stdout
    with open("device.raw", "wb") as f:
        f.truncate(8 << 20)
    p = run("losetup", "-f", "--show", "device.raw", ok=None) if shutil.which("losetup") else None
    if not p or p.returncode:
        print("(no loop device here)")
        return
    device = p.stdout.decode().strip()
    try:
        img("convert", "-n", "-f", "raw", "-O", "raw", "src.raw", device)
        assert open("device.raw", "rb").read()[:3 << 20] == open("src.raw", "rb").read()
        assert json.loads(img("info", "-f", "raw", "--output=json", device).stdout)["virtual-size"] == 8 << 20
        assert json.loads(qemu("info", "-f", "raw", "--output=json", device).stdout)["virtual-size"] == 8 << 20
        img("convert", "-f", "raw", "-O", "qcow2", "src.raw", device)
        same(device, "src.raw")
        clean(device)
        run(EXERCISE, device, "scd", 3, 80, "want.raw")
        clean(device)
        same(device, "want.raw")
        p = img("resize", "-f", "raw", device, "16M", ok=(1,))
        assert b"cannot grow device" in p.stderr, p.stderr
        for cache in ("none", "directsync"):
            run(MIMIC, "io", "-f", "raw", "-t", cache, "-c", "write -P 9 1000 3000", "-c", "read -P 9 1000 3000", "-c", "write -z 4k 64k",
                "-c", "discard 1M 1M", "-c", "flush", device)
        assert open("device.raw", "rb").read()[1000:4000] == b"\t" * 3000
    finally:
        run("losetup", "-d", device)


@test
def backing_chains():
    for top_options in ("", "extended_l2=on", "compat=0.10"):
        sample("base.raw", 2 << 20, 5)
        img("convert", "-O", "qcow2", "-f", "raw", "base.raw", "base.qcow2")
        os.makedirs("sub", exist_ok=True)
        o = ["-o", top_options] if top_options else []
        img("create", "-f", "qcow2", "-b", "../base.qcow2", "-F", "qcow2", *o, "sub/mid.qcow2")
        img("create", "-f", "qcow2", "-b", "mid.qcow2", "-F", "qcow2", *o, "sub/top.qcow2", "3M")
        qemu_io("sub/mid.qcow2", "write -P 1 100k 300k")
        run(EXERCISE, "sub/top.qcow2", "cd", 1, 60, "want.raw")
        clean("sub/top.qcow2")
        same("sub/top.qcow2", "want.raw")
        chain = json.loads(img("info", "--backing-chain", "--output=json", "sub/top.qcow2").stdout)
        assert [c["virtual-size"] for c in chain] == [3 << 20, 2 << 20, 2 << 20]
        # Safe rebase keeps what is seen, onto another file and onto none.
        shutil.copy("sub/top.qcow2", "sub/top2.qcow2")
        img("rebase", "-b", "../base.qcow2", "-F", "qcow2", "sub/top2.qcow2")
        same("sub/top2.qcow2", "want.raw")
        clean("sub/top2.qcow2")
        img("rebase", "-b", "", "sub/top2.qcow2")
        same("sub/top2.qcow2", "want.raw")
        assert "backing-filename" not in json.loads(qemu("info", "--output=json", "sub/top2.qcow2").stdout)
        img("rebase", "-u", "-b", "nothere.raw", "-F", "raw", "sub/top2.qcow2")
        assert json.loads(qemu("info", "--output=json", "sub/top2.qcow2").stdout)["backing-filename"] == "nothere.raw"
        img("commit", "-f", "qcow2", "sub/top.qcow2")
        same("sub/mid.qcow2", "want.raw")
        clean("sub/mid.qcow2")
        clean("sub/top.qcow2")
        same("sub/top.qcow2", "want.raw")
    img("convert", "-O", "qcow2", "-B", "base.qcow2", "-F", "qcow2", "sub/mid.qcow2", "thin.qcow2")


@test
def snapshots():
    sample("a.raw", 1 << 20, 1)
    img("convert", "-O", "qcow2", "-f", "raw", "a.raw", "a.qcow2")
    img("snapshot", "-c", "one", "a.qcow2")
    qemu_io("a.qcow2", "write -P 7 0 1M")
    qemu("snapshot", "-c", "two", "a.qcow2")
    ours, theirs = img("snapshot", "-l", "a.qcow2").stdout.decode(), qemu("snapshot", "-l", "a.qcow2").stdout.decode()
    assert ours == theirs, ours + theirs
    img("convert", "-l", "one", "-O", "raw", "a.qcow2", "one.raw")
    run("cmp", "one.raw", "a.raw")
    img("convert", "-l", "snapshot.name=one", "-O", "raw", "a.qcow2", "one.raw")
    img("snapshot", "-a", "one", "a.qcow2")
    clean("a.qcow2")
    same("a.qcow2", "a.raw")
    img("snapshot", "-d", "one", "a.qcow2")
    clean("a.qcow2")
    img("snapshot", "-d", "2", "a.qcow2")
    clean("a.qcow2")
    assert img("snapshot", "-l", "a.qcow2").stdout == b""
    img("snapshot", "-a", "none", "a.qcow2", ok=(1,))


@test
def bitmaps():
    img("create", "-f", "qcow2", "a.qcow2", "8M")
    img("bitmap", "--add", "-g", "64k", "a.qcow2", "b0")
    qemu("bitmap", "--add", "a.qcow2", "b1")
    qemu_io("a.qcow2", "write 1M 1M")
    clean("a.qcow2")
    img("bitmap", "--add", "--disable", "a.qcow2", "b2")
    img("bitmap", "--merge", "b0", "a.qcow2", "b2")
    img("bitmap", "--clear", "a.qcow2", "b0")
    clean("a.qcow2")
    seen = json.loads(qemu("info", "--output=json", "a.qcow2").stdout)["format-specific"]["data"]["bitmaps"]
    assert seen == json.loads(img("info", "--output=json", "a.qcow2").stdout)["format-specific"]["data"]["bitmaps"], seen
    assert {b["name"]: b["flags"] for b in seen} == {"b0": ["auto"], "b1": ["auto"], "b2": []}
    img("convert", "--bitmaps", "-O", "qcow2", "a.qcow2", "c.qcow2")
    clean("c.qcow2")
    assert len(json.loads(qemu("info", "--output=json", "c.qcow2").stdout)["format-specific"]["data"]["bitmaps"]) == 3
    run(EXERCISE, "a.qcow2", "d", 3, 40, "want.raw")
    clean("a.qcow2")
    for name in ("b0", "b1", "b2"):
        img("bitmap", "--remove", "a.qcow2", name)
    clean("a.qcow2")
    img("bitmap", "--remove", "a.qcow2", "b0", ok=(1,))


@test
def resize_and_amend():
    sample("a.raw", 3 << 20, 9)
    img("convert", "-O", "qcow2", "-f", "raw", "a.raw", "a.qcow2")
    img("resize", "a.qcow2", "+2M")
    assert json.loads(qemu("info", "--output=json", "a.qcow2").stdout)["virtual-size"] == 5 << 20
    img("resize", "a.qcow2", "1M", ok=(1,))
    img("resize", "--shrink", "a.qcow2", "-4M")
    clean("a.qcow2")
    img("resize", "--preallocation=full", "a.qcow2", "3M")
    clean("a.qcow2")
    img("convert", "-O", "raw", "a.qcow2", "b.raw")
    assert open("b.raw", "rb").read() == open("a.raw", "rb").read()[: 1 << 20] + bytes(2 << 20)
    for o in ("refcount_bits=64", "lazy_refcounts=on", "lazy_refcounts=off", "refcount_bits=16", "compat=0.10", "compat=1.1", "size=4M"):
        img("amend", "-f", "qcow2", "-o", o, "a.qcow2")
        clean("a.qcow2")
    img("create", "-f", "raw", "r.raw", "1M")
    img("resize", "-f", "raw", "r.raw", "2M")
    assert os.path.getsize("r.raw") == 2 << 20
    img("amend", "-f", "raw", "-o", "size=1M", "r.raw", ok=(1,))


@test
def measure_and_map():
    sample("a.raw", 40 << 20, 3)
    for o in ("cluster_size=64k", "cluster_size=4k", "extended_l2=on", "refcount_bits=64", "preallocation=full", "compat=0.10"):
        a = json.loads(img("measure", "-O", "qcow2", "-o", o, "--size", "10G", "--output=json").stdout)
        b = json.loads(qemu("measure", "-O", "qcow2", "-o", o, "--size", "10G", "--output=json").stdout)
        assert a == b, (o, a, b)
        a = json.loads(img("measure", "-O", "qcow2", "-o", o, "-f", "raw", "--output=json", "a.raw").stdout)
        b = json.loads(qemu("measure", "-O", "qcow2", "-o", o, "-f", "raw", "--output=json", "a.raw").stdout)
        assert a == b, (o, a, b)
    for args in (["-O", "qcow2"], ["-O", "raw"], ["-c", "-O", "qcow2"], ["-O", "qcow2", "-o", "extended_l2=on"]):
        qemu("convert", "-f", "raw", *args, "a.raw", "m.img")
        fmt = args[args.index("-O") + 1]

        def joined(text):
            out = []
            for e in json.loads(text):
                e = {k: v for k, v in e.items() if k != "compressed"}
                out.append(e)
            return out

        a, b = joined(img("map", "-f", fmt, "--output=json", "m.img").stdout), joined(qemu("map", "-f", fmt, "--output=json", "m.img").stdout)
        assert a == b, (args, [x for x in zip(a, b) if x[0] != x[1]][:3])
    qemu("convert", "-f", "raw", "-O", "qcow2", "a.raw", "m.img")
    assert img("map", "m.img").stdout == qemu("map", "m.img").stdout
    # Places that were made ahead hold nothing until they are written, and are not read to be copied.
    qemu("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "m.img", "1G")
    qemu_io("m.img", "write -P 1 3M 64k", "write -P 2 20M 1M", "write -P 3 1023M 1M", "write -P 4 700M 4k")
    a, b = (json.loads(t("map", "--output=json", "m.img").stdout) for t in (img, qemu))
    assert a == b, (a, b)
    img("convert", "-f", "qcow2", "-O", "raw", "m.img", "b.raw")
    same("m.img", "b.raw")
    assert os.stat("b.raw").st_blocks * 512 < 3 << 20, os.stat("b.raw").st_blocks


@test
def info_is_the_same():
    for o in OPTIONS + ["data_file=x.data", "data_file=x.data,data_file_raw=on"]:
        qemu("create", "-f", "qcow2", "-o", o, "a.qcow2", "64M")
        assert img("info", "a.qcow2").stdout == qemu("info", "a.qcow2").stdout, o
        assert json.loads(img("info", "--output=json", "a.qcow2").stdout) == json.loads(qemu("info", "--output=json", "a.qcow2").stdout), o
        ours, theirs = (t("create", "-f", "qcow2", "-o", o, "b.qcow2", "64M").stdout for t in (img, qemu))
        assert ours == theirs, (ours, theirs)


@test
def check_repairs():
    sample("a.raw", 2 << 20, 4)
    for damage in range(12):
        qemu("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", "a.raw", "a.qcow2")
        rng = random.Random(damage)
        with open("a.qcow2", "r+b") as f:
            # Counts of random clusters in the first refcount block (two clusters behind the header).
            for _ in range(4):
                f.seek(4096 * 2 + 2 * rng.randrange(4, 500))
                f.write(bytes([0, rng.randrange(4)]))
        ours, theirs = img("check", "--output=json", "a.qcow2", ok=(0, 2, 3)), qemu("check", "--output=json", "a.qcow2", ok=(0, 2, 3))
        assert ours.returncode == theirs.returncode, (ours, theirs)
        a, b = json.loads(ours.stdout), json.loads(theirs.stdout)
        for key in ("leaks", "corruptions", "allocated-clusters", "image-end-offset"):
            assert a.get(key) == b.get(key), (damage, key, a, b)
        img("check", "-r", "all", "a.qcow2")
        clean("a.qcow2")
        same("a.qcow2", "a.raw")
    # A refcount table that is gone altogether.
    with open("a.qcow2", "r+b") as f:
        f.seek(4096)
        f.write(bytes(4096))
    img("check", "a.qcow2", ok=(2,))
    img("check", "-r", "all", "a.qcow2")
    clean("a.qcow2")
    same("a.qcow2", "a.raw")
    img("check", "-f", "raw", "a.raw", ok=(63,))
    img("check", "nothere", ok=(1,))


@test
def clusters_named_too_often():
    """All 16 entries of the L1 table name one L2 table, and all of that one's one cluster: 131,072 times, where a count holds 65,535."""
    img("create", "-q", "-f", "qcow2", "a.qcow2", "8G")
    run(MIMIC, "io", "-f", "qcow2", "-c", "write -P 1 0 64k", "a.qcow2")
    with open("a.qcow2", "r+b") as f:
        header = f.read(48)
        entries, l1 = struct.unpack(">IQ", header[36:48])
        f.seek(l1)
        entry = f.read(8)
        f.seek(l1)
        f.write(entry * entries)
        f.seek(struct.unpack(">Q", entry)[0] & 0x00fffffffffffe00)
        cluster = f.read(8)
        f.seek(-8, 1)
        f.write(cluster * 8192)
    ours, theirs = (json.loads(t("check", "--output=json", "a.qcow2", ok=(2,)).stdout) for t in (img, qemu))
    for key in ("allocated-clusters", "fragmented-clusters", "total-clusters"):
        assert ours[key] == theirs[key], (key, ours, theirs)
    printed = img("check", "a.qcow2", ok=(2,)).stderr.decode()
    assert "reference=16\n" in printed and "reference=131072" in printed, printed
    img("check", "-r", "all", "a.qcow2", ok=(1, 2))  # what can't be counted isn't called repaired


@test
def compare_and_dd():
    sample("a.raw", 1_000_448, 8)
    shutil.copy("a.raw", "b.raw")
    img("compare", "-f", "raw", "-F", "raw", "a.raw", "b.raw")
    with open("b.raw", "r+b") as f:
        f.seek(777_777)
        byte = f.read(1)
        f.seek(777_777)
        f.write(bytes([byte[0] ^ 1]))
    assert b"777777" in img("compare", "-f", "raw", "-F", "raw", "a.raw", "b.raw", ok=(1,)).stdout
    img("compare", "a.raw", "nothere", ok=(2,))
    shutil.copy("a.raw", "b.raw")
    run("truncate", "-s", "2M", "b.raw")
    img("compare", "-f", "raw", "-F", "raw", "a.raw", "b.raw")
    img("compare", "-s", "-f", "raw", "-F", "raw", "a.raw", "b.raw", ok=(1,))
    for args in (["bs=4k"], ["bs=1000", "count=33"], ["bs=64k", "skip=2"]):
        img("dd", "-f", "raw", "-O", "raw", *args, "if=a.raw", "of=ours.raw")
        qemu("dd", "-f", "raw", "-O", "raw", *args, "if=a.raw", "of=theirs.raw")
        run("cmp", "ours.raw", "theirs.raw")


@test
def locks_and_errors():
    img("create", "-f", "qcow2", "a.qcow2", "1M")
    writer = subprocess.Popen(["qemu-io", "-f", "qcow2", "a.qcow2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer.stdin.write(b"write 0 4k\n")
    writer.stdin.flush()
    writer.stdout.readline()
    out = img("snapshot", "-c", "x", "a.qcow2", ok=(1,)).stderr.decode()
    assert "lock" in out and "a.qcow2" in out, out
    img("info", "a.qcow2", ok=(1,))
    img("info", "-U", "a.qcow2")
    img("create", "-f", "qcow2", "a.qcow2", "1M", ok=(1,))
    writer.stdin.close()
    writer.wait()
    clean("a.qcow2")
    for args in (["create", "-f", "qcow2", "x"], ["create", "-f", "nothing", "x", "1M"], ["create", "-f", "qcow2", "-b", "a.qcow2", "x"], ["create", "x", "1X"], ["info", "nothere"],
                 ["convert", "a.qcow2"], ["info"], ["create", "-f", "qcow2", "-o", "cluster_size=1000", "x", "1M"], ["create", "-f", "qcow2", "-o", "nonsense=1", "x", "1M"],
                 ["create", "-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s", "x", "1M"], ["resize", "a.qcow2"], ["nonsense"], ["bench", "-c", "0x"], ["info", "--nonsense", "a.qcow2"],
                 ["convert", "-O", "raw", "-c", "a.qcow2", "x"], ["rebase", "a.qcow2"], ["commit", "a.qcow2"]):
        p = img(*args, ok=(1,))
        assert p.stderr.startswith(b"mimic img: "), (args, p)
    # A plain look at an image doesn't open what it names.
    img("create", "-u", "-f", "qcow2", "-b", "/no/such/file", "-F", "raw", "o.qcow2", "1M")
    img("info", "o.qcow2")


@test
def a_file_that_was_cut_off():
    """Read errors, not zeros, where somebody has made a file shorter while it is open; ours is the only file that is cut."""
    with open("a.raw", "wb") as f:
        f.write(random.Random(3).randbytes(1 << 20))
    img("convert", "-f", "raw", "-O", "qcow2", "a.raw", "a.qcow2")
    for name, fmt in (("a.raw", "raw"), ("a.qcow2", "qcow2")):
        p = subprocess.Popen([MIMIC, "io", "-f", fmt, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"read 0 64k\n")
        p.stdin.flush()
        p.stdout.readline()
        os.truncate(name, 500_000)
        out, err = p.communicate(b"read 64k 64k\nread 800k 64k\nwrite -P 7 1000k 4k\nread -P 7 1000k 4k\n", timeout=60)
        lines = (out + err).decode()
        assert lines.count("read failed") == 1 and lines.count("read 65536/65536") == 1, lines
        assert "wrote 4096/4096" in lines and "read 4096/4096" in lines and "verification" not in lines, lines
    # A block that ends within what was cut off; with repair it ends in zeros.
    with open("a.raw", "wb") as f:
        f.write(random.Random(3).randbytes(16 << 20))
    for fmt in ("vdi", "vhdx", "vpc", "qed", "vmdk"):
        img("convert", "-m", "1", "-f", "raw", "-O", fmt, "a.raw", "b")  # what is cut is data
        img("check", "-q", "-f", fmt, "b")
        os.truncate("b", os.path.getsize("b") - 300_000)
        assert "past the end of the file" in img("check", "-f", fmt, "b", ok=(2,)).stderr.decode(), fmt
        img("check", "-q", "-f", fmt, "-r", "all", "b")
        img("check", "-q", "-f", fmt, "b")
        os.unlink("b")


@test
def unknown_formats():
    """The message says which there are."""
    img("create", "-f", "qcow2", "a.qcow2", "1M")
    for args in (["create", "-f", "qcow3", "x", "1M"], ["info", "-f", "qcow3", "a.qcow2"], ["convert", "-O", "qcow3", "a.qcow2", "x"],
                 ["measure", "-O", "qcow3", "--size", "1M"], ["create", "-f", "qcow3", "-o", "help"],
                 ["create", "-f", "qcow2", "-b", "a.qcow2", "-F", "qcow3", "x"]):
        said = img(*args, ok=(1,)).stderr.decode()
        assert "'qcow3', expected" in said and "qcow2, qed" in said and "vmdk" in said, (args, said)
    said = img("info", "gopher:a.qcow2", ok=(1,)).stderr.decode()
    assert "protocol 'gopher', expected file, " in said and "nbd" in said, said


def _data_at(path, start):
    """Where there is data from `start` on."""
    with open(path, "rb") as f:
        return os.lseek(f.fileno(), start, os.SEEK_DATA)


@test
def interrupted_conversions():
    """convert --resume: what stopped goes on where it was, whatever stopped it; the result is as if nothing had."""
    size = 160 << 20
    with open("a.raw", "wb") as f:
        f.truncate(size)
        rng = random.Random(5)
        for at in range(0, size, 8 << 20):
            f.seek(at + rng.randrange(4 << 20))
            f.write(rng.randbytes(2 << 20))
    # No space at first: a file may not be larger than so many bytes.
    def limited(limit, *args):
        def limits():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return subprocess.run([MIMIC, "img", *args], preexec_fn=limits, restore_signals=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    for fmt, *more in (("qcow2",), ("qcow2", "-c"), ("qcow2", "-W", "-m", "16"), ("vdi",), ("vmdk",), ("vhdx",), ("qcow",), ("qed",), ("vpc", "-o", "force_size=on")):
        command = ["convert", "-f", "raw", "-O", fmt, *more, "--resume", "state", "a.raw", "b"]
        p = limited(20 << 20, *command)
        assert p.returncode == 1 and b"error while writing" in p.stderr, p
        # vpc's footer may find no room behind what was written: then nothing is certain.
        position = json.load(open("state"))["position"] if os.path.exists("state") else 0
        assert position < size and (position or fmt == "vpc"), position
        # Only the same conversion goes on.
        for other in () if not position else ([*command[:-1], "c"], [*command[:4], "qcow2", "-S", "64k", *command[5:]]):
            assert "of another conversion" in img(*other, ok=(1,)).stderr.decode(), other
        printed = img(*command).stdout.decode()
        assert not position or f"at byte {position}" in printed, printed
        assert not os.path.exists("state")
        img("compare", "-f", "raw", "-F", fmt, "a.raw", "b")
        run("qemu-img", "compare", "-f", "raw", "-F", fmt, "a.raw", "b")
        if fmt == "qcow2":
            clean("b")  # what tables that did not fit had left is put right
        os.unlink("b")
    # Killed: what is noted is there.
    command = ["convert", "-f", "raw", "-O", "qcow2", "--resume", "state", "a.raw", "b"]
    p = subprocess.Popen([MIMIC, "img", *command, "-r", "100M"])
    while p.poll() is None and not os.path.exists("state"):
        os.sched_yield()
    p.kill()
    p.wait()
    # The kernel may hold its files, and their locks, a moment longer.
    while b"lock" in (p := subprocess.run([MIMIC, "img", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)).stderr:
        os.sched_yield()
    assert p.returncode == 0, p
    img("compare", "-f", "raw", "-F", "qcow2", "a.raw", "b")
    clean("b")  # clusters whose tables were not written any more are free again
    # A read that fails leaves others undone that come before it: they are not counted as done.
    img("convert", "--resume", "state", "--image-opts", "-O", "raw", "driver=raw,file.driver=blkdebug,file.image.filename=a.raw,"
        "file.inject-error.0.iotype=read,file.inject-error.0.sector=" + str(_data_at("a.raw", 100 << 20) // 512), "b.raw", ok=(1,))
    position = json.load(open("state"))["position"] if os.path.exists("state") else 0
    run("cmp", "-n", position, "a.raw", "b.raw")
    os.unlink("state")
    # Another output of that name, and a backing file of the source that has changed.
    img("create", "-q", "-f", "qcow2", "-b", "a.raw", "-F", "raw", "top.qcow2")
    of_top = [*command[:1], "-f", "qcow2", *command[3:-2], "top.qcow2", "d"]
    limited(20 << 20, *of_top)
    os.rename("d", "e")
    shutil.copy("e", "d")
    assert "of another output" in img(*of_top, ok=(1,)).stderr.decode()
    os.rename("e", "d")
    os.utime("a.raw")
    assert "of another conversion" in img(*of_top, ok=(1,)).stderr.decode()
    os.unlink("state")
    # A source that has changed would be half of each.
    limited(20 << 20, *command[:-1], "c")
    os.utime("a.raw")
    assert "of another conversion" in img(*command[:-1], "c", ok=(1,)).stderr.decode()
    open("state", "w").write("{}")
    assert "no file that a conversion left" in img(*command[:-1], "c", ok=(1,)).stderr.decode()
    assert "-t unsafe" in img(*command[:-1], "c", "-t", "unsafe", ok=(1,)).stderr.decode()


@test
def bench_runs():
    img("create", "-f", "qcow2", "a.qcow2", "16M")
    img("bench", "-c", "500", "-w", "-f", "qcow2", "--flush-interval=100", "a.qcow2")
    img("bench", "-c", "500", "-d", "8", "-f", "qcow2", "a.qcow2")
    clean("a.qcow2")


sys.exit(run_tests(TESTS, sys.argv[3:]))
