// The stack of a program that starts: strings, auxiliary vector, pointers. System V ABI, Process Initialization;
// getauxval(3) for the entries. AT_SYSINFO_EHDR is absent: a C library then makes system calls for the clock, which
// user mode answers fast, and there is no second ELF image to keep in step with each ABI.
#include "base/touch.hpp"
#include "user/loader/program.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr u64 usual_stack = 64 << 10; // what programs use of it
constexpr u64 max_strings = 32 << 20; // arguments and environment in all
constexpr u64 guard_pages = 16;

// Fills memory from the top down.
class Builder {
public:
    Builder(AddressSpace& space, u64 top) : space_(space), at_(top) {}
    u64 bytes(const void* data, u64 size) {
        at_ -= size;
        ok_ &= space_.write(at_, data, size);
        return at_;
    }
    u64 string(const std::string& s) { return bytes(s.c_str(), s.size() + 1); }
    void align(u64 to) { at_ &= ~(to - 1); }
    u64 at() const { return at_; }
    bool ok() const { return ok_; }

private:
    AddressSpace& space_;
    u64 at_;
    bool ok_ = true;
};

// Words of the guest's size and byte order.
class Words {
public:
    explicit Words(Model m) : model_(m) {}
    void push(u64 v) {
        u8 raw[8];
        store_int(raw, model_.long_bytes, model_.big, v);
        bytes_.insert(bytes_.end(), raw, raw + model_.long_bytes);
    }
    const std::vector<u8>& bytes() const { return bytes_; }

private:
    Model model_;
    std::vector<u8> bytes_;
};

struct AuxSources {
    u64 random, platform, file_name;
};

std::vector<std::pair<u64, u64>> auxiliary(u32 page, const Abi& abi, const LoadedProgram& p, const StartStack& s,
                                           const AuxSources& at) {
    std::vector<std::pair<u64, u64>> v = {
        {AT_HWCAP, abi.hwcap(s.cpu_model, 1)},
        {AT_PAGESZ, page},
        {AT_CLKTCK, u64(sysconf(_SC_CLK_TCK))},
        {AT_PHDR, p.headers},
        {AT_PHENT, p.header_bytes},
        {AT_PHNUM, p.header_count},
        {AT_BASE, p.interpreter_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, p.entry},
        {AT_UID, s.uid.real},
        {AT_EUID, s.uid.effective},
        {AT_GID, s.gid.real},
        {AT_EGID, s.gid.effective},
        {AT_SECURE, s.secure},
        {AT_RANDOM, at.random},
        {AT_HWCAP2, abi.hwcap(s.cpu_model, 2)},
        {AT_EXECFN, at.file_name},
        {AT_MINSIGSTKSZ, abi.min_signal_stack},
    };
    if (at.platform) v.push_back({AT_PLATFORM, at.platform});
    v.push_back({AT_NULL, 0});
    return v;
}

// AT_RANDOM's: from the host, or two steps of the splitmix64 generator (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014).
Result<void> start_bytes(u8 (&out)[16], std::optional<u64> seed) {
    if (!seed) {
        bool done = getrandom(out, sizeof out, 0) == sizeof out;
        return done ? Result<void>() : Error::from_errno(errno, "random bytes");
    }
    u64 state = *seed;
    for (u32 n = 0; n < 2; n++) {
        u64 z = state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        z ^= z >> 31;
        std::memcpy(out + 8 * n, &z, 8);
    }
    return {};
}

Result<void> fill(Builder& b, AddressSpace& space, const Abi& abi, const LoadedProgram& program,
                  const StartStack& start, StackLayout& layout) {
    b.bytes("\0\0\0\0\0\0\0", 8);
    AuxSources at{};
    at.file_name = b.string(start.file_name);
    layout.end = at.file_name;
    std::vector<u64> environment, arguments;
    for (size_t i = start.environment.size(); i-- > 0;) environment.push_back(b.string(start.environment[i]));
    for (size_t i = start.arguments.size(); i-- > 0;) arguments.push_back(b.string(start.arguments[i]));
    layout.environment = environment.empty() ? layout.end : environment.back();
    layout.arguments = arguments.empty() ? layout.environment : arguments.back();
    if (abi.platform) at.platform = b.string(abi.platform);
    u8 random[16];
    TRY(start_bytes(random, start.seed));
    b.align(16);
    at.random = b.bytes(random, sizeof random);

    Words aux(abi.model), words(abi.model);
    for (auto& [type, value] : auxiliary(space.page(), abi, program, start, at)) aux.push(type), aux.push(value);
    layout.auxv = aux.bytes();
    words.push(arguments.size());
    for (size_t i = arguments.size(); i-- > 0;) words.push(arguments[i]);
    words.push(0);
    for (size_t i = environment.size(); i-- > 0;) words.push(environment[i]);
    words.push(0);
    u64 total = words.bytes().size() + layout.auxv.size();
    b.align(16);
    if (total % 16 != 0) b.bytes("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 - total % 16);
    b.bytes(layout.auxv.data(), layout.auxv.size());
    b.bytes(words.bytes().data(), words.bytes().size());
    if (!b.ok() || b.at() % 16 != 0) return Error::no_space("arguments and environment don't fit the stack");
    return {};
}

u64 string_bytes(const StartStack& start) {
    u64 bytes = start.file_name.size() + 1;
    for (auto& s : start.arguments) bytes += s.size() + 1 + 8;
    for (auto& s : start.environment) bytes += s.size() + 1 + 8;
    return bytes;
}

u64 stack_bytes(const AddressSpace& space, const StartStack& start) {
    u64 page = space.page(), wanted = std::max(start.size, std::min(string_bytes(start), max_strings) + (256 << 10));
    return (wanted + page - 1) & ~(page - 1);
}

} // namespace

Ids own_users() {
    Ids ids;
    getresuid(&ids.real, &ids.effective, &ids.saved);
    return ids.fs = ids.effective, ids;
}
Ids own_groups() {
    Ids ids;
    getresgid(&ids.real, &ids.effective, &ids.saved);
    return ids.fs = ids.effective, ids;
}

void keep_stack_free(AddressSpace& space, const StartStack& start) {
    space.set_mmap_top(space.high() - stack_bytes(space, start) - (2 * guard_pages + 1) * space.page());
}

Result<StackLayout> make_stack(AddressSpace& space, const Abi& abi, const LoadedProgram& program,
                               const StartStack& start) {
    u64 strings = string_bytes(start);
    if (strings > max_strings)
        return Error::from_errno(E2BIG, "{} bytes of arguments and environment, expected at most {}", strings,
                                 max_strings);
    u64 page = space.page(), size = stack_bytes(space, start);
    u64 top = space.high() - guard_pages * page; // so that nothing runs off the end
    u32 p = prot::read | prot::write | (program.executable_stack ? prot::exec : 0);
    u32 flags = mapflag::private_ | mapflag::anonymous | mapflag::noreserve | mapflag::stack | mapflag::fixed;
    if (i64 r = space.map(top - size, size, p, flags, -1, 0, "[stack]"); r < 0)
        return Error::from_errno(int(-r), "map a stack of {} KiB", size >> 10);
    touch_to_write(space.host(top - usual_stack), usual_stack);
    Builder b(space, top);
    StackLayout layout;
    TRY(fill(b, space, abi, program, start, layout));

    u64 code = top - size - (guard_pages + 1) * page;
    if (i64 r = space.map(code, page, prot::read | prot::write, mapflag::private_ | mapflag::anonymous | mapflag::fixed,
                          -1, 0, "[sigpage]");
        r < 0)
        return Error::from_errno(int(-r), "map the signal trampoline");
    if (!space.write(code, abi.trampoline.data(), abi.trampoline.size())) return Error::io("write the trampoline");
    space.protect(code, page, prot::read | prot::exec);
    layout.trampoline = code;
    layout.sp = b.at();
    return layout;
}

} // namespace mimic::user
