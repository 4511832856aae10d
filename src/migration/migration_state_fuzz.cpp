// A saved machine is untrusted: bytes are read as one, and a good one is read with bytes of it changed; checksums do not matter.
#include "base/check.hpp"
#include "devices/types.hpp"
#include "migration/state.hpp"
#include <algorithm>

using namespace mimic;

namespace {

std::unique_ptr<machines::Board> make_board() {
    machines::BoardOptions o;
    o.ram_bytes = 1 << 14;
    o.ram.backing = memory::RamBlock::Backing::anonymous;
    o.accelerator = "qtest";
    o.machine.manual_clock = true;
    o.machine.random_seed = 1;
    o.machine.types = devices::types();
    o.smp.cpus = 2;
    auto board = (*machines::find_board("riscv64", "virt"))->make(o);
    MIMIC_CHECK(board->build(), "the board cannot be made");
    MIMIC_CHECK(board->reset(devices::ResetKind::power_on), "the board cannot be reset");
    return board;
}

void load(machines::Board& board, std::span<const u8> bytes) {
    migration::Progress progress;
    migration::Loading l(board, false);
    auto source = [&](std::span<u8> out) -> Result<void> {
        if (out.size() > bytes.size()) return Error::corrupt("ends");
        std::copy_n(bytes.begin(), out.size(), out.begin());
        bytes = bytes.subspan(out.size());
        return {};
    };
    if (l.read(source, progress)) l.finish().value_or(false);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static std::unique_ptr<machines::Board> board = make_board();
    static const std::vector<u8> good = [] {
        std::vector<u8> bytes;
        migration::Progress progress;
        auto sink = [&](std::span<const u8> b) -> Result<void> {
            bytes.insert(bytes.end(), b.begin(), b.end());
            return {};
        };
        MIMIC_CHECK(migration::write_state(migration::save_state(*board, true), *board, sink, progress), "cannot save");
        return bytes;
    }();
    load(*board, {data, size});
    // Three bytes say where, the fourth what.
    std::vector<u8> bad = good;
    for (size_t i = 0; i + 3 < size; i += 4)
        bad[(data[i] | data[i + 1] << 8 | data[i + 2] << 16) % bad.size()] = data[i + 3];
    load(*board, bad);
    board->machine().set_running(true);
    board->machine().advance(1000000);
    board->machine().set_running(false);
    if (!board->reset(devices::ResetKind::cold)) __builtin_trap();
    return 0;
}
