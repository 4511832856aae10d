// Guest and FrontEnd for an ISA that is described by patterns: everything but the meanings comes from the rows.
//
// The ISA type says, beside what isa/row.hpp lists,
//   static Context context(u32 mode);           from the block key's mode bits
//   optional: static u32 next_mode(u32 mode, const Insn&)   mode bits of the instruction that follows (IT state)
//   static void illegal(Ir&);                   what an undefined instruction does
//   optional: static void emit(Ir&, const Insn&)            around each meaning: calls insn.row->emit (predication)
#pragma once
#include "isa/decoder.hpp"
#include "isa/guest.hpp"

namespace mimic::isa {

// FrontEnd of one instruction at a time. Delay slots and packets derive from it and take several.
template <class Isa>
class PatternFrontEnd : public FrontEnd {
public:
    template <class... A>
    PatternFrontEnd(const Decoder<Isa>& decoder, A&&... args) : decoder_(decoder)
                                                              , ir_(std::forward<A>(args)...) {}

    ir::Builder& builder() override { return ir_; }
    u32 translate(std::span<const u8> code, u64 pc, u32& mode) override {
        Insn<Isa> i;
        if (!fetch(code, pc, mode, i)) return 0;
        ir_.begin_insn(pc, i.length);
        emit(i, mode);
        return i.length;
    }

protected:
    // Decodes; false when bytes are missing. An illegal instruction has no row.
    bool fetch(std::span<const u8> code, u64 pc, u32 mode, Insn<Isa>& i) const {
        return decoder_.decode(code, pc, Isa::context(mode), i) || (i.length != 0 && code.size() >= i.length);
    }
    // Emits the meaning, under the mode that follows.
    void emit(const Insn<Isa>& i, u32& mode) {
        if (!i.row) return Isa::illegal(ir_);
        if constexpr (requires { Isa::next_mode(mode, i); }) ir_.set_mode(mode = Isa::next_mode(mode, i));
        if constexpr (requires { Isa::emit(ir_, i); })
            Isa::emit(ir_, i);
        else
            i.row->emit(ir_, i);
    }

    const Decoder<Isa>& decoder_;
    typename Isa::Ir ir_;
};

template <class Isa>
class PatternGuest : public Guest {
public:
    explicit PatternGuest(Decoder<Isa> decoder) : decoder_(std::move(decoder)) {}

    const Decoder<Isa>& decoder() const { return decoder_; }

    std::string disassemble(std::span<const u8> code, u64 pc, u32 mode, u32& length) const override {
        Insn<Isa> i;
        std::string out;
        if (decoder_.decode(code, pc, Isa::context(mode), i)) {
            length = i.length;
            Decoder<Isa>::print(out, i);
            return out;
        }
        length = std::min(i.length && i.length <= code.size() ? i.length : min_insn_bytes(), u32(code.size()));
        out = ".byte";
        for (u32 n = 0; n < length; ++n) out += fmt::format("{}0x{:02x}", n ? ", " : " ", code[n]);
        return out;
    }
    Result<std::vector<u8>> assemble(std::string_view text, u64 pc, u32 mode) const override {
        return decoder_.assemble(text, pc, Isa::context(mode));
    }

    u32 row_count() const override { return u32(decoder_.rows().size()); }
    RowInfo row(u32 n) const override {
        const Row<Isa>& r = *decoder_.rows()[n];
        return {r.syntax, r.pattern, decoder_.table(n), r.bits / 8u};
    }
    u32 row_of(std::span<const u8> code, u64 pc, u32 mode) const override {
        Insn<Isa> i;
        if (!decoder_.decode(code, pc, Isa::context(mode), i)) return no_row;
        return decoder_.number(i.row);
    }
    std::vector<std::string> row_conflicts() const override { return decoder_.conflicts(); }
    // Random field values that the row accepts; extension words are random too.
    std::vector<u8> random_instance(u32 n, Chance random) const override {
        const Row<Isa>& r = *decoder_.rows()[n];
        for (u32 tries = 0; tries < 10000; ++tries) {
            Insn<Isa> i{.bits = r.match, .pc = 0, .length = r.bits / 8u, .context = Isa::context(0), .row = &r};
            u64 free = ~r.mask & Isa::layout.all(r.bits);
            for (u32 f = 0; f < r.field_count; ++f) {
                u64 m = Isa::fields[r.field[f]]->mask(), v = random();
                if (u32 edge = random() % 8; edge < 2) v = edge ? ~u64{0} : 0; // ends of the range
                i.bits = (i.bits & ~(m & free)) | (v & m & free);
            }
            std::vector<u8> bytes(r.bits / 8);
            unpack_bits(i.bits, bytes.data(), u32(bytes.size()), Isa::layout);
            for (u32 k = 0; k < max_insn_bytes() - r.bits / 8u; ++k) bytes.push_back(u8(random()));
            Insn<Isa> back;
            if (decoder_.decode(bytes, 0, Isa::context(0), back) && back.row == &r) {
                bytes.resize(back.length);
                return bytes;
            }
        }
        return {};
    }

private:
    Decoder<Isa> decoder_;
};

} // namespace mimic::isa
