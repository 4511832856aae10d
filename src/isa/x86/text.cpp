// Intel syntax as binutils 2.40 prints it with -M intel, single blanks, without the comment on RIP-relative addresses.
#include "isa/x86/insn.hpp"
#include <fmt/core.h>

namespace mimic::isa::x86 {

namespace {

constexpr std::string_view regs64[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::string_view regs32[16] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
                                         "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};
constexpr std::string_view regs16[16] = {"ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
                                         "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"};
constexpr std::string_view regs8[16] = {"al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                        "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"};
constexpr std::string_view regs8_high[4] = {"ah", "ch", "dh", "bh"};
constexpr std::string_view ccs[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                      "s", "ns", "p", "np", "l", "ge", "le", "g"};
constexpr std::string_view cc_aliases[16] = {"", "", "c",  "nc", "z",   "nz", "na", "nbe",
                                             "", "", "pe", "po", "nge", "nl", "ng", "nle"};

constexpr std::string_view predicates[8] = {"eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"};

std::string_view segment_name(u8 prefix) {
    switch (prefix) {
    case 0x26: return "es";
    case 0x2e: return "cs";
    case 0x36: return "ss";
    case 0x3e: return "ds";
    case 0x64: return "fs";
    case 0x65: return "gs";
    default: return "";
    }
}
std::string_view pointer(u32 bytes) {
    switch (bytes) {
    case 1: return "BYTE PTR ";
    case 2: return "WORD PTR ";
    case 4: return "DWORD PTR ";
    case 8: return "QWORD PTR ";
    case 16: return "XMMWORD PTR ";
    default: return "";
    }
}

std::string register_name(u8 n, u32 bytes, bool xmm, bool rex) {
    if (xmm) return fmt::format("xmm{}", n);
    if (bytes == 1) return std::string(n >= 4 && n < 8 && !rex ? regs8_high[n - 4] : regs8[n]);
    return std::string((bytes == 8 ? regs64 : bytes == 4 ? regs32 : regs16)[n]);
}

u64 low_bytes(i64 v, u32 bytes) { return bytes >= 8 ? u64(v) : u64(v) & ((u64{1} << 8 * bytes) - 1); }

void print_address(std::string& out, const I& i) {
    bool none = i.base == no_register && i.index == no_register && !i.redundant_sib;
    if (i.segment >= 0x64) // the others are flat and print as prefixes
        out += fmt::format("{}:", segment_name(i.segment));
    else if (none && !i.addr32)
        out += "ds:";
    u64 disp = low_bytes(i.disp, i.addr32 && none ? 4 : 8);
    if (none && i.addr32) {
        out += fmt::format("[eiz*1+{:#x}]", disp);
        return;
    }
    if (none) {
        out += fmt::format("{:#x}", disp);
        return;
    }
    auto& regs = i.addr32 ? regs32 : regs64;
    out += '[';
    if (i.base == rip)
        out += i.addr32 ? "eip" : "rip";
    else if (i.base != no_register)
        out += regs[i.base];
    if (i.index != no_register || i.redundant_sib) {
        if (i.base != no_register) out += '+';
        out += i.index == no_register ? i.addr32 ? "eiz" : "riz" : regs[i.index];
        out += fmt::format("*{}", 1 << i.scale);
    }
    if (i.base == rip)
        out += fmt::format("+{:#x}", disp);
    else if (i.disp_bytes)
        out += fmt::format("{}{:#x}", i.disp < 0 ? '-' : '+', i.disp < 0 ? 0 - u64(i64(i.disp)) : u64(i.disp));
    out += ']';
}

void print_operand(std::string& out, const I& i, u32 n) {
    const Kind& k = i.kind(n);
    u32 bytes = i.bytes(n);
    switch (k.where) {
    case Where::cc: out += ccs[i.opcode & 15]; return;
    case Where::predicate: out += predicates[u8(i.imm) & 7]; return; // the upper bits are reserved
    case Where::rel: out += fmt::format("{:#x}", i.pc + i.length + u64(i.imm)); return;
    case Where::imm: out += fmt::format("{:#x}", low_bytes(i.imm, bytes)); return;
    case Where::moffs:
        out += fmt::format("{}:{:#x}", i.segment >= 0x64 ? segment_name(i.segment) : "ds",
                           low_bytes(i.imm, i.addr32 ? 4 : 8));
        return;
    case Where::source:
        out += fmt::format("{}{}:[{}]", pointer(bytes), i.segment >= 0x64 ? segment_name(i.segment) : "ds",
                           i.addr32 ? "esi" : "rsi");
        return;
    case Where::destination: out += fmt::format("{}es:[{}]", pointer(bytes), i.addr32 ? "edi" : "rdi"); return;
    default: break;
    }
    if (i.is_memory(n)) {
        // fnstcw and the like print none; cmpxchg16b's is an OWORD.
        out += bytes == 16 && !k.xmm && k.where == Where::mem && i.row->digit < 8 ? "OWORD PTR " : pointer(bytes);
        print_address(out, i);
        return;
    }
    out += register_name(i.register_of(n), bytes, k.xmm, i.rex != 0);
}

bool uses(const I& i, Where where) {
    for (u32 n = 0; n < i.row->count; ++n)
        if (i.kind(n).where == where) return true;
    return false;
}
bool has_address(const I& i) {
    return i.memory || uses(i, Where::moffs) || uses(i, Where::source) || uses(i, Where::destination);
}
bool compares(const Row& r) { return r.syntax.starts_with("cmps") || r.syntax.starts_with("scas"); }

// Prefixes that the operands don't show.
void print_prefixes(std::string& out, const I& i) {
    const Row& r = *i.row;
    if (i.lock) out += "lock ";
    if (i.rep && r.prefix != Prefix::f2 && r.prefix != Prefix::f3) {
        bool branch = i.rep == 0xf2 && uses(i, Where::rel);
        out += r.rep && i.rep == 0xf3 && !compares(r) ? "rep " : i.rep == 0xf3 ? "repz " : branch ? "bnd " : "repnz ";
    }
    for (u32 n = 0; n < i.spare66; ++n) out += "data16 ";
    bool indirect = r.syntax.starts_with("jmp {r/m") || r.syntax.starts_with("call {r/m");
    if (i.segment == 0x3e && indirect)
        out += "notrack ";
    else if (i.segment && (i.segment < 0x64 || !has_address(i)))
        out += fmt::format("{} ", segment_name(i.segment));
    if (i.addr32 && !has_address(i)) out += "addr32 ";
}

// ---- parsing

bool parse_register(Cursor& in, I& i, u32 bytes, bool xmm, u8& n) {
    std::string_view w = in.word();
    if (xmm) {
        Cursor digits{w};
        i64 v;
        if (!digits.eat("xmm") || !digits.number(v) || !digits.done() || v < 0 || v > 15) return false;
        n = u8(v);
        return true;
    }
    for (n = 0; n < 16; ++n) {
        auto& regs = bytes == 8 ? regs64 : bytes == 4 ? regs32 : bytes == 2 ? regs16 : regs8;
        if (regs[n] != w) continue;
        if (bytes == 1 && n >= 4 && n < 8) i.rex |= 0x40;
        return true;
    }
    for (n = 4; bytes == 1 && n < 8; ++n)
        if (regs8_high[n - 4] == w) {
            i.redundant_sib = true; // borrowed until the end of parsing: no REX may stand here
            return true;
        }
    return false;
}

bool take_segment(Cursor& in, I& i) {
    for (u8 s : {0x64, 0x65})
        if (in.at + 2 < in.text.size() && in.text[in.at + 2] == ':' && in.eat(segment_name(s))) {
            ++in.at;
            i.segment = s;
            return true;
        }
    return in.eat("ds:");
}

bool parse_index(std::string_view w, bool& narrow, u8& n) {
    for (n = 0; n < 16; ++n) {
        if (regs64[n] == w) return narrow = false, true;
        if (regs32[n] == w) return narrow = true, true;
    }
    return false;
}

// "[base+index*scale+disp]", "fs:0x28", "ds:0x1234"
bool parse_address(Cursor& in, I& i, bool& riz) {
    bool segment = take_segment(in, i), narrow = false, any = false;
    i.memory = true;
    i64 v;
    if (!in.eat('[')) {
        if (!segment || !in.number(v)) return false;
        i.disp_bytes = 4;
        i.disp = i32(v);
        i.addr32 = i64(i.disp) != v && v == i64(u32(v));
        return i64(i.disp) == v || i.addr32;
    }
    for (char sign = '+';; sign = in.peek(), ++in.at) {
        std::size_t at = in.at;
        std::string_view w = in.word();
        u8 n = no_register;
        if (w == "rip" || w == "eip") {
            i.base = rip;
            i.addr32 = w[0] == 'e';
        } else if (w == "riz" || w == "eiz" || parse_index(w, narrow, n)) {
            bool z = w.size() == 3 && w[2] == 'z';
            if (z) riz = true, narrow = w[0] == 'e';
            if (any && narrow != i.addr32) return false;
            i.addr32 = narrow;
            any = true;
            if (in.eat('*')) {
                if (!in.number(v) || (v != 1 && v != 2 && v != 4 && v != 8)) return false;
                i.scale = u8(v == 8 ? 3 : v == 4 ? 2 : v - 1);
                i.index = z ? no_register : n;
                if (i.index == 4) return false;
            } else if (i.base == no_register) {
                i.base = n;
            } else {
                return false;
            }
        } else {
            in.at = at;
            if (!in.number(v)) return false;
            if (sign == '-') v = -v;
            bool fits = v == i32(v) || (i.addr32 && v == i64(u32(v)));
            if (!fits) return false;
            i.disp = i32(v);
            i.disp_bytes = i.base < 16 && v == i8(v) ? 1 : 4;
        }
        if (in.eat(']')) break;
        if (in.peek() != '+' && in.peek() != '-') return false;
    }
    if (i.base == no_register || i.base == rip) i.disp_bytes = 4;
    if (i.base < 16 && (i.base & 7) == 5 && i.disp_bytes == 0) i.disp_bytes = 1;
    return true;
}

i64 extended(i64 v, u32 bytes) { return i64(u64(v) << (64 - 8 * bytes)) >> (64 - 8 * bytes); }

bool imm_fits(const I& i, i64 v, u32 operand_bytes, i64& out) {
    u32 bytes = 0;
    switch (i.row->imm) {
    case Imm::b: bytes = 1; break;
    case Imm::w: bytes = 2; break;
    case Imm::d: bytes = 4; break;
    case Imm::z: bytes = i.bytes(Size::v) == 2 ? 2 : 4; break;
    case Imm::v: bytes = i.bytes(Size::v); break;
    default: bytes = 8;
    }
    // The text shows the operand's width; the bytes must extend to that.
    out = extended(v, bytes);
    return low_bytes(out, operand_bytes) == low_bytes(v, operand_bytes) &&
           (low_bytes(v, operand_bytes) == u64(v) || extended(v, operand_bytes) == v);
}

struct Parser {
    Cursor in;
    I& i;
    bool has_rel = false, riz = false;
    u64 target = 0;

    bool operand(u32 n) {
        const Kind& k = i.kind(n);
        u32 size = i.bytes(k.size);
        u8 r;
        i64 v;
        switch (k.where) {
        case Where::cc:
            for (u32 c = 0; c < 16; ++c)
                for (std::string_view name : {ccs[c], cc_aliases[c]}) {
                    auto end = in.at + name.size();
                    bool ends = end >= in.text.size() || in.text[end] == ' ';
                    if (name.empty() || !ends || !in.eat(name)) continue;
                    i.opcode = u8(i.row->opcode + c);
                    return true;
                }
            return false;
        case Where::predicate:
            for (u32 c = 8; c-- > 0;)
                if (in.eat(predicates[c])) return i.imm = c, true;
            return false;
        case Where::rel:
            has_rel = in.number(v);
            target = u64(v);
            return has_rel;
        case Where::imm: return in.number(v) && imm_fits(i, v, size, i.imm);
        case Where::acc: return parse_register(in, i, size, false, r) && r == 0;
        case Where::reg:
        case Where::opcode:
            if (!parse_register(in, i, size, k.xmm, r)) return false;
            if (k.where == Where::reg) {
                i.reg = r;
                i.rex |= r & 8 ? 0x44 : 0;
            } else {
                i.opcode = u8(i.row->opcode + (r & 7));
                i.rex |= r & 8 ? 0x41 : 0;
            }
            return true;
        case Where::moffs: return take_segment(in, i) && in.number(i.imm);
        case Where::source:
            return in.eat(pointer(size)) && take_segment(in, i) && (in.eat("[rsi]") || (i.addr32 = in.eat("[esi]")));
        case Where::destination:
            return in.eat(pointer(size)) && in.eat("es:") && (in.eat("[rdi]") || (i.addr32 = in.eat("[edi]")));
        default: break;
        }
        if (k.where != Where::mem) {
            Cursor saved = in;
            bool borrowed = i.redundant_sib;
            u8 rex = i.rex;
            if (parse_register(in, i, size, k.xmm, r)) {
                i.rm = r;
                i.rex |= r & 8 ? 0x41 : 0;
                return true;
            }
            in = saved, i.redundant_sib = borrowed, i.rex = rex;
        }
        if (k.where == Where::rm_reg) return false;
        u32 memory = i.bytes(k.memory);
        if (memory && !in.eat(pointer(memory)) && !(memory == 16 && in.eat("OWORD PTR "))) return false;
        if (!parse_address(in, i, riz)) return false;
        if (i.base != no_register && i.base != rip && i.base & 8) i.rex |= 0x41;
        if (i.index != no_register && i.index & 8) i.rex |= 0x42;
        return true;
    }

    bool run() {
        std::string_view s = i.row->syntax;
        u32 n = 0;
        for (std::size_t p = 0; p < s.size(); ++p) {
            if (s[p] == '{') {
                if (!operand(n++)) return false;
                p = s.find('}', p);
            } else if (s[p] == ' ') {
                if (!in.eat(' ')) return false;
                in.skip_spaces();
            } else if (!in.eat(s[p])) {
                return false;
            }
        }
        in.skip_spaces();
        bool high = i.redundant_sib;
        i.redundant_sib = riz;
        if (high && i.rex) return false;
        return in.done();
    }
};

// Prefix words before the mnemonic, into `i`.
void parse_prefixes(Cursor& in, I& i) {
    for (bool more = true; more;) {
        more = false;
        auto word = [&](std::string_view w) {
            if (!in.eat(w)) return false;
            in.skip_spaces();
            return more = true;
        };
        if (word("lock ")) i.lock = true;
        if (word("rep ") || word("repz ") || word("repe ")) i.rep = 0xf3;
        if (word("repnz ") || word("repne ") || word("bnd ")) i.rep = 0xf2;
        if (word("data16 ")) ++i.spare66;
        if (word("notrack ") || word("ds ")) i.segment = 0x3e;
        if (word("cs ")) i.segment = 0x2e;
        if (word("es ")) i.segment = 0x26;
        if (word("ss ")) i.segment = 0x36;
        if (word("fs ")) i.segment = 0x64;
        if (word("gs ")) i.segment = 0x65;
        if (word("addr32 ")) i.addr32 = true;
    }
}

} // namespace

std::string Decoder::print(const I& i) {
    std::string out;
    print_prefixes(out, i);
    std::string_view s = i.row->syntax;
    u32 n = 0;
    for (std::size_t p = 0; p < s.size(); ++p) {
        if (s[p] != '{') {
            out += s[p];
            continue;
        }
        print_operand(out, i, n++);
        p = s.find('}', p);
    }
    return out;
}

Result<std::vector<u8>> Decoder::assemble(std::string_view text, u64 pc) const {
    I start{.pc = pc};
    Cursor in{text};
    in.skip_spaces();
    parse_prefixes(in, start);
    std::string_view mnemonic = in.text.substr(in.at, in.text.substr(in.at).find(' '));
    std::vector<u8> best;
    for (const Row* r : rows_) {
        std::string_view name = r->syntax.substr(0, r->syntax.find_first_of(" {"));
        if (!mnemonic.starts_with(name)) continue;
        for (u32 size : {4, 8, 2}) {
            if (size != 4 && !r->uses_operand_size() && !(size == 8 && r->w < 0)) continue;
            I i = start;
            i.row = r;
            i.opcode = r->opcode;
            if (r->w == 1) i.rex = 0x48;
            if (size == 8 && r->w < 0) i.rex = 0x48;
            if (size == 2) i.opsize = true;
            if (size == 8 && r->w >= 0) continue;
            Parser parser{in, i};
            if (!parser.run() || (i.lock && !(r->lock && i.memory))) continue;
            if (r->mem >= 0 && r->mem != i.memory) continue;
            std::vector<u8> bytes = encode(i);
            if (parser.has_rel) {
                i.imm = i64(parser.target - pc - i.length);
                i64 limit = r->imm == Imm::rel8 ? i8(i.imm) : i32(i.imm);
                if (limit != i.imm) continue;
                bytes = encode(i);
            }
            I back; // prefixes may have made it another row's
            if (!best.empty() && bytes.size() >= best.size()) continue;
            if (decode(bytes, pc, back) && back.row == r && back.length == bytes.size()) best = bytes;
        }
    }
    if (best.empty()) return Error::invalid_argument("cannot assemble '{}': no instruction has this form", text);
    return best;
}

} // namespace mimic::isa::x86
