#include "base/check.hpp"
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/pci/pci.hpp"
#include <cstring>

namespace mimic::devices {

// ---- configuration space ------------------------------------------------------------------------------------------------

u32 PciFunction::config(u32 offset, u32 bytes) const {
    u32 v = 0;
    std::memcpy(&v, &config_[offset], bytes);
    return v;
}
void PciFunction::set_config(u32 offset, u32 bytes, u32 value) {
    std::memcpy(&config_[offset], &value, bytes);
    std::memcpy(&default_[offset], &value, bytes);
}
void PciFunction::make_writable(u32 offset, u32 bytes, u32 mask) { std::memcpy(&writable_[offset], &mask, bytes); }

void PciFunction::make_config(const Identity& identity) {
    set_config(PCI_VENDOR_ID, 2, identity.vendor);
    set_config(PCI_DEVICE_ID, 2, identity.device);
    set_config(PCI_CLASS_REVISION, 4, identity.class_code << 8 | identity.revision);
    set_config(PCI_SUBSYSTEM_VENDOR_ID, 2, identity.subsystem_vendor);
    set_config(PCI_SUBSYSTEM_ID, 2, identity.subsystem);
    set_config(PCI_INTERRUPT_PIN, 1, identity.pin);
    if (multifunction_) set_config(PCI_HEADER_TYPE, 1, 0x80);
    make_writable(PCI_COMMAND, 2,
                  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                      PCI_COMMAND_INTX_DISABLE);
    make_writable(PCI_CACHE_LINE_SIZE, 1, 0xff);
    make_writable(PCI_INTERRUPT_LINE, 1, 0xff);
}

void PciFunction::add_bar(u32 n, u32 number, Bar kind) {
    u64 size = region(number).size(), mask = ~(size - 1);
    bool wide = kind == Bar::memory64 || kind == Bar::memory64_prefetch;
    MIMIC_CHECK((size & (size - 1)) == 0 && n + wide < 6, "a BAR is a power of two, and there are six");
    bars_[n] = {kind, number, false, 0};
    u32 at = PCI_BASE_ADDRESS_0 + 4 * n;
    u32 low = kind == Bar::io ? PCI_BASE_ADDRESS_SPACE_IO : wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0;
    if (kind == Bar::memory64_prefetch) low |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    set_config(at, 4, low);
    make_writable(at, 4, u32(mask) & (kind == Bar::io ? ~u32{3} : ~u32{15}));
    if (wide) make_writable(at + 4, 4, u32(mask >> 32));
}

u8 PciFunction::add_capability(u8 id, std::span<const u8> body) {
    u8 at = next_free_;
    MIMIC_CHECK(at + 2 + body.size() <= 256, "the capabilities do not fit");
    set_config(at, 1, id);
    for (u32 i = 0; i < body.size(); i++) set_config(at + 2 + i, 1, body[i]);
    if (last_capability_)
        set_config(last_capability_ + PCI_CAP_LIST_NEXT, 1, at);
    else
        set_config(PCI_CAPABILITY_LIST, 1, at);
    set_config(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    last_capability_ = at;
    next_free_ = u8((at + 2 + body.size() + 3) & ~size_t{3});
    return at;
}

u32 PciFunction::config_read(u32 offset, u32 bytes) {
    u32 v = config(offset, bytes);
    // The interrupt that the function asks for, whether or not it may.
    if (intx_ && offset <= PCI_STATUS && offset + bytes > PCI_STATUS)
        v |= PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - offset);
    return v;
}

void PciFunction::config_write(u32 offset, u32 bytes, u32 value) {
    for (u32 i = 0; i < bytes; i++) {
        u8 w = writable_[offset + i];
        config_[offset + i] = u8((config_[offset + i] & ~w) | (value >> 8 * i & w));
    }
    if (offset < PCI_BASE_ADDRESS_5 + 4) remap();
    if (offset <= PCI_COMMAND + 1) update_intx();
    if (msix_ && offset <= msix_ + 3u && offset + bytes > msix_ + 2u) {
        update_intx();
        send_pending();
    }
    config_written(offset);
}

// ---- BARs ---------------------------------------------------------------------------------------------------------------

void PciFunction::remap() {
    u32 command = config(PCI_COMMAND, 2);
    for (u32 n = 0; n < 6; n++) {
        BarState& b = bars_[n];
        if (b.kind == Bar::none) continue;
        bool io = b.kind == Bar::io;
        memory::Region& r = region(b.region);
        u64 at = config(PCI_BASE_ADDRESS_0 + 4 * n, 4) & (io ? ~u32{3} : ~u32{15});
        if (b.kind == Bar::memory64 || b.kind == Bar::memory64_prefetch)
            at |= u64{config(PCI_BASE_ADDRESS_0 + 4 * n + 4, 4)} << 32;
        // Address 0 of memory and what wraps are no places: so is what is there while the size is asked for. Port 0 is one:
        // firmware begins there.
        bool on = bus_ && (command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) && (at || io) && at + r.size() > at;
        if (on == b.mapped && (!on || at == b.at)) continue;
        if (b.mapped && bus_) bus_->unmap(r);
        if (on) bus_->map(r, io, at);
        b.mapped = on;
        b.at = at;
    }
}

std::vector<PciFunction::BarPlace> PciFunction::bars() const {
    std::vector<BarPlace> all;
    for (u32 n = 0; n < 6; n++) {
        const BarState& b = bars_[n];
        if (b.kind == Bar::none) continue;
        const bool prefetch = b.kind == Bar::memory64_prefetch;
        all.push_back({n, b.kind == Bar::io, prefetch || b.kind == Bar::memory64, prefetch, b.mapped, b.at,
                       region(b.region).size()});
    }
    return all;
}

void PciFunction::unmap_all() {
    for (BarState& b : bars_) {
        if (b.mapped && bus_) bus_->unmap(region(b.region));
        b.mapped = false;
    }
}

// ---- interrupts ---------------------------------------------------------------------------------------------------------

void PciFunction::set_intx(bool level) {
    intx_ = level;
    update_intx();
}
void PciFunction::update_intx() {
    u32 pin = config(PCI_INTERRUPT_PIN, 1);
    bool on = intx_ && !msix_enabled() && !(config(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
    if (bus_ && pin) bus_->set_pin(devfn_, pin, on);
}

void PciFunction::add_msix(u32 vectors, u32 bar, u32 table_offset, u32 pending_offset) {
    MIMIC_CHECK(vectors >= 1 && vectors <= 2048, "MSI-X has 1 to 2048 vectors");
    u8 body[10] = {};
    u32 control = vectors - 1, table = table_offset | bar, pending = pending_offset | bar;
    std::memcpy(body, &control, 2);
    std::memcpy(body + 2, &table, 4);
    std::memcpy(body + 6, &pending, 4);
    msix_ = add_capability(PCI_CAP_ID_MSIX, body);
    make_writable(msix_ + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    table_.assign(size_t{vectors} * 4, 0);
    pending_.assign((vectors + 31) / 32, 0);
}

bool PciFunction::msix_enabled() const { return msix_ && (config(msix_ + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE); }
bool PciFunction::vector_masked(u32 vector) const {
    return (config(msix_ + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL) ||
           (table_[4 * vector + 3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

void PciFunction::send_msix(u32 vector) {
    if (!msix_enabled() || vector >= msix_vectors()) return;
    if (vector_masked(vector)) {
        pending_[vector / 32] |= u32{1} << (vector % 32);
        return;
    }
    u64 at = table_[4 * vector] | u64{table_[4 * vector + 1]} << 32;
    if (!(config(PCI_COMMAND, 2) & PCI_COMMAND_MASTER)) return; // it may make no accesses
    auto outcome = memory().write_value(at & ~u64{3}, 4, table_[4 * vector + 2], {.requester = u16(devfn_)});
    if (outcome != memory::Outcome::ok)
        trace::guest_error(id(), "the message of vector {} goes to {:#x}, where nothing is", vector, at);
}

void PciFunction::send_pending() {
    if (!msix_enabled()) return;
    for (u32 v = 0; v < msix_vectors(); v++) {
        u32 bit = u32{1} << (v % 32);
        if (!(pending_[v / 32] & bit) || vector_masked(v)) continue;
        pending_[v / 32] &= ~bit;
        send_msix(v);
    }
}

void PciFunction::write_msix_table(u32 word, u64 value) {
    if (word >= table_.size()) return;
    table_[word] = u32(word % 4 == 3 ? value & PCI_MSIX_ENTRY_CTRL_MASKBIT : value);
    if (word % 4 == 3) send_pending();
}

// ---- life ---------------------------------------------------------------------------------------------------------------

Result<u32> PciFunction::wanted_devfn() const {
    if (address_.empty()) return ~u32{0};
    u32 slot = 0, function = 0;
    char rest = 0;
    int n = std::sscanf(address_.c_str(), "%x.%x%c", &slot, &function, &rest);
    if (n < 1 || n > 2 || slot > 31 || function > 7)
        return Error::invalid_argument("property 'addr': '{}', expected a slot from 0 to 1f and a function, as in 5.0",
                                       address_);
    return slot << 3 | function;
}

Result<void> PciFunction::plugged_at(PciBus& bus, u32 devfn) {
    if (!rom_file_.empty())
        return Error::unsupported("property 'romfile': '{}', expected nothing: there are no option ROMs", rom_file_);
    bus_ = &bus;
    devfn_ = devfn;
    TRY(ready());
    config_ = default_;
    return {};
}

void PciFunction::describe(Describe& d) {
    d.property("addr", address_, "slot and function on the bus, hexadecimal; empty: the first free slot");
    d.property("multifunction", multifunction_, "say that the slot has more functions; it never has");
    d.property("romfile", rom_file_, "option ROM: there is none, expected nothing");
    d.property("rombar", rom_bar_, "show the option ROM: there is none, expected 0", {.high = 0});
    d.state("config", config_);
    d.state("intx", intx_, {.high = 1});
    if (!pending_.empty()) {
        d.state("msix_table", table_, u32(table_.size()), {});
        d.state("msix_pending", pending_, u32(pending_.size()), {});
    }
}

void PciFunction::reset(ResetKind) {
    config_ = default_;
    for (size_t v = 0; v < table_.size(); v += 4) table_[v + 3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    remap();
    update_intx();
}

void PciFunction::unrealize() {
    unmap_all();
    if (bus_) {
        if (const u32 pin = config(PCI_INTERRUPT_PIN, 1)) bus_->set_pin(devfn_, pin, false);
        bus_->unplug(devfn_);
    }
    bus_ = nullptr;
}

// What no write can change is this device's, whatever was saved.
Result<void> PciFunction::after_load() {
    for (u32 i = 0; i < config_bytes; i++) config_[i] = u8((config_[i] & writable_[i]) | (default_[i] & ~writable_[i]));
    for (size_t v = 3; v < table_.size(); v += 4) table_[v] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    remap();
    update_intx();
    return {};
}

// PCI Bus Binding to IEEE 1275-1994, 2.5: generic names, and slot and function as the address.
std::string PciFunction::firmware_node() const {
    const u32 kind = config(PCI_CLASS_DEVICE, 2);
    std::string name = kind == 0x0100 ? "scsi"
                       : kind == 0x0200
                           ? "ethernet"
                           : fmt::format("pci{:x},{:x}", config(PCI_VENDOR_ID, 2), config(PCI_DEVICE_ID, 2));
    name += fmt::format("@{:x}", devfn_ >> 3);
    return devfn_ & 7 ? name + fmt::format(",{:x}", devfn_ & 7) : name;
}

} // namespace mimic::devices
