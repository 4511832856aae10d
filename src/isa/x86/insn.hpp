// A decoded x86 instruction, its decoder, encoder and text.
#pragma once
#include "base/result.hpp"
#include "isa/row.hpp"
#include "isa/x86/row.hpp"
#include <array>
#include <string>
#include <vector>

namespace mimic::isa::x86 {

inline constexpr u8 no_register = 0xff, rip = 0x10;

struct I {
    u64 pc = 0;
    u32 length = 0;
    const Row* row = nullptr;
    // Prefixes. rep: 0, F2 or F3; segment: 0 or the prefix byte. rex: 0, or 40..4F.
    u8 rex = 0, rep = 0, segment = 0;
    bool opsize = false, addr32 = false, lock = false;
    u8 spare66 = 0; // 66 prefixes without a meaning
    u8 opcode = 0;
    // ModRM with the REX bits. rm is a register unless memory.
    bool memory = false;
    u8 reg = 0, rm = 0;
    u8 base = no_register, index = no_register, scale = 0; // scale: a shift
    bool redundant_sib = false;                            // a SIB byte that a ModRM byte could have said
    u8 disp_bytes = 0;
    i32 disp = 0;
    i64 imm = 0; // sign extended from its bytes

    bool w() const { return rex & 8; }
    const Kind& kind(u32 n) const { return kinds[row->operand[n]]; }
    bool is_memory(u32 n) const {
        Where where = kind(n).where;
        return where == Where::mem || (where == Where::rm && memory);
    }
    // Bytes of a size, and of operand n as it stands; 0 for memory without a size.
    u32 bytes(Size s) const;
    u32 bytes(u32 n) const { return bytes(is_memory(n) ? kind(n).memory : kind(n).size); }
    // The register of an operand in a register.
    u8 register_of(u32 n) const;
};

class Decoder {
public:
    explicit Decoder(std::span<const Table* const> tables);
    // false: illegal, or bytes are missing; then i.length is more than there are, 0 when unknown. length is that of the
    // illegal instruction as far as it was read otherwise.
    bool decode(std::span<const u8> code, u64 pc, I& i) const;
    std::span<const Row* const> rows() const { return rows_; }
    std::string_view table_of(u32 row) const { return tables_[row]; }
    std::vector<std::string> conflicts() const;

    // Intel syntax as binutils prints it, single blanks.
    static std::string print(const I& i);
    // The shortest encoding; of equal ones the first row's.
    Result<std::vector<u8>> assemble(std::string_view text, u64 pc) const;
    // The bytes of i: its row and fields say what they are. Sets i.length.
    static std::vector<u8> encode(I& i);

private:
    const Row* find(const I& i, u8 map, const u8* modrm) const;

    std::vector<const Row*> rows_;
    std::vector<std::string_view> tables_;
    std::array<std::vector<const Row*>, 4 * 256> index_; // by map and opcode, the more special first
};

} // namespace mimic::isa::x86
