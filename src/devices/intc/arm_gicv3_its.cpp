// Interrupt translation service of a GICv3: messages of devices become LPIs.
// Source: Arm IHI 0069H, chapter 5 (tables, commands) and 12.19 (registers). Physical LPIs, flat tables, 16 bits of DeviceID
// and EventID. Not there: virtual LPIs, two-level tables.
//
// All tables are in the guest's memory, in a format of this device, and are checked at each use.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/intc/arm_gicv3.hpp"
#include <cstring>

namespace mimic::devices {
namespace {

constexpr u32 command_bytes = 32, entry_bytes = 8, device_bits = 16, event_bits = 16;
constexpr u64 valid = u64{1} << 63;
// Commands that one write of GITS_CWRITER runs before others get their turn.
constexpr u32 max_commands = 65536;
// Bits of GITS_BASER that a driver may write: valid, caches, address, shareability, page size, pages.
constexpr u64 base_writable = valid | u64{7} << 59 | u64{7} << 53 | 0xfffffffff000 | 0xfff;
constexpr u64 base_fixed(u64 type) { return type << 56 | u64{entry_bytes - 1} << 48; }
constexpr u64 queue_writable = valid | u64{7} << 59 | u64{7} << 53 | 0xffffffffff000 | 0xcff;

// A device's table: 63 valid, 52:8 address of its entries, 4:0 bits of EventID less one.
// A collection: 63 valid, 15:0 processor. An event: 63 valid, 47:32 collection, 31:0 LPI.

class ArmGicV3Its final : public Device {
public:
    std::string_view type() const override { return "arm-gicv3-its"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        if (gic_id_.empty()) return {}; // messages go nowhere
        gic_ = dynamic_cast<GicV3*>(machine().find(gic_id_));
        if (!gic_) return Error::not_found("property 'gic': there is no GICv3 '{}'", gic_id_);
        return {};
    }
    u32 context_rank() const override { return 1; } // above devices, below the interrupt controller

private:
    using Words = std::array<u64, 4>;

    // ---- tables -----------------------------------------------------------------------------------------------------
    bool read_entry(u64 at, u64& out) const {
        return memory().read_value(at, entry_bytes, out, {}) == memory::Outcome::ok;
    }
    bool write_entry(u64 at, u64 value) const {
        return memory().write_value(at, entry_bytes, value, {}) == memory::Outcome::ok;
    }
    // Where entry `n` of table `base` is; 0: the table has none.
    static u64 place(u64 base, u64 n) {
        constexpr u64 page_sizes[] = {4096, 16384, 65536, 65536};
        u64 bytes = ((base & 0xff) + 1) * page_sizes[base >> 8 & 3];
        return (base & valid) && n < bytes / entry_bytes ? (base & 0xfffffffff000) + n * entry_bytes : 0;
    }
    bool find_device(u64 device, u64& entry) const {
        u64 at = place(device_table_, device);
        return at && read_entry(at, entry) && (entry & valid);
    }
    u64 event_place(u64 device_entry, u64 event) const {
        if (event >> ((device_entry & 31) + 1)) return 0;
        return (device_entry & 0xfffffffffff00) + event * entry_bytes;
    }
    bool find_processor(u64 collection, u32& cpu) const {
        u64 at = place(collection_table_, collection), entry = 0;
        if (!at || !read_entry(at, entry) || !(entry & valid)) return false;
        cpu = u32(entry & 0xffff);
        return true;
    }
    struct Event {
        u64 at = 0;
        u32 lpi = 0, collection = 0, cpu = 0;
    };
    bool find_event(u64 device, u64 event, Event& out) const {
        u64 device_entry = 0, entry = 0;
        if (!find_device(device, device_entry) || !(out.at = event_place(device_entry, event))) return false;
        if (!read_entry(out.at, entry) || !(entry & valid)) return false;
        out.lpi = u32(entry);
        out.collection = entry >> 32 & 0xffff;
        return find_processor(out.collection, out.cpu);
    }

    // ---- commands (5.3) -----------------------------------------------------------------------------------------------
    // Each gives false for what its rules forbid.
    bool map_device(const Words& w) {
        u64 at = place(device_table_, w[0] >> 32), size = w[1] & 31;
        if (!at || size >= event_bits) return false;
        return write_entry(at, w[2] & valid ? valid | (w[2] & 0xfffffffffff00) | size : 0);
    }
    bool map_collection(const Words& w) {
        u64 at = place(collection_table_, w[2] & 0xffff), cpu = w[2] >> 16 & 0xffff;
        if (!at || !gic_ || cpu >= gic_->processors()) return false;
        return write_entry(at, w[2] & valid ? valid | cpu : 0);
    }
    bool map_event(const Words& w, bool identity) {
        u64 device_entry = 0, event = u32(w[1]), lpi = identity ? event : w[1] >> 32;
        if (!find_device(w[0] >> 32, device_entry)) return false;
        u64 at = event_place(device_entry, event);
        if (!at || lpi < GicV3::first_lpi || lpi >> GicV3::id_bits) return false;
        return write_entry(at, valid | (w[2] & 0xffff) << 32 | lpi);
    }
    bool move_event(const Words& w) {
        Event e;
        u32 to = 0;
        if (!find_event(w[0] >> 32, u32(w[1]), e) || !find_processor(w[2] & 0xffff, to)) return false;
        if (gic_) gic_->move_lpi(e.cpu, to, e.lpi);
        return write_entry(e.at, valid | (w[2] & 0xffff) << 32 | e.lpi);
    }
    bool discard(const Words& w) {
        Event e;
        if (!find_event(w[0] >> 32, u32(w[1]), e)) return false;
        if (gic_) gic_->set_lpi(e.cpu, e.lpi, false);
        return write_entry(e.at, 0);
    }
    bool set_event(u64 device, u64 event, bool pending) {
        Event e;
        if (!find_event(device, event, e)) return false;
        if (gic_) gic_->set_lpi(e.cpu, e.lpi, pending);
        return true;
    }
    bool invalidate(const Words& w) {
        Event e;
        if (!find_event(w[0] >> 32, u32(w[1]), e)) return false;
        if (gic_) gic_->reload_lpis(e.lpi);
        return true;
    }
    bool run(const Words& w) {
        switch (w[0] & 0xff) {
        case 0x01: return move_event(w);                            // MOVI
        case 0x03: return set_event(w[0] >> 32, u32(w[1]), true);   // INT
        case 0x04: return set_event(w[0] >> 32, u32(w[1]), false);  // CLEAR
        case 0x05: return true;                                     // SYNC: everything is done at once
        case 0x08: return map_device(w);                            // MAPD
        case 0x09: return map_collection(w);                        // MAPC
        case 0x0a: return map_event(w, false);                      // MAPTI
        case 0x0b: return map_event(w, true);                       // MAPI
        case 0x0c: return invalidate(w);                            // INV
        case 0x0d: return gic_ ? gic_->reload_lpis(0), true : true; // INVALL
        case 0x0e:                                                  // MOVALL
            if (gic_) gic_->move_all_lpis(u32(w[2] >> 16 & 0xffff), u32(w[3] >> 16 & 0xffff));
            return true;
        case 0x0f: return discard(w); // DISCARD
        default: return false;
        }
    }
    void run_commands() {
        u64 bytes = ((queue_ & 0xff) + 1) * 4096, base = queue_ & 0xffffffffff000;
        if (!(enabled_ & 1) || !(queue_ & valid) || write_at_ >= bytes) return;
        for (u32 left = max_commands; left && read_at_ != write_at_; left--) {
            Words w{};
            if (memory().read(base + read_at_, w.data(), command_bytes) != memory::Outcome::ok)
                return trace::guest_error(id(), "the command queue is at {:#x}, where no memory is", base + read_at_);
            if (!run(w))
                trace::guest_error(id(), "command {:#x} for device {} is not possible", w[0] & 0xff, w[0] >> 32);
            read_at_ = (read_at_ + command_bytes) % bytes;
        }
    }

    // ---- registers ------------------------------------------------------------------------------------------------------
    u64 read_control() { return enabled_ | 1u << 31; } // quiescent
    void write_control(u64 v) {
        enabled_ = v & 1;
        run_commands();
    }
    u64 implementer() { return 0x43b; }
    // Physical LPIs; processors are told by their number; sizes.
    u64 type_register() {
        return 1 | u64{entry_bytes - 1} << 4 | u64{event_bits - 1} << 8 | u64{device_bits - 1} << 13;
    }
    void write_queue(u64 v) {
        queue_ = v & queue_writable;
        read_at_ = 0;
    }
    void write_writer(u64 v) {
        write_at_ = v & 0xfffe0;
        run_commands();
    }
    u64 read_queue() { return queue_; }
    u64 read_writer() { return write_at_; }
    u64 read_reader() { return read_at_; }
    u64 read_base(u32 n) {
        return n == 0 ? device_table_ | base_fixed(1) : n == 1 ? collection_table_ | base_fixed(4) : 0;
    }
    void write_base(u32 n, u64 v) {
        if (n == 0) device_table_ = v & base_writable;
        if (n == 1) collection_table_ = v & base_writable;
    }
    u64 identification(u32 i) {
        constexpr u8 ids[] = {0x44, 0, 0, 0, 0x94, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
        return ids[i];
    }
    // A device's message: its DeviceID comes with the access.
    void translate(u64 v) {
        if (!(enabled_ & 1)) return;
        u32 device = access().requester;
        if (!set_event(device, u32(v), true))
            trace::guest_error(id(), "message {} of device {:#x}, which is not mapped", v, device);
    }

    static const RegRow<ArmGicV3Its> regs[];
    std::string gic_id_;
    GicV3* gic_ = nullptr;
    u32 enabled_ = 0;
    u64 queue_ = 0, write_at_ = 0, read_at_ = 0, device_table_ = 0, collection_table_ = 0;
};

using I = ArmGicV3Its;
constexpr RegRow<I> I::regs[] = {
    {0x0000, "GITS_CTLR", {}, {.read = &I::read_control, .write = &I::write_control}},
    {0x0004, "GITS_IIDR", {}, {.read = &I::implementer}},
    {0x0008, "GITS_TYPER", {}, {.read = &I::type_register, .bytes = 8}},
    {0x0080, "GITS_CBASER", {}, {.read = &I::read_queue, .write = &I::write_queue, .merge = true, .bytes = 8}},
    {0x0088, "GITS_CWRITER", {}, {.read = &I::read_writer, .write = &I::write_writer, .merge = true, .bytes = 8}},
    {0x0090, "GITS_CREADR", {}, {.read = &I::read_reader, .bytes = 8}},
    {0x0100,
     "GITS_BASER",
     {},
     {.read_at = &I::read_base, .write_at = &I::write_base, .count = 8, .merge = true, .bytes = 8}},
    {0xffd0, "GITS_PIDR/GITS_CIDR", {}, {.read_at = &I::identification, .count = 12}},
    {0x10040, "GITS_TRANSLATER", {}, {.write = &I::translate}},
};

void I::describe(Describe& d) {
    d.property("gic", gic_id_, "id of the GICv3 that LPIs go to; empty: nowhere");
    d.registers(*this, regs, 0x20000, {.implemented_max = 8});
    d.state("enabled", enabled_, {.high = 1});
    d.state("queue", queue_);
    d.state("write_at", write_at_, {.high = 0xfffe0});
    d.state("read_at", read_at_, {.high = 0xfffe0});
    d.state("device_table", device_table_);
    d.state("collection_table", collection_table_);
}

} // namespace

MIMIC_DEVICE(arm_gicv3_its) = {.name = "arm-gicv3-its",
                               .bus = "system",
                               .summary = "interrupt translation service of a GICv3",
                               .make = make_device<ArmGicV3Its>};

} // namespace mimic::devices
