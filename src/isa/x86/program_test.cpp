// Static programs of the host's C compiler run in the interpreter: their output and exit status are those of the
// processor. The few system calls that such a program makes are answered here.
#ifdef MIMIC_X86_PROGRAMS
#    include "isa/shapes/program.hpp"
#    include "isa/x86/state.hpp"
#    include <array>
#    include <cstdio>
#    include <cstring>
#    include <elf.h>
#    include <fstream>
#    include <gtest/gtest.h>
#    include <iterator>
#    include <sys/wait.h>

namespace mimic::isa {
namespace {

constexpr u32 ram_bytes = 64 << 20;
constexpr u64 stack_top = ram_bytes - 4096, map_base = 32 << 20;

class Process {
public:
    Process(const Guest& g, const std::string& path, std::string_view argument) : machine_(g, ram_bytes) {
        machine_.keep_units();
        std::ifstream in(path, std::ios::binary);
        std::string file((std::istreambuf_iterator<char>(in)), {});
        MIMIC_CHECK(file.size() > sizeof(Elf64_Ehdr), "the test program was built");
        Elf64_Ehdr head;
        std::memcpy(&head, file.data(), sizeof head);
        for (u32 n = 0; n < head.e_phnum; ++n) {
            Elf64_Phdr p;
            std::memcpy(&p, file.data() + head.e_phoff + n * sizeof p, sizeof p);
            if (p.p_type != PT_LOAD) continue;
            std::memcpy(machine_.at(p.p_vaddr), file.data() + p.p_offset, p.p_filesz);
            if (p.p_offset == 0) phdr_ = p.p_vaddr + head.e_phoff;
            break_ = std::max(break_, (p.p_vaddr + p.p_memsz + 4095) & ~u64{4095});
        }
        put_stack(head, argument);
        machine_.set_slot("mxcsr", 0x1f80);
        machine_.cpu().pc = head.e_entry;
    }
    // Runs to the end; the exit status, or -1 when something else ended it (why() says what).
    int run() {
        for (u32 calls = 0; calls < 1000; ++calls) {
            machine_.run({}, 100'000'000);
            ir::CpuHeader& cpu = machine_.cpu();
            if (cpu.exit_kind != ir::ExitKind::trap || machine_.trap() != ir::TrapKind::syscall) break;
            u64 number = machine_.slot("rax");
            if (number == 231) return int(machine_.slot("rdi"));
            machine_.set_slot("rax", u64(answer(number)));
            cpu.pc = machine_.slot("rcx");
        }
        return -1;
    }
    std::string why() {
        ir::CpuHeader& cpu = machine_.cpu();
        return fmt::format(
            "stopped at {:#x}, exit kind {}, detail {:#x}, address {:#x}, bytes {:02x} {:02x} {:02x} {:02x} {:02x}",
            cpu.pc, u32(cpu.exit_kind), cpu.exit_arg, cpu.fault_address, *machine_.at(cpu.pc), *machine_.at(cpu.pc + 1),
            *machine_.at(cpu.pc + 2), *machine_.at(cpu.pc + 3), *machine_.at(cpu.pc + 4));
    }
    const std::string& output() const { return output_; }

private:
    void put_stack(const Elf64_Ehdr& head, std::string_view argument) {
        u64 text = stack_top - 256, random = stack_top - 64;
        std::memcpy(machine_.at(text), argument.data(), argument.size());
        u64 words[] = {1,         text,
                       0,         0,
                       AT_PHDR,   phdr_,
                       AT_PHENT,  sizeof(Elf64_Phdr),
                       AT_PHNUM,  head.e_phnum,
                       AT_PAGESZ, 4096,
                       AT_ENTRY,  head.e_entry,
                       AT_RANDOM, random,
                       AT_SECURE, 0,
                       AT_CLKTCK, 100,
                       AT_NULL,   0};
        u64 sp = (text - sizeof words) & ~u64{15};
        std::memcpy(machine_.at(sp), words, sizeof words);
        machine_.set_slot("rsp", sp);
    }
    // arch/x86/entry/syscalls/syscall_64.tbl; what is not here does not exist, which the library can live with.
    i64 answer(u64 number) {
        u64 a = machine_.slot("rdi"), b = machine_.slot("rsi"), c = machine_.slot("rdx");
        switch (number) {
        case 1: output_.append(reinterpret_cast<char*>(machine_.at(b)), c); return i64(c);
        case 9: mapped_ += (b + 4095) & ~u64{4095}; return i64(map_base + mapped_ - ((b + 4095) & ~u64{4095}));
        case 10:
        case 11: return 0;
        case 12: return i64(break_ = a > break_ && a < map_base ? a : break_);
        case 158:
            if (a != 0x1002) return -22;
            machine_.set_slot("fs_base", b);
            return 0;
        case 218: return 1;
        case 273: return 0;
        case 318: std::memset(machine_.at(a), 0x5a, b); return i64(b);
        default: return -38;
        }
    }

    Machine machine_;
    u64 phdr_ = 0, break_ = 0, mapped_ = 0;
    std::string output_;
};

std::pair<std::string, int> natively(const std::string& path) {
    std::string out;
    FILE* p = popen(path.c_str(), "r");
    std::array<char, 256> buffer;
    while (p && fgets(buffer.data(), buffer.size(), p)) out += buffer.data();
    int status = p ? pclose(p) : -1;
    return {out, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

struct X86Programs : testing::TestWithParam<const char*> {};

TEST_P(X86Programs, GiveWhatTheProcessorGives) {
    std::string path = std::string(MIMIC_X86_PROGRAMS) + "/x86_" + GetParam();
    auto [output, status] = natively(path);
    for (const char* model : {"x86-64", "max"}) {
        auto guest = *find_guest("x86_64")->make(model);
        Process process(*guest, path, path);
        EXPECT_EQ(process.run(), status) << process.why();
        EXPECT_EQ(process.output(), output);
    }
}
INSTANTIATE_TEST_SUITE_P(, X86Programs, testing::Values("hello", "quicksort"));

} // namespace
} // namespace mimic::isa
#endif
