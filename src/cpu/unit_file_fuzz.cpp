// Files of saved units, as they may stand in a cache that somebody damaged: the table, blobs whose hash is right, and units.
#include "base/process.hpp"
#include "cpu/unit_file.hpp"
#include <cstring>

namespace {

using namespace mimic;

// Who writes such a file can give it the right checksums: in the header, and of the blobs that the table names.
void give_sums(cpu::FileHeader h, std::span<u8> file) {
    for (u64 n = 0; n < h.buckets && h.tables < file.size() && n < (file.size() - h.tables) / sizeof(cpu::Bucket);
         ++n) {
        cpu::Bucket b;
        cpu::BlobHeader blob;
        std::memcpy(&b, file.data() + h.tables + n * sizeof b, sizeof b);
        const u64 at = u64(b.at) * 16;
        if (at < sizeof h || at > file.size() || file.size() - at < sizeof blob) continue;
        std::memcpy(&blob, file.data() + at, sizeof blob);
        const std::span<const u8> rest = file.subspan(at + sizeof blob);
        if (blob.bytes > rest.size()) continue;
        blob.check = cpu::checksum(h.key, rest.first(blob.bytes));
        std::memcpy(file.data() + at, &blob, sizeof blob);
    }
    h.own = sha256({reinterpret_cast<const u8*>(&h), offsetof(cpu::FileHeader, own)});
    std::memcpy(file.data(), &h, sizeof h);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
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
    std::memcpy(&h, bytes.data(), sizeof h);
    give_sums(h, {reinterpret_cast<u8*>(aligned.data()), size});
    auto file = cpu::UnitFile::read(bytes, h.key);
    if (!file) return 0;
    u32 bad = 0;
    for (u64 pc : {h.start, h.start + 0x800, h.start + 0x808, u64{0}, ~u64{0}}) {
        look(file->find(pc, 1, scratch, bad));
        file->look(pc, 1);
    }
    file->for_each_ran([](u64) {});
    file->for_each(scratch, [&](auto unit, auto&) { return look(unit), true; });
    return 0;
}
