// Branches, exceptions, hints and barriers: Arm ARM C4.1.94 (Branches, Exception Generating and System instructions).
// The form for user mode has EL0 only: what needs a higher level is undefined there.
#include "isa/aarch64/privileged.hpp"
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

void b_cond(A64& t, const I& i) { t.branch_to(t.holds(i[cond0]), t.pc() + u64(i[imm19]), t.next_pc()); }
void b(A64& t, const I& i) { t.goto_pc(t.pc() + u64(i[imm26])); }
void bl(A64& t, const I& i) {
    t.x(30, t.code_address(t.next_pc()));
    t.call_pc(t.pc() + u64(i[imm26]), t.next_pc());
}
void br(A64& t, const I& i) { t.branch_register(i[Rn], t.x(i[Rn])); }
void blr(A64& t, const I& i) {
    Val target = t.x(i[Rn]);
    t.x(30, t.code_address(t.next_pc()));
    t.call_register(target);
}
void ret(A64& t, const I& i) { t.goto_value(t.x(i[Rn]), ir::ExitHint::ret); }

template <bool Zero>
void compare_and_branch(A64& t, const I& i) {
    Val v = t.r(i[Rt], width(i));
    t.branch_to(Zero ? v == 0 : v != 0, t.pc() + u64(i[imm19]), t.next_pc());
}
template <bool Zero>
void test_and_branch(A64& t, const I& i) {
    Val bit = t.x(i[Rt]) & i64(u64{1} << i[b5b40]);
    t.branch_to(Zero ? bit == 0 : bit != 0, t.pc() + u64(i[imm14]), t.next_pc());
}

template <ir::TrapKind Kind>
void exception(A64& t, const I& i) {
    t.trap(Kind, t.pc(), t.imm(u64(i[imm16])));
}
void undefined(A64& t, const I&) { t.illegal(); }

template <Request R>
void monitor_call(A64& t, const I& i) {
    if (!t.has_system() || t.level() == 0) return t.illegal();
    ask(t, R, u64(i[imm16]) << 16);
}

// Hints that do nothing for programs: events and interrupts come at any time, so waiting may end at once; what is not
// there is a hint, too.
void hint(A64& t, const I& i) {
    if (t.has_system() && (i[hint7] == 2 || i[hint7] == 3)) ask(t, i[hint7] == 3 ? Request::wfi : Request::wfe);
}
void no_operation(A64&, const I&) {}

// DataMemoryBarrier: the low bits of CRm name the accesses; its domain is always the whole machine.
void dmb(A64& t, const I& i) {
    switch (i[CRm] & 3) {
    case 1: return t.fence(1, 3);
    case 2: return t.fence(2, 2);
    default: return t.fence();
    }
}
void dsb(A64& t, const I&) {
    t.fence();
    if (t.has_system() && t.level() != 0) t.when(t.get(slot_sync, Type::i64) != 0, [&] { ask(t, Request::barrier); });
}
// What was written is executed from here on: IC IVAU has found it; a new unit begins.
void isb(A64& t, const I&) { t.exit_to(t.next_pc(), t.mode()); }
void clrex(A64& t, const I&) { t.put(slot_ex_address, t.imm(0)); }

// clang-format off
constexpr R rows[] = {
    {"b.{cond0} {imm19}",               "0101010 0 imm19 0 cond0",              b_cond},

    {"udf     #{udf16}",                "0000000000000000 udf16",               undefined},
    {"svc     {imm16}",                 "11010100 000 imm16 000 01",            exception<ir::TrapKind::syscall>},
    {"hvc     {imm16}",                 "11010100 000 imm16 000 10",            monitor_call<Request::hvc>},
    {"smc     {imm16}",                 "11010100 000 imm16 000 11",            monitor_call<Request::smc>},
    {"brk     {imm16}",                 "11010100 001 imm16 000 00",            exception<ir::TrapKind::breakpoint>},
    {"hlt     {imm16}",                 "11010100 010 imm16 000 00",            undefined},

    {"hint    {hint7}",                 "1101010100 0 00 011 0010 hint7 11111", hint},
    {"nop",                             "1101010100 0 00 011 0010 0000 000 11111", no_operation},
    {"yield",                           "1101010100 0 00 011 0010 0000 001 11111", no_operation},
    {"wfe",                             "1101010100 0 00 011 0010 0000 010 11111", hint},
    {"wfi",                             "1101010100 0 00 011 0010 0000 011 11111", hint},
    {"sev",                             "1101010100 0 00 011 0010 0000 100 11111", no_operation},
    {"sevl",                            "1101010100 0 00 011 0010 0000 101 11111", no_operation},
    {"esb",                             "1101010100 0 00 011 0010 0010 000 11111", no_operation},
    {"psb     csync",                   "1101010100 0 00 011 0010 0010 001 11111", no_operation},
    {"tsb     csync",                   "1101010100 0 00 011 0010 0010 010 11111", no_operation},
    {"csdb",                            "1101010100 0 00 011 0010 0010 100 11111", no_operation},
    {"clrex   {clrex}",                 "1101010100 0 00 011 0011 CRm 010 11111", clrex},
    {"dsb     {barrier}",               "1101010100 0 00 011 0011 CRm 100 11111", dsb},
    {"dmb     {barrier}",               "1101010100 0 00 011 0011 CRm 101 11111", dmb},
    {"isb     {isb}",                   "1101010100 0 00 011 0011 CRm 110 11111", isb},

    {"br      {Xn}",                    "1101011 0000 11111 000000 Rn 00000",   br},
    {"blr     {Xn}",                    "1101011 0001 11111 000000 Rn 00000",   blr},
    {"ret     {ret}",                   "1101011 0010 11111 000000 Rn 00000",   ret},

    {"b       {imm26}",                 "0 00101 imm26",                        b},
    {"bl      {imm26}",                 "1 00101 imm26",                        bl},
    {"cbz     {Rt}, {imm19}",           "sf 011010 0 imm19 Rt",                 compare_and_branch<true>},
    {"cbnz    {Rt}, {imm19}",           "sf 011010 1 imm19 Rt",                 compare_and_branch<false>},
    {"tbz     {Rtb}, #{b5b40}, {imm14}",  "b5b40 011011 0 b5b40 imm14 Rt",      test_and_branch<true>},
    {"tbnz    {Rtb}, #{b5b40}, {imm14}",  "b5b40 011011 1 b5b40 imm14 Rt",      test_and_branch<false>},
};

// A hint only: the branch is consistent.
constexpr R hbc_rows[] = {
    {"bc.{cond0} {imm19}",              "0101010 0 imm19 1 cond0",              b_cond},
};

// Waiting may end at once.
constexpr R wfxt_rows[] = {
    {"wfet    {Xd}",                    "1101010100 0 00 011 0001 0000 000 Rd", no_operation},
    {"wfit    {Xd}",                    "1101010100 0 00 011 0001 0000 001 Rd", no_operation},
};

// Nothing here has the attribute that this barrier does not wait for.
constexpr R xs_rows[] = {
    {"dsb     {domain}nxs",             "1101010100 0 00 011 0011 domain 10 001 11111", dsb},
};

// What indirect branches into guarded pages may find: may_enter in guest.cpp.
constexpr R bti_rows[] = {
    {"bti",                             "1101010100 0 00 011 0010 0100 000 11111", no_operation},
    {"bti     c",                       "1101010100 0 00 011 0010 0100 010 11111", no_operation},
    {"bti     j",                       "1101010100 0 00 011 0010 0100 100 11111", no_operation},
    {"bti     jc",                      "1101010100 0 00 011 0010 0100 110 11111", no_operation},
};

// What a model without pointer authentication does nothing for.
constexpr R pauth_hint_rows[] = {
    {"xpaclri",                         "1101010100 0 00 011 0010 0000 111 11111", no_operation},
    {"pacia1716",                       "1101010100 0 00 011 0010 0001 000 11111", no_operation},
    {"pacib1716",                       "1101010100 0 00 011 0010 0001 010 11111", no_operation},
    {"autia1716",                       "1101010100 0 00 011 0010 0001 100 11111", no_operation},
    {"autib1716",                       "1101010100 0 00 011 0010 0001 110 11111", no_operation},
    {"paciaz",                          "1101010100 0 00 011 0010 0011 000 11111", no_operation},
    {"paciasp",                         "1101010100 0 00 011 0010 0011 001 11111", no_operation},
    {"pacibz",                          "1101010100 0 00 011 0010 0011 010 11111", no_operation},
    {"pacibsp",                         "1101010100 0 00 011 0010 0011 011 11111", no_operation},
    {"autiaz",                          "1101010100 0 00 011 0010 0011 100 11111", no_operation},
    {"autiasp",                         "1101010100 0 00 011 0010 0011 101 11111", no_operation},
    {"autibz",                          "1101010100 0 00 011 0010 0011 110 11111", no_operation},
    {"autibsp",                         "1101010100 0 00 011 0010 0011 111 11111", no_operation},
};

constexpr R sb_rows[] = {
    {"sb",                              "1101010100 0 00 011 0011 0000 111 11111", isb},
};
// clang-format on

} // namespace

constinit const Table<AArch64> branches{"branches, exceptions, hints", needs(Feature::base), rows};
constinit const Table<AArch64> speculation_barrier{"SB", needs(Feature::sb), sb_rows};
// Guarded pages are the model's business, the names are every model's.
constinit const Table<AArch64> branch_targets{"BTI", needs(Feature::base), bti_rows};
constinit const Table<AArch64> pointer_authentication_hints{"PAuth, absent", needs(Feature::base), pauth_hint_rows};
constinit const Table<AArch64> consistent_branches{"HBC", needs(Feature::hbc), hbc_rows};
constinit const Table<AArch64> barriers_without_xs{"XS", needs(Feature::xs), xs_rows};
constinit const Table<AArch64> waits_with_timeout{"WFxT", needs(Feature::wfxt), wfxt_rows};

} // namespace mimic::isa::aarch64
