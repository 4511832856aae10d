#!/usr/bin/env python3
"""`mimic nbd` beside qemu-nbd: fio's nbd engine over a unix socket, 4 KiB random and 1 MiB sequential, queue depth 1 and 32.

usage: nbd.py MIMIC [--rounds N] [--seconds S] [--size BYTES]     prints a table in Markdown

Rounds alternate between the servers, and each case counts by its best round: a busy machine slows both, never speeds one up.
"""
import argparse, json, os, signal, subprocess, tempfile

CASES = [("4 KiB random read", "randread", "4k"), ("4 KiB random write", "randwrite", "4k"),
         ("1 MiB sequential read", "read", "1M"), ("1 MiB sequential write", "write", "1M")]


def measure(server, rw, bs, depth, seconds, size, where):
    with tempfile.TemporaryDirectory(dir=where) as folder:
        image, path = os.path.join(folder, "disk"), os.path.join(folder, "s")
        with open(image, "wb") as f:
            for _ in range(size >> 20):
                f.write(os.urandom(1 << 20))
            f.flush()
            os.fsync(f.fileno())
        subprocess.run([*server, "--fork", "--pid-file", path + ".pid", "-k", path, "-t", "-f", "raw", image], check=True)
        pid = int(open(path + ".pid").read())
        try:
            out = subprocess.run(["fio", "--name=x", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={path}", f"--rw={rw}", f"--bs={bs}",
                                  f"--iodepth={depth}", "--time_based", f"--runtime={seconds}", f"--size={size}", "--output-format=json"],
                                 check=True, stdout=subprocess.PIPE, cwd=folder).stdout
            ticks = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]
        finally:
            os.kill(pid, signal.SIGTERM)
        job = json.loads(out[out.index(b"{"):])["jobs"][0]  # fio may warn in front
        side = job["read" if "read" in rw else "write"]
        cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        return side["iops"], cpu / max(side["total_ios"], 1) * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mimic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256 << 20)
    parser.add_argument("--folder", default=os.getcwd(), help="where the image is; on tmpfs only the servers count, not the disk")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    o = parser.parse_args()
    servers = {"mimic": [os.path.abspath(o.mimic), "nbd"], "qemu": ["qemu-nbd"]}
    print("| requests | depth | mimic nbd, a second | qemu-nbd, a second | ratio | CPU us a request, mimic | qemu |\n|---|---|---|---|---|---|---|")
    for name, rw, bs in [c for c in CASES if o.only in c[0]]:
        for depth in (1, 32):
            best = {s: (0, 0) for s in servers}
            for _ in range(o.rounds):
                for s, words in servers.items():
                    best[s] = max(best[s], measure(words, rw, bs, depth, o.seconds, o.size, o.folder))
            (a, ca), (b, cb) = best["mimic"], best["qemu"]
            print(f"| {name} | {depth} | {a:.0f} | {b:.0f} | {a / b:.2f} | {ca:.1f} | {cb:.1f} |", flush=True)


main()
