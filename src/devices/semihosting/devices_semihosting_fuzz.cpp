// Semihosting: a program's calls, its memory and the console. Each nine bytes are a call: operation, then four fields of two bytes.
// Names of files are ":tt" and ":semihosting-features" only: a program has the rights of who starts it, and would use them. A call that
// opens one finds its fields where they were put, and in no other width.
#include "chardev/test_pipe.hpp"
#include "devices/semihosting/semihosting.hpp"
#include "devices/types.hpp"
#include <cstring>

using namespace mimic;
using namespace mimic::devices;

namespace {

struct Program final : ProgramMemory {
    std::vector<u8> bytes = std::vector<u8>(16384);
    bool read(u64 address, void* out, u64 n) override {
        if (address > bytes.size() || n > bytes.size() - address) return false;
        std::memcpy(out, &bytes[address], n);
        return true;
    }
    bool write(u64 address, const void* in, u64 n) override {
        if (address > bytes.size() || n > bytes.size() - address) return false;
        std::memcpy(&bytes[address], in, n);
        return true;
    }
};

// Calls that touch files by name, or start programs.
bool reaches_host(u64 operation) {
    return operation == 0x0d || operation == 0x0e || operation == 0x0f || operation == 0x12;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    Machine machine({.manual_clock = true, .random_seed = 1, .types = types()});
    auto p = std::make_unique<chardev::TestPipe>();
    chardev::TestPipe* pipe = p.get();
    machine.add_chardev(std::move(p));
    auto* host = static_cast<Semihosting*>(*machine.create("semihosting", "host", {{"chardev", "c0"}}));
    host->command_line = "program with arguments";
    machine.reset(ResetKind::power_on);
    machine.set_running(true);
    Program program;
    constexpr std::string_view names[] = {":tt", ":semihosting-features"};
    for (u32 n = 0; n < 200 && size >= 9; n++, data += 9, size -= 9) {
        const u64 operation = data[0] % 0x40;
        u64 field[4];
        for (u32 i = 0; i < 4; i++) {
            u16 v;
            std::memcpy(&v, data + 1 + 2 * i, 2);
            // Some are negative, some huge.
            field[i] = v & 0x8000 ? ~u64{0} << (v & 63) | v : v & 0x7fff;
        }
        if (operation == 1) {
            const std::string_view name = names[data[7] & 1];
            program.write(0x100, name.data(), name.size() + 1);
            field[0] = 0x100;
            field[2] = name.size();
        }
        if (data[0] & 0x40) pipe->type(std::string_view(reinterpret_cast<const char*>(data), 9));
        if (data[0] & 0x80) {
            if (data[1] & 1) machine.load(machine.save()).ignore();
            pipe->may_write(data[2]);
            machine.advance(data[3] * u64{1000000});
        }
        const bool opens = operation == 1;
        const u64 block = data[8] == 0xff && !opens ? field[3] : 0x40;
        const u32 word = data[8] == 0xfe && !opens ? 4 : 8;
        program.write(0x40, field, sizeof field);
        u64 result = 0;
        if (!reaches_host(operation)) host->call({data[0] & 1u, operation, block, word}, program, result);
        if (operation == 0x18 || operation == 0x20) machine.reset(ResetKind::cold);
    }
    return 0;
}
