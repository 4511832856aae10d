// A request of a block device's driver as a checked value (VIRTIO 1.2, 5.2.6): what is asked, where, and in which memory.
#pragma once
#include "devices/virtio/queue.hpp"
#include <linux/virtio_blk.h>

namespace mimic::devices::virtio {

struct BlkLimits {
    u64 sectors = 0;       // of 512 bytes
    u32 block_sectors = 1; // requests are multiples of these
    bool read_only = false, flush = true, discard = true, write_zeroes = true;
    u32 max_discard = 0x3fffff, max_write_zeroes = 0x3fffff; // sectors of a segment
    static constexpr u64 max_bytes = 0x7ffffe00;             // of one request
};

struct BlkRequest {
    enum class Kind : u8 { read, write, flush, id, discard, write_zeroes, refused };
    Kind kind = Kind::refused;
    u8 status = VIRTIO_BLK_S_OK; // of a refused one
    bool unmap = false;
    u64 offset = 0, bytes = 0; // on the disk
    std::vector<Segment> data;
    Segment status_byte;
};

// False: there is no header or no place for the status, so nobody can be told; the device needs a reset.
bool parse_blk_request(const Dma& dma, const Chain& chain, const BlkLimits& limits, BlkRequest& request);

} // namespace mimic::devices::virtio
