#!/usr/bin/env python3
"""`mimic storage-daemon` beside qemu-storage-daemon, qemu-img, qemu-io and nbdinfo: jobs, bitmaps, transactions, exports.

usage: jobs_test.py MIMIC [NAME...]     (exit 77: one of the peers is not there)
"""
import functools, json, os, random, shutil, signal, socket, subprocess, sys, time

import harness
from harness import MIMIC, run_tests

run = functools.partial(harness.run, text=True)
missing = [p for p in ("nbdinfo", "nbdcopy", "qemu-img", "qemu-io", "qemu-storage-daemon") if not shutil.which(p)]
if missing:
    print(f"not installed: {' '.join(missing)} (packages libnbd-bin, qemu-utils, qemu-system-common)")
    sys.exit(77)
MIB = 1 << 20


def same(a, b, fmt_a="qcow2", fmt_b="qcow2"):
    run("qemu-img", "compare", "-f", fmt_a, "-F", fmt_b, a, b)


def clean(*images):
    for image in images:
        run("qemu-img", "check", "-f", "qcow2", image)
        run(MIMIC, "img", "check", "-f", "qcow2", image)


def uri(name):
    return f"nbd+unix:///{name}?socket={os.path.abspath('nbd')}"


class Daemon:
    """A storage daemon and a connection to its QMP."""

    def __init__(self, *options, program="mimic"):
        words = [MIMIC, "storage-daemon"] if program == "mimic" else ["qemu-storage-daemon"]
        for path in ("nbd", "qmp", "pid"):
            if os.path.exists(path):
                os.unlink(path)
        self.process = subprocess.Popen(
            [*words, "--nbd-server", f"addr.type=unix,addr.path={os.path.abspath('nbd')}", *options,
             "--chardev", f"socket,id=c,path={os.path.abspath('qmp')},server=on,wait=off", "--monitor", "chardev=c",
             "--pidfile", "pid"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        # The file is written when all is set up. (The reference may miss for ever who connects while it starts.)
        while not os.path.exists("pid"):
            assert self.process.poll() is None, self.process.communicate()[1]
            os.sched_yield()
        self.socket.connect("qmp")
        self.lines = self.socket.makefile("r")
        self.events = []
        json.loads(self.lines.readline())
        self.run("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None and kind is None:
            self.run("quit")
            assert self.process.wait(60) == 0, self.process.communicate()[1]
        self.process.kill()
        self.process.wait()
        self.lines.close()
        self.socket.close()
        self.process.stderr.close()

    def read(self):
        line = self.lines.readline()
        assert line, f"the daemon has gone: {self.process.wait(10)} {self.process.stderr.read()}"
        return json.loads(line)

    def ask(self, command, **arguments):
        request = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while "event" in (message := self.read()):
            self.events.append(message)
        return message

    def run(self, command, **arguments):
        reply = self.ask(command, **arguments)
        assert "return" in reply, f"{command} {arguments}: {reply}"
        return reply["return"]

    def refused(self, command, **arguments):
        reply = self.ask(command, **arguments)
        assert "error" in reply, f"{command} {arguments} was taken by {self.process.args[0]}"
        return reply["error"]

    def wait(self, name, **data):
        """The first event of that name with that data; those before are done with."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event["data"]
            self.events.append(self.read())

    def done(self, job):
        data = self.wait("BLOCK_JOB_COMPLETED", device=job)
        assert "error" not in data, data
        self.wait("JOB_STATUS_CHANGE", id=job, status="null")


def qcow2(path, node, *more):
    return ("--blockdev", f"file,node-name={node}-f,filename={path}", "--blockdev", f"qcow2,node-name={node},file={node}-f{''.join(more)}")


def export(node, *more):
    return ("--export", f"nbd,id=e-{node},node-name={node},name={node},writable=on{''.join(more)}")


def chain(layers=3, size="4M", seed=1):
    """base.q <- 1.q <- ... <- top.q, each with some of its own."""
    names = ["base.q", *[f"{i}.q" for i in range(1, layers - 1)], "top.q"]
    rng = random.Random(seed)
    for below, name in zip([None, *names], names):
        run("qemu-img", "create", "-q", "-f", "qcow2", *(["-b", below, "-F", "qcow2"] if below else []), name, size)
        for _ in range(6):
            at, n = rng.randrange(60) * 65536 + rng.randrange(16) * 4096, rng.randrange(1, 40) * 4096
            run("qemu-io", "-f", "qcow2", "-c", f"write -P {rng.randrange(1, 256)} {at} {min(n, 4 * MIB - at)}", name)
    run("qemu-img", "convert", "-O", "qcow2", "top.q", "expected.q")
    return names


def write(node, *commands, image="expected.q"):
    """The same through the export and into the copy."""
    words = [x for c in commands for x in ("-c", c)]
    run("qemu-io", "-f", "raw", *words, uri(node))
    run("qemu-io", "-f", "qcow2", *words, image)


TESTS = []


def test(f):
    TESTS.append(f)
    return f


@test
def events_are_the_references():
    """The same commands bring the same events, in the same order."""
    def session(program):
        chain()
        run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
        seen = []
        with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), program=program) as d:
            def until_null(job):
                while True:
                    event = d.events.pop(0) if d.events else d.read()
                    data = event["data"]
                    if data.get("id", data.get("device")) != job:
                        continue
                    # A mirror's length and offset depend on how it cuts its work.
                    seen.append((event["event"], *[data.get(k) for k in ("status", "type", "speed", "error")]))
                    if data.get("status") == "null":
                        return
            # Pauses within a job are its own business, so nothing is asked while it runs.
            d.run("blockdev-backup", device="q", target="t", sync="full", job_id="b")
            until_null("b")
            d.run("block-stream", device="q", job_id="s")
            until_null("s")
            d.run("blockdev-mirror", device="q", target="t", sync="full", job_id="m")
            d.wait("BLOCK_JOB_READY", device="m")
            d.run("block-job-complete", device="m")
            until_null("m")
        return [s for s in seen if s[1] not in ("paused",) and s != ("JOB_STATUS_CHANGE", "running", None, None, None)]
    ours, theirs = session("mimic"), session("qemu")
    assert ours == theirs, f"\n{ours}\n{theirs}"
    same("t.q", "top.q")


@test
def mistakes_have_the_references_words():
    asked = [
        ("job-pause", {"id": "x"}), ("block-job-pause", {"device": "x"}), ("blockdev-del", {"node-name": "x"}),
        ("blockdev-del", {"node-name": "q-f"}), ("blockdev-add", {"driver": "file", "filename": "top.q", "node-name": "q"}),
        ("block-export-del", {"id": "x"}), ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "y"}}}),
        ("block-dirty-bitmap-add", {"node": "q", "name": "b", "granularity": 100}),
        ("block-dirty-bitmap-clear", {"node": "q", "name": "b"}), ("block-dirty-bitmap-clear", {"node": "x", "name": "b"}),
        ("transaction", {"actions": [{"type": "abort", "data": {}}]}),
        ("block-commit", {"device": "q", "job-id": "j", "top": "x"}),
        ("block-stream", {"device": "q", "job-id": "j", "base-node": "t"}),
        ("blockdev-backup", {"device": "q", "target": "t", "sync": "incremental", "job-id": "j"}),
        ("blockdev-snapshot", {"node": "q", "overlay": "x"}), ("block_resize", {"node-name": "x", "size": 1}),
        ("blockdev-mirror", {"device": "q", "target": "q", "sync": "full", "job-id": "j"}),
        ("blockdev-backup", {"device": "q", "target": "t", "sync": "full", "job-id": "1"}),
    ]
    chain()
    run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "small.q", "1M")
    seen = {}
    for program in ("mimic", "qemu"):
        with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), *qcow2("small.q", "small"), program=program) as d:
            seen[program] = [d.refused(c, **{k.replace("-", "_"): v for k, v in a.items()}) for c, a in asked]
    for ours, theirs, what in zip(seen["mimic"], seen["qemu"], asked):
        assert ours["class"] == theirs["class"], f"{what}: {ours} {theirs}"
    words = sum(o["desc"] == t["desc"] for o, t in zip(seen["mimic"], seen["qemu"]))
    assert words >= len(asked) - 3, [(o, t) for o, t in zip(seen["mimic"], seen["qemu"]) if o != t]


@test
def backup_is_the_moment_it_began():
    chain()
    run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
    shutil.copy("expected.q", "moment.q")
    with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), *export("q")) as d:
        d.run("blockdev-backup", device="q", target="t", sync="full", job_id="j", speed=65536)
        write("q", "write -P 7 0 200k", "write -P 8 2M 100k", "write -z 1M 300k", "discard 3M 64k", "flush")
        d.run("block-job-set-speed", device="j", speed=0)
        d.done("j")
    same("t.q", "moment.q")
    clean("t.q", "top.q")


@test
def mirror_follows_writes_and_takes_over():
    for mode in ("background", "write-blocking", "changed"):
        chain()
        run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
        with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t", ",discard=unmap"), *export("q")) as d:
            d.run("blockdev-mirror", device="q", target="t", sync="full", job_id="j", speed=262144, copy_mode="background" if mode == "changed" else mode)
            if mode == "changed":
                d.run("block-job-change", id="j", type="mirror", copy_mode="write-blocking")
                assert "not possible" in d.refused("block-job-change", id="j", type="mirror", copy_mode="background")["desc"]
                assert "is of type 'mirror'" in d.refused("block-job-change", id="j", type="commit")["desc"]
            write("q", "write -P 7 0 200k", "write -P 8 2100k 100k", "write -z 1M 300k")
            d.run("job-pause", id="j")
            write("q", "write -P 9 3M 10k")
            d.run("job-resume", id="j")
            d.run("block-job-set-speed", device="j", speed=0)
            d.wait("BLOCK_JOB_READY", device="j")
            write("q", "write -P 10 100k 10k")
            d.run("job-complete", id="j")
            d.done("j")
            shutil.copy("top.q", "old.q")
            write("q", "write -P 11 200k 10k")  # now the target's
            d.run("blockdev-del", node_name="q")
        same("t.q", "expected.q")
        run("qemu-img", "compare", "-U", "old.q", "t.q", ok=(1,))
        clean("t.q", "top.q")


@test
def stream_and_commit_shorten_the_chain():
    names = chain(5)
    with Daemon(*qcow2("top.q", "q"), *export("q")) as d:
        d.run("block-stream", device="q", base="1.q", job_id="s")
        write("q", "write -P 7 100k 200k")
        d.done("s")
        write("q", "write -P 8 1M 20k")
    assert json.loads(run("qemu-img", "info", "--output=json", "top.q").stdout)["backing-filename"] == "1.q"
    same("top.q", "expected.q")
    clean(*names)
    # Down: the layer in the middle, then the active one.
    with Daemon(*qcow2("top.q", "q"), *export("q")) as d:
        d.run("block-commit", device="q", top="1.q", base="base.q", job_id="c")
        write("q", "write -P 9 2M 20k")
        d.done("c")
        same("expected.q", uri("q"), fmt_b="raw")
        d.run("block-commit", device="q", job_id="a")
        d.wait("BLOCK_JOB_READY", device="a")
        write("q", "write -P 10 3M 20k")
        d.run("block-job-complete", device="a")
        d.done("a")
        write("q", "write -P 11 3M 10k")
        same("expected.q", uri("q"), fmt_b="raw")
    same("base.q", "expected.q")
    clean("base.q", "top.q")


@test
def what_is_written_below_is_not_read():
    """A commit that ends at the base leaves the layers above it behind: what they show changes with each write to the base."""
    for program in ("mimic", "qemu"):
        chain(3)
        for name in ("snap.q", "copy.q"):
            run("qemu-img", "create", "-q", "-f", "qcow2", name, "4M")
        with Daemon(*qcow2("top.q", "disk"), *qcow2("copy.q", "copy"), *export("disk"), program=program) as d:
            d.run("blockdev-snapshot-sync", node_name="disk", snapshot_file="snap.q", snapshot_node_name="snap", mode="existing", format="qcow2")
            d.run("block-commit", job_id="j", device="snap")
            d.wait("BLOCK_JOB_READY", device="j")
            d.run("block-job-complete", device="j")
            d.done("j")
            commands = [("block-stream", {}), ("blockdev-mirror", {"target": "copy", "sync": "full"}), ("blockdev-backup", {"target": "copy", "sync": "full"})]
            for command, more in commands if program == "mimic" else commands[:1]:  # the reference mirrors what is true of no moment
                error = d.refused(command, job_id="k", device="disk", **more)
                assert "write" in error["desc"], (program, command, error)


@test
def snapshots_and_transactions():
    chain(2)
    for name in ("o1.q", "o2.q", "t.q"):
        run("qemu-img", "create", "-q", "-f", "qcow2", name, "4M")
    with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), *export("q")) as d:
        before = d.run("x-debug-query-block-graph")
        error = d.refused("transaction", actions=[
            {"type": "blockdev-snapshot-sync", "data": {"node-name": "q", "snapshot-node-name": "o1", "snapshot-file": "o1.q"}},
            {"type": "block-dirty-bitmap-add", "data": {"node": "q", "name": "b"}},
            {"type": "blockdev-backup", "data": {"device": "q", "target": "t", "sync": "full", "job-id": "j"}},
            {"type": "abort", "data": {}}])
        assert "abort" in error["desc"].lower(), error
        while d.run("query-jobs"):
            os.sched_yield()
        after = d.run("x-debug-query-block-graph")
        names = [[n["name"] for n in graph["nodes"]] for graph in (before, after)]
        assert names[0] == names[1], names
        write("q", "write -P 3 0 64k")
        d.run("transaction", actions=[
            {"type": "block-dirty-bitmap-add", "data": {"node": "q", "name": "b"}},
            {"type": "blockdev-snapshot-sync", "data": {"node-name": "q", "snapshot-node-name": "o1", "snapshot-file": "o1.q"}}])
        write("q", "write -P 4 64k 64k")  # goes into the overlay
        same("expected.q", uri("q"), fmt_b="raw")
        nodes = {n["node-name"]: n for n in d.run("query-named-block-nodes", flat=True)}
        assert nodes["o1"]["backing_file_depth"] == 2 and nodes["q"]["dirty-bitmaps"][0]["count"] == 0
    same("o1.q", "expected.q")
    clean("o1.q", "top.q", "t.q")


@test
def grouped_jobs_end_together():
    chain(2)
    run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "bad.q", "4M")
    bad = {"driver": "qcow2", "node-name": "bad", "file": {
        "driver": "blkdebug", "image": {"driver": "file", "filename": "bad.q"}, "inject-error": [{"iotype": "write", "errno": 5, "after": 3, "once": True}]}}
    with Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), "--blockdev", json.dumps(bad)) as d:
        backup = lambda job, target: {"type": "blockdev-backup", "data": {"device": "q", "target": target, "sync": "full", "job-id": job}}
        d.run("transaction", properties={"completion-mode": "grouped"}, actions=[backup("g", "t"), backup("b", "bad")])
        ends = {}
        while len(ends) < 2:
            event = d.events.pop(0) if d.events else d.read()
            if event["event"] in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"):
                ends[event["data"]["device"]] = (event["event"], "error" in event["data"])
        assert ends == {"b": ("BLOCK_JOB_COMPLETED", True), "g": ("BLOCK_JOB_CANCELLED", False)}, ends
    clean("top.q", "t.q")


@test
def errors_stop_and_go_on():
    chain(2)
    run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
    target = {"driver": "qcow2", "node-name": "t", "file": {
        "driver": "blkdebug", "image": {"driver": "file", "filename": "t.q"},
        "inject-error": [{"iotype": "write", "errno": 28, "after": 2, "once": True}]}}
    with Daemon(*qcow2("top.q", "q"), "--blockdev", json.dumps(target)) as d:
        d.run("blockdev-backup", device="q", target="t", sync="full", job_id="j", on_target_error="enospc")
        assert d.wait("BLOCK_JOB_ERROR", device="j") == {"device": "j", "operation": "write", "action": "stop"}
        d.wait("JOB_STATUS_CHANGE", id="j", status="paused")
        job, = d.run("query-block-jobs")
        assert job["io-status"] == "nospace" and job["paused"], job
        d.run("job-resume", id="j")
        d.done("j")
    same("t.q", "expected.q")
    clean("t.q")


@test
def bitmaps_and_incremental_backups():
    chain(2)
    for name in ("t1.q", "t2.q"):
        run("qemu-img", "create", "-q", "-f", "qcow2", name, "4M")
    with Daemon(*qcow2("top.q", "q"), *qcow2("t1.q", "t1"), *export("q")) as d:
        d.run("transaction", actions=[
            {"type": "block-dirty-bitmap-add", "data": {"node": "q", "name": "b", "persistent": True}},
            {"type": "blockdev-backup", "data": {"device": "q", "target": "t1", "sync": "full", "job-id": "j"}}])
        d.done("j")
        write("q", "write -P 7 128k 64k", "write -P 8 1M 100k")
        count = {b["name"]: b["count"] for n in d.run("query-named-block-nodes", flat=True)
                 for b in n.get("dirty-bitmaps", []) if n["node-name"] == "q" and "name" in b}
        assert count == {"b": 3 * 65536}, count
    # It is in the image, whoever looks, and others see the same bits.
    flags = json.loads(run("qemu-img", "info", "--output=json", "top.q").stdout)["format-specific"]["data"]["bitmaps"]
    assert flags == [{"flags": ["auto"], "name": "b", "granularity": 65536}], flags
    maps = []
    for program in ("mimic", "qemu"):
        with Daemon(*qcow2("top.q", "q", ",read-only=on"), "--export", "nbd,id=e,node-name=q,name=q,bitmap=b" if program == "mimic"
                    else "nbd,id=e,node-name=q,name=q,bitmaps.0=b", program=program):
            maps.append(run("nbdinfo", "--json", "--map=qemu:dirty-bitmap:b", uri("q")).stdout)
    assert json.loads(maps[0]) == json.loads(maps[1]), maps
    dirty = [(e["offset"], e["length"]) for e in json.loads(maps[0]) if e["type"]]
    assert dirty == [(131072, 65536), (MIB, 131072)], dirty
    with Daemon(*qcow2("top.q", "q"), *qcow2("t1.q", "t1"), *export("q")) as d:
        d.run("blockdev-backup", device="q", target="t1", sync="incremental", bitmap="b", job_id="j", speed=65536)
        write("q", "write -P 9 3M 64k")
        d.run("block-job-set-speed", device="j", speed=0)
        d.done("j")
        shutil.copy("top.q", "now.q")
        d.run("block-dirty-bitmap-disable", node="q", name="b")
        d.run("block-dirty-bitmap-add", node="q", name="m", persistent=True, disabled=True)
        d.run("block-dirty-bitmap-merge", node="q", target="m", bitmaps=["b"])
        d.run("block-export-add", type="nbd", id="r", node_name="q", name="r", bitmaps=["b", "m"])
        for name in ("b", "m"):
            dirty = [(e["offset"], e["length"]) for e in json.loads(run("nbdinfo", "--json", f"--map=qemu:dirty-bitmap:{name}", uri("r")).stdout) if e["type"]]
            assert dirty == [(3 * MIB, 65536)], dirty
        d.run("block-export-del", id="r", mode="hard")
        d.run("block-dirty-bitmap-remove", node="q", name="m")
    run("qemu-io", "-f", "qcow2", "-c", "read -P 7 128k 64k", "-c", "read -P 8 1M 100k", "t1.q")
    clean("top.q", "t1.q")


def changed_limits(d):
    """The answers to changes of group g's limits, and to questions for them."""
    d.run("qom-set", path="/objects/g", property="limits", value={"bps-read": 7, "iops-total-max": 200})
    answers = [d.run("qom-get", path="g", property=name) for name in ("limits", "x-bps-read", "type")]
    for path, name, value in (("g", "limits", {"iops-total": 0}), ("g", "x-bps-read", 5), ("g", "colour", 5), ("none", "limits", {})):
        answers.append(d.refused("qom-set", path=path, property=name, value=value))
    return [a if isinstance(a, dict) else {"value": a} for a in answers]


@test
def throttled():
    """Limits hold, groups are objects, and nobody who ends something waits for them."""
    run("qemu-img", "create", "-q", "-f", "raw", "t.r", "1M")
    group = ("--object", "throttle-group,id=g,x-iops-total=100")
    node = ("--blockdev", "throttle,node-name=n,throttle-group=g,file.driver=file,file.filename=t.r")
    with Daemon(*group, program="qemu") as d:
        expected = changed_limits(d)
    with Daemon(*group, *node, *export("n")) as d:
        began = time.monotonic()
        run("qemu-io", "-f", "raw", *[x for i in range(40) for x in ("-c", f"write -P 5 {i * 4}k 4k")], uri("n"))
        # Ten at once, then a hundred a second.
        assert time.monotonic() - began >= 0.29, time.monotonic() - began
        assert "in use" in d.refused("object-del", id="g")["desc"]
        assert "does not exist" in d.refused("blockdev-add", driver="throttle", node_name="m", throttle_group="none", file="n")["desc"]
        for limits, said in (({"bps-total": 5, "bps-read": 5}, "same time"), ({"bps-total-max": 5}, "require"), ({"colour": 5}, "limits.colour")):
            desc = d.refused("object-add", qom_type="throttle-group", id="h", limits=limits)["desc"]
            assert said in desc, (limits, desc)
        # Limits can be changed, and are the reference's.
        for ours, theirs in zip(changed_limits(d), expected, strict=True):
            assert ours["class"] == theirs["class"] and theirs["desc"] in ours["desc"] if "desc" in theirs else ours == theirs, (ours, theirs)
        # A write that may take a quarter of an hour, and an end that does not.
        d.run("object-add", qom_type="throttle-group", id="slow", limits={"bps-total": 1000})
        assert "duplicate" in d.refused("object-add", qom_type="secret", id="slow", data="x")["desc"]
        run("qemu-img", "create", "-q", "-f", "raw", "s.r", "1M")
        d.run("blockdev-add", driver="throttle", node_name="s", throttle_group="slow", file={"driver": "file", "filename": "s.r"})
        d.run("block-export-add", type="nbd", id="s", node_name="s", name="s", writable=True)
        writer = subprocess.Popen(["qemu-io", "-f", "raw", "-c", "aio_write -P 6 0 512k", "-c", "aio_write -P 6 512k 512k", "-c", "aio_flush", uri("s")],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not open("s.r", "rb").read(1) == b"\x06":
            os.sched_yield()
        d.run("block-export-del", id="s", mode="hard")
        writer.wait(60)
        d.run("blockdev-del", node_name="s")
        d.run("object-del", id="slow")
    clean()


@test
def write_thresholds():
    """Told once, when a write ends behind it; the same as the reference tells."""
    def session(program):
        run(MIMIC, "img", "create", "-f", "qcow2", "t.q", "64M")
        run(MIMIC, "img", "create", "-f", "raw", "t.raw", "1M")
        told = []
        with Daemon(*qcow2("t.q", "q"), "--blockdev", "file,node-name=r,filename=t.raw", *export("q"), *export("r"), program=program) as d:
            def threshold(node):
                return [n for n in d.run("query-named-block-nodes") if n["node-name"] == node][0]["write_threshold"]
            def write(node, *commands):
                run("qemu-io", "-f", "raw", *[x for c in commands for x in ("-c", c)], uri(node))
                d.run("query-named-block-nodes")
                told.append([(e["data"]["node-name"], e["data"]["amount-exceeded"], e["data"]["write-threshold"])
                             for e in d.events if e["event"] == "BLOCK_WRITE_THRESHOLD"])
                d.events.clear()
            d.run("block-set-write-threshold", node_name="r", write_threshold=65536)
            told.append(threshold("r"))
            write("r", "write 0 64k")
            write("r", "write 64k 512")
            told.append(threshold("r"))
            write("r", "write 128k 512")
            d.run("block-set-write-threshold", node_name="r", write_threshold=65536)
            write("r", "write -z 60k 64k")
            d.run("block-set-write-threshold", node_name="r", write_threshold=1)
            d.run("block-set-write-threshold", node_name="r", write_threshold=0)
            write("r", "write 0 64k")
            # What it is for: a thin disk's file grows.
            d.run("block-set-write-threshold", node_name="q-f", write_threshold=8 << 20)
            write("q", "write 0 4M")
            told.append(threshold("q-f"))
            write("q", "write 32M 8M")
            assert told[-1][0][0] == "q-f" and threshold("q-f") == 0, told
            told.pop()
            told.append(d.refused("block-set-write-threshold", node_name="x", write_threshold=0))
        return told
    ours, theirs = session("mimic"), session("qemu")
    assert ours == theirs, f"\n{ours}\n{theirs}"


@test
def killed_in_the_middle():
    """Whatever moment the daemon dies at, the images check without corruption and hold what was flushed."""
    rng = random.Random(3)
    for round in range(6):
        chain(3, seed=round)
        run("qemu-img", "create", "-q", "-f", "qcow2", "t.q", "4M")
        d = Daemon(*qcow2("top.q", "q"), *qcow2("t.q", "t"), *export("q"))
        with d:
            write("q", f"write -P {round + 1} {rng.randrange(30) * 65536} 100k", "flush")
            if round % 3 == 0:
                d.run("block-stream", device="q", job_id="j", speed=MIB)
            elif round % 3 == 1:
                d.run("block-commit", device="q", job_id="j", speed=MIB)
            else:
                d.run("blockdev-mirror", device="q", target="t", sync="full", job_id="j", speed=MIB)
            for _ in range(rng.randrange(5)):
                d.run("query-jobs")
                write("q", f"write -P 77 {rng.randrange(60) * 65536} 4k", "flush")
            d.process.kill()
            d.process.wait()
        for image in ("base.q", "1.q", "top.q", "t.q"):
            run("qemu-img", "check", "-f", "qcow2", image, ok=(0, 3))
            run(MIMIC, "img", "check", "-f", "qcow2", image, ok=(0, 3))
        if round % 3 != 1:
            same("top.q", "expected.q")


@test
def starts_as_a_daemon():
    chain(2)
    run(MIMIC, "storage-daemon", "--daemonize", "--pidfile", "pid", *qcow2("top.q", "q"),
        "--nbd-server", f"addr.type=unix,addr.path={os.path.abspath('nbd')}", "--export", "nbd,id=e,node-name=q,name=x")
    pid = int(open("pid").read())
    run("nbdcopy", uri("x"), "out")
    os.kill(pid, signal.SIGTERM)
    while os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().split(")")[-1].split()[0] != "Z":
        os.sched_yield()
    same("out", "expected.q", fmt_a="raw")
    for words, text in ((["--blockdev", "file,node-name=f"], "filename"), (["--export", "vhost-user-blk,id=e,node-name=q"], "vhost-user-blk"),
                        (["--monitor", "chardev=x"], "no chardev"), (["--blockdev", "qcow2,node-name=q,file=x"], "node-name='x'")):
        p = run(MIMIC, "storage-daemon", *words, ok=(1,))
        assert text in p.stderr and p.stderr.count("\n") == 1, p.stderr


sys.exit(run_tests(TESTS, sys.argv[2:]))
