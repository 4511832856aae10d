// What a debugger sends, to a target of two threads, a page of memory, a file, and a process that was forked.
#include "gdbstub/server.hpp"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>

using namespace mimic;

namespace {

struct Small final : gdb::Target {
    std::unique_ptr<isa::Guest> guest_ = *isa::find_guest("riscv64")->make("rv64");
    ir::CpuHeader* cpus_[2];
    u8 memory[4096] = {};
    bool running_ = false;
    Small() {
        size_t bytes = ir::slots_offset + (guest_->state().bytes + 63u) / 64 * 64;
        for (auto& c : cpus_) {
            void* at = std::aligned_alloc(64, bytes);
            std::memset(at, 0, bytes);
            c = new (at) ir::CpuHeader;
        }
    }
    ~Small() override {
        for (auto* c : cpus_) std::free(c);
    }
    const isa::Guest& guest() const override { return *guest_; }
    const isa::DebugView& view() const override { return *guest_->debug(); }
    std::vector<u64> threads() const override { return {1, 2}; }
    std::string thread_name(u64 thread) const override { return fmt::format("thread {}", thread); }
    ir::CpuHeader* cpu(u64 thread) override { return thread - 1 < 2 ? cpus_[thread - 1] : nullptr; }
    bool inside(u64 address, u64 bytes) const { return address < sizeof memory && bytes <= sizeof memory - address; }
    bool read_memory(u64, u64 address, std::span<u8> out) override {
        if (!inside(address, out.size())) return false;
        std::memcpy(out.data(), memory + address, out.size());
        return true;
    }
    bool write_memory(u64, u64 address, std::span<const u8> in) override {
        if (!inside(address, in.size())) return false;
        std::memcpy(memory + address, in.data(), in.size());
        return true;
    }
    gdb::Abilities abilities() const override {
        static constexpr std::string_view objects[] = {"auxv", "siginfo"}, objects_set[] = {"siginfo"};
        return {.processes = true,
                .catches_calls = true,
                .passes_signals = true,
                .files = true,
                .objects = objects,
                .objects_set = objects_set};
    }
    u64 process(u64 thread) const override { return thread <= 2 ? 1 : thread == 9 ? 9 : 0; }
    Result<std::string> object(u64, std::string_view name, std::string_view) override {
        if (name != "auxv" && name != "siginfo") return Error::not_found("no {}", name);
        return std::string(300, 'x');
    }
    bool set_object(u64, std::string_view name, u64 offset, std::string_view bytes) override {
        return name == "siginfo" && offset <= 300 && bytes.size() <= 300 - offset;
    }
    int open_file(const std::string& path) override { return path == "/n" ? open("/dev/null", O_RDONLY) : -ENOENT; }
    int read_link(const std::string& path, std::string& to) override { return path == "/l" ? to = "x", 0 : -EINVAL; }
    bool release(u64 process, bool) override { return process == 9; }
    bool set_break(u64, gdb::Break, u64, u64, bool) override { return true; }
    void clear_breaks() override {}
    void resume(std::span<const gdb::Resume> threads) override {
        running_ = !threads[0].step;
        if (threads[0].step)
            on_stop({.thread = threads[0].thread});
        else if (threads[0].signal)
            on_stop({.kind = gdb::Stop::Kind(threads[0].signal % 9), .address = 9, .path = "/n"});
    }
    void interrupt() override {
        if (running_) running_ = false, on_stop({.signal = 2});
    }
    bool running() const override { return running_; }
    void detach() override { running_ = true; }
    void kill() override { running_ = false; }
    Result<std::string> command(std::string_view text) override { return std::string(text); }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static Small target;
    size_t sent = 0;
    gdb::Server server(target, [&](std::string_view bytes) { sent += bytes.size(); });
    server.connect();
    // Half of the inputs are packets without a frame, a line each, so that chance need not find checksums.
    if (size && data[0] & 1) {
        std::string_view text(reinterpret_cast<const char*>(data), size);
        while (!text.empty()) {
            size_t end = text.find('\n');
            std::string packet = gdb::make_packet(text.substr(0, end));
            server.feed({reinterpret_cast<const u8*>(packet.data()), packet.size()});
            target.interrupt();
            text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        }
    } else {
        server.feed({data, size});
    }
    server.disconnect();
    return 0;
}
