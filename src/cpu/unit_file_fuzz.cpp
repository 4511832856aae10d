// Files of saved units, as they may stand in a cache that somebody damaged: the table, blobs whose hash is right, and units.
#include "base/process.hpp"
#include "cpu/unit_file.hpp"
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace mimic;
    cpu::UnitBytes aligned(size / 8 + 1), scratch;
    std::memcpy(aligned.data(), data, size);
    const std::span<const u8> bytes(reinterpret_cast<const u8*>(aligned.data()), size);
    auto look = [](std::span<const u8> unit) {
        cpu::SavedUnit u;
        if (!cpu::parse_saved_unit(unit, u)) return;
        for (u32 r : u.references)
            if (u64(r & ~cpu::saved::is_record) + 4 > u.code.size()) __builtin_trap();
        for (u32 at = 0; at < u.records.size(); ++at) u.record(at);
    };
    look(bytes);
    cpu::FileHeader h;
    if (size < sizeof h) return 0;
    // Who writes such a file can give it the right hash.
    std::memcpy(&h, bytes.data(), sizeof h);
    h.own = sha256(bytes.first(offsetof(cpu::FileHeader, own)));
    std::memcpy(reinterpret_cast<u8*>(aligned.data()), &h, sizeof h);
    auto file = cpu::UnitFile::read(bytes, h.key);
    if (!file) return 0;
    u32 bad = 0;
    for (u64 pc : {u64{0}, u64{0x1000}, u64{0x1008}}) look(file->find(pc, 1, scratch, bad));
    file->for_each(scratch, [&](auto unit, auto&) { return look(unit), true; });
    return 0;
}
