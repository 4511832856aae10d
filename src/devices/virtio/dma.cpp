#include "devices/virtio/dma.hpp"
#include <algorithm>

namespace mimic::devices::virtio {

using memory::Outcome;
using memory::Place;

u64 total(std::span<const Segment> segments) {
    u64 sum = 0;
    for (const Segment& s : segments) sum += s.bytes;
    return sum;
}

std::vector<Segment> slice(std::span<const Segment> segments, u64 offset, u64 bytes) {
    std::vector<Segment> out;
    for (const Segment& s : segments) {
        if (bytes == 0) break;
        if (offset >= s.bytes) {
            offset -= s.bytes;
            continue;
        }
        u32 n = u32(std::min<u64>(s.bytes - offset, bytes));
        out.push_back({s.address + offset, n});
        offset = 0;
        bytes -= n;
    }
    return out;
}

namespace {
// Calls f(address, position, bytes) for the pieces of [offset, offset + bytes); it says whether it went well.
template <class F>
u64 walk(std::span<const Segment> segments, u64 offset, u64 bytes, F f) {
    u64 done = 0;
    for (const Segment& s : segments) {
        if (done == bytes) break;
        if (offset >= s.bytes) {
            offset -= s.bytes;
            continue;
        }
        u64 n = std::min<u64>(s.bytes - offset, bytes - done);
        if (!f(s.address + offset, done, n)) break;
        offset = 0;
        done += n;
    }
    return done;
}
} // namespace

u64 Dma::gather(std::span<const Segment> segments, u64 offset, void* out, u64 bytes) const {
    return walk(segments, offset, bytes, [&](u64 address, u64 at, u64 n) {
        return space->read(address, static_cast<u8*>(out) + at, n) == Outcome::ok;
    });
}

u64 Dma::scatter(std::span<const Segment> segments, u64 offset, const void* in, u64 bytes) const {
    return walk(segments, offset, bytes, [&](u64 address, u64 at, u64 n) {
        return space->write(address, static_cast<const u8*>(in) + at, n) == Outcome::ok;
    });
}

void Area::resolve(const Dma& dma, u64 now) {
    topology_ = now;
    known_ = true;
    host_ = nullptr;
    Place place = dma.space->find(address_);
    if (place.kind != Place::Kind::ram || place.left < bytes_) return;
    u8* host = place.host();
    if (reinterpret_cast<uintptr_t>(host) % 16 != address_ % 16) return;
    if (address_ % 2) return; // values would not be aligned
    host_ = host;
    block_ = place.block;
    block_offset_ = place.offset;
}

bool Mapping::map(const Dma& dma, std::span<const Segment> segments, bool device_writes, bool apart) {
    device_writes_ = device_writes;
    u64 bounced = 0;
    for (const Segment& s : segments) {
        for (u64 done = 0; done < s.bytes;) {
            u64 address = s.address + done;
            if (address < s.address) return false;
            Place place = dma.space->find(address);
            u64 n = std::min(place.left, s.bytes - done);
            if (place.kind == Place::Kind::nothing) return false;
            bool plain = place.kind == Place::Kind::ram || (place.kind == Place::Kind::rom && !device_writes);
            if (plain && !apart) {
                memory_.append(place.host(), n);
                pieces_.push_back({place.block, place.offset, n, place.host()});
            } else {
                bounced += plain ? 0 : n;
                if (bounced > max_bounce) return false;
                auto buffer = io::Buffer::zeroed(n);
                if (!buffer) return false;
                if (!device_writes && dma.space->read(address, buffer->data(), n) != Outcome::ok) return false;
                memory_.append(buffer->data(), n);
                pieces_.push_back({nullptr, address, n, buffer->data()});
                bounces_.push_back(std::move(*buffer));
            }
            done += n;
        }
    }
    return true;
}

void Mapping::written(const Dma& dma, u64 bytes) {
    if (!device_writes_) return;
    for (const Piece& p : pieces_) {
        u64 n = std::min(bytes, p.bytes);
        if (n == 0) return;
        if (p.block)
            p.block->note_write(p.at, n);
        else
            static_cast<void>(dma.space->write(p.at, p.host, n)); // a device's refusal is lost, as on a bus
        bytes -= n;
    }
}

void Mapping::forgotten() {
    if (!device_writes_) return;
    for (const Piece& p : pieces_)
        if (p.block) p.block->note_write(p.at, p.bytes);
}

} // namespace mimic::devices::virtio
