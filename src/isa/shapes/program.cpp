#include "isa/shapes/program.hpp"
#include "ir/verify.hpp"
#include "isa/row.hpp"
#include <cstring>

namespace mimic::isa {

namespace {

constexpr bool in_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

// Replaces names of labels by addresses.
std::string resolve(std::string_view line, const Program& p) {
    std::string out;
    for (std::size_t n = 0; n < line.size();) {
        std::size_t end = n;
        while (end < line.size() && in_name(line[end])) ++end;
        auto word = line.substr(n, end - n);
        if (auto l = p.labels.find(word); l != p.labels.end())
            out += fmt::format("{:#x}", l->second);
        else
            out += word;
        if (end == n) out += line[end++];
        n = end;
    }
    return out;
}

// Once over the source with the labels' values so far; `moved` says whether one changed.
Result<void> pass(const Guest& guest, std::string_view source, Program& p, bool& moved) {
    p.bytes.clear();
    u32 mode = 0;
    while (!source.empty()) {
        auto end = source.find('\n');
        std::string_view line = source.substr(0, end);
        source = end == source.npos ? std::string_view{} : source.substr(end + 1);
        line = trim(line.substr(0, line.find("# ")));
        if (line.empty()) continue;
        u64 pc = p.base + p.bytes.size();
        if (line.back() == ':') {
            u64& label = p.labels[std::string(line.substr(0, line.size() - 1))];
            moved |= label != pc;
            label = pc;
        } else if (line.starts_with(".word ") || line.starts_with(".mode ")) {
            std::string operand = resolve(line.substr(6), p);
            Cursor in{operand};
            i64 v;
            if (!in.number(v)) return Error::invalid_argument("'{}': expected a number", line);
            if (line[1] == 'm') {
                mode = u32(v);
                continue;
            }
            for (u32 k = 0; k < 4; ++k) p.bytes.push_back(u8(v >> 8 * (guest.big_endian() ? 3 - k : k)));
        } else {
            auto bytes = TRY(guest.assemble(resolve(line, p), pc, mode));
            p.bytes.insert(p.bytes.end(), bytes.begin(), bytes.end());
        }
    }
    return {};
}

u64 apply(ir::Rmw op, u64 a, u64 b, u32 bytes) {
    u32 unused = 64 - 8 * bytes;
    i64 x = i64(a << unused) >> unused, y = i64(b << unused) >> unused;
    switch (op) {
    case ir::Rmw::add: return a + b;
    case ir::Rmw::sub: return a - b;
    case ir::Rmw::and_: return a & b;
    case ir::Rmw::or_: return a | b;
    case ir::Rmw::xor_: return a ^ b;
    case ir::Rmw::andn: return a & ~b;
    case ir::Rmw::swap: return b;
    case ir::Rmw::smin: return x < y ? a : b;
    case ir::Rmw::smax: return x > y ? a : b;
    case ir::Rmw::umin: return a < b ? a : b;
    case ir::Rmw::umax: return a > b ? a : b;
    }
    return 0;
}

} // namespace

Result<Program> assemble_program(const Guest& guest, u64 base, std::string_view source) {
    Program p{.base = base};
    // The first passes find the labels; lengths may depend on them, so until nothing moves. Unknown labels are 0 at
    // first, which need not be in a branch's reach: they start at the base.
    for (std::string_view rest = source; !rest.empty();) {
        auto end = rest.find('\n');
        std::string_view line = trim(rest.substr(0, end));
        if (!line.empty() && line.back() == ':') p.labels[std::string(line.substr(0, line.size() - 1))] = base;
        rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
    }
    for (u32 n = 0; n < 20; ++n) {
        bool moved = false;
        TRY(pass(guest, source, p, moved));
        if (!moved) return p;
    }
    return Error::invalid_argument("the labels of the program do not settle");
}

Machine::Machine(const Guest& guest, u32 ram_bytes, u64 ram_base)
    : guest_(guest)
    , translator_(guest)
    , storage_((ir::slots_offset + guest.state().bytes) / 64 + 1)
    , state_(storage_.data()->b, storage_.size() * 64)
    , base_(ram_base)
    , ram_(ram_bytes) {
    new (state_.data()) ir::CpuHeader();
}

void Machine::load(const Program& p) {
    std::copy(p.bytes.begin(), p.bytes.end(), at(p.base));
    cpu().pc = p.base;
    cpu().mode = 0;
}

const ir::Unit& Machine::unit_at_pc(const Limits& limits) {
    std::pair key{cpu().pc, cpu().mode};
    if (auto kept = units_.find(key); kept != units_.end()) return kept->second;
    Fetch fetch = [this](u64 pc, std::span<u8> out) {
        u64 from = pc - base_, n = from < ram_.size() ? std::min(out.size(), ram_.size() - from) : 0;
        std::copy_n(ram_.data() + (n ? from : 0), n, out.data());
        return u32(n);
    };
    ir::Unit& unit = translator_.translate(cpu().pc, {.mode = cpu().mode}, fetch, limits);
    auto valid = ir::verify(unit, guest_.state());
    MIMIC_CHECK(valid, valid ? "" : valid.error().message().c_str());
    return keep_ ? units_.emplace(key, unit).first->second : unit;
}

void Machine::run(const Limits& limits, u32 units) {
    for (u32 n = 0; n < units; ++n) {
        interpreter_.run(unit_at_pc(limits), guest_.state(), cpu(), *this);
        if (cpu().exit_kind == ir::ExitKind::trap || cpu().exit_kind == ir::ExitKind::fault) return;
    }
}

u8* Machine::slot_home(std::string_view name, u32 n, u32& bytes) {
    for (const ir::Slot& s : guest_.state().slots) {
        if (s.name != name || n-- != 0) continue;
        bytes = std::min(ir::size_of(s.type), 8u);
        return ir::home(&cpu(), s);
    }
    MIMIC_CHECK(false, "the guest has no slot of this name");
}
u64 Machine::slot(std::string_view name, u32 n) {
    u32 bytes;
    u64 v = 0;
    const u8* p = slot_home(name, n, bytes);
    std::memcpy(&v, p, bytes);
    return v;
}
void Machine::set_slot(std::string_view name, u64 v, u32 n) {
    u32 bytes;
    u8* p = slot_home(name, n, bytes);
    std::memcpy(p, &v, bytes);
}

bool Machine::in_ram(u64 address, u64 bytes, ir::FaultKind kind) {
    u64 from = address - base_;
    if (from < ram_.size() && bytes <= ram_.size() - from) return true;
    cpu().fault_address = from < ram_.size() ? base_ + ram_.size() : address;
    cpu().fault_kind = kind;
    return false;
}
bool Machine::load(ir::CpuHeader&, u64 address, void* out, u32 bytes, const ir::MemArg&) {
    if (!in_ram(address, bytes, ir::FaultKind::read)) return false;
    std::memcpy(out, at(address), bytes);
    return true;
}
bool Machine::store(ir::CpuHeader&, u64 address, const void* in, u32 bytes, const ir::MemArg&) {
    if (!in_ram(address, bytes, ir::FaultKind::write)) return false;
    std::memcpy(at(address), in, bytes);
    return true;
}
bool Machine::rmw(ir::CpuHeader&, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg& m) {
    if (!in_ram(address, bytes, ir::FaultKind::write)) return false;
    auto byte = [&](u32 k) -> u8& { return at(address)[m.big ? bytes - 1 - k : k]; };
    old = 0;
    for (u32 k = 0; k < bytes; ++k) old |= u64(byte(k)) << 8 * k;
    u64 now = apply(op, old, operand, bytes);
    for (u32 k = 0; k < bytes; ++k) byte(k) = u8(now >> 8 * k);
    return true;
}
bool Machine::cas(ir::CpuHeader&, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                  const ir::MemArg&) {
    if (!in_ram(address, bytes, ir::FaultKind::write)) return false;
    u8* p = at(address);
    std::memcpy(old, p, bytes);
    if (std::memcmp(p, expected, bytes) == 0) std::memcpy(p, desired, bytes);
    return true;
}
bool Machine::probe(ir::CpuHeader&, u64 address, u64 bytes, bool write) {
    return bytes == 0 || in_ram(address, bytes, write ? ir::FaultKind::write : ir::FaultKind::read);
}

} // namespace mimic::isa
