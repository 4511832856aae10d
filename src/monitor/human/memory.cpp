// HMP: memory, expressions, addresses.
#include "monitor/commands.hpp"
#include "monitor/dump.hpp"
#include "monitor/human/human.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::monitor {

namespace {

struct Format {
    u64 count = 1;
    char type = 'x'; // x d u o c i
    u32 size = 4;    // bytes; instructions have their own
};

constexpr u64 max_count = 65536;

// "4xw": count, format and size in any order after the count, as gdb's x command takes it.
Result<Format> parse_format(const std::string& text) {
    Format f;
    bool sized = false;
    const char *at = text.data(), *end = at + text.size();
    if (at != end && *at >= '0' && *at <= '9') {
        auto [next, error] = std::from_chars(at, end, f.count);
        if (error != std::errc() || f.count > max_count)
            return Error::invalid_argument("invalid count in '/{}', expected at most {}", text, max_count);
        at = next;
    }
    for (; at != end; ++at) {
        constexpr std::string_view sizes = "bhwg", types = "xduoci";
        if (size_t n = sizes.find(*at); n != std::string_view::npos) {
            f.size = 1u << n;
            sized = true;
        } else if (types.find(*at) != std::string_view::npos) {
            f.type = *at;
        } else {
            return Error::invalid_argument("invalid char in format: '{}'", *at);
        }
    }
    if (f.type == 'c' && !sized) f.size = 1;
    return f;
}

std::string character(u8 c) {
    switch (c) {
    case '\n': return "'\\n'";
    case '\r': return "'\\r'";
    case '\t': return "'\\t'";
    case '\'': return "'\\''";
    case '\\': return "'\\\\'";
    default: return c >= 32 && c < 127 ? fmt::format("'{}'", char(c)) : fmt::format("'\\x{:02x}'", c);
    }
}

std::string value_text(u64 v, char type, u32 size) {
    u32 bits = 8 * size;
    if (bits < 64) v &= (u64{1} << bits) - 1;
    i64 s = i64(v << (64 - bits)) >> (64 - bits);
    u32 decimals = size == 1 ? 3 : size == 2 ? 5 : size == 4 ? 10 : 20;
    switch (type) {
    case 'd': return fmt::format("{:>{}}", s, decimals);
    case 'u': return fmt::format("{:>{}}", v, decimals);
    case 'o': return fmt::format("{:>{}}", fmt::format("{:#o}", v), (bits + 2) / 3 + 1);
    case 'c': return character(u8(v));
    default: return fmt::format("0x{:0{}x}", v, 2 * size);
    }
}

using Fetch = std::function<bool(u64, std::span<u8>)>;

void show_code(HumanCall& c, u64 at, u64 count, const Fetch& fetch) {
    cpu::Vcpu& v = c.vcpu();
    u32 mode = 0;
    v.run_inside([&](ir::CpuHeader& h) { mode = h.mode; });
    for (u64 i = 0; i < count; i++) {
        u8 code[16];
        u32 have = v.guest().max_insn_bytes(), length = 0;
        while (have && !fetch(at, std::span(code).first(have))) have -= v.guest().min_insn_bytes();
        if (!have) return c.print("Cannot access memory\n");
        std::string text = v.guest().disassemble(std::span(code).first(have), at, mode, length);
        std::string bytes;
        for (u32 k = length; k-- > 0;) bytes += fmt::format("{:02x}", code[k]);
        c.print("0x{:016x}:  {:<16}  {}\n", at, bytes, text);
        at += std::max(1u, length);
    }
    c.person.next = at;
}

Result<void> dump(HumanCall& c, const Fetch& fetch) {
    Format f = TRY(parse_format(c.format));
    TRY(c.has_processor()); // whose code and byte order it is
    u64 at = c.rest().empty() ? c.person.next : TRY(c.expression());
    if (!c.rest().empty()) return Error::invalid_argument("'{}' is left over, expected one address", c.rest());
    if (f.type == 'i') return show_code(c, at, f.count, fetch), Result<void>();
    bool big = c.vcpu().guest().big_endian();
    u32 a_line = f.type == 'c' ? 16 : std::max<u32>(1, 16 / f.size);
    for (u64 i = 0; i < f.count; i++, at += f.size) {
        u8 bytes[8];
        if (i % a_line == 0) c.print("{}{:016x}:", i ? "\n" : "", at);
        if (!fetch(at, std::span(bytes).first(f.size))) {
            c.print(" Cannot access memory");
            break;
        }
        u64 v = 0;
        for (u32 k = 0; k < f.size; k++) v |= u64(bytes[big ? f.size - 1 - k : k]) << 8 * k;
        c.print(" {}", value_text(v, f.type, f.size));
    }
    c.out += '\n';
    c.person.next = at;
    return {};
}

Result<void> examine(HumanCall& c) {
    return dump(c, [&](u64 at, std::span<u8> out) { return read_virtual(c.vcpu(), at, out); });
}
Result<void> examine_physical(HumanCall& c) {
    return dump(c, [&](u64 at, std::span<u8> out) {
        return c.m.machine().memory().read(at, out.data(), out.size(), {.debug = true}) == memory::Outcome::ok;
    });
}

Result<void> print(HumanCall& c) {
    Format f = TRY(parse_format(c.format));
    u64 v = TRY(c.expression());
    if (!c.rest().empty()) return Error::invalid_argument("'{}' is left over, expected one expression", c.rest());
    switch (f.type) {
    case 'd': c.print("{}\n", i64(v)); break;
    case 'u': c.print("{}\n", v); break;
    case 'o': c.print("{:#o}\n", v); break;
    case 'c': c.print("{}\n", character(u8(v))); break;
    default: c.print("{:#x}\n", v);
    }
    return {};
}

Result<void> sum(HumanCall& c) {
    u64 at = TRY(c.expression()), bytes = TRY(c.expression());
    if (bytes > c.m.board().options().ram_bytes)
        return Error::invalid_argument("sum: {} bytes are more than there are", bytes);
    std::vector<u8> all(bytes);
    if (!read_ram(c.m.machine().memory(), at, all)) return Error::invalid_argument("Cannot access memory");
    u16 total = 0; // of the 1970s: rotate right, add
    for (u8 b : all) total = u16((total >> 1 | total << 15) + b);
    c.print("{:05}\n", total);
    return {};
}

Result<void> save(HumanCall& c, std::string_view command) {
    if (command == "memsave") TRY(c.has_processor());
    Json j = Json::object();
    j.set("val", i64(TRY(c.expression())));
    j.set("size", i64(TRY(c.expression())));
    j.set("filename", c.word());
    if (command == "memsave") j.set("cpu-index", c.vcpu().index());
    return c.qmp(command, j);
}
Result<void> memsave(HumanCall& c) { return save(c, "memsave"); }
Result<void> pmemsave(HumanCall& c) { return save(c, "pmemsave"); }

Result<u64> physical(HumanCall& c, u64 address) {
    TRY(c.has_processor());
    u64 at = 0;
    bool ok = false;
    c.vcpu().run_inside([&](ir::CpuHeader&) { ok = c.vcpu().translate_debug(address, at); });
    if (!ok) return Error::invalid_argument("Unmapped");
    return at;
}
Result<void> gva2gpa(HumanCall& c) {
    u64 address = TRY(c.expression());
    auto at = physical(c, address);
    if (at)
        c.print("gpa: {:#x}\n", *at);
    else
        c.print("Unmapped\n");
    return {};
}
Result<void> gpa2hva(HumanCall& c) {
    u64 address = TRY(c.expression());
    memory::Place p = c.m.machine().memory().find(address);
    if (p.kind != memory::Place::Kind::ram && p.kind != memory::Place::Kind::rom)
        return Error::invalid_argument("No memory is mapped at address {:#x}", address);
    c.print("Host virtual address for {:#x} ({}) is {:#x}\n", address, p.block->name(), u64(p.host()));
    return {};
}

Result<void> dump_memory(HumanCall& c) {
    std::string path = c.word();
    if (path.empty()) return Error::invalid_argument("dump-guest-memory: expected a file, and begin and length");
    u64 begin = 0, length = ~u64{0};
    if (!c.rest().empty()) {
        begin = TRY(c.expression());
        length = TRY(c.expression());
    }
    auto claim = TRY(c.m.run().claim(machines::Keeper::dump));
    return c.m.machine().loop()->run(dump(c.m, std::move(claim), path, begin, length));
}

constexpr HumanCommand commands[] = {
    {"x", "/fmt addr", "shows memory at the processor's addresses; fmt: count, x d u o c i, b h w g", examine},
    {"xp", "/fmt addr", "shows memory at physical addresses", examine_physical},
    {"print|p", "/fmt expr", "the value of an expression", print},
    {"sum", "addr size", "the 16-bit checksum of a piece of memory", sum},
    {"memsave", "addr size file", "writes memory at the processor's addresses to a file", memsave},
    {"pmemsave", "addr size file", "writes memory at physical addresses to a file", pmemsave},
    {"dump-guest-memory", "file [begin length]", "writes RAM and registers to an ELF core file", dump_memory},
    {"gva2gpa", "addr", "the physical address of a processor's address", gva2gpa},
    {"gpa2hva", "addr", "the host's address of a physical address", gpa2hva},
};

} // namespace

constinit const std::span<const HumanCommand> memory_commands{commands};

} // namespace mimic::monitor
