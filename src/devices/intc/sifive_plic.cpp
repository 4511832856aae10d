// Platform-level interrupt controller.
// Source: RISC-V Platform-Level Interrupt Controller Specification 1.0.0; SiFive U54 manual, chapter PLIC (memory map).
// Sources are level-triggered. Not there: edge-triggered gateways.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u32 max_sources = 1024, max_contexts = 512;

class SifivePlic final : public Device, public LineSink {
public:
    std::string_view type() const override { return "riscv.sifive.plic"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        outputs_ = std::vector<Line>(contexts_);
        enable_.assign(size_t{contexts_} * words, 0);
        threshold_.assign(contexts_, 0);
        return {};
    }
    u32 context_rank() const override { return 1; }
    LineSink* inputs() override { return this; }
    void reset(ResetKind) override { update(); }

    void set_line(u32 source, bool level) override {
        Context::Entry entry(context());
        if (!entry || source == 0 || source > sources_) return;
        set(level_, source, level);
        // The gateway forwards one request until it is completed; a level that falls before does not take it back.
        if (level && !get(claimed_, source)) set(pending_, source, true);
        update();
    }

private:
    static constexpr u32 words = max_sources / 32;
    using BitMap = std::array<u32, words>;
    static bool get(const BitMap& map, u32 n) { return map[n / 32] >> (n % 32) & 1; }
    static void set(BitMap& map, u32 n, bool on) {
        u32 bit = u32{1} << (n % 32);
        map[n / 32] = on ? map[n / 32] | bit : map[n / 32] & ~bit;
    }

    // The most urgent source that waits for the context (the lowest number of equals); 0: none.
    u32 best(u32 context) const {
        u32 source = 0, priority = 0;
        for (u32 w = 0; w < words; w++) {
            u32 waiting = pending_[w] & enable_[context * words + w];
            for (; waiting; waiting &= waiting - 1) {
                u32 n = w * 32 + u32(__builtin_ctz(waiting));
                if (priority_[n] > priority) {
                    priority = priority_[n];
                    source = n;
                }
            }
        }
        return source;
    }
    void update() {
        for (u32 c = 0; c < contexts_; c++) {
            u32 source = best(c);
            outputs_[c].set(source && priority_[source] > threshold_[c]);
        }
    }

    u64 read_priority(u32 n) { return n <= sources_ ? priority_[n] : 0; }
    void write_priority(u32 n, u64 v) {
        if (n == 0 || n > sources_) return;
        priority_[n] = u32(v) & priorities_;
        update();
    }
    u64 read_pending(u32 w) { return pending_[w]; }
    // 32 words a context.
    u64 read_enable(u32 n) { return n / words < contexts_ ? enable_[n] : 0; }
    void write_enable(u32 n, u64 v) {
        if (n / words >= contexts_) return;
        u32 first = n % words * 32, mask = ~u32{0};
        if (first == 0) mask &= ~u32{1};
        if (first > sources_) mask = 0;
        if (mask && sources_ - first < 31) mask &= (u32{2} << (sources_ - first)) - 1;
        enable_[n] = u32(v) & mask;
        update();
    }
    u64 read_threshold(u32 c) { return c < contexts_ ? threshold_[c] : 0; }
    void write_threshold(u32 c, u64 v) {
        if (c >= contexts_) return;
        threshold_[c] = u32(v) & priorities_;
        update();
    }
    // A claim looks at no threshold (chapter 9).
    u64 claim(u32 c) {
        u32 source = c < contexts_ ? best(c) : 0;
        if (!source) return 0;
        set(pending_, source, false);
        set(claimed_, source, true);
        update();
        return source;
    }
    // Of a source that is not enabled for the context, a completion is ignored (chapter 10).
    void complete(u32 c, u64 v) {
        if (c >= contexts_ || v == 0 || v > sources_) return;
        u32 source = u32(v);
        if (!(enable_[c * words + source / 32] >> (source % 32) & 1)) return;
        set(claimed_, source, false);
        if (get(level_, source)) set(pending_, source, true);
        update();
    }

    u64 read_context(u32 n) { return n % 1024 == 0 ? read_threshold(n / 1024) : n % 1024 == 1 ? claim(n / 1024) : 0; }
    void write_context(u32 n, u64 v) {
        if (n % 1024 == 0) write_threshold(n / 1024, v);
        if (n % 1024 == 1) complete(n / 1024, v);
    }

    static const RegRow<SifivePlic> regs[];
    u32 sources_ = 96, contexts_ = 2, priorities_ = 7;
    u64 size_ = 0x600000;
    std::array<u32, max_sources> priority_{};
    BitMap pending_{}, claimed_{}, level_{};
    std::vector<u32> enable_, threshold_;
    std::vector<Line> outputs_;
};

constexpr RegRow<SifivePlic> SifivePlic::regs[] = {
    {0x0,
     "priority",
     {},
     {.read_at = &SifivePlic::read_priority, .write_at = &SifivePlic::write_priority, .count = max_sources}},
    {0x1000, "pending", {}, {.read_at = &SifivePlic::read_pending, .count = words}},
    {0x2000,
     "enable",
     {},
     {.read_at = &SifivePlic::read_enable, .write_at = &SifivePlic::write_enable, .count = words * max_contexts}},
    // 1024 words a context: the threshold, then the claim register; the rest reads as zero.
    {0x200000,
     "threshold/claim",
     {},
     {.read_at = &SifivePlic::read_context, .write_at = &SifivePlic::write_context, .count = 1024 * max_contexts}},
};

void SifivePlic::describe(Describe& d) {
    d.property("num-sources", sources_, "interrupt sources, numbered from 1", {.low = 1, .high = max_sources - 1});
    d.property("num-contexts", contexts_, "harts times privilege modes", {.low = 1, .high = max_contexts});
    d.property("num-priorities", priorities_, "highest priority, 2^n - 1", {.low = 1, .high = 7});
    d.property("aperture-size", size_, "bytes of the registers", {.low = 0x201000, .high = 0x4000000, .size = true});
    for (u32 i = 0; i < outputs_.size(); i++) {
        Describe::Group group(d, "context", i);
        d.interrupt("irq", outputs_[i]);
    }
    d.registers(*this, regs, size_, {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4});
    d.state("priority", priority_, {.high = 7});
    d.state("pending", pending_);
    d.state("claimed", claimed_);
    d.state("level", level_, {.until = ResetKind::power_on});
    if (!outputs_.empty()) {
        d.state("enable", enable_, contexts_ * words, {});
        d.state("threshold", threshold_, contexts_, {.high = 7});
    }
}

} // namespace

MIMIC_DEVICE(sifive_plic) = {.name = "riscv.sifive.plic",
                             .bus = "system",
                             .summary = "RISC-V platform-level interrupt controller",
                             .make = make_device<SifivePlic>};

} // namespace mimic::devices
