// Virtio over MMIO (VIRTIO 1.2, 4.2), version 2 and the legacy version 1 (4.2.4), whose rings are placed by page frame.
// Shared memory regions are not there: their lengths read as all ones.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/virtio/device.hpp"
#include <linux/virtio_mmio.h>

namespace mimic::devices::virtio {

namespace {

class VirtioMmio final : public Device, public Transport {
public:
    std::string_view type() const override { return "virtio-mmio"; }
    void describe(Describe& d) override;
    std::string_view bus_type() const override { return "virtio-bus"; }
    bool bus_full() const override { return device_; }
    std::string firmware_node() const override { return fmt::format("virtio-mmio@{:016x}", region(0).at()); }
    Result<void> plug(Device& d) override {
        auto* device = dynamic_cast<VirtioDevice*>(&d);
        if (!device) return Error::invalid_argument("{} does not fit a virtio-bus, expected a virtio device", d.type());
        if (device_) return Error::busy("{} holds {} already", id(), device_->type());
        device_ = device;
        device->attach(*this);
        return {};
    }

    // ---- Transport ------------------------------------------------------------------------------------------------
    void queue_interrupt(u32) override { raise(VIRTIO_MMIO_INT_VRING); }
    void config_interrupt() override { raise(VIRTIO_MMIO_INT_CONFIG); }
    void device_gone() override {
        device_ = nullptr;
        irq_.set(false);
    }
    bool legacy() const override { return legacy_; }
    bool big_endian() const override { return legacy_big_endian_; }

private:
    static const RegRow<VirtioMmio> regs[];
    void raise(u32 bits) {
        interrupts_ |= bits;
        irq_.set(interrupts_);
    }
    Queue* queue() { return device_ ? device_->queue(queue_sel_) : nullptr; }
    // The queue, if it may be set up now.
    Queue* queue_to_set(std::string_view what) {
        Queue* q = queue();
        if (!q)
            trace::guest_error(id(), "{} of queue {}, which is not there", what, queue_sel_);
        else if (q->ready)
            trace::guest_error(id(), "{} of queue {}, which is in use", what, queue_sel_);
        else
            return q;
        return nullptr;
    }
    // Registers of the other version.
    bool only(bool legacy, std::string_view what) {
        if (legacy == legacy_ && device_) return true;
        if (device_) trace::guest_error(id(), "{} is no register of version {}", what, version());
        return false;
    }
    void set_half(u64 Queue::*address, u64 value, bool high, std::string_view what) {
        if (!only(false, what)) return;
        if (Queue* q = queue_to_set(what)) {
            u64 keep = high ? q->*address & 0xffffffff : q->*address >> 32 << 32;
            q->*address = keep | (high ? value << 32 : value & 0xffffffff);
        }
    }

    u64 zero() { return 0; }
    u64 ones() { return 0xffffffff; }
    u64 magic() { return 0x74726976; }
    u64 version() { return legacy_ ? 1 : 2; }
    u64 device_id() { return device_ ? device_->device_id() : 0; }
    u64 vendor() { return 0x554d4551; } // as the compatible boards have it
    u64 device_features() {
        if (!device_ || device_features_sel_ > 1) return 0;
        return device_->offered() >> 32 * device_features_sel_ & 0xffffffff;
    }
    void driver_features(u64 value) {
        if (!device_) return;
        if (legacy_ && driver_features_sel_) {
            if (value) trace::guest_error(id(), "features of word {} chosen by a legacy driver", driver_features_sel_);
            return;
        }
        device_->choose(driver_features_sel_, u32(value));
    }
    void page_size(u64 value) {
        if (!only(true, "GuestPageSize")) return;
        guest_page_size_ = 0;
        if (value == 0 || value & (value - 1) || value > 1u << 30)
            return trace::guest_error(id(), "guest page size {:#x}, expected a power of two", value);
        guest_page_size_ = u32(value);
    }
    u64 queue_max() {
        Queue* q = queue();
        return q ? q->maximum : 0;
    }
    void queue_num(u64 value) {
        Queue* q = queue_to_set("QueueNum");
        if (!q) return;
        if (value > q->maximum) trace::guest_error(id(), "queue size {}, expected at most {}", value, q->maximum);
        q->size = u16(value > q->maximum ? 0 : value);
    }
    void queue_align(u64 value) {
        if (!only(true, "QueueAlign")) return;
        queue_align_ = 0;
        if (value < 4 || value & (value - 1) || value > 1u << 30)
            return trace::guest_error(id(), "queue alignment {:#x}, expected a power of two", value);
        queue_align_ = u32(value);
    }
    u64 queue_pfn() {
        Queue* q = legacy_ ? queue() : nullptr;
        return q && q->ready && guest_page_size_ ? q->descriptors / guest_page_size_ : 0;
    }
    void set_queue_pfn(u64 value) {
        if (!only(true, "QueuePFN")) return;
        if (value == 0) {
            device_->reset_queue(queue_sel_);
            return hold_queue();
        }
        Queue* q = queue_to_set("QueuePFN");
        if (!q) return;
        if (!guest_page_size_ || !queue_align_)
            return trace::guest_error(id(), "QueuePFN before GuestPageSize and QueueAlign");
        // 2.7.2: descriptors, available ring, padding, used ring.
        q->descriptors = value * guest_page_size_;
        q->driver = q->descriptors + 16 * u64{q->size};
        u64 end = q->driver + 6 + 2 * u64{q->size};
        q->device = (end + queue_align_ - 1) / queue_align_ * queue_align_;
        device_->enable_queue(queue_sel_);
    }
    u64 queue_ready() {
        Queue* q = legacy_ ? nullptr : queue();
        return q ? q->ready : 0;
    }
    void set_queue_ready(u64 value) {
        if (!only(false, "QueueReady")) return;
        Queue* q = queue();
        if (!q) return trace::guest_error(id(), "QueueReady of queue {}, which is not there", queue_sel_);
        if (value & 1 && !q->ready) device_->enable_queue(queue_sel_);
        if (!(value & 1) && q->ready) device_->reset_queue(queue_sel_);
        if (!(value & 1)) hold_queue();
    }
    // Reads give the last value written (4.2.2), so drivers take a queue for stopped once they have said it.
    void hold_queue() {
        if (queue_settling()) hold_access();
    }
    bool queue_settling() { return queue() && device_->settling(queue_sel_); }
    void queue_notify(u64 value) {
        if (device_) device_->notify(u32(value));
    }
    u64 interrupt_status() { return interrupts_; }
    void interrupt_ack(u64 value) {
        interrupts_ &= ~u32(value);
        irq_.set(interrupts_);
    }
    u64 status() { return device_ ? device_->status() : 0; }
    void set_status(u64 value) {
        if (!device_) return;
        if ((value & 0xff) == 0) {
            interrupts_ = 0;
            irq_.set(false);
        }
        device_->set_status(u8(value));
        // Legacy drivers need not read the status back; others should, and those that are about don't.
        if ((value & 0xff) == 0 && device_->settling()) hold_access();
    }
    void desc_low(u64 v) { set_half(&Queue::descriptors, v, false, "QueueDescLow"); }
    void desc_high(u64 v) { set_half(&Queue::descriptors, v, true, "QueueDescHigh"); }
    void driver_low(u64 v) { set_half(&Queue::driver, v, false, "QueueDriverLow"); }
    void driver_high(u64 v) { set_half(&Queue::driver, v, true, "QueueDriverHigh"); }
    void device_low(u64 v) { set_half(&Queue::device, v, false, "QueueDeviceLow"); }
    void device_high(u64 v) { set_half(&Queue::device, v, true, "QueueDeviceHigh"); }
    void queue_reset(u64 value) {
        if (!only(false, "QueueReset") || !(value & 1)) return;
        if (!(device_->features() & feature(VIRTIO_F_RING_RESET)))
            return trace::guest_error(id(), "QueueReset was not negotiated");
        device_->reset_queue(queue_sel_);
    }
    u64 queue_resetting() { return !legacy_ && queue_settling(); }
    u64 generation() { return device_ && !legacy_ ? device_->generation() : 0; }
    u64 config(u32 offset) { return device_ ? device_->config_byte(offset) : 0; }
    void set_config(u32 offset, u64 value) {
        if (device_) device_->write_config(offset, u8(value));
    }

    VirtioDevice* device_ = nullptr;
    bool legacy_ = true, legacy_big_endian_ = false;
    Line irq_;
    u32 device_features_sel_ = 0, driver_features_sel_ = 0, queue_sel_ = 0, shm_sel_ = 0;
    u32 guest_page_size_ = 0, queue_align_ = 4096, interrupts_ = 0;
};

using V = VirtioMmio;
constexpr RegRow<VirtioMmio> VirtioMmio::regs[] = {
    {VIRTIO_MMIO_MAGIC_VALUE, "MagicValue", {}, {.read = &V::magic}},
    {VIRTIO_MMIO_VERSION, "Version", {}, {.read = &V::version}},
    {VIRTIO_MMIO_DEVICE_ID, "DeviceID", {}, {.read = &V::device_id}},
    {VIRTIO_MMIO_VENDOR_ID, "VendorID", {}, {.read = &V::vendor}},
    {VIRTIO_MMIO_DEVICE_FEATURES, "DeviceFeatures", {}, {.read = &V::device_features}},
    {VIRTIO_MMIO_DEVICE_FEATURES_SEL, "DeviceFeaturesSel", &V::device_features_sel_, {.read = &V::zero}},
    {VIRTIO_MMIO_DRIVER_FEATURES, "DriverFeatures", {}, {.write = &V::driver_features}},
    {VIRTIO_MMIO_DRIVER_FEATURES_SEL, "DriverFeaturesSel", &V::driver_features_sel_, {.read = &V::zero}},
    {VIRTIO_MMIO_GUEST_PAGE_SIZE, "GuestPageSize", {}, {.write = &V::page_size}},
    {VIRTIO_MMIO_QUEUE_SEL, "QueueSel", &V::queue_sel_, {.read = &V::zero}},
    {VIRTIO_MMIO_QUEUE_NUM_MAX, "QueueNumMax", {}, {.read = &V::queue_max}},
    {VIRTIO_MMIO_QUEUE_NUM, "QueueNum", {}, {.write = &V::queue_num}},
    {VIRTIO_MMIO_QUEUE_ALIGN, "QueueAlign", {}, {.write = &V::queue_align}},
    {VIRTIO_MMIO_QUEUE_PFN, "QueuePFN", {}, {.read = &V::queue_pfn, .write = &V::set_queue_pfn}},
    {VIRTIO_MMIO_QUEUE_READY, "QueueReady", {}, {.read = &V::queue_ready, .write = &V::set_queue_ready}},
    {VIRTIO_MMIO_QUEUE_NOTIFY, "QueueNotify", {}, {.write = &V::queue_notify}},
    {VIRTIO_MMIO_INTERRUPT_STATUS, "InterruptStatus", {}, {.read = &V::interrupt_status}},
    {VIRTIO_MMIO_INTERRUPT_ACK, "InterruptACK", {}, {.write = &V::interrupt_ack}},
    {VIRTIO_MMIO_STATUS, "Status", {}, {.read = &V::status, .write = &V::set_status}},
    {VIRTIO_MMIO_QUEUE_DESC_LOW, "QueueDescLow", {}, {.write = &V::desc_low}},
    {VIRTIO_MMIO_QUEUE_DESC_HIGH, "QueueDescHigh", {}, {.write = &V::desc_high}},
    {VIRTIO_MMIO_QUEUE_AVAIL_LOW, "QueueDriverLow", {}, {.write = &V::driver_low}},
    {VIRTIO_MMIO_QUEUE_AVAIL_HIGH, "QueueDriverHigh", {}, {.write = &V::driver_high}},
    {VIRTIO_MMIO_QUEUE_USED_LOW, "QueueDeviceLow", {}, {.write = &V::device_low}},
    {VIRTIO_MMIO_QUEUE_USED_HIGH, "QueueDeviceHigh", {}, {.write = &V::device_high}},
    {VIRTIO_MMIO_SHM_SEL, "SHMSel", &V::shm_sel_, {.read = &V::zero}},
    {VIRTIO_MMIO_SHM_LEN_LOW, "SHMLenLow", {}, {.read = &V::ones}},
    {VIRTIO_MMIO_SHM_LEN_HIGH, "SHMLenHigh", {}, {.read = &V::ones}},
    {VIRTIO_MMIO_SHM_BASE_LOW, "SHMBaseLow", {}, {.read = &V::ones}},
    {VIRTIO_MMIO_SHM_BASE_HIGH, "SHMBaseHigh", {}, {.read = &V::ones}},
    {0x0c0, "QueueReset", {}, {.read = &V::queue_resetting, .write = &V::queue_reset}},
    {VIRTIO_MMIO_CONFIG_GENERATION, "ConfigGeneration", {}, {.read = &V::generation}},
    {VIRTIO_MMIO_CONFIG, "Config", {}, {.read_at = &V::config, .write_at = &V::set_config, .count = 0x100, .bytes = 1}},
};

void VirtioMmio::describe(Describe& d) {
    d.property("force-legacy", legacy_, "version 1 of the interface");
    d.property("legacy-big-endian", legacy_big_endian_, "version 1 on a board of big-endian processors");
    d.interrupt("irq", irq_);
    d.registers(*this, regs, 0x200);
    d.state("guest_page_size", guest_page_size_, {.high = 1u << 30});
    d.state("queue_align", queue_align_, {.reset = 4096, .high = 1u << 30});
    d.state("interrupts", interrupts_, {.high = 3});
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_mmio){"virtio-mmio", "system", "virtio transport in memory (VIRTIO 1.2, 4.2)",
                          make_device<virtio::VirtioMmio>};
}
