// x86-64: state, models, the front end and the guest.
#include "isa/guest.hpp"
#include "isa/x86/x86.hpp"
#include "softfloat/env.hpp"
#include <algorithm>

namespace mimic::isa::x86 {

namespace {

using ir::Slot;
using ir::SlotClass;

constexpr std::string_view r_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::string_view xmm_names[16] = {"xmm0", "xmm1", "xmm2",  "xmm3",  "xmm4",  "xmm5",  "xmm6",  "xmm7",
                                            "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"};
// The old registers have shorter encodings and are used more.
constexpr u8 priority_of_r(u32 n) { return u8((n < 8 ? 100 : 80) - (n == 15 || n == 11 ? 20 : n % 8)); }

constexpr auto make_slots() {
    std::array<Slot, slot_count> s{};
    for (u32 n = 0; n < 16; ++n) {
        s[slot_r + n] = {r_names[n], u16(8 * n), Type::i64, SlotClass::gpr, priority_of_r(n)};
        s[slot_xmm + n] = {xmm_names[n], u16(192 + 16 * n), Type::v128, SlotClass::vec, u8(90 - n)};
    }
    s[slot_flags] = {"flags", 128, Type::flags, SlotClass::flag, 99};
    s[slot_df] = {"df", 132, Type::i8, SlotClass::sys};
    s[slot_eflags] = {"eflags", 136, Type::i32, SlotClass::sys};
    s[slot_mxcsr] = {"mxcsr", 140, Type::i32, SlotClass::sys};
    s[slot_fs_base] = {"fs_base", 144, Type::i64, SlotClass::sys};
    s[slot_gs_base] = {"gs_base", 152, Type::i64, SlotClass::sys};
    s[slot_temp] = {"temp", 160, Type::i64, SlotClass::temp};
    s[slot_temp2] = {"temp2", 168, Type::i64, SlotClass::temp};
    return s;
}
constexpr auto slots = make_slots();

constexpr u32 bit(Feature f) { return 1u << u32(f); }
constexpr Model models[] = {
    {"x86-64", bit(Feature::base)}, // the ABI's baseline
    {"max", ~0u},
};
constexpr std::string_view model_names[] = {"x86-64", "max"};

class X86FrontEnd final : public FrontEnd {
public:
    X86FrontEnd(const Decoder& decoder, ir::Unit& unit, const Model& model) : decoder_(decoder), ir_(unit, model) {}
    ir::Builder& builder() override { return ir_; }
    u32 translate(std::span<const u8> code, u64 pc, u32&) override {
        I i;
        bool known = decoder_.decode(code, pc, i);
        if (!known && i.length > code.size()) return 0;
        ir_.begin_insn(pc, i.length);
        known ? i.row->emit(ir_, i) : ir_.illegal();
        return i.length;
    }

private:
    const Decoder& decoder_;
    X86 ir_;
};

class X86Guest final : public Guest {
public:
    X86Guest(const Model& m, Decoder d) : model_(m), decoder_(std::move(d)) {}
    std::string_view name() const override { return "x86_64"; }
    std::string_view model() const override { return model_.name; }
    const ir::GuestState& state() const override { return state_x86_64; }
    u32 min_insn_bytes() const override { return 1; }
    u32 max_insn_bytes() const override { return 15; }
    std::unique_ptr<FrontEnd> front_end(ir::Unit& unit) const override {
        return std::make_unique<X86FrontEnd>(decoder_, unit, model_);
    }
    std::string disassemble(std::span<const u8> code, u64 pc, u32, u32& length) const override {
        I i;
        if (decoder_.decode(code, pc, i)) {
            length = i.length;
            return Decoder::print(i);
        }
        length = 1;
        return fmt::format(".byte {:#x}", code.empty() ? 0 : code[0]);
    }
    Result<std::vector<u8>> assemble(std::string_view text, u64 pc, u32) const override {
        return decoder_.assemble(text, pc);
    }
    u32 row_count() const override { return u32(decoder_.rows().size()); }
    RowInfo row(u32 n) const override {
        const Row& r = *decoder_.rows()[n];
        return {r.syntax, r.encoding, decoder_.table_of(n), 0};
    }
    u32 row_of(std::span<const u8> code, u64 pc, u32) const override {
        I i;
        if (!decoder_.decode(code, pc, i)) return no_row;
        auto rows = decoder_.rows();
        return u32(std::find(rows.begin(), rows.end(), i.row) - rows.begin());
    }
    std::vector<u8> random_instance(u32 n, Chance random) const override;
    std::vector<std::string> row_conflicts() const override { return decoder_.conflicts(); }

private:
    const Model& model_;
    Decoder decoder_;
};

i64 random_value(Chance& random) {
    switch (random() % 6) {
    case 0: return 0;
    case 1: return i64(random() % 16);
    case 2: return -1 - i64(random() % 16);
    case 3: return i64{1} << random() % 64;
    default: return i64(random());
    }
}

// Every form of the operands: widths, high registers, address forms; prefixes where they mean something.
std::vector<u8> X86Guest::random_instance(u32 n, Chance random) const {
    const Row& r = *decoder_.rows()[n];
    auto one_in = [&](u32 k) { return random() % k == 0; };
    for (u32 tries = 0; tries < 1000; ++tries) {
        I i{.row = &r};
        i.opcode = u8(r.opcode + (r.plus_cc ? random() % 16 : r.plus_r ? random() % 8 : 0));
        if (!one_in(2)) i.rex = u8(0x40 | random() % 16);
        if (r.w >= 0) i.rex = r.w ? i.rex | 0x48 : i.rex & ~8;
        if (r.no_b) i.rex &= ~1;
        bool sized = false;
        for (u32 k = 0; k < r.count; ++k) sized |= kinds[r.operand[k]].size == Size::v;
        i.opsize = sized && !i.w() && r.prefix == Prefix::any && one_in(4);
        i.rep = r.rep && one_in(2) ? one_in(2) ? 0xf2 : 0xf3 : 0;
        i.reg = u8(random() % 8);
        i.rm = u8(random() % 8);
        i.memory = r.has_modrm() && r.modrm < 0 && (r.mem == 1 || (r.mem < 0 && one_in(2)));
        i.lock = r.lock && i.memory && one_in(4);
        if (i.memory) {
            i.base = one_in(12) ? x86::no_register : one_in(12) ? rip : u8(random() % 8);
            if (i.base != rip && !one_in(3)) i.index = u8(random() % 8), i.scale = u8(random() % 4);
            if (i.index == 4 && !(i.rex & 2)) i.index = x86::no_register, i.scale = 0;
            i.addr32 = one_in(16);
            if (one_in(10)) i.segment = one_in(2) ? 0x64 : 0x65;
            bool far = i.base == x86::no_register || i.base == rip, near = i.base < 16 && (i.base == 5 || one_in(2));
            i.disp_bytes = far ? 4 : near ? one_in(2) ? 1 : 4 : 0;
            i64 d = random_value(random);
            i.disp = i.disp_bytes == 1 ? i8(d) : i.disp_bytes == 4 ? i32(d) : 0;
        }
        i.imm = random_value(random);
        for (u32 k = 0; k < r.count; ++k)
            if (kinds[r.operand[k]].where == Where::predicate) i.imm &= 7; // the upper bits are reserved
        std::vector<u8> bytes = Decoder::encode(i);
        I back;
        if (decoder_.decode(bytes, 0, back) && back.row == &r && back.length == bytes.size()) return bytes;
    }
    return {};
}

Result<std::unique_ptr<Guest>> make(std::string_view name) {
    static constexpr const Table* all[] = {&integer_rows, &control_rows, &bit_rows,    &string_rows,
                                           &system_rows,  &sse_rows,     &sse_fp_rows, &bmi1_rows,
                                           &lzcnt_rows,   &popcnt_rows,  &cx16_rows};
    for (const Model& m : models) {
        if (m.name != name) continue;
        std::vector<const Table*> tables;
        for (const Table* t : all)
            if (m.has(t->feature)) tables.push_back(t);
        return std::unique_ptr<Guest>(new X86Guest(m, Decoder(tables)));
    }
    return Error::invalid_argument("x86_64 CPU model '{}' is unknown, expected x86-64 or max", name);
}

} // namespace

constinit const ir::GuestState state_x86_64{
    .name = "x86_64", .slots = slots, .bytes = 192 + 256, .fp = &softfloat::env::x86_sse, .fp_flags = 0x3f};
extern const GuestInfo guest_info;
constinit const GuestInfo guest_info{"x86_64", "x86-64", model_names, make};

} // namespace mimic::isa::x86
