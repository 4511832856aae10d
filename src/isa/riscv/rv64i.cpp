// RV64I base integer instructions: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 2 and 4;
// Zifencei: chapter 6. Order as in the opcode tables of chapter 35.
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

// Orders reads and writes; device input and output count as reads and writes.
u32 fence_set(i64 iorw) { return u32(((iorw >> 3 | iorw >> 1) & 1) | ((iorw >> 2 | iorw) & 1) << 1); }

// With an empty set it is a hint (table 12: pause is one).
void fence(Rv& t, const I& i) {
    u32 before = fence_set(i[pred]), after = fence_set(i[succ]);
    if (before && after) t.fence(before, after);
}

// clang-format off
constexpr R rows[] = {
    {"lui     {rd}, {imm_u}",           "imm_u rd 0110111",                 constant<>},
    {"auipc   {rd}, {imm_u}",           "imm_u rd 0010111",                 [](Rv& t, const I& i) { t.x(i[rd], t.code_address(t.pc() + u64(i[imm_u]))); }},
    {"jal     {rd}, {imm_j}",           "imm_j rd 1101111",                 jal<>},
    {"jalr    {rd}, {imm_i}({rs1})",    "imm_i rs1 000 rd 1100111",         jalr<>},

    {"beq     {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 000 imm_b 1100011",  branch<equal>},
    {"bne     {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 001 imm_b 1100011",  branch<not_equal>},
    {"blt     {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 100 imm_b 1100011",  branch<less>},
    {"bge     {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 101 imm_b 1100011",  branch<greater_equal>},
    {"bltu    {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 110 imm_b 1100011",  branch<less_unsigned>},
    {"bgeu    {rs1}, {rs2}, {imm_b}",   "imm_b rs2 rs1 111 imm_b 1100011",  branch<greater_equal_unsigned>},

    {"lb      {rd}, {imm_i}({rs1})",    "imm_i rs1 000 rd 0000011",         load<Type::i8, true>},
    {"lh      {rd}, {imm_i}({rs1})",    "imm_i rs1 001 rd 0000011",         load<Type::i16, true>},
    {"lw      {rd}, {imm_i}({rs1})",    "imm_i rs1 010 rd 0000011",         load<Type::i32, true>},
    {"ld      {rd}, {imm_i}({rs1})",    "imm_i rs1 011 rd 0000011",         load<Type::i64, false>},
    {"lbu     {rd}, {imm_i}({rs1})",    "imm_i rs1 100 rd 0000011",         load<Type::i8, false>},
    {"lhu     {rd}, {imm_i}({rs1})",    "imm_i rs1 101 rd 0000011",         load<Type::i16, false>},
    {"lwu     {rd}, {imm_i}({rs1})",    "imm_i rs1 110 rd 0000011",         load<Type::i32, false>},
    {"sb      {rs2}, {imm_s}({rs1})",   "imm_s rs2 rs1 000 imm_s 0100011",  store<Type::i8>},
    {"sh      {rs2}, {imm_s}({rs1})",   "imm_s rs2 rs1 001 imm_s 0100011",  store<Type::i16>},
    {"sw      {rs2}, {imm_s}({rs1})",   "imm_s rs2 rs1 010 imm_s 0100011",  store<Type::i32>},
    {"sd      {rs2}, {imm_s}({rs1})",   "imm_s rs2 rs1 011 imm_s 0100011",  store<Type::i64>},

    {"addi    {rd}, {rs1}, {imm_i}",    "imm_i rs1 000 rd 0010011",         immediate<add>},
    {"slti    {rd}, {rs1}, {imm_i}",    "imm_i rs1 010 rd 0010011",         immediate<set_less>},
    {"sltiu   {rd}, {rs1}, {imm_i}",    "imm_i rs1 011 rd 0010011",         immediate<set_less_unsigned>},
    {"xori    {rd}, {rs1}, {imm_i}",    "imm_i rs1 100 rd 0010011",         immediate<bit_xor>},
    {"ori     {rd}, {rs1}, {imm_i}",    "imm_i rs1 110 rd 0010011",         immediate<bit_or>},
    {"andi    {rd}, {rs1}, {imm_i}",    "imm_i rs1 111 rd 0010011",         immediate<bit_and>},
    {"slli    {rd}, {rs1}, {shamt}",    "000000 shamt rs1 001 rd 0010011",  shift<shl>},
    {"srli    {rd}, {rs1}, {shamt}",    "000000 shamt rs1 101 rd 0010011",  shift<lshr>},
    {"srai    {rd}, {rs1}, {shamt}",    "010000 shamt rs1 101 rd 0010011",  shift<ashr>},

    {"add     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 000 rd 0110011",   binary<add>},
    {"sub     {rd}, {rs1}, {rs2}",      "0100000 rs2 rs1 000 rd 0110011",   binary<sub>},
    {"sll     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 001 rd 0110011",   binary<shl>},
    {"slt     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 010 rd 0110011",   binary<set_less>},
    {"sltu    {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 011 rd 0110011",   binary<set_less_unsigned>},
    {"xor     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 100 rd 0110011",   binary<bit_xor>},
    {"srl     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 101 rd 0110011",   binary<lshr>},
    {"sra     {rd}, {rs1}, {rs2}",      "0100000 rs2 rs1 101 rd 0110011",   binary<ashr>},
    {"or      {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 110 rd 0110011",   binary<bit_or>},
    {"and     {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 111 rd 0110011",   binary<bit_and>},

    {"addiw   {rd}, {rs1}, {imm_i}",    "imm_i rs1 000 rd 0011011",         immediate_w<add>},
    {"slliw   {rd}, {rs1}, {shamtw}",   "0000000 shamtw rs1 001 rd 0011011", shift_w<shl>},
    {"srliw   {rd}, {rs1}, {shamtw}",   "0000000 shamtw rs1 101 rd 0011011", shift_w<lshr>},
    {"sraiw   {rd}, {rs1}, {shamtw}",   "0100000 shamtw rs1 101 rd 0011011", shift_w<ashr>},
    {"addw    {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 000 rd 0111011",   binary_w<add>},
    {"subw    {rd}, {rs1}, {rs2}",      "0100000 rs2 rs1 000 rd 0111011",   binary_w<sub>},
    {"sllw    {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 001 rd 0111011",   binary_w<shl>},
    {"srlw    {rd}, {rs1}, {rs2}",      "0000000 rs2 rs1 101 rd 0111011",   binary_w<lshr>},
    {"sraw    {rd}, {rs1}, {rs2}",      "0100000 rs2 rs1 101 rd 0111011",   binary_w<ashr>},

    {"fence   {pred}, {succ}",          "0000 pred succ 00000 000 00000 0001111", fence},
    {"fence.tso",                       "1000 0011 0011 00000 000 00000 0001111", [](Rv& t, const I&) { t.fence(1, 3), t.fence(2, 2); }},
    {"ecall",                           "000000000000 00000 000 00000 1110011", [](Rv& t, const I&) { t.trap(ir::TrapKind::syscall, t.pc()); }},
    {"ebreak",                          "000000000001 00000 000 00000 1110011", [](Rv& t, const I&) { t.trap(ir::TrapKind::breakpoint, t.pc()); }},
};

constexpr R zifencei_rows[] = {
    {"fence.i",                         "000000000000 00000 001 00000 0001111", [](Rv& t, const I&) { t.trap(ir::TrapKind::flush_code, t.next_pc()); }},
};

// clang-format on

} // namespace

constinit const Table<RiscV> rv64i{"RV64I", needs(Ext::i), rows};
constinit const Table<RiscV> zifencei{"Zifencei", needs(Ext::zifencei), zifencei_rows};

} // namespace mimic::isa::riscv
