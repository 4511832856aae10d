#include "monitor/dump.hpp"
#include "base/io/pool.hpp"
#include "isa/system.hpp"
#include "migration/migrator.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

namespace mimic::monitor {

namespace {

constexpr u64 page = memory::RamBlock::page_size;
// struct elf_prstatus: where the thread's number and its registers are; after these, whether FP registers were saved.
constexpr size_t prstatus_pid = 32, prstatus_registers = 112;

template <class T>
void append(std::vector<u8>& out, const T& v) {
    auto* p = reinterpret_cast<const u8*>(&v);
    out.insert(out.end(), p, p + sizeof v);
}

std::vector<u8> notes(machines::Board& board) {
    std::vector<u8> out;
    for (const auto& vcpu : board.vcpus()) {
        const isa::System& system = *vcpu->guest().system();
        std::vector<u8> status(prstatus_registers);
        u32 pid = vcpu->index() + 1;
        std::memcpy(&status[prstatus_pid], &pid, 4);
        for (u32 n = 0; n < system.core_registers(); n++) append(status, system.core_register(vcpu->header(), n));
        append(status, u64{0}); // no FP registers, and padding
        append(out, Elf64_Nhdr{5, u32(status.size()), NT_PRSTATUS});
        append(out, std::array<char, 8>{"CORE"});
        out.insert(out.end(), status.begin(), status.end());
    }
    return out;
}

bool is_zero(const u8* p) {
    static constexpr u8 zeros[page] = {};
    return std::memcmp(p, zeros, page) == 0;
}

Result<void> write_at(int fd, std::span<const u8> bytes, u64 at) {
    while (!bytes.empty()) {
        ssize_t n = pwrite(fd, bytes.data(), bytes.size(), off_t(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error::from_errno(errno, "cannot write at byte {}", at);
        at += u64(n);
        bytes = bytes.subspan(size_t(n));
    }
    return {};
}

} // namespace

u64 Dump::bytes() const {
    u64 sum = head.size();
    for (const DumpRange& r : ram) sum += r.bytes;
    return sum;
}

Result<Dump> prepare_dump(machines::Board& board, u64 begin, u64 length) {
    if (board.vcpus().empty() || !board.vcpus()[0]->guest().system()->elf_machine())
        return Error::unsupported("there are no core files of this guest");
    Dump d;
    u64 end = length > ~begin ? ~u64{0} : begin + length;
    for (const memory::RamRange& r : board.machine().memory().ram()) {
        u64 first = std::max(begin, r.address), last = std::min(end, r.address + r.bytes);
        if (first < last) d.ram.push_back({first, r.block, r.offset + (first - r.address), last - first});
    }
    if (d.ram.empty())
        return Error::invalid_argument("Invalid parameter 'length': there is no RAM at [{:#x}, {:#x})", begin, end);
    std::vector<u8> note = notes(board);
    u16 headers = u16(d.ram.size() + 1);
    u64 note_at = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr), at = note_at + note.size();
    u64 padding = (page - at % page) % page; // RAM at pages of the file
    Elf64_Ehdr e{};
    std::memcpy(e.e_ident, ELFMAG, SELFMAG);
    e.e_ident[EI_CLASS] = ELFCLASS64, e.e_ident[EI_DATA] = ELFDATA2LSB, e.e_ident[EI_VERSION] = EV_CURRENT;
    e.e_type = ET_CORE, e.e_machine = board.vcpus()[0]->guest().system()->elf_machine(), e.e_version = EV_CURRENT;
    e.e_phoff = e.e_ehsize = sizeof e, e.e_phentsize = sizeof(Elf64_Phdr), e.e_phnum = headers;
    append(d.head, e);
    append(d.head, Elf64_Phdr{PT_NOTE, 0, note_at, 0, 0, note.size(), note.size(), 4});
    at += padding;
    for (const DumpRange& r : d.ram) {
        append(d.head, Elf64_Phdr{PT_LOAD, PF_R | PF_W | PF_X, at, r.address, r.address, r.bytes, r.bytes, page});
        at += r.bytes;
    }
    d.head.insert(d.head.end(), note.begin(), note.end());
    d.head.resize(d.head.size() + padding);
    return d;
}

Result<void> write_dump(const Dump& dump, const std::string& path, const std::atomic<bool>& cancelled,
                        std::atomic<u64>& done) {
    // A pipe that nobody reads is an error, and does not hold us.
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return Error::from_errno(errno, "Could not open '{}'", path);
    constexpr u64 step = 1 << 20;
    u64 at = dump.head.size();
    Result<void> result = write_at(fd, dump.head, 0);
    if (result && ftruncate(fd, off_t(dump.bytes())) != 0) result = Error::from_errno(errno, "cannot write");
    for (const DumpRange& r : dump.ram)
        for (u64 i = 0; i < r.bytes && result; i += step) {
            if (cancelled) {
                result = Error::cancelled("it was cancelled");
                break;
            }
            std::span<const u8> part(r.block->host() + r.offset + i, std::min(step, r.bytes - i));
            // Pieces without a page of zeros, each in one go.
            for (u64 from = 0; from < part.size() && result;) {
                u64 to = from;
                while (to < part.size() && (part.size() - to < page || !is_zero(&part[to])))
                    to += std::min(page, part.size() - to);
                result = write_at(fd, part.subspan(from, to - from), at + from);
                from = std::min<u64>(to + page, part.size());
            }
            at += part.size();
            done = at;
        }
    if (close(fd) != 0 && result) result = Error::from_errno(errno, "cannot write");
    return std::move(result).in("{}", path);
}

io::Task<Result<void>> dump(Monitor& m, machines::RunControl::Claim claim, std::string path, u64 begin, u64 length) {
    DumpState& s = m.dump;
    s.status = "active";
    s.done = s.total = 0;
    migration::Stood stood =
        co_await migration::quiesce(m.run(), machines::RunState::save_vm, std::make_shared<bool>(true));
    Result<void> result;
    if (auto what = prepare_dump(m.board(), begin, length)) {
        s.total = what->bytes();
        auto work = [&] { return write_dump(*what, path, s.cancelled, s.done); };
        result = co_await m.loop().compute().run(m.loop(), work);
    } else {
        result = std::move(what).error();
    }
    s.status = result ? "completed" : "failed";
    migration::go_on_from(m.run(), stood);
    claim.end(); // who waits for the end may ask for more
    co_return result;
}

} // namespace mimic::monitor
