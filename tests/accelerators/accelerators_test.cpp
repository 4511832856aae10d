// The same tests of machines over each accelerator: jit, interp, and one that behaves like KVM (like_kvm.hpp), which also
// says what outside of it broke the interface's rules.
#include "devices/types.hpp"
#include "isa/guest.hpp"
#include "like_kvm.hpp"
#include "machines/board.hpp"
#include "migration/writer.hpp"
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mimic {
namespace {

using Bytes = std::vector<u8>;
constexpr u64 ram_base = 0x80000000, page = memory::RamBlock::page_size;
constexpr std::string_view like_kvm_name = "like-kvm";

// A 64-bit little-endian ELF for RISC-V of one segment at the start of RAM.
std::string elf(const Bytes& code) {
    std::string s(64 + 56, '\0');
    auto put = [&](size_t at, u64 v, size_t n) { std::memcpy(&s[at], &v, n); };
    std::memcpy(s.data(), "\x7f\x45\x4c\x46\x02\x01\x01", 7);
    put(18, 243, 2), put(24, ram_base, 8), put(32, 64, 8), put(54, 56, 2), put(56, 1, 2);
    put(64, 1, 4), put(72, s.size(), 8), put(80, ram_base, 8), put(88, ram_base, 8);
    put(96, code.size(), 8), put(104, code.size(), 8);
    return s + std::string(code.begin(), code.end());
}

// A RISC-V board without firmware, whose processors begin at the start of RAM; programs are instructions, one a line.
class Rig {
public:
    using Program = std::span<const std::string_view>;
    Rig(std::string_view accelerator, std::initializer_list<std::string_view> program, u32 cpus = 1,
        std::optional<cpu::CountOptions> counted = {})
        : Rig(accelerator, Program(program.begin(), program.size()), cpus, counted) {}
    Rig(std::string_view accelerator, Program program, u32 cpus = 1, std::optional<cpu::CountOptions> counted = {})
        : like_kvm_(accelerator == like_kvm_name) {
        machines::BoardOptions o;
        const machines::BoardType* type = *machines::find_board("riscv64", "virt");
        o.type_name = type->name;
        o.ram_bytes = 4 << 20;
        o.machine.types = devices::types();
        o.machine.random_seed = 1;
        o.machine.counted = counted.has_value();
        o.icount = counted;
        o.smp.cpus = cpus;
        o.bios = "none";
        o.kernel = write_program(program);
        if (like_kvm_)
            o.make_accelerator = [this](cpu::AcceleratorOptions a) { return like_kvm::make(std::move(a), seen); };
        else
            o.accelerator = accelerator;
        board_ = type->make(o);
        board_->machine().on_request = [this](const devices::Request& r) { tell([&] { asked_ = r.cause; }); };
        board_->on_pause = [this](cpu::Vcpu&, cpu::Pause p) { tell([&] { paused_ = p; }); };
        auto built = board_->build();
        EXPECT_TRUE(built) << built.error().message();
        auto loaded = board_->load();
        EXPECT_TRUE(loaded) << loaded.error().message();
        EXPECT_TRUE(board_->reset(devices::ResetKind::power_on));
    }
    ~Rig() {
        board_->stop();
        board_.reset();
        unlink(path_.c_str());
        for (const std::string& rule : seen.broken_rules) EXPECT_TRUE(expects_broken_rules) << rule;
    }

    machines::Board& board() { return *board_; }
    cpu::Vcpu& cpu(u32 n = 0) { return *board_->vcpus()[n]; }
    bool is_like_kvm() const { return like_kvm_; }
    memory::RamBlock& ram() { return *board_->machine().memory().find(ram_base).block; }
    u64 word(u64 address) const {
        return __atomic_load_n(reinterpret_cast<u64*>(board_->machine().memory().find(address).host()),
                               __ATOMIC_SEQ_CST);
    }
    void await_change(u64 address) const {
        for (u64 before = word(address); word(address) == before;) std::this_thread::yield();
    }
    u64 x(u32 n, u32 processor = 0) {
        u64 value = 0;
        EXPECT_TRUE(cpu(processor).read_register(fmt::format("x{}", n), value));
        return value;
    }
    // What a device asked of the machine (power-off), and why a processor paused.
    std::string await_request() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !asked_.empty(); });
        return std::exchange(asked_, {});
    }
    cpu::Pause await_pause() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return paused_ != cpu::Pause::none; });
        lock.unlock();
        board_->stop();
        return std::exchange(paused_, cpu::Pause::none);
    }

    like_kvm::Seen seen;
    bool expects_broken_rules = false;

private:
    template <class F>
    void tell(F&& f) {
        std::lock_guard lock(mutex_);
        f();
        changed_.notify_all();
    }
    std::string write_program(Program program) {
        auto guest = *isa::find_guest("riscv64")->make_system("rv64");
        Bytes code;
        for (std::string_view line : program) {
            auto bytes = guest->assemble(line, ram_base + code.size(), 0);
            EXPECT_TRUE(bytes) << line;
            if (bytes) code.insert(code.end(), bytes->begin(), bytes->end());
        }
        static std::atomic<u32> number{0};
        path_ = fmt::format("/tmp/mimic-accelerators-{}-{}", getpid(), number++);
        std::ofstream(path_, std::ios::binary) << elf(code);
        return path_;
    }

    bool like_kvm_;
    std::string path_;
    std::unique_ptr<machines::Board> board_;
    std::mutex mutex_; // of what follows
    std::condition_variable changed_;
    std::string asked_;
    cpu::Pause paused_ = cpu::Pause::none;
};

class Accelerators : public testing::TestWithParam<std::string_view> {};
class Engines : public Accelerators {}; // what has watchpoints and counts instructions

constexpr u64 counter = ram_base + 0x700;
// Counts in a0 and in memory, for ever.
constexpr std::string_view counts[] = {"auipc s0, 0", "addi a0, zero, 0", "addi a0, a0, 1", "sd a0, 0x700(s0)",
                                       "jal zero, 0x80000008"};

// An interrupt that the program asks the CLINT for, a wait for another one, and the test finisher.
TEST_P(Accelerators, RunFromResetToPowerOff) {
    Rig r(GetParam(), {"auipc t0, 0", "addi t0, t0, 64", "csrrw zero, mtvec, t0", "lui s1, 0x2000", // the CLINT
                       "csrrwi zero, mie, 8", "csrrsi zero, mstatus, 8", "addi t1, zero, 1", "sw t1, 0(s1)",
                       "beq a5, zero, 0x80000020", // until the handler was there
                       "sd a5, 0x700(t0)", "wfi", "addi t2, zero, 2", "bne a5, t2, 0x80000028", "jal zero, 0x80000050",
                       "addi zero, zero, 0", "addi zero, zero, 0",
                       // 64: the handler
                       "sw zero, 0(s1)", "addi a5, a5, 1", "mret", "addi zero, zero, 0",
                       // 80: power off
                       "lui t0, 0x5", "addi t0, t0, 0x555", "lui t1, 0x100", "sw t0, 0(t1)", "jal zero, 0x80000060"});
    r.board().start();
    while (r.word(ram_base + 0x740) != 1) std::this_thread::yield();
    EXPECT_EQ(r.board().machine().memory().write_value(0x2000000, 4, 1, {}), memory::Outcome::ok);
    EXPECT_EQ(r.await_request(), "guest-shutdown");
    r.board().stop();
    EXPECT_EQ(r.x(15), 2u);
    if (r.is_like_kvm()) {
        EXPECT_GE(r.seen.accesses, 4u);
        EXPECT_GE(r.seen.slots_set, 2u); // RAM and the reset vector
    }
}

TEST_P(Accelerators, StopsBetweenInstructionsAndGoesOn) {
    Rig r(GetParam(), counts);
    for (u32 turn = 0; turn < 20; ++turn) {
        r.board().start();
        r.await_change(counter);
        r.board().stop();
        const u64 at = r.word(counter), count = r.x(10);
        u64 pc = 0;
        EXPECT_TRUE(r.cpu().read_register("pc", pc));
        EXPECT_EQ(count - at, pc == ram_base + 12 ? 1u : 0u) << std::hex << pc;
        EXPECT_EQ(r.word(counter), at);
    }
}

// As a debugger does it: into the header, and then a word of it.
TEST_P(Accelerators, RegistersWrittenWhileStoppedAreTheGuests) {
    Rig r(GetParam(), counts);
    r.board().start();
    r.await_change(counter);
    r.board().stop();
    const isa::Guest& guest = r.cpu().guest();
    const u64 count = u64{1} << 40, to = ram_base + 8;
    guest.write_register(r.cpu().header(), guest.find_register("x10"), reinterpret_cast<const u8*>(&count));
    r.cpu().registers_written();
    r.cpu().set_pc(to);
    EXPECT_EQ(r.x(10), count);
    r.board().start();
    while (r.word(counter) <= count) std::this_thread::yield();
    r.board().stop();
    EXPECT_GT(r.x(10), count);
    if (r.is_like_kvm()) { EXPECT_GE(r.seen.puts, 2u); }
}

TEST_P(Accelerators, StepsAndBreakpoints) {
    Rig r(GetParam(), counts);
    r.cpu().set_breakpoint(ram_base + 12, true);
    for (u64 turn = 1; turn < 5; ++turn) {
        r.board().start();
        EXPECT_EQ(r.await_pause(), cpu::Pause::breakpoint);
        EXPECT_EQ(r.cpu().header().pc, ram_base + 12);
        EXPECT_EQ(r.x(10), turn);
        EXPECT_EQ(r.word(counter), turn - 1);
    }
    r.cpu().set_breakpoint(ram_base + 12, false);
    r.cpu().set_single_step(true);
    for (u64 pc : {16, 8, 12, 16}) {
        r.board().start();
        EXPECT_EQ(r.await_pause(), cpu::Pause::step);
        EXPECT_EQ(r.cpu().header().pc, ram_base + pc);
    }
    r.cpu().set_single_step(false);
    EXPECT_EQ(r.word(counter), 5u);
    r.board().start();
    r.await_change(counter);
}

TEST_P(Accelerators, WorkOnTheProcessorsThreadSeesItsRegisters) {
    Rig r(GetParam(), counts);
    r.board().start();
    r.await_change(counter);
    for (u32 turn = 0; turn < 20; ++turn) {
        u64 seen = 0, memory = 0, pc = 0;
        r.cpu().run_inside([&](ir::CpuHeader& h) {
            pc = h.pc;
            r.cpu().read_register("a0", seen);
            u64 physical = 0;
            EXPECT_TRUE(r.cpu().translate_debug(counter, physical));
            EXPECT_EQ(physical, counter);
            EXPECT_TRUE(r.cpu().read_memory(counter, &memory, 8));
            r.cpu().write_register("a0", seen + 1000000);
        });
        EXPECT_EQ(seen - memory, pc == ram_base + 12 ? 1u : 0u);
        while (r.word(counter) < seen + 1000000) std::this_thread::yield();
    }
}

TEST_P(Accelerators, ResetBeginsAnew) {
    Rig r(GetParam(), counts);
    r.board().start();
    while (r.word(counter) < 1000) std::this_thread::yield();
    r.board().stop();
    r.ram().host()[8] = 0x73, r.ram().host()[9] = 0, r.ram().host()[10] = 0, r.ram().host()[11] = 0; // ecall
    ASSERT_TRUE(r.board().reset(devices::ResetKind::cold));
    EXPECT_EQ(r.cpu().header().pc, 0x1000u); // the reset vector
    r.cpu().set_breakpoint(ram_base + 12, true);
    r.board().start();
    EXPECT_EQ(r.await_pause(), cpu::Pause::breakpoint);
    EXPECT_EQ(r.x(10), 1u);
}

// Each processor adds to a word of both.
TEST_P(Accelerators, ProcessorsShareMemory) {
    Rig r(GetParam(),
          {"auipc s0, 0", "addi s0, s0, 0x700", "lui a1, 2", "addi a2, zero, 1", "amoadd.d zero, a2, (s0)",
           "addi a1, a1, -1", "bne a1, zero, 0x80000010", "wfi", "jal zero, 0x8000001c"},
          2);
    r.board().start();
    while (r.word(counter) != 2 * 8192) std::this_thread::yield();
    while (r.is_like_kvm() && r.seen.halts < 2) std::this_thread::yield();
    r.board().stop();
    EXPECT_EQ(r.word(counter), 2 * 8192u);
}

// What is fetched after fence.i, or after somebody else wrote it, is what memory holds.
TEST_P(Accelerators, CodeThatChangesIsSeen) {
    Rig r(GetParam(), {"auipc s0, 0", "lw t0, 40(s0)", "addi a0, zero, 1", "sw t0, 20(s0)", "fence.i",
                       "addi a0, a0, 1", // 20: becomes a0 += 5
                       "sd a0, 0x700(s0)", "jal zero, 0x80000024", "addi zero, zero, 0",
                       "jal zero, 0x80000024", // 36
                       "addi a0, a0, 5"});
    r.board().start();
    while (r.word(counter) != 6) std::this_thread::yield();
    // As a device does: out of the endless loop.
    auto bytes = r.cpu().guest().assemble("jal zero, 0x80000018", ram_base + 36, 0);
    r.cpu().run_inside([&](ir::CpuHeader&) { r.cpu().write_register("a0", 77); });
    ASSERT_EQ(r.board().machine().memory().write(ram_base + 36, bytes->data(), bytes->size()), memory::Outcome::ok);
    while (r.word(counter) != 77) std::this_thread::yield();
}

// A timer far away, of a machine that is then loaded with a later clock and a timer that is near.
TEST_P(Accelerators, TimersFollowAClockThatIsSet) {
    Rig r(GetParam(),
          {"auipc s0, 0", "addi t0, s0, 80", "csrrw zero, mtvec, t0", "addi t0, zero, -1", "slli t0, t0, 63",
           "csrrs zero, menvcfg, t0",                                                               // STCE
           "lui t0, 0x3b9ad", "csrrs t1, time, zero", "add t0, t0, t1", "csrrw zero, stimecmp, t0", // 100 s
           "addi t0, zero, 32", "csrrs zero, mie, t0", "csrrsi zero, mstatus, 8", "addi t0, zero, 1",
           "sd t0, 0x700(s0)", "wfi", "jal zero, 0x8000003c", "addi zero, zero, 0", "addi zero, zero, 0",
           "addi zero, zero, 0",
           // 80: power off
           "lui t0, 0x5", "addi t0, t0, 0x555", "lui t1, 0x100", "sw t0, 0(t1)", "jal zero, 0x80000060"});
    r.board().start();
    while (r.word(counter) != 1) std::this_thread::yield();
    r.board().stop();
    constexpr u64 second = 1000000000, ticks = 10000000;
    r.board().machine().set_now(200 * second);
    ASSERT_TRUE(r.cpu().write_register("stimecmp", 200 * ticks + ticks / 100));
    r.board().start();
    EXPECT_EQ(r.await_request(), "guest-shutdown");
}

Bytes saved(machines::Board& board) {
    Bytes bytes;
    migration::Progress progress;
    auto sink = [&](std::span<const u8> b) -> Result<void> {
        bytes.insert(bytes.end(), b.begin(), b.end());
        return {};
    };
    EXPECT_TRUE(migration::write_state(migration::save_state(board, true), board, sink, progress));
    return bytes;
}
void load(machines::Board& board, std::span<const u8> bytes) {
    migration::Progress progress;
    migration::Loading l(board);
    auto read = l.read(
        [&](std::span<u8> out) -> Result<void> {
            if (out.size() > bytes.size()) return Error::corrupt("ends");
            std::copy_n(bytes.begin(), out.size(), out.begin());
            bytes = bytes.subspan(out.size());
            return {};
        },
        progress);
    ASSERT_TRUE(read) << read.error().message();
    auto done = l.finish();
    ASSERT_TRUE(done) << done.error().message();
}

// From each accelerator to each: what one saves, another goes on with.
TEST_P(Accelerators, SavedMachinesGoOnUnderAnother) {
    Rig a(GetParam(), counts);
    a.board().start();
    while (a.word(counter) < 1000) std::this_thread::yield();
    a.board().stop();
    const Bytes bytes = saved(a.board());
    for (std::string_view other : {std::string_view("jit"), std::string_view("interp"), like_kvm_name}) {
        Rig b(other, counts);
        load(b.board(), bytes);
        EXPECT_EQ(b.x(10), a.x(10));
        EXPECT_EQ(b.cpu().header().pc, a.cpu().header().pc);
        if (other == like_kvm_name) { EXPECT_EQ(saved(b.board()), bytes); }
        b.board().start();
        while (b.word(counter) < a.word(counter) + 1000) std::this_thread::yield();
    }
}

// Passes over RAM while the guest writes: those that follow have what was written since, the last one with it stopped.
TEST_P(Accelerators, WhatTheGuestWritesIsNoted) {
    // A byte of each of 256 pages from 1 MiB on, again and again.
    Rig r(GetParam(), {"auipc s0, 0", "lui t0, 0x100", "add s1, s0, t0", "lui t1, 0x1", "addi a0, zero, 0",
                       // 20
                       "addi a1, s1, 0", "addi a2, zero, 256", "addi a0, a0, 1",
                       // 32
                       "sd a0, 8(a1)", "add a1, a1, t1", "addi a2, a2, -1", "bne a2, zero, 0x80000020",
                       "sd a0, 0x700(s0)", "jal zero, 0x80000014"});
    Bytes bytes;
    migration::Progress progress;
    auto sink = [&](std::span<const u8> b) -> Result<void> {
        bytes.insert(bytes.end(), b.begin(), b.end());
        return {};
    };
    migration::StateWriter w(r.board(), sink, progress);
    r.board().start();
    r.await_change(counter);
    ASSERT_TRUE(w.begin() && w.pass());
    for (u32 turn = 0; turn < 3; ++turn) {
        r.await_change(counter);
        r.await_change(counter); // a whole round since
        EXPECT_GE(w.left(), 257 * page);
        ASSERT_TRUE(w.pass());
    }
    r.await_change(counter);
    r.board().stop();
    EXPECT_LE(w.left(), 257 * page);
    EXPECT_GT(w.left(), 0u);
    ASSERT_TRUE(w.pass());
    EXPECT_EQ(w.left(), 0u);
    ASSERT_TRUE(w.end(migration::save_state(r.board(), true)));
    Rig other("interp", counts);
    load(other.board(), bytes);
    EXPECT_EQ(std::memcmp(other.ram().host(), r.ram().host(), r.ram().size()), 0);
    if (r.is_like_kvm()) { EXPECT_GE(r.seen.logged_pages, 4 * 257u); }
}

// Flash between array mode, where it is memory, and its commands, each time that the guest says so.
TEST_P(Accelerators, FlashChangesBetweenMemoryAndCommands) {
    Rig r(GetParam(), {"lui s1, 0x20000", "auipc s0, 0", "addi a1, zero, 100",
                       // 12: read status register
                       "addi t0, zero, 0x70", "sw t0, 0(s1)", "lw t1, 0(s1)", "add s2, s2, t1",
                       // 28: read array
                       "addi t0, zero, 0xff", "sw t0, 0(s1)", "lw t1, 0(s1)", "add s3, s3, t1", "addi a1, a1, -1",
                       "bne a1, zero, 0x8000000c", "sd a1, 0x6fc(s0)", "addi a4, zero, 1", "sd a4, 0x6fc(s0)",
                       "jal zero, 0x80000040"});
    memory::Place flash = r.board().machine().memory().find(0x20000000);
    ASSERT_EQ(flash.kind, memory::Place::Kind::rom);
    const u32 content = 0x1234;
    std::memcpy(flash.host(), &content, 4);
    r.board().start();
    while (r.word(counter) != 1) std::this_thread::yield();
    r.board().stop();
    EXPECT_EQ(r.x(18), 100u * 0x80);
    EXPECT_EQ(r.x(19), 100u * content);
    if (r.is_like_kvm()) { EXPECT_GE(r.seen.slots_set, 100u); }
}

// Memory that is changed under a guest that reads it and runs in it.
TEST_P(Accelerators, MemoryChangesUnderTheGuest) {
    Rig r(GetParam(), {"lui s1, 0x10000", "slli s1, s1, 4", "auipc s0, 0", "ld a0, 0(s1)", "sd a0, 0x6f8(s0)",
                       "jal zero, 0x8000000c"}); // reads 0x100000000
    std::unique_ptr<memory::RamBlock> blocks[2];
    std::unique_ptr<memory::Region> regions[2];
    for (u64 n : {0, 1}) {
        blocks[n] = *memory::RamBlock::create(fmt::format("extra{}", n), page, {});
        blocks[n]->host()[0] = u8(n + 1);
        regions[n] = std::make_unique<memory::Region>(fmt::format("extra{}", n), *blocks[n], 0, page, n == 1);
    }
    memory::Region& system = r.board().machine().system();
    system.add(*regions[0], 0x100000000);
    r.board().start();
    for (u32 turn = 0; turn < 40; ++turn) {
        const u32 now = turn % 2;
        while (r.word(counter) != now + 1) std::this_thread::yield();
        memory::Change change(r.board().machine().memory());
        system.remove(*regions[now]);
        system.add(*regions[1 - now], 0x100000000);
    }
    r.board().stop();
    system.remove(*regions[0]);
}

// A device that is busy for so many tries of a store.
struct Busy final : memory::Handler {
    std::atomic<u32> left, stores{0}, impatient{0};
    explicit Busy(u32 tries) : left(tries) {}
    memory::Outcome read(u64, u32, u64& value, memory::Attributes) override { return value = 0, memory::Outcome::ok; }
    memory::Outcome write(u64, u32, u64 value, memory::Attributes a) override {
        EXPECT_EQ(value, 7u);
        if (left && a.can_wait) {
            if (left != ~u32{0}) --left;
            return memory::Outcome::wait;
        }
        impatient += !a.can_wait;
        ++stores;
        return memory::Outcome::ok;
    }
};

constexpr std::string_view stores_to_busy[] = {"auipc s0, 0",      "addi a1, zero, 1",    "slli a1, a1, 32",
                                               "addi a0, zero, 7", "sw a0, 4(a1)",        "sd a0, 0x700(s0)",
                                               "addi a2, zero, 1", "jal zero, 0x80000018"};

// A store to a device that lets it wait: nothing behind it happens before it is done, once, and the processor can be stopped, looked at
// and asked meanwhile.
TEST_P(Accelerators, StoresWaitForDevices) {
    Rig r(GetParam(), stores_to_busy);
    Busy busy(20);
    memory::Region region("busy", busy, {}, 0x1000);
    r.board().machine().system().add(region, u64{1} << 32);
    r.board().start();
    while (r.word(counter) != 7) std::this_thread::yield();
    r.board().stop();
    EXPECT_EQ(busy.left, 0u);
    EXPECT_EQ(busy.stores, 1u);
    busy.left = ~u32{0}; // for ever
    busy.stores = 0;
    r.cpu().write_register("x12", 0);
    r.cpu().set_pc(ram_base + 16);
    r.board().start();
    if (!r.is_like_kvm()) { // whose registers are whole behind its instruction only
        for (u32 turn = 0; turn < 10; ++turn) {
            u64 pc = 0;
            r.cpu().run_inside([&](ir::CpuHeader& h) { pc = h.pc; });
            EXPECT_EQ(pc, ram_base + 16);
        }
    }
    r.board().stop();
    EXPECT_EQ(busy.stores, busy.impatient);
    if (!r.is_like_kvm()) {
        EXPECT_EQ(busy.stores, 0u);
        EXPECT_EQ(r.x(12), 0u);
    }
    busy.left = 0;
    r.board().start();
    while (busy.stores == 0) std::this_thread::yield();
    r.board().stop();
    EXPECT_EQ(busy.stores, 1u);
    r.board().machine().system().remove(region);
}

// Counted, time goes on while they wait.
TEST_P(Engines, StoresWaitInCountedTime) {
    Rig r(GetParam(), stores_to_busy, 1, cpu::CountOptions{});
    Busy busy(20);
    memory::Region region("busy", busy, {}, 0x1000);
    r.board().machine().system().add(region, u64{1} << 32);
    r.board().start();
    while (r.word(counter) != 7) std::this_thread::yield();
    r.board().stop();
    EXPECT_EQ(busy.left, 0u);
    EXPECT_EQ(busy.stores, 1u);
    EXPECT_GE(r.board().machine().now(), 20 * 100'000u);
    r.board().machine().system().remove(region);
}

// A page with code that was run often, which a debugger watches, too: a write to the code is seen by both.
TEST_P(Engines, WatchedPagesMayHaveCode) {
    constexpr u64 target = 16, store = 40;
    for (u64 watched : {target, u64{0x7f8}}) {
        Rig r(GetParam(), {"auipc s0, 0", "addi a2, zero, 100", "lw t0, 60(s0)", "addi a0, zero, 1",
                           "addi a0, a0, 1", // 16: becomes a0 += 5
                           "addi a2, a2, -1", "bne a2, zero, 0x8000000c", "bne a4, zero, 0x80000034",
                           "addi a4, zero, 1", "addi a2, zero, 3", "sw t0, 16(s0)", "fence.i", "jal zero, 0x8000000c",
                           // 52
                           "sd a0, 0x700(s0)", "jal zero, 0x80000038", "addi a0, a0, 5"});
        const cpu::Watchpoint w{.address = ram_base + watched, .bytes = 4, .write = true};
        ASSERT_TRUE(r.cpu().set_watchpoints({&w, 1}));
        r.board().start();
        if (watched == target) {
            EXPECT_EQ(r.await_pause(), cpu::Pause::watchpoint);
            EXPECT_EQ(r.cpu().header().pc, ram_base + store);
            EXPECT_EQ(r.cpu().watch_hit().address, w.address);
            r.cpu().set_watchpoints({});
            r.board().start();
        }
        while (r.word(counter) == 0) std::this_thread::yield();
        r.board().stop();
        EXPECT_EQ(r.word(counter), 6u);
    }
}

// Where time is counted, an interrupt that an access leads to is taken behind it, also beside registers that are watched.
TEST_P(Engines, WatchpointsMoveNoInterrupts) {
    for (bool watched : {false, true}) {
        Rig r(GetParam(),
              {"auipc s0, 0", "addi t0, s0, 60", "csrrw zero, mtvec, t0", "lui s1, 0x2000", "csrrwi zero, mie, 8",
               "csrrsi zero, mstatus, 8", "addi t1, zero, 1", "sw t1, 0(s1)", // 28: msip of the CLINT
               "addi a0, a0, 1", "addi a0, a0, 1", "addi a0, a0, 1", "addi a0, a0, 1", "jal zero, 0x80000030",
               "addi zero, zero, 0", "addi zero, zero, 0",
               // 60: the handler
               "csrrs a1, mepc, zero", "sd a1, 0x700(s0)", "jal zero, 0x80000044"},
              1, cpu::CountOptions{});
        const cpu::Watchpoint w{.address = 0x2000800, .bytes = 8, .read = true, .write = true};
        if (watched) { ASSERT_TRUE(r.cpu().set_watchpoints({&w, 1})); }
        r.board().start();
        while (r.word(counter) == 0) std::this_thread::yield();
        r.board().stop();
        EXPECT_EQ(r.word(counter), ram_base + 32) << watched;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, Accelerators, testing::Values("jit", "interp", like_kvm_name), [](const auto& one) {
    std::string name(one.param);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});
INSTANTIATE_TEST_SUITE_P(Of, Engines, testing::Values("jit", "interp"),
                         [](const auto& one) { return std::string(one.param); });

// ---- that it is strict

TEST(LikeKvm, ToldNothingItLosesWhatWasWritten) {
    Rig r(like_kvm_name, counts);
    r.expects_broken_rules = true;
    r.board().start();
    r.await_change(counter);
    r.board().stop();
    const isa::Guest& guest = r.cpu().guest();
    const u64 count = u64{1} << 40;
    guest.write_register(r.cpu().header(), guest.find_register("x10"), reinterpret_cast<const u8*>(&count));
    r.board().start();
    r.await_change(counter);
    r.board().stop();
    EXPECT_LT(r.x(10), count);
    ASSERT_EQ(r.seen.broken_rules.size(), 1u);
    EXPECT_EQ(r.seen.broken_rules[0], "registers of processor 0 were written without a word");
}

TEST(LikeKvm, NobodySeesRegistersOfWhatRuns) {
    Rig r(like_kvm_name, counts);
    r.expects_broken_rules = true;
    r.board().start();
    r.await_change(counter);
    static_cast<void>(r.cpu().header());
    ASSERT_EQ(r.seen.broken_rules.size(), 1u);
    EXPECT_EQ(r.seen.broken_rules[0], "registers of processor 0 are asked for while it runs");
}

TEST(LikeKvm, CountsNoInstructions) {
    like_kvm::Seen seen;
    auto guest = *isa::find_guest("riscv64")->make_system("rv64");
    cpu::CountedClock clock({});
    auto made = like_kvm::make({.guest = guest.get(), .counted = &clock}, seen);
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message().find("-icount"), std::string::npos);
}

} // namespace
} // namespace mimic
