#!/usr/bin/env python3
"""Cross-checks of the formats beside raw and qcow2 with programs that we did not write: Debian's qemu-img and qemu-io,
libvhdi's vhdiinfo, cryptsetup, mtools; in both directions.

usage: formats_test.py MIMIC BLOCK_EXERCISE [NAME...]     (exit 77: qemu-img is not there)
"""
import json, os, random, re, shutil, struct, subprocess, sys

from harness import MIMIC, img, qemu, run, run_tests

EXERCISE = os.path.abspath(sys.argv[2])
if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
    print("qemu-img is not installed (package qemu-utils)")
    sys.exit(77)
CRYPTSETUP = shutil.which("cryptsetup") or shutil.which("cryptsetup", path="/usr/sbin:/sbin")
NO_CHECK = 63  # exit status: the format has none
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def io(image, *commands, fmt):
    return run(MIMIC, "io", "-f", fmt, *[x for c in commands for x in ("-c", c)], image)


def qemu_io(image, *commands, fmt):
    return run("qemu-io", "-f", fmt, *[x for c in commands for x in ("-c", c)], image)


def refused(*args, says):
    """The command fails in one line that names the image and says what was expected."""
    p = img(*args, ok=(1,))
    text = p.stderr.decode().strip()
    assert re.search(says, text), f"{args}: '{text}' does not say '{says}'"
    assert len(text.splitlines()) == 1, text


def same(image, raw, fmt):
    qemu("compare", "-f", fmt, "-F", "raw", image, raw)
    img("compare", "-f", fmt, "-F", "raw", image, raw)


def clean(image, fmt):
    qemu("check", "-f", fmt, image, ok=(0, NO_CHECK))
    img("check", "-f", fmt, image, ok=(0, NO_CHECK))


def info(tool, image, fmt):
    d = json.loads(run(*tool, "info", "-f", fmt, "--output=json", image).stdout)
    d.pop("actual-size", None)
    return d


def same_info(image, fmt):
    ours, theirs = info((MIMIC, "img"), image, fmt), info(("qemu-img",), image, fmt)
    assert ours == theirs, f"info of {image}:\n{ours}\n{theirs}"
    human = [[l for l in run(*tool, "info", "-f", fmt, image).stdout.decode().splitlines() if not l.startswith("disk size")] for tool in ((MIMIC, "img"), ("qemu-img",))]
    assert human[0] == human[1], human


def sample(path, size, seed=1):
    """Holes, noise and text; the size is a multiple of sectors."""
    rng = random.Random(seed)
    with open(path, "wb") as f:
        at = 0
        while at < size:
            n = min(rng.choice([512, 4096, 30208, 65536, 200704, 1500000]), size - at)
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


# qed with table_size=1 is not here: the reference does not open what it makes.
VARIANTS = [("vmdk", o) for o in ("", "subformat=monolithicFlat", "subformat=twoGbMaxExtentSparse", "subformat=twoGbMaxExtentFlat", "subformat=streamOptimized",
                                  "zeroed_grain=on", "compat6=on", "adapter_type=lsilogic,hwversion=9")]
VARIANTS += [("vdi", ""), ("vdi", "static=on"), ("vpc", "force_size=on"), ("vpc", "subformat=fixed,force_size=on"), ("vhdx", ""), ("vhdx", "subformat=fixed"),
             ("vhdx", "block_size=1M,log_size=2M"), ("vhdx", "block_state_zero=off"), ("qcow", ""), ("qed", ""), ("qed", "cluster_size=4096,table_size=2"),
             ("qed", "cluster_size=1M,table_size=16")]


def options(o):
    return ["-o", o] if o else []


@test
def convert_both_ways():
    sample("src.raw", 1709 * 4096)
    for fmt, o in VARIANTS:
        for maker, image in ((img, f"ours.{fmt}"), (qemu, f"theirs.{fmt}")):
            maker("convert", "-f", "raw", "-O", fmt, *options(o), "src.raw", image)
            clean(image, fmt)
            same(image, "src.raw", fmt)
            same_info(image, fmt)
            img("convert", "-f", fmt, "-O", "raw", image, "back.raw")
            run("cmp", "back.raw", "src.raw")
    img("convert", "-c", "-f", "raw", "-O", "qcow", "src.raw", "packed.qcow")
    same("packed.qcow", "src.raw", "qcow")
    assert os.path.getsize("packed.qcow") < os.path.getsize("ours.qcow")
    qemu("convert", "-c", "-f", "raw", "-O", "qcow", "src.raw", "packed.qcow", ok=(0, 1))  # fails at its end, with all written
    same("packed.qcow", "src.raw", "qcow")


@test
def random_changes():
    for i, (fmt, o) in enumerate(VARIANTS):
        img("create", "-f", fmt, *options(o), f"a.{fmt}", "3M")
        for round in range(2):
            run(EXERCISE, f"a.{fmt}", "d", i * 10 + round, 80, "want.raw", fmt)
            clean(f"a.{fmt}", fmt)
            same(f"a.{fmt}", "want.raw", fmt)
        if "streamOptimized" in o:  # the reference writes no part of a grain
            continue
        # An image of theirs, changed by us, then by them.
        qemu("create", "-f", fmt, *options(o), f"b.{fmt}", "2M")
        qemu_io(f"b.{fmt}", "write -P 3 10k 500k", "write -z 100k 64k", fmt=fmt)
        run(EXERCISE, f"b.{fmt}", "d", i, 60, "want.raw", fmt)
        clean(f"b.{fmt}", fmt)
        same(f"b.{fmt}", "want.raw", fmt)
        for image in (f"a.{fmt}", f"b.{fmt}"):
            qemu_io(image, "write -P 7 70k 600k", "write -z 256k 128k", fmt=fmt)
            img("convert", "-f", fmt, "-O", "raw", image, "back.raw")
            qemu("compare", "-f", fmt, "-F", "raw", image, "back.raw")
            clean(image, fmt)


@test
def backing_chains():
    for fmt, base_fmt in (("vmdk", "vmdk"), ("qcow", "raw"), ("qed", "raw"), ("qed", "qcow2")):
        sample("src.raw", 2 << 20, seed=5)
        img("convert", "-f", "raw", "-O", base_fmt, "src.raw", "base")
        for maker in (img, qemu):
            maker("create", "-f", fmt, "-b", "base", "-F", base_fmt, f"top.{fmt}")
            shutil.copy("src.raw", "want.raw")
            for n, fn in enumerate((io, qemu_io)):
                for target, f in ((f"top.{fmt}", fmt), ("want.raw", "raw")):
                    fn(target, f"write -P {n + 1} {n * 300 + 11}k 33k", f"write -z {n * 500 + 64}k 128k", fmt=f)
            same(f"top.{fmt}", "want.raw", fmt)
            clean(f"top.{fmt}", fmt)
            same_info(f"top.{fmt}", fmt)
            if fmt == "vmdk":  # children know their parent by its CID
                io("base", "write 0 512", fmt="vmdk")
                refused("convert", "-f", "vmdk", "-O", "raw", f"top.{fmt}", "x.raw", says="changed since.*CID")
                qemu_io("base", "write 0 512", fmt="vmdk")
                refused("convert", "-f", "vmdk", "-O", "raw", f"top.{fmt}", "x.raw", says="changed since.*CID")
                img("convert", "-f", "raw", "-O", base_fmt, "src.raw", "base")
    img("create", "-f", "qed", "-b", "base", "-F", "qcow2", "top.qed")
    img("rebase", "-u", "-b", "src.raw", "-F", "raw", "top.qed")
    same_info("top.qed", "qed")
    same("top.qed", "src.raw", "qed")
    img("resize", "top.qed", "+1M")
    qemu("resize", "top.qed", "+1M")
    assert info((MIMIC, "img"), "top.qed", "qed")["virtual-size"] == 4 << 20
    refused("resize", "--shrink", "top.qed", "1M", says="Shrinking")


@test
def split_disks():
    """More than one extent of 2 GiB, sparse and flat: bytes on both sides of the border."""
    for sub in ("twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        for maker, writer, reader in ((img, io, qemu_io), (qemu, qemu_io, io)):
            maker("create", "-f", "vmdk", "-o", f"subformat={sub}", "s.vmdk", "5G")
            writer("s.vmdk", "write -P 5 2097120k 64k", "write -P 6 5242816k 64k", fmt="vmdk")
            reader("s.vmdk", "read -P 5 2097120k 64k", "read -P 0 2097000k 64k", "read -P 6 5242816k 64k", fmt="vmdk")
            same_info("s.vmdk", "vmdk")


@test
def options_and_sizes():
    """The options that are listed, the line that create prints, and the sizes that come out are the reference's."""
    listed = lambda p: sorted(l for l in p.stdout.decode().splitlines() if "=<" in l)
    for fmt in ("vmdk", "vdi", "vpc", "vhdx", "qed", "luks"):
        ours, theirs = listed(img("create", "-f", fmt, "-o", "help")), listed(qemu("create", "-f", fmt, "-o", "help"))
        assert ours == theirs, (fmt, ours, theirs)
    assert listed(img("amend", "-f", "luks", "-o", "help")) == listed(qemu("amend", "-f", "luks", "-o", "help"))
    for fmt, o in VARIANTS:
        lines = [tool("create", "-f", fmt, *options(o), "x", "10M").stdout for tool in (img, qemu)]
        assert lines[0] == lines[1], lines
    for size in ("512", "1M", "3G", "130G", "137438691328", "200G", "2040G"):
        for o in ([], ["-o", "force_size=on"]):
            sizes = []
            for tool in (img, qemu):
                tool("create", "-f", "vpc", *o, "v.vpc", size)
                sizes.append(info((MIMIC, "img"), "v.vpc", "vpc")["virtual-size"])
                same_info("v.vpc", "vpc")
            assert sizes[0] == sizes[1], (size, o, sizes)
    refused("create", "-q", "-f", "vpc", "v.vpc", "2041G", says="too large for file format 'vpc'")
    refused("create", "-q", "-f", "vhdx", "v.vhdx", "65T", says="too large; max of 64TB")
    refused("create", "-q", "-f", "vmdk", "-o", "compat6=on,hwversion=5", "v.vmdk", "1M", says="compat6 cannot be enabled with hwversion set")
    refused("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat,zeroed_grain=on", "v.vmdk", "1M", says="Flat image can't enable zeroed grain")


@test
def libvhdi_agrees():
    if not shutil.which("vhdiinfo"):
        raise AssertionError("vhdiinfo is not installed (package libvhdi-utils)")
    for fmt, o, kind in (("vpc", "force_size=on", "Dynamic"), ("vpc", "subformat=fixed,force_size=on", "Fixed"), ("vhdx", "", "Dynamic"), ("vhdx", "subformat=fixed", "Fixed")):
        img("create", "-f", fmt, *options(o), "v", "70M")
        io("v", "write -P 1 1M 1M", fmt=fmt)
        said = run("vhdiinfo", "v").stdout.decode()
        assert re.search(rf"Disk type\s*: {kind}", said) and "73400320 bytes" in said, said


def patched(image, changes, name="bad"):
    shutil.copy(image, name)
    with open(name, "r+b") as f:
        for at, data in changes:
            f.seek(at)
            f.write(data)
    return name


@test
def hostile_headers():
    """(format, offset, bytes, what the refusal says): each field out of its range."""
    le32, le64, be32, be64 = (lambda n: struct.pack("<I", n)), (lambda n: struct.pack("<Q", n)), (lambda n: struct.pack(">I", n)), (lambda n: struct.pack(">Q", n))
    cases = [("vdi", 0x44, le32(0x20001), "version"), ("vdi", 0x4c, le32(4), "type"), ("vdi", 0x154, le32(0x7fffff00), "block map"), ("vdi", 0x154, le32(0), "block map"),
             ("vdi", 0x158, le32(512), "data's offset"), ("vdi", 0x168, le32(4096), "sector size"), ("vdi", 0x170, le64(1 << 62), "number of blocks"),
             ("vdi", 0x178, le32(0), "block size"), ("vdi", 0x178, le32(3 << 20), "block size"), ("vdi", 0x180, le32(0xfffffff0), "number of blocks"),
             ("vdi", 0x1a8, b"x", "link"), ("vdi", 0x1b8, b"x", "parent"),
             ("vmdk", 4, le32(9), "version"), ("vmdk", 12, le64(1 << 60), "capacity"), ("vmdk", 12, le64(1 << 50), "grain directory"), ("vmdk", 20, le64(3), "grainSize"),
             ("vmdk", 20, le64(1 << 40), "grainSize"), ("vmdk", 28, le64(1 << 40), "descriptor"), ("vmdk", 36, le64(1 << 30), "descriptorSize"),
             ("vmdk", 44, le32(0), "numGTEsPerGT"), ("vmdk", 44, le32(1 << 30), "numGTEsPerGT"), ("vmdk", 56, le64(1 << 50), "grain directory"),
             ("vmdk", 48, le64(1 << 50), "redundant"), ("vmdk", 56, le64((1 << 64) - 1), "magic number"), ("vmdk", 512, bytes(9000), "createType"),
             ("qcow", 4, be32(3), "version"), ("qcow", 24, be64(0), "too small"), ("qcow", 24, be64(1 << 62), "[Ii]mage too large|too large"), ("qcow", 32, b"\x08", "Cluster size"),
             ("qcow", 32, b"\x20", "Cluster size"), ("qcow", 33, b"\x30", "L2 table size"), ("qcow", 36, be32(2), "encryption"), ("qcow", 40, be64(1 << 50), "L1 table"),
             ("qcow", 16, be32(1 << 30), "name too long"),
             ("qed", 4, le32(1), "cluster size"), ("qed", 4, le32(1 << 31), "cluster size"), ("qed", 8, le32(64), "table size"), ("qed", 16, le64(1 << 40), "features"),
             ("qed", 40, le64(7), "L1 table"), ("qed", 40, le64(1 << 50), "L1 table"), ("qed", 48, le64(1 << 62), "image size"), ("qed", 12, le32(0), "header"),
             ("luks", 6, b"\0\x02", "version 2"), ("luks", 8, b"des\0", "cipher"), ("luks", 40, b"zzz\0", "mode"), ("luks", 72, b"md5\0", "hash"), ("luks", 108, be32(7), "key"),
             ("luks", 104, be32(1 << 30), "payload|key slot"), ("luks", 208, be32(1), "state"), ("luks", 252, be32(1 << 30), "stripes"), ("luks", 248, be32(0), "key slot 0"),
             ("luks", 296, be32(8), "overlap"), ("vhdx", 0, b"x", None), ("vhdx", 64 << 10, bytes(128 << 10), "header"), ("vhdx", 192 << 10, bytes(128 << 10), "region table"),
             ("vhdx", 2 << 20, bytes(64), "metadata")]
    secret = ["--object", "secret,id=s,data=abc"]
    for fmt in sorted({c[0] for c in cases}):
        img("create", "-q", *(secret + ["-o", "key-secret=s,iter-time=20"] if fmt == "luks" else []), "-f", fmt, f"good.{fmt}", "10M")
    for fmt, at, data, says in cases:
        refused("info", "-f", fmt, patched(f"good.{fmt}", [(at, data)]), says=says or "")
    # Fixed checksums, so that the fields themselves are looked at.
    def vhd(image, at, data, header):
        raw = bytearray(open(image, "rb").read())
        start, length, field = (512, 1024, 36) if header else (0, 512, 64)
        raw[start + at:start + at + len(data)] = data
        raw[start + field:start + field + 4] = bytes(4)
        raw[start + field:start + field + 4] = be32(~sum(raw[start:start + length]) & 0xffffffff)
        open("bad", "wb").write(raw)
    img("create", "-q", "-f", "vpc", "good.vpc", "10M")
    for header, at, data, says in ((False, 60, be32(4), "differencing"), (False, 60, be32(9), "disk type"), (False, 16, be64(1 << 50), "header"), (True, 0, b"x", "cookie"),
                                   (True, 16, be64(1 << 50), "table"), (True, 28, be32(1), "entries"), (True, 32, be32(3), "block size"), (True, 32, be32(1 << 31), "block size")):
        vhd("good.vpc", at, data, header)
        refused("info", "-f", "vpc", "bad", says=says)
    refused("info", "-f", "vpc", patched("good.vpc", [(100, b"x")]), says="checksum")
    # What a table says is looked at when it is used, and by check.
    for fmt, at, data in (("vdi", 512, le32(77777)), ("vmdk", 0x3600, le32(0x7fffffff)), ("vpc", 1536, be32(0x7fffffff)), ("qcow", 48, be64(1 << 50)), ("qed", 65536, le64(1 << 50))):
        bad = patched(f"good.{fmt}", [(at, data)])
        p = img("convert", "-f", fmt, "-O", "raw", bad, "x.raw", ok=(1,))
        assert b"bad" in p.stderr, p.stderr
        img("check", "-f", fmt, bad, ok=(2,))
        img("check", "-f", fmt, "-r", "all", bad)
        img("check", "-f", fmt, bad)


@test
def descriptors():
    """A descriptor names files: not any file, if its format was only guessed."""
    open("secret.raw", "wb").write(b"secret" * 1000)
    os.makedirs("sub", exist_ok=True)
    line = lambda extent: f'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\n{extent}\n'
    open("sub/d.vmdk", "w").write(line(f'RW 8 FLAT "{os.path.abspath("secret.raw")}" 0'))
    refused("info", "sub/d.vmdk", says="only guessed")
    img("info", "-f", "vmdk", "sub/d.vmdk")
    open("d.vmdk", "w").write(line('RW 8 FLAT "secret.raw" 0\nRW 8 ZERO'))
    img("info", "d.vmdk")
    io("d.vmdk", "read -P 0 4k 4k", fmt="vmdk")
    for extent, says in (("RW 8 SESPARSE \"x\"", "SESPARSE"), ("RW x FLAT \"secret.raw\" 0", "is no extent"), ("RW 8 FLAT", "names no file"),
                         ("RW 99999999999999999 FLAT \"secret.raw\" 0", "is no extent"), ("", "no extent"), ("RW 8 FLAT \"none.raw\" 0", "none.raw"),
                         ("RW 8 SPARSE \"secret.raw\"", "KDMV")):
        open("e.vmdk", "w").write(line(extent))
        refused("info", "-f", "vmdk", "e.vmdk", says=says)


@test
def vhdx_log():
    """After a crash the log is there: it must be replayed, and that brings back what the tables had not yet."""
    img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", "v.vhdx", "20M")
    run(MIMIC, "io", "-f", "vhdx", "-c", "write -P 5 3M 2M", "-c", "flush", "-c", "sigraise 9", "v.vhdx", ok=(-9,))
    refused("convert", "-f", "vhdx", "-O", "raw", "v.vhdx", "x.raw", says="log that must be replayed")
    # As if the crash had come before the table's sector was written.
    for image in ("v.vhdx", patched("v.vhdx", [(3 << 20, bytes(4096))])):
        shutil.copy(image, "theirs")
        img("check", "-f", "vhdx", "-r", "all", image)
        qemu("check", "-f", "vhdx", "-r", "all", "theirs")
        for one in (image, "theirs"):
            clean(one, "vhdx")
            qemu_io(one, "read -P 5 3M 2M", fmt="vhdx")
            io(one, "read -P 5 3M 2M", "read -P 0 5M 1M", fmt="vhdx")


@test
def luks_volumes():
    if not CRYPTSETUP:
        raise AssertionError("cryptsetup is not installed (package cryptsetup-bin)")
    secrets = ["--object", "secret,id=s,data=first", "--object", "secret,id=n,data=second"]
    open("first", "w").write("first")
    open("second", "w").write("second")
    opens = lambda key, ok=0: run(CRYPTSETUP, "open", "--test-passphrase", "--key-file", key, "v.luks", ok=(ok,))
    volume = lambda secret="s": ["--image-opts", f"driver=luks,key-secret={secret},file.filename=v.luks"]
    sample("src.raw", 3 << 20)
    def use(writer, reader):
        run(*writer, *secrets, *volume(), "-c", "write -P 5 1M 100k", "-c", "write -P 6 12345 1000")
        run(*reader, *secrets, *volume(), "-c", "read -P 5 1M 100k", "-c", "read -P 6 12345 1000")
    ours, theirs = (MIMIC, "io"), ("qemu-io",)
    for o in ("", ",cipher-alg=aes-128", ",cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,hash-alg=sha1", ",cipher-mode=cbc,ivgen-alg=plain64,hash-alg=sha512", ",hash-alg=sha224"):
        img("convert", *secrets, "-f", "raw", "-O", "luks", "-o", "key-secret=s,iter-time=20" + o, "src.raw", "v.luks")
        opens("first")
        opens("second", 2)
        qemu("convert", *secrets, *volume(), "-O", "raw", "back.raw")
        run("cmp", "back.raw", "src.raw")
        use(ours, theirs)
        same_info("v.luks", "luks")
    for o in ("-c aes-cbc-essiv:sha256 -s 256 -h sha512", "-c aes-xts-plain64 -s 512 -h sha256", "-c aes-xts-plain64 -s 256 -h sha1"):
        with open("v.luks", "wb") as f:
            f.truncate(12 << 20)
        run(CRYPTSETUP, "luksFormat", "--type", "luks1", "-q", "--pbkdf-force-iterations", "1000", *o.split(), "v.luks", "first")
        use(ours, theirs)
        use(theirs, ours)
        same_info("v.luks", "luks")
    img("amend", *secrets, *volume(), "-o", "state=active,new-secret=n,iter-time=20,keyslot=3")
    opens("first")
    opens("second")
    run(CRYPTSETUP, "luksKillSlot", "-q", "v.luks", "0", "--key-file", "second")
    p = img("amend", *secrets, *volume("n"), "-o", "state=inactive,old-secret=n", ok=(1,))
    assert b"refusing operation" in p.stderr, p.stderr
    img("amend", *secrets, *volume("n"), "-o", "state=active,new-secret=s,iter-time=20")
    img("amend", *secrets, *volume("n"), "-o", "state=inactive,keyslot=3")
    opens("second", 2)
    opens("first")
    img("info", *volume("s"), *secrets)
    p = img("convert", *secrets, *volume("n"), "-O", "raw", "back.raw", ok=(1,))
    assert b"cannot unlock any keyslot" in p.stderr, p.stderr
    img("resize", *secrets, *volume(), "20M")
    run("qemu-io", *secrets, *volume(), "-c", "write -P 3 19M 1M")
    # A header that would keep us busy for an hour (slot 0's iterations; LUKS1 specification, figure 1).
    with open("v.luks", "r+b") as f:
        f.seek(208 + 4)
        f.write(b"\xff" * 4)
    p = img("convert", *secrets, *volume(), "-O", "raw", "back.raw", ok=(1,))
    assert b"v.luks" in p.stderr and b"4294967295 iterations" in p.stderr and len(p.stderr.splitlines()) == 1, p.stderr


# cluster_size=512: the header has no room for the names of features.
ENCRYPTED = [("qcow2", "encrypt.format=luks" + o) for o in ("", ",encrypt.cipher-alg=aes-128,extended_l2=on", ",cluster_size=512", ",preallocation=metadata", ",data_file=ext", ",compat=0.10",
                                                            ",encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256")]
ENCRYPTED += [("qcow2", "encrypt.format=aes"), ("qcow2", "encrypt.format=aes,compat=0.10"), ("qcow2", "encryption=on"), ("qcow", "encrypt.format=aes"), ("qcow", "encryption=on")]
SECRETS = ["--object", "secret,id=s,data=first", "--object", "secret,id=n,data=second"]


def encrypted(image, fmt, secret="s"):
    return [*SECRETS, "--image-opts", f"driver={fmt},encrypt.key-secret={secret},file.filename={image}"]


@test
def encrypted_images():
    sample("src.raw", 3 << 20)
    ours, theirs = (MIMIC, "io"), ("qemu-io",)
    for fmt, o in ENCRYPTED:
        quick = ",encrypt.iter-time=20" if "luks" in o else ""
        img("convert", *SECRETS, "-f", "raw", "-O", fmt, "-o", f"{o},encrypt.key-secret=s{quick}", "src.raw", "e")
        at = encrypted("e", fmt)
        for tool in (qemu, img):
            tool("convert", *at, "-O", "raw", "back.raw")
            run("cmp", "back.raw", "src.raw")
        # Each reads what the other wrote: parts of sectors, parts of clusters, fresh clusters, zeros.
        for seed, (writer, reader) in enumerate(((ours, theirs), (theirs, ours))):
            writes = ["write -P 5 1M 100k", "write -P 6 12345 1000", f"write -P {7 + seed} {2097664 + (seed << 17)} 4096", "write -z 300k 70000"]
            run(*writer, *at, *[x for w in writes for x in ("-c", w)])
            run(*reader, *at, *[x for w in writes for x in ("-c", w.replace("write -z", "read -P 0").replace("write", "read"))])
        for tool in (qemu, img):
            tool("check", *at, ok=(0, NO_CHECK))
        same_info("e", fmt)


@test
def keys_of_encrypted_images():
    at = lambda secret="s": encrypted("e", "qcow2", secret)
    img("create", "-q", *SECRETS, "-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=20", "e", "4M")
    run(MIMIC, "io", *at(), "-c", "write -P 9 1M 1M")
    img("amend", *at(), "-o", "encrypt.state=active,encrypt.new-secret=n,encrypt.iter-time=20")
    for secret in ("s", "n"):
        run("qemu-io", *at(secret), "-c", "read -P 9 1M 1M")
    # The second slot is given up by the other program.
    qemu("amend", *at(), "-o", "encrypt.state=inactive,encrypt.old-secret=n")
    refused("check", *at("n"), says="'e'.*cannot unlock any keyslot")
    refused("amend", *at(), "-o", "encrypt.state=inactive,encrypt.keyslot=0", says="refusing operation")
    # Snapshots, another width of counts, sizes: the header's clusters stay the image's.
    img("snapshot", *at(), "-c", "one")
    run(MIMIC, "io", *at(), "-c", "write -P 8 1M 1M")
    img("amend", *at(), "-o", "refcount_bits=64")
    img("snapshot", *at(), "-a", "one")
    img("snapshot", *at(), "-d", "one")
    img("resize", *at(), "6M")
    qemu("check", *at())
    run("qemu-io", *at(), "-c", "read -P 9 1M 1M", "-c", "read -P 0 2M 4M")
    # What is encrypted is not in the file as it is, nor said to be there.
    assert bytes([9]) * 512 not in open("e", "rb").read()
    assert all("offset" not in e for e in json.loads(img("map", "--output=json", *at()).stdout) if e["data"]), "map"
    img("info", "e")


@test
def mistakes_with_keys():
    img("create", "-q", "-f", "qcow2", "plain", "1M")
    img("create", "-q", *SECRETS, "-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=20", "e", "1M")
    img("create", "-q", *SECRETS, "-f", "qcow", "-o", "encrypt.format=aes,encrypt.key-secret=s", "old", "1M")
    refused("convert", "-O", "raw", "e", "x", says="'e'.*'encrypt.key-secret' is required")
    refused("convert", "-O", "raw", "old", "x", says="'old'.*'encrypt.key-secret' is required")
    img("check", "e")  # tables are not encrypted
    refused("check", *encrypted("plain", "qcow2"), says="'plain' is not encrypted")
    refused("check", *encrypted("old", "qcow", "x"), says="No secret with id 'x'")
    refused("check", *SECRETS, "--image-opts", "driver=qcow2,encrypt.format=aes,encrypt.key-secret=s,file.filename=e", says="'luks' encryption format but options specify 'aes'")
    refused("amend", "-f", "qcow2", "-o", "encrypt.state=active,encrypt.new-secret=s", "plain", says="only images encrypted with LUKS")
    create = lambda fmt, o, says: refused("create", "-q", *SECRETS, "-f", fmt, "-o", o, "x", "1M", says=says)
    create("qcow2", "encrypt.format=luks", "'encrypt.key-secret' is required")
    create("qcow2", "encrypt.key-secret=s", "encrypt.format")
    create("qcow2", "encrypt.format=aes,encrypt.key-secret=s,encrypt.hash-alg=sha1", "no options but")
    create("qcow2", "encrypt.format=luks,encrypt.key-secret=s,data_file=d,data_file_raw=on", "data-file-raw and encryption")
    create("qcow", "encrypt.format=aes", "needs encrypt.format=aes and encrypt.key-secret")
    for fmt, o in (("qcow2", "encrypt.format=luks,encrypt.iter-time=20"), ("qcow", "encrypt.format=aes")):
        refused("convert", "-c", *SECRETS, "-O", fmt, "-o", o + ",encrypt.key-secret=s", "plain", "x", says="[Cc]ompress")
    # Bytes 100 on of a header of version 3 are its length; the extensions follow at 112.
    whole = open("e", "rb").read()
    at = whole.index(struct.pack(">II", 0x0537be77, 16)) + 8
    for patch, says in (((at, struct.pack(">Q", 77)), "Encryption header offset"), ((at + 8, struct.pack(">Q", 1 << 40)), "Encryption header too large"),
                        ((at, struct.pack(">Q", 1 << 40)), "past the end"), ((at + 8, struct.pack(">Q", 100)), "100 bytes"), ((at - 4, struct.pack(">I", 8)), "expected 16"),
                        ((32, struct.pack(">I", 3)), "encryption method 3"), ((24, struct.pack(">Q", 1000)), "multiple of 512")):
        refused("info", "-f", "qcow2", patched("e", [patch]), says=says)


@test
def backing_null_cuts_the_chain():
    sample("base.raw", 1 << 20)
    img("convert", "-f", "raw", "-O", "vmdk", "base.raw", "base")
    for fmt, below in (("vmdk", "vmdk"), ("qcow", "raw"), ("qed", "raw"), ("qcow2", "raw")):
        img("create", "-q", "-f", fmt, "-b", "base" if below == "vmdk" else "base.raw", "-F", below, f"t.{fmt}")
        spec = json.dumps({"driver": fmt, "backing": None, "file": {"driver": "file", "filename": f"t.{fmt}"}})
        img("convert", "-O", "raw", "json:" + spec, "x.raw")
        assert not any(open("x.raw", "rb").read()), fmt


@test
def finished_streams():
    """A stream whose header leaves it to its footer where the directory is: read, but not written."""
    sample("src.raw", 2 << 20)
    img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", "src.raw", "s.vmdk")
    raw = bytearray(open("s.vmdk", "rb").read())
    header = bytes(raw[:512])
    raw[56:64] = b"\xff" * 8
    marker = struct.pack("<QII", 1, 0, 3).ljust(512, b"\0")  # a footer of one sector follows; then the stream's end
    open("s.vmdk", "wb").write(bytes(raw) + marker + header + bytes(512))
    same("s.vmdk", "src.raw", "vmdk")
    p = run(MIMIC, "io", "-f", "vmdk", "-c", "write 0 64k", "s.vmdk", ok=(1,))
    assert b"finished stream" in p.stderr, p.stderr
    same("s.vmdk", "src.raw", "vmdk")
    img("create", "-q", "-f", "vmdk", "v3.vmdk", "1M")
    p = run(MIMIC, "io", "-f", "vmdk", "-c", "write 0 64k", patched("v3.vmdk", [(4, b"\3")]), ok=(1,))
    assert b"version 3" in p.stderr, p.stderr
    refused("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "z.vmdk", "0", says="size is zero")


@test
def directories_as_fat():
    """mtools and fsck.fat read what we show; the reference's own is no oracle for long names."""
    for name, size in (("HELLO.TXT", 6), ("a long name.text", 100_000), ("empty", 0), ("Umläut und 日本.txt", 3), ("sub/data.bin", 300_001), ("sub/deep/er/x", 70_000)):
        os.makedirs(os.path.dirname(f"dir/{name}") or ".", exist_ok=True)
        with open(f"dir/{name}", "wb") as f:
            f.write(random.Random(name).randbytes(size))
    for i in range(30):
        open(f"dir/sub/file number {i}.txt", "w").write(str(i))
    os.symlink("/etc/passwd", "dir/link")
    env = dict(os.environ, MTOOLS_SKIP_CHECK="1", LC_ALL="C.UTF-8")
    for prefix, offset in (("", 63 * 512), ("12:", 63 * 512), ("32:", 63 * 512), ("floppy:", 0)):
        p = img("convert", "-O", "raw", f"fat:{prefix}dir", "fat.raw")
        assert b"1 links and special files of 'dir' are not shown" in p.stderr, p.stderr
        subprocess.run(["mcopy", "-s", "-n", "-i", f"fat.raw@@{offset}", "::", "out"], check=True, env=env, stdout=subprocess.PIPE)
        same_bytes = ["--image-opts", f"driver=vvfat,dir=dir,fat-type={prefix[:-1] if prefix[:2].isdigit() else 0},floppy={'on' if prefix == 'floppy:' else 'off'}", "driver=raw,file.filename=fat.raw"]
        img("compare", *same_bytes)
        os.unlink("dir/link")
        assert subprocess.run(["diff", "-r", "dir", "out"]).returncode == 0, prefix
        os.symlink("/etc/passwd", "dir/link")
        shutil.rmtree("out")
        with open("fat.raw", "rb") as f, open("part.raw", "wb") as out:
            f.seek(offset)
            shutil.copyfileobj(f, out)
        run("/usr/sbin/fsck.fat", "-n", "part.raw")
    with open("dir/big", "wb") as f:
        f.truncate(600 << 20)
    refused("info", "fat:dir", says="does not fit in FAT16")
    img("info", "fat:32:dir")
    refused("info", "fat:rw:dir", says="rw.*not supported")
    refused("info", "fat:nowhere", says="nowhere")
    refused("info", "--image-opts", "driver=vvfat,dir=dir,label=far too long a label", says="label cannot be longer than 11")
    p = run(MIMIC, "io", "-f", "raw", "-c", "write 0 512", "fat:dir", ok=(1,))
    assert b"read-only" in p.stderr + p.stdout, p


sys.exit(run_tests(TESTS, sys.argv[3:]))
