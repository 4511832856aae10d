#include "cpu/system/memory.hpp"
#include "base/process.hpp"
#include "ir/rmw.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::cpu {

using isa::AccessType;
using memory::Outcome;
using memory::Place;

namespace {

constexpr u64 page = Tlb::page;
u64 left_in_page(u64 address) { return page - (address & (page - 1)); }

template <class Point>
bool watched_page(const std::vector<Point>& all, u64 address) {
    u64 first = address & ~(page - 1);
    return std::any_of(all.begin(), all.end(), [&](const Point& w) {
        return w.address <= first + (page - 1) && w.address + (w.bytes - 1) >= first;
    });
}

// Sizes that the host reads and writes at once; others piece by piece.
void copy_in(void* out, const u8* from, u32 bytes) {
    if (std::has_single_bit(bytes) && bytes <= 16)
        process::guarded_load(from, out, bytes);
    else
        std::memcpy(out, from, bytes);
}
void copy_out(u8* to, const void* in, u32 bytes) {
    if (std::has_single_bit(bytes) && bytes <= 16)
        process::guarded_store(to, in, bytes);
    else
        std::memcpy(to, in, bytes);
}

} // namespace

// ---- translations

MachineMemory::MachineMemory(const isa::Guest& guest, memory::AddressSpace& space, memory::AddressSpace& secure,
                             CodeWatcher& watcher, u32 processor)
    : points_first_(guest.system()->watches_before_translation())
    , system_(*guest.system())
    , space_(space)
    , secure_(secure)
    , watcher_(watcher)
    , misaligned_(guest.min_insn_bytes() - 1)
    , processor_(u16(processor))
    , jumps_(u32(std::countr_zero(guest.min_insn_bytes()))) {}

jit::JumpEntry* MachineMemory::jumps(ir::CpuHeader& cpu) {
    if (!jump_table_ || jump_mode_ != cpu.mode) {
        jump_mode_ = cpu.mode;
        jump_table_ = jumps_.select(cpu.mode, system_.context(cpu, system_.fetch_index(cpu.mode)));
    }
    return jump_table_;
}

void MachineMemory::select(const ir::CpuHeader& cpu) {
    jump_table_ = nullptr;
    for (u32 n = 0; n < system_.indices(); ++n) tlb_.select(n, system_.context(cpu, n));
}

void MachineMemory::flush(const isa::Effects& f) {
    using enum isa::Effects::Flush;
    constexpr u64 most_pages = 512; // above, all goes
    auto each_page = [&](const isa::Effects& r, auto&& one) {
        if (r.bytes > most_pages * page) return flush_all();
        for (u64 done = 0; done < std::max<u64>(r.bytes, 1); done += page) one(r.address + done);
    };
    switch (f.flush) {
    case none: break;
    case all: flush_all(); break;
    case address: each_page(f, [&](u64 a) { tlb_.flush_address(a) ? jumps_.flush() : jumps_.flush_address(a); }); break;
    case context: tlb_.flush_context(f.context), jumps_.flush_context(f.context); break;
    case address_in_context:
        each_page(f, [&](u64 a) { tlb_.flush_address_in(a, f.context) ? jumps_.flush() : jumps_.flush_address(a); });
        break;
    }
}

void MachineMemory::keep_apart(ir::CpuHeader& cpu) {
    apart_ = 0;
    system_.keep_apart(cpu);
    flush_all();
    select(cpu);
}

bool MachineMemory::fail(ir::CpuHeader& cpu, u64 address, AccessType type, const isa::Exception& e) {
    exception_ = e;
    cpu.fault_address = address;
    cpu.fault_kind = type == AccessType::read    ? ir::FaultKind::read
                     : type == AccessType::write ? ir::FaultKind::write
                                                 : ir::FaultKind::fetch;
    return false;
}
bool MachineMemory::bus_error(ir::CpuHeader& cpu, u64 address, AccessType type) {
    return fail(cpu, address, type, system_.bus_error(cpu, address, type));
}

// An access inside a page: where it goes, or its exception. What may be kept goes to the TLB.
bool MachineMemory::resolve(ir::CpuHeader& cpu, u64 address, u32 bytes, AccessType type, u32 index, Target& t) {
    isa::Exception e;
    if (!system_.translate(cpu, *this, address, bytes, type, index, false, t.mapping, e))
        return fail(cpu, address, type, e);
    apart_ += t.mapping.apart;
    t.place = space_of(t.mapping).find(t.mapping.physical);
    if (t.place.kind == Place::Kind::nothing) return bus_error(cpu, address, type);
    // What is written to ROM is a device's command, if anybody's.
    const bool device = t.place.kind == Place::Kind::device;
    if (device || (type == AccessType::write && t.place.kind == Place::Kind::rom)) {
        if ((stops_ || tlb_.relied_on()) && type != AccessType::fetch) {
            met_device_ = true;
            return fail(cpu, address, type, {});
        }
    }
    if (!watches_.empty() && watched_page(watches_, system_.debug_address(address))) [[unlikely]]
        return !meets_watchpoint(address, bytes, type) || fail(cpu, address, type, {});
    if (device) return true;
    if (!t.mapping.small && (points_.empty() || !watched_page(points_, system_.debug_address(address))))
        fill(address, index, t);
    return true;
}

// What was in no TLB before need not leave one.
void MachineMemory::set_points(std::span<const isa::DebugPoint> all) {
    constexpr u64 most_pages = 16; // above, all goes
    std::vector<isa::DebugPoint> old(all.begin(), all.end());
    points_.swap(old);
    for (const isa::DebugPoint& p : points_) {
        if (std::find(old.begin(), old.end(), p) != old.end()) continue;
        const u64 first = p.address & ~(page - 1), last = (p.address + (p.bytes - 1)) & ~(page - 1);
        if ((last - first) / page >= most_pages) return flush_all();
        flush({.flush = isa::Effects::Flush::address, .address = first, .bytes = last - first + page});
    }
}

bool MachineMemory::asks_point(ir::CpuHeader& cpu, const isa::DebugAccess& a) {
    const u64 address = system_.debug_address(a.address);
    const bool touched = std::any_of(points_.begin(), points_.end(), [&](const isa::DebugPoint& p) {
        return ((p.read && a.read) || (p.write && a.write)) && p.address <= address + (a.bytes - 1) &&
               p.address + (p.bytes - 1) >= address;
    });
    isa::Exception e;
    if (!touched || !system_.before_access(cpu, a, e)) return false;
    met_point_ = true;
    fail(cpu, a.address, a.write ? AccessType::write : AccessType::read, e);
    return true;
}

bool MachineMemory::meets_watchpoint(u64 address, u32 bytes, AccessType type) {
    if (pass_ || type == AccessType::fetch) return false;
    address = system_.debug_address(address);
    for (const Watchpoint& w : watches_) {
        bool kind = type == AccessType::write ? w.write : w.read;
        if (!kind || address > w.address + (w.bytes - 1) || address + (bytes - 1) < w.address) continue;
        hit_ = w;
        return met_ = true;
    }
    return false;
}

void MachineMemory::fill(u64 address, u32 index, const Target& t) {
    u64 offset = address & (page - 1);
    // All of the page is there.
    if (t.place.left < page - offset || t.place.offset < offset) return;
    if (offset) {
        Place first = space_of(t.mapping).find(t.mapping.physical - offset);
        if (first.block != t.place.block || first.offset + offset != t.place.offset) return;
    }
    memory::RamBlock& block = *t.place.block;
    u64 in_block = t.place.offset - offset;
    if (in_block & (page - 1)) return;
    if (t.mapping.fetch) watcher_.watch_block(block); // a fetch that finds the entry asks no more
    // Code that reads and writes a page asks for the right to write alone.
    bool write = t.mapping.write && t.mapping.read && t.place.kind == Place::Kind::ram;
    if (write) {
        // Whoever starts to watch the page looks at this flag after it has set its own: one of us sees the other.
        if (!(block.flags(in_block).load(std::memory_order_relaxed) & written_by_tlb))
            block.flags(in_block).fetch_or(written_by_tlb, std::memory_order_seq_cst);
        write = block.writes_are_free(in_block);
    }
    TlbEntry& e = tlb_.fill(index, {.address = address,
                                    .host = u64(block.host() + in_block),
                                    .bits = t.mapping.bits,
                                    .read = t.mapping.read,
                                    .write = write,
                                    .fetch = t.mapping.fetch});
    if (!write) return;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!block.writes_are_free(in_block)) Tlb::take_write(e);
}

bool MachineMemory::read(u64 address, u32 bytes, u64& value, bool secure) {
    Place p = (secure ? secure_ : space_).find(address);
    if ((p.kind != Place::Kind::ram && p.kind != Place::Kind::rom) || p.left < bytes) return false;
    value = 0;
    copy_in(&value, p.host(), bytes);
    return true;
}

bool MachineMemory::compare_and_swap(u64 address, u32 bytes, u64 expected, u64 desired, u64& old, bool secure) {
    Place p = (secure ? secure_ : space_).find(address);
    if (p.kind != Place::Kind::ram || p.left < bytes) return false;
    if (!process::guarded_cas(p.host(), &expected, &desired, &old, bytes)) return false;
    if (!p.block->writes_are_free(p.offset)) p.block->note_write(p.offset, bytes);
    return true;
}

// ---- accesses

bool MachineMemory::load_part(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const Target& t) {
    if (t.place.kind != Place::Kind::device && t.place.left >= bytes) return copy_in(out, t.place.host(), bytes), true;
    Outcome o;
    if (std::has_single_bit(bytes) && bytes <= 8) {
        u64 value = 0;
        o = space_of(t.mapping).read_value(t.mapping.physical, bytes, value, attributes(t));
        std::memcpy(out, &value, bytes);
    } else {
        o = space_of(t.mapping).read(t.mapping.physical, out, bytes, attributes(t));
    }
    return o == Outcome::ok || bus_error(cpu, address, AccessType::read);
}

void MachineMemory::written(const Target& t, u32 bytes) { t.place.block->note_write(t.place.offset, bytes); }

bool MachineMemory::store_part(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const Target& t) {
    if (t.place.kind == Place::Kind::ram && t.place.left >= bytes) {
        copy_out(t.place.host(), in, bytes);
        written(t, bytes);
        return true;
    }
    Outcome o;
    if (std::has_single_bit(bytes) && bytes <= 8) {
        u64 value = 0;
        std::memcpy(&value, in, bytes);
        o = space_of(t.mapping).write_value(t.mapping.physical, bytes, value, attributes(t));
    } else {
        o = space_of(t.mapping).write(t.mapping.physical, in, bytes, attributes(t));
    }
    if (o == Outcome::wait) return met_wait_ = true, fail(cpu, address, AccessType::write, {});
    return o == Outcome::ok || bus_error(cpu, address, AccessType::write);
}

bool MachineMemory::load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) {
    const TlbEntry& e = tlb_.entry(m.index, address);
    if (Tlb::hits(e.read, address, bytes)) [[likely]] {
        copy_in(out, reinterpret_cast<const u8*>(e.host) + (address - e.read), bytes);
        return true;
    }
    Target first, second;
    const isa::DebugAccess a{.address = address, .bytes = bytes, .index = m.index, .read = true};
    if (meets_point(cpu, a, false)) return false;
    u64 left = left_in_page(address);
    if (bytes <= left)
        return resolve(cpu, address, bytes, AccessType::read, m.index, first) && !meets_point(cpu, a, true) &&
               load_part(cpu, address, out, bytes, first);
    u32 low = u32(left), high = bytes - low;
    return resolve(cpu, address, low, AccessType::read, m.index, first) &&
           resolve(cpu, address + low, high, AccessType::read, m.index, second) && !meets_point(cpu, a, true) &&
           load_part(cpu, address, out, low, first) &&
           load_part(cpu, address + low, static_cast<u8*>(out) + low, high, second);
}

bool MachineMemory::store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) {
    const TlbEntry& e = tlb_.entry(m.index, address);
    if (Tlb::hits(e.write, address, bytes)) [[likely]] {
        copy_out(reinterpret_cast<u8*>(e.host) + (address & (page - 1)), in, bytes);
        return true;
    }
    Target first, second;
    const isa::DebugAccess a{.address = address, .bytes = bytes, .index = m.index, .write = true};
    if (meets_point(cpu, a, false)) return false;
    u64 left = left_in_page(address);
    if (bytes <= left)
        return resolve(cpu, address, bytes, AccessType::write, m.index, first) && !meets_point(cpu, a, true) &&
               store_part(cpu, address, in, bytes, first);
    u32 low = u32(left), high = bytes - low;
    return resolve(cpu, address, low, AccessType::write, m.index, first) &&
           resolve(cpu, address + low, high, AccessType::write, m.index, second) && !meets_point(cpu, a, true) &&
           store_part(cpu, address, in, low, first) &&
           store_part(cpu, address + low, static_cast<const u8*>(in) + low, high, second);
}

// RAM only: devices take no atomic accesses.
u8* MachineMemory::atomic_target(ir::CpuHeader& cpu, u64 address, u32 bytes, u32 index, Target& t) {
    const isa::DebugAccess a{.address = address, .bytes = bytes, .index = index, .read = true, .write = true};
    if (meets_point(cpu, a, false)) return nullptr;
    if (bytes > left_in_page(address)) {
        bus_error(cpu, address, AccessType::write);
        return nullptr;
    }
    if (!resolve(cpu, address, bytes, AccessType::write, index, t) || meets_point(cpu, a, true)) return nullptr;
    if (t.place.kind == Place::Kind::ram && t.place.left >= bytes) return t.place.host();
    bus_error(cpu, address, AccessType::write);
    return nullptr;
}

bool MachineMemory::rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
                        const ir::MemArg& m) {
    u32 shift = 64 - 8 * bytes;
    auto swap = [&](u64 v) { return m.big ? __builtin_bswap64(v) >> shift : v; };
    auto update = [&](u64 v) { return swap(ir::apply(op, swap(v), operand, bytes)); };
    const TlbEntry& e = tlb_.entry(m.index, address);
    old = 0;
    if (Tlb::hits(e.write, address, bytes)) [[likely]] {
        process::guarded_rmw(reinterpret_cast<u8*>(e.host) + (address & (page - 1)), old, bytes, update);
    } else {
        Target t;
        u8* host = atomic_target(cpu, address, bytes, m.index, t);
        if (!host) return false;
        process::guarded_rmw(host, old, bytes, update);
        written(t, bytes);
    }
    old = swap(old);
    return true;
}

bool MachineMemory::cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old,
                        u32 bytes, const ir::MemArg& m) {
    const TlbEntry& e = tlb_.entry(m.index, address);
    if (Tlb::hits(e.write, address, bytes)) [[likely]]
        return process::guarded_cas(reinterpret_cast<u8*>(e.host) + (address & (page - 1)), expected, desired, old,
                                    bytes);
    Target t;
    u8* host = atomic_target(cpu, address, bytes, m.index, t);
    if (!host) return false;
    process::guarded_cas(host, expected, desired, old, bytes);
    written(t, bytes);
    return true;
}

bool MachineMemory::probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) {
    u32 index = system_.data_index(cpu.mode);
    AccessType type = write ? AccessType::write : AccessType::read;
    for (u64 done = 0; done < bytes;) {
        u64 n = std::min(bytes - done, left_in_page(address + done));
        const TlbEntry& e = tlb_.entry(index, address + done);
        Target t;
        if (!Tlb::hits(write ? e.write : e.read, address + done, n) &&
            !resolve(cpu, address + done, u32(n), type, index, t))
            return false;
        done += n;
    }
    return true;
}

void MachineMemory::fence(u32, u32) { std::atomic_thread_fence(std::memory_order_seq_cst); }

// ---- code

bool MachineMemory::locate(ir::CpuHeader& cpu, u64 pc, u64& place) {
    if (pc & misaligned_) return fail(cpu, pc, AccessType::fetch, system_.misaligned(cpu, pc, AccessType::fetch));
    u32 index = system_.fetch_index(cpu.mode);
    u64 offset = pc & (page - 1);
    const TlbEntry& e = tlb_.entry(index, pc);
    if (Tlb::hits(e.fetch, pc, 1)) [[likely]]
        return place = e.host + offset, true;
    Target t;
    u32 bytes = u32(std::min<u64>(2, page - offset));
    if (!resolve(cpu, pc, bytes, AccessType::fetch, index, t)) return false;
    if (t.place.kind == Place::Kind::device || t.place.left < bytes) return bus_error(cpu, pc, AccessType::fetch);
    watcher_.watch_block(*t.place.block);
    place = u64(t.place.host());
    return true;
}

u32 MachineMemory::code_at(ir::CpuHeader& cpu, u64 pc, std::span<u8> out) {
    isa::Exception kept = exception_;
    u64 address = cpu.fault_address;
    ir::FaultKind kind = cpu.fault_kind;
    u32 done = 0;
    while (done < out.size()) {
        u64 place;
        if (!locate(cpu, pc + done, place)) break;
        u32 n = u32(std::min<u64>(out.size() - done, left_in_page(pc + done)));
        std::memcpy(out.data() + done, reinterpret_cast<const u8*>(place), n);
        done += n;
    }
    exception_ = kept, cpu.fault_address = address, cpu.fault_kind = kind;
    return done;
}

bool MachineMemory::debug_translate(ir::CpuHeader& cpu, u64 address, isa::Mapping& m) {
    isa::Exception e;
    return system_.translate(cpu, *this, address, 1, AccessType::read, system_.data_index(cpu.mode), true, m, e);
}
bool MachineMemory::debug_translate(ir::CpuHeader& cpu, u64 address, u64& physical) {
    isa::Mapping m;
    if (!debug_translate(cpu, address, m)) return false;
    physical = m.physical;
    return true;
}

bool MachineMemory::debug_access(ir::CpuHeader& cpu, u64 address, void* data, u64 bytes, bool write) {
    for (u64 done = 0; done < bytes;) {
        u64 n = std::min(bytes - done, left_in_page(address + done));
        isa::Mapping m;
        if (!debug_translate(cpu, address + done, m)) return false;
        u8* at = static_cast<u8*>(data) + done;
        memory::AddressSpace& space = space_of(m);
        memory::Attributes how{.secure = m.secure, .debug = true};
        Outcome o = write ? space.write(m.physical, at, n, how) : space.read(m.physical, at, n, how);
        if (o != Outcome::ok) return false;
        done += n;
    }
    return true;
}

bool MachineMemory::program_access(ir::CpuHeader& cpu, u64 address, void* data, u64 bytes, bool write) {
    const u32 index = system_.data_index(cpu.mode);
    for (u64 done = 0; done < bytes;) {
        u64 n = std::min(bytes - done, left_in_page(address + done));
        isa::Mapping m;
        isa::Exception e;
        AccessType type = write ? AccessType::write : AccessType::read;
        if (!system_.translate(cpu, *this, address + done, u32(n), type, index, false, m, e)) return false;
        Place p = space_of(m).find(m.physical);
        if (p.kind != Place::Kind::ram && (write || p.kind != Place::Kind::rom)) return false;
        n = std::min(n, p.left);
        u8* at = static_cast<u8*>(data) + done;
        std::memcpy(write ? p.host() : at, write ? at : p.host(), n);
        if (write) p.block->note_write(p.offset, n);
        done += n;
    }
    return true;
}

} // namespace mimic::cpu
