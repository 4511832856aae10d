// Guest and FrontEnd for an ISA that is described by patterns: everything but the meanings comes from the rows.
//
// The ISA type says, beside what isa/row.hpp lists,
//   static Context context(u32 mode);           from the block key's mode bits
//   optional: static u32 next_mode(u32 mode, const Insn&)   mode bits of the instruction that follows (IT state)
//   static void illegal(Ir&);                   what an undefined instruction does
#pragma once
#include "isa/decoder.hpp"
#include "isa/guest.hpp"

namespace mimic::isa {

// FrontEnd of one instruction at a time.
template <class Isa>
class PatternFrontEnd : public FrontEnd {
public:
    template <class... A>
    PatternFrontEnd(const Decoder<Isa>& decoder, A&&... args) : decoder_(decoder)
                                                              , ir_(std::forward<A>(args)...) {}

    ir::Builder& builder() override { return ir_; }
    u32 translate(std::span<const u8> code, u64 pc, u32& mode) override {
        Insn<Isa> i;
        bool known = decoder_.decode(code, pc, Isa::context(mode), i);
        if (!known && (i.length == 0 || code.size() < i.length)) return 0;
        ir_.begin_insn(pc, i.length);
        if constexpr (requires { Isa::next_mode(mode, i); }) {
            if (known) ir_.set_mode(mode = Isa::next_mode(mode, i));
        }
        if (known)
            i.row->emit(ir_, i);
        else
            Isa::illegal(ir_);
        return i.length;
    }

protected:
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
        auto rows = decoder_.rows();
        return u32(std::find(rows.begin(), rows.end(), i.row) - rows.begin());
    }
    // Random field values that the row accepts; extension words are random too.
    std::vector<u8> random_instance(u32 n, std::mt19937_64& random) const override {
        const Row<Isa>& r = *decoder_.rows()[n];
        for (u32 tries = 0; tries < 10000; ++tries) {
            Insn<Isa> i{.bits = r.match, .pc = 0, .length = r.bits / 8u, .context = Isa::context(0), .row = &r};
            u64 free = r.bits == 64 ? ~r.mask : ~r.mask & ((u64{1} << r.bits) - 1);
            for (u32 f = 0; f < r.field_count; ++f) {
                u64 m = Isa::fields[r.field[f]]->mask(), v = random();
                if (u32 edge = random() % 8; edge < 2) v = edge ? ~u64{0} : 0; // ends of the range
                i.bits |= v & m & free;
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
