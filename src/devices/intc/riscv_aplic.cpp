// Advanced platform-level interrupt controller: a root domain of machine level and, below it, one of supervisor level. Their
// register frames are 32 KiB each, side by side in the device's region.
// Source: The RISC-V Advanced Interrupt Architecture 1.0, chapter 4.
// Not there: big-endian registers (BE), more domains, guest indices, priorities of fewer than 8 bits.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include <algorithm>

namespace mimic::devices {
namespace {

constexpr u32 max_sources = 1023, max_harts = 512, max_domains = 2, frame_bytes = 0x8000;
namespace domaincfg { // 4.5.1
constexpr u32 IE = 1 << 8, DM = 1 << 2, fixed = 0x80000000;
}
namespace sourcecfg { // 4.5.2
constexpr u32 D = 1 << 10, SM = 7;
enum Mode : u32 { inactive = 0, detached = 1, edge1 = 4, edge0 = 5, level1 = 6, level0 = 7 };
} // namespace sourcecfg
namespace msiaddrcfgh { // 4.5.3, 4.5.4
constexpr u32 machine = 0x9f77ffff, supervisor = 0x00700fff, L = u32{1} << 31;
constexpr Bits HHXS{"HHXS", 24, 5}, LHXS{"LHXS", 20, 3}, HHXW{"HHXW", 16, 3}, LHXW{"LHXW", 12, 4}, PPN{"PPN", 0, 12};
} // namespace msiaddrcfgh
constexpr Bits hart_index{"Hart Index", 18, 14}, iprio{"IPRIO", 0, 8}, eiid{"EIID", 0, 11}; // target, genmsi

class RiscvAplic final : public Device, public LineSink {
public:
    std::string_view type() const override { return "riscv.aplic"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        domains_ = std::vector<Domain>(domain_count_);
        best_.resize(harts_);
        for (Domain& d : domains_) {
            d.delivery.assign(harts_, 0);
            d.force.assign(harts_, 0);
            d.threshold.assign(harts_, 0);
            d.lines = std::vector<Line>(harts_);
        }
        return {};
    }
    u32 context_rank() const override { return 1; }
    LineSink* inputs() override { return this; }

    void set_line(u32 source, bool level) override {
        Context::Entry entry(context());
        if (!entry || source == 0 || source > sources_) return;
        Domain* d = owner(source);
        bool before = d && rectified(*d, source);
        put(level_, source, level);
        bool after = d && rectified(*d, source);
        if (!d || before == after) return;
        if (after)
            put(d->pending, source, true);
        else if (is_level(*d, source))
            put(d->pending, source, false);
        update(*d);
    }

private:
    using BitMap = std::array<u32, (max_sources + 1) / 32>;
    struct Domain {
        u32 config = 0, genmsi = 0;
        std::array<u32, max_sources + 1> source{}, target{};
        BitMap pending{}, enabled{};
        std::vector<u32> delivery, force, threshold; // by hart
        std::vector<Line> lines;
        u32 mode(u32 n) const { return source[n] & sourcecfg::D ? 0 : source[n] & sourcecfg::SM; }
        bool delegates(u32 n) const { return source[n] & sourcecfg::D; }
    };
    static bool get(const BitMap& map, u32 n) { return map[n / 32] >> (n % 32) & 1; }
    static void put(BitMap& map, u32 n, bool on) {
        u32 bit = u32{1} << (n % 32);
        map[n / 32] = on ? map[n / 32] | bit : map[n / 32] & ~bit;
    }

    // ---- sources --------------------------------------------------------------------------------------------------------
    Domain& at() { return domains_[frame()]; }
    bool is_root() const { return frame() == 0; }
    // Is the source this domain's to configure?
    bool has(u32 domain, u32 n) const { return n > 0 && n <= sources_ && (domain == 0 || domains_[0].delegates(n)); }
    // The domain where it is active; null: none.
    Domain* owner(u32 n) {
        Domain* d = &domains_[0];
        if (d->delegates(n)) d = domain_count_ > 1 ? &domains_[1] : nullptr;
        return d && d->mode(n) ? d : nullptr;
    }
    bool is_active(const Domain& d, u32 n) { return n > 0 && n <= sources_ && owner(n) == &d; }
    static bool is_level(const Domain& d, u32 n) { return d.mode(n) >= sourcecfg::level1; }
    bool is_msi(const Domain& d) const { return d.config & domaincfg::DM; }
    // 4.5.2: the wire as the mode understands it.
    bool rectified(const Domain& d, u32 n) const {
        u32 mode = d.mode(n);
        if (mode < sourcecfg::edge1) return false;
        bool inverted = mode == sourcecfg::edge0 || mode == sourcecfg::level0;
        return get(level_, n) != inverted;
    }
    // 4.7: what writes of registers may do to a pending bit.
    void set_pending(Domain& d, u32 n) {
        if (!is_active(d, n)) return;
        if (is_level(d, n) && (!is_msi(d) || !rectified(d, n))) return;
        put(d.pending, n, true);
    }
    void clear_pending(Domain& d, u32 n) {
        if (is_active(d, n) && (!is_level(d, n) || is_msi(d))) put(d.pending, n, false);
    }
    static void deactivate(Domain& d, u32 n) {
        put(d.pending, n, false);
        put(d.enabled, n, false);
        d.target[n] = 0;
    }

    // ---- delivery -------------------------------------------------------------------------------------------------------
    void update(Domain& d) {
        if (is_msi(d)) {
            for (Line& l : d.lines) l.set(false);
            return forward(d);
        }
        find_best(d);
        for (u32 h = 0; h < harts_; h++)
            d.lines[h].set((d.config & domaincfg::IE) && d.delivery[h] && (d.force[h] || best_[h]));
    }
    // topi of all harts.
    void find_best(const Domain& d) {
        std::fill(best_.begin(), best_.end(), 0);
        for (u32 w = 0; w < d.pending.size(); w++)
            for (u32 ready = d.pending[w] & d.enabled[w]; ready; ready &= ready - 1) {
                u32 n = w * 32 + u32(__builtin_ctz(ready)), h = u32(hart_index.get(d.target[n]));
                u32 priority = u32(iprio.get(d.target[n]));
                if (h >= harts_ || (d.threshold[h] && priority >= d.threshold[h])) continue;
                if (!best_[h] || priority < (best_[h] & 0xff)) best_[h] = n << 16 | priority;
            }
    }
    // 4.9. No message comes back: the order of contexts forbids accesses to this device, and to those that lead to it.
    void forward(Domain& d) {
        if (!(d.config & domaincfg::IE)) return;
        for (u32 w = 0; w < d.pending.size(); w++)
            for (u32 ready = d.pending[w] & d.enabled[w]; ready; ready &= ready - 1) {
                u32 n = w * 32 + u32(__builtin_ctz(ready));
                put(d.pending, n, false);
                send(d, d.target[n]);
            }
    }
    // 4.9.1
    void send(const Domain& d, u32 target) {
        bool machine = &d == &domains_[0];
        u64 hart = hart_index.get(target);
        u64 group =
            hart >> msiaddrcfgh::LHXW.get(machine_high_) & ((u64{1} << msiaddrcfgh::HHXW.get(machine_high_)) - 1);
        u64 in_group = hart & ((u64{1} << msiaddrcfgh::LHXW.get(machine_high_)) - 1);
        u32 low = machine ? machine_low_ : supervisor_low_, high = machine ? machine_high_ : supervisor_high_;
        u64 page = msiaddrcfgh::PPN.get(high) << 32 | low;
        page |= group << (msiaddrcfgh::HHXS.get(machine_high_) + 12) | in_group << msiaddrcfgh::LHXS.get(high);
        if (memory().write_value(page << 12, 4, eiid.get(target), {}) != memory::Outcome::ok)
            trace::guest_error(id(), "a message to hart {} goes to {:#x}, where nothing is", hart, page << 12);
    }

    // ---- registers ------------------------------------------------------------------------------------------------------
    u64 read_config() { return domaincfg::fixed | at().config; }
    void write_config(u64 v) {
        Domain& d = at();
        u32 old = d.config;
        d.config = (u32(v) & domaincfg::IE) | (msi_mode_ ? u32(v) & domaincfg::DM : 0);
        if ((d.config ^ old) & domaincfg::DM)
            for (u32 n = 1; n <= sources_; n++) {
                if (!is_active(d, n)) continue;
                write_target(n - 1, d.target[n]);
                if (is_level(d, n)) put(d.pending, n, rectified(d, n));
            }
        update(d);
    }
    u64 read_source(u32 i) { return at().source[i + 1]; }
    void write_source(u32 i, u64 v) {
        u32 n = i + 1;
        if (!has(frame(), n)) return;
        Domain& d = at();
        bool was_active = is_active(d, n), has_child = is_root() && domain_count_ > 1;
        u32 mode = u32(v) & sourcecfg::SM;
        if (mode == 2 || mode == 3) mode = sourcecfg::inactive; // reserved
        if (v & sourcecfg::D) d.source[n] = has_child ? sourcecfg::D : 0;
        if (!(v & sourcecfg::D)) d.source[n] = mode;
        if (has_child && !d.delegates(n)) {
            domains_[1].source[n] = 0;
            deactivate(domains_[1], n);
            update(domains_[1]);
        }
        if (!is_active(d, n))
            deactivate(d, n);
        else if (!was_active)
            d.target[n] = is_msi(d) ? 0 : 1;
        if (is_active(d, n) && is_level(d, n)) put(d.pending, n, rectified(d, n));
        update(d);
    }
    u64 read_target(u32 i) { return at().target[i + 1]; }
    void write_target(u32 i, u64 v) {
        Domain& d = at();
        if (!is_active(d, i + 1)) return;
        u64 low = is_msi(d) ? v & eiid : std::max<u64>(v & iprio, 1);
        d.target[i + 1] = u32((v & hart_index) | low);
        update(d);
    }

    u64 read_pending(u32 w) { return at().pending[w]; }
    u64 read_enabled(u32 w) { return at().enabled[w]; }
    u64 read_inputs(u32 w) {
        u32 v = 0;
        for (u32 b = 0; b < 32; b++)
            if (is_active(at(), w * 32 + b) && rectified(at(), w * 32 + b)) v |= u32{1} << b;
        return v;
    }
    template <class F>
    void each_bit(u32 w, u64 v, F f) {
        for (u32 b = 0; b < 32; b++)
            if (v >> b & 1) f(at(), w * 32 + b);
        update(at());
    }
    void write_setip(u32 w, u64 v) {
        each_bit(w, v, [&](Domain& d, u32 n) { set_pending(d, n); });
    }
    void write_clrip(u32 w, u64 v) {
        each_bit(w, v, [&](Domain& d, u32 n) { clear_pending(d, n); });
    }
    void write_setie(u32 w, u64 v) {
        each_bit(w, v, [&](Domain& d, u32 n) {
            if (is_active(d, n)) put(d.enabled, n, true);
        });
    }
    void write_clrie(u32 w, u64 v) {
        each_bit(w, v, [&](Domain& d, u32 n) { put(d.enabled, n, false); });
    }
    // The same by number: of registers that are read as zero.
    template <void (RiscvAplic::*bits)(u32, u64)>
    void by_number(u64 v) {
        if (v && v <= sources_) (this->*bits)(u32(v) / 32, u64{1} << v % 32);
    }

    bool addresses() const { return is_root() && msi_mode_; }
    bool locked() const { return machine_high_ & msiaddrcfgh::L; }
    template <u32 RiscvAplic::*which>
    u64 read_address() {
        return addresses() ? this->*which : 0;
    }
    template <u32 RiscvAplic::*which, u32 writable>
    void write_address(u64 v) {
        if (addresses() && !locked()) this->*which = u32(v) & writable;
    }

    u64 read_genmsi() { return is_msi(at()) ? at().genmsi : 0; }
    void write_genmsi(u64 v) {
        if (!is_msi(at())) return;
        at().genmsi = u32(v & (hart_index | eiid));
        send(at(), at().genmsi);
    }

    // Interrupt delivery control: eight words a hart. With MSI delivery there is none.
    enum Idc : u32 { idelivery = 0, iforce = 1, ithreshold = 2, topi = 6, claimi = 7, idc_words = 8 };
    u64 read_idc(u32 i) {
        Domain& d = at();
        u32 h = i / idc_words;
        if (h >= harts_ || is_msi(d)) return 0;
        switch (i % idc_words) {
        case idelivery: return d.delivery[h];
        case iforce: return d.force[h];
        case ithreshold: return d.threshold[h];
        case topi: return top(d, h);
        case claimi: return claim(d, h);
        default: return 0;
        }
    }
    u32 top(Domain& d, u32 h) {
        find_best(d);
        return best_[h];
    }
    u32 claim(Domain& d, u32 h) {
        u32 v = top(d, h);
        if (v)
            clear_pending(d, v >> 16);
        else
            d.force[h] = 0;
        update(d);
        return v;
    }
    void write_idc(u32 i, u64 v) {
        Domain& d = at();
        u32 h = i / idc_words;
        if (h >= harts_ || is_msi(d)) return;
        switch (i % idc_words) {
        case idelivery: d.delivery[h] = v & 1; break;
        case iforce: d.force[h] = v & 1; break;
        case ithreshold: d.threshold[h] = u32(v) & 0xff; break;
        default: return;
        }
        update(d);
    }

    static const RegRow<RiscvAplic> regs[];
    u32 sources_ = 96, harts_ = 1, domain_count_ = 2;
    bool msi_mode_ = false;
    u32 machine_low_ = 0, machine_high_ = 0, supervisor_low_ = 0, supervisor_high_ = 0;
    BitMap level_{};
    std::vector<Domain> domains_;
    std::vector<u32> best_; // by hart, of the domain looked at last
};

using A = RiscvAplic;
constexpr u32 words = (max_sources + 1) / 32;
constexpr RegRow<A> A::regs[] = {
    {0x0000, "domaincfg", {}, {.read = &A::read_config, .write = &A::write_config}},
    {0x0004, "sourcecfg", {}, {.read_at = &A::read_source, .write_at = &A::write_source, .count = max_sources}},
    {0x1bc0,
     "mmsiaddrcfg",
     {},
     {.read = &A::read_address<&A::machine_low_>, .write = &A::write_address<&A::machine_low_, ~u32{0}>}},
    {0x1bc4,
     "mmsiaddrcfgh",
     {},
     {.read = &A::read_address<&A::machine_high_>,
      .write = &A::write_address<&A::machine_high_, msiaddrcfgh::machine>}},
    {0x1bc8,
     "smsiaddrcfg",
     {},
     {.read = &A::read_address<&A::supervisor_low_>, .write = &A::write_address<&A::supervisor_low_, ~u32{0}>}},
    {0x1bcc,
     "smsiaddrcfgh",
     {},
     {.read = &A::read_address<&A::supervisor_high_>,
      .write = &A::write_address<&A::supervisor_high_, msiaddrcfgh::supervisor>}},
    {0x1c00, "setip", {}, {.read_at = &A::read_pending, .write_at = &A::write_setip, .count = words}},
    {0x1cdc, "setipnum", {}, {.write = &A::by_number<&A::write_setip>}},
    {0x1d00, "in_clrip", {}, {.read_at = &A::read_inputs, .write_at = &A::write_clrip, .count = words}},
    {0x1ddc, "clripnum", {}, {.write = &A::by_number<&A::write_clrip>}},
    {0x1e00, "setie", {}, {.read_at = &A::read_enabled, .write_at = &A::write_setie, .count = words}},
    {0x1edc, "setienum", {}, {.write = &A::by_number<&A::write_setie>}},
    {0x1f00, "clrie", {}, {.write_at = &A::write_clrie, .count = words}},
    {0x1fdc, "clrienum", {}, {.write = &A::by_number<&A::write_clrie>}},
    {0x2000, "setipnum_le", {}, {.write = &A::by_number<&A::write_setip>}},
    {0x3000, "genmsi", {}, {.read = &A::read_genmsi, .write = &A::write_genmsi}},
    {0x3004, "target", {}, {.read_at = &A::read_target, .write_at = &A::write_target, .count = max_sources}},
    {0x4000, "idc", {}, {.read_at = &A::read_idc, .write_at = &A::write_idc, .count = A::idc_words * max_harts}},
};

void A::describe(Describe& d) {
    d.property("num-sources", sources_, "interrupt sources, numbered from 1", {.low = 1, .high = max_sources});
    d.property("num-harts", harts_, "harts that are served", {.low = 1, .high = max_harts});
    d.property("num-domains", domain_count_, "1: machine level; 2: and supervisor level",
               {.low = 1, .high = max_domains});
    d.property("msimode", msi_mode_, "messages to IMSICs can be chosen");
    d.registers(*this, regs, u64{domain_count_} * frame_bytes,
                {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4}, {}, frame_bytes);
    d.state("level", level_, {.until = ResetKind::power_on});
    d.state("mmsiaddrcfg", machine_low_);
    d.state("mmsiaddrcfgh", machine_high_);
    d.state("smsiaddrcfg", supervisor_low_);
    d.state("smsiaddrcfgh", supervisor_high_);
    for (u32 i = 0; i < domains_.size(); i++) {
        Describe::Group group(d, "domain", i);
        Domain& domain = domains_[i];
        d.state("config", domain.config, {.high = domaincfg::IE | domaincfg::DM});
        d.state("genmsi", domain.genmsi);
        d.state("source", domain.source, {.high = sourcecfg::D | sourcecfg::SM});
        d.state("target", domain.target);
        d.state("pending", domain.pending);
        d.state("enabled", domain.enabled);
        d.state("delivery", domain.delivery, harts_, {.high = 1});
        d.state("force", domain.force, harts_, {.high = 1});
        d.state("threshold", domain.threshold, harts_, {.high = 255});
        for (u32 h = 0; h < harts_; h++) {
            Describe::Group hart(d, "hart", h);
            d.interrupt("irq", domain.lines[h]);
        }
    }
}

} // namespace

MIMIC_DEVICE(riscv_aplic) = {.name = "riscv.aplic",
                             .bus = "system",
                             .summary = "RISC-V advanced platform-level interrupt controller",
                             .make = make_device<RiscvAplic>};

} // namespace mimic::devices
