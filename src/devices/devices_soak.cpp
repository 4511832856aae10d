// The long part of the conformance suite: every offset of every device's registers, all sizes, each with accesses of random values.
// The full count is 1,000 an offset and size. Regions of more than 64 KiB repeat themselves or are memory: their beginning, their end
// and random places between are taken.
//   devices_soak --seed N --count N     accesses an offset and size; alone: one, at a part of the offsets
#include "devices/conformance.hpp"
#include <cstdio>
#include <cstdlib>

using namespace mimic;
using namespace mimic::devices;
using namespace mimic::devices::conformance;

namespace {

constexpr u64 whole = 64 << 10, parts = 4096;

std::vector<u64> offsets(u64 bytes, Random& random, bool all) {
    std::vector<u64> out;
    const u64 step = all ? 1 : 1 + random() % 31;
    for (u64 at = 0; at < std::min(bytes, whole); at += step) out.push_back(at);
    if (bytes <= whole) return out;
    for (u64 i = 0; i < parts / step; i++) out.push_back(random() % bytes);
    for (u64 at = bytes - 64; at < bytes; at += step) out.push_back(at);
    return out;
}

// False: it does not come to rest, or changed what is read-only.
bool soak(const DeviceType& type, u64 seed, u64 count, bool all) {
    Random random(seed);
    Rig r(type);
    if (!r.device) return std::printf("%s: %s\n", std::string(type.name).c_str(), r.error.c_str()), false;
    for (u64 n = 0; n < r.mapped.size(); n++) { // which may change as BARs move
        const Rig::Range m = r.mapped[n];
        for (u64 offset : offsets(m.bytes, random, all))
            for (u32 bytes : {1u, 2u, 4u, 8u}) {
                for (u64 i = 0; i < count; i++) r.access(random, m.at + offset, bytes);
                if (random() % 256 == 0) r.machine.advance(random() % 10000000);
                if (random() % 1024 == 0) r.give_work(random);
            }
        r.machine.reset(ResetKind::cold);
        r.start_driver();
    }
    const bool kept = r.rom_is_kept();
    if (r.settle() && kept) return true;
    std::printf("%s: %s (seed %llu)\n", std::string(type.name).c_str(),
                kept ? "requests do not end" : "ROM was written", static_cast<unsigned long long>(seed));
    return false;
}

} // namespace

int main(int argc, char** argv) {
    u64 seed = 1, count = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (argv[i] == std::string_view("--seed")) seed = std::strtoull(argv[i + 1], nullptr, 0);
        if (argv[i] == std::string_view("--count")) count = std::strtoull(argv[i + 1], nullptr, 0);
    }
    bool good = true;
    for (const DeviceType* type : types()) good &= soak(*type, seed, std::max<u64>(count, 1), count != 0);
    std::printf("%zu types, %llu accesses an offset and size\n", types().size(),
                static_cast<unsigned long long>(std::max<u64>(count, 1)));
    return good ? 0 : 1;
}
