// Lowering of IR to x86-64. Registers: rsp host stack, rbp the state (biased), rax rcx rdx and the first xmm registers temporaries; the
// others hold the guest slots of the register plan. Guest memory is reached through the GS base.
//
// A value is in a temporary, in the register of a slot that holds the same value, in memory (its slot's home or a
// spill place), or a constant. Overwriting a slot first moves the values that still live there.
#pragma once
#include "jit/host/host.hpp"
#include <algorithm>
#include <asmjit/x86.h>
#include <functional>

namespace mimic::jit::x86 {

using asmjit::Label;
using asmjit::x86::Gp;
using asmjit::x86::Mem;
using asmjit::x86::Xmm;
using ir::BlockId;
using ir::Inst;
using ir::Op;
using ir::Type;
using ir::ValueId;

class Records;

struct Features {
    bool avx = false, avx2 = false, bmi1 = false, bmi2 = false, lzcnt = false, fma = false, avx512vl = false,
         movbe = false, sse41 = false, popcnt = false, lahf = false;
    bool aes = false, pclmul = false, sha = false;
    // With avx512vl only; vaes and vpclmul: that xmm16 and above can take part.
    bool avx512cd = false, bitalg = false, gfni = false, vbmi = false, vaes = false, vpclmul = false;
    // What the host has, of the x86-64 microarchitecture levels up to `level` (x86-64 psABI, table 3.1).
    static Features probe(u32 level);
    std::string text() const; // a character each
};

// With AVX-512: a bit of checks is set while every result that was looked at since it was begun is good in that lane; the
// others are constant, one lane and the opposites of two and of four.
inline const asmjit::x86::KReg checks = asmjit::x86::k2, first_lane = asmjit::x86::k7, not_two_lanes = asmjit::x86::k5,
                               not_four_lanes = asmjit::x86::k6;

// rbp points this far into the state block, so that short displacements reach the first 256 bytes of slots.
// It is odd: see test_poll.
inline constexpr i32 bias = i32(ir::slots_offset) + 129;

inline constexpr u32 temp_count = 3;
inline constexpr u8 gpr_temps[temp_count] = {0, 1, 2};                    // rax rcx rdx
inline constexpr u8 gpr_pins[] = {3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; // rbx rsi rdi r8-r15
// xmm0-3, and two more where there are 32.
inline constexpr u32 most_vec_temps = 6;
constexpr u32 vec_temps(const Features& f) { return f.avx512vl ? most_vec_temps : 4; }
// Emitted::Owed::late has five bits for each temporary: the register that wants its value, or 0, which is a temporary.
constexpr u32 late_bits(u32 temp, u32 reg) { return reg << 5 * temp; }
constexpr u32 late_register(u32 late, u32 temp) { return late >> 5 * temp & 31; }

// Entries of the cache of indirect branches: in use at first, and at most, when misses show a large working set.
inline constexpr u32 first_jump_entries = 1 << 10, jump_entries = 1 << 16;
// MXCSR (Intel SDM vol. 1, figure 10-3): the flags of IEEE 754, that of denormal operands, all masks; rounding, flushing.
inline constexpr u32 mxcsr_ieee = 0x3d, mxcsr_denormal = 2, mxcsr_masks = 0x1f80, mxcsr_rc = 0x6000,
                     mxcsr_flush = 0x8040;
// A trap takes some 10 000 cycles, asking for the flags 15 and more: where flags are cleared and raised again and again,
// traps are armed seldom.
inline constexpr u32 first_unarmed_reads = 1 << 10, most_unarmed_reads = 1 << 16;
// Offsets in the host area, which follows the guest's slots in the state block.
inline constexpr u32 most_kept = 12; // operations that wait for one test of their results
struct HostArea {
    u64 stub_link, stub_lookup, stub_poll, stub_budget, stub_trap, stub_fault, stub_call, stub_keep, stub_slow,
        stub_leave, stub_recent_read, stub_recent_write, stub_page_read, stub_page_write;
    u64 give_back;             // where a fault goes in a unit with a plan of its own; 0: the plan is everybody's
    u64 call_body, call_owner; // what stub_call calls, and with whom
    alignas(16) u64 sign_f64[2], sign_f32[2], abs_f64[2], abs_f32[2], nan_f64[2], nan_f32[2], box_f32[2], zero[2];
    u64 exponents_f64;                            // the exponent's bits but the last
    u8 reversed_flags[64], flags_of_reversed[32]; // MXCSR's flags as Op::fpflags reversed has them, and back
    // The sticky flags as Op::fpflags reversed gives them, while those that are clear trap when they are raised; -1: not
    // known, and nothing traps. How many reads do not arm the traps, and how many shall not after the next one.
    i32 known_flags;
    u32 unarmed_reads, next_unarmed_reads;
    u32 mxcsr_rounding[8];   // by the low bits of FpEnv::mode
    alignas(16) u64 park[2]; // an operand that its instruction's result would overwrite
    alignas(16) u64 redone[2 * most_kept];
    alignas(16) u64 spill[2 * 64];
    alignas(16) u64 at_fault[2 * most_vec_temps]; // the temporaries, when an access faulted
    u64 paged_jumps;                              // const JumpEntry*
    TlbViews tlb;
    u64 deltas[PageGroup::most]; // of the pages of a block's groups that have no recent one: as TlbRecent::delta
    u64 written;      // the address of the access that writes and looks at the TLB, or whose page becomes a recent one:
    u64 recent_entry; // the TlbEntry*
    u64 recent_place; // where the TlbRecent is, from the state's register on
    u64 jump_mask, jump_misses; // selects the bits of a pc that number an entry; misses since the mask grew
    u64 jump_pages[jump_entries / 256 / 64]; // which groups of 256 entries hold something
    // jump_entries pairs follow: a megabyte, touched where it is used.
    alignas(64) u64 jump[];
};

struct Layout { // of the state block, relative to rbp
    i32 header(u32 offset) const { return i32(offset) - bias; }
    i32 slot(u32 offset) const { return i32(ir::slots_offset + offset) - bias; }
    i32 area = 0; // of HostArea
    i32 host(u32 offset) const { return area + i32(offset); }
};

// One operation on vectors: its two-operand form, and the three-operand form of AVX; 0: there is none.
struct Pair {
    u32 sse = 0, avx = 0;
};

class Lowering {
public:
    Lowering(const ir::GuestState& guest, const RegisterPlan& plan, const Features& f, const Layout& layout,
             u32 jump_shift, Records& records);

    bool run(const ir::Unit& unit, const Analysis& analysis, AddressModel model, const u8* code, u8* writable, u64 room,
             const u64* first_link, Emitted& out);

private:
    static constexpr u32 none = ir::none;
    static constexpr i32 no_mem = INT32_MIN;
    struct Place {
        i8 gpr = -1;
        i8 vec = -1;
        i32 mem = no_mem; // displacement from rbp of a copy in memory
        u16 uses = 0;
        i8 spill = -1;
        bool active = false;
    };

    struct Known {          // of what a register holds
        u8 clear = 128;     // bits from here on are zero, 32 or 64; 128: who knows
        bool boxed = false; // bits 32 to 63 are ones
        u8 normal = 0;      // no lane of this width is a denormal number: 32 or 64
    };

    // registers.cpp
    void begin_block(const ir::Block& b);
    const Inst& inst(ValueId v) const { return unit_->code[v]; }
    bool is_const(ValueId v) const {
        return inst(v).op == Op::constant && ir::is_int(type(v)) && type(v) != Type::i128;
    }
    bool imm32(ValueId v, i64& out) const; // a constant that fits a sign-extended 32-bit immediate of its width
    Type type(ValueId v) const { return ir::result_type(inst(v)); }
    static bool in_vec(Type t) { return ir::is_fp(t) || t == Type::v64 || t == Type::v128 || t == Type::i128; }
    Gp gpr(ValueId v);         // in a register, 64-bit view
    Gp gpr(ValueId v, Type t); // view of the width of t
    Xmm vec(ValueId v);
    asmjit::Operand rm(ValueId v, Type t); // register, memory or imm32, for the second operand
    asmjit::Operand vec_rm(ValueId v);     // register or memory
    void use(ValueId v) {                  // one use is over
        Place& p = place_[v];
        if (p.uses && --p.uses == 0) release(v);
    }
    void def_in(ValueId v, Gp reg); // the result stands in a temporary that was taken
    Gp def(ValueId v);              // register for the result, the target's when it is free
    Gp def_over(ValueId v, Gp a);
    Gp def_from(ValueId v, ValueId a);
    bool wants(ValueId v, ValueId operand) const; // is the operand, dead behind v, where v is to be?
    Xmm def_vec(ValueId v);
    void alias(ValueId v, ValueId of); // v is the same bits as `of` (used once by this)
    Gp temp();
    Xmm vec_temp();
    void take(u8 reg);  // makes a particular temporary free and locks it
    void spill_temps(); // before calls out
    void evacuate(i8 gpr, i8 vec, i32 mem, u32 bytes, ValueId keep);
    void move_away(ValueId v);
    Label literal(const void* bytes, u32 count);
    void release(ValueId v);
    void activate(ValueId v) {
        Place& p = place_[v];
        if (p.active) return;
        p.active = true;
        p.uses = an_->value[v].uses;
        active_.push_back(v);
    }
    void spill(ValueId v);
    void set_gpr(ValueId v, i32 reg) {
        Place& p = place_[v];
        if (p.gpr >= 0) --gpr_count_[p.gpr];
        p.gpr = i8(reg);
        if (reg >= 0) ++gpr_count_[reg];
        if (reg >= 0 && reg < i32(temp_count)) deltas_[reg] = 0;
    }
    void set_vec(ValueId v, i32 reg) {
        Place& p = place_[v];
        if (p.vec >= 0) --vec_count_[p.vec];
        p.vec = i8(reg);
        if (reg >= 0) ++vec_count_[reg];
    }
    Mem state(i32 disp, u32 size = 8) const { return asmjit::x86::ptr(asmjit::x86::rbp, disp, size); }
    i32 home(const ir::SlotArg& s) const { return at_.slot(guest_.slots[s.slot].offset + s.offset); }
    void load_gpr(Gp to, i32 disp, Type t);
    void load_const(Gp to, u64 v);
    void load_address(Gp to, u64 offset);
    void load_pc(Gp to, u64 pc);
    void move_to(Gp to, ValueId v); // into a register that was taken, without remembering it there
    void store_home(i32 disp, ValueId v);

    // lower.cpp
    void body(const ir::Block& b);
    void instruction(u32 n);
    void get(u32 n);
    void put(u32 n);
    void shares_home(ValueId v, i32 mem, u32 bytes);
    void put_part(u32 n, const ir::SlotArg& s);

    // lower_int.cpp
    bool integer(u32 n);
    asmjit::Operand second(ValueId v, Type t);
    void add_sub(u32 n);
    void logic(u32 n, u32 id);
    void shift(u32 n);
    void multiply(u32 n);
    void multiply_high(u32 n);
    u32 other_half(u32 n) const;
    bool other_half_came_first(u32 n);
    void both_halves_of_product(u32 n, u32 m);
    void divide(u32 n);
    void convert(u32 n);
    void bits(u32 n);
    asmjit::x86::CondCode condition(ValueId v); // emits the comparison; consumes the use of v
    asmjit::x86::CondCode test_bits(const Inst& compares);
    void set_condition(u32 n);
    bool clear_early(u32 n);
    void select(u32 n);
    bool in_temp(ValueId v) const;
    bool settled(ValueId v) const; // needs no temporary to be read
    bool compares_two_unsettled(ValueId condition) const;
    void set(u32 n, asmjit::x86::CondCode c); // the result is the truth of c

    // lower_flags.cpp
    bool flags(u32 n);
    void host_flags(ValueId f);
    void flags_value(u32 n);
    Gp read_host_flags(u32 n, u32 bits);
    void flags_of_fcmp(u32 n);
    void fcmp_flags(Gp r, Gp x, bool inverted); // from the host's comparison; x is a temporary
    asmjit::x86::CondCode flag_condition(ValueId v);
    asmjit::x86::CondCode flag_bits_condition(const Inst& i);

    // lower_memory.cpp
    bool memory(u32 n);
    Mem address(ValueId a, i32 disp, u32 size);
    void fault_site();
    void load(u32 n);
    void load_vector(Xmm d, Gp t, const Mem& mem, u32 bytes);
    void store_vector(Xmm v, Gp t, const Mem& mem, u32 bytes);
    void store(u32 n);
    void rmw(u32 n);
    void cas(u32 n);
    void rmw_loop(u32 n, const Mem& mem, const asmjit::Operand& wide, const asmjit::Operand& x);
    void extend_old(u32 n, const ir::MemArg& m);
    void check_alignment(u32 n, ValueId a, const ir::MemArg& m, u32 bytes);
    void load_sized(u32 n, Gp d, const Mem& m, const ir::MemArg& arg);
    void swap_bytes(Gp r, u32 bytes);
    asmjit::Operand pinned_or_memory(ValueId v, Type t);

    // lower_tlb.cpp
    bool has_tlb() const { return model_ == AddressModel::tlb || model_ == AddressModel::tlb_logged; }
    struct TlbSite {
        Label slow, back;
        Gp offset,
            entry; // the access is at their sum: the offset and the host's page, or the address and TlbRecent::delta
        i32 right = 0;
        Gp base{}; // valid: the address is base + disp, also later; else the offset alone knows it
        i32 disp = 0;
        bool whole = false; // the access is at entry + base + disp
        i32 delta = 0;      // of a member of a group: where the distance of its page is, and nothing is asked any more
        Mem at(u32 bytes) const {
            return whole ? asmjit::x86::ptr(entry, base, 0, disp, bytes) : asmjit::x86::ptr(entry, offset, 0, 0, bytes);
        }
        bool writes() const { return right == i32(offsetof(TlbEntry, write)); }
    };
    bool sum_fits(ValueId base, ValueId index) const;
    Gp sum(ValueId base, ValueId index, u32 shift, i32 disp, Type t);
    Gp tlb_address(ValueId a, i32 disp);
    TlbSite tlb_site(u32 n, bool write);
    void tlb_check(u32 n, TlbSite& s);
    void tlb_look(const TlbSite& s, u32 index, u32 bytes);
    i32 recent_place(u32 index, i8 recent) const;
    void refill_recent(const TlbSite& s, i32 place);
    void tlb_whole(Gp to, const TlbSite& s);

    u32 tlb_record(u32 n);
    void tlb_slow(const TlbSite& s, u32 n, const asmjit::Operand& value, const asmjit::Operand& result,
                  const asmjit::Operand& desired = {});
    TlbSite tlb_check_in(Gp address, Gp entry, u32 index, u32 bytes, bool write);
    void tlb_operand(u32 word, const asmjit::Operand& v, Gp t);
    void tlb_rmw(u32 n);
    void tlb_cas(u32 n);
    void tlb_load(u32 n);
    void tlb_store(u32 n);
    void lookup_paged(); // the pc is in rax

    // lower_log.cpp: what the logged address model adds; nothing under the others. None changes a register or flag.
    void log_access(u32 kind, u32 op, u32 bytes, const Mem& m); // before the access: opens an entry
    void log_value(u32 field, const asmjit::Operand& v);        // to a field of it: Gp, Xmm, memory, imm32
    void log_done();                                            // after the access: the entry counts
    // Faults of accesses come from the host, as Emitted::Fault; else code leaves by itself.
    bool by_host() const { return model_ == AddressModel::direct || model_ == AddressModel::logged; }
    bool is_logging() const { return model_ == AddressModel::logged || model_ == AddressModel::tlb_logged; }
    // The guest's address, which the tlb model's operands no longer tell: the last place of scratch.
    static constexpr u32 logged_address = u32(offsetof(ir::CpuHeader, scratch)) + 16 * 15;
    Gp log_register(std::initializer_list<const asmjit::Operand*> used) const;

    // lower_control.cpp
    bool control(u32 n);
    void edge(BlockId to, bool jump_always);
    void poll(BlockId to);
    void test_poll();
    void leave_for_poll(Label stop, BlockId to);
    Label label(BlockId b);
    asmjit::x86::CondCode last_condition(ValueId v, Label yes, Label no);
    void exit_direct(u64 pc, u32 mode, bool counted);
    void embed_relative(std::span<const u8> opcode, const u64* word, u32 behind = 0);
    void exit_indirect(u32 n);
    void trap(u32 n);
    void cold_code();
    bool counted() const { return unit_->key.flavour & ir::flavour::icount; }
    void pay(BlockId b);
    void tell_behind(u32 behind);
    void set_pc(u64 pc);
    // The header has the unit's mode while its code runs; what leaves from under another one sets it.
    void set_mode(u32 mode);
    u32 mode_of(const ir::Inst& i) const { return i.op == Op::insn && i.c != ir::none ? i.c : unit_->key.mode; }
    bool paged() const { return unit_->key.flavour & ir::flavour::paged; }
    void jump_host(u32 offset);
    void leave_host(u32 offset);
    void take_over();                  // the exchanges of the unit's plan; neither changes flags or temporaries
    void give_back(u32 changed = ~0u); // what has not changed, by Analysis::changed, is at home already
    void leave_plan(u32 changed = ~0u);
    u32 changed_here() const { return an_->exchanges.empty() ? 0 : an_->changed[block_]; }
    void entry(BlockId b);

    // lower_fp.cpp
    bool fp(u32 n);
    bool arithmetic(u32 n, ir::FpArg arg);
    void fp_binary(u32 n);
    void fp_convert(u32 n);
    void fused(u32 n, ir::FpArg arg);
    template <class Emit>
    void fp_result(u32 n, Emit&& emit);
    void box(u32 n);
    void unbox(u32 n);
    void widen_scalar(u32 n);
    bool clears(u32 n, Known above) const;
    bool fp_to_int(u32 n);
    bool static_stof(u32 n);
    bool fp_round(u32 n);
    bool silent(u32 n) const { return f_.avx512vl && an_->value[n].silent; }
    void reverse_bits(u32 n);
    asmjit::x86::CondCode fp_condition(ValueId v);
    void set_fp_condition(u32 n);
    // Which NaN results the guest wants: the host's own, always the default one, or by rules of its own.
    enum class NanRules : u8 { host, canonical, guest };

    // lower_fp_state.cpp
    void fp_flags(u32 n);
    void reversed_fp_flags(u32 n);
    void ask_fp_flags(Gp d, Gp t, Label back);
    void fp_mode(u32 n);

    // lower_fp_round.cpp
    void v_round(Xmm r, Xmm a, ir::Round round, bool f64, bool raise, Label beyond);
    bool fp_round_to_int(u32 n);
    void fp_extreme(u32 n);

    // lower_owed.cpp: what registers still owe, and what is known of them. A result of floating point may hold a NaN that
    // is not the guest's; the test waits until somebody could see it, and is made of results that no other depends on.
    // Scalars of RISC-V wait for the ones of their box, too. All of it is by register, and ends with the block.
    struct Source { // an operand of a kept operation
        i8 reg = -1;
        i8 kept = -1; // or the result of that one
    };
    struct Kept { // an operation that computes its result again should there be a NaN
        u32 record = 0, count = 0;
        Source from[3];
        i8 reg = -1; // where the result is; -1: overwritten
        u8 bytes = 4;
    };
    static u32 bit(u32 reg) { return 1u << reg; }
    void forget_owed();
    bool tolerates(u32 n) const; // may n be emitted while registers owe?
    bool clean(ValueId v) const;
    bool is_number(ValueId v) const;
    bool are_numbers(ValueId v, bool f64) const;
    bool indebted() const { return owing() | checked_; }
    u32 owing() const { return owed_ | bare_; }
    void settle_nans();
    std::vector<Kept> last_kept() const;
    bool rounds_late(u32 n) const;
    void begin_group(u32 lanes);
    void check_smallest(Xmm r, bool f64);
    void join_check(bool f64, Xmm a, const asmjit::Operand& b, u32 relation);
    void join_smallest(Xmm r, bool f64);
    i32 idle_temp() const;
    void jump_if_smallest(Xmm r, Xmm t, bool f64, Label to);
    static constexpr u64 smallest_f64 = u64{1} << 52, smallest_f32 = 1 << 23; // normal
    void settle();
    u32 roots() const;
    void compare_numbers(u32 x, u32 y, bool f64);
    void test_numbers(u32 regs, u32 f64, Label fix);
    void redo(const std::vector<Kept>& kept);
    void make_canonical(u32 regs, u32 f64, u32 boxed);
    void redefined(u32 reg); // it gets another value: called before that is emitted
    u32 owed_sources(u32 n) const;
    void owe(u32 n, u32 reg, u32 sources);
    void keep(u32 n);
    bool may_be_late(ValueId v) const;
    bool waits_in_temp(ValueId v) const;
    void put_late(u32 temp, u32 reg);
    void put_now(u32 temp);
    void move_owed(u32 from, u32 to);
    // lower_turn.cpp: a block that goes back to itself is made twice where the second turn can rely on what the first one
    // found or left: the first copy is what others enter, the second one closes the loop.
    struct Mirror { // a value that a general register of a slot and a vector register of another hold alike
        ValueId get;
        u8 gpr, vec;
    };
    struct Steady { // at the start of the second copy
        u32 owed = 0, owed_f64 = 0, bare = 0;
        Known known[32];
        std::vector<Mirror> mirrors;
    };
    bool turns(u32 n) const; // n is the branch of a block to itself
    bool turn(u32 n);
    void another_copy();
    u32 most_copy_bytes() const;
    Label stop_turn(const Steady& s);
    Label way_out_of_turn(const Steady& s);
    void close_turn(u32 n);
    Steady at_back_edge() const;
    void find_mirrors(Steady& s) const;
    bool holds(const Steady& s) const; // at the end of the second copy
    void resume(const Steady& s);      // in cold code: registers owe what they owed there
    bool fixed_by_store(const Inst& i) const;
    Xmm canonical_copy(Xmm v, bool f64);
    u32 pinned_vecs() const { return ~0u << vec_temps(f_); }
    bool in_copy_ = false, polled_ = false; // polled_: the copy before did
    Steady steady_;
    Label again_, out_of_turn_; // where the last copy goes on; where all go when the loop is left
    u32 more_copies_ = 0, copy_begin_ = 0;
    u32 asked_ = 0;                     // registers whose box was looked at since they were defined
    u32 settled_ = 0, settled_f64_ = 0; // registers that owed since they were defined, and do no more

    // lower_group.cpp: blocks with groups of accesses (Analysis::groups) are made twice.
    std::span<const PageGroup> groups_of(BlockId b) const {
        if (an_->groups.empty()) return {};
        const auto [begin, end] = an_->groups_of[b];
        return std::span(an_->groups).subspan(begin, end - begin);
    }
    bool in_page_group(u32 n) const { return !an_->groups.empty() && !apart_ && an_->group[n] >= 0; }
    i8 recent(u32 n) const { return apart_ && an_->group[n] >= 0 ? i8(-1) : an_->recent[n]; }
    bool goes_to_exit();
    void check_groups(const Steady* copy, bool is_next);
    void group_address(Gp to, const PageGroup& g);
    Gp group_page(u32 n, const TlbSite& s);
    i32 delta_place(u32 group) const; // of the present block, by its number there
    void ask_recent(const PageGroup& g, Label apart);
    void ask_table(const PageGroup& g, i32 place, Label apart);
    i32 deltas_[temp_count] = {}; // by temporary: the delta_place that it still has a copy of, or 0
    bool relies_on_pages(u32 n) const;
    void tell_reliance();
    void made_apart(BlockId b);
    bool falls_into(BlockId to) const { return !apart_ && an_->position[to] == an_->position[block_] + 1; }
    // By block with groups: where it goes on when accesses must be looked up one by one, and its exit, if it has one.
    std::vector<Label> apart_labels_, exit_labels_;
    bool apart_ = false; // that second copy is being made

    bool owes(ValueId v) const { return place_[v].vec >= 0 && (owing() >> place_[v].vec & 1); }
    u32 owed_ = 0, owed_f64_ = 0; // registers whose value may be such a NaN; those of 64 bits
    u32 owed_lanes_ = 0;          // those with one in any lane
    u32 group_ = 0;               // lanes of the results that owe, which are alike: 1 (scalars), 2 or 4
    bool checked_ = false;        // register `checks` speaks of a kept operation's result
    u32 bare_ = 0;                // registers that want ones in bits 32 to 63
    u32 in_kept_ = 0;             // registers that kept operations read
    u32 guards_ = 0;              // registers that no NaN may leave untested, for the sticky flags of kept operations
    u32 consumed_ = 0;            // registers that owe and that the operation at hand reads
    u32 lost_ = 0;                // registers whose cover the last redefined one was
    u32 late_ = 0;                // see late_bits: registers whose value is in a temporary, unless a load faults
    Emitted::Owed owed_before_;   // when the instruction began
    i8 cover_[32] = {};           // a register whose value depends on this one's, so that its test is enough; or -1
    Known known_[32];
    std::vector<Kept> kept_;
    bool pending_ = false; // the last kept operation is not emitted yet

    // lower_vector.cpp: families, and what their files share. Below, d is the result's register and may be any operand's
    // too; L is the binary logarithm of a lane's bytes.
    bool vector(u32 n);
    bool vector_select(u32 n);
    bool vector_binary(u32 n);
    bool vector_ternary(u32 n);
    bool bitwise_select(u32 n);
    asmjit::Operand vec_operand(ValueId v);                     // register, or memory that an SSE instruction may read
    bool room(u32 temps) const;                                 // so many more vector temporaries can be had
    Xmm vec_out(u32 n, Xmm spare);                              // the result's place: its slot's register, else spare
    Mem lanes(u32 L, u64 lane);                                 // literal: the same in every lane
    Mem words(u64 low, u64 high);                               // literal
    void v_op(Pair id, Xmm d, Xmm a, const asmjit::Operand& b); // d = a op b
    void v_one(Pair id, Xmm d, const asmjit::Operand& a);       // d = op a
    void v_op(Pair id, Xmm d, Xmm a, const asmjit::Operand& b, u32 immediate);
    void v_one(Pair id, Xmm d, const asmjit::Operand& a, u32 immediate);
    void v_by(Pair id, Xmm d, Xmm a, u32 immediate); // d = a op immediate: shifts
    void v_move(Xmm d, const asmjit::Operand& a);
    void v_zero(Xmm d);
    void v_double(Xmm d, Xmm a, Xmm b);                         // low halves of a, then b
    void v_shift(ir::VShift kind, u32 L, Xmm d, Xmm a, u32 by); // by < width; shl, lshr, ashr
    void v_blend(Xmm d, Xmm mask, Xmm yes, Xmm no);             // bitwise; changes mask, which is a temporary
    void note_saturation(Xmm lanes, Type t);                    // QC rises when any bit of a temporary is set

    // lower_vector_int.cpp
    bool saturating(u32 n);
    bool differences(u32 n);
    bool pairwise(u32 n);
    bool multiply_lanes(u32 n);
    void v_multiply(u32 L, Xmm d, Xmm a, ValueId va, Xmm b, ValueId vb, Xmm t, Xmm u);
    u32 fits_half(ValueId v) const;
    bool doubling_high(u32 n);
    bool variable_shift(u32 n);
    bool vector_unary(u32 n);
    bool nibbles(u32 n, u64 low_low, u64 low_high, u64 high_low, u64 high_high, Pair join);
    bool pair_sums(u32 n);
    bool vector_shift(u32 n);
    bool rotate_lanes(u32 n);
    bool rounding_shift(u32 n);
    bool saturating_shift(u32 n);
    bool vector_compare(u32 n);

    // lower_vector_lanes.cpp
    bool lane_moves(u32 n);
    bool splat(u32 n);
    bool lane_get(u32 n);
    bool lane_set(u32 n);
    bool bits_of_lanes(u32 n);
    bool lanes_of_bits(u32 n);
    bool shuffle(u32 n);
    bool table_lookup(u32 n);
    bool extract_bytes(u32 n);
    bool zip(u32 n);
    bool lane_goes_to_splat(u32 n) const;
    bool widen(u32 n);
    bool narrow(u32 n);
    bool saturating_narrow(u32 n);
    bool reduce(u32 n);
    void reduce_sum(u32 L, bool is_signed, bool twice, Xmm x, Xmm t);

    // lower_vector_crypto.cpp
    bool vector_crypto(u32 n);
    bool aes(u32 n);
    bool aes_waits(u32 n) const;
    bool sha256_rounds(u32 n);
    Xmm legacy(Xmm a, bool evex);

    // lower_vector_fp.cpp
    bool vector_fp(u32 n);
    bool vector_fp_binary(u32 n);
    bool vector_fp_unary(u32 n);
    bool vector_fma(u32 n);
    bool in_group(u32 n) const;
    void lanes_result(u32 n, Pair op, Xmm a, Xmm b);
    bool vector_fp_compare(u32 n);
    bool vector_fp_widen(u32 n);
    bool vector_fp_narrow(u32 n);
    bool vector_fp_reduce(u32 n);
    struct Operands { // of an operation whose cold path computes it again
        u32 count = 0;
        Xmm regs[3];
        u32 record = 0;
        bool has(Xmm r) const {
            return std::any_of(regs, regs + count, [&](Xmm x) { return x.id() == r.id(); });
        }
    };
    Operands keep_operands(u32 n); // their uses are over, their registers stay theirs for this instruction
    void redo_body(const Operands& o, Xmm out);
    // In cold code, at `entry`: the body computes `out` instead.
    template <class Register>
    void redo_at(Label entry, const Operands& o, Register out, Label back) {
        cold(entry, [=, this] {
            redo_body(o, out);
            a_.jmp(back);
        });
    }
    Label redo(const Operands& o, Xmm out, Label back);
    void jump_if_nan(Xmm a, Xmm b, Xmm t, bool f64, Label to); // a or b has a NaN in a lane
    void jump_if_lane(Xmm r, Xmm t, u32 L, u64 value, Label to);
    Xmm both_halves(Xmm a, Type t);

    // lower_fp_flush.cpp
    bool fp_flushing(u32 n);
    void look(Xmm x, bool f64, bool all, u32 classes);
    void look_at_operands(const Operands& o, bool f64, bool all, u32 classes);
    bool jump_if_found(Label to);
    void jump_if_denormal(Xmm x, bool f64, bool all, Xmm t, Label to);
    void jump_unless_above(Xmm t, bool f64, bool all, u64 limit, Label to);
    void jump_if_result(Xmm r, bool f64, bool all, u32 classes, Xmm t, Label to);
    void jump_if_small(u32 n, const Operands& from, bool f64, bool all, Xmm t, Xmm u, Label to);
    bool check_operands(const Operands& o, bool f64, bool all, u32 classes, Xmm t, Label to);
    void go_if_zeros(const Operands& from, Xmm t, u32 zero_of_a, u32 zero_of_b, bool f64, bool to_f64, bool all,
                     Label go);
    bool flushing_arithmetic(u32 n, bool all);
    bool flushing_compare(u32 n);
    bool flushing_to_int(u32 n);
    bool flushing_extreme(u32 n);
    bool flushing_round(u32 n);
    bool flushing_lanes(u32 n);
    void redo_body(const Operands& o, Gp out);
    u32 looks_ = 0; // 1: k1 has what was found; 2: k3, too

    // lower_call.cpp
    static constexpr u32 first_result = 8; // scratch places 0..7 hold arguments
    void call(u32 n);
    void call_out(u32 record, bool may_leave);
    void note_record();
    void call_keeping(u32 record); // in cold code: every register but the result's place survives
    void evaluate(u32 n);          // what has no lowering: the interpreter's body
    void to_scratch(ValueId v, u32 word);
    void from_scratch(u32 n, u32 word);

    struct Cold {
        Label entry, back;
        std::function<void()> emit;
    };
    void cold(Label entry, std::function<void()> f) { cold_.push_back({entry, {}, std::move(f)}); }

    const ir::GuestState& guest_;
    RegisterPlan plan_; // the back end's, but for the unit's exchanges
    std::vector<Exchange> exchanged_;
    const Features& f_;
    const Layout& at_;
    u32 jump_shift_;
    Records* records_;
    AddressModel model_ = AddressModel::direct;
    NanRules nan_rules_ = NanRules::host;

    // An operand that an instruction cannot have is our bug; the unit goes to the interpreter all the same.
    struct Refusal final : asmjit::ErrorHandler {
        bool* failed;
        explicit Refusal(bool* f) : failed(f) {}
        void handleError(asmjit::Error, const char*, asmjit::BaseEmitter*) override { *failed = true; }
    };
    Refusal refusal_{&failed_};
    asmjit::CodeHolder holder_;
    asmjit::x86::Assembler a_;
    const ir::Unit* unit_ = nullptr;
    const Analysis* an_ = nullptr;
    Emitted* out_ = nullptr;
    const u64* first_link_ = nullptr;
    const u8* code_ = nullptr;
    std::vector<Place> place_;
    std::vector<ValueId> active_;
    std::vector<Label> labels_;
    std::vector<Cold> cold_;
    struct Literal {
        Label at;
        std::vector<u8> bytes;
    };
    std::vector<Literal> literals_;
    Label give_back_;
    u32 locked_ = 0, vec_locked_ = 0;            // registers of the current instruction
    u8 gpr_count_[16] = {}, vec_count_[32] = {}; // active values in each register
    u64 spills_ = 0;                             // bit per used spill place
    u32 behind_ = 0;                             // counted: instructions of the block behind the present one
    u64 pc_ = 0;                                 // of the guest instruction
    u32 mode_ = 0;                               // it was translated under
    std::vector<u32> modes_;                     // the same at the start of blocks inside instructions
    u32 now_ = 0;
    BlockId block_ = 0;
    bool failed_ = false;
};

} // namespace mimic::jit::x86
