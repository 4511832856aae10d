#include "soak/soak.hpp"
#include "base/check.hpp"
#include <cctype>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace mimic::test::soak {

u64 Registers::low(u32 n) const {
    u64 v;
    std::memcpy(&v, value[n].data(), 8);
    return v;
}
void Registers::set(u32 n, u64 v) {
    value[n] = {};
    std::memcpy(value[n].data(), &v, 8);
}

namespace {

u64 stride(const isa::RegisterInfo& r) { return (r.bytes + 7u) / 8 * 8; }
u64 registers_bytes(const isa::Guest& guest) {
    u64 n = 0;
    for (auto& r : guest.registers())
        if (!r.internal) n += stride(r);
    return n;
}

// ---- files that live as long as the object

class TemporaryFile {
public:
    TemporaryFile() {
        const char* folder = std::getenv("TMPDIR");
        path_ = fmt::format("{}/guest_soak_XXXXXX", folder ? folder : "/tmp");
        file_ = mkstemp(path_.data());
        MIMIC_CHECK(file_ >= 0, "no temporary file");
    }
    ~TemporaryFile() {
        close(file_);
        unlink(path_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    int file() const { return file_; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    int file_;
};

void append(std::vector<u8>& out, const void* p, std::size_t n) {
    out.insert(out.end(), static_cast<const u8*>(p), static_cast<const u8*>(p) + n);
}

std::vector<u8> batch_of(std::span<const Case> cases, const isa::Guest& guest) {
    std::vector<u8> out;
    out.reserve(sizeof(batch_head) + cases.size() * (sizeof(case_head) + registers_bytes(guest)));
    batch_head head{cases.size(), registers_bytes(guest)};
    append(out, &head, sizeof head);
    for (const Case& c : cases) {
        case_head h{};
        h.insn_bytes = c.code.size();
        std::memcpy(h.insn, c.code.data(), c.code.size());
        std::memcpy(h.memory, c.memory.data(), c.memory.size());
        append(out, &h, sizeof h);
        for (u32 n = 0; n < c.in.value.size(); ++n)
            if (auto& r = guest.registers()[n]; !r.internal) append(out, c.in.value[n].data(), stride(r));
    }
    return out;
}

Answer answer_of(const Case& c, const u8* p, const isa::Guest& guest) {
    answer_head h;
    std::memcpy(&h, p, sizeof h);
    p += sizeof h;
    Answer a{.pc = h.pc, .address = h.address, .between = h.between};
    std::memcpy(a.memory.data(), h.memory, sizeof h.memory);
    a.out.value.resize(c.in.value.size());
    for (u32 n = 0; n < c.in.value.size(); ++n) {
        const isa::RegisterInfo& r = guest.registers()[n];
        if (r.internal) continue;
        std::memcpy(a.out.value[n].data(), p, r.bytes);
        p += stride(r);
    }
    bool inside = h.pc - CODE_START < c.code.size();
    switch (h.signal) {
    case SIGTRAP: a.stop = inside ? "breakpoint" : ""; break;
    case SIGILL: a.stop = inside ? "illegal" : ""; break;
    case SIGBUS: a.stop = inside ? "misaligned" : ""; break;
    case SIGSEGV: a.stop = inside ? "fault" : ""; break;
    default: a.stop = fmt::format("signal {}", h.signal);
    }
    return a;
}

} // namespace

// ---- reference

Reference::Reference(std::string emulator, std::string cpu, std::string program, const isa::Guest& guest)
    : emulator_(std::move(emulator))
    , cpu_(std::move(cpu))
    , program_(std::move(program))
    , guest_(guest) {}

Result<std::vector<Answer>> Reference::run(std::span<const Case> cases) {
    TemporaryFile batch, answers;
    std::vector<u8> bytes = batch_of(cases, guest_);
    u64 answer_bytes = sizeof(answer_head) + registers_bytes(guest_);
    if (write(batch.file(), bytes.data(), bytes.size()) != ssize_t(bytes.size()) ||
        ftruncate(answers.file(), off_t(cases.size() * answer_bytes)))
        return Error::from_errno(errno, "cannot write the batch {}", batch.path());
    std::string words[] = {emulator_, "-cpu", cpu_, program_, batch.path(), answers.path()};
    char* argv[7] = {};
    for (u32 k = 0; k < 6; ++k) argv[k] = words[k].data();
    pid_t child;
    if (int e = posix_spawnp(&child, argv[0], nullptr, nullptr, argv, environ))
        return Error::from_errno(e, "cannot start the reference {}", emulator_);
    const rlimit seconds{20, 20}; // a hundred times what a batch takes: a case that runs in circles there ends
    prlimit(child, RLIMIT_CPU, &seconds, nullptr);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return Error::invalid_argument("the reference {} ended with status {:#x}", program_, status);
    bytes.resize(cases.size() * answer_bytes);
    if (pread(answers.file(), bytes.data(), bytes.size(), 0) != ssize_t(bytes.size()))
        return Error::from_errno(errno, "cannot read the answers {}", answers.path());
    std::vector<Answer> out;
    for (std::size_t k = 0; k < cases.size(); ++k)
        out.push_back(answer_of(cases[k], bytes.data() + k * answer_bytes, guest_));
    return out;
}

// ---- ours

Ours::Ours(const isa::Guest& guest, Engine& engine) : guest_(guest), engine_(engine), machine_(guest) {
    Memory& m = machine_.memory();
    m.map(WINDOW, true);
    m.map(WINDOW + WINDOW_PAGE, true);
    for (u64 n = 0; n < WINDOW_PAGE; ++n) *m.at(WINDOW + WINDOW_PAGE + n) = u8(n * 37 + 11);
    m.protect(WINDOW + WINDOW_PAGE, false);
}

Answer Ours::run(const Case& c) {
    Memory& m = machine_.memory();
    std::memset(m.at(WINDOW), 0, WINDOW_PAGE);
    std::memcpy(m.at(WINDOW), c.memory.data(), AREA_BYTES);
    std::memcpy(m.at(WINDOW + WINDOW_PAGE - AREA_BYTES), c.memory.data() + AREA_BYTES, AREA_BYTES);
    for (u32 n = 0; n < c.in.value.size(); ++n) machine_.set(n, c.in.value[n].data());

    Outcome o = machine_.run(c.code, CODE_START, engine_);
    Answer a{.stop = o.name(), .pc = o.pc, .address = o.address};
    if (a.stop == "load_page_fault" || a.stop == "store_page_fault") a.stop = "fault";
    if (a.stop == "flush_code" || a.stop == "wait") a.stop = "";
    a.out.value.resize(c.in.value.size());
    for (u32 n = 0; n < c.in.value.size(); ++n)
        if (!guest_.registers()[n].internal) guest_.read_register(machine_.cpu(), n, a.out.value[n].data());
    std::memcpy(a.memory.data(), m.at(WINDOW), AREA_BYTES);
    std::memcpy(a.memory.data() + AREA_BYTES, m.at(WINDOW + WINDOW_PAGE - AREA_BYTES), AREA_BYTES);
    a.between = window_sum(m.at(WINDOW));
    return a;
}

// ---- comparing

namespace {

Assign as_assign(const Registers& r, u32 n, const isa::Guest& guest) {
    return {.reg = n, .bytes = guest.registers()[n].bytes, .value = r.value[n]};
}
u64 area_address(u32 at) { return at < AREA_BYTES ? WINDOW + at : WINDOW + WINDOW_PAGE - 2 * AREA_BYTES + at; }
Assign as_assign(const std::array<u8, 2 * AREA_BYTES>& memory, u32 at) {
    Assign a{.address = area_address(at)};
    std::memcpy(a.value.data(), &memory[at], 8);
    return a;
}

// The registers that a text names, under any of their names.
std::vector<bool> named_in(std::string_view text, const isa::Guest& guest) {
    std::vector<bool> named(guest.registers().size());
    for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
        for (end = at; end < text.size() && std::isalnum(text[end]);) ++end;
        u32 n = guest.find_register(text.substr(at, end - at));
        if (n != isa::Guest::no_register) named[n] = true;
    }
    return named;
}

bool canonical(u64 address) {
    u64 top = address >> 47;
    return top == 0 || top == 0x1ffff;
}
// What an x86-64 host tells the reference of a fault: the address of the aligned word (of the access's size) that the
// first unreachable byte lies in; of an address that is not canonical nothing, and SIGBUS when the stack segment is used.
bool same_stop(const Answer& ours, const Answer& reference) {
    bool nowhere = ours.stop == "fault" && !canonical(ours.address) && reference.address == 0;
    return ours.stop == reference.stop || (nowhere && reference.stop == "misaligned");
}
bool same_address(const Answer& ours, const Answer& reference) {
    u64 difference = ours.address - reference.address;
    return difference < 8 || (!canonical(ours.address) && reference.address == 0);
}

} // namespace

std::string compare(const Case& c, const Answer& ours, const Answer& reference, const isa::Guest& guest) {
    std::string out;
    bool faults = ours.stop == "fault" || ours.stop == "misaligned";
    if (!same_stop(ours, reference))
        out += fmt::format("  we stop with '{}', the reference with '{}'\n", ours.stop, reference.stop);
    else if (faults && !same_address(ours, reference))
        out += fmt::format("  we fault at {:#x}, the reference at {:#x}\n", ours.address, reference.address);
    if (ours.pc != reference.pc)
        out += fmt::format("  our pc is {:#x}, the reference's {:#x}\n", ours.pc, reference.pc);
    for (u32 n = 0; n < c.in.value.size(); ++n)
        if (ours.out.value[n] != reference.out.value[n])
            out += fmt::format("  we have {}, the reference {}\n", print_assign(as_assign(ours.out, n, guest), guest),
                               print_assign(as_assign(reference.out, n, guest), guest));
    for (u32 at = 0; at < 2 * AREA_BYTES; at += 8)
        if (std::memcmp(&ours.memory[at], &reference.memory[at], 8))
            out += fmt::format("  we have {}, the reference {}\n", print_assign(as_assign(ours.memory, at), guest),
                               print_assign(as_assign(reference.memory, at), guest));
    if (ours.between != reference.between)
        out += fmt::format("  the bytes between [{:#x}] and [{:#x}] differ\n", WINDOW + AREA_BYTES,
                           WINDOW + WINDOW_PAGE - AREA_BYTES);
    return out;
}

std::string as_line(const Case& c, const Answer& reference, const isa::Guest& guest) {
    std::string in, out;
    auto add = [&](std::string& to, const Assign& a) { to += (to.empty() ? "" : " ") + print_assign(a, guest); };
    bool memory = c.text.find('(') != c.text.npos;
    std::vector<bool> named = named_in(c.text, guest);
    for (u32 n : c.also) named[n] = true;
    for (u32 n = 0; n < c.in.value.size(); ++n) {
        bool changed = c.in.value[n] != reference.out.value[n], control = guest.registers()[n].bytes < 8;
        if ((named[n] || changed || control) && c.in.value[n] != std::array<u8, 16>{})
            add(in, as_assign(c.in, n, guest));
        if (changed) add(out, as_assign(reference.out, n, guest));
    }
    for (u32 at = 0; at < 2 * AREA_BYTES; at += 8) {
        bool changed = std::memcmp(&c.memory[at], &reference.memory[at], 8);
        if (memory && (changed || u64(area_address(at)) % 16 == 0)) add(in, as_assign(c.memory, at));
        if (changed) add(out, as_assign(reference.memory, at));
    }
    if (!reference.stop.empty())
        out += (out.empty() ? "" : " ") + (reference.stop == "illegal" ? "illegal" : "trap=" + reference.stop);
    if (reference.stop == "fault") out += fmt::format(" address={:#x}", reference.address);
    u64 end = reference.stop.empty() ? CODE_START + c.code.size() : CODE_START;
    if (reference.pc != end) out += fmt::format("{}pc={:#x}", out.empty() ? "" : " ", reference.pc);
    return fmt::format("{} | pc={:#x}{}{} => {}", c.text, u64(CODE_START), in.empty() ? "" : " ", in, out);
}

} // namespace mimic::test::soak
