// All devices of a board, driven as QTest does: each eight bytes of input are an access, a step of the clock or a line. Nothing
// of it may end the process, go on for ever or reach memory that is not the guest's.
#include "devices/types.hpp"
#include "monitor/qtest.hpp"
#include <cstring>

using namespace mimic;

namespace {

// Where the board's devices are, and the start of its RAM.
constexpr u64 places[] = {0x100000,   0x101000,   0x2000000,  0x2004000,  0xc000000,  0xc200000,
                          0x10000000, 0x10001000, 0x10002000, 0x10100000, 0x10100008, 0x10100010,
                          0x20000000, 0x22000000, 0x80000000, 0x0};

struct World {
    std::unique_ptr<machines::Board> board;
    World() {
        const machines::BoardType* type = *machines::find_board("riscv64", "virt");
        machines::BoardOptions o;
        o.ram_bytes = 1 << 16;
        o.ram.backing = memory::RamBlock::Backing::anonymous;
        o.accelerator = "qtest";
        o.machine.manual_clock = true;
        o.machine.random_seed = 1;
        o.machine.types = devices::types();
        o.smp.cpus = 2;
        board = type->make(o);
        MIMIC_CHECK(board->build(), "the board cannot be made");
        MIMIC_CHECK(board->reset(devices::ResetKind::power_on), "the board cannot be reset");
        board->start();
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static World world;
    devices::Machine& machine = world.board->machine();
    monitor::QtestCommands q(machine, false, [](std::string_view) {});
    machine.reset(devices::ResetKind::cold);
    q.run("irq_intercept_in plic");
    for (size_t at = 0; at + 8 <= size && at < 8 * 400; at += 8) {
        const u8* d = data + at;
        u16 offset, value;
        std::memcpy(&offset, d + 2, 2);
        std::memcpy(&value, d + 4, 2);
        u64 address = places[d[1] % std::size(places)] + offset, wide = u64(value) << (d[6] % 49);
        char letter = "bwlq"[d[7] % 4];
        switch (d[0] % 8) {
        case 0:
        case 1:
        case 2: q.run(fmt::format("write{} {:#x} {:#x}", letter, address, wide)); break;
        case 3: q.run(fmt::format("read{} {:#x}", letter, address)); break;
        case 4: q.run(fmt::format("read {:#x} {}", address, value % 512 + 1)); break;
        case 5: q.run(fmt::format("clock_step {}", wide & 0xffffffff)); break;
        case 6: q.run(fmt::format("set_irq_in plic x {} {}", offset, d[6] & 1)); break;
        case 7: q.run(fmt::format("memset {:#x} {} {}", address, value % 512, d[6])); break;
        }
    }
    return 0;
}
