#include "user/debug/core_file.hpp"
#include "base/process.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <elf.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {

using process::raw_syscall;

namespace {

constexpr u64 host_page = 4096, long_hole = 1 << 20, most_parts = 60'000; // a header tells at most 65534

// Numbers as the guest has them, each aligned to its size.
class Record {
public:
    explicit Record(const Model& m) : model_(m) {}
    void number(u64 v, u32 size) {
        align(size == 8 ? model_.align64 : size);
        u8 raw[8];
        store_int(raw, size, model_.big, v);
        bytes.insert(bytes.end(), raw, raw + size);
    }
    void word(u64 v) { number(v, model_.long_bytes); }
    void text(std::string_view s, u32 size) {
        std::string fixed(s.substr(0, size - 1));
        fixed.resize(size);
        bytes.insert(bytes.end(), fixed.begin(), fixed.end());
    }
    void raw(std::span<const u8> s) { bytes.insert(bytes.end(), s.begin(), s.end()); }
    void align(u32 to) { bytes.resize((bytes.size() + to - 1) / to * to); }
    std::vector<u8> bytes;

private:
    Model model_;
};

std::string read_host(const char* path) {
    std::string text;
    i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(path), O_RDONLY | O_CLOEXEC);
    char buffer[4096];
    for (i64 n; fd >= 0 && (n = raw_syscall(SYS_read, u64(fd), u64(buffer), sizeof buffer)) > 0;)
        text.append(buffer, size_t(n));
    if (fd >= 0) raw_syscall(SYS_close, u64(fd));
    return text;
}

// struct elf_prstatus
std::vector<u8> status_of(Thread& t, const CoreRegisters& registers, int signal, const siginfo_t* info) {
    Record r(t.abi().model);
    r.number(u64(signal), 4), r.number(u64(i64(info ? info->si_code : 0)), 4),
        r.number(u64(i64(info ? info->si_errno : 0)), 4);
    r.number(u64(signal), 2);
    r.word(t.held_signals());
    r.word(t.mask());
    for (u64 id : {u64(t.tid()), u64(raw_syscall(SYS_getppid)), u64(raw_syscall(SYS_getpgid, 0)),
                   u64(raw_syscall(SYS_getsid, 0))})
        r.number(id, 4);
    for (u32 n = 0; n < 8; n++) r.word(0); // times
    r.raw(registers.general);
    r.number(!registers.fp.empty(), 4);
    r.align(t.abi().model.long_bytes);
    return std::move(r.bytes);
}

// struct elf_prpsinfo
std::vector<u8> process_of(Thread& t) {
    Record r(t.abi().model);
    Process& p = t.process();
    std::string line;
    for (const auto& a : p.arguments) line.append(line.empty() ? "" : " ").append(a);
    for (u64 v : {u64(0), u64('R'), u64(0), u64(0)}) r.number(v, 1);
    r.word(0); // flags
    for (u64 id : {u64(raw_syscall(SYS_getuid)), u64(raw_syscall(SYS_getgid)), u64(raw_syscall(SYS_getpid)),
                   u64(raw_syscall(SYS_getppid)), u64(raw_syscall(SYS_getpgid, 0)), u64(raw_syscall(SYS_getsid, 0))})
        r.number(id, 4);
    r.text(p.exe.substr(p.exe.rfind('/') + 1), 16);
    r.text(line, 80);
    return std::move(r.bytes);
}

// A mapping and how much of it is in the file, from its start.
struct Part {
    Mapping mapping;
    std::string path; // of the file that is mapped
    u64 size = 0;     // in the core file
    u64 offset = 0;   // there
};

// NT_FILE: count, page size, {start, end, offset in pages}, names.
std::vector<u8> files_of(const Abi& abi, const std::vector<Part>& parts) {
    Record r(abi.model);
    u64 count = 0;
    for (const Part& p : parts) count += !p.path.empty();
    r.word(count);
    r.word(abi.page);
    for (const Part& p : parts)
        if (!p.path.empty()) r.word(p.mapping.start), r.word(p.mapping.end), r.word(p.mapping.offset / abi.page);
    for (const Part& p : parts)
        if (!p.path.empty()) r.text(p.path, u32(p.path.size() + 1));
    return std::move(r.bytes);
}

class Core {
public:
    Core(Thread& t, int fd, u64 limit) : t_(t), abi_(t.abi()), notes_(t.abi().model), fd_(fd), limit_(limit) {
        pagemap_ = int(raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC));
        memory_ = int(raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64("/proc/self/mem"), O_RDONLY | O_CLOEXEC));
        std::string filter = read_host("/proc/self/coredump_filter");
        if (!filter.empty()) filter_ = std::strtoul(filter.c_str(), nullptr, 16);
    }
    ~Core() {
        for (int fd : {pagemap_, memory_})
            if (fd >= 0) raw_syscall(SYS_close, u64(fd));
    }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    bool write(const std::vector<Thread*>& threads, int signal, const siginfo_t& info) {
        choose();
        for (Thread* one : threads) add_thread(*one, signal, one == &t_ ? &info : nullptr);
        u64 headers = abi_.is_64bit() ? 64 : 52, entry = abi_.is_64bit() ? 56 : 32;
        u64 sections = headers + entry * (parts_.size() + 1);
        u64 notes_at = sections + (is_extended() ? section_bytes() : 0), at = notes_at + notes_.bytes.size();
        at = (at + abi_.page - 1) / abi_.page * abi_.page;
        for (Part& p : parts_) p.offset = at, at += p.size;
        Record head(abi_.model);
        put_header(head, headers, entry, sections);
        put_segment(head, PT_NOTE, 0, notes_at, 0, notes_.bytes.size(), 0, 0);
        for (const Part& p : parts_) {
            u32 flags = (p.mapping.prot & prot::read ? PF_R : 0) | (p.mapping.prot & prot::write ? PF_W : 0) |
                        (p.mapping.prot & prot::exec ? PF_X : 0);
            put_segment(head, PT_LOAD, flags, p.offset, p.mapping.start, p.size, p.mapping.size(), abi_.page);
        }
        if (is_extended()) put_count(head);
        head.raw(notes_.bytes);
        bool good = put(head.bytes.data(), head.bytes.size(), 0);
        for (const Part& p : parts_) good = good && put_memory(p);
        return good && raw_syscall(SYS_ftruncate, u64(fd_), std::min(at, limit_)) == 0;
    }

private:
    // What of each mapping is in the file: core(5), "Controlling which mappings are written to the core dump".
    void choose() {
        t_.memory().for_each([&](const Mapping& m) { parts_.push_back({m, {}, 0, 0}); });
        std::string maps = t_.memory().maps_text();
        size_t at = 0;
        for (Part& p : parts_) {
            size_t end = std::min(maps.find('\n', at), maps.size()), path = maps.find('/', at);
            if (p.mapping.file && path < end) p.path = maps.substr(path, end - path);
            at = end + 1;
        }
        std::vector<Part> all;
        for (Part& p : parts_) {
            p.size = part_of(p.mapping);
            if (p.size == p.mapping.size() && !p.mapping.file && all.size() < most_parts)
                split(p, all);
            else
                all.push_back(std::move(p));
        }
        parts_ = std::move(all);
    }
    // Long stretches that were never touched take no room: they are parts of their own.
    void split(const Part& whole, std::vector<Part>& to) {
        u64 first = whole.mapping.start, end = first; // of what is kept
        auto add = [&](u64 low, u64 high, bool kept) {
            if (low == high) return;
            to.push_back({whole.mapping, {}, kept ? high - low : 0, 0});
            to.back().mapping.start = low, to.back().mapping.end = high;
        };
        each_present(whole.mapping, [&](u64 offset, u64) {
            u64 at = whole.mapping.start + offset;
            if (at - end >= long_hole && to.size() < most_parts) {
                add(first, end, true), add(end, at, false);
                first = at;
            }
            end = at + host_page;
            return true;
        });
        bool hole = whole.mapping.end - end >= long_hole;
        add(first, hole ? end : whole.mapping.end, true);
        if (hole) add(end, whole.mapping.end, false);
    }
    u64 part_of(const Mapping& m) {
        constexpr u64 private_anonymous = 1, shared_anonymous = 2, private_file = 4, shared_file = 8, elf_headers = 16;
        if (m.label && std::strcmp(m.label, "[sigpage]") == 0) return m.size();
        if (m.shared) return filter_ & (m.file ? shared_file : shared_anonymous) ? m.size() : 0;
        if (filter_ & private_anonymous && touched(m)) return m.size();
        if (!m.file) return 0;
        if (filter_ & private_file) return m.size();
        u8 magic[4];
        bool elf = filter_ & elf_headers && m.offset == 0 && t_.memory().read(m.start, magic, 4) &&
                   std::memcmp(magic, ELFMAG, 4) == 0;
        return elf ? std::min<u64>(abi_.page, m.size()) : 0;
    }

    // Entries of /proc/self/pagemap (proc(5)): bit 63 present, 62 in the swap space, 61 a page of a file or shared. What
    // other processes have put into shared memory is not in ours: all of it may be there.
    template <class F>
    bool each_present(const Mapping& m, F f) {
        std::vector<u64> entries(std::min<u64>(1 << 15, m.size() / host_page));
        u64 first = (t_.memory().base() + m.start) / host_page, count = m.size() / host_page;
        for (u64 done = 0; done < count;) {
            u64 n = std::min<u64>(entries.size(), count - done);
            i64 got =
                m.shared ? -1 : raw_syscall(SYS_pread64, u64(pagemap_), u64(entries.data()), n * 8, (first + done) * 8);
            if (got != i64(n * 8)) std::fill_n(entries.begin(), n, u64(1) << 63); // unknown: as if they were there
            for (u64 k = 0; k < n; k++)
                if (entries[k] >> 62 && !f((done + k) * host_page, entries[k])) return false;
            done += n;
        }
        return true;
    }
    bool touched(const Mapping& m) {
        return !each_present(m, [&](u64, u64 entry) { return m.file && entry >> 61 & 1; });
    }

    void add_note(std::string_view owner, u32 type, std::span<const u8> bytes) {
        notes_.number(owner.size() + 1, 4), notes_.number(bytes.size(), 4), notes_.number(type, 4);
        notes_.text(owner, u32(owner.size() + 1));
        notes_.align(4);
        notes_.raw(bytes);
        notes_.align(4);
    }
    void add_thread(Thread& one, int signal, const siginfo_t* info) {
        CoreRegisters r = abi_.core_registers(t_.process().map, one.header(), t_.process().options.cpu_model);
        add_note("CORE", NT_PRSTATUS, status_of(one, r, signal, info));
        if (info) {
            u8 raw[128];
            u32 bytes = siginfo_to_guest(abi_, *info, raw);
            add_note("CORE", NT_PRPSINFO, process_of(one));
            add_note("CORE", 0x53494749 /* NT_SIGINFO */, {raw, bytes});
            add_note("CORE", NT_AUXV, t_.process().auxv);
            add_note("CORE", 0x46494c45 /* NT_FILE */, files_of(abi_, parts_));
        }
        if (!r.fp.empty()) add_note("CORE", NT_FPREGSET, r.fp);
        for (const CoreNote& n : r.notes) add_note("LINUX", n.type, n.bytes);
    }

    // More program headers than e_phnum tells: it is PN_XNUM, and their number is sh_info of the only section (gABI, 4).
    bool is_extended() const { return parts_.size() + 1 >= PN_XNUM; }
    u64 section_bytes() const { return abi_.is_64bit() ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr); }
    void put_count(Record& r) {
        r.number(0, 4), r.number(0, 4);                                       // name, SHT_NULL
        for (u32 n = 0; n < 4; n++) r.word(n == 3);                           // flags, address, offset, size: sections
        r.number(0, 4), r.number(parts_.size() + 1, 4), r.word(0), r.word(0); // link, info, alignment, entries
    }
    void put_header(Record& r, u64 size, u64 entry, u64 sections) {
        const u8 id[16] = {0x7f, 'E', 'L', 'F', abi_.elf_class, u8(abi_.model.big ? 2 : 1), EV_CURRENT};
        r.raw(id);
        r.number(ET_CORE, 2), r.number(abi_.elf_machine, 2), r.number(EV_CURRENT, 4);
        r.word(0), r.word(size), r.word(is_extended() ? sections : 0); // entry, program headers, sections
        r.number(0, 4), r.number(size, 2), r.number(entry, 2);
        r.number(std::min<u64>(parts_.size() + 1, PN_XNUM), 2);
        r.number(is_extended() ? section_bytes() : 0, 2), r.number(is_extended(), 2), r.number(0, 2);
    }
    void put_segment(Record& r, u32 type, u32 flags, u64 offset, u64 address, u64 in_file, u64 in_memory, u64 align) {
        bool wide = abi_.is_64bit();
        r.number(type, 4);
        if (wide) r.number(flags, 4);
        r.word(offset), r.word(address), r.word(0), r.word(in_file), r.word(in_memory);
        if (!wide) r.number(flags, 4);
        r.word(align);
    }

    bool put(const void* bytes, u64 size, u64 at) {
        const u8* from = static_cast<const u8*>(bytes);
        size = at >= limit_ ? 0 : std::min(size, limit_ - at);
        while (size) {
            i64 n = raw_syscall(SYS_pwrite64, u64(fd_), u64(from), size, at);
            if (n <= 0) return false;
            from += n, at += u64(n), size -= u64(n);
        }
        return true;
    }
    // Of guest memory, also of what the program may not read now.
    bool get_page(u64 address, u8* page) {
        return t_.memory().read(address, page, host_page) ||
               raw_syscall(SYS_pread64, u64(memory_), u64(page), host_page, t_.memory().base() + address) == host_page;
    }
    // Pages of zeros are holes, which read as what they are.
    bool put_memory(const Part& p) {
        if (p.size == 0) return true;
        bool good = true;
        u8 page[host_page];
        auto one = [&](u64 offset, u64) {
            if (offset >= p.size) return false;
            static constexpr u8 zeros[host_page] = {};
            if (get_page(p.mapping.start + offset, page) && std::memcmp(page, zeros, host_page) != 0)
                good = put(page, host_page, p.offset + offset);
            return good;
        };
        if (p.mapping.file)
            for (u64 offset = 0; offset < p.size && one(offset, 0);) offset += host_page;
        else
            each_present(p.mapping, one);
        return good;
    }

    Thread& t_;
    const Abi& abi_;
    Record notes_;
    std::vector<Part> parts_;
    int fd_, pagemap_ = -1, memory_ = -1;
    u64 limit_, filter_ = 0x33;
};

std::string core_name(const std::string& exe) {
    time_t now = time(nullptr);
    struct tm local {};
    localtime_r(&now, &local);
    char when[32];
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &local);
    constexpr size_t longest = 200; // NAME_MAX less the rest
    return fmt::format("mimic_{}_{}_{}.core", exe.substr(exe.rfind('/') + 1, longest), when, raw_syscall(SYS_getpid));
}

} // namespace

Result<std::string> write_core(Thread& t, const std::vector<Thread*>& threads, int signal, const siginfo_t& info,
                               u64 limit) {
    if (!t.abi().core_registers) return Error::unsupported("core files of {} are not there", t.abi().name);
    std::string name = core_name(t.process().exe);
    int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return Error::from_errno(errno, "{}", name);
    bool good = Core(t, fd, limit).write(threads, signal, info);
    int error = errno;
    close(fd);
    if (!good) return Error::from_errno(error ? error : EIO, "write {}", name);
    return name;
}

} // namespace mimic::user
