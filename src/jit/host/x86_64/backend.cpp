#include "jit/host/x86_64/backend.hpp"
#include "base/check.hpp"
#include "softfloat/env.hpp"
#include <algorithm>
#include <asmjit/x86.h>
#include <csignal>
#include <cstring>
#include <sys/platform/x86.h>
#include <ucontext.h>

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using ir::CpuHeader;
using ir::ExitKind;

// As the C library found them when the program began: CPUID leaves a virtual machine, which costs more than a page fault.
Features Features::probe(u32 level) {
    Features f;
    f.sse41 = CPU_FEATURE_ACTIVE(SSE4_1);
    f.popcnt = CPU_FEATURE_ACTIVE(POPCNT);
    if (level < 3) return f;
    f.lahf = CPU_FEATURE_ACTIVE(LAHF64_SAHF64); // of level 2, but the way without it is for hosts older than that
    f.avx = CPU_FEATURE_ACTIVE(AVX);
    f.avx2 = CPU_FEATURE_ACTIVE(AVX2);
    f.bmi1 = CPU_FEATURE_ACTIVE(BMI1);
    f.bmi2 = CPU_FEATURE_ACTIVE(BMI2);
    f.lzcnt = CPU_FEATURE_ACTIVE(LZCNT);
    f.fma = CPU_FEATURE_ACTIVE(FMA);
    f.movbe = CPU_FEATURE_ACTIVE(MOVBE);
    f.aes = CPU_FEATURE_ACTIVE(AES);
    f.pclmul = CPU_FEATURE_ACTIVE(PCLMULQDQ);
    f.sha = CPU_FEATURE_ACTIVE(SHA);
    if (level < 4) return f;
    f.avx512vl = CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(AVX512VL) && CPU_FEATURE_ACTIVE(AVX512DQ) &&
                 CPU_FEATURE_ACTIVE(AVX512BW);
    f.avx512cd = f.avx512vl && CPU_FEATURE_ACTIVE(AVX512CD);
    f.bitalg = f.avx512vl && CPU_FEATURE_ACTIVE(AVX512_BITALG);
    f.vbmi = f.avx512vl && CPU_FEATURE_ACTIVE(AVX512_VBMI);
    f.gfni = f.avx512vl && CPU_FEATURE_ACTIVE(GFNI);
    f.vaes = f.avx512vl && CPU_FEATURE_ACTIVE(VAES);
    f.vpclmul = f.avx512vl && CPU_FEATURE_ACTIVE(VPCLMULQDQ);
    return f;
}

std::string Features::text() const {
    std::string s = "x86-64 ";
    for (bool f : {avx,  avx2, bmi1,   bmi2, lzcnt,    fma,    avx512vl, movbe, sse41, popcnt,
                   lahf, aes,  pclmul, sha,  avx512cd, bitalg, gfni,     vbmi,  vaes,  vpclmul})
        s += f ? '1' : '0';
    static_assert(sizeof(Features) == 20, "one is missing above");
    return s;
}

// ---- records

Records::~Records() {
    for (auto& c : chunks_) delete[] c.load(std::memory_order_relaxed);
}

u32 Records::add(u64 hash, Record record) {
    u32 n = count_;
    if (n == chunk_size * chunk_count) return full;
    if (n % chunk_size == 0) chunks_[n / chunk_size].store(new Record[chunk_size], std::memory_order_release);
    chunks_[n / chunk_size].load(std::memory_order_relaxed)[n % chunk_size] = std::move(record);
    by_hash_.emplace(hash, n);
    ++count_;
    return n;
}

u32 Records::intrinsic(const ir::Intrinsic& f) {
    u64 hash = u64(&f);
    for (auto [at, end] = by_hash_.equal_range(hash); at != end; ++at)
        if ((*this)[at->second].intrinsic == &f) return at->second;
    return add(hash, {.intrinsic = &f});
}

u32 Records::operation(const ir::Unit& unit, const ir::Inst& i, const ir::Type (&types)[3]) {
    ir::Inst copy = i;
    copy.a = i.a == ir::none ? ir::none : 0;
    copy.b = i.b == ir::none ? ir::none : 1;
    copy.c = i.c == ir::none ? ir::none : 2;
    std::span<const u64> table; // in the unit
    if (i.op == Op::vshuffle || i.op == Op::constant) {
        copy.imm = 0;
        table = std::span(unit.wide).subspan(i.imm);
        table = table.first(std::min<std::size_t>(table.size(), 8));
    }
    u64 hash = u64(i.op) | u64(i.type) << 8 | u64(i.sub) << 16 | u64(i.lane) << 24 | u64(types[0]) << 32;
    hash ^= copy.imm * 0x9e3779b97f4a7c15;
    for (u64 w : table) hash = (hash ^ w) * 0x9e3779b97f4a7c15;
    auto same = [&](const ir::Unit& u) {
        const ir::Inst& x = u.code[3];
        return x.op == copy.op && x.type == copy.type && x.sub == copy.sub && x.lane == copy.lane && x.a == copy.a &&
               x.b == copy.b && x.c == copy.c && x.imm == copy.imm && u.code[0].type == types[0] &&
               u.code[1].type == types[1] && u.code[2].type == types[2] && u.vector_bytes == unit.vector_bytes &&
               std::equal(table.begin(), table.end(), u.wide.begin(), u.wide.end());
    };
    for (auto [at, end] = by_hash_.equal_range(hash); at != end; ++at) {
        const ir::Unit* known = (*this)[at->second].unit.get();
        if (known && same(*known)) return at->second;
    }
    auto u = std::make_unique<ir::Unit>();
    u->vector_bytes = unit.vector_bytes;
    for (u32 k = 0; k < 3; ++k) u->code.push_back({.op = Op::arg, .type = types[k], .imm = k});
    u->wide.assign(table.begin(), table.end());
    u->code.push_back(copy);
    u->code.push_back({.op = Op::trap, .sub = u8(ir::TrapKind::guest)});
    u->blocks.push_back({.begin = 3, .end = 5});
    return add(hash, {.unit = std::move(u)});
}

namespace {

// MXCSR bits: Intel SDM vol. 1, figure 10-3.
u32 flags_of(u32 mxcsr, u32 wanted) {
    using namespace softfloat::flag;
    return wanted & ((mxcsr & 2 ? denormal_used : 0u) | (mxcsr & 1 ? invalid : 0u) | (mxcsr & 4 ? divide_by_zero : 0u) |
                     (mxcsr & 8 ? overflow : 0u) | (mxcsr & 16 ? underflow : 0u) | (mxcsr & 32 ? inexact : 0u));
}
u32 mxcsr_of(const ir::FpEnv& fp) {
    using namespace softfloat::flag;
    constexpr u32 rounding[8] = {0, 3, 1, 2, 0, 0, 0, 0}; // nearest, zero, down, up
    u32 m = mxcsr_masks | rounding[fp.mode & 7] << 13;
    m |= (fp.flags & invalid ? 1u : 0u) | (fp.flags & divide_by_zero ? 4u : 0u) | (fp.flags & overflow ? 8u : 0u) |
         (fp.flags & underflow ? 16u : 0u) | (fp.flags & inexact ? 32u : 0u);
    if (fp.flags & denormal_used) m |= 2;
    if (fp.mode & ir::fpmode::flush_outputs) m |= 1u << 15;
    if (fp.mode & ir::fpmode::flush_inputs) m |= 1u << 6;
    return m;
}
// Without the flushing that only the interpreter's bodies do.
u32 mxcsr_of(const ir::FpEnv& fp, const ir::GuestState& guest) {
    return mxcsr_of(fp) & ~(guest.fp_by_body ? mxcsr_flush : 0);
}

class X86Backend final : public Backend {
public:
    X86Backend(const ir::GuestState& guest, u32 min_insn_bytes, u32 level)
        : guest_(guest)
        , features_(Features::probe(level))
        , jump_shift_(min_insn_bytes >= 4   ? 2
                      : min_insn_bytes == 2 ? 1
                                            : 0) {
        layout_.area = (i32(ir::slots_offset + guest.bytes + 63) & ~63) - bias;
        make_plan();
        lowering_ = std::make_unique<Lowering>(guest_, plan_, features_, layout_, jump_shift_, records_);
    }

    const RegisterPlan& plan() const override { return plan_; }
    u32 host_area() const override {
        return u32(layout_.area + bias) - ir::slots_offset - guest_.bytes + sizeof(HostArea) + 16 * jump_entries;
    }
    void init(CpuHeader* cpu) const override;
    std::string host() const override { return features_.text(); }
    bool save_record(u32 record, std::vector<u8>& out) const override { return records_.save(record, out); }
    bool load_record(std::span<const u8> saved, u32& record) override { return records_.load(saved, guest_, record); }
    Result<u32> emit_shared(const u8* code, u8* writable, u32 room) override;
    bool emit(const ir::Unit& unit, const Analysis& analysis, AddressModel model, const u8* code, u8* writable,
              u64 room, const u64* first_link, Emitted& out) override {
        return lowering_->run(unit, analysis, model, code, writable, room, first_link, out);
    }
    void enter(CpuHeader* cpu, const u8* code) const override;
    void leave_on_fault(void* context, u64 address, bool known, bool write, u64 host_pc) const override;
    bool resume_masked(void* context) const override;
    void settle(CpuHeader* cpu, const Emitted::Owed& owed) const override;
    void set_jump(CpuHeader* cpu, u64 key, const u8* code) const override {
        HostArea* h = area(cpu);
        // What stands under a shorter mask is not found under a longer one: another pc would be there.
        if (h->jump_mask != jump_mask(jump_entries) && ++h->jump_misses > 2 * (h->jump_mask >> jump_shift_))
            h->jump_mask = h->jump_mask << 2 | jump_mask(4), h->jump_misses = 0;
        u64* e = entry(cpu, key, h->jump_mask);
        __atomic_store_n(&e[1], u64(code), __ATOMIC_RELAXED);
        __atomic_store_n(&e[0], key, __ATOMIC_RELEASE);
        u64 group = u64(e - area(cpu)->jump) / 512, bit = u64{1} << group % 64;
        u64* groups = &area(cpu)->jump_pages[group / 64];
        if (!(__atomic_load_n(groups, __ATOMIC_RELAXED) & bit)) __atomic_fetch_or(groups, bit, __ATOMIC_RELAXED);
    }
    // The code stays: a look-up may be between its comparison and its jump.
    void clear_jump(CpuHeader* cpu, u64 pc) const override {
        for (u32 entries = first_jump_entries; entries <= jump_entries; entries *= 4) { // the mask may grow meanwhile
            u64* e = entry(cpu, pc, jump_mask(entries));
            if ((__atomic_load_n(&e[0], __ATOMIC_RELAXED) ^ pc) << 32 == 0)
                __atomic_store_n(&e[0], no_pc(e, cpu), __ATOMIC_RELAXED);
        }
    }
    void clear_jumps(CpuHeader* cpu) const override {
        HostArea* h = area(cpu);
        for (u32 group = 0; group < jump_entries / 256; ++group) {
            if (!(__atomic_load_n(&h->jump_pages[group / 64], __ATOMIC_RELAXED) >> group % 64 & 1)) continue;
            u64* e = h->jump + 512 * group;
            for (u32 n = 0; n < 256; ++n, e += 2)
                if (__atomic_load_n(&e[0], __ATOMIC_RELAXED)) __atomic_store_n(&e[0], no_pc(e, cpu), __ATOMIC_RELAXED);
        }
    }
    TlbViews* tlb_views(CpuHeader* cpu) const override { return &area(cpu)->tlb; }
    void use_jumps(CpuHeader* cpu, const JumpEntry* table) const override {
        __atomic_store_n(&area(cpu)->paged_jumps, u64(table), __ATOMIC_RELAXED);
    }
    static int call_body(CpuHeader* cpu, u32 record, const X86Backend* self);

private:
    void make_plan();
    HostArea* area(CpuHeader* cpu) const {
        return reinterpret_cast<HostArea*>(reinterpret_cast<u8*>(cpu) + bias + layout_.area);
    }
    // A pc that no look-up in this entry has: 0 belongs to the first one.
    u64 no_pc(const u64* e, CpuHeader* cpu) const { return e == area(cpu)->jump ? ~u64{0} : 0; }
    u64* entry(CpuHeader* cpu, u64 pc, u64 mask) const { return area(cpu)->jump + 2 * ((pc & mask) >> jump_shift_); }
    u64 jump_mask(u32 entries) const { return u64(entries - 1) << jump_shift_; }
    Mem state(i32 disp, u32 size = 8) const { return ptr(rbp, disp, size); }
    void spill_plan(Assembler& a) const;
    void emit_recent(Assembler& a, bool write, const std::function<void(u64 HostArea::*)>& stub) const;
    void emit_page(Assembler& a, bool write, const std::function<void(u64 HostArea::*)>& stub) const;
    void load_plan(Assembler& a) const;

    const ir::GuestState& guest_;
    Features features_;
    u32 jump_shift_;
    RegisterPlan plan_;
    Layout layout_;
    Records records_;
    std::unique_ptr<Lowering> lowering_;
    const u8* enter_ = nullptr;
    HostArea proto_{};
};

void X86Backend::make_plan() {
    plan_.gpr.assign(guest_.slots.size(), -1);
    plan_.vec.assign(guest_.slots.size(), -1);
    auto choose = [&](auto accepts, std::vector<i8>& to, auto regs) {
        std::vector<u32> slots;
        for (u32 n = 0; n < guest_.slots.size(); ++n)
            if (guest_.slots[n].priority && accepts(guest_.slots[n])) slots.push_back(n);
        std::stable_sort(slots.begin(), slots.end(),
                         [&](u32 x, u32 y) { return guest_.slots[x].priority > guest_.slots[y].priority; });
        for (std::size_t k = 0; k < slots.size() && k < regs.size(); ++k) to[slots[k]] = i8(regs[k]);
    };
    std::vector<u8> gprs(std::begin(gpr_pins), std::end(gpr_pins)), vecs;
    for (u32 r = vec_temps(features_); r < (features_.avx512vl ? 32u : 16u); ++r) vecs.push_back(u8(r));
    choose([](const ir::Slot& s) { return s.cls == ir::SlotClass::gpr && s.type == Type::i64; }, plan_.gpr, gprs);
    choose(
        [](const ir::Slot& s) {
            return (s.cls == ir::SlotClass::fp || s.cls == ir::SlotClass::vec) &&
                   (s.type == Type::f64 || s.type == Type::v128);
        },
        plan_.vec, vecs);
}

void X86Backend::init(CpuHeader* cpu) const {
    HostArea* h = area(cpu);
    std::memcpy(static_cast<void*>(h), &proto_, offsetof(HostArea, jump));
    h->jump_mask = jump_mask(first_jump_entries);
    h->jump[0] = no_pc(h->jump, cpu); // the others are zero
}

void X86Backend::spill_plan(Assembler& a) const {
    for (u32 n = 0; n < guest_.slots.size(); ++n) {
        i32 at = layout_.slot(guest_.slots[n].offset);
        if (plan_.gpr[n] >= 0) a.mov(state(at), gpq(u32(plan_.gpr[n])));
        if (plan_.vec[n] >= 0) {
            Xmm x = xmm(u32(plan_.vec[n]));
            if (guest_.slots[n].type == Type::f64)
                features_.avx ? a.vmovq(state(at), x) : a.movq(state(at), x);
            else
                features_.avx ? a.vmovups(state(at, 16), x) : a.movdqu(state(at, 16), x);
        }
    }
}
void X86Backend::load_plan(Assembler& a) const {
    if (features_.avx512vl) {
        a.kxnorw(first_lane, first_lane, first_lane);
        a.kshiftlw(not_two_lanes, first_lane, 2);
        a.kshiftlw(not_four_lanes, first_lane, 4);
        a.kshiftrw(first_lane, first_lane, 15);
    }
    for (u32 n = 0; n < guest_.slots.size(); ++n) {
        i32 at = layout_.slot(guest_.slots[n].offset);
        if (plan_.gpr[n] >= 0) a.mov(gpq(u32(plan_.gpr[n])), state(at));
        if (plan_.vec[n] >= 0) {
            Xmm x = xmm(u32(plan_.vec[n]));
            if (guest_.slots[n].type == Type::f64)
                features_.avx ? a.vmovq(x, state(at)) : a.movq(x, state(at));
            else
                features_.avx ? a.vmovups(x, state(at, 16)) : a.movdqu(x, state(at, 16));
        }
    }
}

// The entry at recent_entry, in which the address at `written` is, is copied to recent_place. Keeps all registers.
void X86Backend::emit_recent(Assembler& a, bool write, const std::function<void(u64 HostArea::*)>& stub) const {
    stub(write ? &HostArea::stub_recent_write : &HostArea::stub_recent_read);
    auto host = [&](std::size_t offset) { return state(layout_.host(u32(offset))); };
    const Gp kept[] = {rax, rcx, rdx};
    for (Gp r : kept) a.push(r);
    a.mov(rax, host(offsetof(HostArea, recent_entry)));
    a.mov(rcx, host(offsetof(HostArea, recent_place)));
    a.add(rcx, rbp);
    a.mov(rdx, ptr(rax, offsetof(TlbEntry, host)));
    a.mov(ptr(rcx, offsetof(TlbRecent, host)), rdx);
    a.mov(rdx, ptr(rax, offsetof(TlbEntry, read)));
    a.mov(ptr(rcx, offsetof(TlbRecent, read)), rdx);
    if (write) {
        // Another thread may take the right meanwhile; see TlbViews::drop_writes.
        asmjit::Label there = a.newLabel();
        a.mov(rdx, ptr(rax, offsetof(TlbEntry, write)));
        a.mov(ptr(rcx, offsetof(TlbRecent, write)), rdx);
        a.lock();
        a.or_(ptr(rsp, -64, 4), 0);
        a.cmp(rdx, ptr(rax, offsetof(TlbEntry, write)));
        a.je(there);
        a.mov(rdx, ptr(rax, offsetof(TlbEntry, write)));
        a.mov(ptr(rcx, offsetof(TlbRecent, write)), rdx);
        a.bind(there);
    } else {
        a.mov(rdx, host(offsetof(HostArea, tlb) + offsetof(TlbViews, nobody)));
        a.mov(ptr(rcx, offsetof(TlbRecent, write)), rdx);
    }
    a.mov(rdx, host(offsetof(HostArea, written)));
    a.and_(rdx, -(1 << tlb_page_bits));
    a.neg(rdx);
    a.add(rdx, ptr(rax, offsetof(TlbEntry, host)));
    a.mov(ptr(rcx, offsetof(TlbRecent, delta)), rdx);
    for (u32 n = 3; n-- > 0;) a.pop(kept[n]);
    a.ret();
}

// The same of the entry in rcx, for the page in rdx, to the place in rax; no register keeps its value. Whoever may write may read,
// and a page that nobody may write needs no host address.
void X86Backend::emit_page(Assembler& a, bool write, const std::function<void(u64 HostArea::*)>& stub) const {
    stub(write ? &HostArea::stub_page_write : &HostArea::stub_page_read);
    auto recent = [&](std::size_t offset) { return ptr(rbp, rax, 0, i32(offset), 8); };
    a.mov(recent(offsetof(TlbRecent, read)), rdx);
    if (!write) {
        a.mov(rcx, ptr(rcx, offsetof(TlbEntry, host)));
        a.sub(rcx, rdx);
        a.mov(recent(offsetof(TlbRecent, delta)), rcx);
        a.mov(rdx, state(layout_.host(u32(offsetof(HostArea, tlb) + offsetof(TlbViews, nobody)))));
        a.mov(recent(offsetof(TlbRecent, write)), rdx);
        return void(a.ret());
    }
    asmjit::Label there = a.newLabel();
    a.mov(recent(offsetof(TlbRecent, write)), rdx);
    a.neg(rdx);
    a.add(rdx, ptr(rcx, offsetof(TlbEntry, host)));
    a.mov(recent(offsetof(TlbRecent, delta)), rdx);
    a.mov(rdx, ptr(rcx, offsetof(TlbEntry, host)));
    a.mov(recent(offsetof(TlbRecent, host)), rdx);
    a.lock(); // see TlbViews::drop_writes
    a.or_(ptr(rsp, -64, 4), 0);
    a.mov(rdx, ptr(rcx, offsetof(TlbEntry, write)));
    a.cmp(rdx, recent(offsetof(TlbRecent, write)));
    a.je(there);
    a.mov(recent(offsetof(TlbRecent, write)), rdx);
    a.bind(there);
    a.ret();
}

// enter(cpu, code): saves what the ABI wants saved, loads the plan's registers and the guest's MXCSR, and jumps.
// The stubs do the reverse. The stack is aligned for calls while generated code runs.
Result<u32> X86Backend::emit_shared(const u8* code, u8* writable, u32 room) {
    asmjit::CodeHolder holder;
    holder.init(asmjit::Environment::host(), u64(code));
    struct Stop final : asmjit::ErrorHandler {
        void handleError(asmjit::Error, const char* text, asmjit::BaseEmitter*) override {
            check_failed(__FILE__, __LINE__, text);
        }
    } stop;
    holder.setErrorHandler(&stop);
    Assembler a(&holder);
    auto header = [&](std::size_t offset, u32 size = 8) { return state(layout_.header(u32(offset)), size); };
    std::vector<std::pair<u64 HostArea::*, asmjit::Label>> stubs;
    auto stub = [&](u64 HostArea::*member) {
        a.align(asmjit::AlignMode::kCode, 16);
        stubs.push_back({member, a.newLabel()});
        a.bind(stubs.back().second);
    };
    asmjit::Label leave = a.newLabel();

    // enter
    const Gp saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (Gp r : saved) a.push(r);
    a.sub(rsp, 8);
    a.lea(rbp, ptr(rdi, bias));
    a.mov(rax, rsi);
    a.stmxcsr(header(offsetof(CpuHeader, host_mxcsr), 4));
    a.ldmxcsr(header(offsetof(CpuHeader, mxcsr), 4));
    load_plan(a);
    a.jmp(rax);

    // leave: exit_kind is set
    stub(&HostArea::stub_leave);
    a.bind(leave);
    spill_plan(a);
    a.stmxcsr(header(offsetof(CpuHeader, mxcsr), 4));
    a.ldmxcsr(header(offsetof(CpuHeader, host_mxcsr), 4));
    if (features_.avx) a.vzeroupper();
    a.add(rsp, 8);
    for (u32 n = 6; n-- > 0;) a.pop(saved[n]);
    a.ret();

    auto leave_with = [&](u64 HostArea::*member, ExitKind kind) {
        stub(member);
        if (kind == ExitKind::link) a.mov(header(offsetof(CpuHeader, exit_arg)), rax);
        if (kind == ExitKind::lookup) a.mov(header(offsetof(CpuHeader, pc)), rax);
        a.mov(header(offsetof(CpuHeader, exit_kind), 4), u32(kind));
        a.jmp(leave);
    };
    leave_with(&HostArea::stub_link, ExitKind::link);
    leave_with(&HostArea::stub_lookup, ExitKind::lookup);
    leave_with(&HostArea::stub_poll, ExitKind::poll);
    leave_with(&HostArea::stub_budget, ExitKind::budget);
    leave_with(&HostArea::stub_trap, ExitKind::trap);
    leave_with(&HostArea::stub_fault, ExitKind::fault);

    // call out: eax is the record; the status comes back in eax
    auto body = [&] {
        spill_plan(a);
        a.stmxcsr(header(offsetof(CpuHeader, mxcsr), 4));
        a.ldmxcsr(header(offsetof(CpuHeader, host_mxcsr), 4));
        if (features_.avx) a.vzeroupper();
        a.lea(rdi, ptr(rbp, -bias));
        a.mov(esi, eax);
        a.mov(rdx, state(layout_.host(offsetof(HostArea, call_owner))));
        a.call(state(layout_.host(offsetof(HostArea, call_body))));
        a.ldmxcsr(header(offsetof(CpuHeader, mxcsr), 4));
        load_plan(a);
    };
    stub(&HostArea::stub_call);
    a.sub(rsp, 8);
    body();
    a.add(rsp, 8);
    a.ret();

    // the same, from cold code: keeps the temporaries; the record is in exit_arg
    stub(&HostArea::stub_keep);
    a.sub(rsp, 8 + 32 + 16 * vec_temps(features_));
    if (features_.avx512vl) a.kmovw(ptr(rsp, 24, 2), checks);
    a.mov(ptr(rsp, 0), rax);
    a.mov(ptr(rsp, 8), rcx);
    a.mov(ptr(rsp, 16), rdx);
    for (u32 n = 0; n < vec_temps(features_); ++n)
        features_.avx ? a.vmovups(ptr(rsp, 32 + 16 * i32(n)), xmm(n)) : a.movdqu(ptr(rsp, 32 + 16 * i32(n)), xmm(n));
    a.mov(eax, header(offsetof(CpuHeader, exit_arg), 4));
    body();
    for (u32 n = 0; n < vec_temps(features_); ++n)
        features_.avx ? a.vmovups(xmm(n), ptr(rsp, 32 + 16 * i32(n))) : a.movdqu(xmm(n), ptr(rsp, 32 + 16 * i32(n)));
    a.mov(rax, ptr(rsp, 0));
    a.mov(rcx, ptr(rsp, 8));
    a.mov(rdx, ptr(rsp, 16));
    if (features_.avx512vl) a.kmovw(checks, ptr(rsp, 24, 2));
    a.add(rsp, 8 + 32 + 16 * vec_temps(features_));
    a.ret();

    // the same, of an access: a status leaves
    stub(&HostArea::stub_slow);
    const i32 frame = 8 + 32 + 16 * i32(vec_temps(features_));
    asmjit::Label failed = a.newLabel();
    a.sub(rsp, frame);
    a.mov(ptr(rsp, 0), rax);
    a.mov(ptr(rsp, 8), rcx);
    a.mov(ptr(rsp, 16), rdx);
    for (u32 n = 0; n < vec_temps(features_); ++n)
        features_.avx ? a.vmovups(ptr(rsp, 32 + 16 * i32(n)), xmm(n)) : a.movdqu(ptr(rsp, 32 + 16 * i32(n)), xmm(n));
    a.mov(eax, header(offsetof(CpuHeader, exit_arg), 4));
    body();
    a.test(eax, eax);
    a.jnz(failed);
    for (u32 n = 0; n < vec_temps(features_); ++n)
        features_.avx ? a.vmovups(xmm(n), ptr(rsp, 32 + 16 * i32(n))) : a.movdqu(xmm(n), ptr(rsp, 32 + 16 * i32(n)));
    a.mov(rax, ptr(rsp, 0));
    a.mov(rcx, ptr(rsp, 8));
    a.mov(rdx, ptr(rsp, 16));
    a.add(rsp, frame);
    a.ret();
    a.bind(failed);
    a.add(rsp, frame + 8);
    a.mov(state(layout_.host(offsetof(HostArea, give_back))), 0); // the unit's plan was given back before the call
    a.jmp(leave);

    for (bool write : {false, true}) emit_recent(a, write, stub), emit_page(a, write, stub);

    if (holder.flatten() != asmjit::kErrorOk || holder.resolveUnresolvedLinks() != asmjit::kErrorOk ||
        holder.relocateToBase(u64(code)) != asmjit::kErrorOk || holder.codeSize() > room)
        return Error::out_of_memory("no room for the shared routines of translated code");
    holder.copyFlattenedData(writable, holder.codeSize());

    enter_ = code;
    for (auto& [member, label] : stubs) proto_.*member = u64(code) + holder.labelOffsetFromBase(label);
    proto_.call_body = u64(&call_body);
    proto_.call_owner = u64(this);
    auto both = [](u64(&to)[2], u64 low, u64 high) { to[0] = low, to[1] = high; };
    both(proto_.sign_f64, u64{1} << 63, 0);
    both(proto_.sign_f32, 0x80000000, 0);
    both(proto_.abs_f64, ~(u64{1} << 63), 0); // zeros above: see Lowering::Known
    both(proto_.abs_f32, 0x7fffffff, 0);
    both(proto_.nan_f64, 0x7ff8000000000000, 0);
    both(proto_.nan_f32, 0x7fc00000, 0);
    both(proto_.box_f32, 0xffffffff00000000, 0);
    proto_.exponents_f64 = 0x7fe0000000000000;
    for (u32 n = 0; n < 64; ++n) proto_.reversed_flags[n] = u8(ir::reversed_flags(flags_of(n, softfloat::flag::ieee)));
    for (u32 n = 0; n < 32; ++n) proto_.flags_of_reversed[n] = u8(mxcsr_of({.flags = ir::reversed_flags(n)}) & 63);
    proto_.known_flags = -1;
    proto_.next_unarmed_reads = first_unarmed_reads;
    for (u32 n = 0; n < 8; ++n) proto_.mxcsr_rounding[n] = mxcsr_of({.mode = n}) & mxcsr_rc;
    return u32(holder.codeSize());
}

void X86Backend::enter(CpuHeader* cpu, const u8* code) const {
    cpu->mxcsr = mxcsr_of(cpu->fp, guest_);
    area(cpu)->known_flags = -1;
    reinterpret_cast<void (*)(CpuHeader*, const u8*)>(enter_)(cpu, code);
    cpu->fp.flags |= flags_of(cpu->mxcsr, guest_.fp_flags);
}

int X86Backend::call_body(CpuHeader* cpu, u32 record, const X86Backend* self) {
    const Records::Record& r = self->records_[record];
    cpu->fp.flags |= flags_of(cpu->mxcsr, self->guest_.fp_flags);
    auto* args = reinterpret_cast<ir::Wide*>(cpu->scratch);
    int status;
    if (r.intrinsic) {
        bool outside = r.intrinsic->effects & ir::Intrinsic::impure;
        status =
            outside ? cpu->access->call(*r.intrinsic, *cpu, args, args + 8) : r.intrinsic->body(cpu, args, args + 8);
    } else {
        status = ir::evaluate(*r.unit, self->guest_, *cpu, cpu->access, args, args[8]);
    }
    cpu->mxcsr = mxcsr_of(cpu->fp, self->guest_);
    self->area(cpu)->known_flags = -1;
    self->area(cpu)->tlb.relied_on = 0;
    return status;
}

void X86Backend::leave_on_fault(void* context, u64 address, bool known, bool write, u64 host_pc) const {
    auto& regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    auto* cpu = reinterpret_cast<CpuHeader*>(regs[REG_RBP] - bias);
    cpu->fault_address = address;
    cpu->fault_kind = write ? ir::FaultKind::write : ir::FaultKind::read;
    cpu->host_pc = host_pc;
    cpu->fault_unknown = !known;
    // A unit with a plan of its own first puts everybody's registers back.
    HostArea* h = area(cpu);
    const fpregset_t fp = static_cast<ucontext_t*>(context)->uc_mcontext.fpregs;
    static_assert(sizeof h->at_fault <= sizeof fp->_xmm);
    std::memcpy(h->at_fault, fp->_xmm, sizeof h->at_fault);
    regs[REG_RIP] = greg_t(h->give_back ? h->give_back : h->stub_fault);
}

// The sticky flags were known: the host may have added one that a masked exception would not raise (underflow of an exact
// result, Intel SDM vol. 1, 4.9.1.5).
bool X86Backend::resume_masked(void* context) const {
    auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    constexpr greg_t simd_exception = 19; // Intel SDM vol. 3, 6.15
    HostArea* h = area(reinterpret_cast<CpuHeader*>(machine.gregs[REG_RBP] - bias));
    if (machine.gregs[REG_TRAPNO] != simd_exception || h->known_flags < 0) return false;
    u32& mxcsr = machine.fpregs->mxcsr;
    mxcsr = (mxcsr & ~mxcsr_ieee) | proto_.flags_of_reversed[h->known_flags] | mxcsr_masks;
    h->known_flags = -1;
    h->unarmed_reads = h->next_unarmed_reads;
    h->next_unarmed_reads = std::min(2 * h->next_unarmed_reads, most_unarmed_reads);
    return true;
}

// As Lowering::settle does it in registers.
void X86Backend::settle(CpuHeader* cpu, const Emitted::Owed& owed) const {
    for (u32 t = 0; t < vec_temps(features_); ++t)
        for (u32 n = 0; n < guest_.slots.size(); ++n)
            if (const u32 r = late_register(owed.late, t); r && plan_.vec[n] == i8(r))
                std::memcpy(home(cpu, guest_.slots[n]), area(cpu)->at_fault + 2 * t, ir::size_of(guest_.slots[n].type));
    if (!(owed.nans | owed.bare)) return;
    for (u32 n = 0; n < guest_.slots.size(); ++n) {
        if (plan_.vec[n] < 0) continue;
        const u32 b = 1u << plan_.vec[n];
        u8* at = home(cpu, guest_.slots[n]);
        u32 words[2];
        std::memcpy(words, at, 8);
        if (owed.nans & owed.f64 & b) {
            const bool nan =
                (words[1] & 0x7fffffff) > 0x7ff00000 || ((words[1] & 0x7fffffff) == 0x7ff00000 && words[0]);
            if (nan) words[0] = 0, words[1] = 0x7ff80000;
        } else if (owed.nans & b) {
            if ((words[0] & 0x7fffffff) > 0x7f800000) words[0] = 0x7fc00000;
        }
        if (owed.bare & b) words[1] = 0xffffffff;
        std::memcpy(at, words, 8);
    }
}

} // namespace
} // namespace mimic::jit::x86

namespace mimic::jit {

Result<std::unique_ptr<Backend>> make_backend(const ir::GuestState& guest, u32 min_insn_bytes, u32 level) {
    return std::unique_ptr<Backend>(new x86::X86Backend(guest, min_insn_bytes, level));
}

} // namespace mimic::jit
