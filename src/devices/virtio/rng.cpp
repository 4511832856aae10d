// The entropy device (VIRTIO 1.2, 5.4): fills buffers from the machine's random port, at most max-bytes in a period.
#include "devices/base/machine.hpp"
#include "devices/virtio/device.hpp"
#include <algorithm>

namespace mimic::devices::virtio {

namespace {

// Of one buffer; drivers ask again for more.
constexpr u64 max_answer = 4096;

class VirtioRng final : public VirtioDevice {
public:
    std::string_view type() const override { return "virtio-rng-device"; }
    u16 device_id() const override { return 4; }
    u64 device_features() const override { return 0; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        TRY(VirtioDevice::realize());
        if (!source_.empty() && !machine().has_random_source(source_))
            return Error::not_found("property 'rng': there is no object '{}', expected an rng-random or rng-builtin",
                                    source_);
        if (period_ == 0) return Error::invalid_argument("property 'period': 0, expected milliseconds above 0");
        make_queues(1);
        return {};
    }
    void notified(u32 n) override;
    void forget() override {
        given_ = 0;
        period_end_ = 0;
    }

private:
    static constexpr u64 source_pause_ns = 10'000'000; // between two looks at one that has nothing
    std::string source_;
    u64 max_bytes_ = ~u64{0} >> 1;
    u32 period_ = 65536; // ms
    u64 given_ = 0;      // in this period
    u64 period_end_ = 0;
};

void VirtioRng::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.property("rng", source_, "where its bytes come from, by the id of an -object; empty: the host's generator");
    d.property("max-bytes", max_bytes_, "bytes that the guest may have in a period", {.low = 1});
    d.property("period", period_, "milliseconds of a period");
    d.state("given", given_);
    d.state("period_end", period_end_);
}

void VirtioRng::notified(u32 n) {
    serve(n, [&](Chain& chain) {
        u64 now = machine().now();
        if (now >= period_end_) {
            given_ = 0;
            period_end_ = now + u64{period_} * 1000000;
        }
        if (given_ >= max_bytes_) {
            serve_again(n, period_end_ - now);
            return false;
        }
        u8 bytes[max_answer];
        u64 count = std::min({total(chain.in), max_answer, max_bytes_ - given_});
        const u64 there = machine().random_of(source_, {bytes, count});
        if (there == 0 && count) {
            serve_again(n, source_pause_ns);
            return false;
        }
        count = there;
        if (dma().scatter(chain.in, 0, bytes, count) != count) {
            fail(n, "a buffer is not in memory");
            return false;
        }
        given_ += count;
        complete(n, chain, u32(count));
        return true;
    });
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_rng){"virtio-rng-device", "virtio-bus", "virtio entropy device (VIRTIO 1.2, 5.4)",
                         make_device<virtio::VirtioRng>, true};
}
