#include "ir/interpreter.hpp"
#include "ir/interpreter_run.hpp"
#include <atomic>

namespace mimic::ir {

void Interpreter::run(const Unit& unit, const GuestState& guest, CpuHeader& cpu, Access& memory, BlockId from) {
    if (frame_.size() < unit.code.size()) frame_.resize(unit.code.size());
    Run run{unit, guest, cpu, &memory, frame_.data(), arena_, args_};
    run.go(from);
    guest_insns_ = run.guest_insns;
}

// One function so that the compiler keeps instruction, place and code in registers; a line an operation.
void Run::go(BlockId from) {
    const Inst* const code = unit.code.data();
    const Block* block = &unit.blocks[from];
    const Inst* at = code + block->begin;
    Place* place = frame + block->begin;
    pc = block->pc;

    auto leave = [&](ExitKind kind, u64 to) {
        cpu.exit_kind = kind;
        cpu.pc = cpu.code_base + to;
    };
    auto leave_insn = [&](ExitKind kind, u64 to) { // from inside a guest instruction: its mode bits
        if (insn_mode != none) cpu.mode = insn_mode;
        leave(kind, to);
    };
    const bool counted = unit.key.flavour & flavour::icount;
    u32 paid = 0;    // counted: what guest_insns will be at the end of the block
    auto pay = [&] { // for the block that is entered; false: leave with budget
        const u32 n = count_insns(unit, *block);
        paid = guest_insns + n;
        if (cpu.budget >= n) return cpu.budget -= n, true;
        insn_mode = code[block->begin].c;
        leave_insn(ExitKind::budget, block->pc);
        return false;
    };
    auto jump = [&](BlockId to) { // false: leave with poll or budget
        const Block* target = &unit.blocks[to];
        if (target->pc <= block->pc && std::atomic_ref(cpu.poll).load(std::memory_order_relaxed) &&
            polls_on(unit, block->pc, to)) [[unlikely]] {
            insn_mode = code[target->begin].c;
            leave_insn(ExitKind::poll, target->pc);
            return false;
        }
        block = target;
        at = code + block->begin;
        place = frame + block->begin;
        arena_top = 0;
        return !counted || pay();
    };
    if (counted && !pay()) return;

#define A value(i.a)
#define B value(i.b)
#define INTEGER(name, expression)                                                                                      \
    case Op::name:                                                                                                     \
        if (i.type == Type::i128) [[unlikely]]                                                                         \
            int128(i, out);                                                                                            \
        else                                                                                                           \
            out.w[0] = (expression)&mask_of(i.type);                                                                   \
        break;

    for (;;) {
        const Inst& i = *at++;
        Place& out = *place++;
        switch (i.op) {
        case Op::nop: break;
        case Op::code_address: out.w[0] = (cpu.code_base + i.imm) & mask_of(i.type); break;
        case Op::constant:
            if (is_int(i.type) && i.type != Type::i128) [[likely]]
                out.w[0] = i.imm;
            else
                constant(i, out);
            break;
        case Op::get: get(i, slot(i), out); break;
        case Op::put: put(i.type, i.a, slot(i)); break;
        case Op::get_idx: {
            SlotArg s = SlotArg::from(i.imm);
            get(i, slot(i) + (A & (s.count - 1u)) * s.stride, out);
            break;
        }
        case Op::put_idx: {
            SlotArg s = SlotArg::from(i.imm);
            put(i.type, i.b, slot(i) + (A & (s.count - 1u)) * s.stride);
            break;
        }
        case Op::arg:
            argument(i, out);
            break;

            INTEGER(add, A + B)
            INTEGER(sub, A - B)
            INTEGER(mul, A * B)
            INTEGER(mulhu, u64(u128(A) * B >> width_of(i.type)))
            INTEGER(mulhs, u64(mimic::i128(signed_of(A, i.type)) * signed_of(B, i.type) >> width_of(i.type)))
            INTEGER(udiv, divide(i))
            INTEGER(sdiv, divide(i))
            INTEGER(urem, divide(i))
            INTEGER(srem, divide(i))
            INTEGER(and_, A & B)
            INTEGER(or_, A | B)
            INTEGER(xor_, A ^ B)
            INTEGER(not_, ~A)
            INTEGER(neg, 0 - A)
            INTEGER(shl, A << (B & (width_of(i.type) - 1)))
            INTEGER(lshr, A >> (B & (width_of(i.type) - 1)))
            INTEGER(ashr, u64(signed_of(A, i.type) >> (B & (width_of(i.type) - 1))))
            INTEGER(rotr, bits(i))
            INTEGER(clz, bits(i))
            INTEGER(ctz, bits(i))
            INTEGER(popcnt, bits(i))
            INTEGER(bswap, bits(i))
            INTEGER(bitrev, bits(i))
            INTEGER(sext, u64(signed_of(A, type_of(i.a))))
            INTEGER(zext, A)
            INTEGER(trunc, A)
            INTEGER(ubfx, bits(i))
            INTEGER(sbfx, bits(i))
            INTEGER(bfi, bits(i))
        case Op::icmp:
            if (i.type == Type::i128) [[unlikely]]
                int128(i, out);
            else
                out.w[0] = holds(Rel(i.sub), A, B, i.type);
            break;
        case Op::select: out = frame[A ? i.b : i.c]; break;
        case Op::pair:
        case Op::half:
        case Op::bitcast: convert(i, out); break;

        case Op::flags_add:
        case Op::flags_sub:
        case Op::flags_logic: out.w[0] = flags(i); break;
        case Op::flags_from:
        case Op::flags_bits: out.w[0] = A & flag::all; break;
        case Op::flags_merge: out.w[0] = (B & i.imm) | (A & ~i.imm & flag::all); break;
        case Op::cond: out.w[0] = holds(Cond(i.sub), u32(A), i.imm & flags_invert_c); break;

        case Op::load:
        case Op::store:
        case Op::rmw:
        case Op::cas:
        case Op::fence:
        case Op::probe:
        case Op::load_mask:
        case Op::store_mask:
        case Op::gather:
        case Op::scatter:
        case Op::load_ff:
            if (counted) [[unlikely]]
                cpu.behind = paid - guest_insns;
            if (!access(i, out)) [[unlikely]]
                return leave_insn(ExitKind::fault, pc);
            break;

        case Op::insn:
            pc = i.imm;
            insn_mode = i.c;
            ++guest_insns;
            break;
        case Op::br:
            if (i.imm) pass_arguments(i);
            if (!jump(i.b)) return;
            break;
        case Op::brcond:
            if (!jump(A ? i.b : i.c)) return;
            break;
        case Op::exit:
            cpu.exit_arg = 0;
            if (i.c != none) cpu.mode = i.c;
            return leave(ExitKind::link, i.imm);
        case Op::exit_ind:
            cpu.exit_arg = 0;
            if (i.c != none) cpu.mode = i.c;
            return leave(ExitKind::lookup, A - cpu.code_base);
        case Op::trap: {
            u64 detail = i.b == none ? 0 : B;
            cpu.exit_arg = i.sub | detail << 8;
            cpu.fault_address = detail;
            cpu.behind = 0;
            return leave_insn(ExitKind::trap, i.imm);
        }
        case Op::call:
            if (counted) [[unlikely]]
                cpu.behind = paid - guest_insns;
            if (!call(i, out)) [[unlikely]] {
                leave_insn(cpu.exit_kind, pc);
                return;
            }
            break;
        case Op::result: out = {{results[i.sub].w[0] & mask_of(i.type), results[i.sub].w[1]}}; break;
        case Op::fadd:
        case Op::fsub:
        case Op::fmul:
        case Op::fdiv:
        case Op::fsqrt:
        case Op::fma:
        case Op::fmin:
        case Op::fmax:
        case Op::fcmp:
        case Op::flags_fcmp:
        case Op::fround:
        case Op::fcvt:
        case Op::ftos:
        case Op::ftou:
        case Op::stof:
        case Op::utof:
        case Op::fneg:
        case Op::fabs:
        case Op::fcopysign: scalar_fp(i, out); break;
        case Op::fbox:
        case Op::funbox: box(i, out); break;
        case Op::fpflags:
        case Op::fpflags_set:
        case Op::fpmode_set: fp_state(i, out); break;
        default: vector(i, out);
        }
    }
#undef INTEGER
#undef A
#undef B
}

int evaluate(const Unit& unit, const GuestState& guest, CpuHeader& cpu, Access* memory, const Wide* args,
             Wide& result) {
    std::vector<u8> arena, buffer;
    Place frame[5] = {};
    for (u32 k = 0; k < 3; ++k) {
        // bits above the type are the back end's business
        u32 n = size_of(unit.code[k].type);
        std::memcpy(&frame[k], &args[k], n);
        if (is_int(unit.code[k].type)) frame[k].w[0] &= mask_of(unit.code[k].type);
    }
    u64 pc = cpu.pc, arg = cpu.exit_arg;
    Run run{unit, guest, cpu, memory, frame, arena, buffer};
    run.go(0);
    bool faulted = cpu.exit_kind == ExitKind::fault;
    cpu.pc = pc, cpu.exit_arg = arg;
    std::memcpy(&result, &frame[3], sizeof result);
    return faulted;
}

} // namespace mimic::ir
