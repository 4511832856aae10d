// The traditional memory balloon (VIRTIO 1.2, 5.5): pages that the guest does not use go back to the host. Statistics, reporting
// of free pages and page poison are there; free page hinting (for migration) is not.
#include "base/trace.hpp"
#include "devices/base/machine.hpp"
#include "devices/virtio/device.hpp"
#include <algorithm>
#include <linux/virtio_balloon.h>

namespace mimic::devices::virtio {

namespace {

constexpr u32 page_bits = VIRTIO_BALLOON_PFN_SHIFT;
constexpr u32 most_pages = 1024; // of a request that are looked at together
constexpr u32 most_numbers = 64; // of statistics
constexpr u64 unknown = ~u64{0};
constexpr u32 most_interval = 0x7fffffff;
// By tag (5.5.6.4), as the reference's QMP calls them.
constexpr std::string_view stat_names[] = {
    "stat-swap-in",      "stat-swap-out",         "stat-major-faults", "stat-minor-faults", "stat-free-memory",
    "stat-total-memory", "stat-available-memory", "stat-disk-caches",  "stat-htlb-pgalloc", "stat-htlb-pgfail"};
constexpr size_t stats = std::size(stat_names);

class VirtioBalloon final : public VirtioDevice, public Balloon {
public:
    std::string_view type() const override { return "virtio-balloon-device"; }
    u16 device_id() const override { return 5; }
    u64 device_features() const override {
        return feature(VIRTIO_BALLOON_F_STATS_VQ) | (deflate_on_oom_ ? feature(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) : 0) |
               (page_poison_ ? feature(VIRTIO_BALLOON_F_PAGE_POISON) : 0) |
               (free_page_reporting_ ? feature(VIRTIO_BALLOON_F_REPORTING) : 0);
    }
    void describe(Describe& d) override;
    Result<void> realize() override;
    void unrealize() override {
        if (machine().balloon == this) machine().balloon = nullptr;
        VirtioDevice::unrealize();
    }
    void config(ConfigBytes& c) const override;
    void config_written(u32 offset, u8 value) override;
    void notified(u32 n) override;
    void driver_ready() override { ask_for_stats(); }
    void forget() override {
        actual_ = poison_ = 0;
        has_held_ = 0;
        held_ = {};
        stats_.fill(unknown);
        last_update_ = 0;
    }
    void queue_reset(u32 n) override {
        if (n == stats_queue) has_held_ = 0, held_ = {};
    }

    // ---- Balloon --------------------------------------------------------------------------------------------------
    void set_target(u64 bytes) override {
        Context::Entry entry(context());
        const u64 taken = machine().ram_bytes - std::min(bytes, machine().ram_bytes);
        pages_ = u32(taken >> page_bits);
        config_changed();
    }
    u64 actual() override {
        Context::Entry entry(context());
        return left();
    }

    std::span<const LiveProperty> live_properties() const override;
    Result<Json> get_live(std::string_view name) override;
    Result<void> set_live(std::string_view name, const Json& value) override;

private:
    static constexpr u32 inflate_queue = 0, deflate_queue = 1, stats_queue = 2, reporting_queue = 3;

    u64 left() const { return machine().ram_bytes - std::min(u64{actual_} << page_bits, machine().ram_bytes); }
    void take_pages(const Chain& chain);
    void give_back(u64 address, u64 bytes);
    void report(u32 n);
    void take_stats(u32 n);
    void read_stats(const Chain& chain);
    void ask_for_stats();
    void poll();
    bool keeps_poison() const { return has(VIRTIO_BALLOON_F_PAGE_POISON) && poison_ != 0; }

    bool deflate_on_oom_ = false, page_poison_ = true, free_page_reporting_ = false;
    u32 pages_ = 0, actual_ = 0, poison_ = 0; // of the configuration space
    u8 has_held_ = 0;                         // the buffer that the driver gave for the next statistics:
    Chain held_;
    std::array<u64, stats> stats_{};
    u64 last_update_ = 0; // seconds since 1970
    u32 interval_ = 0;    // seconds between two; 0: none are asked for
    Timer poll_{*this, [this] { poll(); }};
};

void VirtioBalloon::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.property("deflate-on-oom", deflate_on_oom_, "the guest may take memory back when it has no other");
    d.property("page-poison", page_poison_, "the guest may say what it fills free pages with");
    d.property("free-page-reporting", free_page_reporting_, "the guest tells of its free pages all the time");
    d.state("num_pages", pages_, {.until = ResetKind::power_on});
    d.state("actual", actual_);
    d.state("poison_val", poison_);
    d.state("has_held", has_held_, {.high = 1});
    {
        Describe::Group group(d, "held");
        held_.describe(d);
    }
    d.state("stats", stats_, {.reset = unknown});
    d.state("last_update", last_update_);
    d.state("interval", interval_, {.high = most_interval, .until = ResetKind::power_on});
    d.timer("poll", poll_);
}

Result<void> VirtioBalloon::realize() {
    if (machine().balloon) return Error::exists("Only one balloon device is supported");
    TRY(VirtioDevice::realize());
    machine().balloon = this;
    make_queues(free_page_reporting_ ? 4 : 3, 128);
    stats_.fill(unknown);
    return {};
}

// Little-endian for legacy drivers, too (5.5.4).
void VirtioBalloon::config(ConfigBytes& c) const {
    const u32 hint_command = 0;
    for (u32 value : {pages_, actual_, hint_command, poison_}) {
        for (u32 i = 0; i < 4; i++) c.bytes.push_back(u8(value >> 8 * i));
        if (!page_poison_ && c.bytes.size() == 8) return;
    }
}

void VirtioBalloon::config_written(u32 offset, u8 value) {
    auto put = [&](u32& to, u32 byte) { to = (to & ~(0xffu << 8 * byte)) | u32{value} << 8 * byte; };
    if (offset >= 12 && offset < 16 && page_poison_) return put(poison_, offset - 12);
    if (offset < 4 || offset >= 8) return;
    put(actual_, offset - 4);
    if (offset != 7) return;
    Json data = Json::object();
    data.set("actual", left());
    machine().tell("BALLOON_CHANGE", std::move(data));
}

void VirtioBalloon::notified(u32 n) {
    if (n == reporting_queue) return report(n);
    if (n == stats_queue) return take_stats(n);
    serve(n, [&](Chain& chain) {
        if (n == inflate_queue) take_pages(chain);
        complete(n, chain, 0);
        return true;
    });
}

// ---- pages ------------------------------------------------------------------------------------------------------------

void VirtioBalloon::give_back(u64 address, u64 bytes) {
    while (bytes) {
        const memory::Place p = memory().find(address);
        if (p.kind != memory::Place::Kind::ram)
            return trace::guest_error(id(), "page {:#x} is no RAM that could be given back", address);
        const u64 n = std::min(bytes, p.left);
        p.block->discard(p.offset, n);
        address += n;
        bytes -= n;
    }
}

// Page numbers of 32 bits. Neighbours go together.
void VirtioBalloon::take_pages(const Chain& chain) {
    const u64 bytes = total(chain.out);
    std::vector<u32> pages(most_pages);
    for (u64 at = 0; at < bytes;) {
        const u64 got = dma().gather(chain.out, at, pages.data(), pages.size() * 4);
        if (got < 4) return;
        at += got;
        std::vector<u32> some(pages.begin(), pages.begin() + i64(got / 4));
        for (u32& page : some) page = dma().ordered(page);
        std::sort(some.begin(), some.end());
        for (size_t i = 0, j; i < some.size(); i = j) {
            for (j = i + 1; j < some.size() && some[j] - some[j - 1] <= 1;) j++;
            give_back(u64{some[i]} << page_bits, u64{some[j - 1] - some[i] + 1} << page_bits);
        }
    }
}

// The buffers themselves are the free pages; what they must hold when they are used again, zeros are not.
void VirtioBalloon::report(u32 n) {
    serve(n, [&](Chain& chain) {
        if (!keeps_poison())
            for (const Segment& s : chain.in) give_back(s.address, s.bytes);
        complete(n, chain, 0);
        return true;
    });
}

// ---- statistics -------------------------------------------------------------------------------------------------------

// The driver gives a buffer with numbers, and gets it back when new ones are wanted.
void VirtioBalloon::take_stats(u32 n) {
    serve(n, [&](Chain& chain) {
        if (has_held_) complete(n, held_, 0); // two at a time are against the rules, and no harm
        held_ = chain;
        has_held_ = 1;
        read_stats(chain);
        return true;
    });
}

void VirtioBalloon::read_stats(const Chain& chain) {
    stats_.fill(unknown);
    constexpr u64 entry = sizeof(virtio_balloon_stat);
    virtio_balloon_stat s{};
    for (u64 i = 0; i < most_numbers && dma().gather(chain.out, i * entry, &s, entry) == entry; i++) {
        const u16 tag = dma().ordered(u16(s.tag));
        if (tag < stats) stats_[tag] = dma().ordered(u64(s.val));
    }
    last_update_ = machine().wall_clock() / 1'000'000'000;
}

void VirtioBalloon::ask_for_stats() {
    if (!interval_) return poll_.disarm();
    poll_.arm(machine().now() + u64{interval_} * 1'000'000'000);
}

void VirtioBalloon::poll() {
    if (has_held_ && usable(stats_queue)) {
        has_held_ = 0;
        complete(stats_queue, std::exchange(held_, {}), 0);
    }
    ask_for_stats();
}

// ---- what monitors see ------------------------------------------------------------------------------------------------

constexpr Device::LiveProperty live[] = {{"guest-stats", "guest statistics"}, {"guest-stats-polling-interval", "int"}};

std::span<const Device::LiveProperty> VirtioBalloon::live_properties() const { return live; }

Result<Json> VirtioBalloon::get_live(std::string_view name) {
    Context::Entry entry(context());
    if (name == "guest-stats-polling-interval") return Json(interval_);
    Json numbers = Json::object(), all = Json::object();
    for (size_t i = 0; i < stats; i++) numbers.set(stat_names[i], stats_[i]);
    all.set("stats", std::move(numbers));
    all.set("last-update", last_update_);
    return all;
}

Result<void> VirtioBalloon::set_live(std::string_view name, const Json& value) {
    if (name != "guest-stats-polling-interval") return Device::set_live(name, value);
    u64 seconds = 0;
    if (!value.get(seconds) || seconds > most_interval)
        return Error::invalid_argument("property '{}': {}, expected seconds from 0 to {}", name, value.dump(),
                                       most_interval);
    Context::Entry entry(context());
    interval_ = u32(seconds);
    if (interval_)
        poll();
    else
        poll_.disarm();
    return {};
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_balloon){"virtio-balloon-device", "virtio-bus", "virtio memory balloon (VIRTIO 1.2, 5.5)",
                             make_device<virtio::VirtioBalloon>, true};
}
