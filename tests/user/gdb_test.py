"""gdb-multiarch at programs, the remote protocol by hand, core files and crash reports: gdb_test.py MIMIC [run]."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from gdb_remote import Remote

PROGRAM = [Path(sys.argv.pop(1)).resolve(), *sys.argv[1:]]
del sys.argv[1:]
WORK = tempfile.TemporaryDirectory()
FOLDER = Path(WORK.name)
SOURCE = Path(__file__).resolve().parent / "debug.c"
GUESTS = ("riscv64", "aarch64")


def setUpModule():
    for guest in GUESTS:
        for name, words in (("static", ["-static"]), ("dynamic", [])):
            subprocess.run([f"{guest}-linux-gnu-gcc", "-g", "-O1", "-fno-omit-frame-pointer", "-pthread", *words, "-o",
                            FOLDER / f"{name}.{guest}", SOURCE], check=True)


class Run:
    """A program that waits for gdb at a socket."""

    def __init__(self, guest, *words, kind="static", options=(), where=None):
        self.elf = FOLDER / f"{kind}.{guest}"
        self.path = FOLDER / "gdb"
        self.path.unlink(missing_ok=True)
        if kind == "dynamic":
            options = ("-L", f"/usr/{guest}-linux-gnu", *options)
        self.process = subprocess.Popen([*PROGRAM, *options, "-g", where or str(self.path), self.elf, *words], cwd=FOLDER,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(600):
            if self.path.exists() or self.process.poll() is not None:
                break
            time.sleep(0.02)  # until it listens

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self):
        """Output and exit status."""
        out = self.process.communicate(timeout=60)[0]
        return out, self.process.returncode

    def words(self, *commands, sysroot=True):
        words = ["gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set pagination off", "-ex",
                 "set debuginfod enabled off"]
        if sysroot:
            words += ["-ex", "set sysroot /"]
        for command in (f"target remote {self.path}", *commands):
            words += ["-ex", command]
        return words

    def start_gdb(self, *commands, program=True, sysroot=True):
        return subprocess.Popen([*self.words(*commands, sysroot=sysroot), *([self.elf] if program else [])],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=dict(os.environ, LC_ALL="C", HOME=WORK.name))

    def gdb(self, *commands, program=True, sysroot=True):
        """What gdb says to these commands, after it has connected."""
        process = self.start_gdb(*commands, program=program, sysroot=sysroot)
        try:
            return process.communicate(timeout=100)[0]
        finally:
            process.kill()


class Gdb(unittest.TestCase):
    def has(self, out, *texts):
        at = 0
        for text in texts:
            found = out.find(text, at)
            self.assertGreaterEqual(found, 0, f"{text!r} not in {out[at:]!r} of\n{out}")
            at = found + len(text)

    def test_break_step_registers_memory_and_calls(self):
        for guest in GUESTS:
            with Run(guest) as r:
                out = r.gdb("p/x $pc == (long)&_start", "break work if n == 3", "continue", "bt", "p n", "p origin", "set $was = $pc",
                            "stepi", "p $pc - $was", "finish", "p counter", "p ratio", "set var origin.x = 30", "p origin.x + origin.y",
                            "delete", "p work(10)", "p counter", "hbreak work", "continue", "delete", "info auxv", "continue")
                self.has(out, "$1 = 0x1", "Breakpoint 1, work (n=", "#1  ", "in main", "$2 = 3", "$3 = {x = 3, y = 4}", "$4 = ",
                         "Value returned is $5 = 9", "$6 = 6", "$7 = 1.5", "$8 = 34", "$9 = 100", "$10 = 16", "Breakpoint 2, work (n=",
                         "AT_ENTRY", "exited with code 03")
                self.assertIn(out.split("$4 = ")[1][0], "24")
                self.assertEqual(r.end(), ("sum 30 counter 20\n", 3))

    def test_watchpoints_stop_behind_the_access(self):
        for guest in GUESTS:
            with Run(guest) as r:
                out = r.gdb("break work if n == 1", "continue", "delete", "watch watched", "continue", "continue", "delete", "rwatch spare",
                            "continue", "delete", "awatch ratio", "continue", "continue", "p ratio", "delete", "continue")
                self.has(out, "Old value = 0\nNew value = 2\n", "Old value = 2\nNew value = 6\n", "Value = 7", "Value = 1.5",
                         "Old value = 1.5\nNew value = 8.5", "$1 = 8.5", "exited with code 03")

    def test_steps_are_single_instructions(self):
        for guest in GUESTS:
            with Run(guest) as r:
                remote = Remote(r.path)
                out = subprocess.run([f"{guest}-linux-gnu-objdump", "-d", r.elf], capture_output=True, text=True, check=True).stdout
                places = {int(line.split(":")[0], 16) for line in out.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)}
                number = b"20"  # pc is register 32 of both
                seen = []
                for _ in range(200):
                    seen.append(int.from_bytes(bytes.fromhex(remote.ask(b"p" + number).decode()), "little"))
                    self.assertTrue(remote.ask(b"s").startswith(b"T05"))
                self.assertTrue(all(pc in places for pc in seen))
                self.assertGreater(len(set(seen)), 20)  # loops
                remote.close()

    def test_libraries_of_a_position_independent_program_come_from_the_target(self):
        for guest in GUESTS:
            with Run(guest, kind="dynamic") as r:
                out = r.gdb("break main", "continue", "info sharedlibrary", "info proc mappings", "bt", "next", "continue", program=False,
                            sysroot=False)
                self.has(out, "Breakpoint 1, main (argc=1", "target:/lib/ld-linux-", "target:/lib/libc.so.6", f"dynamic.{guest}",
                         "[stack]", "exited with code 03")

    def test_signals_are_told_delivered_and_dropped(self):
        for guest in GUESTS:
            with Run(guest, "signal") as r:
                out = r.gdb("continue", "p $_siginfo.si_signo", "p $_siginfo._sifields._kill.si_pid > 1", "break on_signal", "continue",
                            "bt 2", "delete", "continue")
                self.has(out, "received signal SIGUSR1", "$1 = 10", "$2 = 1", "Breakpoint 1, on_signal", "<signal handler called>",
                         "exited with code 03")
                self.assertEqual(r.end()[0], "sum 30 counter 110\n")
            with Run(guest, "signal") as r:
                r.gdb("continue", "signal 0")
                self.assertEqual(r.end()[0], "sum 30 counter 10\n")
            with Run(guest, "signal") as r:
                out = r.gdb("handle SIGUSR1 nostop noprint pass", "continue")
                self.assertNotIn("received", out)
                self.assertEqual(r.end()[0], "sum 30 counter 110\n")
            with Run(guest, "crash") as r:
                out = r.gdb("continue", "p $_siginfo._sifields._sigfault.si_addr", "bt", "continue")
                self.has(out, "received signal SIGSEGV", "$1 = (void *) 0x10", "#4  ", "in crash", "terminated with signal SIGSEGV")

    def test_threads(self):
        for guest in GUESTS:
            with Run(guest, "thread") as r:
                out = r.gdb("break work if n == 9", "continue", "info threads", "thread 2", "bt 1", "set $was = counter",
                            "set scheduler-locking on", "thread 1", "stepi", "stepi", "p counter == $was", "thread 2", "stepi", "stepi",
                            "stepi", "stepi", "stepi", "stepi", "stepi", "stepi", "p counter > $was", "set scheduler-locking off",
                            "delete", "continue")
                self.has(out, "hit Breakpoint 1, work (n=", "* 1 ", f'"static.{guest}"', "thread_main", "$1 = 1", "$2 = 1",
                         "exited with code 03")

    def test_forks_are_followed(self):
        for guest in GUESTS:
            with Run(guest, "fork") as r:
                out = r.gdb("set follow-fork-mode child", "break work if n == 77", "catch exec", "continue", "bt 2", "info inferiors",
                            "continue", "p $pc == (long)&_start", "delete", "break work", "continue", "delete", "continue")
                self.has(out, "Detaching after fork from parent", "hit Breakpoint 1, work (n=", "in child", "process ",
                         "is executing new program", "hit Catchpoint 2 (exec'd", "$1 = 1", "hit Breakpoint 3", "exited with code 05")
                self.assertEqual(r.end(), ("child 5\nsum 30 counter 10\n", 3))
            with Run(guest, "fork") as r:
                out = r.gdb("catch fork", "break work if n == 77", "continue", "continue")
                self.has(out, "Catchpoint 1 (forked process", "Detaching after fork from child", "exited with code 03")
                self.assertEqual(r.end(), ("child 5\nsum 30 counter 10\n", 3))

    def test_children_in_the_memory_of_their_parent_are_followed(self):
        for guest in GUESTS:
            with Run(guest, "spawn") as r:  # the first one executes nothing
                out = r.gdb("catch vfork", "continue", "continue", "delete", "set follow-fork-mode child", "catch exec", "continue",
                            "p $pc == (long)&_start", "break work", "continue", "bt 2", "delete", "continue")
                self.has(out, "Catchpoint 1 (vforked process", "Catchpoint 1 (vforked process", "Catchpoint 2 (exec'd", "$1 = 1",
                         "hit Breakpoint 3", "in main", "exited with code 05")
                self.assertEqual(r.end(), ("spawned -2\nspawned 5\nsum 30 counter 10\n", 3))
            with Run(guest, "spawn") as r:
                out = r.gdb("set follow-fork-mode child", "continue", "info inferiors", "break spawn", "kill inferiors 2")
                self.has(out, "exited with code 0177")
            with Run(guest, "spawn") as r:
                out = r.gdb("break *spawn", "continue", "continue", "finish", "delete", "continue")
                self.has(out, "Breakpoint 1, spawn", "Detaching after vfork", "Breakpoint 1, spawn", "Detaching after vfork", "exited with code 03")
                self.assertEqual(r.end(), ("spawned -2\nspawned 5\nsum 30 counter 10\n", 3))

    def test_a_running_program_is_interrupted_left_and_found_again(self):
        for guest in GUESTS:
            with Run(guest, "spin") as r:
                gdb = r.start_gdb("break thread_main", "continue", "delete", "shell echo runs", "continue", "p counter > 0", "detach")
                for line in gdb.stdout:
                    if line == "runs\n":
                        break
                time.sleep(0.3)  # whenever it comes: gdb may not have sent its packet yet
                for _ in range(200):
                    gdb.send_signal(signal.SIGINT)
                    try:
                        gdb.wait(0.5)
                        break
                    except subprocess.TimeoutExpired:
                        pass
                self.has(gdb.communicate(timeout=60)[0], "received signal SIGINT", "$1 = 1", "detached")
                self.assertIsNone(r.process.poll())
                out = r.gdb("p counter > 0", "info threads", "set var stop_spinning = 1", "detach")
                self.has(out, "$1 = 1", "thread_main")
                self.assertEqual(r.end()[1], 3)
            with Run(guest, "spin", where=f"{FOLDER / 'gdb'},suspend=n") as r:
                out = r.gdb("kill")
                self.assertEqual(r.end()[1], -signal.SIGKILL)

    def test_system_calls_are_caught(self):
        with Run("aarch64") as r:
            out = r.gdb("catch syscall write", "continue", "p $x0", "continue", "p $x0", "continue")
            self.has(out, "(call to syscall write)", "$1 = 1", "(returned from syscall write)", "$2 = 18", "exited with code 03")
        for guest in GUESTS:
            with Run(guest) as r:
                remote = Remote(r.path)
                self.assertIn(b"QCatchSyscalls+", remote.ask(b"qSupported:multiprocess+"))
                self.assertEqual(remote.ask(b"QCatchSyscalls:1;40"), b"OK")
                self.assertRegex(remote.ask(b"c"), rb"^T05syscall_entry:40;thread:p[0-9a-f]+\.[0-9a-f]+;$")
                self.assertRegex(remote.ask(b"c"), rb"^T05syscall_return:40;thread:")
                self.assertEqual(remote.ask(b"QCatchSyscalls:0"), b"OK")
                self.assertRegex(remote.ask(b"c"), rb"^W03;process:[0-9a-f]+$")
                remote.close()


class Protocol(unittest.TestCase):
    def test_odd_packets_are_refused_and_the_connection_stays(self):
        with Run("riscv64") as run:
            r = Remote(run.path)
            pid = b"%x" % run.process.pid
            me = b"p" + pid + b"." + pid
            told = r.ask(b"qSupported:multiprocess+;fork-events+;exec-events+;swbreak+")
            for feature in (b"multiprocess+", b"fork-events+", b"exec-events+", b"QPassSignals+", b"qXfer:auxv:read+", b"qXfer:siginfo:write+"):
                self.assertIn(feature, told.split(b";"))
            for data, reply in ((b"?", b"T05thread:" + me + b";"), (b"qC", b"QC" + me), (b"qfThreadInfo", b"m" + me), (b"Hg" + me, b"OK"),
                                (b"Hgp" + pid + b".-1", b"OK"), (b"Hgp1.1", b"E03"), (b"T" + me, b"OK"), (b"Tp", b"E03"), (b"D;1", b"E03"),
                                (b"vKill;1", b"E03"), (b"qXfer:auxv:read::0,0", b"m"), (b"qXfer:nope:read::0,10", b""),
                                (b"qXfer:siginfo:read::0,80", b"E00"), (b"qXfer:siginfo:write::0:xx", b"E00"), (b"qAttached:" + pid, b"0"),
                                (b"QPassSignals:e;zz", b"E16"), (b"QPassSignals:e;f", b"OK"), (b"QCatchSyscalls:2", b"E16"),
                                (b"QCatchSyscalls:1;", b"E16"), (b"vFile:open:00,0,0", b"F-1,16"), (b"vFile:open:2f,1,0", b"F-1,d"),
                                (b"vFile:open:2f6e6f7065,0,0", b"F-1,2"), (b"vFile:pread:9,1,0", b"F-1,9"), (b"vFile:close:ffffffff", b"F-1,9"),
                                (b"vFile:unlink:2f", b""), (b"vFile:setfs:0", b"F0"), (b"m0,8", b"E0e"), (b"mffffffffffffffff,8", b"E0e"),
                                (b"M0,1:00", b"E0e"), (b"Z2,1000,0", b"E16"), (b"z0,1000,4", b"E16"), (b"vCont;s:p1.1", b"E03"),
                                (b"vCont;c:pzz", b"E16")):
                self.assertEqual(r.ask(data), reply, data)
            self.assertIn(b"name=\"static.riscv64\"", r.ask(b"qXfer:threads:read::0,1000"))
            self.assertEqual(r.ask(b"qXfer:exec-file:read::0,1000"), b"l" + str(run.elf.resolve()).encode())
            self.assertEqual(r.ask(b"vFile:open:" + str(run.elf).encode().hex().encode() + b",0,0"), b"F0")
            self.assertEqual(r.ask(b"vFile:pread:0,4,0"), b"F4;\x7fELF")
            self.assertEqual(r.ask(b"vFile:close:0"), b"F0")
            r.close()  # without a word: it goes on
            self.assertEqual(run.end()[1], 3)

    def test_a_signal_reaches_a_thread_inside_a_system_call(self):
        for guest in GUESTS:
            for start, counter in ((b"c", 110), (b"C1e", 210)):  # gdb's number of SIGUSR1
                with Run(guest, "pause") as r:
                    remote = Remote(r.path)
                    self.assertEqual(remote.ask(b"QCatchSyscalls:1;49"), b"OK")  # ppoll
                    self.assertRegex(remote.ask(b"c"), rb"^T05syscall_entry:49;")
                    self.assertEqual(remote.ask(b"QCatchSyscalls:0"), b"OK")
                    remote.send(start)
                    for _ in range(600):
                        if Path(f"/proc/{r.process.pid}/syscall").read_text().startswith("271 "):
                            break
                        time.sleep(0.02)  # until it is in the kernel's: a signal that came before is handled
                    remote.socket.sendall(b"\x03")
                    self.assertRegex(remote.receive(), rb"^T02")
                    self.assertRegex(remote.ask(b"C1e"), rb"^W03")
                    remote.close()
                    self.assertEqual(r.end()[0], f"sum 30 counter {counter}\n")

    def test_a_child_in_its_parents_memory_may_be_killed_while_it_stands(self):
        for guest in GUESTS:
            with Run(guest, "spawn") as r:
                remote = Remote(r.path)
                remote.ask(b"qSupported:multiprocess+;vfork-events+")
                seen = []
                while not seen or not seen[-1].startswith(b"W"):
                    seen.append(remote.ask(b"vCont;c"))
                    if child := re.search(rb"vfork:p([0-9a-f]+)", seen[-1]):
                        os.kill(int(child[1], 16), signal.SIGKILL)
                self.assertEqual([re.match(rb"T05(vfork|vforkdone):|W", s) and s[3:12] for s in seen][1:4:2], [b"vforkdone"] * 2)
                remote.close()
                self.assertEqual(r.end(), ("spawned 0\nspawned 0\nsum 30 counter 10\n", 3))

    def test_descriptors_of_gdb_are_out_of_the_way(self):
        with Run("riscv64") as r:
            remote = Remote(r.path)

            def numbers():
                folder, found = Path(f"/proc/{r.process.pid}/fd"), {}
                for n in os.listdir(folder):
                    with contextlib.suppress(FileNotFoundError):  # closed meanwhile: one that was used for a moment
                        found[int(n)] = os.readlink(folder / n)
                return found

            before = numbers()
            for n in range(16):
                self.assertEqual(remote.ask(b"vFile:open:" + str(r.elf).encode().hex().encode() + b",0,0"), b"F%x" % n)
            opened = [n for n, to in numbers().items() if to == str(r.elf.resolve()) and before.get(n) != to]
            self.assertEqual(len(opened), 16)
            self.assertGreaterEqual(min(opened), 900)
            remote.close()

    def test_no_file_is_removed_but_a_socket_that_was_left(self):
        file = FOLDER / "file"
        words = [*PROGRAM, "-g", None, FOLDER / "static.riscv64"]

        def refused(path):
            words[-2] = str(path)
            result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(result.stderr.count("\n"), 1)
            self.assertIn(f"-g {path}: expected ", result.stderr)
            return result.returncode

        file.write_text("mine")
        self.assertNotEqual(refused(file), 0)
        self.assertEqual(file.read_text(), "mine")
        with Run("riscv64") as r:
            self.assertNotEqual(refused(r.path), 0)
            r.process.kill()
            r.process.wait()
            self.assertTrue(r.path.exists())
            second = subprocess.Popen([*PROGRAM, "-g", r.path, r.elf], stdout=subprocess.DEVNULL)
            try:
                remote = Remote(r.path)
                self.assertRegex(remote.ask(b"c"), rb"^W03")
                remote.close()
                self.assertEqual(second.wait(60), 3)
            finally:
                second.kill()
                second.wait()

    def test_a_socket_stays_until_a_program_is_executed(self):
        for guest in GUESTS:
            with Run(guest, "exec") as r:
                remote = Remote(r.path)
                self.assertEqual(remote.ask(b"D"), b"OK")
                remote.close()
                self.assertEqual(r.process.stdout.readline(), "error 7\n")  # E2BIG
                self.assertTrue(r.path.exists())
                r.gdb("set var stop_spinning = 1", "detach")
                self.assertEqual(r.end()[1], 5)
                self.assertFalse(r.path.exists())

    def test_waiting_for_gdb_ends_by_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with Run("riscv64") as r:
                r.process.send_signal(number)
                self.assertEqual(r.end()[1], -number)

    def test_wrong_places_are_named(self):
        for where, text in (("70000", "expected a port from 1 to 65535"), ("1234,suspend=x", "expected suspend=y or suspend=n"),
                            ("/nowhere/x", "-g /nowhere/x: expected a port or path to listen at"),
                            ("x:9", "expected an IPv4 address before the colon")):
            with self.subTest(where):
                result = subprocess.run([*PROGRAM, "-g", where, FOLDER / "static.riscv64"], capture_output=True, text=True, check=False,
                                        timeout=60)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(text, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)


class Crashes(unittest.TestCase):
    def run_it(self, guest, what, *options, core=0):
        limits = lambda: resource.setrlimit(resource.RLIMIT_CORE, (core, core))
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            result = subprocess.run([*PROGRAM, *options, FOLDER / f"static.{guest}", what], cwd=folder, capture_output=True, text=True,
                                    check=False, timeout=60, preexec_fn=limits)
            cores = list(Path(folder).iterdir())
            out = ""
            if cores:
                self.assertEqual([c.name.split("_")[:2] for c in cores], [["mimic", f"static.{guest}"]])
                self.assertEqual(cores[0].stat().st_mode & 0o777, 0o600)
                self.assertLess(cores[0].stat().st_size, 16 << 20)
                out = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-ex", f"core-file {cores[0]}", "-ex", "bt", "-ex", "p heap", "-ex", "p shared", "-ex", "p hidden", "-ex",
                                      "thread apply all bt 1", "-ex", "p counter > 10", "-ex", "info auxv", FOLDER / f"static.{guest}"],
                                     capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ, LC_ALL="C", HOME=WORK.name)).stdout
        return result, out

    def test_a_fault_is_reported(self):
        for guest in GUESTS:
            with self.subTest(guest):
                result, core = self.run_it(guest, "crash")
                self.assertEqual((result.returncode, core), (-signal.SIGSEGV, ""))
                for text in (f"static.{guest} (process ", "ends by SIGSEGV (SEGV_MAPERR, nothing is mapped there; address 0x10)", ": depth+0x",
                             "registers:\n", "  #1 ", "depth+0x", "main+0x", "last system calls:\n", "whose fault: ", f"guest {guest} model ",
                             "core file: none, the limit is 0"):
                    self.assertIn(text, result.stderr)
                result, _ = self.run_it(guest, "crash", "-crash-report", "never")
                self.assertEqual((result.returncode, result.stderr), (-signal.SIGSEGV, ""))

    def test_a_report_is_for_the_standard_error_of_the_start(self):
        file = FOLDER / "other"
        words = [*PROGRAM, FOLDER / "static.riscv64", "unheard"]
        result = subprocess.run([*words, file], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((result.returncode, result.stderr, file.read_bytes()), (-signal.SIGSEGV, "", b""))
        with subprocess.Popen(words, cwd=FOLDER, stderr=subprocess.PIPE) as process:
            self.assertEqual(process.wait(60), -signal.SIGSEGV)

    def test_an_abort_is_reported_when_asked(self):
        result, _ = self.run_it("riscv64", "abort")
        self.assertEqual((result.returncode, result.stderr), (-signal.SIGABRT, ""))
        result, _ = self.run_it("riscv64", "abort", "-d", "crash")
        self.assertIn("whose fault: the program's: it sent the signal itself", result.stderr)

    def test_a_crash_among_threads_that_come_and_go(self):
        for guest in GUESTS:
            for _ in range(8):
                with subprocess.Popen([*PROGRAM, FOLDER / f"static.{guest}", "churn"], cwd=FOLDER, stdout=subprocess.PIPE, text=True,
                                      stderr=subprocess.STDOUT, start_new_session=True) as process:
                    try:
                        out = process.communicate(timeout=60)[0]  # children that never end keep the pipe open
                    finally:
                        try:
                            os.killpg(process.pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                self.assertEqual(process.returncode, -signal.SIGSEGV)
                self.assertIn("core file: ", out)

    def test_the_first_process_of_a_namespace_gets_no_default_actions(self):
        for words in (["unshare", "-Upfr"], ["unshare", "-Ur"]):
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
                self.skipTest("namespaces are not allowed here")
            result = subprocess.run([*words, *PROGRAM, FOLDER / "static.riscv64", "first"], capture_output=True, text=True, check=False,
                                    timeout=60)
            self.assertEqual((result.returncode, result.stderr), (7, ""), words)

    def test_core_files_are_gdbs(self):
        for guest in GUESTS:
            with self.subTest(guest):
                result, core = self.run_it(guest, "crash", core=resource.RLIM_INFINITY)
                self.assertEqual(result.returncode, -signal.SIGSEGV)
                for text in ("terminated with signal SIGSEGV", "#0  ", "depth (n=", "=0, p=", "#3  ", "=3, p=", "#4  ", "in crash () at", '"on the heap"', '"from a child"', '"out of reach"',
                             "thread_main (", "= 1\n", "AT_ENTRY"):
                    self.assertIn(text, core)
                result, core = self.run_it(guest, "abort", core=resource.RLIM_INFINITY)
                self.assertIn("terminated with signal SIGABRT", core)
                self.assertIn("in main (", core)

    def test_core_files_of_many_mappings(self):
        result, core = self.run_it("riscv64", "areas", core=resource.RLIM_INFINITY)
        self.assertEqual(result.returncode, -signal.SIGABRT)
        self.assertIn("terminated with signal SIGABRT", core)
        self.assertIn("in areas (", core)

    def test_core_files_end_at_the_limit(self):
        result, core = self.run_it("riscv64", "crash", core=65536)
        self.assertEqual(result.returncode, -signal.SIGSEGV)
        self.assertIn("terminated with signal SIGSEGV", core)


if __name__ == "__main__":
    unittest.main()
