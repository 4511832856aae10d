#include "ir/text.hpp"
#include "ir/text_syntax.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <iterator>
#include <numeric>

namespace mimic::ir {

namespace {

class Printer {
public:
    Printer(const Unit& unit, const GuestState& guest, std::string& out) : unit_(unit), guest_(guest), out_(out) {}

    void line(ValueId n) {
        const Inst& i = unit_.code[n];
        if (result_type(i) != Type::none) add("%{} = ", n);
        add("{}", info(i.op).name);
        if (std::string_view kind = kind_name(i); !kind.empty()) add(".{}", kind);
        first_ = true;
        for (const char* s = syntax_of(i.op); *s; ++s) item(*s, i);
    }

    void blocks() {
        std::vector<BlockId> order(unit_.blocks.size());
        std::iota(order.begin(), order.end(), 0u);
        std::stable_sort(order.begin(), order.end(),
                         [&](BlockId a, BlockId b) { return unit_.blocks[a].begin < unit_.blocks[b].begin; });
        for (BlockId b : order) {
            const Block& block = unit_.blocks[b];
            add("b{}{} pc {:#x}", b, block.entry ? " entry" : "", block.pc);
            for (u32 n = 0; n < block.args.size(); ++n)
                add("{}{}{}", n ? ", " : " (", to_string(block.args[n]), n + 1 == block.args.size() ? ")" : "");
            add(":\n");
            for (u32 n = block.begin; n < block.end; ++n) {
                add("  ");
                line(n);
                add("\n");
            }
        }
    }

    void header() {
        add("unit pc {:#x} mode {:#x} flavour {:#x} vector {} range {:#x} {:#x}\n", unit_.pc, unit_.key.mode,
            unit_.key.flavour, unit_.vector_bytes, unit_.guest_low, unit_.guest_high);
    }

private:
    template <class... T>
    void add(fmt::format_string<T...> f, T&&... args) {
        fmt::vformat_to(std::back_inserter(out_), f, fmt::make_format_args(args...));
    }
    static std::string_view kind_name(const Inst& i) {
        if (auto kinds = kinds_of(i.op); !kinds.empty()) return kinds[i.sub].name;
        auto names = sub_names(i.op);
        return names.empty() ? std::string_view{} : names[i.sub];
    }
    // What stands between two items.
    void separate() {
        add("{}", first_ ? " " : ", ");
        first_ = false;
    }
    void operand(ValueId v) {
        if (v == none) return;
        separate();
        add("%{}", v);
    }
    void number(u64 v) {
        if (v < 1024)
            add("{}", v);
        else
            add("{:#x}", v);
    }
    void immediate(u64 v) {
        separate();
        number(v);
    }
    void words(u64 at, u32 bytes) {
        std::string digits;
        for (u32 n = bytes; n-- > 0;)
            fmt::format_to(std::back_inserter(digits), "{:02x}", u8(unit_.wide[at + n / 8] >> n % 8 * 8));
        size_t zeros = std::min(digits.find_first_not_of('0'), digits.size() - 1);
        add(" 0x{}", std::string_view(digits).substr(zeros));
    }
    void constant(const Inst& i) {
        u32 bytes = size_of(i.type, unit_.vector_bytes);
        if (bytes > 8) return words(i.imm, bytes);
        add(" ");
        number(i.imm);
    }
    void slot(SlotArg s) {
        separate();
        add("{}", guest_.slots[s.slot].name);
        if (s.offset) add("+{}", s.offset);
    }
    void address(const Inst& i) {
        i32 disp = i.op == Op::scatter ? 0 : MemArg::from(i.imm).disp;
        separate();
        add("[%{}", i.a);
        if (disp) add(" {} ", disp < 0 ? "-" : "+");
        if (disp) number(disp < 0 ? 0 - u64(i64(disp)) : u64(disp));
        add("]");
    }
    void memory(MemArg m) {
        add(" {}", to_string(m.memory));
        if (m.sign) add(" sext");
        if (m.big) add(" big");
        if (m.align != Align::any) add(" {}", align_names[u8(m.align)]);
        if (m.order != Order::plain) add(" {}", order_names[u8(m.order)]);
        if (m.index) add(" index {}", m.index);
    }
    void fp(const Inst& i) {
        if (!has_fp_arg(i)) return;
        FpArg f = FpArg::from(i.imm);
        if (f.round != Round::dynamic) add(" {}", round_names[u8(f.round)]);
        if (f.neg_product) add(" neg_product");
        if (f.neg_addend) add(" neg_addend");
        if (f.exact) add(" exact");
    }
    void list(u64 at, const char* open, const char* close) {
        add("{}", open);
        for (u32 n = 0; at && n < unit_.extra[at - 1]; ++n) add("{}%{}", n ? ", " : "", unit_.extra[at + n]);
        add("{}", close);
    }
    void call(const Inst& i) {
        CallArg c = CallArg::from(i.imm);
        add(" {}(", unit_.calls[c.callee]->name);
        const char* comma = "";
        for_each_operand(unit_, i, [&](ValueId v) {
            add("{}%{}", comma, v);
            comma = ", ";
        });
        add(")");
    }
    void type(const Inst& i) {
        if (i.type == Type::none) return;
        add(" {}", to_string(i.type));
    }
    void item(char c, const Inst& i) {
        SlotArg s = SlotArg::from(i.imm);
        switch (c) {
        case 't': return type(i);
        case 'l': return type(i), add(".{}", to_string(i.lane));
        case 'L': return add(" {}", to_string(i.lane));
        case 'a':
        case 'A': return operand(i.a);
        case 'b':
        case 'B': return operand(i.b);
        case 'c': return operand(i.c);
        case 'v': return operand(unit_.extra[u32(MemArg::from(i.imm).disp)]);
        case 'k': return constant(i);
        case 'i': return immediate(i.imm);
        case 'e': return separate(), add("{:#x}", i.imm);
        case 'p': return immediate(i.imm & 0xff), immediate(i.imm >> 8 & 0xff);
        case 's': return slot(s);
        case 'S': return slot(s), add("[%{} of {} by {}]", i.a, s.count, s.stride);
        case 'd': return separate(), add("{}", guest_.slots[i.c].name);
        case 'm':
        case 'g': return address(i);
        case 'M': return memory(MemArg::from(i.imm));
        case 'G':
            if (i.sub & 1) add(" signed");
            if (i.sub >> 1) add(" scale {}", i.sub >> 1);
            return;
        case 'f': return fp(i);
        case 'x': return add("{}", i.imm & 1 ? " inverted" : "");
        case 'q': return add("{}", i.imm & 1 ? " signaling" : "");
        case 'w': return add("{}", i.imm & 1 ? " swapped" : "");
        case '1': return separate(), add("b{}", i.b);
        case '2': return separate(), add("b{}", i.c);
        case 'j': return i.imm ? list(i.imm, "(", ")") : void();
        case 'n': return call(i);
        case 'N': return add("{} {}", first_ || i.op == Op::insn ? "" : ",", i.sub);
        case 'o': return i.c ? add(" mode {:#x}", i.c) : void();
        case 'h': return separate(), table(i);
        default: return;
        }
    }
    void table(const Inst& i) {
        u32 bytes = size_of(i.type, unit_.vector_bytes);
        for (u32 n = 0; n < bytes; ++n) add("{}{}", n ? " " : "[", u8(unit_.wide[i.imm + n / 8] >> n % 8 * 8));
        add("]");
    }

    const Unit& unit_;
    const GuestState& guest_;
    std::string& out_;
    bool first_ = true;
};

} // namespace

std::string print(const Unit& unit, const GuestState& guest) {
    std::string out;
    Printer p(unit, guest, out);
    p.header();
    p.blocks();
    return out;
}

std::string print(const Unit& unit, const GuestState& guest, ValueId n) {
    std::string out;
    Printer(unit, guest, out).line(n);
    return out;
}

} // namespace mimic::ir
