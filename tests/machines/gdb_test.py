"""gdb-multiarch at a machine, and the remote protocol by hand: gdb_test.py PROGRAM."""

import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from gdb_remote import Remote

PROGRAM = Path(sys.argv.pop(1)).resolve()
WORK = tempfile.TemporaryDirectory()
FOLDER = Path(WORK.name)
for guest in ("riscv64", "aarch64"):
    (FOLDER / f"mimic-system-{guest}").symlink_to(PROGRAM)
SOURCE = Path(__file__).resolve().parent / "debug.c"
ELF = FOLDER / "debug"
INPUTS = Path(os.environ.get("MIMIC_INPUTS", Path(__file__).resolve().parents[2] / "build" / "inputs"))


def setUpModule():
    subprocess.run(["riscv64-linux-gnu-gcc", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O1", "-g", "-ffreestanding",
                    "-nostdlib", "-static", "-fno-pic", "-no-pie", "-Wl,--build-id=none", "-Wl,-n", "-Wl,--no-relax", "-Wl,--no-warn-rwx-segments", "-Wl,-Ttext=0x80001000",
                    "-Wl,--section-start=.boot=0x80000000", "-Wl,-e,_start", "-o", ELF, SOURCE], check=True)


class Machine:
    """A machine whose debugger listens at a socket."""

    def __init__(self, *words, path="gdb", firmware=("-bios", ELF), guest="riscv64"):
        self.elf = ELF if guest == "riscv64" else None
        self.path = FOLDER / path
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen([FOLDER / f"mimic-system-{guest}", "-M", "virt", "-display", "none", "-serial", "null", "-gdb",
                                         f"unix:{self.path}", *firmware, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        for _ in range(600):
            if self.path.exists() or self.process.poll() is not None:
                break
            time.sleep(0.05)  # until it listens
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ticks(self):
        """CPU time of the machine, in the kernel's clock ticks."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def gdb(self, *commands):
        """What gdb says to these commands, after it has connected."""
        words = ["gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set pagination off", "-ex",
                 f"target remote {self.path}"]
        for command in commands:
            words += ["-ex", command]
        result = subprocess.run([*words, *([self.elf] if self.elf else [])], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                                check=False, env=dict(os.environ, LC_ALL="C", HOME=WORK.name))
        return result.stdout + result.stderr


class Gdb(unittest.TestCase):
    def test_break_step_registers_and_memory(self):
        with Machine("-S") as m:
            out = m.gdb("p/x $pc", "break work if n == 5", "continue", "p n", "bt 2", "finish", "p counter", "stepi", "x/i $pc",
                        "delete", "break twice", "continue", "p n", "next", "info registers pc ra sp", "p $mhartid",
                        "p/x $mstatus & 0x6000", "p $priv", "set var counter = 1000", "p counter", "p ratio", "p $fa5",
                        "set $t0 = 0x1234", "p/x $t0", "set $fa0 = 2.5", "p $fa0", "p $fcsr", "x/2xg &others", "p/x $misa",
                        "info line")
        for text in ("$1 = 0x1000", "Breakpoint 1, work (n=n@entry=5)", "$2 = 5", "#1  ", "in start_c", "$3 = 30",
                     "Breakpoint 2, twice (n=n@entry=6)", "$4 = 6", "$5 = 0\n", "$6 = 0x6000", "$7 = 3\n", "$8 = 1000", "$9 = 3\n", "double = 3}", "$11 = 0x1234",
                     "double = 2.5}", "$14 = 0x800000000014112d"):
            self.assertIn(text, out)

    def test_watchpoints_stop_behind_the_access(self):
        with Machine("-S") as m:
            out = m.gdb("break start_c", "continue", "delete", "watch watched", "continue", "continue", "p watched", "p counter",
                        "delete", "rwatch spare", "continue", "delete", "awatch ratio", "continue", "continue", "p ratio")
        self.assertIn("Old value = 0\nNew value = 3\n", out)
        self.assertIn("Old value = 3\nNew value = 19\n", out)
        self.assertIn("$1 = 19\n$2 = 380\n", out)
        self.assertIn("Value = 7", out)
        self.assertIn("Old value = 10\nNew value = 10.5", out)

    def test_processors_are_threads(self):
        with Machine("-S", "-smp", "2") as m:
            out = m.gdb("break work", "continue", "info threads", "thread 2", "p $mhartid", "delete", "break other",
                        "thread 1", "continue", "p others[1]")
            again = m.gdb("info threads", "thread 2", "p $mhartid", "p others[1] > 0", "set scheduler-locking on", "thread 1",
                          "stepi", "stepi")
        self.assertIn("Thread 1.1 (CPU#0)" if "Thread 1.1" in out else "Thread 1 (CPU#0)", out)
        self.assertIn("$1 = 1", out)
        self.assertIn("$1 = 1", again)

    def test_a_running_machine_stops_when_gdb_comes_and_goes_on_when_it_leaves(self):
        with Machine() as m:
            first = m.gdb("p counter", "detach")
            spent, deadline = m.ticks(), time.monotonic() + 60
            while m.ticks() < spent + 3 and time.monotonic() < deadline:
                time.sleep(0.02)  # until the guest has run without a debugger
            self.assertGreaterEqual(m.ticks(), spent + 3)
            second = m.gdb("p counter", "kill")
            self.assertEqual(m.process.wait(60), 0)
        values = [int(re.search(r"\$1 = (\d+)", out)[1]) for out in (first, second)]
        self.assertGreater(values[1], values[0])

    def test_physical_memory_and_monitor_commands(self):
        with Machine("-S") as m:
            out = m.gdb("monitor info status", "maintenance packet qqemu.PhyMemMode", "maintenance packet Qqemu.PhyMemMode:1",
                        "maintenance packet qqemu.PhyMemMode", "x/1xw 0x1000", "monitor nope",
                        "monitor gdbserver none", "monitor info name", "p/x $pc")
        for text in ("VM status: paused (prelaunch)", 'received: "0"', 'received: "OK"', 'received: "1"', "0x1000:\t0x00000297",
                     "unknown command: 'nope'", "gdb itself asks for it", "$1 = 0x1000"):
            self.assertIn(text, out)


    def test_a_kernel_at_its_first_instruction(self):
        kernel = INPUTS / "machines" / "riscv64" / "kernel"
        with Machine("-m", "256M", "-smp", "2", "-kernel", kernel, "-append", "nokaslr", "-S", firmware=()) as m:
            out = m.gdb("hbreak *0x80200000", "continue", "p $priv", "x/s 0x80200030", "p $satp", "stepi", "monitor info mem",
                        "maintenance packet Qqemu.PhyMemMode:1", "x/s 0x80200030", "detach")
        self.assertIn("Breakpoint 1, 0x0000000080200000", out)
        self.assertIn("$1 = 1\n", out.replace("prv:1 [Supervisor]", "1"))
        self.assertEqual(out.count('0x80200030:\t"RISCV"'), 2, out)
        self.assertIn("No translation or protection", out)

    def test_an_arm_kernel_at_its_first_instructions(self):
        kernel = INPUTS / "machines" / "aarch64" / "kernel"
        with Machine("-m", "256M", "-smp", "2", "-cpu", "max", "-kernel", kernel, "-append", "nokaslr", "-S", firmware=(),
                     guest="aarch64") as m:
            out = m.gdb("p/x $pc", "hbreak *($pc + 4)", "p/x *(unsigned*)($pc + 56)", "stepi", "p $cpsr", "set $d1 = 2.5",
                        "p $v1.d.f", "set $x5 = -2", "p (int)$w5", "p $q1.u", "p/x $SCTLR_EL1 & 1", "set $cpsr = 0x800003c5",
                        "p $cpsr", "p $sp", "info threads", "set $SP_EL1 = 0x1230", "p $sp", "set $SP_EL0 = 0x50", "p $sp",
                        "info registers CNTFRQ_EL0 SP_EL0 VBAR_EL1", "set $TPIDR_EL0 = 0x77", "p/x $tpidr", "kill")
        for text in ("$1 = 0x40200000", "$2 = 0x644d5241", "$3 = [ SP EL=1 F I A D BTYPE=0 ", "$4 = {2.5, 0}", "$5 = -2",
                     "$7 = 0x0", "$8 = [ SP EL=1 F I A D BTYPE=0 N ]", "CPU#1", "$10 = (void *) 0x1230", "$11 = (void *) 0x1230",
                     "CNTFRQ_EL0     0x3b9aca00", "SP_EL0         0x50 ", "VBAR_EL1       0x0 ", "$12 = 0x77"):
            self.assertIn(text, out)


class Protocol(unittest.TestCase):
    def test_odd_packets_are_refused_and_the_connection_stays(self):
        with Machine("-S") as m:
            r = Remote(m.path)
            self.assertIn(b"vContSupported+", r.ask(b"qSupported:swbreak+"))
            for data, reply in ((b"", b""), (b"?", b"T05thread:1;"), (b"m", b"E16"), (b"mzz,1", b"E16"), (b"m0,ffffffff", b"E16"),
                                (b"mffffffffffffffff,8", b"E0e"), (b"m80000000,4", None), (b"M80000000,4:00", b"E16"),
                                (b"X80000000,0:", b"OK"), (b"p", b"E16"), (b"pffff", b"E16"), (b"P0", b"E16"),
                                (b"Hg9", b"E03"), (b"Hg1", b"OK"), (b"Hc-1", b"OK"), (b"T1", b"OK"), (b"Tffff", b"E03"),
                                (b"Z9,0,4", b""), (b"Z0,80000000,4", b"OK"), (b"z0,80000000,4", b"OK"), (b"z0,1,4", b"E16"),
                                (b"Z2,80000000,0", b"E16"), (b"vCont?", b"vCont;c;C;s;S"), (b"vCont;q", b"E16"),
                                (b"vCont;s:77", b"E03"), (b"vMustReplyEmpty", b""), (b"qXfer:features:read:x:0,10", b"E00"),
                                (b"qXfer:features:read:target.xml:ffffff,10", b"l"), (b"qRcmd,zz", b"E16"),
                                (b"qfThreadInfo", b"m1"), (b"qsThreadInfo", b"l"), (b"qC", b"QC1"), (b"vCont;s:1", None)):
                with self.subTest(data):
                    answer = r.ask(data)
                    if reply is not None:
                        self.assertEqual(answer, reply)
            r.socket.sendall(b"$garbage#00" + b"noise")  # a wrong checksum
            while b"-" not in r.data:
                r.data += r.socket.recv(100)
            r.data = b""
            r.send(b"c")
            r.socket.sendall(b"\x03")
            self.assertEqual(r.receive()[:3], b"T02")
            r.close()
            r = Remote(m.path)  # the next one
            self.assertEqual(r.ask(b"?"), b"T05thread:1;")
            r.close()


if __name__ == "__main__":
    unittest.main()
