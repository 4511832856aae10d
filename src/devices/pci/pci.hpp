// PCI as functions and host bridges see it. Source: PCI Local Bus Specification 3.0, chapters 2.2.6 and 6; register names
// as in Linux's uapi header pci_regs.h.
//
//   Result<void> realize() override { make_config({.vendor = 0x1af4, ...}); add_bar(1, 0, Bar::memory32); return {}; }
#pragma once
#include "devices/base/device.hpp"
#include <linux/pci_regs.h>

namespace mimic::devices {

// What a bridge does for the functions behind it. Inside the context of both.
class PciBus {
public:
    virtual ~PciBus() = default;
    virtual void map(memory::Region& region, bool io, u64 at) = 0;
    virtual void unmap(memory::Region& region) = 0;
    // The function's interrupt pin (1 to 4: INTA to INTD).
    virtual void set_pin(u32 devfn, u32 pin, bool level) = 0;
    // The function goes; its slot is free.
    virtual void unplug(u32 devfn) = 0;
};

class PciFunction : public Device {
public:
    static constexpr u32 config_bytes = 4096;
    struct Identity {
        u16 vendor = 0, device = 0;
        u8 revision = 0;
        u32 class_code = 0; // base class, subclass, interface
        u16 subsystem_vendor = 0, subsystem = 0;
        bool pin = true; // INTA
    };

    // ---- what bridges call --------------------------------------------------------------------------------------------
    // Slot and function that addr= asks for; ~0: any slot.
    Result<u32> wanted_devfn() const;
    // It has its place. Errors: the function cannot be made.
    Result<void> plugged_at(PciBus& bus, u32 devfn);
    u32 devfn() const { return devfn_; }
    // `bytes` (1, 2, 4) at an aligned offset below config_bytes.
    u32 config_read(u32 offset, u32 bytes);
    void config_write(u32 offset, u32 bytes, u32 value);
    bool pin_level() const { return intx_; }
    // Where its BARs are now.
    struct BarPlace {
        u32 number = 0;
        bool io = false, wide = false, prefetch = false, mapped = false;
        u64 at = 0, bytes = 0;
    };
    std::vector<BarPlace> bars() const;
    void bus_gone() { bus_ = nullptr; }

    // ---- Device ---------------------------------------------------------------------------------------------------------
    void describe(Describe& d) override;
    void reset(ResetKind kind) override;
    void unrealize() override;
    Result<void> after_load() override;
    std::string firmware_node() const override;

protected:
    enum class Bar : u8 { none, io, memory32, memory64, memory64_prefetch };
    // The place on the bus is known: the last moment to make capabilities.
    virtual Result<void> ready() { return {}; }
    virtual void config_written(u32 /*offset*/) {}
    void make_config(const Identity& identity);
    // The device's region `region` (by its number) is behind BAR `n`; a 64-bit one takes n + 1, too.
    void add_bar(u32 n, u32 region, Bar kind);
    // Where the capability of `bytes` bytes begins; its body is `body`, behind identifier and link.
    u8 add_capability(u8 id, std::span<const u8> body);
    // MSI-X with its table and pending bits in BAR `bar`. At most 2048 vectors.
    void add_msix(u32 vectors, u32 bar, u32 table_offset, u32 pending_offset);
    u32 msix_vectors() const { return u32(pending_.size() ? table_.size() / 4 : 0); }
    bool msix_enabled() const;
    // Sends the vector's message, now or when it is unmasked.
    void send_msix(u32 vector);
    void set_intx(bool level);
    void set_config(u32 offset, u32 bytes, u32 value);
    u32 config(u32 offset, u32 bytes) const;
    void make_writable(u32 offset, u32 bytes, u32 mask);

    // Handlers of the rows that show table and pending bits; words.
    u64 read_msix_table(u32 word) { return word < table_.size() ? table_[word] : 0; }
    void write_msix_table(u32 word, u64 value);
    u64 read_msix_pending(u32 word) { return word < pending_.size() ? pending_[word] : 0; }

private:
    struct BarState {
        Bar kind = Bar::none;
        u32 region = 0;
        bool mapped = false;
        u64 at = 0;
    };
    void remap();
    void unmap_all();
    void update_intx();
    void send_pending();
    bool vector_masked(u32 vector) const;

    PciBus* bus_ = nullptr;
    u32 devfn_ = 0;
    std::string address_, rom_file_;
    bool multifunction_ = false;
    u32 rom_bar_ = 0;
    std::array<u8, config_bytes> config_{}, default_{}, writable_{};
    BarState bars_[6];
    u8 last_capability_ = 0, next_free_ = 0x40, msix_ = 0;
    std::vector<u32> table_, pending_;
    u8 intx_ = 0; // what the function drives; DisINTx and the bus come behind it
};

} // namespace mimic::devices
