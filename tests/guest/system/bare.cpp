// Runs a program without an operating system on processors of a guest, RAM, and three devices where RISC-V's `virt` board
// has them: a UART that only sends, the test finisher, and the CLINT. So the reference runs the same program.
//
//   bare_run --accel jit|interp [--verify] [--cpus N] [--clock real|steps] FILE.bin     (loaded and entered at 0x80000000)
//
// Prints what the program sends. Exit status: the finisher's code; 124 when the program does not end.
#include "cpu/vcpu.hpp"
#include "memory/address_space.hpp"
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

using namespace mimic;

namespace {

struct HostClock final : cpu::Clock {
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    u64 now() override { return u64(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count()); }
};

struct Board {
    HostClock clock;
    std::vector<std::unique_ptr<cpu::Vcpu>> cpus;
    std::mutex mutex;
    std::condition_variable changed;
    int status = -1;
    void end(int s) {
        std::lock_guard lock(mutex);
        if (status < 0) status = s;
        changed.notify_all();
    }
};

struct Uart final : memory::Handler {
    memory::Outcome read(u64 offset, u32, u64& value, memory::Attributes) override {
        value = offset == 5 ? 0x60 : 0; // LSR: ready
        return memory::Outcome::ok;
    }
    memory::Outcome write(u64 offset, u32, u64 value, memory::Attributes) override {
        if (offset == 0) std::putchar(int(value & 0xff));
        return memory::Outcome::ok;
    }
};

struct Finisher final : memory::Handler {
    explicit Finisher(Board& b) : board(b) {}
    Board& board;
    memory::Outcome read(u64, u32, u64& value, memory::Attributes) override { return value = 0, memory::Outcome::ok; }
    memory::Outcome write(u64, u32, u64 value, memory::Attributes) override {
        if ((value & 0xffff) == 0x5555) board.end(0);
        if ((value & 0xffff) == 0x3333) board.end(int(value >> 16 & 0xff));
        return memory::Outcome::ok;
    }
};

// msip at 0, mtimecmp at 0x4000, mtime (10 MHz) at 0xbff8.
struct Clint final : memory::Handler {
    explicit Clint(Board& b) : board(b) {
        timer = std::thread([this] { run(); });
    }
    ~Clint() override {
        {
            std::lock_guard lock(mutex);
            quit = true;
            changed.notify_all();
        }
        timer.join();
    }
    Board& board;
    std::mutex mutex;
    std::condition_variable changed;
    bool quit = false;
    u64 compare[8] = {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}};
    u32 msip[8] = {};
    std::thread timer;

    void run() {
        std::unique_lock lock(mutex);
        while (!quit) {
            u64 now = board.clock.now() / 100;
            for (std::size_t n = 0; n < board.cpus.size(); ++n) board.cpus[n]->set_line(7, now >= compare[n]);
            changed.wait_for(lock, std::chrono::milliseconds(1));
        }
    }
    memory::Outcome read(u64 offset, u32, u64& value, memory::Attributes) override {
        std::lock_guard lock(mutex);
        value = offset == 0xbff8                      ? board.clock.now() / 100
                : offset < 32                         ? msip[offset / 4]
                : offset >= 0x4000 && offset < 0x4040 ? compare[(offset - 0x4000) / 8]
                                                      : 0;
        return memory::Outcome::ok;
    }
    memory::Outcome write(u64 offset, u32, u64 value, memory::Attributes) override {
        std::lock_guard lock(mutex);
        u64 n = offset < 0x4000 ? offset / 4 : (offset - 0x4000) / 8;
        if (n >= board.cpus.size()) return memory::Outcome::ok;
        if (offset < 0x4000) {
            msip[n] = value & 1;
            board.cpus[n]->set_line(3, value & 1);
        } else {
            compare[n] = value;
            board.cpus[n]->set_line(7, board.clock.now() / 100 >= value);
        }
        return memory::Outcome::ok;
    }
};

int fail(std::string_view text) {
    std::fprintf(stderr, "bare_run: %.*s\n", int(text.size()), text.data());
    return 125;
}

} // namespace

int main(int argc, char** argv) {
    std::string accel = "jit", guest_name = "riscv64", file;
    bool verify = false, log = false;
    u32 cpus = 1;
    for (int n = 1; n < argc; ++n) {
        std::string a = argv[n];
        if (a == "--accel" && n + 1 < argc)
            accel = argv[++n];
        else if (a == "--guest" && n + 1 < argc)
            guest_name = argv[++n];
        else if (a == "--cpus" && n + 1 < argc)
            cpus = u32(std::atoi(argv[++n]));
        else if (a == "--verify")
            verify = true;
        else if (a == "--log")
            log = true;
        else
            file = a;
    }
    const isa::GuestInfo* info = isa::find_guest(guest_name);
    if (!info || !info->make_system) return fail("this guest has no system form");
    auto guest = info->make_system(info->default_model);
    if (!guest) return fail(guest.error().message());
    std::ifstream in(file, std::ios::binary);
    std::vector<char> image{std::istreambuf_iterator<char>(in), {}};
    if (image.empty()) return fail("cannot read " + file);

    Board board;
    auto ram = memory::RamBlock::create("ram", 64 << 20, {});
    if (!ram) return fail(ram.error().message());
    std::memcpy((*ram)->host(), image.data(), image.size());
    memory::Region root("root", ~u64{0});
    memory::Region memory_region("ram", **ram, 0, (*ram)->size(), false);
    Uart uart;
    Finisher finisher(board);
    memory::Region uart_region("uart", uart, {.implemented_max = 1}, 0x100),
        finisher_region("test", finisher, {.implemented_min = 4, .implemented_max = 4}, 0x1000);
    memory::AddressSpace space("memory", root);
    auto a = cpu::make_accelerator(
        accel,
        {.guest = guest->get(),
         .memory = &space,
         .clock = &board.clock,
         .translation = {.verify = verify,
                         .log = log ? cpu::log::interrupts : 0,
                         .write_log = [](void*, std::string_view t) { std::fwrite(t.data(), 1, t.size(), stderr); },
                         .on_mismatch =
                             [](void*, const cpu::Mismatch& m) {
                                 std::fprintf(stderr, "%s\nbare_run: engines differ at %#lx: %s\n", m.report.c_str(),
                                              (unsigned long)m.pc, m.difference.c_str());
                                 std::_Exit(99);
                             }}});
    if (!a) return fail(a.error().message());
    for (u32 n = 0; n < cpus; ++n) {
        auto c = (*a)->make_vcpu({.index = n, .id = n});
        if (!c) return fail(c.error().message());
        (*c)->set_pc(0x80000000);
        u64 id = n;
        (*c)->write_register("x10", id);
        board.cpus.push_back(std::move(*c));
    }
    auto clint = std::make_unique<Clint>(board);
    memory::Region clint_region("clint", *clint, {.min = 4, .implemented_min = 4}, 0x10000);
    root.add(memory_region, 0x80000000);
    root.add(uart_region, 0x10000000);
    root.add(finisher_region, 0x100000);
    root.add(clint_region, 0x2000000);
    for (auto& c : board.cpus) c->start();
    {
        std::unique_lock lock(board.mutex);
        board.changed.wait_for(lock, std::chrono::seconds(60), [&] { return board.status >= 0; });
    }
    for (auto& c : board.cpus) c->stop();
    for (auto& c : board.cpus) c->wait_stopped();
    std::fflush(stdout);
    if (log) std::fputs((*a)->statistics().c_str(), stderr);
    root.remove(clint_region);
    clint.reset();      // its thread looks at them
    board.cpus.clear(); // before their accelerator
    return board.status < 0 ? 124 : board.status;
}
