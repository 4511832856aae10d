// SYS: maintenance of TLBs and caches, address translation. Arm ARM C5.3 (cache), C5.4 (AT), C5.5 (TLBI), D8.13.
#include "isa/aarch64/privileged.hpp"

namespace mimic::isa::aarch64 {

namespace {

constexpr u32 sys_op(u32 op1_, u32 crn, u32 crm, u32 op2_) { return op1_ << 11 | crn << 7 | crm << 3 | op2_; }

// ---- TLBI. CRm: 3 and 7 are local or inner shareable, 1 outer, by bits; 2, 5, 6 the same of ranges, 0 and 4 of stage 2.

// Xt of a range (C5.5, TLBI RVAE1): base address in units of the granule, NUM, SCALE, TG.
bool range_of(u64 v, Effects& f) {
    u32 tg = u32(v >> 46 & 3), grain = tg == 1 ? 12 : tg == 2 ? 14 : tg == 3 ? 16 : 0;
    if (!grain) return false;
    f.address = u64(i64(v << 27) >> 27) << grain;
    f.bytes = ((v >> 39 & 31) + 1) << (5 * (v >> 44 & 3) + 1) << grain;
    return true;
}

// op2: 0 all, 1 by VA, 2 by ASID, 3 by VA in all ASIDs, 4 and 6 all, 5 by VA (last level), 7 as 3 (last level).
void by_operation(const State& s, u32 op1_, u32 crm, u32 op2_, u64 v, Effects& f) {
    using enum Effects::Flush;
    bool range = crm == 2 || crm == 5 || crm == 6, stage2 = crm == 0 || crm == 4;
    if (stage2 || op2_ == 0 || op2_ == 4 || op2_ == 6) {
        f.flush = all;
        return;
    }
    if (op2_ == 2) {
        u32 index = op1_ == 0 && !s.host_el0() && !(s.level() == 2 && s.e2h()) ? el10_user : el20_user;
        f.flush = context, f.context = context_of_asid(s, index, v >> 48);
        return;
    }
    // An address may be one of a global page, which every context has.
    f.flush = address;
    if (range) {
        if (!range_of(v, f)) f.flush = none;
    } else {
        f.address = u64(i64(v << 20) >> 20) << 12;
        // TTL says nothing of how large a block may be kept: caches know.
    }
}

bool tlbi(const State& s, u64 detail, u32 op, Effects& f, Exception& e) {
    u32 op1_ = op >> 11 & 7, crm = op >> 3 & 15, op2_ = op & 7, el = s.level();
    u32 least = op1_ == 0 ? 1 : op1_ == 4 ? 2 : op1_ == 6 ? 3 : 4;
    bool stage2 = crm == 0 || crm == 4,
         ranges = crm == 1 || crm == 2 || crm == 5 || crm == 6 || (stage2 && (op2_ == 2 || op2_ == 6));
    // EL3 flushes EL1's translations by EL2's operations, too, where there is no EL2.
    bool of_el1 = stage2 || op2_ == 4 || op2_ == 6;
    if (el < least || (least == 2 && !of_el1 && !s.el2_enabled()) || (ranges && !s.model().has(Feature::tlbirange)))
        return e = undefined_instruction(), false;
    if (el == 1 && (s.hcr() & hcr::TTLB)) return e = trapped(s, detail, 2), false;
    by_operation(s, op1_, crm, op2_, s.x(u32(detail >> 8 & 31)), f);
    // Inner and outer shareable: of all processors. Stage 2's shareable ones have CRm 0, local ones 4.
    f.broadcast = crm == 1 || crm == 2 || crm == 3 || crm == 5 || crm == 0;
    if (f.broadcast) s[slot_sync] = 1;
    return true;
}

// ---- AT: PAR_EL1 (D19.2.106)

void set_par(const State& s, bool done, const Mapping& m, u64 attributes, const Exception& e) {
    if (!done) {
        u64 fst = e.cause & 63, stage2 = e.cause & cause::to_el2 ? 1 : 0;
        s[slot_par_el1] = 1 | fst << 1 | (e.cause >> 7 & 1) << 8 | stage2 << 9 | u64{1} << 11;
        return;
    }
    u64 memory = attributes & 0xff, shareable = memory < 0x10 || memory == 0x44 ? 2 : attributes >> 8;
    s[slot_par_el1] =
        (m.physical & 0xfffffffff000) | memory << 56 | u64{1} << 11 | shareable << 7 | u64(!m.secure) << 9;
}

bool address_translation(const State& s, PhysicalMemory& memory, u64 detail, u32 op, Exception& e) {
    u32 op1_ = op >> 11 & 7, crm = op >> 3 & 15, op2_ = op & 7, el = s.level();
    u32 least = op1_ == 0 ? 1 : op1_ == 4 ? 2 : 3;
    bool write = op2_ & 1, user = op2_ == 2 || op2_ == 3 || op2_ == 6 || op2_ == 7, both = op1_ == 4 && op2_ >= 4;
    if (el < least || (op1_ == 4 && !both && !s.el2_enabled()) || (crm == 9 && !s.model().has(Feature::pan)))
        return e = undefined_instruction(), false;
    u32 index;
    if (op1_ == 6)
        index = el3;
    else if (op1_ == 4 && !both)
        index = s.e2h() ? el20 : el2;
    else if (!both && s.host_el0() && el == 2)
        index = user ? el20_user : el20;
    else
        index = user ? el10_user : crm == 9 && (s[slot_pstate] & pstate::PAN) ? el1_pan : el1;
    Mapping m;
    Exception why;
    u64 attributes = 0, address = s.x(u32(detail >> 8 & 31));
    AccessType type = write ? AccessType::write : AccessType::read;
    bool done = walk_stage1(s, memory, address, type, index, m, attributes, why);
    if (done && both) {
        u64 first = attributes;
        done = walk(s, memory, address, 1, type, index, false, m, why);
        attributes = first;
    }
    set_par(s, done, m, attributes, why);
    return true;
}

// ---- caches: coherent, so that only permission is looked at

bool cache(const State& s, u64 detail, u32 op, Exception& e) {
    u32 el = s.level(), crm = op >> 3 & 15;
    bool by_address = (op & 7) == 1 && crm != 1, of_el0 = (op >> 11 & 7) == 3;
    u64 h = s.hcr();
    if (el == 0) {
        if (!of_el0) return e = undefined_instruction(), false;
        if (!(s.el0_sctlr() & sctlr::UCI)) return e = trapped(s, detail, 1), false;
    }
    if (el < 2) {
        bool set_way = (op & 7) == 2;
        if ((set_way && (h & hcr::TSW)) ||
            (by_address && crm != 4 && (h & (crm == 5 || crm == 11 ? hcr::TPU : hcr::TPC))) ||
            (crm == 4 && (h & hcr::TDZ)))
            return e = trapped(s, detail, 2), false;
    }
    return true;
}

} // namespace

bool system_operation(const State& s, PhysicalMemory& memory, u64 detail, Effects& f, Exception& e) {
    u32 op = u32(detail >> 16 & 0x3fff), crn = op >> 7 & 15, crm = op >> 3 & 15;
    switch (op) {
    case sys_op(0, 7, 1, 0):  // IC IALLUIS
    case sys_op(0, 7, 5, 0):  // IC IALLU
    case sys_op(0, 7, 6, 1):  // DC IVAC
    case sys_op(0, 7, 6, 2):  // DC ISW
    case sys_op(0, 7, 10, 2): // DC CSW
    case sys_op(0, 7, 14, 2): // DC CISW
    case sys_op(3, 7, 4, 1):
    case sys_op(3, 7, 5, 1):
    case sys_op(3, 7, 10, 1):
    case sys_op(3, 7, 11, 1):
    case sys_op(3, 7, 12, 1):
    case sys_op(3, 7, 13, 1):
    case sys_op(3, 7, 14, 1):
        f.code = crm == 1 || crm == 5; // of instructions
        return cache(s, detail, op, e);
    default: break;
    }
    if (crn == 8) return tlbi(s, detail, op, f, e);
    if (crn == 7 && (crm == 8 || crm == 9)) return address_translation(s, memory, detail, op, e);
    return e = undefined_instruction(), false;
}

} // namespace mimic::isa::aarch64
