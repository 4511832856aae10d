#include "devices/virtio/blk_request.hpp"
#include <cstring>

namespace mimic::devices::virtio {

namespace {

using Kind = BlkRequest::Kind;

void refuse(BlkRequest& r, u8 status) {
    r.kind = Kind::refused;
    r.status = status;
    r.data.clear();
}

// Sectors [first, first + count) exist and are whole blocks.
bool inside(const BlkLimits& limits, u64 first, u64 count) {
    return first <= limits.sectors && count <= limits.sectors - first && first % limits.block_sectors == 0 &&
           count % limits.block_sectors == 0;
}

void parse_transfer(BlkRequest& r, const BlkLimits& limits, u64 sector) {
    r.bytes = total(r.data);
    if (r.bytes % 512 || r.bytes > BlkLimits::max_bytes || !inside(limits, sector, r.bytes / 512))
        return refuse(r, VIRTIO_BLK_S_IOERR);
    if (r.kind == Kind::write && limits.read_only) return refuse(r, VIRTIO_BLK_S_IOERR);
    r.offset = sector * 512;
}

// 5.2.6: one segment, as max_discard_seg and max_write_zeroes_seg say.
void parse_range(const Dma& dma, BlkRequest& r, const BlkLimits& limits, bool offered, u32 most) {
    virtio_blk_discard_write_zeroes range{};
    if (!offered) return refuse(r, VIRTIO_BLK_S_UNSUPP);
    if (limits.read_only) return refuse(r, VIRTIO_BLK_S_IOERR);
    if (total(r.data) != sizeof range || dma.gather(r.data, 0, &range, sizeof range) != sizeof range)
        return refuse(r, VIRTIO_BLK_S_IOERR);
    u32 flags = dma.ordered(u32(range.flags)), sectors = dma.ordered(u32(range.num_sectors));
    u32 known = r.kind == Kind::write_zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
    if (flags & ~known) return refuse(r, VIRTIO_BLK_S_UNSUPP);
    u64 sector = dma.ordered(u64(range.sector));
    if (sectors > most || !inside(limits, sector, sectors)) return refuse(r, VIRTIO_BLK_S_IOERR);
    r.unmap = flags & known;
    r.offset = sector * 512;
    r.bytes = u64{sectors} * 512;
    r.data.clear();
}

} // namespace

bool parse_blk_request(const Dma& dma, const Chain& chain, const BlkLimits& limits, BlkRequest& r) {
    virtio_blk_outhdr header{};
    u64 readable = total(chain.out), writable = total(chain.in);
    if (writable == 0 || dma.gather(chain.out, 0, &header, sizeof header) != sizeof header) return false;
    auto status = slice(chain.in, writable - 1, 1);
    r.status_byte = status[0];
    u32 type = dma.ordered(u32(header.type));
    u64 sector = dma.ordered(u64(header.sector));
    auto from_driver = [&] { r.data = slice(chain.out, sizeof header, readable - sizeof header); };
    auto to_driver = [&] { r.data = slice(chain.in, 0, writable - 1); };
    switch (type) {
    case VIRTIO_BLK_T_IN:
        r.kind = Kind::read;
        to_driver();
        parse_transfer(r, limits, sector);
        break;
    case VIRTIO_BLK_T_OUT:
        r.kind = Kind::write;
        from_driver();
        parse_transfer(r, limits, sector);
        break;
    case VIRTIO_BLK_T_FLUSH: r.kind = Kind::flush; break;
    case VIRTIO_BLK_T_GET_ID:
        r.kind = Kind::id;
        to_driver();
        break;
    case VIRTIO_BLK_T_DISCARD:
        r.kind = Kind::discard;
        from_driver();
        parse_range(dma, r, limits, limits.discard, limits.max_discard);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        r.kind = Kind::write_zeroes;
        from_driver();
        parse_range(dma, r, limits, limits.write_zeroes, limits.max_write_zeroes);
        break;
    default: refuse(r, VIRTIO_BLK_S_UNSUPP);
    }
    return true;
}

} // namespace mimic::devices::virtio
