#include "user/loader/program.hpp"
#include "user/linux/layout.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr u32 fixed_private = mapflag::private_ | mapflag::fixed;
constexpr u32 anonymous = mapflag::private_ | mapflag::anonymous;

Result<void> expect_abi(const ElfIdentity& id, const Abi& abi) {
    ElfIdentity wanted{abi.elf_class, abi.model.big, abi.elf_machine, id.type};
    if (id == wanted) return {};
    return Error::unsupported("program is {}, expected {}", describe(id), describe(wanted));
}

Result<void> map_error(i64 r, const ElfSegment& s) {
    return Error::from_errno(int(-r), "map segment at {:#x} of {:#x} bytes", s.address, s.memory_size);
}

Result<void> map_segment(AddressSpace& space, int fd, const ElfSegment& s, u64 bias) {
    u64 page = space.page(), start = s.address + bias, file_end = start + s.file_size, end = start + s.memory_size;
    u64 low = start & ~(page - 1), file_top = (file_end + page - 1) & ~(page - 1);
    u64 top = (end + page - 1) & ~(page - 1);
    if (s.file_size != 0) {
        // The rest of the last page is cleared, which needs write permission for a moment.
        bool clears = end > file_end && file_end != file_top;
        u32 p = s.prot | (clears ? prot::write : 0);
        u64 offset = s.offset - (start - low);
        if (i64 r = space.map(low, file_top - low, p, fixed_private, fd, offset); r < 0) return map_error(r, s);
        if (clears) {
            if (!space.zero(file_end, file_top - file_end))
                return Error::io("segment at {:#x} can't be read from its file", s.address);
            if (p != s.prot) space.protect(low, file_top - low, s.prot);
        }
    } else {
        file_top = low;
    }
    if (top > file_top)
        if (i64 r = space.map(file_top, top - file_top, s.prot, fixed_private | anonymous); r < 0)
            return map_error(r, s);
    return {};
}

// Where the image goes: 0 bias for fixed programs. Reserves the whole span.
Result<u64> reserve(AddressSpace& space, const ElfImage& image, u64 wish) {
    u64 size = image.high - image.low;
    if (!image.position_independent()) {
        if (image.low < space.low())
            return Error::unsupported("program wants address {:#x}, expected {:#x} or more", image.low, space.low());
        i64 r = space.map(image.low, size, prot::none, anonymous | mapflag::noreserve | mapflag::fixed_noreplace);
        if (r < 0) return Error::from_errno(int(-r), "reserve {:#x} to {:#x}", image.low, image.high);
        return 0;
    }
    u64 slack = image.align > space.page() ? image.align : 0;
    i64 r = space.map(wish, size + slack, prot::none, anonymous | mapflag::noreserve);
    if (r < 0) return Error::from_errno(int(-r), "find {:#x} bytes for the program", size);
    u64 at = (u64(r) + image.align - 1) & ~(image.align - 1);
    if (at > u64(r)) space.unmap(u64(r), at - u64(r));
    u64 end = u64(r) + size + slack;
    if (end > at + size) space.unmap(at + size, end - at - size);
    return at - image.low;
}

// A program without an interpreter, or the interpreter, is guarded when it says that it can be; the interpreter looks after
// the rest, as ld.so does on Linux.
void guard(const Abi& abi, ElfImage& image) {
    if (abi.guard_property == 0 || !(image.property(abi.guard_property) & 1)) return;
    for (ElfSegment& s : image.segments)
        if (s.prot & prot::exec) s.prot |= prot::guarded;
}

Result<u64> map_image(AddressSpace& space, const ElfImage& image, int fd, u64 wish) {
    u64 bias = TRY(reserve(space, image, wish));
    for (const ElfSegment& s : image.segments) TRY(map_segment(space, fd, s, bias));
    // Holes between segments are no memory of the program.
    u64 page = space.page(), at = image.low + bias;
    for (const ElfSegment& s : image.segments) {
        u64 low = (s.address + bias) & ~(page - 1);
        if (low > at) space.unmap(at, low - at);
        at = std::max(at, (s.address + bias + s.memory_size + page - 1) & ~(page - 1));
    }
    return bias;
}

} // namespace

int exit_status_of(const Error& error) { return error.kind() == ErrorKind::not_found ? 127 : 126; }

Result<ScriptLine> parse_script_line(std::string_view start) {
    ScriptLine line;
    if (!start.starts_with("#!")) return line;
    std::string_view text = start.substr(2, 253);
    size_t end = text.find('\n');
    bool whole = end != std::string_view::npos;
    text = text.substr(0, end);
    auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && (blank(text.back()) || text.back() == '\r' || text.back() == '\0')) text.remove_suffix(1);
    size_t space = text.find_first_of(" \t");
    if (text.empty()) return Error::corrupt("script line names no interpreter");
    if (!whole && space == std::string_view::npos && start.size() >= 255)
        return Error::corrupt("script line is longer than 255 bytes");
    line.interpreter = text.substr(0, space);
    if (space == std::string_view::npos) return line;
    text.remove_prefix(space);
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    line.argument = text;
    return line;
}

Result<LoadedProgram> load_program(AddressSpace& space, const Abi& abi, int fd, const std::string& name,
                                   int (*open_interpreter)(void*, const std::string&), void* context) {
    DescriptorBytes file(fd);
    ElfIdentity identity = TRY(identify_elf(file).in("{}", name));
    TRY(expect_abi(identity, abi).in("{}", name));
    ElfImage image = TRY(parse_elf(file, space.page(), space.high()).in("{}", name));
    // Programs without an interpreter are loaders themselves, and those go where mmap goes (Linux since 4.13).
    if (image.interpreter.empty()) guard(abi, image);
    u64 wish = image.interpreter.empty() ? 0 : abi.pie_base;
    u64 bias = TRY(map_image(space, image, fd, wish).in("{}", name));
    LoadedProgram program;
    program.entry = program.pc = image.entry + bias;
    program.headers = image.headers_address ? image.headers_address + bias : 0;
    program.header_count = image.header_count;
    program.header_bytes = image.header_bytes;
    program.brk = image.high + bias;
    program.executable_stack = image.executable_stack;
    if (image.interpreter.empty()) {
        // A static-PIE sits below mmap's other places; give its heap room of its own.
        if (image.position_independent()) program.brk = abi.pie_base;
        return program;
    }

    int interpreter = open_interpreter(context, image.interpreter);
    if (interpreter < 0)
        return Error::from_errno(-interpreter, "{}: interpreter {} (is -L SYSROOT missing?)", name, image.interpreter);
    auto load = [&]() -> Result<void> {
        DescriptorBytes bytes(interpreter);
        ElfIdentity loader_identity = TRY(identify_elf(bytes));
        TRY(expect_abi(loader_identity, abi));
        ElfImage loader = TRY(parse_elf(bytes, space.page(), space.high()));
        guard(abi, loader);
        u64 loader_bias = TRY(map_image(space, loader, interpreter, 0));
        program.interpreter_base = loader_bias + (loader.position_independent() ? 0 : loader.low);
        program.pc = loader.entry + loader_bias;
        return {};
    };
    auto loaded = load().in("{}: interpreter {}", name, image.interpreter);
    close(interpreter);
    TRY(std::move(loaded));
    return program;
}

} // namespace mimic::user
