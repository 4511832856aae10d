"""Programs that call their host: semihosting_test.py PROGRAM ELF_FOLDER. What they print, where, and the exit status."""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv.pop(1)).resolve()
ELF = Path(sys.argv.pop(1))
BOARDS = {"aarch64": ["-M", "virt", "-cpu", "cortex-a57", "-nic", "none"], "riscv64": ["-M", "virt", "-bios", "none"]}
WORK = tempfile.TemporaryDirectory()


def command(guest, reference, *words):
    program = [f"qemu-system-{guest}"] if reference else [PROGRAM, guest]
    return [*program, *BOARDS[guest], "-display", "none", "-monitor", "none", "-no-reboot", "-kernel",
            ELF / f"{guest}_semihosting.elf", *words]


def run(guest, part, *words, config="", reference=False, stdin=b""):
    """Exit status, serial port, standard output and error."""
    serial = Path(WORK.name) / "serial"
    serial.unlink(missing_ok=True)
    words = [*words, "-serial", f"file:{serial}", "-semihosting-config", f"enable=on{config},arg={part}"]
    done = subprocess.run(command(guest, reference, *words), input=stdin, capture_output=True, timeout=60, check=False)
    return (done.returncode, serial.read_text().replace("\r", ""), done.stdout.decode(), done.stderr.decode())


class Semihosting(unittest.TestCase):
    def each(self, with_reference=True):
        for guest in BOARDS:
            for reference in (False, True) if with_reference and shutil.which(f"qemu-system-{guest}") else (False,):
                yield guest, reference

    def test_status(self):
        for guest, reference in self.each():
            for part, status in (("none", 0), ("exit", 7), ("exit-other", 1), ("exit-extended", 49), ("exit-extended-other", 1)):
                self.assertEqual(run(guest, part, reference=reference)[0], status, part)

    def test_standard_streams(self):
        for guest, reference in self.each():
            status, serial, out, err = run(guest, "terminal", reference=reference)
            self.assertEqual((status, out, err), (0, "write\n", "write0\nc\nerror\n"))
            self.assertIn("open: 1 1 1\nistty: 0 0\n", serial)
            self.assertIn("write: 0\nwrite to the other: 0\nclose: 0\n", serial)

    def test_console(self):
        console = Path(WORK.name) / "console"
        for guest, _ in self.each(False):
            status, serial, out, err = run(guest, "terminal", "-chardev", f"file,id=c,path={console}", config=",chardev=c")
            self.assertEqual((status, out, err), (0, "", ""))
            self.assertEqual(console.read_text(), "write0\nc\nwrite\nerror\n")
            self.assertIn("istty: 1 1\n", serial)

    def test_input(self):
        for guest, _ in self.each(False):
            for words, config in (((), ""), (("-chardev", "stdio,id=c,signal=off"), ",chardev=c")):
                status, serial, _, _ = run(guest, "input", *words, config=config, stdin=b"hello world\n")
                self.assertEqual(status, 0)
                self.assertIn("readc: 104\nleft 0: ello \n", serial)
            # Without any: the stream's end is none of the program's business but in what is left.
            self.assertIn(f"readc: {2**64 - 1}\nleft 5: \n", run(guest, "input")[1])

    # A program that waits for input holds nothing up; the input of counted time comes at its time.
    def test_waits(self):
        for guest, _ in self.each(False):
            for time in ((), ("-icount", "shift=0,sleep=on")):
                words = ["-serial", "null", "-semihosting-config", "enable=on,chardev=c,arg=input", "-chardev",
                         "ringbuf,id=c", "-qmp", "stdio", *time]
                with subprocess.Popen(command(guest, False, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True) as machine:
                    self.addCleanup(machine.kill)
                    watchdog = threading.Timer(60, machine.kill)  # leaving `with` waits for its end
                    watchdog.start()
                    self.addCleanup(watchdog.cancel)

                    def ask(line):
                        print(line, file=machine.stdin, flush=True)
                        while "return" not in (answer := machine.stdout.readline()):
                            self.assertTrue(answer and "error" not in answer, answer)
                    ask('{"execute": "qmp_capabilities"}')
                    for line in ("stop", "cont", "query-status"):
                        ask('{"execute": "%s"}' % line)
                    ask('{"execute": "chardev-change", "arguments": {"id": "c", "backend": {"type": "null", "data": {}}}}')
                    ask('{"execute": "quit"}')
                    self.assertEqual(machine.wait(30), 0)

    def test_levels(self):
        traps = {"aarch64": "trapped: ec 0\n", "riscv64": "trapped: cause 3\n"}
        for guest, reference in self.each():
            self.assertIn(traps[guest], run(guest, "user", reference=reference)[1])
            self.assertIn("tickfreq: 1000000000\n", run(guest, "user", config=",userspace=on", reference=reference)[1])

    # What a sandbox denies ends the process: the program asks for a command.
    def test_sandbox(self):
        for guest, _ in self.each(False):
            for sandbox, status in (("on", 0), ("on,spawn=deny", -signal.SIGSYS), ("off,spawn=deny", 0)):
                self.assertEqual(run(guest, "all", "-sandbox", sandbox)[0], status, sandbox)

    def test_off(self):
        for guest, _ in self.each(False):
            log = Path(WORK.name) / "log"
            with subprocess.Popen(command(guest, False, "-serial", "null", "-d", "int", "-D", log, "-qmp", "stdio"),
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as machine:
                while not log.exists() or "int 0: " not in log.read_text():
                    self.assertIsNone(machine.poll())
                machine.communicate('{"execute": "qmp_capabilities"}{"execute": "quit"}\n', timeout=30)

    def test_command_line(self):
        for guest, reference in self.each():
            words = command(guest, reference, "-semihosting", "-append", "foo none", "-serial", "stdio")
            out = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True).stdout
            self.assertIn(f"{guest}_semihosting.elf foo none\n", out.decode().replace("\r", ""))


unittest.main()
