// Source: Arm, "Semihosting for AArch32 and AArch64" (release 2.0, IHI 0100), chapters 5 to 7, in its 64-bit form: a call's
// parameter is the address of a block of fields. RISC-V's semihosting specification takes it over as it is.
// The calls that a debugger would serve (target=gdb) are not there. Clocks are the guest's time.
#include "devices/semihosting/semihosting.hpp"
#include "base/spawn.hpp"
#include "base/trace.hpp"
#include "devices/semihosting/host_files.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::devices {
namespace {

using semihosting::File;
using semihosting::Files;

constexpr u64 failed = ~u64{0};
constexpr u64 application_exit = 0x20026;       // ADP_Stopped_ApplicationExit
constexpr u8 feature_bytes[] = "SHFB\x03";      // 5.8: SH_EXT_EXIT_EXTENDED, SH_EXT_STDOUT_STDERR
constexpr u32 features_size = 5, chunk = 16384; // of files, read and written so much at a time
constexpr u32 most_input = 4096, most_text = 1 << 20;
constexpr std::size_t most_command = 1 << 16;

class HostSemihosting final : public Semihosting {
public:
    std::string_view type() const override { return "semihosting"; }
    void describe(Describe& d) override;
    void reset(ResetKind) override {
        files_.close_all();
        end_children();
    }
    void unrealize() override { end_children(); }
    void before_save() override { files_.before_save(); }
    Result<void> after_load() override { return files_.after_load(); }
    bool call(const SemihostingCall& call, ProgramMemory& memory, u64& result) override;

private:
    // Of one call.
    struct Frame {
        const SemihostingCall& call;
        ProgramMemory& memory;
        bool blocked = false;
        std::array<u64, 4> field{};
    };
    using Serve = u64 (HostSemihosting::*)(Frame& f);
    struct Operation {
        u64 number;
        u32 fields; // of the parameter block, that are read before
        Serve serve;
    };
    static const Operation operations[];

    u64 error(int number) {
        errno_ = u32(number);
        return failed;
    }
    // 0 or more, or a negative errno.
    u64 answer(i64 value) { return value < 0 ? error(int(-value)) : u64(value); }
    u64 block(Frame& f) {
        f.blocked = true;
        return 0;
    }
    bool read_text(Frame& f, u64 address, u64 bytes, std::string& text);
    bool read_fields(Frame& f, u32 count);
    bool write_fields(Frame& f, u64 address, std::span<const u64> values);

    u64 sys_open(Frame& f);
    u64 sys_close(Frame& f) { return answer(files_.close(f.field[0])); }
    u64 sys_writec(Frame& f);
    u64 sys_write0(Frame& f);
    u64 sys_write(Frame& f);
    u64 sys_read(Frame& f);
    u64 sys_readc(Frame& f);
    u64 sys_iserror(Frame& f) { return i64(f.field[0]) < 0; }
    u64 sys_istty(Frame& f);
    u64 sys_seek(Frame& f);
    u64 sys_flen(Frame& f);
    u64 sys_tmpnam(Frame& f);
    u64 sys_remove(Frame& f);
    u64 sys_rename(Frame& f);
    u64 sys_clock(Frame&) { return machine().now() / 10'000'000; }
    u64 sys_time(Frame&) { return machine().wall_clock() / 1'000'000'000; }
    u64 sys_system(Frame& f);
    u64 sys_errno(Frame&) { return errno_; }
    u64 sys_get_cmdline(Frame& f);
    u64 sys_heapinfo(Frame& f);
    u64 sys_exit(Frame& f);
    u64 sys_synccache(Frame&) { return 0; } // caches are coherent
    u64 sys_elapsed(Frame& f);
    u64 sys_tickfreq(Frame&) { return 1'000'000'000; }

    // The console: the character device, or the process's own descriptors. Bytes done, or a negative errno (EAGAIN: later).
    i64 console_write(int fd, std::span<const u8> bytes);
    i64 console_read(std::span<u8> out);
    i64 read_host(int fd, std::span<u8> out);
    i64 write_host(int fd, std::span<const u8> bytes);
    i64 read_file(File& file, std::span<u8> out);
    i64 write_file(File& file, std::span<const u8> bytes);
    void flush();
    void end_children();

    Files files_;
    u32 errno_ = 0;
    u8 ended_ = 0;                  // a program has: its processors only wait
    std::vector<u8> input_;         // that the character device gave
    std::vector<u8> out_;           // that the console had no room for
    u8 out_to_ = 2;                 // descriptor of the console that has no character device
    std::map<u32, pid_t> children_; // of SYS_SYSTEM, by processor
    CharPort port_{*this,
                   {.room = [this] { return most_input - u32(input_.size()); },
                    .receive = [this](std::span<const u8> b) { input_.insert(input_.end(), b.begin(), b.end()); },
                    .event = {},
                    .writable = [this] { flush(); }}};
};

constexpr HostSemihosting::Operation HostSemihosting::operations[] = {
    {0x01, 3, &HostSemihosting::sys_open},        {0x02, 1, &HostSemihosting::sys_close},
    {0x03, 0, &HostSemihosting::sys_writec},      {0x04, 0, &HostSemihosting::sys_write0},
    {0x05, 3, &HostSemihosting::sys_write},       {0x06, 3, &HostSemihosting::sys_read},
    {0x07, 0, &HostSemihosting::sys_readc},       {0x08, 1, &HostSemihosting::sys_iserror},
    {0x09, 1, &HostSemihosting::sys_istty},       {0x0a, 2, &HostSemihosting::sys_seek},
    {0x0c, 1, &HostSemihosting::sys_flen},        {0x0d, 3, &HostSemihosting::sys_tmpnam},
    {0x0e, 2, &HostSemihosting::sys_remove},      {0x0f, 4, &HostSemihosting::sys_rename},
    {0x10, 0, &HostSemihosting::sys_clock},       {0x11, 0, &HostSemihosting::sys_time},
    {0x12, 2, &HostSemihosting::sys_system},      {0x13, 0, &HostSemihosting::sys_errno},
    {0x15, 2, &HostSemihosting::sys_get_cmdline}, {0x16, 1, &HostSemihosting::sys_heapinfo},
    {0x18, 2, &HostSemihosting::sys_exit},        {0x19, 2, &HostSemihosting::sys_synccache},
    {0x20, 2, &HostSemihosting::sys_exit},        {0x30, 0, &HostSemihosting::sys_elapsed},
    {0x31, 0, &HostSemihosting::sys_tickfreq},
};

void HostSemihosting::describe(Describe& d) {
    d.chardev("chardev", port_, "the console of programs (default: this process's standard streams)");
    d.state("errno", errno_);
    d.state("ended", ended_, {.high = 1});
    d.state("input", input_, most_input);
    d.state("output", out_, most_text);
    d.state("output_to", out_to_, {.reset = 2, .low = 1, .high = 2});
    files_.describe(d);
}

bool HostSemihosting::call(const SemihostingCall& call, ProgramMemory& memory, u64& result) {
    Context::Entry entry(context());
    if (!entry || ended_) return false;
    auto it = std::find_if(std::begin(operations), std::end(operations),
                           [&](const Operation& o) { return o.number == call.operation; });
    if (it == std::end(operations)) {
        trace::guest_error(id(), "{:#x} is no operation of semihosting", call.operation);
        result = error(ENOSYS);
        return true;
    }
    Frame f{call, memory, false, {}};
    result = read_fields(f, it->fields) ? (this->*it->serve)(f) : error(EFAULT);
    return !f.blocked;
}

// ---- the program's memory ---------------------------------------------------------------------------------------------

bool HostSemihosting::read_fields(Frame& f, u32 count) {
    u8 bytes[4 * 8];
    if (count == 0) return true;
    if (!f.memory.read(f.call.parameter, bytes, u64{count} * f.call.word)) return false;
    for (u32 i = 0; i < count; i++) std::memcpy(&f.field[i], bytes + i * f.call.word, f.call.word);
    return true;
}

bool HostSemihosting::write_fields(Frame& f, u64 address, std::span<const u64> values) {
    std::vector<u8> bytes(values.size() * f.call.word);
    for (size_t i = 0; i < values.size(); i++) std::memcpy(&bytes[i * f.call.word], &values[i], f.call.word);
    return f.memory.write(address, bytes.data(), bytes.size());
}

// A text by its address and length, which a zero byte follows. False: errno is set.
bool HostSemihosting::read_text(Frame& f, u64 address, u64 bytes, std::string& text) {
    if (bytes >= most_command) return error(ENAMETOOLONG), false;
    text.resize(bytes + 1);
    if (!f.memory.read(address, text.data(), bytes + 1)) return error(EFAULT), false;
    if (text.find('\0') != bytes) return error(EINVAL), false;
    text.pop_back();
    return true;
}

// ---- bytes ------------------------------------------------------------------------------------------------------------

void HostSemihosting::flush() {
    if (out_.empty()) return;
    const i64 n = port_.id.empty() ? write_host(int(out_to_), out_) : i64(port_.write(out_));
    if (n > 0) out_.erase(out_.begin(), out_.begin() + n);
    if (n < 0 && n != -EAGAIN) out_.clear();
}

i64 HostSemihosting::read_host(int fd, std::span<u8> out) {
    if (!semihosting::is_ready(fd, false)) return -EAGAIN;
    const ssize_t n = ::read(fd, out.data(), out.size());
    return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
}

// Where somebody reads at the other end, no more than fits at once when there is room at all.
i64 HostSemihosting::write_host(int fd, std::span<const u8> bytes) {
    struct stat status {};
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        if (!semihosting::is_ready(fd, true)) return -EAGAIN;
        bytes = bytes.first(std::min<size_t>(bytes.size(), 4096)); // PIPE_BUF
    }
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
}

// Takes all, or nothing (EAGAIN): what does not go out at once is kept.
i64 HostSemihosting::console_write(int fd, std::span<const u8> bytes) {
    flush();
    if (!out_.empty()) return -EAGAIN;
    out_to_ = u8(fd);
    out_.assign(bytes.begin(), bytes.end());
    flush();
    return i64(bytes.size());
}

i64 HostSemihosting::console_read(std::span<u8> out) {
    if (port_.id.empty()) return read_host(0, out);
    if (input_.empty()) return -EAGAIN;
    const size_t n = std::min(out.size(), input_.size());
    std::copy_n(input_.begin(), n, out.begin());
    input_.erase(input_.begin(), input_.begin() + i64(n));
    port_.accept_input();
    return i64(n);
}

i64 HostSemihosting::read_file(File& file, std::span<u8> out) {
    switch (file.kind) {
    case File::Kind::host: return read_host(file.fd, out);
    case File::Kind::input: return console_read(out);
    case File::Kind::features: {
        const u64 at = std::min<u64>(file.position, features_size);
        const size_t n = std::min<size_t>(out.size(), features_size - at);
        std::copy_n(feature_bytes + at, n, out.begin());
        file.position += n;
        return i64(n);
    }
    default: return -EBADF;
    }
}

i64 HostSemihosting::write_file(File& file, std::span<const u8> bytes) {
    switch (file.kind) {
    case File::Kind::host: return write_host(file.fd, bytes);
    case File::Kind::output: return console_write(1, bytes);
    case File::Kind::error: return console_write(2, bytes);
    default: return -EBADF;
    }
}

// ---- files ------------------------------------------------------------------------------------------------------------

u64 HostSemihosting::sys_open(Frame& f) {
    std::string name;
    const u64 mode = f.field[1];
    if (mode > 11) return error(EINVAL);
    if (!read_text(f, f.field[0], f.field[2], name)) return failed;
    File file;
    if (name == ":tt") {
        file.kind = mode < 4 ? File::Kind::input : mode < 8 ? File::Kind::output : File::Kind::error;
        return answer(files_.add(std::move(file)));
    }
    if (name == ":semihosting-features") {
        if (mode > 1) return error(EACCES);
        file.kind = File::Kind::features;
        return answer(files_.add(std::move(file)));
    }
    if (name.size() > Files::longest_path) return error(ENAMETOOLONG);
    return answer(files_.open_host(name, semihosting::open_flags(mode)));
}

// Both answer the bytes that are left.
u64 HostSemihosting::sys_write(Frame& f) {
    const auto [handle, address, bytes, unused] = f.field;
    File* file = files_.find(handle);
    if (!file) return error(EBADF), bytes;
    u8 part[chunk];
    u64 done = 0;
    while (done < bytes) {
        const u64 n = std::min<u64>(bytes - done, chunk);
        if (!f.memory.read(address + done, part, n)) return error(EFAULT), bytes - done;
        const i64 wrote = write_file(*file, {part, n});
        if (wrote == -EAGAIN && done == 0) return block(f);
        if (wrote == -EAGAIN) break;
        if (wrote < 0) return answer(wrote), bytes - done;
        done += u64(wrote);
        if (done >= most_text) break;
    }
    return bytes - done;
}

u64 HostSemihosting::sys_read(Frame& f) {
    const auto [handle, address, bytes, unused] = f.field;
    File* file = files_.find(handle);
    if (!file) return error(EBADF), bytes;
    u8 part[chunk];
    u64 done = 0;
    while (done < bytes) {
        const u64 n = std::min<u64>(bytes - done, chunk);
        const i64 read = read_file(*file, {part, n});
        if (read == -EAGAIN && done == 0) return block(f);
        if (read < 0) return read == -EAGAIN ? bytes - done : (answer(read), bytes - done);
        if (read && !f.memory.write(address + done, part, u64(read))) return error(EFAULT), bytes - done;
        done += u64(read);
        if (u64(read) < n || done >= most_text) break;
    }
    return bytes - done;
}

u64 HostSemihosting::sys_writec(Frame& f) {
    u8 c = 0;
    if (!f.memory.read(f.call.parameter, &c, 1)) return error(EFAULT);
    return console_write(2, {&c, 1}) == -EAGAIN ? block(f) : 0;
}

u64 HostSemihosting::sys_write0(Frame& f) {
    std::vector<u8> text;
    constexpr u64 page = 4096;
    for (u64 at = f.call.parameter; text.size() < most_text;) {
        u8 part[page];
        const u64 n = page - at % page;
        if (!f.memory.read(at, part, n)) return error(EFAULT);
        const u8* end = std::find(part, part + n, u8{0});
        text.insert(text.end(), static_cast<const u8*>(part), end);
        if (end != part + n) break;
        at += n;
    }
    return console_write(2, text) == -EAGAIN ? block(f) : 0;
}

u64 HostSemihosting::sys_readc(Frame& f) {
    u8 c = 0;
    const i64 n = console_read({&c, 1});
    if (n == -EAGAIN) return block(f);
    return n < 0 ? answer(n) : n == 0 ? failed : c;
}

u64 HostSemihosting::sys_istty(Frame& f) {
    File* file = files_.find(f.field[0]);
    if (!file) return error(EBADF);
    switch (file->kind) {
    case File::Kind::host: return isatty(file->fd) == 1;
    case File::Kind::features: return 0;
    default: return !port_.id.empty() || isatty(int(file->kind) - int(File::Kind::input)) == 1;
    }
}

u64 HostSemihosting::sys_seek(Frame& f) {
    File* file = files_.find(f.field[0]);
    if (!file) return error(EBADF);
    if (file->kind == File::Kind::features) {
        if (f.field[1] > features_size) return error(EINVAL);
        file->position = f.field[1];
        return 0;
    }
    if (file->kind != File::Kind::host) return error(ESPIPE);
    return lseek(file->fd, off_t(f.field[1]), SEEK_SET) < 0 ? error(errno) : 0;
}

u64 HostSemihosting::sys_flen(Frame& f) {
    File* file = files_.find(f.field[0]);
    if (!file) return error(EBADF);
    if (file->kind == File::Kind::features) return features_size;
    struct stat status {};
    if (file->kind != File::Kind::host) return error(ESPIPE);
    return fstat(file->fd, &status) < 0 ? error(errno) : u64(status.st_size);
}

// buffer, number, its length: the same number is the same name in this process.
u64 HostSemihosting::sys_tmpnam(Frame& f) {
    if (f.field[1] > 255) return error(EINVAL);
    const std::string name = fmt::format("/tmp/mimic-{:08x}-{:02x}", getpid(), f.field[1]);
    if (f.field[2] <= name.size()) return error(EINVAL);
    return f.memory.write(f.field[0], name.c_str(), name.size() + 1) ? 0 : error(EFAULT);
}

u64 HostSemihosting::sys_remove(Frame& f) {
    std::string name;
    if (!read_text(f, f.field[0], f.field[1], name)) return failed;
    return ::remove(name.c_str()) < 0 ? error(errno) : 0;
}

u64 HostSemihosting::sys_rename(Frame& f) {
    std::string from, to;
    if (!read_text(f, f.field[0], f.field[1], from) || !read_text(f, f.field[2], f.field[3], to)) return failed;
    return ::rename(from.c_str(), to.c_str()) < 0 ? error(errno) : 0;
}

// ---- the rest ---------------------------------------------------------------------------------------------------------

// As system(3), but the processor can be stopped meanwhile: the call is made until the command has ended.
u64 HostSemihosting::sys_system(Frame& f) {
    auto child = children_.find(f.call.processor);
    if (child == children_.end()) {
        std::string command;
        if (!read_text(f, f.field[0], f.field[1], command)) return failed;
        const std::string words[] = {"/bin/sh", "-c", command};
        auto started = spawn(words);
        if (!started) return error(started.error().host_errno());
        child = children_.emplace(f.call.processor, *started).first;
    }
    int status = 0;
    // Counted time does not depend on how long it takes.
    const pid_t ended = waitpid(child->second, &status, machine().is_counted() ? 0 : WNOHANG);
    if (ended == 0) return block(f);
    children_.erase(child);
    return ended < 0 ? error(errno) : u64(u32(status));
}

void HostSemihosting::end_children() {
    for (const auto& [processor, pid] : children_) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    children_.clear();
}

u64 HostSemihosting::sys_get_cmdline(Frame& f) {
    const u64 needed = command_line.size() + 1;
    if (f.field[1] < needed) return error(E2BIG);
    if (!f.memory.write(f.field[0], command_line.c_str(), needed)) return error(EFAULT);
    const u64 fields[] = {f.field[0], command_line.size()};
    return write_fields(f, f.call.parameter, fields) ? 0 : error(EFAULT);
}

u64 HostSemihosting::sys_heapinfo(Frame& f) {
    const std::array<u64, 4> values = heap ? heap() : std::array<u64, 4>{};
    return write_fields(f, f.field[0], values) ? 0 : error(EFAULT);
}

// Reason and, of an application's own end, its status.
u64 HostSemihosting::sys_exit(Frame& f) {
    flush();
    if (!out_.empty()) return block(f);
    const int status = f.field[0] == application_exit ? int(u8(f.field[1])) : 1;
    ended_ = 1;
    machine().request({Request::Kind::shutdown, "guest-shutdown", status});
    return block(f);
}

u64 HostSemihosting::sys_elapsed(Frame& f) {
    const u64 now = machine().now();
    const u64 whole[] = {now}, halves[] = {u32(now), now >> 32};
    const bool done =
        f.call.word == 8 ? write_fields(f, f.call.parameter, whole) : write_fields(f, f.call.parameter, halves);
    return done ? 0 : error(EFAULT);
}

} // namespace

MIMIC_DEVICE(semihosting) = {.name = "semihosting",
                             .bus = "system",
                             .summary = "calls of the host by programs (Arm's and RISC-V's semihosting)",
                             .make = make_device<HostSemihosting>};

} // namespace mimic::devices
