"""Options of `mimic run` as a user meets them: what they do to a program, and the line and exit status of a mistake.

    options_test.py --guest riscv64 --build DIR --mimic FILE
"""

import argparse
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import run

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char line[100] = "nothing";
    if (argc > 1 && !strcmp(argv[1], "random")) {
        const unsigned long *random = (const unsigned long *)getauxval(AT_RANDOM);
        sprintf(line, "%lx %lx", random[0], random[1]);
    } else if (argc > 1 && !strcmp(argv[1], "abort")) {
        abort();
    } else if (argc > 1 && !strcmp(argv[1], "hang")) {
        for (;;) pause();
    } else if (argc > 1 && (!strcmp(argv[1], "raise") || !strcmp(argv[1], "limit"))) {
        struct rlimit limit;
        getrlimit(RLIMIT_DATA, &limit);
        printf("%ld ", (long)limit.rlim_cur);
        fflush(stdout);
        limit.rlim_cur = limit.rlim_max;
        if (!strcmp(argv[1], "raise") && !setrlimit(RLIMIT_DATA, &limit)) execl("/proc/self/exe", "options", "limit", NULL);
        strcpy(line, "done");
    } else if (argc > 1) {
        FILE *file = fopen(argv[1], "r");
        if (!file || !fgets(line, sizeof line, file)) return 3;
    }
    puts(line);
    return 0;
}
"""
OTHER = {"riscv64": "aarch64", "aarch64": "riscv64"}
options = None


class Options(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        source = options.build / f"options-{options.guest}.c"
        options.build.mkdir(parents=True, exist_ok=True)
        source.write_text(SOURCE)
        cls.program = run.compiled(source, options.guest, options.build, dynamic=False)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_limits_that_are_raised_stay_so_over_execve(self):
        lowered = lambda: resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, resource.RLIM_INFINITY))
        result = subprocess.run([options.mimic, "run", self.program, "raise"], capture_output=True, text=True, timeout=100, preexec_fn=lowered)
        self.assertEqual(result.stdout, f"{2 << 30} -1 done\n", result.stderr)

    def run_words(self, *words, program=None):
        return subprocess.run([*map(str, program or [options.mimic, "run"]), *map(str, words)], capture_output=True,
                              text=True, timeout=100)

    def output(self, *words):
        process = self.run_words(*words)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        return process.stdout.strip()

    def refused(self, status, text, *words, program=None):
        process = self.run_words(*words, program=program)
        self.assertEqual(process.stdout, "")
        self.assertIn(text, process.stderr)
        self.assertEqual(len(process.stderr.splitlines()), 1, process.stderr)
        self.assertEqual(process.returncode, status, process.stderr)

    def test_mistakes_in_our_options_exit_with_1(self):
        for words, text in (
                (["-acell", "jit"], "unknown option -acell, did you mean '-accel'?"),
                (["-accel", "jit,verify=yes"], "-accel verify=yes: expected on or off"),
                (["-cpu", "frob"], "frob"),
                (["-B", "0x123"], "-B 0x123: expected a multiple of 4096"),
                (["-R", "5000"], "-R 5000: expected a multiple of 4096"),
                (["-s", "much"], "-s much: expected a number"),
                (["-p", "5000"], "-p 5000: expected 4096"),
                (["-D", self.folder / "none/file"], "-D " + str(self.folder / "none/file")),
                (["-guest", "frob"], "-guest frob: expected ")):
            self.refused(1, text, *words, self.program)

    def test_what_a_cpu_has_may_be_asked_for(self):
        for model in {"riscv64": ["rv64,v=true,vlen=128,elen=64,vext_spec=v1.0,zba=true", "max,g=on,c=true,v=off"],
                      "aarch64": ["max", "cortex-a72"]}[options.guest]:
            self.assertEqual(self.output("-cpu", model, self.program), "nothing")
            self.assertIn(options.guest, self.output("-cpu", model.split(",")[0] + ",help"))
        for words, text in {"riscv64": [("rv64,vlen=256", "property 'vlen=256' of riscv64 CPU rv64: expected v =on or =off"),
                                        ("rv64,zba=off", "what it has always"), ("rv64,zvkn=true", "'zvkn=true'")],
                            "aarch64": [("max,sve=on", "aarch64 CPU max,sve=on: expected a model without properties")]}[options.guest]:
            self.refused(1, text, "-cpu", words, self.program)
        self.refused(1, "-cpu frob,help: expected a model", "-cpu", "frob,help")

    def test_a_bug_report_has_what_is_needed_and_no_secrets(self):
        os.environ["MIMIC_SET_ENV"], os.environ["UNRELATED"] = "KEY=hidden", "hidden"
        self.addCleanup(os.environ.pop, "MIMIC_SET_ENV"), self.addCleanup(os.environ.pop, "UNRELATED")
        report = self.folder / "report"
        process = self.run_words("-o", report, "-E", "TOKEN=hidden", self.program, "abort", program=[options.mimic, "bugreport"])
        self.assertEqual(process.returncode, 0, process.stderr)
        text = report.read_text()
        for part in ("[mimic]\nversion ", "[host]\nkernel Linux", "Max open files", "MIMIC_SET_ENV=(left out)",
                     f"mimic run -E TOKEN=... {self.program} abort", f"{self.program}: ", "sha256 ", "signal 6 (ABRT)",
                     "ends by SIGABRT", "registers:", "tgkill("):
            self.assertIn(part, text)
        self.assertNotIn("hidden", text)
        self.assertEqual(report.stat().st_mode & 0o777, 0o600)
        self.refused(1, f"-o {report}: expected a new file", "-o", report, program=[options.mimic, "bugreport"])
        self.refused(1, "--lines many: expected a number", "--lines", "many", program=[options.mimic, "bugreport"])
        process = self.run_words("-o", "-", "--timeout", "1", self.program, "hang", program=[options.mimic, "bugreport"])
        self.assertIn("which were too many: signal 3 (QUIT)", process.stdout)

    def test_a_script_without_its_interpreter_is_named(self):
        script = self.folder / "script"
        script.write_text("#!/no/such\n")
        script.chmod(0o755)
        self.refused(127, f"interpreter of script {script}: /no/such: No such file", script)

    def test_a_program_that_cannot_run_exits_as_in_a_shell(self):
        self.refused(127, "/nonexistent", "/nonexistent")
        self.refused(126, "executable", self.folder)

    def test_a_link_named_after_a_guest_runs_that_guest(self):
        for prefix in ("qemu-", "mimic-"):
            own, other = (self.folder / (prefix + guest) for guest in (options.guest, OTHER[options.guest]))
            own.symlink_to(options.mimic), other.symlink_to(options.mimic)
            self.assertEqual(self.run_words(self.program, program=[own]).stdout, "nothing\n")
            self.refused(255, f"expected one for {OTHER[options.guest]}", self.program, program=[other])

    def test_a_command_that_is_not_there(self):
        self.refused(1, "did you mean 'syscalls'?", program=[options.mimic, "syscall"])

    def test_other_forms_of_elf_are_named(self):
        head = bytearray(self.program.read_bytes()[:64])
        for place, order, text in ((4, "<", "32-bit little-endian"), (5, ">", "64-bit big-endian")):
            other = bytearray(head)
            other[place] = 1 if place == 4 else 2
            other[16:20] = struct.pack(order + "HH", *struct.unpack("<HH", head[16:20]))
            file = self.folder / "program"
            file.write_bytes(other)
            file.chmod(0o755)
            self.refused(126, text, file)

    def test_a_seed_makes_the_start_repeatable(self):
        seeded = [self.output("-seed", seed, self.program, "random") for seed in ("7", "7", "8")]
        self.assertEqual(seeded[0], seeded[1])
        self.assertNotEqual(seeded[0], seeded[2])
        self.assertNotEqual(self.output(self.program, "random"), self.output(self.program, "random"))

    def test_small_stacks_and_all_page_sizes(self):
        self.assertEqual(self.output("-s", "1", self.program), "nothing")
        sizes = ("4096", "65536") if options.guest == "aarch64" else ("4096",)  # as the linker aligns segments
        for size in sizes:
            self.assertEqual(self.output("-p", size, self.program), "nothing")

    def test_links_below_the_sysroot_stay_below_it(self):
        (self.folder / "etc").mkdir()
        (self.folder / "mimic-target").write_text("inside\n")
        (self.folder / "etc/link").symlink_to("/mimic-target")
        beside = Path(str(self.folder) + "-beside")
        beside.write_text("beside\n")
        self.addCleanup(beside.unlink)
        os.symlink(beside, self.folder / "etc/out")
        for path, text in (("/etc/link", "inside"), (self.folder / "etc/link", "inside"),
                           (f"{self.folder}/../{beside.name}", "beside"), (beside, "beside"),
                           (self.folder / "etc/out", "beside")):
            self.assertEqual(self.output("-L", self.folder, self.program, path), text, path)

    def test_a_log_file_may_have_the_process_id_in_its_name(self):
        process = subprocess.Popen([options.mimic, "run", "-strace", "-D", self.folder / "log-%d", self.program],
                                   stdout=subprocess.DEVNULL)
        self.assertEqual(process.wait(100), 0)
        self.assertIn("exit_group", (self.folder / f"log-{process.pid}").read_text())

    def traced(self, *words):
        log = self.folder / "trace"
        process = subprocess.run([options.mimic, "run", "--trace=syscall", "--json", "-D", log, self.program, *words],
                                 stdout=subprocess.PIPE, check=False)
        return process, [json.loads(line) for line in log.read_text().splitlines()]

    def test_calls_are_logged_as_objects(self):
        file = self.folder / "named \"\u00e9\""
        file.write_text("inside\n")
        process, events = self.traced(file)
        self.assertEqual(process.stdout, b"inside\n\n")
        calls = [e for e in events if e["type"] == "syscall"]
        (opened,) = (e for e in calls if e["name"] == "openat" and e["args"][1] == str(file))
        self.assertEqual((opened["args"][0], opened["args"][2], opened["number"]), ("AT_FDCWD", "O_RDONLY", 56))
        self.assertGreaterEqual(opened["result"], 3)
        (read,) = (e for e in calls if e["name"] == "read" and e["args"][0] == opened["result"])
        self.assertEqual(bytes.fromhex(read["args"][1]["bytes"]), b"inside\n")
        self.assertEqual((read["result"], read["args"][1]["length"]), (7, 7))
        self.assertEqual((calls[-1]["name"], calls[-1]["args"], "result" in calls[-1]), ("exit_group", [0], False))
        process, events = self.traced(self.folder / "none")
        (failed,) = (e for e in events if e["name"] == "openat" and e["args"][1] == str(self.folder / "none"))
        self.assertEqual((failed["result"], failed["errno"], failed["error"]), (-1, 2, "ENOENT"))

    def test_objects_of_signals_and_of_what_is_executed(self):
        process, events = self.traced("abort")
        self.assertEqual(process.returncode, -signal.SIGABRT)
        (sent,) = (e for e in events if e["type"] == "signal")
        self.assertEqual((sent["name"], sent["number"], sent["sender"]), ("SIGABRT", 6, sent["pid"]))
        process, events = self.traced("raise")
        (executed,) = (e for e in events if e["name"] == "execve")
        self.assertEqual(executed["args"][:2], ["/proc/self/exe", ["options", "limit"]])
        self.assertIn("exit_group", [e["name"] for e in events[events.index(executed):]])

    def test_json_is_of_a_trace(self):
        process = subprocess.run([options.mimic, "run", "--json", self.program], capture_output=True, text=True, check=False)
        self.assertEqual(process.stderr, "mimic: --json: expected --trace=syscall\n")
        process = subprocess.run([options.mimic, "run", "--trace=signals", self.program], capture_output=True, text=True, check=False)
        self.assertEqual(process.stderr, "mimic: --trace signals: expected syscall\n")

    def test_a_registration_of_ones_own(self):
        """Any user's, where the kernel has such (Linux 6.7); else one line says so."""
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.run([options.mimic, "binfmt", "private", options.guest, "--", "sh", "-c", 'id -u; "$0"', self.program],
                                 capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]}, **user)
        if process.returncode == 1:
            self.assertRegex(process.stderr, r"\Amimic: binfmt: .*(user namespace|binfmt_misc).*\n\Z")
            return
        self.assertEqual((process.stdout, process.stderr), (f"{user.get('user', os.geteuid())}\nnothing\n", ""))
        self.assertEqual(process.returncode, 0)

    def test_accelerators_are_listed(self):
        self.assertRegex(self.output("-accel", "help"), r"(?m)^interp ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--mimic", required=True)
    options = parser.parse_args()
    unittest.main(argv=sys.argv[:1])
