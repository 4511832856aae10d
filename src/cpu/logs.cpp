// What `-d` shows of translation, and the report of a mismatch.
#include "cpu/space.hpp"
#include "ir/text.hpp"
#include <algorithm>

namespace mimic::cpu {

bool CodeSpace::Impl::logs(u32 item, u64 pc) const {
    if (!(log_items.load(std::memory_order_relaxed) & item) || !options.write_log) return false;
    return options.log_ranges.empty() || std::any_of(options.log_ranges.begin(), options.log_ranges.end(),
                                                     [&](const Range& r) { return r.contains(pc); });
}

// The instructions as they stand in memory, in the order of the unit.
std::string CodeSpace::Impl::guest_code(const ir::Unit& unit, const Translation& t) {
    std::string s;
    for (const ir::Block& b : unit.blocks)
        for (u32 n = b.begin; n < b.end; ++n) {
            const ir::Inst& i = unit.code[n];
            if (i.op != ir::Op::insn || i.sub == 0) continue;
            u8 bytes[16];
            u32 most = std::min<u32>(i.sub, sizeof bytes), length = 0;
            u32 count = options.paged ? fetch_paged(t, i.imm, {bytes, most}) : source.fetch(i.imm, bytes, most);
            const u64 pc = t.base + i.imm;
            s += fmt::format("{:#012x}:  {}\n", pc,
                             guest.disassemble({bytes, count}, pc, i.c == ir::none ? unit.key.mode : i.c, length));
        }
    return s;
}

// What `-d cpu` shows at the beginning of a unit: the pc and the registers that programs compute addresses and integers with,
// four a line.
std::string CodeSpace::Impl::register_text(ir::CpuHeader& cpu) const {
    std::string s = fmt::format("{:>8} {:016x}", "pc", cpu.pc);
    auto all = guest.registers();
    u32 shown = 1;
    for (u32 n = 0; n < all.size(); ++n) {
        if (all[n].internal || all[n].fp || all[n].bytes > 8) continue;
        u64 value = 0;
        guest.read_register(cpu, n, reinterpret_cast<u8*>(&value));
        s += fmt::format("{}{:>8} {:0{}x}", shown++ % 4 ? " " : "\n", all[n].name, value, all[n].bytes * 2);
    }
    return s + "\n";
}

// What `-d in_asm,op` show of a unit before passes.
std::string CodeSpace::Impl::text_of(const ir::Unit& unit, const Translation& t) {
    std::string s;
    const u64 pc = t.base + t.pc;
    if (logs(log::in_asm, pc)) s = fmt::format("IN: {:#x}\n{}\n", pc, guest_code(unit, t));
    if (logs(log::op, pc)) s += fmt::format("OP: {:#x}\n{}\n", pc, ir::print(unit, guest.state()));
    return s;
}

void CodeSpace::Impl::write_translation(std::string text_before, const ir::Unit& unit, const Translation& t) {
    const u64 pc = t.base + t.pc;
    if (logs(log::op_opt, pc))
        text_before += fmt::format("OP after optimization: {:#x}\n{}\n", pc, ir::print(unit, guest.state()));
    if (!text_before.empty()) options.write_log(options.owner, text_before);
}

void CodeSpace::Impl::log_host_code(const Translation& t) {
    const u64 pc = t.base + t.pc;
    if (!logs(log::out_asm, pc)) return;
    options.write_log(options.owner, fmt::format("OUT: {:#x}, {} bytes\n{}\n", pc, t.bytes, text));
}

// The unit is emitted once more for its text; what is written behind the used code is not kept.
std::string CodeSpace::Impl::report_mismatch(Node& n, const std::string& states) {
    const ir::Unit& unit = *n.translation->own->unit;
    std::string s =
        fmt::format("guest code of the unit at {:#x}, entered at {:#x}:\n{}\nIR:\n{}\n", n.translation->base + unit.pc,
                    n.translation->base + n.pc, guest_code(unit, *n.translation), ir::print(unit, guest.state()));
    analysis.run(unit, guest.state(), backend->plan());
    u64 room = 0;
    std::string host;
    emitted.text = &host;
    if (auto space = cache->room(room);
        space && jit::Emitted::words_a_block * unit.blocks.size() <= cache->links_left())
        backend->emit(unit, analysis, address_model(), *space, cache->writable(*space), room,
                      cache->links() + cache->next_link(), emitted);
    emitted.text = nullptr;
    return s + fmt::format("host code:\n{}\nstates ('*': different):\n{}", host.empty() ? "(no room)\n" : host, states);
}

} // namespace mimic::cpu
