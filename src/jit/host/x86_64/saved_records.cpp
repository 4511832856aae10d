// Records of calls out, for code that another process executes: an operation as its fields; an intrinsic by its place in this
// program's image, since both processes run the same build (who keeps the code sees to that).
#include "base/process.hpp"
#include "ir/verify.hpp"
#include "jit/host/x86_64/backend.hpp"
#include <cstring>

extern "C" const char __executable_start, etext,
    _end; // of the image, by the linker (ld: PROVIDE in its default script)

namespace mimic::jit::x86 {

namespace {

enum class Kind : u64 { operation, intrinsic };

// An operation; as many words of Unit::wide follow.
struct SavedOperation {
    Kind kind = Kind::operation;
    u64 imm = 0;
    u32 vector_bytes = 0;
    u8 op = 0, type = 0, sub = 0, lane = 0;
    u8 operands = 0; // a bit each of those that there are
    u8 types[3] = {};
    u32 words = 0;
};
struct SavedIntrinsic {
    Kind kind = Kind::intrinsic;
    u64 offset = 0; // of the ir::Intrinsic
};

template <class T>
void append(std::vector<u8>& out, const T& t) {
    const u8* p = reinterpret_cast<const u8*>(&t);
    out.insert(out.end(), p, p + sizeof t);
}

constexpr u32 most_words = 8; // as Records::operation takes

bool is_in_image(const void* at) { return u64(at) >= u64(&__executable_start) && u64(at) < u64(&_end); }

// Is what stands there an intrinsic? Its name and its body must be where such are; nothing else has both.
bool is_intrinsic(const ir::Intrinsic* at) {
    ir::Intrinsic f{};
    if (process::guarded_copy(&f, at, sizeof f) != 0) return false;
    char name[64];
    if (f.name.empty() || f.name.size() > sizeof name || !is_in_image(f.name.data())) return false;
    if (process::guarded_copy(name, f.name.data(), f.name.size()) != 0) return false;
    for (char c : std::string_view(name, f.name.size()))
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.'))
            return false;
    const void* body = reinterpret_cast<const void*>(f.body);
    return is_in_image(body) && u64(body) < u64(&etext) && f.args <= 8 && f.results <= 8 && f.effects < 32;
}

// An operation with operands of these types, by the rules for units.
bool is_operation(const ir::Unit& unit, const ir::Inst& i, const ir::Type (&types)[3], const ir::GuestState& guest) {
    ir::Unit whole;
    whole.vector_bytes = unit.vector_bytes;
    whole.wide = unit.wide;
    ir::Inst copy = i;
    const ir::Inst end{.op = ir::Op::trap, .sub = u8(ir::TrapKind::guest)};
    whole.code.push_back(end);
    whole.blocks.push_back({.begin = 0, .end = 1});
    ir::Block block{.begin = 1};
    u32 n = 0;
    for (ir::ValueId* v : {&copy.a, &copy.b, &copy.c}) {
        const ir::Type type = types[n++];
        if (*v == ir::none) continue;
        if (type == ir::Type::none || type > ir::Type::flags) return false;
        *v = u32(whole.code.size());
        whole.code.push_back({.op = ir::Op::arg, .type = type, .imm = block.args.size()});
        block.args.push_back(type);
    }
    whole.code.push_back(copy);
    whole.code.push_back(end);
    block.end = u32(whole.code.size());
    whole.blocks.push_back(block);
    return bool(ir::verify(whole, guest));
}

} // namespace

bool Records::save(u32 n, std::vector<u8>& out) const {
    if (n >= count_) return false;
    const Record& r = (*this)[n];
    if (r.intrinsic) {
        SavedIntrinsic s{.offset = u64(r.intrinsic) - u64(&__executable_start)};
        if (u64(r.intrinsic) >= u64(&_end)) return false;
        append(out, s);
        return true;
    }
    const ir::Inst& i = r.unit->code[3];
    SavedOperation s{.imm = i.imm,
                     .vector_bytes = r.unit->vector_bytes,
                     .op = u8(i.op),
                     .type = u8(i.type),
                     .sub = i.sub,
                     .lane = u8(i.lane),
                     .operands = u8((i.a != ir::none) | (i.b != ir::none) << 1 | (i.c != ir::none) << 2),
                     .words = u32(r.unit->wide.size())};
    for (u32 k = 0; k < 3; ++k) s.types[k] = u8(r.unit->code[k].type);
    append(out, s);
    for (u64 w : r.unit->wide) append(out, w);
    return true;
}

bool Records::load(std::span<const u8> saved, const ir::GuestState& guest, u32& record) {
    Kind kind;
    if (saved.size() < sizeof kind) return false;
    std::memcpy(&kind, saved.data(), sizeof kind);
    if (kind == Kind::intrinsic) {
        SavedIntrinsic s;
        if (saved.size() != sizeof s) return false;
        std::memcpy(&s, saved.data(), sizeof s);
        const u64 image = u64(&_end) - u64(&__executable_start);
        if (s.offset % alignof(ir::Intrinsic) || s.offset > image - sizeof(ir::Intrinsic)) return false;
        const auto* f = reinterpret_cast<const ir::Intrinsic*>(&__executable_start + s.offset);
        if (!is_intrinsic(f)) return false;
        record = intrinsic(*f);
        return record != full;
    }
    SavedOperation s;
    if (kind != Kind::operation || saved.size() < sizeof s) return false;
    std::memcpy(&s, saved.data(), sizeof s);
    if (s.op >= ir::op_count || s.words > most_words || saved.size() != sizeof s + 8 * s.words) return false;
    ir::Unit unit;
    unit.vector_bytes = s.vector_bytes;
    unit.wide.resize(s.words);
    if (s.words) std::memcpy(unit.wide.data(), saved.data() + sizeof s, 8 * s.words);
    auto operand = [&](u32 k) { return s.operands >> k & 1 ? k : ir::none; };
    const ir::Inst i{.op = ir::Op(s.op),
                     .type = ir::Type(s.type),
                     .sub = s.sub,
                     .lane = ir::Lane(s.lane),
                     .a = operand(0),
                     .b = operand(1),
                     .c = operand(2),
                     .imm = s.imm};
    const ir::Type types[3] = {ir::Type(s.types[0]), ir::Type(s.types[1]), ir::Type(s.types[2])};
    if (!is_operation(unit, i, types, guest)) return false;
    record = operation(unit, i, types);
    return record != full;
}

} // namespace mimic::jit::x86
