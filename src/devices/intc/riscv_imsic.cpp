// Incoming MSI controllers of harts, one interrupt file each of one privilege level. A board has one for machine and one for
// supervisor level.
// Source: The RISC-V Advanced Interrupt Architecture 1.0, chapter 3.
// Not there: guest interrupt files, whose pages read as zero; delivery from an APLIC through the file (eidelivery 0x40000000).
#include "devices/intc/riscv_imsic.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u32 page_bytes = 4096, max_harts = 512, max_pages = 64, max_identities = 2047;
enum Select : u32 { eidelivery = 0x70, eithreshold = 0x72, eip0 = 0x80, eie0 = 0xc0, eie63 = 0xff };

class RiscvImsicFiles final : public RiscvImsic {
public:
    std::string_view type() const override { return "riscv.imsic"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        if (identities_ % 64 != 63)
            return Error::invalid_argument("num-irqs: {}, expected one less than a multiple of 64", identities_);
        if (pages_ & (pages_ - 1)) return Error::invalid_argument("num-pages: {}, expected a power of two", pages_);
        words_ = (identities_ + 1) / 64;
        pending_.assign(size_t{harts_} * words_, 0);
        enabled_.assign(size_t{harts_} * words_, 0);
        delivery_.assign(harts_, 0);
        threshold_.assign(harts_, 0);
        lines_ = std::vector<Line>(harts_);
        return {};
    }
    u32 context_rank() const override { return 2; } // above devices and the APLIC, which send messages

    bool access(u32 hart, u32 select, u64 mask, u64 bits, u64& old) override {
        if (hart >= harts_) return false;
        Context::Entry entry(context());
        if (!entry) return false;
        old = read(hart, select);
        if (mask) write(hart, select, (old & ~mask) | (bits & mask));
        return true;
    }
    bool top(u32 hart, bool claim, u64& value) override {
        if (hart >= harts_) return false;
        Context::Entry entry(context());
        if (!entry) return false;
        u32 identity = best(hart);
        value = identity << 16 | identity;
        if (claim && identity) {
            pending_[word(hart, identity)] &= ~(u64{1} << identity % 64);
            update(hart);
        }
        return true;
    }

private:
    size_t word(u32 hart, u32 identity) const { return size_t{hart} * words_ + identity / 64; }
    // The pending and enabled identity that exceeds the threshold and is the lowest; 0: none.
    u32 best(u32 hart) const {
        for (u32 w = 0; w < words_; w++) {
            u64 ready = pending_[hart * words_ + w] & enabled_[hart * words_ + w];
            if (!ready) continue;
            u32 identity = w * 64 + u32(__builtin_ctzll(ready));
            return threshold_[hart] == 0 || identity < threshold_[hart] ? identity : 0;
        }
        return 0;
    }
    void update(u32 hart) { lines_[hart].set(delivery_[hart] && best(hart)); }

    // Of an array's register `n` (of 32 bits each, two read together): null when there are not so many.
    u64* element(std::vector<u64>& array, u32 hart, u32 n) {
        return n / 2 < words_ ? &array[hart * words_ + n / 2] : nullptr;
    }
    u64* array_register(u32 hart, u32 select) {
        if (select >= eie0 && select <= eie63) return element(enabled_, hart, select - eie0);
        return select >= eip0 ? element(pending_, hart, select - eip0) : nullptr;
    }
    u64 read(u32 hart, u32 select) {
        if (select == eidelivery) return delivery_[hart];
        if (select == eithreshold) return threshold_[hart];
        const u64* in_array = array_register(hart, select);
        return in_array ? *in_array : 0;
    }
    void write(u32 hart, u32 select, u64 v) {
        if (select == eidelivery) delivery_[hart] = v & 1;
        if (select == eithreshold && v <= identities_) threshold_[hart] = u32(v);
        if (u64* in_array = array_register(hart, select)) {
            bool first = select == eip0 || select == eie0; // identity 0 is none
            *in_array = first ? v & ~u64{1} : v;
        }
        update(hart);
    }

    void set_pending(u64 v) {
        u32 hart = frame() / pages_, identity = u32(v);
        if (frame() % pages_) return; // of a guest
        if (identity == 0 || identity > identities_)
            return trace::guest_error(id(), "message {} to hart {}, expected 1 to {}", identity, hart, identities_);
        pending_[word(hart, identity)] |= u64{1} << identity % 64;
        update(hart);
    }
    void set_pending_swapped(u64 v) { set_pending(__builtin_bswap32(u32(v))); }

    static const RegRow<RiscvImsicFiles> regs[];
    u32 harts_ = 1, identities_ = 255, pages_ = 1, words_ = 0;
    std::vector<u64> pending_, enabled_; // words_ a hart
    std::vector<u32> threshold_;
    std::vector<u8> delivery_;
    std::vector<Line> lines_;
};

constexpr RegRow<RiscvImsicFiles> RiscvImsicFiles::regs[] = {
    {0x000, "seteipnum_le", {}, {.write = &RiscvImsicFiles::set_pending}},
    {0x004, "seteipnum_be", {}, {.write = &RiscvImsicFiles::set_pending_swapped}},
};

void RiscvImsicFiles::describe(Describe& d) {
    d.property("num-harts", harts_, "harts that have a file each", {.low = 1, .high = max_harts});
    d.property("num-irqs", identities_, "interrupt identities of a file", {.low = 63, .high = max_identities});
    d.property("num-pages", pages_, "pages from one hart's file to the next's", {.low = 1, .high = max_pages});
    for (u32 i = 0; i < lines_.size(); i++) {
        Describe::Group group(d, "hart", i);
        d.interrupt("irq", lines_[i]);
    }
    d.registers(*this, regs, u64{harts_} * pages_ * page_bytes,
                {.min = 4, .max = 4, .implemented_min = 4, .implemented_max = 4}, {}, page_bytes);
    if (lines_.empty()) return;
    d.state("delivery", delivery_, harts_, {.high = 1});
    d.state("threshold", threshold_, harts_, {.high = identities_});
    d.state("pending", pending_, harts_ * words_, {});
    d.state("enabled", enabled_, harts_ * words_, {});
}

} // namespace

MIMIC_DEVICE(riscv_imsic) = {.name = "riscv.imsic",
                             .bus = "system",
                             .summary = "RISC-V incoming MSI controllers",
                             .make = make_device<RiscvImsicFiles>};

} // namespace mimic::devices
