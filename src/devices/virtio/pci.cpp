// Virtio over PCI (VIRTIO 1.2, 4.1), transitional: BAR 0 is the legacy interface (4.1.4.10), BAR 1 has MSI-X, BAR 4 the
// modern structures. The virtio device is made with the function and plugged into it.
// Not there: the configuration access capability (VIRTIO_PCI_CAP_PCI_CFG), shared memory, notification data.
#include "devices/pci/pci.hpp"
#include "base/check.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/types.hpp"
#include "devices/virtio/device.hpp"
#include <cstring>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

namespace mimic::devices::virtio {

namespace {

constexpr u32 isr_at = 0x1000, config_at = 0x2000, notify_at = 0x3000, modern_bytes = 0x4000;
constexpr u32 notify_stride = 4, structure_bytes = 0x1000;
constexpr u32 legacy_config = 0x14, legacy_bytes = 0x80, msix_bytes = 0x1000, msix_pending_at = 0x800;
constexpr u32 max_vectors = msix_pending_at / 16;
constexpr u16 no_vector = VIRTIO_MSI_NO_VECTOR;
constexpr u8 isr_queue = 1, isr_config = 2;
constexpr u64 legacy_page = 4096; // of queue addresses, and their alignment

const DeviceType* find_inner(std::string_view name) {
    for (const DeviceType* t : types())
        if (t->name == name) return t;
    return nullptr;
}

// Which of the two a function has: as its properties say, or always the same.
enum class Interfaces : u8 { chosen, both, modern };
constexpr std::string_view automatic_names[] = {"auto", "on", "off"};

class VirtioPci final : public PciFunction, public Transport {
public:
    // `name`: "virtio-blk"; the type that is plugged into it is "virtio-blk-device".
    VirtioPci(std::string_view name, u32 class_code, Interfaces interfaces)
        : type_(std::string(name) + "-pci")
        , class_code_(class_code)
        , interfaces_(interfaces) {
        if (interfaces == Interfaces::both) type_ += "-transitional";
        if (interfaces == Interfaces::modern) type_ += "-non-transitional";
        const DeviceType* t = find_inner(std::string(name) + "-device");
        MIMIC_CHECK(t, "a virtio function's device is a device type");
        fresh_ = t->make();
        inner_ = fresh_.get();
    }
    std::string_view type() const override { return type_; }
    Device* inner() const override { return inner_; }
    void describe(Describe& d) override;
    Result<void> ready() override;
    void reset(ResetKind kind) override {
        PciFunction::reset(kind);
        modern_ = false;
    }
    Result<void> after_load() override {
        TRY(PciFunction::after_load());
        update();
        return {};
    }
    std::string_view bus_type() const override { return "virtio-bus"; }
    bool bus_full() const override { return true; }
    Result<void> plug(Device& d) override {
        device_ = dynamic_cast<VirtioDevice*>(&d);
        if (!device_)
            return Error::invalid_argument("{} does not fit a virtio-bus, expected a virtio device", d.type());
        device_->attach(*this);
        return {};
    }

    // ---- Transport ------------------------------------------------------------------------------------------------
    void queue_interrupt(u32 queue) override {
        if (msix_enabled()) return send_msix(queue < queue_vector_.size() ? queue_vector_[queue] : no_vector);
        raise(isr_queue);
    }
    void config_interrupt() override {
        if (msix_enabled()) return send_msix(config_vector_);
        raise(isr_queue | isr_config);
    }
    void device_gone() override {
        device_ = nullptr;
        inner_ = nullptr;
        set_intx(false);
    }
    // The driver is what it was when it last touched the device by one of the two interfaces.
    bool legacy() const override { return !modern_; }

private:
    static const RegRow<VirtioPci> legacy_regs[];
    static const RegRow<VirtioPci> msix_regs[];
    static const RegRow<VirtioPci> modern_regs[];
    void raise(u8 bits) {
        isr_ |= bits;
        update();
    }
    void update() { set_intx(isr_); }
    Queue* queue() { return device_ ? device_->queue(queue_sel_) : nullptr; }
    bool queue_settling() { return queue() && device_->settling(queue_sel_); }
    Queue* queue_to_set(std::string_view what) {
        Queue* q = queue();
        if (q && !q->ready) return q;
        trace::guest_error(id(), "{} of queue {}, which is {}", what, queue_sel_, q ? "in use" : "not there");
        return nullptr;
    }
    u64 vector(u64 value) const { return value < msix_vectors() ? value : no_vector; }
    void write_status(u64 value) {
        if (!device_) return;
        if ((value & 0xff) == 0) {
            isr_ = 0;
            update();
            config_vector_ = no_vector;
            for (u16& v : queue_vector_) v = no_vector;
        }
        device_->set_status(u8(value));
    }
    u64 read_isr() {
        u64 v = isr_;
        isr_ = 0;
        update();
        return v;
    }
    u64 zero() { return 0; }
    u64 status() { return device_ ? device_->status() : 0; }

    // ---- modern: the common structure (4.1.4.3) -------------------------------------------------------------------
    u64 device_features() {
        modern_ = true;
        return device_ && device_features_sel_ < 2 ? device_->offered() >> 32 * device_features_sel_ & 0xffffffff : 0;
    }
    u64 driver_features() {
        return device_ && driver_features_sel_ < 2 ? device_->features() >> 32 * driver_features_sel_ & 0xffffffff : 0;
    }
    void write_driver_features(u64 value) {
        modern_ = true;
        if (device_) device_->choose(driver_features_sel_, u32(value));
    }
    u64 config_vector() { return config_vector_; }
    void write_config_vector(u64 value) { config_vector_ = u16(vector(value)); }
    u64 queue_count() { return device_ ? device_->queue_count() : 0; }
    void write_modern_status(u64 value) {
        modern_ = true;
        write_status(value);
    }
    u64 generation() { return device_ ? device_->generation() & 0xff : 0; }
    u64 queue_size() {
        Queue* q = queue();
        return !q ? 0 : q->size ? q->size : q->maximum;
    }
    void write_queue_size(u64 value) {
        Queue* q = queue_to_set("queue_size");
        if (!q) return;
        if (value > q->maximum) trace::guest_error(id(), "queue size {}, expected at most {}", value, q->maximum);
        q->size = u16(value > q->maximum ? 0 : value);
    }
    u64 queue_vector() { return queue_sel_ < queue_vector_.size() ? queue_vector_[queue_sel_] : no_vector; }
    void write_queue_vector(u64 value) {
        if (queue_sel_ < queue_vector_.size()) queue_vector_[queue_sel_] = u16(vector(value));
    }
    u64 queue_enabled() {
        Queue* q = queue();
        return q ? q->ready : 0;
    }
    void enable_queue(u64 value) {
        if (value != 1 || !device_) return;
        Queue* q = queue_to_set("queue_enable");
        if (!q) return;
        if (q->size == 0) q->size = q->maximum;
        device_->enable_queue(queue_sel_);
    }
    u64 notify_offset() { return queue() ? queue_sel_ : 0; }
    void set_half(u64 Queue::*address, u64 value, bool high, std::string_view what) {
        if (Queue* q = queue_to_set(what)) {
            u64 keep = high ? q->*address & 0xffffffff : q->*address >> 32 << 32;
            q->*address = keep | (high ? value << 32 : value & 0xffffffff);
        }
    }
    // Six words: descriptors, driver area, device area, each low and high.
    static constexpr u64 Queue::*areas[] = {&Queue::descriptors, &Queue::driver, &Queue::device};
    u64 read_area(u32 n) {
        Queue* q = queue();
        return q ? q->*areas[n / 2] >> 32 * (n % 2) & 0xffffffff : 0;
    }
    void write_area(u32 n, u64 value) { set_half(areas[n / 2], value, n % 2, "the address of an area"); }
    // 4.1.4.3.1: 1 until nothing of the queue touches memory any more.
    u64 queue_resetting() { return queue_settling(); }
    void reset_queue(u64 value) {
        if (value != 1 || !device_) return;
        if (!(device_->features() & feature(VIRTIO_F_RING_RESET)))
            return trace::guest_error(id(), "queue_reset was not negotiated");
        device_->reset_queue(queue_sel_);
    }
    u64 read_config_byte(u32 offset) { return device_ ? device_->config_byte(offset) : 0; }
    void write_config_byte(u32 offset, u64 value) {
        if (device_) device_->write_config(offset, u8(value));
    }
    // A queue's own place says which it is.
    void notify_queue(u32 n, u64) {
        if (device_) device_->notify(n);
    }

    // ---- legacy (4.1.4.10) ----------------------------------------------------------------------------------------
    u64 legacy_device_features() {
        modern_ = false;
        return device_ ? device_->offered() & 0xffffffff : 0;
    }
    u64 legacy_driver_features() { return device_ ? device_->features() & 0xffffffff : 0; }
    void write_legacy_features(u64 value) {
        modern_ = false;
        if (device_) device_->choose(0, u32(value));
    }
    u64 queue_page() {
        Queue* q = queue();
        return q && q->ready ? q->descriptors / legacy_page : 0;
    }
    void write_queue_page(u64 value) {
        if (!device_) return;
        modern_ = false;
        if (value == 0) {
            device_->reset_queue(queue_sel_);
            if (queue_settling()) hold_access(); // drivers are not told to wait
            return;
        }
        Queue* q = queue_to_set("the page");
        if (!q) return;
        // 2.7.2: descriptors, available ring, padding, used ring.
        q->size = q->maximum;
        q->descriptors = value * legacy_page;
        q->driver = q->descriptors + 16 * u64{q->size};
        q->device = (q->driver + 6 + 2 * u64{q->size} + legacy_page - 1) / legacy_page * legacy_page;
        device_->enable_queue(queue_sel_);
    }
    u64 legacy_queue_size() {
        Queue* q = queue();
        return q ? q->maximum : 0;
    }
    void legacy_notify(u64 value) {
        if (device_) device_->notify(u32(value));
    }
    void write_legacy_status(u64 value) {
        modern_ = false;
        write_status(value);
        if ((value & 0xff) == 0 && device_ && device_->settling()) hold_access(); // drivers need not read it back
    }
    // Behind the header; two vectors are in front while MSI-X is enabled.
    u64 read_legacy_config(u32 offset) {
        if (!msix_enabled()) return read_config_byte(offset);
        if (offset >= 4) return read_config_byte(offset - 4);
        u64 both = config_vector() | queue_vector() << 16;
        return both >> 8 * offset & 0xff;
    }
    void write_legacy_config(u32 offset, u64 value) {
        if (!msix_enabled()) return write_config_byte(offset, value);
        if (offset >= 4) return write_config_byte(offset - 4, value);
        // The low byte comes first and alone names no vector: the high one completes it.
        if (offset % 2 == 0) {
            vector_low_ = u8(value);
            return;
        }
        u64 whole = vector_low_ | (value & 0xff) << 8;
        offset < 2 ? write_config_vector(whole) : write_queue_vector(whole);
    }

    void add_structure(u8 kind, u32 offset, u32 bytes, bool multiplier = false);

    std::string type_;
    u32 class_code_;
    Interfaces interfaces_;
    std::unique_ptr<Device> fresh_; // until it is plugged
    Device* inner_ = nullptr;
    VirtioDevice* device_ = nullptr;
    u8 disable_legacy_ = 0; // automatic_names
    bool disable_modern_ = false;
    u32 vectors_ = ~u32{0};
    u32 device_features_sel_ = 0, driver_features_sel_ = 0;
    u16 queue_sel_ = 0, config_vector_ = no_vector;
    std::vector<u16> queue_vector_;
    u8 isr_ = 0, vector_low_ = 0;
    bool modern_ = false;
};

// Where a structure is (4.1.4): identifier and link are in front.
void VirtioPci::add_structure(u8 kind, u32 offset, u32 bytes, bool multiplier) {
    u8 body[18] = {};
    body[0] = multiplier ? 20 : 16;
    body[1] = kind;
    body[2] = 4; // BAR
    std::memcpy(body + 6, &offset, 4);
    std::memcpy(body + 10, &bytes, 4);
    u32 stride = notify_stride;
    std::memcpy(body + 14, &stride, 4);
    add_capability(PCI_CAP_ID_VNDR, std::span(body).first(multiplier ? 18 : 14));
}

Result<void> VirtioPci::ready() {
    // 4.1.2.1: transitional identifiers; the device's own is in the subsystem.
    const u16 kind = dynamic_cast<VirtioDevice&>(*inner_).device_id();
    const u16 transitional = kind == VIRTIO_ID_NET       ? 0x1000
                             : kind == VIRTIO_ID_BLOCK   ? 0x1001
                             : kind == VIRTIO_ID_BALLOON ? 0x1002
                             : kind == VIRTIO_ID_CONSOLE ? 0x1003
                             : kind == VIRTIO_ID_RNG     ? 0x1005
                                                         : 0;
    // On the bus of a host bridge there is I/O space, which the legacy interface needs: both are there.
    const bool modern_only = interfaces_ == Interfaces::modern || disable_legacy_ == 1 || !transitional;
    if (modern_only && disable_modern_)
        return Error::invalid_argument(
            "properties 'disable-legacy', 'disable-modern': {}, expected one of the interfaces to stay",
            transitional ? "both on" : "the device has no legacy interface");
    TRY(machine().add(std::move(fresh_), id() + "/virtio", {}, this));
    make_config({.vendor = 0x1af4,
                 .device = modern_only ? u16(0x1040 + kind) : transitional,
                 .revision = u8(modern_only ? 1 : 0),
                 .class_code = class_code_,
                 .subsystem_vendor = 0x1af4,
                 .subsystem = modern_only ? u16(0x1100) : kind});
    if (!modern_only) add_bar(0, 0, Bar::io);
    if (!disable_modern_) {
        add_bar(4, 2, Bar::memory64_prefetch);
        add_structure(VIRTIO_PCI_CAP_COMMON_CFG, 0, structure_bytes);
        add_structure(VIRTIO_PCI_CAP_ISR_CFG, isr_at, structure_bytes);
        add_structure(VIRTIO_PCI_CAP_DEVICE_CFG, config_at, structure_bytes);
        add_structure(VIRTIO_PCI_CAP_NOTIFY_CFG, notify_at, structure_bytes, true);
    }
    u32 queues = device_->queue_count();
    queue_vector_.assign(queues, no_vector);
    u32 vectors = vectors_ == ~u32{0} ? queues + 1 : vectors_;
    if (vectors) {
        add_bar(1, 1, Bar::memory32);
        add_msix(std::min(vectors, max_vectors), 1, 0, msix_pending_at);
    }
    return {};
}

using V = VirtioPci;
constexpr RegRow<V> V::legacy_regs[] = {
    {VIRTIO_PCI_HOST_FEATURES, "device features", {}, {.read = &V::legacy_device_features}},
    {VIRTIO_PCI_GUEST_FEATURES,
     "driver features",
     {},
     {.read = &V::legacy_driver_features, .write = &V::write_legacy_features}},
    {VIRTIO_PCI_QUEUE_PFN, "queue address", {}, {.read = &V::queue_page, .write = &V::write_queue_page}},
    {VIRTIO_PCI_QUEUE_NUM, "queue size", {}, {.read = &V::legacy_queue_size, .bytes = 2}},
    {VIRTIO_PCI_QUEUE_SEL, "queue select", &V::queue_sel_, {.bytes = 2}},
    {VIRTIO_PCI_QUEUE_NOTIFY, "queue notify", {}, {.write = &V::legacy_notify, .bytes = 2}},
    {VIRTIO_PCI_STATUS, "device status", {}, {.read = &V::status, .write = &V::write_legacy_status, .bytes = 1}},
    {VIRTIO_PCI_ISR, "ISR status", {}, {.read = &V::read_isr, .bytes = 1}},
    {legacy_config,
     "vectors, device configuration",
     {},
     {.read_at = &V::read_legacy_config,
      .write_at = &V::write_legacy_config,
      .count = legacy_bytes - legacy_config,
      .bytes = 1}},
};
constexpr RegRow<V> V::msix_regs[] = {
    {0, "table", {}, {.read_at = &V::read_msix_table, .write_at = &V::write_msix_table, .count = 4 * max_vectors}},
    {msix_pending_at, "pending bits", {}, {.read_at = &V::read_msix_pending, .count = max_vectors / 32}},
};
constexpr RegRow<V> V::modern_regs[] = {
    {0x00, "device_feature_select", &V::device_features_sel_, {}},
    {0x04, "device_feature", {}, {.read = &V::device_features}},
    {0x08, "driver_feature_select", &V::driver_features_sel_, {}},
    {0x0c, "driver_feature", {}, {.read = &V::driver_features, .write = &V::write_driver_features}},
    {0x10, "config_msix_vector", {}, {.read = &V::config_vector, .write = &V::write_config_vector, .bytes = 2}},
    {0x12, "num_queues", {}, {.read = &V::queue_count, .bytes = 2}},
    {0x14, "device_status", {}, {.read = &V::status, .write = &V::write_modern_status, .bytes = 1}},
    {0x15, "config_generation", {}, {.read = &V::generation, .bytes = 1}},
    {0x16, "queue_select", &V::queue_sel_, {.bytes = 2}},
    {0x18, "queue_size", {}, {.read = &V::queue_size, .write = &V::write_queue_size, .bytes = 2}},
    {0x1a, "queue_msix_vector", {}, {.read = &V::queue_vector, .write = &V::write_queue_vector, .bytes = 2}},
    {0x1c, "queue_enable", {}, {.read = &V::queue_enabled, .write = &V::enable_queue, .bytes = 2}},
    {0x1e, "queue_notify_off", {}, {.read = &V::notify_offset, .bytes = 2}},
    {0x20, "queue_desc/driver/device", {}, {.read_at = &V::read_area, .write_at = &V::write_area, .count = 6}},
    {0x38, "queue_notify_data", {}, {.read = &V::zero, .bytes = 2}},
    {0x3a, "queue_reset", {}, {.read = &V::queue_resetting, .write = &V::reset_queue, .bytes = 2}},
    {isr_at, "ISR status", {}, {.read = &V::read_isr, .bytes = 1}},
    {config_at,
     "device configuration",
     {},
     {.read_at = &V::read_config_byte, .write_at = &V::write_config_byte, .count = structure_bytes, .bytes = 1}},
    {notify_at,
     "notify",
     {},
     {.write_at = &V::notify_queue, .count = structure_bytes / notify_stride, .stride = notify_stride, .bytes = 2}},
};

void VirtioPci::describe(Describe& d) {
    PciFunction::describe(d);
    d.property("vectors", vectors_, "MSI-X vectors, 0 for none; -1: one a queue and one",
               {.high = max_vectors, .none = true});
    if (interfaces_ == Interfaces::chosen) {
        d.property("disable-legacy", disable_legacy_, "modern interface only; auto: off", {.choices = automatic_names});
        d.property("disable-modern", disable_modern_, "legacy interface only");
    }
    d.registers(*this, legacy_regs, legacy_bytes, {}, "legacy");
    d.registers(*this, msix_regs, msix_bytes, {}, "msix");
    d.registers(*this, modern_regs, modern_bytes, {}, "modern");
    d.state("config_vector", config_vector_, {.reset = no_vector});
    if (!queue_vector_.empty())
        d.state("queue_vector", queue_vector_, u32(queue_vector_.size()), StateRules{.reset = no_vector});
    d.state("isr", isr_, {.high = 3});
    d.state("vector_low", vector_low_);
    d.state("modern", modern_, {.high = 1});
}

// A device, and its class code as PCI's specification has it.
struct Kind {
    std::string_view name;
    u32 class_code;
};
constexpr Kind blk{"virtio-blk", 0x010000}, net{"virtio-net", 0x020000}, rng{"virtio-rng", 0x00ff00},
    balloon{"virtio-balloon", 0x00ff00}, serial{"virtio-serial", 0x078000}, keyboard{"virtio-keyboard", 0x090000},
    mouse{"virtio-mouse", 0x090200}, tablet{"virtio-tablet", 0x098000};

template <const Kind& kind, Interfaces interfaces = Interfaces::chosen>
std::unique_ptr<Device> make() {
    return std::make_unique<VirtioPci>(kind.name, kind.class_code, interfaces);
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_blk_pci){"virtio-blk-pci",          "pci", "virtio block device on PCI",
                             virtio::make<virtio::blk>, true,  "virtio-blk"};
MIMIC_DEVICE(virtio_blk_pci_transitional){"virtio-blk-pci-transitional", "pci",
                                          "virtio block device on PCI, legacy and modern",
                                          virtio::make<virtio::blk, virtio::Interfaces::both>, true};
MIMIC_DEVICE(virtio_blk_pci_modern){"virtio-blk-pci-non-transitional", "pci", "virtio block device on PCI, modern",
                                    virtio::make<virtio::blk, virtio::Interfaces::modern>, true};
MIMIC_DEVICE(virtio_net_pci){"virtio-net-pci",          "pci", "virtio network card on PCI",
                             virtio::make<virtio::net>, true,  "virtio-net"};
MIMIC_DEVICE(virtio_net_pci_transitional){"virtio-net-pci-transitional", "pci",
                                          "virtio network card on PCI, legacy and modern",
                                          virtio::make<virtio::net, virtio::Interfaces::both>, true};
MIMIC_DEVICE(virtio_net_pci_modern){"virtio-net-pci-non-transitional", "pci", "virtio network card on PCI, modern",
                                    virtio::make<virtio::net, virtio::Interfaces::modern>, true};
MIMIC_DEVICE(virtio_rng_pci){"virtio-rng-pci",          "pci", "virtio entropy device on PCI",
                             virtio::make<virtio::rng>, true,  "virtio-rng"};
MIMIC_DEVICE(virtio_rng_pci_transitional){"virtio-rng-pci-transitional", "pci",
                                          "virtio entropy device on PCI, legacy and modern",
                                          virtio::make<virtio::rng, virtio::Interfaces::both>, true};
MIMIC_DEVICE(virtio_rng_pci_modern){"virtio-rng-pci-non-transitional", "pci", "virtio entropy device on PCI, modern",
                                    virtio::make<virtio::rng, virtio::Interfaces::modern>, true};
MIMIC_DEVICE(virtio_balloon_pci){"virtio-balloon-pci",          "pci", "virtio memory balloon on PCI",
                                 virtio::make<virtio::balloon>, true,  "virtio-balloon"};
MIMIC_DEVICE(virtio_balloon_pci_transitional){"virtio-balloon-pci-transitional", "pci",
                                              "virtio memory balloon on PCI, legacy and modern",
                                              virtio::make<virtio::balloon, virtio::Interfaces::both>, true};
MIMIC_DEVICE(virtio_balloon_pci_modern){"virtio-balloon-pci-non-transitional", "pci",
                                        "virtio memory balloon on PCI, modern",
                                        virtio::make<virtio::balloon, virtio::Interfaces::modern>, true};
MIMIC_DEVICE(virtio_serial_pci){"virtio-serial-pci",          "pci", "virtio console device on PCI",
                                virtio::make<virtio::serial>, true,  "virtio-serial"};
MIMIC_DEVICE(virtio_serial_pci_transitional){"virtio-serial-pci-transitional", "pci",
                                             "virtio console device on PCI, legacy and modern",
                                             virtio::make<virtio::serial, virtio::Interfaces::both>, true};
MIMIC_DEVICE(virtio_serial_pci_modern){"virtio-serial-pci-non-transitional", "pci",
                                       "virtio console device on PCI, modern",
                                       virtio::make<virtio::serial, virtio::Interfaces::modern>, true};
MIMIC_DEVICE(virtio_keyboard_pci){"virtio-keyboard-pci",          "pci", "virtio keyboard on PCI",
                                  virtio::make<virtio::keyboard>, true,  "virtio-keyboard"};
MIMIC_DEVICE(virtio_mouse_pci){"virtio-mouse-pci",          "pci", "virtio mouse on PCI",
                               virtio::make<virtio::mouse>, true,  "virtio-mouse"};
MIMIC_DEVICE(virtio_tablet_pci){"virtio-tablet-pci",          "pci", "virtio tablet on PCI",
                                virtio::make<virtio::tablet>, true,  "virtio-tablet"};
} // namespace mimic::devices
