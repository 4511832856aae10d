#include "ir/state.hpp"
#include "ir/text.hpp"
#include "ir/text_syntax.hpp"
#include <algorithm>
#include <charconv>
#include <map>

namespace mimic::ir {

namespace {

bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
           c == '%' || c == '~' || c == '@';
}

// The words of one line. An empty word is the end.
class Words {
public:
    explicit Words(std::string_view line) : rest_(line.substr(0, line.find(';'))) {}
    std::string_view peek() {
        while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == ',' || rest_[0] == '\r'))
            rest_.remove_prefix(1);
        size_t n = 0;
        while (n < rest_.size() && is_word(rest_[n])) ++n;
        return rest_.substr(0, n ? n : !rest_.empty());
    }
    std::string_view next() {
        std::string_view w = peek();
        rest_.remove_prefix(w.size());
        return w;
    }
    bool take(std::string_view word) {
        if (peek() != word) return false;
        next();
        return true;
    }
    bool end() { return peek().empty(); }

private:
    std::string_view rest_;
};

template <class Names>
int index_in(const Names& names, std::string_view name) {
    for (size_t n = 0; n < std::size(names); ++n)
        if (names[n] == name) return int(n);
    return -1;
}

class Parser {
public:
    Parser(const GuestState& guest, std::span<const Intrinsic* const> intrinsics)
        : guest_(guest)
        , intrinsics_(intrinsics) {}

    Result<Unit> parse(std::string_view text) {
        u32 number = 0;
        while (!text.empty()) {
            size_t n = std::min(text.find('\n'), text.size());
            Words words(text.substr(0, n));
            text.remove_prefix(std::min(n + 1, text.size()));
            ++number;
            if (!words.end()) TRY(line(words).in("line {}", number));
        }
        end_block();
        for (u32 n = 0; n < unit_.blocks.size(); ++n)
            if (!known_[n]) return Error::invalid_argument("block b{} is not defined", n);
        return std::move(unit_);
    }

private:
    Result<void> line(Words& w) {
        if (w.take("unit")) return header(w);
        std::string_view first = w.peek();
        if (first.size() > 1 && first[0] == 'b' && first[1] >= '0' && first[1] <= '9')
            TRY(block(w));
        else
            TRY(instruction(w));
        if (!w.end()) return Error::invalid_argument("'{}' is too much", w.peek());
        return {};
    }

    Result<u64> number(Words& w) {
        std::string_view s = w.next();
        u64 v = 0;
        bool hex = s.starts_with("0x");
        const char* from = s.data() + (hex ? 2 : 0);
        auto [end, error] = std::from_chars(from, s.data() + s.size(), v, hex ? 16 : 10);
        if (error != std::errc{} || end != s.data() + s.size())
            return Error::invalid_argument("'{}' is no number of at most 64 bits", s);
        return v;
    }
    Result<u64> number_below(Words& w, u64 limit) {
        u64 v = TRY(number(w));
        if (v >= limit) return Error::invalid_argument("{} is out of range, expected less than {}", v, limit);
        return v;
    }

    Result<void> header(Words& w) {
        while (!w.end()) {
            std::string_view key = w.next();
            u64 v = TRY(number(w));
            if (key == "pc")
                unit_.pc = v;
            else if (key == "mode")
                unit_.key.mode = u32(v);
            else if (key == "flavour")
                unit_.key.flavour = u32(v);
            else if (key == "vector" && v <= 256)
                unit_.vector_bytes = u32(v);
            else if (key == "range")
                unit_.guest_low = v, unit_.guest_high = TRY(number(w));
            else
                return Error::invalid_argument("'{} {}' is not part of a unit's header", key, v);
        }
        return {};
    }

    void end_block() {
        if (block_ != none) unit_.blocks[block_].end = u32(unit_.code.size());
    }
    Result<BlockId> block_id(Words& w) {
        std::string_view s = w.next();
        u32 v = 0;
        if (s.size() < 2 || s[0] != 'b') return Error::invalid_argument("'{}' is no block, expected b and a number", s);
        auto [end, error] = std::from_chars(s.data() + 1, s.data() + s.size(), v);
        if (error != std::errc{} || end != s.data() + s.size() || v >= 65536)
            return Error::invalid_argument("'{}' is no block, expected b and a number below 65536", s);
        if (v >= unit_.blocks.size()) unit_.blocks.resize(v + 1), known_.resize(v + 1);
        return v;
    }
    Result<void> block(Words& w) {
        end_block();
        block_ = TRY(block_id(w));
        if (known_[block_]) return Error::invalid_argument("block b{} is defined twice", block_);
        known_[block_] = true;
        names_.clear();
        Block& b = unit_.blocks[block_];
        b.begin = u32(unit_.code.size());
        while (!w.take(":")) {
            if (w.take("entry")) {
                b.entry = true;
            } else if (w.take("pc")) {
                b.pc = TRY(number(w));
            } else if (w.take("(")) {
                while (!w.take(")")) b.args.push_back(TRY(type(w)));
            } else {
                return Error::invalid_argument("'{}' in a block's head, expected entry, pc, (types) or :", w.peek());
            }
        }
        return {};
    }

    Result<Type> type(Words& w) {
        std::string_view s = w.next();
        Type t = type_from(s);
        if (t == Type::none) return Error::invalid_argument("'{}' is no type", s);
        return t;
    }
    Result<Lane> lane(std::string_view s) {
        for (u8 n = 0; n <= u8(Lane::i128); ++n)
            if (to_string(Lane(n)) == s) return Lane(n);
        return Error::invalid_argument("'{}' is no lane type", s);
    }
    Result<ValueId> value(Words& w) {
        std::string_view s = w.next();
        auto found = names_.find(s);
        if (found == names_.end()) return Error::invalid_argument("'{}' is no value of this block", s);
        return found->second;
    }
    Result<SlotId> slot_id(Words& w) {
        std::string_view s = w.next();
        for (u32 n = 0; n < guest_.slots.size(); ++n)
            if (guest_.slots[n].name == s) return SlotId(n);
        return Error::invalid_argument("'{}' is no slot of guest {}", s, guest_.name);
    }

    Result<void> instruction(Words& w) {
        if (block_ == none) return Error::invalid_argument("an instruction stands outside a block");
        std::string_view name;
        if (w.peek().starts_with('%')) {
            name = w.next();
            if (!w.take("=")) return Error::invalid_argument("'{}' after {}, expected =", w.peek(), name);
        }
        Inst i;
        std::string_view word = w.next();
        TRY(operation(word, i));
        i.type = info(i.op).result;
        i_ = &i;
        for (const char* s = syntax_of(i.op); *s; ++s) {
            if (*s == '?' || (s[1] == '?' && !w.peek().starts_with('%'))) continue;
            TRY(item(*s, w));
        }
        if ((result_type(i) != Type::none) != !name.empty())
            return Error::invalid_argument("{} {}", word, name.empty() ? "needs a name for its value" : "has no value");
        if (!name.empty() && !names_.emplace(name, u32(unit_.code.size())).second)
            return Error::invalid_argument("{} is defined twice", name);
        if (i.op == Op::insn) ++unit_.guest_insns;
        unit_.code.push_back(i);
        return {};
    }

    Result<void> operation(std::string_view word, Inst& i) {
        std::string_view name = word.substr(0, word.find('.'));
        std::string_view kind = name.size() < word.size() ? word.substr(name.size() + 1) : "";
        u32 op = 0;
        while (op < op_count && info(Op(op)).name != name) ++op;
        if (op == op_count) return Error::invalid_argument("'{}' is no operation", name);
        i.op = Op(op);
        int sub = -1;
        if (auto kinds = kinds_of(i.op); !kinds.empty()) {
            for (u32 n = 0; n < kinds.size(); ++n)
                if (kinds[n].name == kind) sub = int(n);
        } else if (auto names = sub_names(i.op); !names.empty()) {
            sub = index_in(names, kind);
        } else if (kind.empty()) {
            sub = 0;
        }
        if (sub < 0) return Error::invalid_argument("'{}' is no kind of {}", kind, name);
        i.sub = u8(sub);
        return {};
    }

    Result<void> constant(Words& w, Inst& i) {
        u32 bytes = size_of(i.type, unit_.vector_bytes);
        if (bytes <= 8) {
            bool negative = w.take("-");
            u64 v = TRY(number(w));
            if (negative) v = 0 - v;
            u32 bits = is_int(i.type) ? bits_of(i.type) : bytes * 8;
            i.imm = bits >= 64 ? v : v & ((u64{1} << bits) - 1);
            return {};
        }
        std::string_view s = w.next();
        if (!s.starts_with("0x") || s.size() > 2 + 2 * bytes)
            return Error::invalid_argument("'{}' is no hexadecimal number of at most {} bytes", s, bytes);
        i.imm = unit_.wide.size();
        unit_.wide.resize(i.imm + (bytes + 7) / 8);
        for (u32 n = 0; n + 2 < s.size(); ++n) {
            u8 digit = 0;
            const char* at = &s[s.size() - 1 - n];
            if (std::from_chars(at, at + 1, digit, 16).ptr == at)
                return Error::invalid_argument("'{}' is no number", s);
            unit_.wide[i.imm + n / 16] |= u64(digit) << n % 16 * 4;
        }
        return {};
    }

    Result<void> slot(Words& w, Inst& i, bool indexed) {
        SlotArg s{.slot = TRY(slot_id(w))};
        if (w.take("+")) s.offset = u16(TRY(number_below(w, 65536)));
        if (indexed) {
            if (!w.take("[")) return Error::invalid_argument("expected [%index of count by stride]");
            i.a = TRY(value(w));
            if (!w.take("of")) return Error::invalid_argument("expected 'of count'");
            s.count = u16(TRY(number_below(w, 65536)));
            if (!w.take("by")) return Error::invalid_argument("expected 'by stride'");
            s.stride = u16(TRY(number_below(w, 65536)));
            if (!w.take("]")) return Error::invalid_argument("expected ]");
        }
        i.imm = s.bits();
        return {};
    }

    Result<void> address(Words& w, Inst& i) {
        if (!w.take("["))
            return Error::invalid_argument("'{}' is no address, expected [%value + displacement]", w.peek());
        i.a = TRY(value(w));
        MemArg m = MemArg::from(i.imm);
        bool minus = w.take("-");
        if (minus || w.take("+")) {
            u64 v = TRY(number_below(w, (u64{1} << 31) + minus));
            m.disp = i32(minus ? 0 - u32(v) : u32(v));
        }
        if (!w.take("]")) return Error::invalid_argument("expected ]");
        i.imm = m.bits();
        return {};
    }

    Result<void> memory(Words& w, Inst& i) {
        MemArg m = MemArg::from(i.imm);
        m.memory = TRY(type(w));
        while (!w.end()) {
            std::string_view s = w.next();
            if (s == "sext")
                m.sign = true;
            else if (s == "big")
                m.big = true;
            else if (int n = index_in(align_names, s); n > 0)
                m.align = Align(n);
            else if (n = index_in(order_names, s); n > 0)
                m.order = Order(n);
            else if (s == "index")
                m.index = u8(TRY(number_below(w, 256)));
            else
                return Error::invalid_argument("'{}' says nothing about a memory access", s);
        }
        i.imm = m.bits();
        return {};
    }

    Result<void> fp(Words& w, Inst& i) {
        if (!has_fp_arg(i)) return {};
        FpArg f;
        while (!w.end()) {
            std::string_view s = w.next();
            if (int n = index_in(round_names, s); n >= 0)
                f.round = Round(n);
            else if (s == "neg_product")
                f.neg_product = true;
            else if (s == "neg_addend")
                f.neg_addend = true;
            else if (s == "exact")
                f.exact = true;
            else
                return Error::invalid_argument("'{}' says nothing about an FP operation", s);
        }
        i.imm = f.bits();
        return {};
    }

    // Values up to ')': the list's place in Unit::extra, plus one.
    Result<u32> list(Words& w) {
        std::vector<u32> values;
        while (!w.take(")")) values.push_back(TRY(value(w)));
        u32 at = u32(unit_.extra.size()) + 1;
        unit_.extra.push_back(u32(values.size()));
        unit_.extra.insert(unit_.extra.end(), values.begin(), values.end());
        return at;
    }

    Result<void> call(Words& w, Inst& i) {
        std::string_view name = w.next();
        auto found = std::find_if(intrinsics_.begin(), intrinsics_.end(), [&](auto* f) { return f->name == name; });
        if (found == intrinsics_.end()) return Error::invalid_argument("'{}' is no intrinsic known here", name);
        if (!w.take("(")) return Error::invalid_argument("expected ( after {}", name);
        CallArg c{.callee = u32(unit_.calls.size())};
        for (u32* operand : {&i.a, &i.b, &i.c})
            if (w.peek() != ")") *operand = TRY(value(w));
        if (w.peek() == ")")
            w.next();
        else
            c.rest = TRY(list(w));
        unit_.calls.push_back(*found);
        i.imm = c.bits();
        return {};
    }

    Result<void> table(Words& w, Inst& i) {
        if (!w.take("[")) return Error::invalid_argument("expected [bytes]");
        i.imm = unit_.wide.size();
        u32 bytes = size_of(i.type, unit_.vector_bytes);
        unit_.wide.resize(i.imm + (bytes + 7) / 8);
        for (u32 n = 0; n < bytes; ++n) unit_.wide[i.imm + n / 8] |= TRY(number_below(w, 256)) << n % 8 * 8;
        if (!w.take("]")) return Error::invalid_argument("expected ] after {} bytes", bytes);
        return {};
    }

    Result<void> scatter_value(Words& w, Inst& i) {
        MemArg m = MemArg::from(i.imm);
        m.disp = i32(unit_.extra.size());
        unit_.extra.push_back(TRY(value(w)));
        i.imm = m.bits();
        return {};
    }

    Result<void> type_and_lane(Words& w, Inst& i) {
        std::string_view s = w.next();
        size_t dot = std::min(s.find('.'), s.size());
        i.type = type_from(s.substr(0, dot));
        if (i.type == Type::none || dot == s.size()) return Error::invalid_argument("'{}' is no type.lane", s);
        i.lane = TRY(lane(s.substr(dot + 1)));
        return {};
    }
    Result<void> typed(u32& operand, Words& w, Inst& i) {
        operand = TRY(value(w));
        i.type = result_type(unit_.code[operand]);
        return {};
    }
    Result<void> type_of(Words& w, Inst& i) {
        if (i.op == Op::call && type_from(w.peek()) == Type::none) return {};
        i.type = TRY(type(w));
        return {};
    }

    Result<void> item(char c, Words& w) {
        Inst& i = *i_;
        switch (c) {
        case 't': return type_of(w, i);
        case 'l': return type_and_lane(w, i);
        case 'L': i.lane = TRY(lane(w.next())); return {};
        case 'a': i.a = TRY(value(w)); return {};
        case 'b': i.b = TRY(value(w)); return {};
        case 'c': i.c = TRY(value(w)); return {};
        case 'A': return typed(i.a, w, i);
        case 'B': return typed(i.b, w, i);
        case 'v': return scatter_value(w, i);
        case 'k': return constant(w, i);
        case 'i':
        case 'e': i.imm = TRY(number(w)); return {};
        case 'p':
            i.imm = TRY(number_below(w, 256));
            i.imm |= TRY(number_below(w, 256)) << 8;
            return {};
        case 's': return slot(w, i, false);
        case 'S': return slot(w, i, true);
        case 'd': i.c = TRY(slot_id(w)); return {};
        case 'm':
        case 'g': return address(w, i);
        case 'M': return memory(w, i);
        case 'G':
            if (w.take("signed")) i.sub = 1;
            if (w.take("scale")) i.sub |= u8(TRY(number_below(w, 8)) << 1);
            return {};
        case 'f': return fp(w, i);
        case 'x': i.imm |= w.take("inverted"); return {};
        case 'q': i.imm |= w.take("signaling"); return {};
        case 'w': i.imm |= w.take("swapped"); return {};
        case '1': i.b = TRY(block_id(w)); return {};
        case '2': i.c = TRY(block_id(w)); return {};
        case 'j':
            if (w.take("(")) i.imm = TRY(list(w));
            return {};
        case 'n': return call(w, i);
        case 'N': i.sub = u8(TRY(number_below(w, 256))); return {};
        case 'o': i.c = w.take("mode") ? u32(TRY(number_below(w, u64{1} << 32))) : 0; return {};
        case 'h': return table(w, i);
        default: return {};
        }
    }

    const GuestState& guest_;
    std::span<const Intrinsic* const> intrinsics_;
    Unit unit_;
    Inst* i_ = nullptr;
    BlockId block_ = none;
    std::vector<bool> known_;
    std::map<std::string_view, ValueId> names_;
};

} // namespace

Result<Unit> parse(std::string_view text, const GuestState& guest, std::span<const Intrinsic* const> intrinsics) {
    return Parser(guest, intrinsics).parse(text);
}

} // namespace mimic::ir
