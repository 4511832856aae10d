"""What the command line of mimic-system refuses and says: options_test.py PROGRAM."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv.pop(1)).resolve()
WORK = tempfile.TemporaryDirectory()
LINK = Path(WORK.name) / "mimic-system-riscv64"
LINK.symlink_to(PROGRAM)
CONFIG = Path(WORK.name)
(CONFIG / "section").write_text('[machine]\n[drvie "d0"]\n')
(CONFIG / "value").write_text('[machine]\n type = "virt"\n[memory]\n size = "lots"\n')


def run(*words, program=LINK):
    return subprocess.run([program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)


def drive(commands, *words):
    """The answers of a machine that is driven by QTest, and what it said to standard error."""
    with subprocess.Popen([LINK, "-M", "virt", "-bios", "none", *words, "-display", "none", "-serial", "null", "-monitor", "none",
                           "-accel", "qtest", "-qtest", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as machine:
        answers = []
        for command in commands:
            print(command, file=machine.stdin, flush=True)
            answers.append(machine.stdout.readline())
        machine.terminate()
        return answers, machine.communicate(timeout=60)[1]


REFUSED = (
    (["-kernle", "x"], "option '-kernle' is unknown, did you mean 'kernel'?"),
    (["-kernel"], "option '-kernel' has no value, expected FILE"),
    ([], "no machine was chosen, expected -M with one of: virt"),
    (["-M", "vrit"], "-M: machine 'vrit' is not there for riscv64, expected one of none, virt-10.0, virt, did you mean 'virt'?"),
    (["-M", "virt", "-m", "lots"], "-m size: 'lots', expected a size like 64M"),
    (["-M", "virt", "-m", "4000000G"], "-m size: 4000000 GiB, expected at most 4096\n"),
    (["-M", "virt", "-m", "400000000000G"], "-m size: '400000000000G', expected a size like 64M"),
    (["-M", "virt", "-object", "memory-backend-ram,id=m,size=100T"], "-object memory-backend-ram: size: 102400 GiB, expected at most 4096\n"),
    (["-M", "virt", "-m", "0"], "-m size: '0', expected a size like 512M"),
    (["-M", "virt", "-smp", "0"], "-smp cpus: '0', expected a number from 1 to 1024"),
    (["-M", "virt", "-smp", "4,cores=3,threads=1,sockets=1"],
     "-smp: 1 sockets x 1 dies x 1 clusters x 3 cores x 1 threads are not 4 CPUs"),
    (["-M", "virt", "-smp", "2,cores=3"], "-smp: 1 sockets x 1 dies x 1 clusters x 3 cores x 1 threads are not 2 CPUs"),
    (["-M", "virt", "-smp", "2,cors=2"], "-smp: there is no 'cors', did you mean 'cores'?"),
    (["-M", "virt", "-smp", "600"], "-smp cpus: 600, expected at most 512 for machine 'virt-10.0'"),
    (["-M", "virt,aclint=maybe"], "-M aclint: 'maybe', expected on or off"),
    (["-M", "virt,acclint=on"], "-M: machine 'virt' has no property 'acclint', did you mean 'aclint'?"),
    (["-M", "virt,aia=aplik"], "-M aia: 'aplik', expected none, aplic or aplic-imsic, did you mean 'aplic'?"),
    (["-M", "virt,aia-guests=8"], "-M aia-guests: '8', expected 0 to 7"),
    (["-M", "virt", "-cpu", "rv64,smaai=on"],
     "-cpu: property 'smaai=on' of riscv64 CPU rv64: expected smaia or ssaia or debug ="),
    (["-M", "virt", "-accel", "kvn"], "-accel: 'kvn', expected jit (tcg), interp or qtest"),
    (["-M", "virt", "-accel", "tcg,thread=many"], "-accel thread: 'many', expected one of multi, single"),
    (["-M", "virt", "-cpu", "sifive-u99"], "-cpu:"),
    (["-M", "virt", "-kernel", "/nonexistent"], "-kernel: cannot open /nonexistent: No such file or directory"),
    (["-M", "virt", "-kernel", "/"], "-kernel: / is no plain file"),
    (["-M", "virt", "-bios", "/nonexistent"], "-bios: cannot open /nonexistent: No such file or directory"),
    (["-M", "virt", "-initrd", "/dev/null"], "-initrd: expected together with -kernel"),
    (["-M", "virt", "-append", "x"], "-append: expected together with -kernel"),
    (["-M", "virt", "-dtb", __file__], "the device tree:"),
    (["-M", "virt", "-smbios", "type=1,serial=7"], "-smbios: this board has no SMBIOS tables"),
    (["-M", "virt", "-smbios", "type=1,serail=7"], "-smbios type=1: there is no 'serail', did you mean 'serial'?"),
    (["-M", "virt", "-serial", "stdo"], "-serial: 'stdo' is no character device, expected"),
    (["-M", "virt", "-serial", "chardev:c9"], "property 'chardev': there is no chardev 'c9'"),
    (["-M", "virt", "-device", "frob"], "-device frob: 'frob' is no device that can be added; '-device help' lists them\n"),
    (["-M", "virt", "-device", "virtio-nett-pci"],
     "-device virtio-nett-pci: 'virtio-nett-pci' is no device that can be added, did you mean 'virtio-net-pci'? '-device help' lists them\n"),
    (["-M", "virt", "-boot", "order=xyz"], "-boot order: 'xyz', expected letters from a to p"),
    (["-M", "virt", "-boot", "stict=on"], "-boot: there is no 'stict', did you mean 'strict'?"),
    (["-M", "virt", *(w for n in "ab" for w in ("-netdev", f"user,id={n}", "-device", f"virtio-net-device,id=net{n},netdev={n},bootindex=3"))],
     "The bootindex 3 has already been used, by '/machine/virtio-mmio[7]/neta'; expected another for '/machine/virtio-mmio[6]/netb'"),
    (["-M", "virt", "-drive", "file=/nonexistent,if=none,id=d"], "-drive /nonexistent: "),
    (["-M", "virt", "-drive", "file=x,if=floppy"], "-drive if: 'floppy', expected one of none, virtio, pflash"),
    (["-M", "virt", "-object", "secret,id=s,data=x", "-object", "rng-builtin,id=s"], "-object rng-builtin: the id 's' is taken"),
    (["-M", "virt", "-object", "rng-builtin,id=s", "-object", "memory-backend-ram,id=s,size=1M"],
     "-object memory-backend-ram: the id 's' is taken"),
    (["-M", "virt", "-object", "secret,id=s,data=x", "-object", '{"qom-type": "secret", "id": "s", "data": "y"}'],
     "-object secret: the id 's' is taken"),
    (["-M", "virt", "-drive", f"file={__file__},format=raw,readonly=on,if=none,id=d", "-blockdev", "null-co,node-name=d"],
     "-drive: the id 'd' is taken by a node"),
    (["-M", "virt", "-serial", "null", "-chardev", "null,id=serial0"], "-serial: the id 'serial0' is taken"),
    (["-M", "virt", "-chardev", "null,id=c,mux=on", "-mon", "c,id=m", "-mon", "c,id=m"], "-mon: the id 'm' is taken"),
    (["-M", "virt", "-audiodev", "alsa,id=a"], "-audiodev driver: 'alsa', expected none: there are no sound devices"),
    (["-M", "virt", "-audiodev", "none"], "-audiodev: 'id' is missing"),
    (["-M", "virt", "-audiodev", "none,id=a,out.freqency=1"], "-audiodev: there is no 'out.freqency', did you mean 'out.frequency'?"),
    (["-M", "virt", "-echr", "x"], "-echr: 'x', expected a character's number from 1 to 255"),
    (["-M", "virt", "-overcommit", "mem-lock=maybe"], "-overcommit mem-lock: 'maybe', expected one of off, on, on-fault"),
    (["-M", "virt", "-overcommit", "cpu-pm=on"], "-overcommit cpu-pm: on, expected off"),
    (["-M", "virt", "-vnc", ":1"], "-vnc: ':1', expected none"),
    (["-M", "virt", "-msg", "timestmap=on"], "-msg: there is no 'timestmap', did you mean 'timestamp'?"),
    (["-M", "virt", "-icount", "11"], "-icount shift: '11', expected 0 to 10 or auto"),
    (["-M", "virt", "-icount", "shift=x"], "-icount shift: 'x', expected 0 to 10 or auto"),
    (["-M", "virt", "-icount", "0,slep=off"], "-icount: there is no 'slep', did you mean 'sleep'?"),
    (["-M", "virt", "-icount", "0,rr=record"], "-icount rr: recording and replaying are not there"),
    (["-M", "virt", "-icount", "auto,align=on"], "-icount align: on, expected off with shift=auto"),
    (["-M", "virt", "-icount", "0,align=on,sleep=off"], "-icount align: on, expected off with sleep=off"),
    (["-M", "virt", "-icount", "0", "-accel", "tcg,thread=multi"],
     "-icount: not with -accel thread=multi, expected thread=single"),
    (["-M", "virt", "-icount", "0", "-accel", "jit,verify=on"], "-icount: not with -accel verify=on"),
    (["-M", "virt", "-accel", "qtest", "-icount", "0"], "-icount: not with -accel qtest"),
    (["-M", "virt", "-seed", "x"], "-seed seed: 'x', expected a number from 0 to"),
    (["-M", "virt", "-rtc", "base=tomorrow"], "-rtc base: 'tomorrow', expected utc, localtime or 2006-06-17T16:01:21"),
    (["-M", "virt", "-d", "everything"], "-d: 'everything', expected in_asm, op"),
    (["-M", "virt", "-trace", "nothing.*"], "-trace: no event is called 'nothing.*'"),
    (["-M", "virt", "-trace", "events=/nonexistent"], "-trace events: cannot open /nonexistent: No such file or directory"),
    (["-M", "virt", "-trace", "bus.*,file=/nonexistent/x"], "-trace file: cannot open /nonexistent/x: No such file or directory"),
    (["-M", "virt", "-semihosting-config", "target=gdb"],
     "-semihosting-config target: 'gdb' is not there, expected native or auto"),
    (["-M", "virt", "-semihosting-config", "enabel=on"], "-semihosting-config: there is no 'enabel', did you mean 'enable'?"),
    (["-M", "virt", "-semihosting-config", "chardev=c9"], "-semihosting-config: semihosting: property 'chardev': there is no chardev 'c9'"),
    (["-readconfig", "/nonexistent"], "-readconfig /nonexistent: cannot open it: No such file or directory"),
    (["-readconfig", CONFIG / "section"], "line 2: there is no section 'drvie', did you mean 'drive'?"),
    (["-readconfig", CONFIG / "value"], "-m size: 'lots', expected a size like 64M"),
    (["-M", "virt", "-writeconfig", "/nonexistent/x"], "-writeconfig /nonexistent/x: cannot open it: No such file or directory"),
    (["-M", "virt", "-set", "drive.d0.file=x"], "-set: there is no drive with id 'd0' before it"),
    (["-M", "virt", "-global", "virtio-rng-device"], "-global: 'virtio-rng-device', expected DRIVER.PROPERTY=VALUE"),
    (["-M", "virt", "-global", "virtio-rng-device.perod=3"],
     "-global: virtio-rng-device: there is no property 'perod', did you mean 'period'?"),
    (["-M", "virt", "-global", "virtio-rng-device.period=x", "-device", "virtio-rng-device"], "property 'period': 'x'"),
    (["-M", "virt", "-sandbox", "on,spawn=maybe"], "-sandbox spawn: 'maybe', expected one of allow, deny"),
    (["-M", "virt", "-sandbox", "on,spwan=deny"], "-sandbox: there is no 'spwan', did you mean 'spawn'?"),
    (["-M", "none", "-kernel", __file__], "machine 'none' starts nothing, expected neither -kernel nor -bios:"),
    (["-M", "none", "-smp", "2"], "-smp cpus: 2, expected at most 1 for machine 'none'"),
    (["-M", "none,acpi=on"], "-M: machine 'none' has no property 'acpi'"),
    (["-M", "none", "-device", "virtio-rng-pci"], "-device virtio-rng-pci: there is no free pci"),
    (["-M", "virt", "-m", "64M,maxmem=128M"], "-m maxmem: 134217728 bytes, expected the 67108864 of size"),
    (["-M", "virt", "-m", "64M,maxmem=32M"], "-m maxmem: 33554432 bytes, expected at least the 67108864 of size"),
    (["-M", "virt", "-m", "64M,slots=2"], "-m slots: 2, expected together with maxmem"),
    (["-M", "virt,memory-backend=m"], "-M memory-backend: there is no memory backend 'm', expected the id of an -object"),
    (["-M", "virt,memory-backend=m", "-m", "64M", "-object", "memory-backend-ram,id=m,size=32M"],
     "-m size: 67108864 bytes, expected the 33554432 of memory backend 'm'"),
    (["-M", "virt,memory-backend=m", "-mem-path", "/x", "-object", "memory-backend-ram,id=m,size=32M"],
     "-mem-path: there is -M memory-backend=m, expected one of them"),
    (["-M", "virt", "-object", "memory-backend-rom,id=m,size=32M"], "-object: object type 'memory-backend-rom' is not known here, expected one of authz-list, "),
    (["-M", "virt", "-object", "rng-rndom,id=r"], "did you mean 'rng-random'?"),
    (["-M", "virt", "-object", "rng-random"], "-object rng-random: 'id' is missing, expected id=NAME"),
    (["-M", "virt", "-object", "rng-random,id=r,filename=/nonexistent"], "-object: random source 'r': cannot open /nonexistent: "),
    (["-M", "virt", "-object", "rng-builtin,id=r", "-object", "memory-backend-ram,id=r,size=1M"], "-object memory-backend-ram: the id 'r' is taken"),
    (["-M", "virt", "-device", "virtio-rng-device,rng=r9"],
     "property 'rng': there is no object 'r9', expected an rng-random or rng-builtin"),
    (["-M", "virt", "-accel", "kvm"], "-accel: 'kvm', expected jit (tcg), interp or qtest"),
    (["-M", "virt", "-enable-kvm"], "-accel: 'kvm', expected jit (tcg), interp or qtest"),
    (["-M", "virt,accel=kvm:xen"], "-M accel: 'kvm', expected jit (tcg), interp or qtest"),
    (["-M", "virt", "-accel", "tgc"], "-accel: 'tgc', expected jit (tcg), interp or qtest, did you mean 'tcg'?"),
    (["-M", "virt,usb=on"], "-M usb: on, expected off: there is no USB"),
    (["-M", "virt", "-chardev", "sokcet,id=c"], "did you mean 'socket'?"),
    (["-M", "virt", "-device", '{"driver": "virtio-rng-pci", "x": {}}'], "-device: 'x': {}, expected a text, a number or a boolean"),
    (["-M", "virt", "-device", '{"driver": "virtio-rng-pci"'], "-device: "),
    (["-M", "virt", "-netdev", '{"type": "usr", "id": "n"}'], "-netdev: netdev 'n': there is no kind 'usr', did you mean 'user'?"),
    (["-M", "virt", "-device", "virtio-rng-pci,romfile=x"], "property 'romfile': 'x', expected nothing: there are no option ROMs"),
    (["-M", "virt", "-device", "virtio-rng-pci,rombar=1"], "property 'rombar': 1 is out of range, expected 0 to 0"),
    (["-M", "virt", "-drive", "if=pflash,file=x,werror=stop"], "-drive rerror, werror: flash has no choice, expected a disk"),
    (["-M", "virt", "-device", "virtio-rng-pci-non-transitional,disable-modern=on"], "there is no property 'disable-modern'"),
    (["-M", "virt", "-drive", "file=x,werror=maybe"], "-drive werror: 'maybe', expected one of ignore, report, stop, enospc"),
    (["-M", "virt", "-fw_cfg", "name=opt/x"], "-fw_cfg opt/x: expected one of string= and file="),
    (["-M", "virt", "-fw_cfg", "opt/x,file=/nonexistent"], "-fw_cfg opt/x: cannot open /nonexistent: No such file or directory"),
    (["-M", "virt", "-fw_cfg", "opt/x,string=1", "-fw_cfg", "opt/x,string=2"], "-fw_cfg: fw_cfg file 'opt/x'"),
    (["-M", "none", "-fw_cfg", "opt/x,string=1"], "-fw_cfg: machine 'none' has no such device"),
    (["-M", "virt", "-object", "memory-backend-ram,size=32M"], "-object memory-backend-ram: 'id' is missing, expected id=NAME"),
    (["-M", "virt", "-object", "memory-backend-ram,id=m,size=5000"], "size: 5000, expected a multiple of 4096 bytes"),
    (["-M", "virt", "-object", "memory-backend-file,id=m,size=32M"], "'mem-path' is missing, expected mem-path=PATH"),
    (["-M", "virt", "-object", "memory-backend-ram,id=m,size=32M,shar=on"], "there is no 'shar', did you mean 'share'?"),
    (["-M", "virt", "-object", '{"qom-type": "memory-backend-ram", "id": "m", "size": "x"}'], "size: 'x', expected a size like 64M"),
    (["-M", "virt", "-object", "memory-backend-memfd,id=m,size=32M,hugetlbsize=2M"], "expected together with hugetlb=on"),
    (["-M", "virt", "-object", "memory-backend-ram,id=m,size=32M,host-nodes=1"], "host-nodes: there is no choice of host nodes"),
    (["-M", "virt", "-mem-path", "/nonexistent/x"], "-m: memory 'riscv_virt_board.ram': cannot open /nonexistent/x: No such file or directory"),
    (["-M", "virt", "-netdev", "strem,id=n"], "-netdev: netdev 'n': there is no kind 'strem', did you mean 'stream'?"),
    (["-M", "virt", "-netdev", "socket,id=n,listen=x"], "-netdev: netdev 'n': option 'listen': 'x', expected HOST:PORT"),
    (["-M", "virt", "-netdev", "stream,id=n,addr.type=unix,addr.path=/nonexistent/s"],
     "-netdev: netdev 'n': Failed to connect to '/nonexistent/s': No such file or directory"),
    (["-M", "virt", "-netdev", "user,id=u", "-netdev", "hubport,id=p,hubid=0,netdev=u", "-device", "virtio-net-device,netdev=u"],
     "property 'netdev': netdev 'u' is in use by another netdev"),
    (["-M", "virt", "-nic", "tap,ifname=averyveryverylongname"], "option 'ifname': 'averyveryverylongname', expected at most 15 characters"),
    (["-M", "virt", "-serial", "telnet:5"], "-serial: 'telnet:5': expected telnet:HOST:PORT"),
    (["-M", "virt", "-serial", "udp:5"], "-serial: 'udp:5': expected udp:[HOST]:PORT[@[LOCALADDR]:LOCALPORT]"),
    (["-M", "virt", "-serial", "websocket:127.0.0.1:1"], "chardev 'serial0': option 'websocket', expected server=on"),
    (["-M", "virt", "-chardev", "socket,id=c,port=0,server=on,wait=off,tls-creds=t"], "-chardev: chardev 'c': tls-creds: "),
    (["-M", "virt", "-display", "gtk"], "-display: 'gtk', expected none"),
)


class Options(unittest.TestCase):
    def test_what_is_wrong_is_one_line_that_says_what_was_expected(self):
        for words, message in REFUSED:
            with self.subTest(words):
                result = run(*words)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_help_values_list_what_there_is(self):
        for words, text in ((["-M", "help"], "virt-10.0"), (["-cpu", "help"], "rv64"), (["-accel", "help"], "jit"),
                            (["-M", "virt,help"], "aclint=<bool>"), (["-device", "serial-mm,help"], "chardev=<chardev>"),
                            (["-chardev", "help"], "udp"), (["-netdev", "help"], "hubport"), (["-object", "help"], "rng-random"), (["-d", "help"], "in_asm"), (["-trace", "help"], "bus.read"),
                            (["-version"], "version"), (["-help"], "-kernel FILE")):
            with self.subTest(words):
                result = run(*words)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn(text, result.stdout)

    def test_names_of_links_choose_the_guest(self):
        for name in ("qemu-system-riscv64", "mimic-system-riscv64", "qemu-system-aarch64"):
            link = Path(WORK.name) / f"names-{name}" / name
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(PROGRAM)
            self.assertIn("virt", run("-M", "help", program=link).stdout)
        self.assertIn("virt", run("riscv64", "-M", "help", program=PROGRAM).stdout)
        self.assertEqual(run("-M", "virt", program=PROGRAM).returncode, 1)

    def test_a_file_of_options_is_as_good_as_the_options(self):
        image, written, again = (Path(WORK.name) / name for name in ("disk,image", "written", "again"))
        image.write_bytes(bytes(65536))
        path = str(image).replace(",", ",,")
        end = ["-S", "-display", "none", "-serial", "null", "-monitor", "stdio"]

        def tree(*words):
            result = subprocess.run([LINK, *words, *end], input="info qtree\ninfo block\ninfo mtree\nquit\n",
                                    capture_output=True, text=True, timeout=60, check=True)
            return result.stdout
        words = ["-M", "virt,aclint=on", "-m", "200M", "-smp", "2", "-drive", f"file={path},if=none,id=d0,format=raw",
                 "-device", "virtio-blk-device,drive=d0,id=x", "-global", "virtio-blk-device.serial=abc", "-name", "a b"]
        expected = tree(*words, "-writeconfig", written)
        self.assertIn(str(image), expected)
        self.assertIn("abc", expected)
        self.assertEqual(tree("-readconfig", written, "-writeconfig", again), expected)
        # The monitor's own options are not in such files; all others are there again.
        lines = [line for line in written.read_text().splitlines() if not line.startswith("#")]
        self.assertEqual([line for line in again.read_text().splitlines() if not line.startswith("#")], lines)
        changed = tree("-readconfig", written, "-set", "device.x.serial=other")
        self.assertIn("other", changed)

    def test_defaults_of_devices(self):
        for words in (["-global", "virtio-rng-device.max-bytes=1000"],
                      ["-global", "driver=virtio-rng-device,property=max-bytes,value=1000"]):
            result = subprocess.run([LINK, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio",
                                     "-device", "virtio-rng-device,id=r", *words], input="info device r\nquit\n",
                                    capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("max-bytes = 1000", result.stdout)
            self.assertEqual(result.stderr, "")
        # Of a type that is not there: scripts say so of machines that have it.
        result = run("-M", "virt", "-global", "virtio-rng-devise.period=3", "-kernel", "/nonexistent")
        self.assertIn("warning: -global: there is no device type 'virtio-rng-devise', did you mean 'virtio-rng-device'?\n",
                      result.stderr)

    def test_accelerators_that_are_elsewhere_are_passed_over(self):
        for words, missing in ((["-accel", "kvm", "-enable-kvm"], "-accel: 'kvm'"),
                               (["-machine", "accel=kvm:hvf:qtest,usb=off", "-accel", "jit"], "-M accel: 'kvm'")):
            answers, errors = drive(["endianness"], *words)
            self.assertEqual(answers, ["OK little\n"], errors)
            self.assertIn(f"mimic-system-riscv64: warning: {missing} is not there, qtest is taken\n", errors)
            self.assertEqual(errors.count("\n"), 2, errors)  # the other is what ended it

    def test_devices_and_networks_by_json_and_by_their_short_names(self):
        words = ["-netdev", '{"type": "user", "id": "n0", "restrict": true, "hostfwd": [{"str": "tcp:127.0.0.1:0-:22"}]}',
                 "-device", '{"driver": "virtio-net-pci", "netdev": "n0", "id": "net0", "vectors": 3, "csum": false}',
                 "-object", '{"qom-type": "rng-random", "id": "r0", "filename": "/dev/urandom"}',
                 "-device", '{"driver": "virtio-rng", "rng": "r0", "id": "rng0", "romfile": ""}',
                 "-device", "virtio-serial,id=s0", "-device", "virtio-balloon-pci-transitional,id=b0"]
        result = subprocess.run([LINK, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio", *words],
                                input="qom-get net0 csum\nqom-get net0 vectors\nqom-get rng0 rng\ninfo network\ninfo pci\nquit\n",
                                capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(result.stderr, "")
        self.assertIn("false\n", result.stdout)
        self.assertIn("\n3\n", result.stdout)
        self.assertIn('"r0"\n', result.stdout)
        self.assertIn("restrict=on", result.stdout)
        self.assertRegex(result.stdout, r"Bus  0, device   1, function 0:\n    Ethernet controller: PCI device 1af4:1000\n")
        self.assertIn("PCI device 1af4:1002\n", result.stdout)

    def test_messages_begin_as_they_are_wanted_to(self):
        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z "
        said = "mimic-system-riscv64: -device frob: 'frob'"
        for words, begin in ((["-msg", "timestamp=on"], time), (["-msg", "timestamp"], time),
                             (["-msg", "timestamp=on,guest-name=on", "-name", "box"], time + "box "),
                             (["-name", "box", "-msg", "guest-name=on"], "box "), (["-msg", "guest-name=on"], ""),
                             (["-name", "box", "-msg", "timestamp=off"], "")):
            with self.subTest(words):
                self.assertRegex(run("-M", "virt", "-device", "frob", *words).stderr, "^" + begin + said)
                self.assertRegex(run("-M", "virt", "-kernle", *words).stderr, "^mimic-system-riscv64: option '-kernle'")
                # Mistakes before it, and warnings; a machine that runs.
                self.assertRegex(run("-M", "virt", "-boot", "order=xyz", *words).stderr, "^" + begin + "mimic-system-riscv64: -boot")
                _, errors = drive(["endianness"], "-fw_cfg", "name=x,string=y", *words)
                self.assertRegex(errors, "^" + begin + "mimic-system-riscv64: warning: -fw_cfg x: .*\n" +
                                 begin + "mimic-system-riscv64: terminating on signal 15")

    def test_options_that_management_tools_give(self):
        for words in (["-audiodev", '{"id": "audio1", "driver": "none"}'], ["-audiodev", "none,id=a,out.frequency=44100"],
                      ["-vnc", "none", "-audio", "none"], ["-overcommit", "mem-lock=off,cpu-pm=off"]):
            self.assertEqual(drive(["endianness"], *words)[0], ["OK little\n"], words)

    def test_memory_is_locked(self):
        def locked(*words):
            with subprocess.Popen([LINK, "-M", "none", "-m", "8M", "-S", "-display", "none", "-monitor", "stdio", *words],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as machine:
                machine.stdout.readline()  # the monitor is there
                status = Path(f"/proc/{machine.pid}/status").read_text() if machine.poll() is None else "VmLck: 0 kB"
                _, errors = machine.communicate("quit\n", timeout=60)
            return int(status.split("VmLck:")[1].split()[0]), errors

        self.assertEqual(locked(), (0, ""))
        for how in ("on", "on-fault"):
            bytes_, errors = locked("-overcommit", f"mem-lock={how}")
            if "cannot be locked" not in errors:  # a host may not allow it, and then it is an error
                self.assertGreater(bytes_, 0)

    def test_the_escape_key_is_another(self):
        result = subprocess.run([LINK, "-M", "virt", "-bios", "none", "-S", "-nographic", "-echr", "0x14"], input="\x01h\x14h\x14x",
                                capture_output=True, text=True, timeout=60, check=True)
        self.assertIn("C-t x    exit emulator", result.stdout)
        self.assertIn("terminated by C-t x", result.stdout)
        self.assertEqual(result.stdout.count("print this help"), 1)

    def test_trace_events_of_a_file_to_a_file(self):
        events, out = Path(WORK.name) / "events", Path(WORK.name) / "trace"
        events.write_text("# registers\nbus.*\n -bus.write\n")
        _, errors = drive(["writeb 0x10000003 0x80", "readb 0x10000003"], "-trace", f"events={events},file={out}")
        self.assertNotIn("bus.", errors)
        self.assertRegex(out.read_text(), r"bus.read serial")
        self.assertNotIn("bus.write", out.read_text())

    def test_a_machine_without_anything(self):
        for guest in ("riscv64", "aarch64"):
            with self.subTest(guest):
                for words, cpus in (([], 0), (["-cpu", "max" if guest == "aarch64" else "rv64"], 1)):
                    lines = ["query-status", "query-target", "query-cpus-fast", "query-cpu-definitions", "query-machines"]
                    human = ["info registers", "info cpus", "info jit", "info mem", "x 0", "xp 0", "info roms", "gva2gpa 0",
                             "memsave 0 8 /dev/null", "info mtree", "savevm", "system_reset", "cont", "gdbserver tcp::0"]
                    commands = [{"execute": "qmp_capabilities"}, *({"execute": line} for line in lines),
                                *({"execute": "human-monitor-command", "arguments": {"command-line": h}} for h in human),
                                {"execute": "migrate", "arguments": {"uri": f"file:{WORK.name}/none"}}, {"execute": "quit"}]
                    result = subprocess.run([PROGRAM, guest, "-M", "none", "-display", "none", "-qmp", "stdio", "-m", "16M", *words],
                                            input="".join(json.dumps(c) + "\n" for c in commands), capture_output=True, text=True,
                                            timeout=60, check=True)
                    answers = [a for a in map(json.loads, result.stdout.splitlines()) if "return" in a or "error" in a]
                    self.assertEqual(len(answers), len(commands))
                    self.assertEqual(answers[2]["return"]["arch"], guest)
                    self.assertEqual(len(answers[3]["return"]), cpus)
                    self.assertIn("none", [m["name"] for m in answers[5]["return"]])

    def test_ram_of_files(self):
        path = Path(WORK.name) / "ram"
        for words in (["-mem-path", path, "-m", "16M"], ["-M", "virt,memory-backend=m", "-object",
                      f"memory-backend-file,id=m,size=16M,mem-path={path},share=on,prealloc=on,merge=off,dump=off"],
                      ["-M", "virt,memory-backend=m", "-object",
                       json.dumps({"qom-type": "memory-backend-memfd", "id": "m", "size": 16 << 20, "share": False})]):
            path.unlink(missing_ok=True)
            with self.subTest(words):
                answers, _ = drive(["writel 0x80000010 0x12345678", "readl 0x80000010"], *words)
                self.assertIn("0x0000000012345678", answers[1])
                if path.exists():
                    self.assertEqual(path.stat().st_size, 16 << 20)
                    shared = "share=on" in str(words)
                    self.assertEqual(path.read_bytes()[16:20], b"\x78\x56\x34\x12" if shared else bytes(4))

    def test_memory_backends_are_told(self):
        commands = [{"execute": "qmp_capabilities"}, {"execute": "query-memdev"}, {"execute": "quit"}]
        result = subprocess.run([LINK, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-qmp", "stdio", "-object",
                                 "memory-backend-ram,id=m,size=32M,merge=off"],
                                input="".join(json.dumps(c) + "\n" for c in commands), capture_output=True, text=True,
                                timeout=60, check=True)
        self.assertIn('"id": "m", "size": 33554432, "merge": false, "dump": true', result.stdout.replace('":', '": ').replace(',"', ', "').replace(":  ", ": "))

    def test_a_truncated_elf_kernel_is_refused(self):
        path = Path(WORK.name) / "kernel"
        path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
        result = run("-M", "virt", "-kernel", path)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"-kernel {path}: 0 program headers of 0 bytes", result.stderr)

    def test_the_device_tree_can_be_dumped(self):
        path = Path(WORK.name) / "virt.dtb"
        result = run("-M", f"virt,dumpdtb={path}", "-smp", "2", "-m", "512M")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(path.read_bytes()[:4], bytes.fromhex("d00dfeed"))

    def test_each_board_version_keeps_its_device_tree(self):
        """Golden files change by MIMIC_BLESS=1 alone; dtc sorts, and the seed is random."""
        for guest, board, words in (("riscv64", "virt-10.0", ["-smp", "2", "-m", "512M"]),
                                    ("riscv64", "virt-10.0,aia=aplic", ["-smp", "2", "-m", "512M"]),
                                    ("riscv64", "virt-10.0,aia=aplic-imsic,aia-guests=2,aclint=on", ["-smp", "3"]),
                                    ("aarch64", "virt-10.0", ["-smp", "2", "-m", "512M"]),
                                    ("aarch64", "virt-10.0,gic-version=3,virtualization=on", ["-m", "4G"]),
                                    ("aarch64", "virt-10.0,highmem=off", []),
                                    ("aarch64", "virt-10.0,secure=on", ["-smp", "2"])):
            path = Path(WORK.name) / "golden.dtb"
            result = run(guest, "-M", f"{board},dumpdtb={path}", *words, program=PROGRAM)
            self.assertEqual(result.returncode, 0, result.stderr)
            text = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-s", path], capture_output=True, text=True,
                                  check=True).stdout
            text = "".join(line + "\n" for line in text.splitlines() if "-seed" not in line)
            golden = Path(__file__).resolve().parent / "golden" / f"{guest}-{board.replace(',', '-')}.dts"
            if os.environ.get("MIMIC_BLESS"):
                golden.write_text(text)
            self.assertEqual(text, golden.read_text())

    def test_seeds_of_the_tree_can_be_left_out(self):
        path = Path(WORK.name) / "seeds.dtb"
        for words, seeds in (("", True), (",dtb-randomness=off", False)):
            result = run("aarch64", "-M", f"virt,dumpdtb={path}{words}", program=PROGRAM)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(b"rng-seed" in path.read_bytes(), seeds)
            self.assertEqual(b"kaslr-seed" in path.read_bytes(), seeds)

    def test_cards_and_disks_of_a_board(self):
        """As the reference: the Arm board has a card unless something was said; cards come first, disks of -hda last."""
        disk = Path(WORK.name) / "disk.img"
        disk.write_bytes(bytes(1 << 20))
        card, rng, block = "1af4:1000", "1af4:1005", "1af4:1001"
        for guest, words, expected in (
                ("aarch64", [], [card]), ("riscv64", [], []), ("aarch64", ["-nodefaults"], []), ("aarch64", ["-nic", "none"], []),
                ("aarch64", ["-net", "none"], []), ("aarch64", ["-netdev", "user,id=n"], []),
                ("aarch64", ["-net", "user"], []), ("riscv64", ["-device", "virtio-rng-pci", "-nic", "user"], [card, rng]),
                ("aarch64", ["-device", "virtio-rng-pci"], [card, rng]),
                ("riscv64", ["-net", "nic,model=virtio,macaddr=52:54:00:11:22:33", "-net", "user"], [card]),
                ("aarch64", ["-hda", disk, "-nic", "none", "-device", "virtio-rng-pci"], [rng, block])):
            with self.subTest(guest=guest, words=words):
                result = subprocess.run([PROGRAM, guest, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio",
                                         *words], input="info pci\nquit\n", capture_output=True, text=True, timeout=60, check=True)
                found = [line.split()[-1] for line in result.stdout.splitlines() if "PCI device" in line]
                self.assertEqual(found, ["1b36:0008", *expected], result.stdout + result.stderr)

    def test_two_devices_cannot_share_the_terminal(self):
        for words in (["-serial", "stdio", "-monitor", "stdio"], ["-qmp", "stdio", "-monitor", "stdio"],
                      ["-serial", "mon:stdio", "-qmp", "stdio"]):
            result = run("-M", "virt", "-S", "-display", "none", *words)
            self.assertEqual(result.returncode, 1, words)
            self.assertIn("cannot use stdio by multiple character devices", result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_waiting_for_a_peer_ends_by_a_signal(self):
        path = Path(WORK.name) / "peer"
        with subprocess.Popen([LINK, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-qmp", f"unix:{path},server"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as machine:
            self.assertIn("waiting for a connection", machine.stderr.readline())
            machine.terminate()
            self.assertIn("terminating on signal 15", machine.communicate(timeout=60)[1])
        self.assertEqual(machine.returncode, 1)
        self.assertFalse(path.exists())

    def test_a_pid_file_is_of_one_machine(self):
        path = Path(WORK.name) / "pid"
        words = ["-M", "virt", "-S", "-display", "none", "-serial", "null", "-pidfile", path, "-monitor", "stdio"]
        with subprocess.Popen([LINK, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as machine:
            machine.stdin.write("info status\n")
            machine.stdin.flush()
            while "paused" not in machine.stdout.readline():
                pass
            self.assertEqual(path.read_text(), f"{machine.pid}\n")
            result = run(*words)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"-pidfile: cannot lock {path}, which another machine has", result.stderr)
            self.assertEqual(path.read_text(), f"{machine.pid}\n")
            machine.communicate("quit\n", timeout=60)
        self.assertFalse(path.exists())

    def test_disks_without_an_id_take_the_places_that_are_left(self):
        files = []
        for n in range(4):
            files.append(Path(WORK.name) / f"place{n}.img")
            files[-1].write_bytes(bytes(1 << 20))
        result = subprocess.run([LINK, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio", "-cdrom", files[0],
                                 "-drive", f"file={files[1]},format=raw", "-drive", f"file={files[2]},format=raw",
                                 "-drive", f"file={files[3]},format=raw,if=none"],
                                input="info block\nquit\n", capture_output=True, text=True, timeout=60, check=True)
        for name, file in zip(("virtio2", "virtio0", "virtio1", "none0"), files, strict=True):
            self.assertRegex(result.stdout, rf"(?m)^{name}\b.*: {file}", result.stderr)

    def test_cards_of_net_share_a_hub_with_its_networks(self):
        result = subprocess.run([PROGRAM, "aarch64", "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio",
                                 "-net", "nic", "-net", "user,net=10.7.0.0/24", "-hdb", "/nonexistent"], input="quit\n",
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent", result.stderr)
        disk = Path(WORK.name) / "cd.img"
        disk.write_bytes(bytes(1 << 20))
        result = subprocess.run([PROGRAM, "aarch64", "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio",
                                 "-net", "nic", "-net", "user,net=10.7.0.0/24", "-cdrom", disk],
                                input="info network\ninfo block\nquit\n", capture_output=True, text=True, timeout=60, check=True)
        self.assertRegex(result.stdout, r"hub0port0: .*hubid=0")
        self.assertRegex(result.stdout, r"#net1: .*net=10.7.0.0")
        self.assertRegex(result.stdout, r"virtio2.*: .*cd.img \(raw, read-only\)")

    def test_bad_options_of_the_arm_board_are_one_line(self):
        kernel = Path(WORK.name) / "no-kernel"
        kernel.write_text("no kernel")
        for words, message in ((["-M", "virt,gic-version=4"], "-M gic-version: '4', expected 2, 3 or max"),
                               (["-M", "virt,virtualisation=on"], "did you mean 'virtualization'"),
                               (["-M", "virt,secure=maybe"], "-M secure: 'maybe'"),
                               (["-M", "virt,highmem=off", "-m", "4G"], "-m: 4096 MiB, expected at most 3072 with highmem=off"),
                               (["-M", "virt", "-net", "hubport"], "-net: 'hubport', expected nic"),
                               (["-M", "virt", "-smp", "9"], "-smp cpus: 9, expected at most 8 with gic-version=2"),
                               (["-M", "virt", "-kernel", kernel], "expected an arm64 Image"),
                               (["-M", "virt", "-initrd", kernel], "-initrd: expected together with -kernel"),
                               (["-M", "virt", "-bios", "/nonexistent"], "cannot open /nonexistent")):
            with self.subTest(words):
                result = run("aarch64", *words, program=PROGRAM)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    unittest.main()
