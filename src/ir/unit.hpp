// A unit: several basic blocks of guest code in IR, with one entry. It is what passes, interpreter and JIT work on.
//
// Values are the indices of the instructions that define them, valid inside their block only; between blocks state
// travels in slots, or in block arguments.
//
// Commit rule: the slots of a guest instruction are written after its last operation that may fault, so that at any
// fault the slots hold the state at the start of the instruction that faulted.
#pragma once
#include "base/types.hpp"
#include "ir/intrinsic.hpp"
#include "ir/type.hpp"
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

namespace mimic::ir {

enum class Op : u8 {
#define OP(name, result, operands, effect, text) name,
#include "ir/ops.def"
#undef OP
};

struct OpInfo {
    std::string_view name;
    Type result; // a fixed type; Type::none: Inst::type, unless has_result is false
    bool has_result;
    u8 operands; // how many of a, b, c are values
    char effect; // P S M C X E: see ops.def
};
namespace detail {
constexpr Type fixed_result(std::string_view s) {
    if (s == "i1") return Type::i1;
    if (s == "i32") return Type::i32;
    if (s == "i64") return Type::i64;
    if (s == "flags") return Type::flags;
    if (s == "mask") return Type::mask;
    return Type::none;
}
// C++ keywords carry an underscore in the enum, not in the text.
constexpr std::string_view trim(std::string_view s) { return s.back() == '_' ? s.substr(0, s.size() - 1) : s; }
inline constexpr OpInfo ops[] = {
#define OP(name, result, operands, effect, text)                                                                       \
    {trim(#name), fixed_result(#result), std::string_view(#result) != "-", u8(#operands[0] - '0'), #effect[0]},
#include "ir/ops.def"
#undef OP
};
} // namespace detail
constexpr const OpInfo& info(Op op) { return detail::ops[u8(op)]; }
inline constexpr u32 op_count = u32(std::size(detail::ops));

using ValueId = u32;
using BlockId = u32;
using SlotId = u16;
inline constexpr u32 none = ~0u; // absent operand or block

struct Inst {
    Op op = Op::nop;
    Type type = Type::none; // of the result; of put, store and flags_*: of the operand
    u8 sub = 0;             // see ops.def
    Lane lane = Lane::i8;
    u32 a = none, b = none, c = none;
    u64 imm = 0;
};

// imm of get, put, get_idx, put_idx.
struct SlotArg {
    SlotId slot = 0;
    u16 offset = 0; // bytes into the slot
    u16 count = 1;  // get_idx, put_idx: number of slots, a power of two
    u16 stride = 0; // get_idx, put_idx: bytes between two of them
    constexpr u64 bits() const { return u64(slot) | u64(offset) << 16 | u64(count) << 32 | u64(stride) << 48; }
    static constexpr SlotArg from(u64 v) { return {u16(v), u16(v >> 16), u16(v >> 32), u16(v >> 48)}; }
    bool operator==(const SlotArg&) const = default;
};

// imm of call: indices into Unit::calls, and one more than that of the list of further operands in Unit::extra.
struct CallArg {
    u32 callee = 0, rest = 0;
    constexpr u64 bits() const { return callee | u64(rest) << 32; }
    static constexpr CallArg from(u64 v) { return {u32(v), u32(v >> 32)}; }
};

// Type of the value that an instruction defines; none when it defines none.
constexpr Type result_type(const Inst& i) {
    const OpInfo& o = info(i.op);
    if (!o.has_result) return Type::none;
    return o.result == Type::none ? i.type : o.result;
}

enum class Order : u8 { plain, acquire, release, acq_rel, seq_cst };
enum class Align : u8 {
    any,
    natural,
    atomic16
}; // natural: a misaligned access traps; atomic16: may not cross 16 bytes

// imm of memory ops.
struct MemArg {
    i32 disp = 0;
    Type memory = Type::i64; // what stands in memory
    bool sign = false;       // loads of a narrower integer: sign extended, else zero extended
    bool big = false;        // big-endian
    Align align = Align::any;
    Order order = Order::plain;
    u8 index = 0; // privilege (MMU) index; user mode: 0
    constexpr u64 bits() const {
        return u64(u32(disp)) | u64(memory) << 32 | u64(sign) << 40 | u64(big) << 41 | u64(align) << 42 |
               u64(order) << 44 | u64(index) << 48;
    }
    static constexpr MemArg from(u64 v) {
        return {i32(u32(v)),        Type(v >> 32 & 0xff), bool(v >> 40 & 1), bool(v >> 41 & 1),
                Align(v >> 42 & 3), Order(v >> 44 & 7),   u8(v >> 48)};
    }
    bool operator==(const MemArg&) const = default;
};

enum class Rmw : u8 { add, sub, and_, or_, xor_, andn, swap, smin, smax, umin, umax };

// imm of FP ops.
struct FpArg {
    Round round = Round::dynamic;
    bool neg_product = false, neg_addend = false; // fma
    bool exact = false;                           // fround: raises inexact
    constexpr u64 bits() const { return u64(round) | u64(neg_product) << 8 | u64(neg_addend) << 9 | u64(exact) << 10; }
    static constexpr FpArg from(u64 v) {
        return {Round(v & 0xff), bool(v >> 8 & 1), bool(v >> 9 & 1), bool(v >> 10 & 1)};
    }
};
// Flavours of fmin and fmax.
enum class MinMax : u8 {
    number,  // IEEE 754-2019 minimumNumber: a number beats a NaN, -0 < +0 (RISC-V; SNaN raises invalid)
    num2008, // IEEE 754-2008 minNum: as number, but an SNaN gives NaN (Arm FMINNM)
    nan,     // IEEE 754-2019 minimum: a NaN wins, -0 < +0 (Arm FMIN)
    x86,     // Intel SDM MINSS: the second operand when equal or unordered
};
// imm.pos, imm.len of ubfx, sbfx, bfi.
constexpr u64 bit_range(u32 pos, u32 len) { return u64(pos) | u64(len) << 8; }
// fpmode_set: bits 0..2 Round, then these.
namespace fpmode {
inline constexpr u32 flush_outputs = 8, flush_inputs = 16, default_nan = 32, flush_f16 = 64, alt_half = 128;
inline constexpr u32 precision_24 = 256, precision_53 = 512; // of f80 results
} // namespace fpmode
// flags_*: imm bit 0.
inline constexpr u64 flags_invert_c = 1;

enum class ExitHint : u8 { jump, call, ret };
enum class TrapKind : u8 {
    syscall,
    breakpoint,
    illegal,          // the instruction is not one; detail: 0, or illegal_operand
    misaligned_fetch, // of the pc in detail
    fetch_fault,      // code could not be read at imm
    fp,               // an enabled FP exception
    divide,           // division trap
    overflow,
    privileged,
    flush_code, // an instruction-cache flush: code may have changed everywhere; detail: address
    wait,       // idle until an interrupt
    guest,      // a guest's own kind: detail says which
    stale_code, // the guest bytes that the unit was made from have changed; the room cpu's own
};

// Of TrapKind::illegal: the instruction is one, but not with this operand (a pointer with a wrong code).
inline constexpr u64 illegal_operand = 1;

// Kinds of the vector families: see kinds.def.
#define MIMIC_KIND(name, effect, text) name,
#define VBIN MIMIC_KIND
enum class VBin : u8 {
#include "ir/kinds.def"
};
#define VUN MIMIC_KIND
enum class VUn : u8 {
#include "ir/kinds.def"
};
#define VTERN MIMIC_KIND
enum class VTern : u8 {
#include "ir/kinds.def"
};
#define VSHIFT MIMIC_KIND
enum class VShift : u8 {
#include "ir/kinds.def"
};
#define VREL MIMIC_KIND
enum class VRel : u8 {
#include "ir/kinds.def"
};
#define VNARROW MIMIC_KIND
enum class VNarrow : u8 {
#include "ir/kinds.def"
};
#define VREDUCE MIMIC_KIND
enum class VReduce : u8 {
#include "ir/kinds.def"
};
#undef MIMIC_KIND
struct KindInfo {
    std::string_view name;
    char effect; // P Q F: see kinds.def
};
// The kinds of a vector family (vbin, vun, vtern, vshift, vcmp, vnarrow, vreduce), by Inst::sub; empty for other ops.
std::span<const KindInfo> kinds_of(Op op);

struct Block {
    u32 begin = 0, end = 0; // range of Unit::code
    u64 pc = 0;             // guest pc of its start
    bool entry = false;     // may be entered from outside the unit
    std::vector<Type> args;
};

// Identifies what a block was translated under: guest mode bits (byte order, privilege, IT state, vector length...) and
// the flavour of code. Units link directly only where what is entered has the key that was left to.
struct BlockKey {
    u32 mode = 0; // the guest's own
    u32 flavour = 0;
    bool operator==(const BlockKey&) const = default;
};
namespace flavour {
inline constexpr u32 verify = 1, one_insn = 2, single_thread = 8;
// Instructions are counted: a block that begins one takes its number of them from CpuHeader::budget when it is entered, and
// leaves with ExitKind::budget, before anything of it is done, when there are fewer left. Blocks that begin inside an
// instruction end with it.
inline constexpr u32 icount = 4;
// The top byte of addresses does not count and is replaced by bit 55 before each access (Arm's TBI).
inline constexpr u32 top_byte_ignored = 16;
// Indirect branches set the mode bits of GuestState::entry_mode; the unit's code lies in guarded pages.
inline constexpr u32 entry_mode = 32, guarded = 64;
// The mapping of guest pages may change under the unit's feet: only edges inside its page are linked. Its page may be seen at
// several addresses: pcs, those of Unit and Block, too, count from CpuHeader::code_base; exit_ind has whole ones.
inline constexpr u32 paged = 128;
} // namespace flavour
inline constexpr u64 code_page = 4096;

struct Unit {
    u64 pc = 0;
    BlockKey key;
    u32 vector_bytes = 16;
    std::vector<Inst> code;
    std::vector<Block> blocks; // [0] is the entry
    std::vector<u64> wide;     // constants wider than 64 bits, tables of shuffles
    std::vector<u32> extra;    // operands beyond three: a count, then values
    std::vector<const Intrinsic*> calls;
    u32 guest_insns = 0;
    u64 guest_low = 0, guest_high = 0; // bytes translated lie in [low, high)

    void clear() {
        code.clear(), blocks.clear(), wide.clear(), extra.clear(), calls.clear();
        guest_insns = 0, guest_low = guest_high = 0, pc = 0;
    }
};

// Does the edge from a block with pc `from` to block `to` poll? Edges back to (or within) the start of a guest
// instruction do; edges inside an instruction must not, since its slots may be half written, and neither do edges with
// arguments, which would be lost.
inline bool polls_on(const Unit& unit, u64 from, BlockId to) {
    const Block& b = unit.blocks[to];
    return b.pc <= from && b.args.empty() && b.begin < b.end && unit.code[b.begin].op == Op::insn;
}

// Guest instructions that begin in a block.
inline u32 count_insns(const Unit& unit, const Block& b) {
    u32 n = 0;
    for (u32 k = b.begin; k < b.end; ++k) n += unit.code[k].op == Op::insn;
    return n;
}

} // namespace mimic::ir
