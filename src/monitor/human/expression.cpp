#include "monitor/human/human.hpp"
#include <charconv>

namespace mimic::monitor {

namespace {

constexpr u32 max_depth = 64;

class Parser {
public:
    Parser(std::string_view text, cpu::Vcpu* vcpu) : text_(text), vcpu_(vcpu) {}
    std::string_view left() const { return text_; }

    // Binding, loosest first: | ^ &, then + -, then * / %.
    Result<u64> sum(u32 depth = 0) {
        if (depth > max_depth) return Error::invalid_argument("expression is nested deeper than {} levels", max_depth);
        u64 v = TRY(term(depth));
        for (;;) {
            char c = peek();
            if (c != '+' && c != '-') return v;
            next();
            u64 w = TRY(term(depth));
            v = c == '+' ? v + w : v - w;
        }
    }
    Result<u64> logic(u32 depth = 0) {
        u64 v = TRY(sum(depth));
        for (;;) {
            char c = peek();
            if (c != '&' && c != '|' && c != '^') return v;
            next();
            u64 w = TRY(sum(depth));
            v = c == '&' ? v & w : c == '|' ? v | w : v ^ w;
        }
    }

private:
    char peek() {
        while (!text_.empty() && text_[0] == ' ') text_.remove_prefix(1);
        return text_.empty() ? '\0' : text_[0];
    }
    void next() { text_.remove_prefix(1); }

    Result<u64> term(u32 depth) {
        u64 v = TRY(unary(depth));
        for (;;) {
            char c = peek();
            if (c != '*' && c != '/' && c != '%') return v;
            next();
            u64 w = TRY(unary(depth));
            if (c != '*' && w == 0) return Error::invalid_argument("expression divides by zero");
            v = c == '*' ? v * w : c == '/' ? v / w : v % w;
        }
    }

    Result<u64> unary(u32 depth) {
        if (depth > max_depth) return Error::invalid_argument("expression is nested deeper than {} levels", max_depth);
        char c = peek();
        switch (c) {
        case '+': return next(), unary(depth + 1);
        case '-': return next(), u64{0} - TRY(unary(depth + 1));
        case '~': return next(), ~TRY(unary(depth + 1));
        case '(': {
            next();
            u64 v = TRY(logic(depth + 1));
            if (peek() != ')') return Error::invalid_argument("')' expected");
            next();
            return v;
        }
        case '$': return next(), reg();
        default: return number();
        }
    }

    Result<u64> reg() {
        size_t end = 0;
        while (end < text_.size() && (std::isalnum(u8(text_[end])) || text_[end] == '_')) end++;
        std::string_view name = text_.substr(0, end);
        text_.remove_prefix(end);
        u64 value = 0;
        bool ok = false;
        if (vcpu_) vcpu_->run_inside([&](ir::CpuHeader&) { ok = vcpu_->read_register(name, value); });
        if (!ok) return Error::invalid_argument("unknown register '${}'", name);
        return value;
    }

    Result<u64> number() {
        int base = 10;
        std::string_view digits = text_;
        if (digits.starts_with("0x") || digits.starts_with("0X")) {
            base = 16;
            digits.remove_prefix(2);
        } else if (digits.size() > 1 && digits[0] == '0') {
            base = 8;
        }
        u64 v = 0;
        auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), v, base);
        if (error == std::errc::result_out_of_range) return Error::invalid_argument("number too large");
        if (error != std::errc())
            return Error::invalid_argument("invalid char '{}' in expression", text_.empty() ? ' ' : text_[0]);
        text_.remove_prefix(size_t(end - text_.data()));
        return v;
    }

    std::string_view text_;
    cpu::Vcpu* vcpu_;
};

} // namespace

Result<u64> evaluate(std::string_view& text, cpu::Vcpu* vcpu) {
    Parser p(text, vcpu);
    u64 v = TRY(p.logic());
    text = p.left();
    return v;
}

} // namespace mimic::monitor
