#include "devices/virtio/device.hpp"
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include <algorithm>
#define VIRTIO_RING_NO_LEGACY 1 // that part of the header is C only
#include <linux/virtio_ring.h>

namespace mimic::devices::virtio {

MIMIC_TRACE(virtio_notify, "virtio", "notify", "{} queue={}");
MIMIC_TRACE(virtio_interrupt, "virtio", "interrupt", "{} queue={}");
MIMIC_TRACE(virtio_status, "virtio", "status", "{} status={:#x} features={:#x}");

VirtioDevice::~VirtioDevice() {
    if (listening_) memory().remove(*this);
}

void VirtioDevice::describe(Describe& d) {
    d.property("indirect_desc", indirect_desc_, "offer indirect descriptors");
    d.property("event_idx", event_idx_, "offer event suppression by index");
    d.property("notify_on_empty", notify_on_empty_, "offer interrupts when a queue is empty (legacy)");
    d.property("any_layout", any_layout_, "say that requests may be laid out at will (legacy)");
    d.property("packed", packed_, "offer packed rings");
    d.property("queue_reset", queue_reset_, "offer the reset of single queues");
    d.state("features", features_);
    d.state("status", status_);
    d.state("broken", broken_, {.high = 1});
    d.state("generation", generation_);
    d.timer("again", again_);
    for (u32 i = 0; i < queues_.size(); i++) {
        Describe::Group group(d, "queue", i);
        queues_[i].describe(d);
    }
}

Result<void> VirtioDevice::realize() {
    dma_.space = &memory();
    dma_.topology = &topology_;
    memory().add(*this);
    listening_ = true;
    return {};
}

void VirtioDevice::unrealize() {
    if (transport_) transport_->device_gone();
    transport_ = nullptr;
}

void VirtioDevice::make_queues(u32 count, u16 maximum) {
    queues_.resize(count);
    for (Queue& q : queues_) q.maximum = maximum;
}

u64 VirtioDevice::offered() const {
    u64 bits = device_features();
    if (indirect_desc_) bits |= feature(VIRTIO_RING_F_INDIRECT_DESC);
    if (event_idx_) bits |= feature(VIRTIO_RING_F_EVENT_IDX);
    if (transport_ && transport_->legacy()) {
        if (notify_on_empty_) bits |= feature(VIRTIO_F_NOTIFY_ON_EMPTY);
        if (any_layout_) bits |= feature(VIRTIO_F_ANY_LAYOUT);
        return bits & 0xffffffff; // legacy drivers see one word
    }
    bits |= feature(VIRTIO_F_VERSION_1);
    if (packed_) bits |= feature(VIRTIO_F_RING_PACKED);
    if (queue_reset_) bits |= feature(VIRTIO_F_RING_RESET);
    return bits;
}

void VirtioDevice::choose(u32 word, u32 bits) {
    if (word > 1) {
        if (bits) trace::guest_error(id(), "features of word {} chosen, where none is offered", word);
        return;
    }
    if (status_ & VIRTIO_CONFIG_S_FEATURES_OK || (running() && !transport_->legacy()))
        return trace::guest_error(id(), "features chosen after they were settled");
    u64 chosen = (features_ & ~(u64{0xffffffff} << 32 * word)) | u64{bits} << 32 * word;
    // What was not offered stays off; modern drivers learn it from FEATURES_OK.
    if (transport_->legacy()) {
        if (chosen & ~offered()) trace::guest_error(id(), "features {:#x} were not offered", chosen & ~offered());
        chosen &= offered();
    }
    features_ = chosen;
    update_mode();
}

void VirtioDevice::update_mode() {
    mode_.packed = has(VIRTIO_F_RING_PACKED);
    mode_.event_index = has(VIRTIO_RING_F_EVENT_IDX);
    mode_.indirect = has(VIRTIO_RING_F_INDIRECT_DESC);
    mode_.notify_on_empty = !modern() && has(VIRTIO_F_NOTIFY_ON_EMPTY);
    dma_.big_endian = !modern() && transport_ && transport_->legacy() && transport_->big_endian();
}

bool VirtioDevice::settling() const {
    for (u32 n = 0; n < queue_count(); n++)
        if (settling(n)) return true;
    return false;
}

u8 VirtioDevice::status() const {
    // 2.4.2, 4.2.2.1: a reset is complete when the status reads 0.
    if (status_ == 0 && settling() && !(transport_ && transport_->legacy())) return VIRTIO_CONFIG_S_NEEDS_RESET;
    return status_;
}

void VirtioDevice::set_status(u8 value) {
    trace::emit(virtio_status, id(), value, features_);
    if (value == 0) return forget_all();
    u8 fresh = value & ~status_;
    if (fresh & VIRTIO_CONFIG_S_FEATURES_OK && (transport_ && !transport_->legacy())) {
        bool good = !(features_ & ~offered()) && modern() && accepts(features_);
        if (!good) {
            trace::guest_error(id(), "features {:#x} are not accepted, offered are {:#x}", features_, offered());
            value = u8(value & ~VIRTIO_CONFIG_S_FEATURES_OK);
            fresh = u8(fresh & ~VIRTIO_CONFIG_S_FEATURES_OK);
        }
    }
    if (broken_) value |= VIRTIO_CONFIG_S_NEEDS_RESET;
    status_ = value;
    if (!(fresh & VIRTIO_CONFIG_S_DRIVER_OK)) return;
    if (!transport_->legacy() && !(status_ & VIRTIO_CONFIG_S_FEATURES_OK)) return fail("DRIVER_OK without FEATURES_OK");
    driver_ready();
    // Buffers may have been made available before.
    for (u32 i = 0; i < queues_.size(); i++)
        if (usable(i)) notified(i);
}

void VirtioDevice::enable_queue(u32 n) {
    Queue* q = queue(n);
    if (!q) return fail("a queue was enabled that is not there");
    if (broken_) return;
    std::string_view why = q->check(mode_);
    if (!why.empty()) return fail(n, why);
    q->ready = 1;
}

void VirtioDevice::reset_queue(u32 n) {
    Queue* q = queue(n);
    if (!q) return;
    queue_reset(n);
    q->clear();
}

void VirtioDevice::notify(u32 n) {
    trace::emit(virtio_notify, id(), n);
    if (!queue(n)) return trace::guest_error(id(), "notification of queue {}, which is not there", n);
    if (usable(n)) notified(n);
}

Queue* VirtioDevice::usable(u32 n) {
    Queue* q = queue(n);
    // Legacy drivers use queues before DRIVER_OK (3.1.2 of the specification tells of it).
    bool allowed = transport_ && ((status_ & VIRTIO_CONFIG_S_DRIVER_OK) || (status_ && transport_->legacy()));
    return q && q->ready && allowed && !broken_ ? q : nullptr;
}

u8 VirtioDevice::config_byte(u32 offset) const {
    ConfigBytes c(!modern() && transport_ && transport_->legacy() && transport_->big_endian());
    config(c);
    return offset < c.bytes.size() ? c.bytes[offset] : 0xff;
}

void VirtioDevice::write_config(u32 offset, u8 value) { config_written(offset, value); }

void VirtioDevice::forget_all() {
    forget();
    features_ = 0;
    status_ = broken_ = 0;
    for (Queue& q : queues_) q.clear();
    again_.disarm();
    update_mode();
}

void VirtioDevice::reset(ResetKind) {
    for (Queue& q : queues_) q.clear();
    forget();
    update_mode();
}

Result<void> VirtioDevice::after_load() {
    update_mode();
    for (u32 i = 0; i < queues_.size(); i++) {
        if (!queues_[i].ready) continue;
        std::string_view why = queues_[i].check(mode_);
        if (!why.empty()) return Error::corrupt("queue {}: {}", i, why);
    }
    return {};
}

Queue::Pop VirtioDevice::pop(u32 n, Chain& chain) {
    Queue* q = usable(n);
    if (!q) return Queue::Pop::none;
    Queue::Pop result = q->pop(dma_, mode_, chain);
    if (result == Queue::Pop::broken) fail(n, q->error());
    return result;
}

void VirtioDevice::push(u32 n, std::span<const Chain> chains, std::span<const u32> written) {
    Queue* q = usable(n);
    if (q && !q->push(dma_, mode_, chains, written)) fail(n, q->error());
}

void VirtioDevice::interrupt(u32 n) {
    Queue* q = usable(n);
    if (!q || !q->wants_interrupt(dma_, mode_)) return;
    trace::emit(virtio_interrupt, id(), n);
    transport_->queue_interrupt(n);
}

void VirtioDevice::complete(u32 n, const Chain& chain, u32 written) {
    push(n, chain, written);
    interrupt(n);
}

void VirtioDevice::serve_again(u32 n, u64 delay) {
    queues_[n].pending = 1;
    // Time passes between two looks, whatever the rings say (those of a state that was loaded may feed themselves): others of the
    // clock's port come in between, and a step of a clock that stands still meanwhile ends.
    constexpr u64 shortest = 10000;
    u64 when = machine().now() + std::max(delay, shortest);
    if (when < again_.deadline()) again_.arm(when);
}

void VirtioDevice::look_at_pending() {
    for (u32 i = 0; i < queues_.size(); i++) {
        if (!queues_[i].pending) continue;
        queues_[i].pending = 0;
        if (usable(i)) notified(i);
    }
}

void VirtioDevice::config_changed() {
    generation_++;
    if (status_ & VIRTIO_CONFIG_S_DRIVER_OK && transport_) transport_->config_interrupt();
}

void VirtioDevice::fail(u32 n, std::string_view why) {
    trace::guest_error(id(), "queue {}: {}; the device needs a reset", n, why);
    if (broken_) return;
    broken_ = 1;
    if (transport_ && transport_->legacy()) return; // legacy drivers don't know the bit
    bool tell = status_ & VIRTIO_CONFIG_S_DRIVER_OK;
    status_ |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if (tell) config_changed();
}

void VirtioDevice::fail(std::string_view why) { fail(0, why); }

} // namespace mimic::devices::virtio
