// What all virtio devices share (VIRTIO 1.2, 2 and 3): status, feature negotiation, queues, configuration space. A transport
// (mmio.cpp) is their bus: it shows these to the driver and carries interrupts.
//
//   class VirtioRng final : public VirtioDevice {
//       void notified(u32 queue) override { serve(queue, [&](Chain& c) { ...; complete(queue, c, n); return true; }); }
#pragma once
#include "devices/base/device.hpp"
#include "devices/virtio/queue.hpp"
#include <linux/virtio_config.h>

namespace mimic::devices::virtio {

// What a transport does for its device. Inside the device's context.
class Transport {
public:
    virtual ~Transport() = default;
    virtual void queue_interrupt(u32 queue) = 0;
    virtual void config_interrupt() = 0;
    virtual void device_gone() = 0;
    // Before VIRTIO 1.0: no VERSION_1, rings and configuration in the guest's byte order.
    virtual bool legacy() const = 0;
    virtual bool big_endian() const { return false; } // legacy only
};

// The configuration space as bytes; fields in the order of the specification's structures.
class ConfigBytes {
public:
    explicit ConfigBytes(bool big_endian) : big_endian_(big_endian) {}
    template <class T>
    void field(T value) {
        for (size_t i = 0; i < sizeof(T); i++)
            bytes.push_back(u8(u64(value) >> 8 * (big_endian_ ? sizeof(T) - 1 - i : i)));
    }
    std::vector<u8> bytes;

private:
    bool big_endian_;
};

constexpr u64 feature(u32 bit) { return u64{1} << bit; }

class VirtioDevice : public Device, private memory::AddressSpace::Listener {
public:
    // ---- what a device says ---------------------------------------------------------------------------------------
    virtual u16 device_id() const = 0;
    virtual u64 device_features() const = 0;
    // Features that the driver chose; false: not in this combination.
    virtual bool accepts(u64) const { return true; }
    virtual void config(ConfigBytes&) const {}
    virtual void config_written(u32 /*offset*/, u8 /*value*/) {}
    virtual void driver_ready() {}
    // The queue may hold chains.
    virtual void notified(u32 queue) = 0;
    // The driver resets the device: requests in flight are forgotten, nothing of them reaches the guest any more.
    virtual void forget() {}
    virtual void queue_reset(u32) {}
    // Requests of the queue, of before its or the device's reset, may still touch memory.
    virtual bool settling(u32 /*queue*/) const { return false; }

    // ---- what transports call, inside the context -----------------------------------------------------------------
    void attach(Transport& transport) { transport_ = &transport; }
    u64 offered() const;
    u64 features() const { return features_; }
    void choose(u32 word, u32 bits); // driver features, 32 at a time
    u8 status() const;
    void set_status(u8 value);
    u32 queue_count() const { return u32(queues_.size()); }
    Queue* queue(u32 n) { return n < queues_.size() && queues_[n].maximum ? &queues_[n] : nullptr; }
    // The driver says that the queue's set-up is complete. A bad one breaks the device.
    void enable_queue(u32 n);
    void reset_queue(u32 n);
    bool settling() const;
    void notify(u32 n);
    u8 config_byte(u32 offset) const;
    void write_config(u32 offset, u8 value);
    u32 generation() const { return generation_; }

    // ---- Device ---------------------------------------------------------------------------------------------------
    void describe(Describe& d) override;
    Result<void> realize() override;
    void unrealize() override;
    void reset(ResetKind kind) override;
    Result<void> after_load() override;

    ~VirtioDevice() override;

protected:
    // Queues from now on, all of the maximal size. In realize().
    void make_queues(u32 count, u16 maximum = max_queue_size);
    // Pops chains until there is none, the handler returns false (the chain goes back, and the queue is looked at again
    // after serve_again), or the queue's share of work is used up: then it goes on when the clock's port runs.
    template <class F>
    void serve(u32 n, F handler) {
        Queue* q = usable(n);
        if (!q) return;
        q->pending = 0;
        Chain chain;
        for (u32 left = 2u * q->size; left; left--) {
            Queue::Pop result = q->pop(dma_, mode_, chain);
            if (result == Queue::Pop::broken) return fail(n, q->error());
            if (result == Queue::Pop::none) {
                if (!q->arm(dma_, mode_)) return;
                continue;
            }
            if (!handler(chain)) {
                if (usable(n)) {
                    q->unpop(mode_, chain);
                    q->pending = 1;
                }
                return;
            }
            if (!usable(n)) return;
        }
        serve_again(n, 0);
    }
    // The queue is looked at again when `delay` nanoseconds have passed.
    void serve_again(u32 n, u64 delay);
    // Hands a chain back and interrupts the driver if it wants that.
    void complete(u32 n, const Chain& chain, u32 written);
    void push(u32 n, const Chain& chain, u32 written) { push(n, {&chain, 1}, {&written, 1}); }
    void push(u32 n, std::span<const Chain> chains, std::span<const u32> written);
    void interrupt(u32 n);
    Queue::Pop pop(u32 n, Chain& chain);
    void unpop(u32 n, const Chain& chain) { queues_[n].unpop(mode_, chain); }
    // Asks to be notified; true: there are chains already.
    bool arm(u32 n) { return queues_[n].arm(dma_, mode_); }
    // Null: the driver may not use it now.
    Queue* usable(u32 n);
    void config_changed();
    // The driver broke the rules: the device stops until it is reset.
    void fail(u32 queue, std::string_view why);
    void fail(std::string_view why);
    bool has(u32 bit) const { return features_ & feature(bit); }
    bool modern() const { return has(VIRTIO_F_VERSION_1); }
    bool running() const { return (status_ & VIRTIO_CONFIG_S_DRIVER_OK) && !broken_; }
    const Dma& dma() const { return dma_; }
    Transport* transport() const { return transport_; }

private:
    void topology_changed(memory::AddressSpace&) override { topology_.fetch_add(1, std::memory_order_release); }
    void forget_all();
    void update_mode();
    void look_at_pending();

    Transport* transport_ = nullptr;
    std::vector<Queue> queues_;
    u64 features_ = 0;
    u8 status_ = 0, broken_ = 0;
    u32 generation_ = 0;
    bool indirect_desc_ = true, event_idx_ = true, notify_on_empty_ = true, any_layout_ = true, packed_ = false,
         queue_reset_ = true;
    std::atomic<u64> topology_{0};
    Dma dma_;
    Queue::Mode mode_;
    bool listening_ = false;
    Timer again_{*this, [this] { look_at_pending(); }};
};

} // namespace mimic::devices::virtio
