// Descriptor bytes against the request parser of the block device: the input is guest memory, and the segments into it.
#include "base/check.hpp"
#include "devices/virtio/blk_request.hpp"

using namespace mimic;
using namespace mimic::devices::virtio;

namespace {
struct World {
    std::unique_ptr<memory::RamBlock> block = std::move(*memory::RamBlock::create("ram", 4096, {}));
    memory::Region system{"system", ~u64{0}};
    memory::Region ram{"ram", *block, 0, 4096, false};
    memory::AddressSpace space{"memory", system};
    std::atomic<u64> topology{0};
    World() { system.add(ram, 0); }
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static World world;
    if (size < 4 || size > 4096) return 0;
    std::copy(data, data + size, world.block->host());
    u8 count = data[0] & 31;
    Chain chain;
    for (u32 i = 0; i < count && 4 + 3 * i + 3 <= size; i++) {
        const u8* p = data + 4 + 3 * i;
        Segment s{u64{p[0]} * 17, u32(p[1]) * (p[2] & 0x40 ? 0x1000000 : 1)};
        (p[2] & 0x80 ? chain.in : chain.out).push_back(s);
    }
    BlkLimits limits{.sectors = 64, .block_sectors = 1u << (data[1] & 3), .read_only = bool(data[2] & 1)};
    Dma dma{&world.space, &world.topology, bool(data[3] & 1)};
    BlkRequest r;
    if (!parse_blk_request(dma, chain, limits, r)) return 0;
    using Kind = BlkRequest::Kind;
    bool on_disk = r.kind != Kind::flush && r.kind != Kind::id && r.kind != Kind::refused;
    MIMIC_CHECK(!on_disk || (r.offset <= 64 * 512 && r.bytes <= 64 * 512 - r.offset),
                "a request lies outside of its disk");
    bool transfers = r.kind == Kind::read || r.kind == Kind::write;
    MIMIC_CHECK(!transfers || total(r.data) == r.bytes, "a request's memory is not as long as it says");
    return 0;
}
